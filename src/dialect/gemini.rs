//! Gemini's dialect: `…/models/{model}:generateContent` and `:streamGenerateContent` of the Gemini API and Vertex AI.

use serde_json::Value;

use super::chat::Chat;
use super::codec::{Codec, Malformed, Outgoing, Reader, Stamp, Writer};
use super::event::Event;
use super::id::Ids;
use super::loss::Losses;

mod lane;
mod logprobs;
mod reader;
mod request;
mod schema;
mod spelling;
mod stop;
mod thinking;
mod usage;
mod writer;

/// A path and query with another model in the place of its own: Gemini names it there, and refuses a `model` in the
/// body. `None` where the path names none.
pub fn renamed(target: &str, model: &str) -> Option<String> {
    request::renamed(target, model)
}

/// The codec of Gemini's dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gemini {
    /// Whether streams are written as one JSON array, the form without `alt=sse`, and not as server-sent events.
    pub array: bool,
}

// === impl Gemini ===

impl Gemini {
    /// The codec for a client that asked at this path and query: without `alt=sse` a stream is a JSON array.
    pub fn for_target(target: &str) -> Self {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        Self { array: !query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse")) }
    }
}

impl Codec for Gemini {
    fn read_request(&self, target: &str, body: Value) -> Result<Chat, Malformed> {
        request::read(target, body)
    }

    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing {
        request::write(chat, losses)
    }

    fn read_answer(&self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        reader::Answer::new(ids.clone()).whole(body, ids)
    }

    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        writer::Chunks::whole(events, stamp, losses)
    }

    fn array(&self) -> bool {
        self.array
    }

    fn reader(&self, ids: Ids) -> Box<dyn Reader> {
        Box::new(reader::Answer::new(ids))
    }

    fn writer(&self, stamp: Stamp) -> Box<dyn Writer> {
        Box::new(writer::Chunks::stream(self.array, stamp))
    }
}

#[cfg(test)]
mod tests;
