//! Gemini's seal in the chat dialect: `extra_content.google.thought_signature` of a tool call, by Google's guide to its
//! OpenAI compatibility. Through it a client of this dialect brings the seal back.

use serde_json::{Value, json};

/// The signature in an `extra_content`.
pub(super) fn signature(extra: &Value) -> Option<String> {
    extra.pointer("/google/thought_signature")?.as_str().map(str::to_owned)
}

/// The `extra_content` of a signature.
pub(super) fn extra_content(signature: &str) -> Value {
    json!({"google": {"thought_signature": signature}})
}

/// Whether a model reads the signature. Other servers of the dialect may refuse a field that they do not know.
pub(super) fn reads(model: &str) -> bool {
    model.contains("gemini")
}
