//! The claims for recorded traffic, where the recordings lie beside the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use regex::Regex;
use serde_json::Value;

use super::super::super::read;
use super::super::super::write::write;
use super::super::super::{Case, Piece, same};
use super::super::{Redaction, Text};
use super::{KEY, case};
use crate::dialect::Dialect;
use crate::dialect::event::EventKind;
use crate::dialect::habits::Habits;
use crate::dialect::id::Ids;
use crate::dialect::way;
use crate::message::{RequestHead, ResponseHead};
use crate::stream::{self, Splitter, Wire};

const RECORDED: &str = "../shared/traffic/exchanges.jsonl";
const BODIES: &str = "../shared/traffic/bodies.jsonl";

/// What a recording calls a coding that it undid.
const UNDONE: [&str; 3] = ["content-encoding", "content-length", "transfer-encoding"];

fn lines(file: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).inspect_err(|_| eprintln!("skipped: no {file}")).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn whole(bytes: Vec<u8>) -> Vec<Piece> {
    if bytes.is_empty() { Vec::new() } else { vec![Piece { pause: Duration::ZERO, bytes: Bytes::from(bytes) }] }
}

fn headers(list: &Value) -> Vec<(String, String)> {
    let pair =
        |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap_or_default().trim().to_owned());
    let pairs = list.as_array().into_iter().flatten().map(pair);
    pairs.filter(|(name, _)| !UNDONE.contains(&name.to_ascii_lowercase().as_str())).collect()
}

/// A recorded exchange as a case.
fn recorded(line: &Value) -> Case {
    let mut made = case("# A.\n> client\nGET / HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n");
    let request = &line["request"];
    let method = request["method"].as_str().unwrap();
    // Some recorders put a name in angle brackets in place of a project's.
    let target = request["path"].as_str().unwrap().replace(['<', '>'], "-");
    let mut head = RequestHead::build(method, target.as_bytes(), None).unwrap();
    for (name, value) in headers(&request["headers"]) {
        head.append_header(name, value).unwrap();
    }
    made.calls[0].head = head;
    let body = &request["body_json"];
    let body =
        if body.is_null() { request["body_text"].as_str().unwrap_or_default().to_owned() } else { body.to_string() };
    made.calls[0].body = whole(body.into_bytes());
    let response = &line["response"];
    let mut head = ResponseHead::build(u16::try_from(response["status"].as_u64().unwrap()).unwrap(), None).unwrap();
    for (name, value) in headers(&response["headers"]) {
        head.append_header(name, value).unwrap();
    }
    made.answers[0].heads = vec![head];
    made.answers[0].body = whole(response["body_text"].as_str().unwrap_or_default().as_bytes().to_vec());
    made
}

fn text(body: &[Piece]) -> String {
    body.iter().map(|piece| std::str::from_utf8(&piece.bytes).unwrap()).collect()
}

/// What two JSON values must have in common.
#[track_caller]
fn same_shape(a: &Value, b: &Value, at: &str) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            for ((name, a), (other, b)) in a.iter().zip(b) {
                assert_eq!(name.len(), other.len(), "{at}");
                same_shape(a, b, &format!("{at}/{name}"));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            a.iter().zip(b).for_each(|(a, b)| same_shape(a, b, at));
        }
        (Value::String(a), Value::String(b)) => assert_eq!(a.len(), b.len(), "{at}: {a} {b}"),
        (Value::Number(a), Value::Number(b)) => assert_eq!(a.to_string().len(), b.to_string().len(), "{at}"),
        (a, b) => assert_eq!(a, b, "{at}"),
    }
}

/// The kinds of the events of a body, in its dialect.
fn kinds(dialect: Dialect, target: &str, wire: Option<Wire>, body: &str) -> Option<Vec<String>> {
    let codec = way::codec(dialect, target, Habits::OPENAI)?;
    let mut ids = Ids::new("exchange");
    let mut events = Vec::new();
    if let Some(wire) = wire {
        let mut reader = codec.reader(ids);
        let mut splitter = Splitter::new(wire, 1 << 24);
        splitter.push(Bytes::copy_from_slice(body.as_bytes()));
        while let Some(event) = splitter.next().unwrap() {
            events.extend(reader.read(&event));
        }
        if let Some(rest) = splitter.finish() {
            events.extend(reader.read(&stream::Event::parse(wire, rest)));
        }
        events.extend(reader.finish());
    } else {
        events = codec.read_answer(serde_json::from_str(body).ok()?, &mut ids).ok()?;
    }
    Some(events.iter().map(|event| told(&event.kind)).collect())
}

/// An event without what it says, but with how long that is.
fn told(kind: &EventKind) -> String {
    match kind {
        EventKind::Text { block, text } => format!("text {block} {}", text.len()),
        EventKind::Reasoning { block, text } => format!("reasoning {block} {}", text.len()),
        EventKind::Refusal { block, text } => format!("refusal {block} {}", text.len()),
        EventKind::ToolStart { block, id, name } => format!("tool {block} {} {name}", id.len()),
        EventKind::ToolArgs { block, json } => format!("args {block} {}", json.len()),
        EventKind::Stop(stop) => format!("{stop:?}").chars().take(8).collect(),
        EventKind::Usage(usage) => format!("usage {} {}", usage.input, usage.output),
        EventKind::Start(start) => format!("start {:?}", start.model),
        other => format!("{other:?}").chars().take_while(char::is_ascii_alphanumeric).collect(),
    }
}

/// Everything in a text that looks like a secret or like a person's.
fn telling(text: &str) -> BTreeSet<String> {
    let looks = Regex::new(concat!(
        r"\b(?:sk|pk)-[A-Za-z0-9_-]{12,}|\bAIza[\w-]{20,}|\bgh[pousr]_\w{16,}|\bxox[abprs]-[\w-]{10,}|\bAKIA\w{12,}",
        r"|eyJ[\w-]{8,}\.[\w-]{8,}[\w.-]*|(?i:bearer) [\w.~+/-]{12,}|[\w.+%-]+@[\w-]+\.[\w.-]*[A-Za-z]{2,}",
        r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{32,}\b",
        r"|\b(?:toolu|call|msg|resp|chatcmpl|req|rs|fc)_[A-Za-z0-9]{16,}",
    ));
    looks.unwrap().find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn recorded_exchanges_keep_their_shape_and_lose_their_secrets() {
    let Some(lines) = lines(RECORDED) else { return };
    assert!(lines.len() > 500);
    let redaction = Redaction::new(KEY, Text::Replaced);
    let (mut compared, mut found) = (0, 0);
    let mut changed: Vec<String> = Vec::new();
    // Of the long ones, which hold files mostly, every tenth is enough.
    let long =
        |line: &Value| line["request"]["body_json"].to_string().len() + line["response"].to_string().len() > 50_000;
    let chosen = lines.iter().enumerate().filter(|(index, line)| index % 10 == 0 || !long(line));
    for (_, line) in chosen {
        let before = recorded(line);
        let mut after = before.clone();
        redaction.case(&mut after);
        let mut again = after.clone();
        redaction.case(&mut again);
        let id = line["id"].as_str().unwrap();
        assert_eq!(write(&after), write(&again), "{id}: redacting twice is not redacting once");
        assert!(same::same(&after, &again), "{id}");
        let (old, new) = (text(&before.calls[0].body), text(&after.calls[0].body));
        let (said, says) = (text(&before.answers[0].body), text(&after.answers[0].body));
        assert_eq!((old.len(), said.len()), (new.len(), says.len()), "{id}");
        for (old, new) in [(&old, &new), (&said, &says)] {
            if let Ok(old) = serde_json::from_str::<Value>(old) {
                same_shape(&old, &serde_json::from_str(new).unwrap(), id);
            }
        }
        let written = write(&after);
        assert!(read::read("t.http", &written).is_ok_and(|back| same::same(&after, &back)), "{id}");
        // The boundary of a form is made anew for each request, and has to stay: the body is cut at it.
        let boundaries = written.split("boundary=").skip(1).filter_map(|rest| rest.split_whitespace().next());
        let boundaries = boundaries.collect::<String>();
        for secret in telling(&write(&before)).into_iter().filter(|secret| !boundaries.contains(secret)) {
            found += 1;
            assert!(!written.contains(&secret), "{id}: {secret} survives");
        }
        let target = line["request"]["path"].as_str().unwrap();
        let wire = match line["wire"].as_str() {
            Some("sse") => Some(Wire::Sse),
            Some("ndjson") => Some(Wire::Ndjson),
            Some("json-array") => Some(Wire::JsonArray),
            _ => None,
        };
        let Some(dialect) = Dialect::of_path(target.split('?').next().unwrap()) else { continue };
        let kinds = |body: &str| kinds(dialect, target, wire, body);
        if let Some(old) = kinds(&said) {
            compared += 1;
            let new = kinds(&says);
            if new.as_ref() != Some(&old) {
                changed.push(format!("{id}: {old:?} is {new:?}"));
            }
        }
    }
    eprintln!("covered: {} exchanges, {compared} answers read, {found} secrets and ids looked for", lines.len());
    assert!(changed.is_empty(), "{}", changed.join("\n"));
    assert!(compared > 300 && found > 500);
}

#[test]
fn few_words_of_recorded_prompts_are_their_own_stand_ins() {
    let Some(lines) = lines(RECORDED) else { return };
    let redaction = Redaction::new(KEY, Text::Replaced);
    let (mut all, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for line in &lines {
        let body = &line["request"]["body_json"];
        for message in body["messages"].as_array().into_iter().flatten() {
            // Keys of JSON and schemes of addresses stay.
            let said = message["content"].as_str().filter(|said| !said.contains(['{', '[']) && !said.contains("://"));
            let Some(said) = said else { continue };
            let mut case = case("# A.\n> client\nPOST /a HTTP/1.1\ncontent-type: text/plain\n");
            case.calls[0].body = whole(said.as_bytes().to_vec());
            redaction.case(&mut case);
            let made = text(&case.calls[0].body);
            let words = |text: &str| -> BTreeSet<String> {
                let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() >= 4);
                words.map(str::to_owned).collect()
            };
            let (old, new) = (words(said), words(&made));
            kept.extend(old.intersection(&new).cloned());
            all.extend(old);
        }
    }
    assert!(kept.len() * 100 < all.len(), "{} of {} words: {kept:?}", kept.len(), all.len());
}

#[test]
fn recorded_bodies_keep_their_lengths() {
    let Some(lines) = lines(BODIES) else { return };
    let redaction = Redaction::new(KEY, Text::Replaced);
    for line in &lines {
        let said = line["body_text"].as_str().unwrap_or_default();
        let mut case = case("# A.\n> client\nPOST /a HTTP/1.1\ncontent-type: text/event-stream\n");
        case.calls[0].body = whole(said.as_bytes().to_vec());
        let before = write(&case);
        redaction.case(&mut case);
        assert_eq!(text(&case.calls[0].body).len(), said.len(), "{}", line["id"]);
        let written = write(&case);
        for secret in telling(&before) {
            assert!(!written.contains(&secret), "{}: {secret} survives", line["id"]);
        }
    }
}
