//! What the tests of this dialect share: stamps, streams from text, and answers brought to a form that can be compared.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Anthropic;
use crate::dialect::chat::Chat;
use crate::dialect::codec::{Codec, Stamp};
use crate::dialect::event::{Event, EventKind};
use crate::dialect::id::Ids;
use crate::dialect::loss::{Losses, Verdict};
use crate::stream::{Splitter, Wire};

mod answer;
mod reader;
mod request;
mod traffic;
mod write_request;
mod writer;

fn ids() -> Ids {
    Ids::new("exchange-1")
}

fn stamp() -> Stamp {
    Stamp { model: "asked-model".to_owned(), created: 0, ids: ids(), chat: std::sync::Arc::new(Chat::default()) }
}

/// Reads a stream that comes in pieces of a size.
fn read_in_pieces(text: &str, size: usize) -> Vec<Event> {
    let mut reader = Anthropic.reader(ids());
    let mut splitter = Splitter::new(Wire::Sse, 1 << 24);
    let mut events = Vec::new();
    for piece in text.as_bytes().chunks(size) {
        splitter.push(Bytes::copy_from_slice(piece));
        while let Some(event) = splitter.next().unwrap() {
            events.extend(reader.read(&event));
        }
    }
    if let Some(rest) = splitter.finish() {
        events.extend(reader.read(&crate::stream::Event::parse(Wire::Sse, rest)));
    }
    events.extend(reader.finish());
    events
}

fn read(text: &str) -> Vec<Event> {
    read_in_pieces(text, text.len().max(1))
}

/// A stream of these data, each under the name that its type gives.
fn sse(data: &[Value]) -> String {
    let line = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    data.iter().map(line).collect()
}

/// Writes events as a stream: the data of its events.
fn written(events: Vec<Event>) -> (Vec<Value>, Losses) {
    let mut writer = Anthropic.writer(stamp());
    let mut losses = Losses::default();
    let mut data = Vec::new();
    for event in events {
        for event in writer.write(event, &mut losses) {
            let value: Value = serde_json::from_slice(event.data()).unwrap();
            assert_eq!(event.name(), value["type"].as_str());
            data.push(value);
        }
    }
    (data, losses)
}

fn first(kinds: impl IntoIterator<Item = EventKind>) -> Vec<Event> {
    kinds.into_iter().map(Event::first).collect()
}

fn text(block: u32, text: &str) -> EventKind {
    EventKind::Text { block, text: text.to_owned() }
}

/// Losses as pairs of path and verdict.
fn pairs(losses: &Losses) -> Vec<(&str, Verdict)> {
    losses.iter().map(|loss| (loss.path.as_str(), loss.verdict)).collect()
}

/// What an answer says, however it was cut: its blocks in order with their texts joined, and all else once.
fn digest(events: &[Event]) -> Value {
    let mut blocks = Map::new();
    let mut sheet = Map::new();
    let mut order = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let (key, field, value) = match &event.kind {
            EventKind::Text { block, text } => (block.to_string(), "text", json!(text)),
            EventKind::Reasoning { block, text } => (block.to_string(), "thoughts", json!(text)),
            EventKind::Refusal { block, text } => (block.to_string(), "refusal", json!(text)),
            EventKind::ToolStart { block, id, name } => (block.to_string(), "call", json!(format!("{id} {name}"))),
            EventKind::ToolArgs { block, json } => (block.to_string(), "arguments", json!(json)),
            EventKind::Seal { block, seal } => (block.to_string(), "seal", json!(format!("{seal:?}"))),
            EventKind::Citation { block, value } => (block.to_string(), "citations", json!(value.to_string())),
            EventKind::BlockStop { block } => (block.to_string(), "stop", json!("once")),
            EventKind::Raw { value, .. } => (format!("raw {number}"), "raw", value.clone()),
            EventKind::Ping => continue,
            other => {
                let name = format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned();
                if name != "Usage" {
                    order.push(name.clone());
                }
                sheet.insert(name, json!(format!("{other:?}")));
                continue;
            }
        };
        let block = blocks.entry(key).or_insert_with(|| json!({}));
        match (&mut block[field], value) {
            (Value::String(whole), Value::String(more)) => whole.push_str(&more),
            (slot, value) => *slot = value,
        }
    }
    for block in blocks.values_mut() {
        let arguments = block.get("arguments").and_then(Value::as_str).unwrap_or("{}");
        block["arguments"] = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
        let fields = block.as_object_mut().unwrap();
        fields.retain(|_, value| *value != json!({}) && *value != json!(""));
    }
    json!({"blocks": blocks.into_iter().map(|(_, block)| block).collect::<Vec<_>>(), "rest": sheet, "order": order})
}
