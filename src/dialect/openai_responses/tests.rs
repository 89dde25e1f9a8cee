//! The codec as a whole: what the tests share, and what only some other dialect's tests could see.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::dialect::event::EventKind;
use crate::stream::{Event as WireEvent, Splitter, Wire};

mod random;
mod reading;
pub(super) mod traffic;

pub(super) fn ids() -> Ids {
    Ids::new("exchange")
}

pub(super) fn stamp(chat: Chat) -> Stamp {
    Stamp { model: "asked".to_owned(), created: 1_700_000_000, ids: ids(), chat: Arc::new(chat) }
}

/// Reads a stream's text, cut into pieces of so many bytes.
pub(super) fn read_stream(text: &str, piece: usize) -> Vec<Event> {
    let mut splitter = Splitter::new(Wire::Sse, 1 << 24);
    let mut reader = OpenAiResponses.reader(ids());
    let mut events = Vec::new();
    let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
    for start in (0..bytes.len()).step_by(piece) {
        splitter.push(bytes.slice(start..bytes.len().min(start + piece)));
        while let Some(event) = splitter.next().unwrap() {
            events.extend(reader.read(&event));
        }
    }
    if let Some(rest) = splitter.finish() {
        events.extend(reader.read(&WireEvent::parse(Wire::Sse, rest)));
    }
    events.extend(reader.finish());
    events
}

/// Reads these JSON values as a stream.
pub(super) fn read_values(values: &[Value]) -> Vec<Event> {
    let text = values.iter().fold(String::new(), |text, value| text + "data: " + &value.to_string() + "\n\n");
    read_stream(&text, text.len().max(1))
}

/// Writes events as a stream: the JSON of each, whose name was checked.
pub(super) fn write_stream(events: Vec<Event>, stamp: Stamp, losses: &mut Losses) -> Vec<Value> {
    let mut writer = OpenAiResponses.writer(stamp);
    let mut written = Vec::new();
    for event in events {
        for event in writer.write(event, losses) {
            let value: Value = serde_json::from_slice(event.data()).unwrap();
            assert_eq!(event.name(), value["type"].as_str());
            written.push(value);
        }
    }
    written
}

/// Joins what a stream cut, and drops pings.
pub(super) fn joined(events: Vec<Event>) -> Vec<EventKind> {
    let mut all: Vec<EventKind> = Vec::new();
    for event in events {
        match (all.last_mut(), event.kind) {
            (_, EventKind::Ping) => {}
            (Some(EventKind::Text { block: a, text }), EventKind::Text { block: b, text: more })
            | (Some(EventKind::Refusal { block: a, text }), EventKind::Refusal { block: b, text: more })
            | (Some(EventKind::Reasoning { block: a, text }), EventKind::Reasoning { block: b, text: more })
            | (Some(EventKind::ToolArgs { block: a, json: text }), EventKind::ToolArgs { block: b, json: more })
                if *a == b =>
            {
                text.push_str(&more);
            }
            (_, kind) => all.push(kind),
        }
    }
    all
}

#[test]
fn state_that_only_a_responses_upstream_has_is_named() {
    let cases = [
        (json!({"model": "m", "input": "hi"}), None),
        (json!({"previous_response_id": null, "background": false}), None),
        (json!({"previous_response_id": "resp_1"}), Some("previous_response_id")),
        (json!({"conversation": {"id": "conv_1"}}), Some("conversation")),
        (json!({"prompt": {"id": "pmpt_1"}}), Some("prompt")),
        (json!({"background": true}), Some("background")),
        (json!({"input": [{"role": "user", "content": "x"}]}), None),
        (json!({"input": [{"type": "item_reference", "id": "msg_1"}]}), Some("input")),
        (json!({"input": [{"id": "msg_1"}]}), Some("input")),
    ];
    for (body, field) in cases {
        assert_eq!(needs_state(&body), field, "{body}");
    }
}
