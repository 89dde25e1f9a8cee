//! Reads Anthropic's answers: the events of a stream, and with the same steps the blocks of a whole one (Anthropic's
//! guide Streaming messages).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use self::steps::{seal, take_object};
use super::usage::Tally;
use crate::dialect::Dialect;
use crate::dialect::codec::Reader;
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind};
use crate::dialect::failure::Failure;
use crate::stream;

mod steps;

/// Where an answer stands.
#[derive(Default)]
pub(super) struct AnthropicReader {
    /// How far it came.
    phase: Phase,
    /// Blocks that began and did not end; in practice one.
    open: Vec<Open>,
    /// What was used so far.
    tally: Tally,
    /// Whether a tool was called.
    called: bool,
}

/// How far an answer came.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nothing was told.
    #[default]
    Awaited,
    /// Its start was told.
    Begun,
    /// The reason of its end was told.
    Stopped,
    /// Nothing more comes.
    Ended,
}

/// A block that began.
struct Open {
    /// Its index on the wire, which is its number in the model.
    index: u32,
    /// What it is.
    kind: Kind,
    /// Whether any of it was told.
    told: bool,
}

/// What a block is.
enum Kind {
    /// Text.
    Text,
    /// Thoughts, or nothing but their seal.
    Thinking,
    /// A call of the client's tools, with the arguments that came with its start.
    Call(Option<String>),
    /// A block that only this dialect knows, and its input as far as it came in pieces.
    Raw(Value, String),
}

/// An event of the wire, as far as deltas need it.
#[derive(Deserialize)]
struct Line<'a> {
    /// The event's type.
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    /// The block.
    index: Option<u32>,
    /// What the block says more.
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    /// An error, in whatever shape.
    error: Option<IgnoredAny>,
}

/// The delta of a block.
#[derive(Deserialize)]
struct Delta<'a> {
    /// Its type.
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    /// Text.
    text: Option<String>,
    /// Thoughts.
    thinking: Option<String>,
    /// The signature of the thoughts.
    signature: Option<String>,
    /// Arguments.
    partial_json: Option<String>,
    /// A citation of the text.
    citation: Option<Value>,
}

// === impl AnthropicReader ===

impl Reader for AnthropicReader {
    fn read(&mut self, event: &stream::Event) -> Vec<Event> {
        let mut out = Vec::new();
        if self.phase == Phase::Ended {
            return out;
        }
        if !event.has_data() {
            if stream::look(event).error {
                self.fail(error::read_event(event), &mut out);
            }
            return out;
        }
        match serde_json::from_slice::<Line<'_>>(event.data()) {
            Ok(Line { kind, index, delta: Some(delta), .. }) if kind == "content_block_delta" => {
                if !self.delta(index.unwrap_or_default(), delta, &mut out) {
                    self.slow(event, false, &mut out);
                }
            }
            Ok(line) if line.kind == "content_block_stop" => self.block_stop(line.index.unwrap_or_default(), &mut out),
            Ok(line) if line.kind == "ping" => out.push(Event::first(EventKind::Ping)),
            Ok(line) => {
                let failed = line.kind == "error" || line.error.is_some() || event.name() == Some("error");
                self.slow(event, failed, &mut out);
            }
            Err(_) => self.slow(event, event.name() == Some("error"), &mut out),
        }
        out
    }

    fn finish(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        if self.phase == Phase::Ended {
            return out;
        }
        if self.phase == Phase::Stopped {
            self.end(&mut out);
        } else {
            self.fail(Failure::cut(), &mut out);
        }
        out
    }
}

impl AnthropicReader {
    /// Reads an event that is no delta of a known kind.
    fn slow(&mut self, event: &stream::Event, failed: bool, out: &mut Vec<Event>) {
        let Ok(value) = serde_json::from_slice::<Value>(event.data()) else {
            let text = String::from_utf8_lossy(event.data());
            match text.trim() {
                "" | "[DONE]" => {}
                _ if failed => self.fail(error::read_event(event), out),
                _ => self.fail(Failure::garbage(), out),
            }
            return;
        };
        if failed {
            return self.fail(error::read_value(200, &value), out);
        }
        let Value::Object(mut fields) = value else {
            return self.raw(value, out);
        };
        let kind = fields.get("type").and_then(Value::as_str).or(event.name()).unwrap_or_default().to_owned();
        match kind.as_str() {
            "message_start" => self.start(take_object(&mut fields, "message"), out),
            "content_block_start" => {
                let block = fields.shift_remove("content_block").unwrap_or_default();
                self.block_start(index(&fields), block, out);
            }
            "content_block_delta" if self.merge(&mut fields) => {}
            "message_delta" => self.message_delta(fields, out),
            "message_stop" => self.end(out),
            _ => self.raw(Value::Object(fields), out),
        }
    }

    /// Something that only this dialect knows.
    fn raw(&mut self, value: Value, out: &mut Vec<Event>) {
        self.begin(out);
        out.push(Event::first(EventKind::Raw { from: Dialect::Anthropic, value }));
    }

    /// Nothing but the end comes after a failure.
    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.phase = Phase::Ended;
        out.push(Event::first(EventKind::Failed(failure)));
    }

    /// Reads a delta; says whether it was of a known kind.
    fn delta(&mut self, block: u32, delta: Delta<'_>, out: &mut Vec<Event>) -> bool {
        self.begin(out);
        let open = self.open.iter_mut().rev().find(|open| open.index == block);
        let kind = match (delta.kind.as_ref(), open.map(|open| &mut open.kind)) {
            ("text_delta", Some(Kind::Text) | None) => {
                delta.text.map(|text| (EventKind::Text { block, text }, Kind::Text))
            }
            ("thinking_delta", Some(Kind::Thinking) | None) => {
                delta.thinking.map(|text| (EventKind::Reasoning { block, text }, Kind::Thinking))
            }
            ("signature_delta", Some(Kind::Thinking)) => match delta.signature {
                Some(signature) if signature.is_empty() => return true,
                signature => signature.map(|signature| (seal(block, signature), Kind::Thinking)),
            },
            ("input_json_delta", Some(Kind::Call(whole))) => {
                let json = delta.partial_json.unwrap_or_default();
                if json.is_empty() {
                    return true;
                }
                *whole = None;
                Some((EventKind::ToolArgs { block, json }, Kind::Call(None)))
            }
            ("input_json_delta", Some(Kind::Raw(_, input))) => {
                input.push_str(delta.partial_json.as_deref().unwrap_or_default());
                return true;
            }
            ("citations_delta", Some(Kind::Text)) => {
                delta.citation.map(|value| (EventKind::Citation { block, value }, Kind::Text))
            }
            _ => None,
        };
        let Some((event, kind)) = kind else {
            return false;
        };
        if !self.told(block) {
            self.open.push(Open { index: block, kind, told: true });
        }
        out.push(Event::first(event));
        true
    }

    /// Adds a delta of an unknown kind to a block that only this dialect knows, field by field; says whether there is
    /// one.
    fn merge(&mut self, fields: &mut Map<String, Value>) -> bool {
        let index = index(fields);
        let open = self.open.iter_mut().find(|open| open.index == index).map(|open| &mut open.kind);
        let Some(Kind::Raw(Value::Object(block), _)) = open else {
            return false;
        };
        for (name, value) in take_object(fields, "delta") {
            match (block.get_mut(&name), value) {
                (_, _) if name == "type" => {}
                (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
                (_, value) => {
                    block.insert(name, value);
                }
            }
        }
        true
    }
}

/// The `index` of an event.
fn index(fields: &Map<String, Value>) -> u32 {
    fields.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok()).unwrap_or_default()
}
