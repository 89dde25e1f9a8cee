//! Joins a stream to the whole answer that a client of its dialect would make of it, by each maker's description of its
//! streams and without any codec of the gate's.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::stream::{Splitter, Wire};

/// Fields of pieces that are added up; all others replace what was there.
const ADDED: [&str; 6] = ["content", "reasoning_content", "refusal", "arguments", "thinking", "text"];

/// The whole answer of a stream.
pub(super) fn join(dialect: Option<Dialect>, wire: Wire, stream: Bytes) -> Value {
    let events = events(wire, stream);
    match dialect {
        Some(Dialect::OpenAiChat) => chat(&events),
        Some(Dialect::OpenAiResponses) => {
            events.last().and_then(|last| last.get("response")).cloned().unwrap_or_default()
        }
        Some(Dialect::Anthropic) => anthropic(&events),
        Some(Dialect::Gemini) => gemini(&events),
        _ => ollama(&events),
    }
}

/// The JSON of every event.
fn events(wire: Wire, stream: Bytes) -> Vec<Value> {
    let mut splitter = Splitter::new(wire, stream.len().max(1));
    splitter.push(stream);
    let mut events = Vec::new();
    while let Ok(Some(event)) = splitter.next() {
        events.extend(serde_json::from_slice::<Value>(event.data()));
    }
    events
}

/// Adds a piece to what is there: texts and lists grow, elements with an index are found by it.
fn add(whole: &mut Value, name: &str, piece: &Value) {
    match (whole, piece) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) if ADDED.contains(&name) => text.push_str(more),
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                add(fields.entry(name.as_str()).or_insert(Value::Null), name, value);
            }
        }
        (Value::Array(list), Value::Array(more)) => {
            for piece in more {
                let index = piece.get("index");
                let known = list.iter_mut().find(|it| index.is_some() && it.get("index") == index);
                match known {
                    Some(known) => add(known, "", piece),
                    None => list.push(piece.clone()),
                }
            }
        }
        (whole, piece) => whole.clone_from(piece),
    }
}

fn chat(events: &[Value]) -> Value {
    let mut whole = json!({"choices": []});
    for event in events {
        let mut event = event.clone();
        for choice in event["choices"].as_array_mut().into_iter().flatten() {
            if let Some(delta) = choice.as_object_mut().and_then(|fields| fields.shift_remove("delta")) {
                choice["message"] = delta;
            }
        }
        add(&mut whole, "", &event);
    }
    whole
}

fn ollama(events: &[Value]) -> Value {
    let mut whole = Value::Object(Map::new());
    for event in events {
        add(&mut whole, "", event);
    }
    whole
}

fn gemini(events: &[Value]) -> Value {
    let mut whole = json!({"candidates": []});
    for event in events {
        let mut event = event.clone();
        for candidate in event["candidates"].as_array_mut().into_iter().flatten() {
            candidate["index"] = candidate.get("index").cloned().unwrap_or(json!(0));
        }
        add(&mut whole, "", &event);
    }
    whole
}

fn anthropic(events: &[Value]) -> Value {
    let mut whole = Value::Null;
    let mut arguments = String::new();
    for event in events {
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => whole = event["message"].clone(),
            "content_block_start" => {
                arguments.clear();
                add(&mut whole["content"], "", &json!([event["content_block"]]));
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                arguments.push_str(delta["partial_json"].as_str().unwrap_or_default());
                let block = whole["content"].as_array_mut().and_then(|blocks| blocks.last_mut());
                if let Some(block) = block {
                    let cited = delta.get("citation").map(|it| json!([it]));
                    let piece = json!({"text": delta["text"], "thinking": delta["thinking"], "signature": delta["signature"], "citations": cited});
                    add(block, "", &piece);
                }
            }
            "content_block_stop" if !arguments.is_empty() => {
                let block = whole["content"].as_array_mut().and_then(|blocks| blocks.last_mut());
                if let Some(block) = block {
                    block["input"] = serde_json::from_str(&arguments).unwrap_or_default();
                }
            }
            "message_delta" => {
                add(&mut whole, "", &event["delta"]);
                add(&mut whole["usage"], "", &event["usage"]);
            }
            _ => {}
        }
    }
    whole
}
