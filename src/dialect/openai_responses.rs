//! The codec of `OpenAI`'s Responses API (`POST /v1/responses`), as its API reference describes it.

use serde_json::Value;

use super::chat::Chat;
use super::codec::{Codec, Malformed, Outgoing, Reader, Stamp, Writer};
use super::event::Event;
use super::id::Ids;
use super::loss::Losses;

mod answer;
mod leftover;
mod media;
mod reader;
mod request;
mod usage;
mod writer;

pub(in crate::dialect) use answer::ITEM_FIELDS;

#[cfg(test)]
mod tests;

/// `OpenAI`'s Responses API, and what `Azure`, `xAI`, `DeepSeek`, `OpenRouter` and local servers speak under its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiResponses;

// === impl OpenAiResponses ===

impl Codec for OpenAiResponses {
    fn read_request(&self, _target: &str, body: Value) -> Result<Chat, Malformed> {
        request::read(body)
    }

    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing {
        Outgoing { target: "/v1/responses".to_owned(), body: request::write(chat, losses) }
    }

    fn read_answer(&self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        answer::read(body, ids)
    }

    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        writer::whole(events, stamp, losses)
    }

    fn reader(&self, ids: Ids) -> Box<dyn Reader> {
        Box::new(reader::StreamReader::new(ids))
    }

    fn writer(&self, stamp: Stamp) -> Box<dyn Writer> {
        Box::new(writer::StreamWriter::new(stamp))
    }
}

/// The field of a request that needs state which only a Responses upstream has, so that no other dialect can stand in
/// for it: an earlier answer, a conversation, a stored prompt or item, or an answer to be fetched later.
pub fn needs_state(body: &Value) -> Option<&'static str> {
    let given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    if body.get("background").and_then(Value::as_bool) == Some(true) {
        return Some("background");
    }
    if let Some(name) = ["previous_response_id", "conversation", "prompt"].into_iter().find(|name| given(name)) {
        return Some(name);
    }
    let items = body.get("input").and_then(Value::as_array)?;
    items.iter().any(is_reference).then_some("input")
}

/// An object of these fields, which `json!` would copy.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Whether an item only names one that the upstream stored. The API reference lets its type be left out.
fn is_reference(item: &Value) -> bool {
    match item.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "item_reference",
        None => item.get("role").is_none() && item.get("id").is_some(),
    }
}
