//! Tests of the Ollama codecs, by direction, and over recorded traffic.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{OllamaChat, OllamaGenerate};
use crate::dialect::chat::Chat;
use crate::dialect::codec::{Codec, Reader, Stamp};
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::id::Ids;
use crate::dialect::loss::Losses;
use crate::stream::{self, Splitter, Wire};

mod answers;
mod foreign;
mod requests;
mod streams;
mod traffic;

fn ids() -> Ids {
    Ids::new("exchange")
}

fn stamp() -> Stamp {
    Stamp { model: "asked".to_owned(), created: 1_700_000_000, ids: ids(), chat: Arc::new(Chat::default()) }
}

/// Losses as `path verdict`, for short comparisons.
fn told(losses: &Losses) -> Vec<String> {
    losses.iter().map(|loss| format!("{} {}", loss.path, loss.verdict.as_str())).collect()
}

/// What a request becomes when it is read and written by the same codec, without any loss.
fn round(codec: &dyn Codec, body: Value) -> Value {
    let chat = codec.read_request("", body).unwrap();
    let mut losses = Losses::default();
    let out = codec.write_request(&chat, &mut losses);
    assert_eq!(told(&losses), Vec::<String>::new());
    out.body
}

/// The events of lines that come in one piece, or byte by byte.
fn events(mut reader: Box<dyn Reader>, lines: &str, by_bytes: bool) -> Vec<Event> {
    let mut splitter = Splitter::new(Wire::Ndjson, 1 << 20);
    let mut out = Vec::new();
    let bytes = Bytes::copy_from_slice(lines.as_bytes());
    for chunk in bytes.chunks(if by_bytes { 1 } else { bytes.len().max(1) }) {
        splitter.push(bytes.slice_ref(chunk));
        while let Some(event) = splitter.next().unwrap() {
            out.extend(reader.read(&event));
        }
    }
    if let Some(rest) = splitter.finish() {
        out.extend(reader.read(&stream::Event::parse(Wire::Ndjson, rest)));
    }
    out.extend(reader.finish());
    out
}

/// Joins neighbouring pieces of the same block, so that cuts of text do not matter.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::new();
    for event in events {
        match (out.last_mut().map(|last| &mut last.kind), event.kind) {
            (Some(EventKind::Text { block, text }), EventKind::Text { block: next, text: more }) if *block == next => {
                text.push_str(&more);
            }
            (Some(EventKind::Reasoning { block, text }), EventKind::Reasoning { block: next, text: more })
                if *block == next =>
            {
                text.push_str(&more);
            }
            (_, kind) => out.push(Event::first(kind)),
        }
    }
    out
}

/// The lines that a writer makes of events, and its losses.
fn lines(codec: &dyn Codec, kinds: Vec<EventKind>) -> (Vec<Value>, Vec<String>) {
    let mut writer = codec.writer(stamp());
    let mut losses = Losses::default();
    let written = kinds.into_iter().flat_map(|kind| writer.write(Event::first(kind), &mut losses)).collect::<Vec<_>>();
    let lines = written.iter().map(|line| serde_json::from_slice(line.data()).unwrap()).collect();
    (lines, told(&losses))
}

fn text(block: u32, text: &str) -> EventKind {
    EventKind::Text { block, text: text.to_owned() }
}

fn tool(block: u32, name: &str) -> EventKind {
    EventKind::ToolStart { block, id: format!("id{block}"), name: name.to_owned() }
}

fn args(block: u32, json: &str) -> EventKind {
    EventKind::ToolArgs { block, json: json.to_owned() }
}

fn start(model: &str) -> EventKind {
    EventKind::Start(Start { model: Some(model.to_owned()), ..Start::default() })
}

fn usage(input: u64, output: u64) -> EventKind {
    EventKind::Usage(Usage { input, output, ..Usage::default() })
}

/// The last line's reason.
fn reason(stop: Stop) -> Value {
    let (lines, _) = lines(&OllamaChat, vec![EventKind::Stop(stop), EventKind::End]);
    lines[0]["done_reason"].clone()
}

#[test]
fn arguments_that_are_no_object_are_kept_as_text() {
    assert_eq!(super::arguments(" "), Ok(json!({})));
    assert_eq!(super::arguments("null"), Ok(json!({})));
    assert_eq!(super::arguments(r#"{"b":1,"a":2}"#), Ok(json!({"b": 1, "a": 2})));
    assert_eq!(super::arguments("[1]"), Err(json!({"_raw": "[1]"})));
    assert_eq!(super::arguments(r#"{"a":"#), Err(json!({"_raw": "{\"a\":"})));
}

#[test]
fn both_calls_have_their_path() {
    let chat = Chat { model: "m".to_owned(), ..Chat::default() };
    let mut losses = Losses::default();
    assert_eq!(OllamaChat.write_request(&chat, &mut losses).target, "/api/chat");
    assert_eq!(OllamaGenerate.write_request(&chat, &mut losses).target, "/api/generate");
}
