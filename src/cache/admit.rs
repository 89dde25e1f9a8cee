//! Which answers are worth keeping: whole, successful and not empty. A cache that stores less than that serves a
//! failure to everybody who asks again.

use serde_json::Value;

use super::bypass::directives;
use crate::stream::Sight;

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The status is not 200.
    Status,
    /// The upstream said `Cache-Control: no-store` or `private`, or `Vary: *`.
    Forbidden,
    /// It is compressed: it could not be looked into, and the next client may not read that coding.
    Encoded,
    /// It is larger than one entry may be.
    TooLarge,
    /// It did not come, or was not sent, to its end.
    Incomplete,
    /// The stream ended without the event that ends streams.
    NoEnd,
    /// It holds an error, in a stream or at the top of its JSON.
    Error,
    /// It holds no answer: no body, no text, no call of a tool, no vector.
    Empty,
    /// It should be JSON and is not.
    Unreadable,
    /// Another upstream or model gave it than the plan asks first.
    Fallback,
    /// More than one upstream gave it, one going on where another broke off.
    Continued,
    /// Its like was purged while it was on its way.
    Purged,
    /// The gate held so much in memory that no copy was made of it.
    NoRoom,
}

// === impl Refusal ===

impl Refusal {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Status,
        Self::Forbidden,
        Self::Encoded,
        Self::TooLarge,
        Self::Incomplete,
        Self::NoEnd,
        Self::Error,
        Self::Empty,
        Self::Unreadable,
        Self::Fallback,
        Self::Continued,
        Self::Purged,
        Self::NoRoom,
    ];

    /// Its name in logs, metrics and snapshots.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Forbidden => "forbidden",
            Self::Encoded => "encoded",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
            Self::NoEnd => "no_end",
            Self::Error => "error",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::Fallback => "fallback",
            Self::Continued => "continued",
            Self::Purged => "purged",
            Self::NoRoom => "no_room",
        }
    }
}

/// Whether an answer with this head may be kept at all. `headers` are all of them, repeated ones each.
pub(super) fn head<'h>(status: u16, mut headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Result<(), Refusal> {
    if status != 200 {
        return Err(Refusal::Status);
    }
    headers.try_for_each(|(name, value)| {
        let value = std::str::from_utf8(value).unwrap_or_default();
        let has = |test: fn(&str) -> bool| directives(value).any(test);
        if name.eq_ignore_ascii_case("cache-control") && has(forbids)
            || name.eq_ignore_ascii_case("vary") && has(|name| name == "*")
        {
            Err(Refusal::Forbidden)
        } else if name.eq_ignore_ascii_case("content-encoding")
            && has(|coding| !coding.eq_ignore_ascii_case("identity"))
        {
            Err(Refusal::Encoded)
        } else {
            Ok(())
        }
    })
}

/// Whether a directive keeps an answer out: RFC 9111 §5.2.2.5 and §5.2.2.7, in its form with fields, too.
fn forbids(directive: &str) -> bool {
    let name = directive.split('=').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("private")
}

/// Whether a whole body may be kept. What stands in it is only known for the dialects the gate speaks.
pub(super) fn body(dialect: Option<&str>, body: &[u8]) -> Result<(), Refusal> {
    if body.trim_ascii().is_empty() {
        return Err(Refusal::Empty);
    }
    let Some(holds_answer) = dialect.and_then(reader) else {
        return Ok(());
    };
    let json: Value = serde_json::from_slice(body).map_err(|_| Refusal::Unreadable)?;
    if failed(&json) {
        Err(Refusal::Error)
    } else if under_way(&json) {
        Err(Refusal::Incomplete)
    } else if holds_answer(&json) {
        Ok(())
    } else {
        Err(Refusal::Empty)
    }
}

/// Whether an answer says that it failed: as a whole, or in a choice, as `OpenRouter` does when an upstream of its own fails
/// in the midst of it.
fn failed(json: &Value) -> bool {
    let error = |json: &Value| json.get("error").is_some_and(|error| !error.is_null());
    error(json)
        || list(json, "choices").any(|choice| error(choice) || choice["finish_reason"] == "error")
        || matches!(json["status"].as_str(), Some("failed" | "cancelled"))
}

/// Whether there is more to come of an answer: of one that is made in the background, or of the first line of a stream.
fn under_way(json: &Value) -> bool {
    matches!(json["status"].as_str(), Some("in_progress" | "queued")) || json["done"] == false
}

/// Whether a stream may be kept whose events meant so much.
pub(super) fn stream(seen: Sight) -> Result<(), Refusal> {
    if seen.error {
        Err(Refusal::Error)
    } else if !seen.terminal {
        Err(Refusal::NoEnd)
    } else if !seen.visible {
        Err(Refusal::Empty)
    } else {
        Ok(())
    }
}

/// How to see an answer in a dialect's JSON.
fn reader(dialect: &str) -> Option<fn(&Value) -> bool> {
    Some(match dialect {
        "openai.chat" | "openai.completions" => |json| list(json, "choices").any(chat_choice),
        "openai.responses" => |json| list(json, "output").any(output_item),
        "openai.embeddings" => |json| list(json, "data").any(|item| filled(&item["embedding"])),
        "anthropic.messages" => |json| list(json, "content").any(block),
        "ollama.chat" => |json| message(&json["message"]),
        "ollama.generate" => |json| filled(&json["response"]),
        // Its other calls; those that embed have one of these members.
        "ollama" => |json| match (json.get("embeddings"), json.get("embedding")) {
            (None, None) => true,
            (_, one) => list(json, "embeddings").any(filled) || one.is_some_and(filled),
        },
        "gemini" => {
            |json| list(json, "candidates").any(|candidate| list(&candidate["content"], "parts").any(gemini_part))
        }
        _ => return None,
    })
}

/// The items of a member that is an array; none when it is not.
fn list<'a>(json: &'a Value, name: &str) -> std::slice::Iter<'a, Value> {
    json.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

/// Text that is not blank, or a list or object that is not empty.
fn filled(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A choice of the chat API, or of the older one that has only `text`.
fn chat_choice(choice: &Value) -> bool {
    message(&choice["message"]) || filled(&choice["text"])
}

/// A message whose content is text or a list of parts.
fn message(message: &Value) -> bool {
    let content = &message["content"];
    let parts = content.as_array().is_some_and(|parts| parts.iter().any(block));
    (content.is_string() && filled(content))
        || parts
        || ["tool_calls", "function_call", "refusal", "audio"].iter().any(|name| filled(&message[*name]))
}

/// A block of a content list: text, or anything that is neither text nor reasoning, such as a call of a tool.
fn block(block: &Value) -> bool {
    match block["type"].as_str() {
        Some("text" | "output_text" | "refusal") => filled(&block["text"]) || filled(&block["refusal"]),
        Some("thinking" | "redacted_thinking" | "reasoning") => false,
        _ => filled(block),
    }
}

/// An item of a Responses answer: a message with content, or a call.
fn output_item(item: &Value) -> bool {
    match item["type"].as_str() {
        Some("message") => list(item, "content").any(block),
        Some("reasoning") => false,
        _ => filled(item),
    }
}

/// A part of a Gemini answer that is no thought.
fn gemini_part(part: &Value) -> bool {
    part["thought"] != Value::Bool(true)
        && part
            .as_object()
            .is_some_and(|part| part.iter().any(|(name, value)| name != "thoughtSignature" && filled(value)))
}

#[cfg(test)]
mod tests;
