//! Why an answer ended, in the words of `OpenAI`'s `finish_reason` and of servers like it.

use serde_json::Value;

use crate::dialect::event::Stop;

/// Reads a finish reason; `None` while there is none. The content may know better: see [`settle`].
pub(in crate::dialect) fn read(value: &Value) -> Option<Stop> {
    let word = match value {
        Value::Null | Value::Bool(_) => return None,
        Value::String(word) => word.as_str(),
        other => return Some(Stop::Other(other.to_string())),
    };
    Some(match word {
        "" | "stop" | "eos" | "end_turn" | "stop_sequence" | "eos_token" | "STOP" => Stop::End,
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" => Stop::Length,
        "tool_calls" | "function_call" | "tool_use" => Stop::Tool,
        "content_filter" | "SAFETY" => Stop::Filter,
        "refusal" => Stop::Refusal,
        other => Stop::Other(other.to_owned()),
    })
}

/// What the content says of a plain end: calls wait for their results (`OpenAI` itself says `stop` when the tool was
/// chosen by name), or the model declined.
pub(in crate::dialect) fn settle(stop: Option<Stop>, called: bool, refused: bool) -> Stop {
    match stop.unwrap_or(Stop::End) {
        Stop::End if called => Stop::Tool,
        Stop::End if refused => Stop::Refusal,
        stop => stop,
    }
}

/// The finish reason to write, and why it is only near, if it is. `own` says that the stop was read from this dialect.
///
/// A model of `OpenAI` that declines says so in `refusal` and ends with `stop`. Where another maker's ends with a
/// refusal that has no words of its own, `content_filter` is the one reason by which a client sees it.
pub(in crate::dialect) fn write(stop: &Stop, refused: bool, own: bool) -> (&str, Option<&'static str>) {
    match stop {
        Stop::End | Stop::Sequence(None) => ("stop", None),
        Stop::Sequence(Some(_)) => ("stop", Some("the chat dialect does not say which text stopped it")),
        Stop::Length => ("length", None),
        Stop::Tool => ("tool_calls", None),
        Stop::Filter => ("content_filter", None),
        Stop::Refusal if refused => ("stop", None),
        Stop::Refusal => ("content_filter", Some("the chat dialect has no such reason")),
        Stop::Pause => ("stop", Some("the chat dialect cannot pause a turn")),
        Stop::Other(word) if own => (word, None),
        Stop::Other(_) => ("stop", Some("a reason that the chat dialect does not have")),
    }
}
