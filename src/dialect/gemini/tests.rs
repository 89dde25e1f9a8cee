//! Recorded traffic through the codec and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::*;
use crate::dialect::event::{Event, EventKind};
use crate::stream::{Event as WireEvent, Splitter, Wire};

/// The exchanges with this dialect that others recorded, when they lie beside the tree.
fn recorded() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recorded traffic here");
        return Vec::new();
    };
    let lines = text.lines().filter(|line| line.contains("enerateContent"));
    let exchanges = lines.map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let apis = ["gemini.generateContent", "gemini.streamGenerateContent"];
    exchanges.filter(|value| value["api"].as_str().is_some_and(|api| apis.contains(&api))).collect()
}

pub(super) fn stamp() -> Stamp {
    let chat = Arc::new(Chat { origin: Some(crate::dialect::Dialect::Gemini), ..Chat::default() });
    Stamp { model: "asked".to_owned(), created: 1, ids: Ids::new("x"), chat }
}

/// The model's events of a stream, its bytes cut into pieces of a size.
pub(super) fn events_of(wire: Wire, text: &str, size: usize) -> Vec<Event> {
    let mut splitter = Splitter::new(wire, 1 << 22);
    let mut reader = Gemini::default().reader(Ids::new("x"));
    let mut events = Vec::new();
    for piece in text.as_bytes().chunks(size) {
        splitter.push(Bytes::copy_from_slice(piece));
        while let Some(event) = splitter.next().unwrap() {
            events.extend(reader.read(&event));
        }
    }
    if let Some(rest) = splitter.finish() {
        events.extend(reader.read(&WireEvent::parse(wire, rest)));
    }
    events.extend(reader.finish());
    events
}

/// The bytes of a stream that is written from events.
pub(super) fn written(array: bool, events: Vec<Event>) -> (String, Losses) {
    let mut losses = Losses::default();
    let mut writer = Gemini { array }.writer(stamp());
    let events: Vec<WireEvent> = events.into_iter().flat_map(|event| writer.write(event, &mut losses)).collect();
    let bytes: Vec<u8> = events.iter().flat_map(|event| event.to_bytes().to_vec()).collect();
    (String::from_utf8(bytes).unwrap(), losses)
}

/// A request's body as all spellings of the same request are.
fn plain_request(body: Value) -> Value {
    let Value::Object(body) = body else { return body };
    let mut body = spelled(body);
    body.shift_remove("model");
    if let Some(system) = body.get_mut("systemInstruction") {
        system.as_object_mut().unwrap().shift_remove("role");
    }
    let mut contents: Vec<Value> = Vec::new();
    for mut content in body.shift_remove("contents").unwrap().as_array().unwrap().clone() {
        match contents.last_mut().filter(|last| last["role"] == content["role"]) {
            Some(last) => {
                let more = content["parts"].take().as_array().unwrap().clone();
                last["parts"].as_array_mut().unwrap().extend(more);
            }
            None => contents.push(content),
        }
    }
    body.insert("contents".to_owned(), Value::Array(contents));
    if body.get("generationConfig").is_some_and(|config| config.as_object().unwrap().is_empty()) {
        body.shift_remove("generationConfig");
    }
    Value::Object(body)
}

fn spelled(map: Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, value) in spelling::camel(map) {
        let (name, value) = match (name.as_str(), value) {
            (_, Value::Null) => continue,
            ("parameters", schema) => ("parametersJsonSchema".to_owned(), schema::to_json_schema(schema)),
            ("responseSchema", schema) => ("responseJsonSchema".to_owned(), schema::to_json_schema(schema)),
            ("thinkingLevel", Value::String(level)) => (name, Value::String(level.to_lowercase())),
            ("args" | "response" | "parametersJsonSchema" | "responseJsonSchema", value) => (name, value),
            (_, Value::Object(map)) => (name, Value::Object(spelled(map))),
            (_, Value::Array(items)) => (name, items.into_iter().map(spelled_item).collect()),
            (_, value) => (name, value),
        };
        out.insert(name, value);
    }
    out
}

fn spelled_item(item: Value) -> Value {
    match item {
        Value::Object(map) => Value::Object(spelled(map)),
        item => item,
    }
}

/// A whole answer without what may be there or not: ids the gate made, zeros, empty texts, index 0, numbers of enums.
fn plain_answer(mut body: Value) -> Value {
    for candidate in body["candidates"].as_array_mut().into_iter().flatten() {
        let fields = candidate.as_object_mut().unwrap();
        fields.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
        let index = fields.shift_remove("index").unwrap_or(json!(0));
        assert_eq!(index, 0);
        let (stop, word) = stop::read(&fields["finishReason"], false);
        fields["finishReason"] = json!(word.unwrap_or_else(|| stop::write(&stop).to_owned()));
        let mut parts = fields.shift_remove("content").map(|mut content| content["parts"].take()).unwrap_or_default();
        for part in parts.as_array_mut().into_iter().flatten() {
            if let Some(call) = part.get_mut("functionCall") {
                call.as_object_mut().unwrap().shift_remove("id");
            }
        }
        let parts = if parts.is_null() { json!([]) } else { parts };
        fields.insert("parts".to_owned(), parts);
    }
    if let Some(usage) = body.get_mut("usageMetadata") {
        usage.as_object_mut().unwrap().retain(|_, value| *value != json!(0));
    }
    body
}

fn path_of(exchange: &Value) -> String {
    exchange["request"]["path"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_target_without_alt_sse_streams_an_array() {
    for (target, array) in [
        ("/v1beta/models/m:streamGenerateContent?alt=sse", false),
        ("/v1beta/models/m:streamGenerateContent?key=k&%24alt=sse", false),
        ("/v1beta/models/m:streamGenerateContent?%24alt=json%3Benum-encoding%3Dint", true),
        ("/v1beta/models/m:streamGenerateContent", true),
    ] {
        assert_eq!(Gemini::for_target(target).array, array, "{target}");
    }
}

#[test]
fn recorded_requests_come_back_as_they_were() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for exchange in recorded() {
        let id = exchange["id"].as_str().unwrap_or_default();
        let body = exchange["request"]["body_json"].clone();
        let chat = match Gemini::default().read_request(&path_of(&exchange), body.clone()) {
            Ok(chat) => chat,
            Err(error) => {
                let refused = exchange["response"]["status"] == 400 && error.path == "contents[0].role";
                assert!(refused, "{id}: {error}");
                *counts.entry("refused").or_default() += 1;
                continue;
            }
        };
        let mut losses = Losses::default();
        let out = Gemini::default().write_request(&chat, &mut losses);
        assert!(losses.is_empty(), "{id}: {losses:?}");
        assert_eq!(plain_request(out.body.clone()), plain_request(body), "{id}");
        let again = Gemini::default().read_request(&out.target, out.body).unwrap();
        assert_eq!(again.model, chat.model, "{id}");
        assert_eq!(again.stream, chat.stream, "{id}");
        *counts.entry("came back").or_default() += 1;
    }
    eprintln!("{counts:?}");
}

#[test]
fn recorded_whole_answers_come_back_as_they_were() {
    let mut count = 0;
    for exchange in recorded().iter().filter(|exchange| exchange["wire"] == "json") {
        let id = exchange["id"].as_str().unwrap_or_default();
        let body: Value = serde_json::from_str(exchange["response"]["body_text"].as_str().unwrap()).unwrap();
        let events = Gemini::default().read_answer(body.clone(), &mut Ids::new("x")).unwrap();
        let mut losses = Losses::default();
        let out = Gemini::default().write_answer(events.clone(), &stamp(), &mut losses);
        assert!(losses.is_empty(), "{id}: {losses:?}");
        if exchange["response"]["status"] == 200 {
            assert_eq!(plain_answer(out), plain_answer(body), "{id}");
            count += 1;
        } else {
            assert!(matches!(events.last().unwrap().kind, EventKind::Failed(_)), "{id}");
            let kind = |body: &Value| crate::dialect::error::read_value(200, body).kind;
            assert_eq!(kind(&out), kind(&body), "{id}: {out}");
            assert_eq!(out["error"]["message"], body["error"]["message"], "{id}");
        }
    }
    eprintln!("{count} answers");
}

#[test]
fn recorded_streams_are_read_however_they_are_cut_and_come_back() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for exchange in recorded() {
        let id = exchange["id"].as_str().unwrap_or_default();
        let wire = match exchange["wire"].as_str() {
            Some("sse") => Wire::Sse,
            Some("json-array") => Wire::JsonArray,
            _ => continue,
        };
        let text = exchange["response"]["body_text"].as_str().unwrap();
        let events = events_of(wire, text, usize::MAX);
        assert_eq!(events_of(wire, text, 1), events, "{id}");
        let half = text.floor_char_boundary(text.len() / 2);
        let cut = events_of(wire, &text[..half], 5);
        assert!(matches!(cut.last().unwrap().kind, EventKind::Failed(_)), "{id}");
        assert!(matches!(events[0].kind, EventKind::Start(_)), "{id}");
        assert_eq!(events.last().unwrap().kind, EventKind::End, "{id}");
        assert_eq!(events.iter().filter(|event| matches!(event.kind, EventKind::Stop(_))).count(), 1, "{id}");
        for (array, wire) in [(false, Wire::Sse), (true, Wire::JsonArray)] {
            let (text, losses) = written(array, events.clone());
            assert!(losses.is_empty(), "{id}: {losses:?}");
            let again = events_of(wire, &text, 7);
            assert_eq!(joined(again), joined(events.clone()), "{id}");
        }
        *counts.entry(format!("{wire:?}")).or_default() += 1;
    }
    eprintln!("{counts:?}");
}

/// Events as a list of texts, the pieces of a text joined; what only Gemini has, and may come late, at the end.
pub(super) fn joined(events: Vec<Event>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut late = Vec::new();
    let mut last = None;
    for event in events {
        let kind = std::mem::discriminant(&event.kind);
        match (event.kind, out.last_mut().filter(|_| last == Some(kind))) {
            (EventKind::Text { text, .. } | EventKind::Reasoning { text, .. }, Some(so_far)) => so_far.push_str(&text),
            (EventKind::Text { block, text }, None) => out.push(format!("text {block} {text}")),
            (EventKind::Reasoning { block, text }, None) => out.push(format!("thought {block} {text}")),
            (kind @ (EventKind::Raw { .. } | EventKind::Citation { .. }), _)
                if !format!("{kind:?}").contains("parts") =>
            {
                late.push(format!("{kind:?}"));
                continue;
            }
            (kind, _) => out.push(format!("{kind:?}")),
        }
        last = Some(kind);
    }
    late.sort();
    out.extend(late);
    out
}
