//! Writes answers as lines of JSON, or as the one object of an answer that is not streamed.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Call;
use super::turn::{Piece, Turn};
use crate::dialect::codec::{Stamp, Writer};
use crate::dialect::event::{Event, EventKind};
use crate::dialect::loss::Losses;
use crate::stream::{self, Wire};

/// Writes a stream.
pub(super) struct LineWriter {
    /// Which call it answers.
    call: Call,
    /// The answer so far.
    turn: Turn,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    /// The model.
    model: &'a str,
    /// When the answer began.
    created_at: &'a str,
    /// What is said (chat).
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    /// What is said (generate).
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    /// What is thought (generate).
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    /// Log probabilities of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [Value]>,
    /// Whether it is the last.
    done: bool,
    /// Reason, counts and times of the last.
    #[serde(flatten)]
    last: Option<&'a Map<String, Value>>,
}

/// The message of a line of `/api/chat`.
#[derive(Serialize)]
struct Message<'a> {
    /// Always `assistant`.
    role: &'static str,
    /// What is said.
    content: &'a str,
    /// What is thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    /// Pictures that the model drew.
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<&'a Value>,
    /// The call that became whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[&'a Value; 1]>,
}

/// Writes a whole answer.
pub(super) fn whole(call: Call, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
    let mut turn = Turn::new(call, stamp);
    let mut pieces = Vec::new();
    for event in events {
        turn.take(event, losses, &mut pieces);
    }
    turn.take(Event::first(EventKind::End), losses, &mut pieces);
    let (mut text, mut thinking, mut rest) = (String::new(), String::new(), Map::new());
    let (mut calls, mut logprobs, mut images) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Thinking(more) => thinking.push_str(&more),
            Piece::Call(call) => calls.push(call),
            Piece::Logprobs(mut more) => logprobs.append(&mut more),
            Piece::Images(Value::Array(mut more)) => images.append(&mut more),
            Piece::Images(one) => images.push(one),
            Piece::Last(last) => rest = last,
            Piece::Error(message) => return json!({"error": message}),
        }
    }
    let mut said = Map::new();
    if call == Call::Chat {
        said.insert("role".to_owned(), "assistant".into());
    }
    said.insert(if call == Call::Chat { "content" } else { "response" }.to_owned(), text.into());
    if !thinking.is_empty() {
        said.insert("thinking".to_owned(), thinking.into());
    }
    for (key, list) in [("images", images), ("tool_calls", calls)] {
        if !list.is_empty() {
            said.insert(key.to_owned(), list.into());
        }
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), turn.model.into());
    body.insert("created_at".to_owned(), turn.created_at.into());
    match call {
        Call::Chat => _ = body.insert("message".to_owned(), Value::Object(said)),
        Call::Generate => body.append(&mut said),
    }
    if !logprobs.is_empty() {
        body.insert("logprobs".to_owned(), logprobs.into());
    }
    body.insert("done".to_owned(), true.into());
    body.append(&mut rest);
    Value::Object(body)
}

// === impl LineWriter ===

impl LineWriter {
    /// A writer at the start of a stream.
    pub(super) fn new(call: Call, stamp: &Stamp) -> Self {
        Self { call, turn: Turn::new(call, stamp) }
    }

    fn line(&self, piece: &Piece) -> stream::Event {
        let (mut text, mut thinking, mut logprobs, mut last) = ("", None, None, None);
        let (mut images, mut tool_calls) = (None, None);
        match piece {
            Piece::Text(it) => text = it.as_str(),
            Piece::Thinking(it) => thinking = Some(it.as_str()),
            Piece::Call(it) => tool_calls = Some([it]),
            Piece::Logprobs(it) => logprobs = Some(it.as_slice()),
            Piece::Images(it) => images = Some(it),
            Piece::Last(it) => last = Some(it),
            Piece::Error(message) => return event(&json!({"error": message})),
        }
        let (model, created_at, done) = (&*self.turn.model, &*self.turn.created_at, last.is_some());
        let line = Line { model, created_at, message: None, response: None, thinking: None, logprobs, done, last };
        match self.call {
            Call::Chat => {
                let message = Message { role: "assistant", content: text, thinking, images, tool_calls };
                event(&Line { message: Some(message), ..line })
            }
            Call::Generate => event(&Line { response: Some(text), thinking, ..line }),
        }
    }
}

impl Writer for LineWriter {
    fn write(&mut self, event: Event, losses: &mut Losses) -> Vec<stream::Event> {
        let mut pieces = Vec::new();
        self.turn.take(event, losses, &mut pieces);
        pieces.iter().map(|piece| self.line(piece)).collect()
    }
}

/// A line of the wire. Writing texts, numbers and maps with text keys to memory cannot fail.
fn event(line: &impl Serialize) -> stream::Event {
    let data = serde_json::to_vec(line).unwrap_or_default();
    stream::Event::new(Wire::Ndjson, None, Bytes::from(data))
}
