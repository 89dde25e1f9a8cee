//! Why an answer ended, in Anthropic's words (Messages API reference, `stop_reason`).

use serde_json::{Value, json};

use crate::dialect::event::Stop;
use crate::dialect::loss::Losses;

/// The reason that the model's context, and not the limit, ended the answer. For all others it is the limit.
pub(super) const CONTEXT_FULL: &str = "model_context_window_exceeded";

/// Reads a reason.
pub(super) fn read(reason: &str, sequence: Option<String>) -> Stop {
    match reason {
        "end_turn" => Stop::End,
        "max_tokens" | CONTEXT_FULL => Stop::Length,
        "stop_sequence" => Stop::Sequence(sequence),
        "tool_use" => Stop::Tool,
        "pause_turn" => Stop::Pause,
        "refusal" => Stop::Refusal,
        other => Stop::Other(other.to_owned()),
    }
}

/// Writes a reason: `stop_reason` and `stop_sequence`.
pub(super) fn write(stop: &Stop, losses: &mut Losses) -> (&'static str, Value) {
    let reason = match stop {
        Stop::End => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Tool => "tool_use",
        Stop::Sequence(_) => "stop_sequence",
        Stop::Refusal => "refusal",
        Stop::Pause => "pause_turn",
        Stop::Filter => {
            losses.approximated("finish_reason", "a filter's stop is a refusal");
            "refusal"
        }
        Stop::Other(reason) => {
            losses.approximated("finish_reason", format!("{reason} is not known here"));
            "end_turn"
        }
    };
    let sequence = match stop {
        Stop::Sequence(Some(sequence)) => json!(sequence),
        _ => Value::Null,
    };
    (reason, sequence)
}
