//! Anthropic's Messages dialect: requests, whole answers and streams of `POST /v1/messages` (Anthropic's API reference,
//! Messages), so that its clients and its models can be on either side of any other dialect.

use serde_json::Value;

use super::chat::Chat;
use super::codec::{Codec, Malformed, Outgoing, Reader, Stamp, Writer};
use super::event::Event;
use super::id::Ids;
use super::loss::Losses;

mod answer;
mod layout;
mod reader;
mod request;
mod stop;
#[cfg(test)]
mod tests;
mod usage;
mod writer;

/// The codec of Anthropic's Messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

// === impl Anthropic ===

impl Codec for Anthropic {
    fn read_request(&self, target: &str, body: Value) -> Result<Chat, Malformed> {
        request::read(target, body)
    }

    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing {
        request::write(chat, losses)
    }

    fn read_answer(&self, body: Value, _ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        answer::read(body)
    }

    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        answer::write(events, stamp, losses)
    }

    fn reader(&self, _ids: Ids) -> Box<dyn Reader> {
        Box::new(reader::AnthropicReader::default())
    }

    fn writer(&self, stamp: Stamp) -> Box<dyn Writer> {
        Box::new(writer::AnthropicWriter::new(stamp))
    }
}
