//! The codecs over recorded traffic, where it is at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::codec::{Codec, Stamp};
use crate::dialect::event::{Event, EventKind};
use crate::dialect::habits::Habits;
use crate::dialect::id::Ids;
use crate::dialect::loss::Losses;
use crate::dialect::openai_chat::OpenAiChat;
use crate::dialect::openai_completions::OpenAiCompletions;
use crate::stream::{self, Splitter, Wire};

/// A server that takes all that clients of the dialect were seen to send.
const LENIENT: OpenAiChat =
    OpenAiChat { habits: Habits { cache_control: true, reasoning_input: Some("reasoning_content"), ..Habits::OPENAI } };

const CHAT: [&str; 2] = ["openai.chat", "writer.chat"];
const COMPLETIONS: [&str; 1] = ["openai.completions"];

/// The recorded exchanges of some APIs; none where nothing is recorded here.
fn exchanges(apis: &[&str]) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: no recorded traffic here");
        return Vec::new();
    };
    let marks: Vec<String> = apis.iter().map(|api| format!("\"{api}\"")).collect();
    let lines = text.lines().filter(|line| marks.iter().any(|mark| line.contains(mark)));
    let exchanges = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    exchanges.filter(|exchange| apis.contains(&exchange["api"].as_str().unwrap())).collect()
}

/// Only the exchanges that succeeded on a wire.
fn answered<'a>(exchanges: &'a [Value], wire: &'a str) -> impl Iterator<Item = (&'a str, &'a Value, &'a str)> {
    let fit = move |exchange: &&Value| exchange["wire"] == wire && exchange["response"]["status"] == 200;
    exchanges.iter().filter(fit).map(|exchange| {
        let id = exchange["id"].as_str().unwrap();
        (id, &exchange["request"]["body_json"], exchange["response"]["body_text"].as_str().unwrap())
    })
}

fn stamp(codec: &dyn Codec, request: &Value) -> Stamp {
    let chat = codec.read_request("", request.clone()).unwrap_or_default();
    Stamp { model: "asked".to_owned(), created: 7, ids: Ids::new("exchange"), chat: Arc::new(chat) }
}

/// Feeds a stream to a reader, cut into chunks of a size.
fn read(codec: &dyn Codec, body: &str, size: usize) -> Vec<Event> {
    let mut splitter = Splitter::new(Wire::Sse, 1 << 20);
    let mut reader = codec.reader(Ids::new("exchange"));
    let mut events = Vec::new();
    for chunk in body.as_bytes().chunks(size) {
        splitter.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = splitter.next().unwrap() {
            events.extend(reader.read(&event));
        }
    }
    if let Some(rest) = splitter.finish() {
        events.extend(reader.read(&stream::Event::parse(Wire::Sse, rest)));
    }
    events.extend(reader.finish());
    events
}

/// Events with neighbouring pieces joined, pings left out.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        let last = all.last_mut().filter(|last| last.choice == event.choice).map(|last| &mut last.kind);
        match (last, event.kind) {
            (_, EventKind::Ping) => {}
            (Some(EventKind::Text { block, text }), EventKind::Text { block: b, text: more }) if *block == b => {
                text.push_str(&more);
            }
            (Some(EventKind::Reasoning { block, text }), EventKind::Reasoning { block: b, text: more })
                if *block == b =>
            {
                text.push_str(&more)
            }
            (Some(EventKind::ToolArgs { block, json }), EventKind::ToolArgs { block: b, json: more })
                if *block == b =>
            {
                json.push_str(&more);
            }
            (_, kind) => all.push(Event { choice: event.choice, kind }),
        }
    }
    all
}

/// A grammar that all events keep, whatever was read.
fn check(id: &str, events: &[Event]) {
    let mut open: BTreeMap<(u32, u32), bool> = BTreeMap::new();
    let mut touch = |choice: u32, block: u32, last: bool| {
        let closed = open.insert((choice, block), last).unwrap_or(false);
        assert!(!closed, "{id}: block {block} goes on after its end");
    };
    let starts = events.iter().filter(|event| matches!(event.kind, EventKind::Start(_))).count();
    let ends = events.iter().filter(|event| matches!(event.kind, EventKind::End | EventKind::Failed(_))).count();
    assert!(starts <= 1 && ends == 1, "{id}: {starts} starts, {ends} ends");
    assert!(matches!(events.last().unwrap().kind, EventKind::End | EventKind::Failed(_)), "{id}");
    for event in events {
        match &event.kind {
            EventKind::Text { block, .. }
            | EventKind::Reasoning { block, .. }
            | EventKind::Refusal { block, .. }
            | EventKind::ToolStart { block, .. }
            | EventKind::ToolArgs { block, .. }
            | EventKind::Seal { block, .. } => touch(event.choice, *block, false),
            EventKind::BlockStop { block } => touch(event.choice, *block, true),
            _ => {}
        }
    }
}

/// What is optional taken out: nulls, empty fields, and names that mean the same.
fn plain(value: Value) -> Value {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(map) => {
            let fields = map.into_iter().map(|(name, value)| {
                let name = if name == "reasoning" && value.is_string() { "reasoning_content".to_owned() } else { name };
                let name = if name == "max_tokens" { "max_completion_tokens".to_owned() } else { name };
                (name, plain(value))
            });
            Value::Object(fields.filter(|(_, value)| !empty(value)).collect())
        }
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}

fn plain_request(mut body: Value) -> Value {
    let map = body.as_object_mut().unwrap();
    for name in ["stream", "stream_options"] {
        map.shift_remove(name);
    }
    if let Some(Value::String(stop)) = map.get("stop").cloned() {
        map.insert("stop".to_owned(), json!([stop]));
    }
    if map.get("tool_choice").is_some_and(|choice| choice == "any") {
        map.insert("tool_choice".to_owned(), "required".into());
    }
    if let Some(Value::Array(texts)) = map.get("prompt").cloned()
        && let [Value::String(text)] = texts.as_slice()
    {
        map.insert("prompt".to_owned(), text.clone().into());
    }
    if let Some(functions) = map.shift_remove("functions") {
        let tools = functions.as_array().unwrap().iter();
        let tools: Vec<Value> = tools.map(|function| json!({"type": "function", "function": function})).collect();
        map.insert("tools".to_owned(), tools.into());
        if let Some(choice) = map.shift_remove("function_call") {
            map.insert("tool_choice".to_owned(), choice);
        }
    }
    let messages = map.get_mut("messages").and_then(Value::as_array_mut);
    messages.into_iter().flatten().enumerate().for_each(|(at, message)| plain_message(at, message));
    plain(body)
}

/// A message in the form that the codec writes: what it may write in two ways, in one of them.
fn plain_message(at: usize, message: &mut Value) {
    let role = message["role"].clone();
    for (n, call) in message["tool_calls"].as_array_mut().into_iter().flatten().enumerate() {
        if call["id"].is_null() {
            call["id"] = format!("call_{at}_{n}").into();
        }
    }
    if role == "tool" && message["tool_call_id"].is_null() {
        message["tool_call_id"] = format!("call_{}_0", at - 1).into();
    }
    let message = message.as_object_mut().unwrap();
    if message.get("reasoning_details").is_some() {
        message.shift_remove("reasoning_content");
    }
    let cache = message.shift_remove("cache_control");
    if let Some(cache) = cache {
        if role == "tool" {
            message.insert("cache_control".to_owned(), cache);
        } else if let Some(Value::String(text)) = message.get("content").cloned() {
            let part = json!({"type": "text", "text": text, "cache_control": cache});
            message.insert("content".to_owned(), json!([part]));
        }
    }
    let Some(Value::Array(parts)) = message.get_mut("content") else {
        if message.get("content").is_some_and(|content| content == "") {
            message.shift_remove("content");
        }
        return;
    };
    for part in parts.iter_mut().filter(|part| part["image_url"].is_string()) {
        part["image_url"] = json!({"url": part["image_url"]});
    }
    let thoughts: Vec<Value> = parts.extract_if(.., |part| part["type"] == "thinking").collect();
    let sole = match parts.as_slice() {
        [part] if part["type"] == "text" && part.as_object().unwrap().len() == 2 => Some(part["text"].clone()),
        _ => None,
    };
    if let Some(text) = sole {
        message.insert("content".to_owned(), text);
    }
    for thought in thoughts {
        message.insert("reasoning_content".to_owned(), thought["thinking"][0]["text"].clone());
    }
}

/// An answer in the form that the codec writes.
fn plain_answer(mut body: Value) -> Value {
    body["object"] = Value::Null;
    if let Some(created) = body["created"].as_str() {
        body["created"] = created.parse::<i64>().unwrap().into();
    }
    for choice in body["choices"].as_array_mut().unwrap() {
        if choice["message"]["function_call"]["name"] == "" {
            choice["message"]["function_call"] = Value::Null;
        }
        let called = ["tool_calls", "function_call"].iter().any(|name| {
            let call = &choice["message"][name];
            !call.is_null() && *call != json!([])
        });
        let eos = ["eos", "", "null"].contains(&choice["finish_reason"].as_str().unwrap_or("null"));
        if eos || choice["finish_reason"] == "stop" {
            choice["finish_reason"] = if called { "tool_calls".into() } else { "stop".into() };
        }
        let choice = choice.as_object_mut().unwrap();
        choice.shift_remove("delta");
        choice.entry("index").or_insert_with(|| 0.into());
        if choice.get("logprobs").is_some_and(|value| value.get("content").is_some_and(Value::is_null)) {
            choice.shift_remove("logprobs");
        }
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else { continue };
        if let Some(Value::Array(parts)) = message.get("content").cloned() {
            let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            let thoughts = parts.iter().filter_map(|part| part["thinking"][0]["text"].as_str()).collect::<String>();
            message.insert("content".to_owned(), text.into());
            message.insert("reasoning_content".to_owned(), thoughts.into());
        }
        for name in ["content", "reasoning_content", "reasoning", "refusal"] {
            if message.get(name).is_some_and(|text| text == "") {
                message.shift_remove(name);
            }
        }
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            let call = call.as_object_mut().unwrap();
            call.shift_remove("index");
            if call.contains_key("function") {
                call.shift_remove("custom");
            }
        }
        if message.get("reasoning_details").and_then(Value::as_array).is_some_and(|details| !details.is_empty()) {
            message.shift_remove("reasoning");
            message.shift_remove("reasoning_content");
        }
    }
    if let Some(cached) = body.pointer("/usage/prompt_cache_hit_tokens").cloned() {
        body["usage"]["prompt_tokens_details"]["cached_tokens"] = cached;
    }
    if let Some(written) = body.pointer("/usage/cache_creation_input_tokens").cloned() {
        body["usage"]["prompt_tokens_details"]["cache_write_tokens"] = written;
    }
    plain(body)
}

fn requests_come_back(codec: &dyn Codec, apis: &[&str]) {
    let (mut same, mut refused) = (0, 0);
    for exchange in exchanges(apis) {
        let id = &exchange["id"];
        let body = exchange["request"]["body_json"].clone();
        let chat = match codec.read_request("", body.clone()) {
            Ok(chat) => chat,
            Err(error) => {
                assert_ne!(exchange["response"]["status"], 200, "{id}: {error}");
                refused += 1;
                continue;
            }
        };
        let mut losses = Losses::default();
        let written = codec.write_request(&chat, &mut losses);
        assert_eq!(plain_request(written.body), plain_request(body), "{id}");
        assert!(losses.is_empty(), "{id}: {losses:?}");
        same += 1;
    }
    eprintln!("{same} requests came back, {refused} were malformed");
}

fn answers_come_back(codec: &dyn Codec, apis: &[&str]) {
    let exchanges = exchanges(apis);
    let mut same = 0;
    for (id, request, body) in answered(&exchanges, "json") {
        let body: Value = serde_json::from_str(body).unwrap();
        let events = codec.read_answer(body.clone(), &mut Ids::new("exchange")).unwrap();
        check(id, &events);
        let mut losses = Losses::default();
        let written = codec.write_answer(events, &stamp(codec, request), &mut losses);
        assert!(losses.is_empty(), "{id}: {losses:?}");
        let (mut written, mut body) = (plain_answer(written), plain_answer(body));
        for name in ["id", "created", "model"] {
            if body.get(name).is_none_or(|value| value == "") {
                body.as_object_mut().unwrap().shift_remove(name);
                written.as_object_mut().unwrap().shift_remove(name);
            }
        }
        if let Some(total) = body.pointer_mut("/usage/total_tokens") {
            *total = written["usage"]["total_tokens"].clone();
        }
        assert_eq!(written, body, "{id}");
        same += 1;
    }
    eprintln!("{same} answers came back");
}

/// Every stream read in two cuts, written, and read again, says the same.
fn streams_come_back(codec: &dyn Codec, apis: &[&str]) {
    let exchanges = exchanges(apis);
    let (mut same, mut failed) = (0, Vec::new());
    for (id, request, body) in answered(&exchanges, "sse") {
        let events = read(codec, body, body.len());
        assert_eq!(events, read(codec, body, 1), "{id}");
        check(id, &events);
        if let Some(EventKind::Failed(failure)) = events.last().map(|event| &event.kind) {
            failed.push(format!("{id}: {failure:?}"));
        }
        let mut stamp = stamp(codec, request);
        Arc::make_mut(&mut stamp.chat).stream_usage = true;
        let mut writer = codec.writer(stamp);
        let mut losses = Losses::default();
        let text: String = events
            .iter()
            .flat_map(|event| writer.write(event.clone(), &mut losses))
            .map(|event| String::from_utf8(event.to_bytes().to_vec()).unwrap())
            .collect();
        assert!(losses.is_empty(), "{id}: {losses:?}");
        let again = read(codec, &text, text.len());
        let (mut again, mut events) = (joined(again), joined(events));
        for events in [&mut again, &mut events] {
            let failed = events.iter().any(|event| matches!(event.kind, EventKind::Failed(_)));
            events.retain(|event| match event.kind {
                EventKind::Raw(_) => false,
                EventKind::Usage(_) => !failed,
                _ => true,
            });
            for event in events {
                if let EventKind::Failed(failure) = &mut event.kind {
                    failure.status = 0;
                    failure.code = None;
                }
            }
        }
        for event in again.iter_mut().chain(&mut events) {
            if let EventKind::Start(start) = &mut event.kind {
                start.id = start.id.take().filter(|id| !id.contains(Ids::new("exchange").next("").as_str()));
                start.model = start.model.take().filter(|model| model != "asked");
                start.created = start.created.filter(|created| *created != 7);
            }
        }
        assert_eq!(joined(again), joined(events), "{id}");
        same += 1;
    }
    eprintln!("{same} streams came back, failed: {failed:#?}");
}

#[test]
fn every_recorded_chat_request_comes_back() {
    requests_come_back(&LENIENT, &CHAT);
}

#[test]
fn every_recorded_chat_answer_comes_back() {
    answers_come_back(&LENIENT, &CHAT);
}

#[test]
fn every_recorded_chat_stream_comes_back() {
    streams_come_back(&LENIENT, &CHAT);
}

#[test]
fn every_recorded_completions_request_comes_back() {
    requests_come_back(&OpenAiCompletions, &COMPLETIONS);
}

#[test]
fn every_recorded_completions_answer_comes_back() {
    answers_come_back(&OpenAiCompletions, &COMPLETIONS);
}

#[test]
fn every_recorded_completions_stream_comes_back() {
    streams_come_back(&OpenAiCompletions, &COMPLETIONS);
}
