//! Recorded traffic: what the typed fields say is what a small reader of each dialect's own says.

use std::fs;

use bytes::Bytes;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::dialect::view::echo::Echo;
use crate::dialect::view::{Part, event, plain, speaks, used, whole};
use crate::json::{Doc, Limits};
use crate::stream::{Event, Splitter, Wire};

/// A successful answer of a dialect with typed things.
struct Answer {
    id: String,
    dialect: Dialect,
    wire: Option<Wire>,
    body: Bytes,
}

fn answers() -> Option<Vec<Answer>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl");
    let Ok(text) = fs::read_to_string(path) else {
        eprintln!("skipped: no recorded traffic here");
        return None;
    };
    let answer = |line: &str| {
        let all: Value = serde_json::from_str(line).unwrap();
        let path = all["request"]["path"].as_str()?.split('?').next()?.to_owned();
        let dialect = Dialect::of_path(&path).filter(|dialect| speaks(*dialect))?;
        let wire = match all["wire"].as_str()? {
            "sse" => Some(Wire::Sse),
            "ndjson" => Some(Wire::Ndjson),
            "json" | "json-array" => None,
            _ => return None,
        };
        let body = Bytes::copy_from_slice(all["response"]["body_text"].as_str()?.as_bytes());
        (all["response"]["status"] == 200).then(|| Answer { id: all["id"].to_string(), dialect, wire, body })
    };
    Some(text.lines().filter_map(answer).collect())
}

fn events(answer: &Answer, wire: Wire) -> Vec<Event> {
    let mut splitter = Splitter::new(wire, usize::MAX);
    splitter.push(answer.body.clone());
    let mut events = Vec::new();
    while let Ok(Some(event)) = splitter.next() {
        events.push(event);
    }
    events.extend(splitter.finish().map(|rest| Event::parse(wire, rest)));
    events.retain(Event::has_data);
    events
}

fn json(bytes: &Bytes) -> Option<Doc> {
    Doc::parse(bytes.clone(), Limits::default()).ok()
}

/// The text that the parts of a document say, all fields read.
fn said(parts: &[Part], doc: &mut Doc) -> String {
    let mut all = String::new();
    for part in parts {
        if let Some(tool) = &part.tool {
            let _ = (tool.name.and_then(|name| name.text(doc).map(|_| ())), tool.args.and_then(|args| args.read(doc)));
        }
        let _ = part.reasoning.as_ref().and_then(|text| text.read(doc).map(|_| ()));
        all.push_str(
            &part.text.as_ref().and_then(|text| text.read(doc).map(std::borrow::Cow::into_owned)).unwrap_or_default(),
        );
    }
    all
}

/// The same, read from each dialect's own words.
fn told(dialect: Dialect, streamed: bool, json: &Value) -> String {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = word(&json["type"]);
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions => {
            let choice = |choice: &Value| {
                let holder =
                    if streamed && choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
                let listed: String = list(&holder["content"]).iter().map(|item| word(&item["text"])).collect();
                let plain = if holder.is_object() { word(&holder["content"]) } else { word(&choice["text"]) };
                plain + &listed + &word(&holder["refusal"])
            };
            list(&json["choices"]).iter().map(choice).collect()
        }
        Dialect::OpenAiResponses if streamed => match kind.as_str() {
            "response.output_text.delta" | "response.refusal.delta" => word(&json["delta"]),
            _ => String::new(),
        },
        Dialect::OpenAiResponses => {
            let piece = |piece: &Value| match word(&piece["type"]).as_str() {
                "output_text" => word(&piece["text"]),
                _ => word(&piece["refusal"]),
            };
            list(&json["output"]).iter().flat_map(|item| list(&item["content"])).map(|part| piece(&part)).collect()
        }
        Dialect::Anthropic if streamed => word(&json["delta"]["text"]) + &word(&json["content_block"]["text"]),
        Dialect::Anthropic => list(&json["content"]).iter().map(|block| word(&block["text"])).collect(),
        Dialect::OllamaChat => word(&json["message"]["content"]),
        Dialect::OllamaGenerate => word(&json["response"]),
        _ => {
            let chunks = if json.is_array() { list(json) } else { vec![json.clone()] };
            let parts = chunks.iter().flat_map(|chunk| list(&chunk["candidates"]));
            let parts = parts.flat_map(|candidate| list(&candidate["content"]["parts"]));
            parts.filter(|part| part["thought"] != true).map(|part| word(&part["text"])).collect()
        }
    }
}

#[test]
fn the_typed_text_of_recorded_answers_is_what_they_say() {
    let Some(all) = answers() else { return };
    let (mut streams, mut bodies, mut letters) = (0, 0, 0);
    for answer in &all {
        let (mut seen, mut expected) = (String::new(), String::new());
        if let Some(wire) = answer.wire {
            streams += 1;
            for one in events(answer, wire) {
                match json(one.data()) {
                    Some(mut doc) if one.data().trim_ascii() != b"[DONE]" => {
                        let parts = event(answer.dialect, one.name(), &mut doc);
                        seen.push_str(&said(&parts, &mut doc));
                        assert!(!doc.edited(), "{}", answer.id);
                    }
                    _ => assert_eq!(plain(one.data()).len(), 1),
                }
                let value = serde_json::from_slice(one.data()).unwrap_or_default();
                expected.push_str(&told(answer.dialect, true, &value));
            }
        } else {
            bodies += 1;
            let mut doc = json(&answer.body).unwrap();
            let parts = whole(answer.dialect, &mut doc);
            seen = said(&parts, &mut doc);
            expected = told(answer.dialect, false, &serde_json::from_slice(&answer.body).unwrap());
        }
        assert_eq!(seen, expected, "{}", answer.id);
        letters += seen.len();
    }
    eprintln!("covered: {streams} streams, {bodies} bodies, {letters} bytes of text");
}

#[test]
fn repeats_of_recorded_streams_follow_an_edit() {
    let Some(all) = answers() else { return };
    let mut checked = 0;
    for answer in all.iter().filter(|answer| answer.dialect == Dialect::OpenAiResponses) {
        let Some(wire) = answer.wire else { continue };
        let mut echo = Echo::of(answer.dialect, Limits::default()).unwrap();
        let (mut sent, mut number) = (String::new(), 0);
        for one in events(answer, wire) {
            let Some(one) = echo.before(one) else { continue };
            let mut edited = one.clone();
            let value: Value = serde_json::from_slice(one.data()).unwrap_or_default();
            if let Some(mut doc) = json(one.data()) {
                let parts = event(answer.dialect, None, &mut doc);
                if let Some(text) = &parts[0].text {
                    number += 1;
                    let old = text.read(&mut doc).unwrap().into_owned();
                    let new = if number % 3 == 2 { old.to_uppercase() + "*" } else { old };
                    text.set(&mut doc, &new).unwrap();
                    sent.push_str(&new);
                    edited.set_data(doc.render());
                }
            }
            echo.after(&one, std::slice::from_mut(&mut edited));
            if value["type"] == "response.completed" && !sent.is_empty() {
                assert_eq!(told(answer.dialect, false, &value["response"]), sent, "{}", answer.id);
                checked += 1;
            }
        }
    }
    assert!(checked > 5);
    eprintln!("covered: {checked} streams that repeat themselves");
}

#[test]
fn what_a_whole_answer_used_is_what_its_parts_say() {
    let Some(answers) = answers() else { return };
    let mut counted = 0;
    for answer in answers.iter().filter(|answer| answer.wire.is_none()) {
        let (Some(mut doc), Some(mut again)) = (json(&answer.body), json(&answer.body)) else { continue };
        let said = whole(answer.dialect, &mut doc).iter().rev().find_map(|part| part.usage);
        assert_eq!(used(answer.dialect, &mut again), said, "{}", answer.id);
        counted += usize::from(said.is_some());
    }
    assert!(counted > 50, "{counted}");
}
