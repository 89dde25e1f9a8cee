//! The codecs over recorded traffic, where it is at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::plain::{plain_answer, plain_request};
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
                text.push_str(&more);
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
                EventKind::Raw { .. } => false,
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
