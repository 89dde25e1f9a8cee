//! The response object as it stands when an answer begins: it repeats the request's settings, as `OpenAI`'s does.

use serde_json::{Map, Value, json};

use super::super::request;
use crate::dialect::chat::Chat;
use crate::dialect::codec::Stamp;
use crate::dialect::event::Start;

/// What a response object repeats of its request, in `OpenAI`'s order. What the request did not say has the default of
/// the API reference.
const REPEATED: [&str; 16] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The response object of an answer that begins. What the upstream says of itself stands above what the request asked.
pub(super) fn response(start: Start, stamp: &mut Stamp) -> Map<String, Value> {
    let mut asked = asked(&stamp.chat);
    let model = start.model.filter(|model| !model.is_empty()).unwrap_or_else(|| stamp.model.clone());
    let mut response = Map::new();
    let mut put = |name: &str, value: Value| {
        response.insert(name.to_owned(), value);
    };
    put("id", Value::from(start.id.unwrap_or_else(|| stamp.ids.next("resp_"))));
    put("object", Value::from("response"));
    put("created_at", Value::from(start.created.unwrap_or(stamp.created)));
    put("status", Value::from("in_progress"));
    put("background", Value::Bool(false));
    put("error", Value::Null);
    put("incomplete_details", Value::Null);
    put("model", Value::from(model));
    put("output", json!([]));
    for name in REPEATED {
        put(name, asked.shift_remove(name).unwrap_or_else(|| default(name)));
    }
    put("metadata", asked.shift_remove("metadata").unwrap_or_else(|| json!({})));
    put("usage", Value::Null);
    for (name, value) in start.extra {
        if !matches!(name.as_str(), "id" | "object" | "created_at" | "status" | "model" | "output" | "usage") {
            response.insert(name, value);
        }
    }
    response
}

/// The request's settings in this dialect's words.
fn asked(chat: &Chat) -> Map<String, Value> {
    let mut asked = request::settings(chat);
    if let Some(Value::Object(reasoning)) = asked.get_mut("reasoning") {
        for name in ["effort", "summary"] {
            reasoning.entry(name).or_insert(Value::Null);
        }
    }
    if let Some(Value::Object(text)) = asked.get_mut("text") {
        text.entry("format").or_insert_with(|| json!({"type": "text"}));
    }
    asked
}

/// What a response object says of a setting that the request left out (API reference, Create a response). Only `store`
/// differs: the API would keep the answer, but what another upstream answered is kept nowhere.
fn default(name: &str) -> Value {
    match name {
        "parallel_tool_calls" => Value::Bool(true),
        "reasoning" => json!({"effort": null, "summary": null}),
        "service_tier" => Value::from("default"),
        "store" => Value::Bool(false),
        "temperature" | "top_p" => Value::from(1.0),
        "text" => json!({"format": {"type": "text"}}),
        "tool_choice" => Value::from("auto"),
        "tools" => json!([]),
        "top_logprobs" => Value::from(0),
        "truncation" => Value::from("disabled"),
        _ => Value::Null,
    }
}
