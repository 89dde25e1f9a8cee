//! An answer that is cut anywhere goes on with another upstream, in every client's dialect, from and with every other.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::*;
use crate::dialect::codec::{Codec, Stamp};
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::failure::Failure;
use crate::dialect::habits::Habits;
use crate::dialect::id::Ids;
use crate::dialect::interpreter::Interpreter;
use crate::dialect::way;
use crate::stream::{self, Splitter, Wire};
use grammar::grammar;

mod asking;
mod grammar;

/// A client's dialect, its path and a request for a stream.
fn clients() -> Vec<(Dialect, &'static str, Value)> {
    let said = json!([{"role": "user", "content": "hi"}]);
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let chat = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "messages": said});
    let with = |mut body: Value, tools: Value| {
        body["tools"] = tools;
        body
    };
    let own = |tools: &str| serde_json::from_str::<Value>(tools).unwrap();
    vec![
        (Dialect::OpenAiChat, "/v1/chat/completions", with(chat, tools.clone())),
        (
            Dialect::OpenAiResponses,
            "/v1/responses",
            json!({"model": "m", "stream": true, "input": said,
                "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]}),
        ),
        (
            Dialect::Anthropic,
            "/v1/messages",
            with(
                json!({"model": "m", "stream": true, "max_tokens": 1000, "messages": said}),
                own(r#"[{"name": "f", "input_schema": {"type": "object"}}]"#),
            ),
        ),
        (Dialect::OllamaChat, "/api/chat", with(json!({"model": "m", "messages": said}), tools)),
        (
            Dialect::Gemini,
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}],
                "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "object"}}]}]}),
        ),
        (
            Dialect::OpenAiCompletions,
            "/v1/completions",
            json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "prompt": "hi"}),
        ),
        (Dialect::OllamaGenerate, "/api/generate", json!({"model": "m", "prompt": "hi"})),
    ]
}

fn codec(dialect: Dialect) -> Box<dyn Codec> {
    way::codec(dialect, "/v1beta/models/m:streamGenerateContent?alt=sse", Habits::OPENAI).unwrap()
}

fn wire(dialect: Dialect) -> Wire {
    match dialect {
        Dialect::OllamaChat | Dialect::OllamaGenerate => Wire::Ndjson,
        _ => Wire::Sse,
    }
}

/// A stream as an upstream of this dialect sends it.
fn sent(dialect: Dialect, id: &str, kinds: &[EventKind]) -> Bytes {
    let chat = Chat { stream: true, stream_usage: true, ..Chat::default() };
    let stamp = Stamp { model: "served".to_owned(), created: 1, ids: Ids::new(id), chat: chat.into() };
    let mut writer = codec(dialect).writer(stamp);
    let prefix = if dialect == Dialect::Anthropic { "msg_" } else { "" };
    let start = Start {
        id: Some(format!("{prefix}{id}")),
        model: Some(format!("model-{id}")),
        created: Some(7),
        ..Start::default()
    };
    let usage = Usage { input: 100, output: 20, ..Usage::default() };
    let mut all = vec![EventKind::Start(start)];
    all.extend_from_slice(kinds);
    let called = kinds.iter().any(|kind| matches!(kind, EventKind::ToolStart { .. }));
    let stop = if called { Stop::Tool } else { Stop::End };
    all.extend([EventKind::Usage(usage), EventKind::Stop(stop), EventKind::End]);
    let mut out = BytesMut::new();
    for kind in all {
        for event in writer.write(Event::first(kind), &mut Losses::default()) {
            out.extend_from_slice(&event.to_bytes());
        }
    }
    out.freeze()
}

/// What a client reads of a stream.
fn heard(dialect: Dialect, bytes: &Bytes) -> Vec<Event> {
    let mut splitter = Splitter::new(wire(dialect), 1 << 20);
    let mut reader = codec(dialect).reader(Ids::new("client"));
    let mut events = Vec::new();
    splitter.push(bytes.clone());
    while let Ok(Some(event)) = splitter.next() {
        events.extend(reader.read(&event));
    }
    if let Some(rest) = splitter.finish() {
        events.extend(reader.read(&stream::Event::parse(wire(dialect), rest)));
    }
    events.extend(reader.finish());
    events
}

/// What is left of an answer that is cut after some bytes, and what the client got; no remains of one that was whole.
fn cut(
    client: (Dialect, &str, &Chat),
    first: Dialect,
    bytes: &Bytes,
) -> (Bytes, Option<crate::dialect::interpreter::resume::Remains>) {
    let (dialect, target, chat) = client;
    let mut interpreter = if dialect == first {
        Interpreter::verbatim(dialect, target, chat.clone(), "x", 1).unwrap()
    } else {
        Interpreter::new(dialect, first, target, Habits::OPENAI, chat.clone(), "x", 1).unwrap()
    };
    interpreter.keep_transcript();
    interpreter.begin(wire(first), None);
    let mut out = BytesMut::from(&*interpreter.pass(bytes.clone()).unwrap());
    match interpreter.cut(Failure::cut()) {
        Some(last) => {
            out.extend_from_slice(&last);
            (out.freeze(), None)
        }
        None => (out.freeze(), interpreter.take_remains(50)),
    }
}

/// Bytes between two cuts of one pair of dialects; other pairs are cut at other bytes.
const STEP: usize = 53;

/// Cuts an answer in many places, has each of the rest said by `rest`, and gives what the client heard.
fn each_cut(
    kinds: &[EventKind],
    rest: impl Fn(&Transcript) -> Vec<EventKind>,
    check: impl Fn(Dialect, &str, &[Event]),
) {
    for (dialect, target, body) in clients() {
        let chat = codec(dialect).read_request(target, body).unwrap();
        for (first, ..) in clients() {
            let all = sent(first, "one", kinds);
            for (second, ..) in clients().into_iter().take(5) {
                let begin = 7 * (dialect as usize + 3 * first as usize + 5 * second as usize) % STEP;
                for at in (begin..all.len()).step_by(STEP) {
                    let name = format!("{dialect:?} from {first:?} to {second:?} at {at}");
                    let (got, remains) = cut((dialect, target, &chat), first, &all.slice(..at));
                    let mut got = BytesMut::from(&*got);
                    if let Some(remains) = remains {
                        may_go_on(&chat, &remains.transcript, CutTool::Complete).unwrap();
                        let mut asked = chat.clone();
                        let seam = go_on(&mut asked, &remains.transcript, Handing::Request, &mut Losses::default());
                        let answer = sent(second, "two", &rest(&remains.transcript));
                        let made = Interpreter::new(dialect, second, target, Habits::OPENAI, chat.clone(), "x 2", 1);
                        let mut interpreter = made.unwrap();
                        interpreter.join_with(seam);
                        interpreter.resume(remains);
                        interpreter.begin(wire(second), None);
                        got.extend_from_slice(&interpreter.pass(answer).unwrap());
                        got.extend_from_slice(&interpreter.end());
                        assert_eq!(interpreter.broken(), None, "{name}");
                    }
                    let got = got.freeze();
                    grammar(dialect, &got, &name);
                    check(dialect, &name, &heard(dialect, &got));
                }
            }
        }
    }
}

fn text(events: &[Event]) -> String {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// A text in pieces of a few characters, as a block.
fn pieces(block: u32, text: &str) -> Vec<EventKind> {
    let chars: Vec<char> = text.chars().collect();
    let mut kinds: Vec<EventKind> =
        chars.chunks(7).map(|piece| EventKind::Text { block, text: piece.iter().collect() }).collect();
    kinds.push(EventKind::BlockStop { block });
    kinds
}

fn call(block: u32, arguments: &str) -> Vec<EventKind> {
    let mut kinds = vec![EventKind::ToolStart { block, id: "call_a".to_owned(), name: "f".to_owned() }];
    let chars: Vec<char> = arguments.chars().collect();
    kinds.extend(chars.chunks(5).map(|piece| EventKind::ToolArgs { block, json: piece.iter().collect() }));
    kinds.push(EventKind::BlockStop { block });
    kinds
}

fn ends_well(events: &[Event], name: &str) {
    let count = |is: fn(&EventKind) -> bool| events.iter().filter(|event| is(&event.kind)).count();
    assert_eq!(count(|kind| matches!(kind, EventKind::Start(_))), 1, "{name}: {events:?}");
    assert_eq!(count(|kind| matches!(kind, EventKind::Stop(_))), 1, "{name}: {events:?}");
    assert_eq!(count(|kind| matches!(kind, EventKind::End)), 1, "{name}: {events:?}");
    assert_eq!(count(|kind| matches!(kind, EventKind::Failed(_))), 0, "{name}: {events:?}");
}

const ALL: &str = "Grüße aus München: the moon pulls the sea, twice a day.";

#[test]
fn a_text_that_is_cut_anywhere_goes_on_as_one_answer() {
    let rest = |said: &Transcript| pieces(3, ALL.strip_prefix(said.text().as_str()).unwrap());
    each_cut(&pieces(0, ALL), rest, |_, name, events| {
        assert_eq!(text(events), ALL, "{name}");
        ends_well(events, name);
        let start = events.iter().find_map(|event| match &event.kind {
            EventKind::Start(start) => Some(start.clone()),
            _ => None,
        });
        let usage = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::Usage(usage) => Some(usage.clone()),
            _ => None,
        });
        // One call, both as they were told, or the first one by estimate. One that is cut right before its usage, but
        // behind its end, is whole without.
        if let Some(usage) = usage.filter(|usage| usage.input > 0) {
            assert!([100, 150, 200].contains(&usage.input), "{name}: {usage:?}");
            assert!(usage.output >= 20, "{name}: {usage:?}");
        }
        assert!(start.is_some(), "{name}");
    });
}

#[test]
fn what_a_model_repeats_of_the_last_words_stands_once() {
    let rest = |said: &Transcript| {
        let said = said.text();
        let left = ALL.strip_prefix(said.as_str()).unwrap();
        let again: Vec<char> = said.chars().rev().take(14).collect();
        let again: String = if said.chars().count() > 20 { again.into_iter().rev().collect() } else { String::new() };
        pieces(0, &format!("{again}{left}"))
    };
    each_cut(&pieces(0, ALL), rest, |_, name, events| assert_eq!(text(events), ALL, "{name}"));
}

#[test]
fn thoughts_of_the_second_are_heard_only_before_any_text() {
    let think =
        |text: &str| vec![EventKind::Reasoning { block: 0, text: text.to_owned() }, EventKind::BlockStop { block: 0 }];
    let first = [think("first thoughts "), pieces(1, ALL)].concat();
    let rest = |said: &Transcript| {
        let left = ALL.strip_prefix(said.text().as_str()).unwrap();
        [think("second thoughts"), pieces(1, left)].concat()
    };
    each_cut(&first, rest, |dialect, name, events| {
        assert_eq!(text(events), ALL, "{name}");
        ends_well(events, name);
        let at = |wanted: &str| {
            events.iter().position(|event| match &event.kind {
                EventKind::Reasoning { text, .. } => text.contains(wanted),
                EventKind::Text { text, .. } => !text.is_empty() && wanted == "text",
                _ => false,
            })
        };
        if dialect != Dialect::OpenAiCompletions && !name.contains("from OpenAiCompletions") {
            assert!(at("second").is_none_or(|second| at("text").is_some_and(|text| second < text)), "{name}");
            assert!(at("first").is_some() || at("second").is_some(), "{name}: {events:?}");
        }
    });
}

#[test]
fn a_call_that_is_cut_is_completed_when_it_is_made_again() {
    let first = [pieces(0, "Let me see."), call(1, r#"{"city": "München", "n": 12}"#)].concat();
    let rest = |said: &Transcript| {
        let words = if said.calls().is_empty() {
            "Let me see.".strip_prefix(said.text().as_str()).unwrap().to_owned()
        } else {
            String::new()
        };
        let again = r#"{"city":"München","n":12}"#;
        [if words.is_empty() { Vec::new() } else { pieces(0, &words) }, call(1, again)].concat()
    };
    each_cut(&first, rest, |dialect, name, events| {
        assert_eq!(text(events), "Let me see.", "{name}");
        ends_well(events, name);
        if matches!(dialect, Dialect::OpenAiCompletions | Dialect::OllamaGenerate) {
            return;
        }
        let mut transcript = Transcript::default();
        for event in events {
            transcript.note(event);
        }
        // Completions and generate as the first upstream made no call: then the second did.
        let calls = transcript.calls();
        assert!(calls.len() <= 1, "{name}: {calls:?}");
        for call in calls {
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
            assert_eq!((call.name.as_str(), arguments), ("f", json!({"city": "München", "n": 12})), "{name}");
        }
    });
}

#[test]
fn another_call_is_not_handed_out() {
    let (dialect, target, body) = clients().swap_remove(0);
    let chat = codec(dialect).read_request(target, body).unwrap();
    let first = sent(dialect, "one", &call(0, r#"{"city": "Paris"}"#));
    let at = memchr::memmem::find(&first, b"Paris").unwrap();
    let at = at + memchr::memmem::find(&first[at..], b"\n\n").unwrap() + 2;
    for again in [call(0, r#"{"city":"Rome"}"#), pieces(0, "I cannot.")] {
        let (got, remains) = cut((dialect, target, &chat), dialect, &first.slice(..at));
        let remains = remains.unwrap();
        assert_eq!(remains.transcript.calls().len(), 1);
        let seam = go_on(&mut chat.clone(), &remains.transcript, Handing::Request, &mut Losses::default());
        let mut interpreter =
            Interpreter::new(dialect, Dialect::Anthropic, target, Habits::OPENAI, chat.clone(), "x 2", 1).unwrap();
        let mut out = BytesMut::from(&*got);
        interpreter.join_with(seam);
        interpreter.resume(remains);
        interpreter.begin(Wire::Sse, None);
        out.extend_from_slice(&interpreter.pass(sent(Dialect::Anthropic, "two", &again)).unwrap());
        assert_eq!(interpreter.broken().unwrap().code.as_deref(), Some("continuation_differs"));
        interpreter.drop_transcript();
        out.extend_from_slice(&interpreter.fail(Failure::cut()));
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(text.contains("\"error\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
        assert!(!text.contains("Rome"), "{text}");
    }
}

#[test]
fn a_call_is_not_asked_for_again_where_the_rule_says_so() {
    let mut transcript = Transcript::default();
    for kind in call(0, "{}") {
        transcript.note(&Event::first(kind));
    }
    assert!(may_go_on(&Chat::default(), &transcript, CutTool::Complete).is_ok());
    assert_eq!(may_go_on(&Chat::default(), &transcript, CutTool::Close), Err(Bound("a tool call was begun")));
    let two = Chat {
        sampling: crate::dialect::chat::Sampling { n: Some(2.into()), ..Default::default() },
        ..Chat::default()
    };
    assert!(may_go_on(&two, &Transcript::default(), CutTool::Complete).is_err());
}
