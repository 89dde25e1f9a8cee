//! Cuts a whole answer into the stream that an upstream of its dialect would send, by each maker's description of its
//! streams and without any codec of the gate's: the codecs are what is tried.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::stream::Wire;

/// The stream of an answer, and how it stands on the wire.
pub(super) fn cut(dialect: Option<Dialect>, answer: &Value) -> (Wire, Bytes) {
    match dialect {
        Some(Dialect::OpenAiChat) => (Wire::Sse, sse(&chat(answer), true)),
        Some(Dialect::OpenAiResponses) => (Wire::Sse, sse(&responses(answer), false)),
        Some(Dialect::Anthropic) => (Wire::Sse, sse(&anthropic(answer), false)),
        Some(Dialect::Gemini) => (Wire::Sse, sse(&gemini(answer), false)),
        _ => (Wire::Ndjson, lines(&ollama(answer))),
    }
}

fn sse(events: &[Value], done: bool) -> Bytes {
    let mut text = String::new();
    for event in events {
        if let Some(kind) = event.get("type").and_then(Value::as_str) {
            text.extend(["event: ", kind, "\n"]);
        }
        let _ = write!(text, "data: {event}\n\n");
    }
    if done {
        text.push_str("data: [DONE]\n\n");
    }
    Bytes::from(text)
}

fn lines(events: &[Value]) -> Bytes {
    let mut text = String::new();
    for event in events {
        let _ = writeln!(text, "{event}");
    }
    Bytes::from(text)
}

/// The elements of a list, by its name.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A value with some fields replaced.
fn with(value: &Value, fields: Value) -> Value {
    let mut value = value.clone();
    if let (Value::Object(value), Value::Object(fields)) = (&mut value, fields) {
        value.extend(fields);
    }
    value
}

fn chat(answer: &Value) -> Vec<Value> {
    let chunk = |choices: Value| {
        let mut chunk = with(answer, json!({"object": "chat.completion.chunk", "choices": choices}));
        chunk.as_object_mut().map(|fields| fields.shift_remove("usage"));
        chunk
    };
    let mut events = Vec::new();
    for choice in list(answer, "choices") {
        let one = |delta: Value, logprobs: Option<&Value>| {
            let delta = json!({"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": null});
            chunk(json!([delta]))
        };
        events.push(one(json!({"role": "assistant", "content": ""}), None));
        let empty = Map::new();
        let message = choice["message"].as_object().unwrap_or(&empty);
        for (name, value) in message.iter().filter(|(name, value)| *name != "role" && !value.is_null()) {
            if name == "tool_calls" {
                for (index, call) in list(&choice["message"], name).iter().enumerate() {
                    let start = json!({"name": call["function"]["name"], "arguments": ""});
                    let start = with(call, json!({"index": index, "function": start}));
                    let rest = json!({"index": index, "function": {"arguments": call["function"]["arguments"]}});
                    events.extend([start, rest].map(|piece| one(json!({"tool_calls": [piece]}), None)));
                }
            } else {
                events.push(one(json!({(name): value}), choice.get("logprobs").filter(|_| name == "content")));
            }
        }
        events.push(chunk(json!([{"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}])));
    }
    events.push(with(&chunk(json!([])), json!({"usage": answer["usage"]})));
    events
}

fn anthropic(answer: &Value) -> Vec<Value> {
    let begun = with(answer, json!({"content": [], "stop_reason": null, "stop_sequence": null}));
    let mut events = vec![json!({"type": "message_start", "message": begun})];
    for (index, block) in list(answer, "content").iter().enumerate() {
        let (start, deltas) = block_of(block);
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        let deltas = deltas.into_iter();
        events.extend(deltas.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": answer["stop_reason"], "stop_sequence": answer["stop_sequence"]});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": answer["usage"]}));
    events.push(json!({"type": "message_stop"}));
    events
}

/// A block as it begins, and what is added to it.
fn block_of(block: &Value) -> (Value, Vec<Value>) {
    let input = |kind: &str| {
        let delta = json!({"type": "input_json_delta", "partial_json": block["input"].to_string()});
        (json!({"type": kind, "id": block["id"], "name": block["name"], "input": {}}), vec![delta])
    };
    match block["type"].as_str().unwrap_or_default() {
        "text" => {
            let cited = list(block, "citations").iter().map(|it| json!({"type": "citations_delta", "citation": it}));
            let text = json!({"type": "text_delta", "text": block["text"]});
            (json!({"type": "text", "text": ""}), cited.chain([text]).collect())
        }
        "thinking" => {
            let thought = json!({"type": "thinking_delta", "thinking": block["thinking"]});
            let signature = json!({"type": "signature_delta", "signature": block["signature"]});
            (json!({"type": "thinking", "thinking": "", "signature": ""}), vec![thought, signature])
        }
        kind @ ("tool_use" | "server_tool_use") => input(kind),
        _ => (block.clone(), Vec::new()),
    }
}

fn responses(answer: &Value) -> Vec<Value> {
    let begun = with(answer, json!({"status": "in_progress", "output": [], "usage": null, "incomplete_details": null}));
    let mut events = vec![json!({"type": "response.created", "response": begun})];
    for (index, item) in list(answer, "output").iter().enumerate() {
        let start = with(item, json!({"status": "in_progress"}));
        let empty = match item["type"].as_str().unwrap_or_default() {
            "message" => json!({"content": []}),
            "reasoning" => json!({"summary": []}),
            "function_call" => json!({"arguments": ""}),
            _ => json!({}),
        };
        events.push(json!({"type": "response.output_item.added", "output_index": index, "item": with(&start, empty)}));
        let at = json!({"item_id": item["id"], "output_index": index});
        pieces(item, |kind, fields| events.push(with(&with(&at, json!({"type": kind})), fields)));
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    let last = if answer["status"] == "incomplete" { "response.incomplete" } else { "response.completed" };
    events.push(json!({"type": last, "response": answer}));
    for (number, event) in events.iter_mut().enumerate() {
        *event = with(event, json!({"sequence_number": number}));
    }
    events
}

/// What is said of an item while it is made.
fn pieces(item: &Value, mut say: impl FnMut(&str, Value)) {
    if item["type"] == "function_call" {
        say("response.function_call_arguments.delta", json!({"delta": item["arguments"]}));
        say("response.function_call_arguments.done", json!({"arguments": item["arguments"]}));
    }
    for (index, part) in list(item, "summary").iter().enumerate() {
        let said = |fields: Value| with(&json!({"summary_index": index}), fields);
        let empty = json!({"type": "summary_text", "text": ""});
        say("response.reasoning_summary_part.added", said(json!({"part": empty})));
        say("response.reasoning_summary_text.delta", said(json!({"delta": part["text"]})));
        say("response.reasoning_summary_text.done", said(json!({"text": part["text"]})));
        say("response.reasoning_summary_part.done", said(json!({"part": part})));
    }
    for (index, part) in list(item, "content").iter().enumerate() {
        let said = |fields: Value| with(&json!({"content_index": index}), fields);
        let (kind, field) = if part["type"] == "refusal" { ("refusal", "refusal") } else { ("output_text", "text") };
        say("response.content_part.added", said(json!({"part": with(part, json!({(field): "", "annotations": []}))})));
        let delta = json!({"delta": part[field], "logprobs": part["logprobs"]});
        say(&format!("response.{kind}.delta"), said(delta));
        for (number, annotation) in list(part, "annotations").iter().enumerate() {
            let added = json!({"annotation_index": number, "annotation": annotation});
            say("response.output_text.annotation.added", said(added));
        }
        say(&format!("response.{kind}.done"), said(json!({(field): part[field]})));
        say("response.content_part.done", said(json!({"part": part})));
    }
}

fn ollama(answer: &Value) -> Vec<Value> {
    let same = ["model", "created_at", "message", "logprobs"];
    let first = same.into_iter().filter_map(|name| Some((name.to_owned(), answer.get(name)?.clone())));
    let first = with(&Value::Object(first.collect()), json!({"done": false}));
    let mut last = with(answer, json!({"message": {"role": "assistant", "content": ""}, "done": true}));
    last.as_object_mut().map(|fields| fields.shift_remove("logprobs"));
    vec![first, last]
}

/// Each part in a chunk of its own; what else a candidate says comes with its last.
fn gemini(answer: &Value) -> Vec<Value> {
    let candidates = list(answer, "candidates");
    let mut events = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let parts = list(&candidate["content"], "parts");
        for (position, part) in parts.iter().enumerate() {
            let content = json!({"role": "model", "parts": [part]});
            let last = position + 1 == parts.len();
            let candidate = if last {
                with(candidate, json!({"content": content}))
            } else {
                json!({"index": candidate.get("index").cloned().unwrap_or(json!(0)), "content": content})
            };
            let mut chunk = with(answer, json!({"candidates": [candidate]}));
            if !(last && at + 1 == candidates.len()) {
                chunk.as_object_mut().map(|fields| fields.shift_remove("usageMetadata"));
            }
            events.push(chunk);
        }
    }
    events
}
