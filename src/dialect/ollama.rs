//! Ollama's native dialect, so that its clients reach any upstream and its server answers clients of any dialect:
//! `/api/chat` and `/api/generate`, whole and as lines of JSON.

use serde_json::{Map, Value, json};

use super::chat::Chat;
use super::codec::{Codec, Malformed, Outgoing, Reader, Stamp, Writer};
use super::event::Event;
use super::id::Ids;
use super::loss::Losses;
use answer::LineReader;
use writer::LineWriter;

mod answer;
mod read;
mod request;
#[cfg(test)]
mod tests;
mod turn;
mod writer;

/// The codec of `POST /api/chat`.
#[derive(Clone, Copy, Debug)]
pub struct OllamaChat;

/// The codec of `POST /api/generate`: one prompt, one answer, no tools.
#[derive(Clone, Copy, Debug)]
pub struct OllamaGenerate;

/// Which of the two calls: they share everything but where the texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// `/api/chat`
    Chat,
    /// `/api/generate`
    Generate,
}

/// Counts of tokens and times in nanoseconds that the last line of an answer has, in the server's order (`Metrics` in
/// `api/types.go` of Ollama).
const METRICS: [&str; 6] =
    ["total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"];

// === impl OllamaChat ===

impl Codec for OllamaChat {
    fn read_request(&self, _target: &str, body: Value) -> Result<Chat, Malformed> {
        request::read::chat(body)
    }

    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing {
        request::write::chat(chat, losses)
    }

    fn read_answer(&self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        answer::whole(body, ids)
    }

    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        writer::whole(Call::Chat, events, stamp, losses)
    }

    fn reader(&self, ids: Ids) -> Box<dyn Reader> {
        Box::new(LineReader::new(ids))
    }

    fn writer(&self, stamp: Stamp) -> Box<dyn Writer> {
        Box::new(LineWriter::new(Call::Chat, &stamp))
    }
}

// === impl OllamaGenerate ===

impl Codec for OllamaGenerate {
    fn read_request(&self, _target: &str, body: Value) -> Result<Chat, Malformed> {
        request::read::generate(body)
    }

    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing {
        request::write::generate(chat, losses)
    }

    fn read_answer(&self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        answer::whole(body, ids)
    }

    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        writer::whole(Call::Generate, events, stamp, losses)
    }

    fn reader(&self, ids: Ids) -> Box<dyn Reader> {
        Box::new(LineReader::new(ids))
    }

    fn writer(&self, stamp: Stamp) -> Box<dyn Writer> {
        Box::new(LineWriter::new(Call::Generate, &stamp))
    }
}

/// Arguments of a call as the object that Ollama wants; `Err` holds the object that stands in for a text that is none.
fn arguments(text: &str) -> Result<Value, Value> {
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(Value::Null) => Ok(Value::Object(Map::new())),
        _ => Err(json!({"_raw": text})),
    }
}
