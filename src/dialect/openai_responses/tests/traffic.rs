//! The codec over recorded traffic: what was read is written again as it was.

use std::collections::BTreeMap;

use serde_json::Map;

use super::*;
use crate::dialect::seal::Seal;

/// One recorded exchange.
pub(super) struct Exchange {
    pub(super) id: String,
    pub(super) request: Value,
    pub(super) body: String,
    pub(super) sse: bool,
    pub(super) status: u64,
}

pub(super) fn exchanges() -> Vec<Exchange> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recorded traffic here");
        return Vec::new();
    };
    let lines = text.lines().filter(|line| line.contains("openai.responses"));
    let values = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ours = values.filter(|value| value["api"] == "openai.responses");
    ours.map(|mut value| Exchange {
        id: value["id"].as_str().unwrap().to_owned(),
        request: value["request"]["body_json"].take(),
        body: value["response"]["body_text"].as_str().unwrap_or_default().to_owned(),
        sse: value["wire"] == "sse",
        status: value["response"]["status"].as_u64().unwrap(),
    })
    .collect()
}

/// The response object that an answer is, or that its stream ends with.
fn response(exchange: &Exchange) -> Option<Value> {
    if exchange.status != 200 {
        return None;
    }
    if !exchange.sse {
        return serde_json::from_str(&exchange.body).ok();
    }
    let data = exchange.body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    let values = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    values.map(|mut value| value["response"].take()).rfind(|value| !value.is_null())
}

fn without(map: &mut Map<String, Value>, names: &[&str]) {
    map.retain(|name, value| !value.is_null() && !names.contains(&name.as_str()));
}

/// Joins the texts of reasoning, wherever they stand.
fn plain_reasoning(map: &mut Map<String, Value>, content: bool) {
    let join = |list: Option<Value>| -> String {
        let list = list.unwrap_or_default();
        let texts = list.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
        texts.collect::<Vec<_>>().join("\n\n")
    };
    let summary = join(map.remove("summary"));
    let other = join(map.remove("content"));
    if content {
        map.insert("content".to_owned(), Value::from(other));
        map.insert("summary".to_owned(), Value::from(summary));
    } else {
        map.insert("summary".to_owned(), Value::from(summary + &other));
    }
}

/// A request without what it may leave out.
fn plain_request(mut body: Value) -> Value {
    let map = body.as_object_mut().unwrap();
    without(map, &[]);
    if map.get("stream") == Some(&Value::Bool(false)) {
        map.remove("stream");
    }
    if let Some(text) = map.get("input").and_then(Value::as_str).map(str::to_owned) {
        map.insert("input".to_owned(), json!([{"role": "user", "content": text}]));
    }
    for tool in map.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        without(tool.as_object_mut().unwrap(), &[]);
    }
    for item in map.get_mut("input").and_then(Value::as_array_mut).into_iter().flatten() {
        let item = item.as_object_mut().unwrap();
        match item.get("type").and_then(Value::as_str) {
            Some("reasoning") => {
                without(item, &[]);
                plain_reasoning(item, true);
            }
            None | Some("message") => {
                without(item, &["type", "id", "status"]);
                if let Some(text) = item.get("content").and_then(Value::as_str).map(str::to_owned) {
                    let kind = if item["role"] == "assistant" { "output_text" } else { "input_text" };
                    item.insert("content".to_owned(), json!([{"type": kind, "text": text}]));
                }
            }
            _ => without(item, &["id", "status"]),
        }
    }
    body
}

/// An answer without the ids that the gate makes anew, and without nothings.
fn plain_response(mut body: Value) -> Value {
    let map = body.as_object_mut().unwrap();
    without(map, &["output_text"]);
    if let Some(time) = map.get("created_at").and_then(Value::as_f64) {
        map.insert("created_at".to_owned(), Value::from(time.trunc()));
    }
    for item in map.get_mut("output").and_then(Value::as_array_mut).into_iter().flatten() {
        let item = item.as_object_mut().unwrap();
        match item["type"].as_str().unwrap() {
            "reasoning" => {
                without(item, &["status", "format"]);
                if item.get("encrypted_content") == Some(&Value::from("")) {
                    item.remove("encrypted_content");
                }
                plain_reasoning(item, false);
            }
            "message" => {
                without(item, &["id"]);
                for part in item["content"].as_array_mut().unwrap() {
                    without(part.as_object_mut().unwrap(), &["logprobs"]);
                }
            }
            "function_call" => without(item, &["id"]),
            _ => {}
        }
    }
    body
}

#[test]
fn every_recorded_request_is_written_as_it_was() {
    let mut count = 0;
    for exchange in exchanges() {
        let chat = OpenAiResponses.read_request("/v1/responses", exchange.request.clone()).unwrap();
        let mut losses = Losses::default();
        let written = OpenAiResponses.write_request(&chat, &mut losses);
        assert_eq!(plain_request(written.body), plain_request(exchange.request), "{}", exchange.id);
        assert!(losses.is_empty(), "{}: {losses:?}", exchange.id);
        count += 1;
    }
    eprintln!("{count} requests");
}

#[test]
fn every_recorded_answer_is_written_as_it_was() {
    let mut count = 0;
    for exchange in exchanges() {
        let Some(answer) = response(&exchange) else { continue };
        let chat = OpenAiResponses.read_request("/v1/responses", exchange.request).unwrap();
        let events = OpenAiResponses.read_answer(answer.clone(), &mut ids()).unwrap();
        let mut losses = Losses::default();
        let written = plain_response(OpenAiResponses.write_answer(events, &stamp(chat), &mut losses));
        let answer = plain_response(answer);
        for (name, value) in answer.as_object().unwrap() {
            assert_eq!(written.get(name), Some(value), "{}: {name}", exchange.id);
        }
        assert!(losses.is_empty(), "{}: {losses:?}", exchange.id);
        count += 1;
    }
    eprintln!("{count} answers");
}

/// What does not depend on when it was said: the start's extra fields are those of another moment, `OpenAI` seals the
/// same thoughts anew in its last event, and `OpenRouter` ends them late and names them anew.
fn comparable(events: Vec<Event>) -> Vec<EventKind> {
    let mut events = joined(events);
    for event in &mut events {
        match event {
            EventKind::Start(start) => start.extra.clear(),
            EventKind::Seal { seal: Seal::OpenAi { id, encrypted }, .. } => {
                if id.starts_with("rs_tmp_") {
                    id.clear();
                }
                *encrypted = encrypted.take().map(|_| "sealed".to_owned());
            }
            _ => {}
        }
    }
    events.sort_by_key(|event| match event {
        EventKind::Start(_) => 0,
        EventKind::Text { block, .. }
        | EventKind::Reasoning { block, .. }
        | EventKind::Seal { block, .. }
        | EventKind::Refusal { block, .. }
        | EventKind::ToolStart { block, .. }
        | EventKind::ToolArgs { block, .. }
        | EventKind::Citation { block, .. }
        | EventKind::BlockStop { block } => block + 1,
        _ => u32::MAX,
    });
    events
}

#[test]
fn every_recorded_stream_says_what_its_last_event_does() {
    let mut count = 0;
    for exchange in exchanges().into_iter().filter(|exchange| exchange.sse) {
        let events = read_stream(&exchange.body, exchange.body.len());
        assert_eq!(events, read_stream(&exchange.body, 1), "{}", exchange.id);
        let whole = OpenAiResponses.read_answer(response(&exchange).unwrap(), &mut ids()).unwrap();
        assert_eq!(comparable(events), comparable(whole), "{}", exchange.id);
        count += 1;
    }
    eprintln!("{count} streams");
}

#[test]
fn every_recorded_stream_is_written_so_that_an_sdk_accumulates_it() {
    for exchange in exchanges().into_iter().filter(|exchange| exchange.sse) {
        let events = read_stream(&exchange.body, exchange.body.len());
        let chat = OpenAiResponses.read_request("/v1/responses", exchange.request).unwrap();
        let mut losses = Losses::default();
        let written = write_stream(events.clone(), stamp(chat), &mut losses);
        assert!(losses.is_empty(), "{}: {losses:?}", exchange.id);
        accumulates(&written);
        let again = comparable(read_values(&written));
        assert_eq!(again, comparable(events), "{}", exchange.id);
    }
}

/// Accumulates a stream as `OpenAI`'s SDKs do, and compares with its last response object.
pub(in super::super) fn accumulates(written: &[Value]) {
    let mut items: BTreeMap<u64, Value> = BTreeMap::new();
    let mut done = Vec::new();
    for (number, event) in written.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        let index = event["output_index"].as_u64().unwrap_or_default();
        let part = usize::try_from(event["content_index"].as_u64().unwrap_or_default()).unwrap();
        let delta = event["delta"].as_str();
        let append = |text: &mut Value| *text = Value::from(text.as_str().unwrap().to_owned() + delta.unwrap());
        let kind = event["type"].as_str().unwrap();
        match kind {
            "response.created" => assert_eq!((number, event["response"]["output"].clone()), (0, json!([]))),
            "response.in_progress" => assert_eq!(number, 1),
            "response.output_item.added" => {
                assert!(items.insert(index, event["item"].clone()).is_none());
            }
            "response.output_item.done" => done.push((index, event["item"].clone())),
            _ if event.get("item_id").is_some() => {
                let item = items.get_mut(&index).expect("the item was begun");
                assert_eq!(item["id"], event["item_id"]);
                assert!(done.iter().all(|(other, _)| *other != index), "{event} after its item");
                match kind {
                    "response.content_part.added" => {
                        item["content"].as_array_mut().unwrap().push(event["part"].clone());
                    }
                    "response.output_text.delta" => append(&mut item["content"][part]["text"]),
                    "response.refusal.delta" => append(&mut item["content"][part]["refusal"]),
                    "response.function_call_arguments.delta" => append(&mut item["arguments"]),
                    "response.reasoning_summary_part.added" => {
                        item["summary"].as_array_mut().unwrap().push(event["part"].clone());
                    }
                    "response.reasoning_summary_text.delta" => append(&mut item["summary"][0]["text"]),
                    "response.output_text.done" => assert_eq!(item["content"][part]["text"], event["text"]),
                    "response.refusal.done" => assert_eq!(item["content"][part]["refusal"], event["refusal"]),
                    "response.function_call_arguments.done" => assert_eq!(item["arguments"], event["arguments"]),
                    "response.reasoning_summary_text.done" => assert_eq!(item["summary"][0]["text"], event["text"]),
                    _ => {}
                }
            }
            _ => assert_eq!(number, written.len() - 1, "{kind}"),
        }
    }
    done.sort_by_key(|(index, _)| *index);
    let last = &written.last().unwrap()["response"];
    let output = last["output"].as_array().unwrap();
    assert_eq!(items.len(), output.len());
    assert_eq!(done.len(), output.len());
    for ((index, item), whole) in done.iter().zip(output) {
        let said = &items[index];
        for field in ["summary", "arguments"] {
            assert_eq!(said.get(field), whole.get(field), "{whole}");
        }
        for (said, whole) in said["content"].as_array().iter().zip(whole["content"].as_array().iter()) {
            for (said, whole) in said.iter().zip(whole.iter()) {
                assert_eq!((said.get("text"), said.get("refusal")), (whole.get("text"), whole.get("refusal")));
            }
        }
        let (mut item, mut whole) = (item.clone(), whole.clone());
        for value in [&mut item, &mut whole] {
            value["status"] = Value::Null;
        }
        assert_eq!(item, whole);
    }
}
