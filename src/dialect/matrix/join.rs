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

/// The field of an object, made if it is not there; `None` when the value is no object.
fn field<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    value.as_object_mut().map(|fields| fields.entry(name).or_insert(Value::Null))
}

/// The elements of a list, by its name.
fn each<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = value.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn chat(events: &[Value]) -> Value {
    let mut whole = json!({"choices": []});
    for event in events {
        let mut event = event.clone();
        for choice in each(&mut event, "choices") {
            if let Some(delta) = choice.shift_remove("delta") {
                choice.insert("message".to_owned(), delta);
            }
        }
        add(&mut whole, "", &event);
    }
    whole
}

fn ollama(events: &[Value]) -> Value {
    let mut whole = json!({});
    for event in events {
        add(&mut whole, "", event);
    }
    whole
}

fn gemini(events: &[Value]) -> Value {
    let mut whole = json!({"candidates": []});
    for event in events {
        let mut event = event.clone();
        for candidate in each(&mut event, "candidates") {
            candidate.entry("index").or_insert(json!(0));
        }
        add(&mut whole, "", &event);
    }
    whole
}

fn anthropic(events: &[Value]) -> Value {
    let mut whole = json!({});
    let mut arguments = String::new();
    for event in events {
        let kind = event["type"].as_str().unwrap_or_default();
        match kind {
            "message_start" => add(&mut whole, "", &event["message"]),
            "content_block_start" => {
                arguments.clear();
                if let Some(content) = field(&mut whole, "content") {
                    add(content, "", &json!([event["content_block"]]));
                }
            }
            "content_block_delta" => {
                arguments.push_str(event["delta"]["partial_json"].as_str().unwrap_or_default());
                if let Some(block) = last_block(&mut whole) {
                    add(block, "", &delta(&event["delta"]));
                }
            }
            "content_block_stop" if !arguments.is_empty() => {
                if let Some(input) = last_block(&mut whole).and_then(|block| field(block, "input")) {
                    *input = serde_json::from_str(&arguments).unwrap_or_default();
                }
            }
            "message_delta" => {
                add(&mut whole, "", &event["delta"]);
                add(&mut whole, "", &json!({"usage": event["usage"]}));
            }
            _ => {}
        }
    }
    whole
}

fn last_block(whole: &mut Value) -> Option<&mut Value> {
    whole.get_mut("content")?.as_array_mut()?.last_mut()
}

/// What a delta adds to its block.
fn delta(delta: &Value) -> Value {
    let cited = delta.get("citation").map(|citation| json!([citation]));
    json!({
        "text": delta["text"], "thinking": delta["thinking"], "signature": delta["signature"], "citations": cited,
    })
}
