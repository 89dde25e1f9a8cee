//! `OpenAI`'s chat completions, the dialect that most servers speak in some accent or other.

use serde_json::Value;

use super::chat::Chat;
use super::codec::{Codec, Malformed, Outgoing, Reader, Stamp, Writer};
use super::event::Event;
use super::habits::Habits;
use super::id::Ids;
use super::loss::Losses;

mod answer;
mod choice;
mod details;
mod fold;
mod gemini;
pub(super) mod head;
pub(super) mod reader;
pub(super) mod request;
pub(super) mod stop;
#[cfg(test)]
mod tests;
pub(super) mod usage;
mod writer;

/// The codec of `POST …/chat/completions`, by `OpenAI`'s API reference and the accents that were recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiChat {
    /// What the upstream accepts, for requests.
    pub habits: Habits,
}

// === impl OpenAiChat ===

impl OpenAiChat {
    /// `OpenAI` itself.
    pub const OPENAI: Self = Self { habits: Habits::OPENAI };
}

impl Codec for OpenAiChat {
    fn read_request(&self, target: &str, body: Value) -> Result<Chat, Malformed> {
        request::read(target, body)
    }

    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing {
        request::write(chat, self.habits, losses)
    }

    fn read_answer(&self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        reader::whole(body, ids)
    }

    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        answer::write(events, stamp, losses)
    }

    fn reader(&self, ids: Ids) -> Box<dyn Reader> {
        Box::new(reader::ChatReader::new(ids))
    }

    fn writer(&self, stamp: Stamp) -> Box<dyn Writer> {
        Box::new(writer::ChatWriter::new(stamp))
    }
}

fn lost_seal(block: u32, losses: &mut Losses) {
    losses.dropped(format!("content[{block}].signature"), "sealed thoughts of another maker");
}

fn lost_citation(block: u32, losses: &mut Losses) {
    losses.dropped(format!("content[{block}].citations"), "a citation of a shape that the chat dialect does not have");
}
