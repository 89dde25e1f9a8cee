//! Every recorded exchange of a dialect that has a codec, through that codec and into every other dialect and back.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without is there, or the test fails")]

#[path = "traffic_translate/cut.rs"]
mod cut;
#[path = "traffic_translate/recorded.rs"]
mod recorded;
#[path = "traffic_translate/told.rs"]
mod told;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use recorded::{Recorded, recorded};
use tidegate::dialect::Dialect;
use tidegate::dialect::chat::Chat;
use tidegate::dialect::codec::{Codec, Reader, Stamp};
use tidegate::dialect::event::Event;
use tidegate::dialect::habits::Habits;
use tidegate::dialect::id::Ids;
use tidegate::dialect::interpreter::Interpreter;
use tidegate::dialect::loss::Losses;
use tidegate::dialect::way;
use tidegate::stream::{self, Splitter, Wire};
use told::{Asked, Told};

/// Dialects that chats are carried between, each with a target that a client would ask at.
const DIALECTS: [(Dialect, &str); 7] = [
    (Dialect::OpenAiChat, "/v1/chat/completions"),
    (Dialect::OpenAiCompletions, "/v1/completions"),
    (Dialect::OpenAiResponses, "/v1/responses"),
    (Dialect::Anthropic, "/v1/messages"),
    (Dialect::OllamaChat, "/api/chat"),
    (Dialect::OllamaGenerate, "/api/generate"),
    (Dialect::Gemini, "/v1beta/models/m:streamGenerateContent?alt=sse"),
];

fn codec(dialect: Dialect, target: &str) -> Box<dyn Codec> {
    way::codec(dialect, target, Habits::OPENAI).unwrap()
}

fn ids() -> Ids {
    Ids::new("exchange")
}

fn stamp(chat: Chat) -> Stamp {
    Stamp { model: "asked".to_owned(), created: 7, ids: ids(), chat: chat.into() }
}

/// How a codec's streams stand on the wire.
fn wire(dialect: Dialect, codec: &dyn Codec) -> Wire {
    match dialect {
        Dialect::OllamaChat | Dialect::OllamaGenerate => Wire::Ndjson,
        Dialect::Gemini if codec.array() => Wire::JsonArray,
        _ => Wire::Sse,
    }
}

/// Reads a stream that comes in these pieces.
fn read<'a>(mut reader: Box<dyn Reader>, wire: Wire, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut splitter = Splitter::new(wire, 1 << 24);
    let mut events = Vec::new();
    for piece in pieces {
        splitter.push(piece.to_vec().into());
        while let Some(event) = splitter.next().unwrap() {
            events.extend(reader.read(&event));
        }
    }
    if let Some(rest) = splitter.finish() {
        events.extend(reader.read(&stream::Event::parse(wire, rest)));
    }
    events.extend(reader.finish());
    events
}

/// Runs a check over every exchange, and fails with all that did not hold.
fn each(all: &[Recorded], check: impl Fn(&Recorded)) {
    let failed: Vec<&str> = all
        .iter()
        .filter(|one| panic::catch_unwind(AssertUnwindSafe(|| check(one))).is_err())
        .map(|one| one.id.as_str())
        .collect();
    assert!(failed.is_empty(), "{} of {} fail: {failed:#?}", failed.len(), all.len());
}

/// Counts what was covered, by dialect.
fn covered(what: &str, all: &[Recorded]) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in all {
        *counts.entry(one.dialect.as_str()).or_default() += 1;
    }
    eprintln!("covered: {} {what}: {counts:?}", all.len());
}

/// What an answer says, and what is left of it after a way through another dialect, whole or as a stream.
fn through(events: &[Event], dialect: Dialect, target: &str, streamed: bool) -> Told {
    let codec = codec(dialect, target);
    let stamp = stamp(Chat { stream: streamed, stream_usage: true, ..Chat::default() });
    let mut losses = Losses::default();
    if !streamed {
        let answer = codec.write_answer(events.to_vec(), &stamp, &mut losses);
        return Told::of(&codec.read_answer(answer, &mut ids()).unwrap_or_else(|error| panic!("{error}")));
    }
    let mut writer = codec.writer(stamp);
    let mut bytes = Vec::new();
    for event in events {
        for event in writer.write(event.clone(), &mut losses) {
            bytes.extend_from_slice(&event.to_bytes());
        }
    }
    Told::of(&read(codec.reader(ids()), wire(dialect, &*codec), [bytes.as_slice()]))
}

fn same_everywhere(one: &Recorded, events: &[Event]) {
    let said = Told::of(events);
    for (dialect, target) in DIALECTS {
        let wordless = matches!(dialect, Dialect::OpenAiCompletions | Dialect::OllamaGenerate);
        if wordless && !said.calls.is_empty() {
            continue;
        }
        for streamed in [false, true].into_iter().filter(|streamed| *streamed || !said.failed) {
            let left = through(events, dialect, target, streamed);
            let said = said.clone().in_words_of(dialect);
            assert_eq!(
                said,
                left.in_words_of(dialect),
                "{} through {}, streamed: {streamed}",
                one.id,
                dialect.as_str()
            );
        }
    }
}

#[test]
fn whole_answers_say_the_same_in_every_dialect() {
    let all = recorded(|one| one.status == 200 && one.wire.is_none() && one.has_answer());
    each(&all, |one| {
        let codec = codec(one.dialect, &one.target);
        let answer = serde_json::from_str(&one.answer).unwrap();
        let events = codec.read_answer(answer, &mut ids()).unwrap_or_else(|error| panic!("{}: {error}", one.id));
        same_everywhere(one, &events);
    });
    covered("whole answers", &all);
}

#[test]
fn streams_say_the_same_in_every_dialect() {
    let all = recorded(|one| one.status == 200 && one.wire.is_some() && one.has_answer());
    each(&all, |one| {
        let codec = codec(one.dialect, &one.target);
        let events = read(codec.reader(ids()), one.wire.unwrap(), [one.answer.as_bytes()]);
        let by_bytes = read(codec.reader(ids()), one.wire.unwrap(), one.answer.as_bytes().chunks(1));
        assert_eq!(events, by_bytes, "{}", one.id);
        same_everywhere(one, &events);
    });
    covered("streams", &all);
}

/// What a client hears of a stream that comes in these pieces.
fn heard<'a>(one: &Recorded, client: (Dialect, &str), pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let chat = Chat { stream: true, stream_usage: true, ..Chat::default() };
    let mut interpreter =
        Interpreter::new(client.0, one.dialect, client.1, Habits::OPENAI, chat, "exchange", 7).unwrap();
    interpreter.begin(one.wire.unwrap(), None);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend_from_slice(&interpreter.pass(piece.to_vec().into()).unwrap());
    }
    out.extend_from_slice(&interpreter.end());
    assert!(interpreter.ended());
    out
}

#[test]
fn a_translated_stream_is_the_same_wherever_it_is_cut() {
    let all = recorded(|one| one.status == 200 && one.wire.is_some() && one.has_answer());
    let mut random = fastrand::Rng::with_seed(7);
    for (number, one) in all.iter().enumerate() {
        let client = DIALECTS[number % DIALECTS.len()];
        let expected = heard(one, client, [one.answer.as_bytes()]);
        for most in [9, 300, 5000] {
            let mut rest = one.answer.as_bytes();
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(random.usize(1..=most).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            assert!(
                heard(one, client, pieces) == expected,
                "{} to {} in pieces of at most {most}",
                one.id,
                client.0.as_str()
            );
        }
    }
    covered("streams, cut at random", &all);
}

#[test]
fn requests_ask_the_same_in_every_dialect() {
    let all = recorded(|one| one.status == 200 && one.request.is_object());
    each(&all, |one| {
        let own = codec(one.dialect, &one.target);
        let chat =
            own.read_request(&one.target, one.request.clone()).unwrap_or_else(|error| panic!("{}: {error}", one.id));
        if matches!(one.dialect, Dialect::AnthropicCount | Dialect::GeminiCount) {
            return;
        }
        let again = own.write_request(&chat, &mut Losses::default());
        let again = own.read_request(&again.target, again.body).unwrap_or_else(|error| panic!("{}: {error}", one.id));
        assert_eq!(Asked::of(&chat), Asked::of(&again), "{} through its own dialect", one.id);
        for (dialect, target) in DIALECTS {
            let other = codec(dialect, target);
            let mut losses = Losses::default();
            let outgoing = other.write_request(&chat, &mut losses);
            let back = other.read_request(&outgoing.target, outgoing.body.clone());
            let back = back
                .unwrap_or_else(|error| panic!("{} through {}: {error}\n{}", one.id, dialect.as_str(), outgoing.body));
            if !matches!(dialect, Dialect::OpenAiCompletions | Dialect::OllamaGenerate) {
                let what = format!("{} through {}; {losses}", one.id, dialect.as_str());
                Asked::of(&chat).is_in(&Asked::of(&back), dialect, &what);
            }
        }
    });
    covered("requests", &all);
}

#[test]
fn errors_are_told_in_every_shape() {
    let all = recorded(|one| one.status >= 400);
    each(&all, |one| {
        let failure = tidegate::dialect::error::read(one.dialect, one.status, one.answer.as_bytes());
        assert!(!failure.message.is_empty() && (400..600).contains(&failure.status), "{}: {failure:?}", one.id);
        for (dialect, _) in DIALECTS {
            let (status, body) = tidegate::dialect::error::write(dialect, &failure, "id");
            let told = tidegate::dialect::error::read(dialect, status, body.to_string().as_bytes());
            assert_eq!(
                (told.kind, told.message.contains(&failure.message)),
                (failure.kind, true),
                "{} as {}: {body}",
                one.id,
                dialect.as_str()
            );
        }
    });
    covered("errors", &all);
}
