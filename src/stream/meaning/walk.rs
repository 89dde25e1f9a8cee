//! The walk through an event's JSON: one pass, nothing built, nothing allocated.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Found, Kind};

/// Where in a payload a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// The payload itself.
    Top,
    /// A choice or candidate.
    Choice,
    /// A place that holds the answer.
    Answer,
    /// A place that holds reasoning.
    Thought,
    /// A place that holds the answer if it is a string.
    Text,
}

/// The member names that matter at any level.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    #[serde(alias = "event_type")]
    Type,
    Error,
    #[serde(alias = "is_finished")]
    Done,
    #[serde(alias = "finishReason", alias = "stop_reason", alias = "done_reason")]
    FinishReason,
    #[serde(alias = "candidates")]
    Choices,
    #[serde(
        alias = "content_block",
        alias = "content",
        alias = "message",
        alias = "item",
        alias = "part",
        alias = "text"
    )]
    #[serde(alias = "completion")]
    Delta,
    Response,
    #[serde(alias = "reasoning", alias = "reasoning_content", alias = "reasoning_details", alias = "signature")]
    #[serde(alias = "encrypted_content", alias = "thoughtSignature")]
    Thinking,
    /// Strings that stand beside an answer without being part of it.
    #[serde(alias = "role", alias = "index", alias = "status", alias = "object", alias = "obfuscation")]
    #[serde(alias = "provider_metadata", alias = "logprobs")]
    Id,
    #[serde(other)]
    Other,
}

/// Walks through a value and notes what it finds.
struct Walk<'a> {
    /// Where the value stands.
    level: Level,
    /// The notes.
    found: &'a mut Found,
}

/// Reads a type.
struct ReadKind;

/// Reads whether a value says yes, and whether it says "error".
struct ReadFlag;

/// What a value says as a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// Null, false, or an empty string.
    No,
    /// Anything else.
    Yes,
    /// The string `error`.
    Error,
}

/// Walks through a payload. Errors when it is not JSON; what was found until then stays noted.
pub(super) fn through(data: &[u8], found: &mut Found) -> Result<(), serde_json::Error> {
    let level = Level::Top;
    Walk { level, found }.deserialize(&mut serde_json::Deserializer::from_slice(data))
}

// === impl Walk ===

impl<'de> Walk<'_> {
    /// Reads one member's value.
    fn member<A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<(), A::Error> {
        match (self.level, key) {
            (Level::Top, Key::Type) => self.found.kind = Some(map.next_value_seed(ReadKind)?),
            (Level::Top | Level::Choice, Key::Error) => {
                self.found.seen.error |= map.next_value_seed(ReadFlag)? != Flag::No;
            }
            (Level::Top, Key::Done) | (Level::Top | Level::Choice, Key::FinishReason) => {
                let flag = map.next_value_seed(ReadFlag)?;
                self.found.seen.terminal |= flag == Flag::Yes;
                self.found.seen.error |= flag == Flag::Error;
            }
            (Level::Top, Key::Choices) => self.enter(Level::Choice, map)?,
            (Level::Top | Level::Choice, Key::Delta) => self.enter(Level::Answer, map)?,
            (Level::Top, Key::Response) => self.enter(Level::Text, map)?,
            (Level::Top | Level::Answer, Key::Thinking) => self.enter(Level::Thought, map)?,
            (Level::Answer | Level::Thought, Key::Type | Key::Id | Key::FinishReason)
            | (Level::Top | Level::Choice | Level::Text, _) => skip(map)?,
            (Level::Answer | Level::Thought, _) => self.enter(self.level, map)?,
        }
        Ok(())
    }

    /// Walks on into a member's value.
    fn enter<A: MapAccess<'de>>(&mut self, level: Level, map: &mut A) -> Result<(), A::Error> {
        self.found.known = true;
        map.next_value_seed(Walk { level, found: self.found })
    }
}

/// Passes over a member's value.
fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if matches!(self.level, Level::Answer | Level::Thought | Level::Text) && !text.is_empty() {
            self.found.seen.content = true;
            self.found.seen.visible |= self.level != Level::Thought && !text.trim().is_empty();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Walk { level: self.level, found: &mut *self.found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            self.member(&key, &mut map)?;
        }
        Ok(())
    }
}

// === impl ReadKind ===

impl<'de> DeserializeSeed<'de> for ReadKind {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ReadKind {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a type")
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::of(text))
    }
}

// === impl ReadFlag ===

impl<'de> DeserializeSeed<'de> for ReadFlag {
    type Value = Flag;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Flag, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadFlag {
    type Value = Flag;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Flag, E> {
        Ok(Flag::No)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Flag, E> {
        Ok(if yes { Flag::Yes } else { Flag::No })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Flag, E> {
        Ok(Flag::Yes)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Flag, E> {
        Ok(Flag::Yes)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Flag, E> {
        Ok(Flag::Yes)
    }

    fn visit_str<E>(self, text: &str) -> Result<Flag, E> {
        Ok(match text {
            "" => Flag::No,
            "error" => Flag::Error,
            _ => Flag::Yes,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Flag, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Flag::Yes)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Flag, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Flag::Yes)
    }
}
