//! `OpenAI`'s older completions, which continue a prompt: still spoken by editors and local servers.

use serde_json::{Value, json};

use super::chat::Chat;
use super::codec::{Codec, Malformed, Outgoing, Reader, Stamp, Writer};
use super::event::Event;
use super::id::Ids;
use super::loss::Losses;
use super::openai_chat::reader::{self, ChatReader};

mod request;
#[cfg(test)]
mod tests;
mod writer;

/// The codec of `POST …/completions`. Its answers are read as chat answers whose message is a text.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAiCompletions;

// === impl OpenAiCompletions ===

impl Codec for OpenAiCompletions {
    fn read_request(&self, _target: &str, body: Value) -> Result<Chat, Malformed> {
        request::read(body)
    }

    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing {
        request::write(chat, losses)
    }

    fn read_answer(&self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        reader::whole(as_chat(body), ids)
    }

    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        writer::whole(events, stamp, losses)
    }

    fn reader(&self, ids: Ids) -> Box<dyn Reader> {
        Box::new(ChatReader::adapted(ids, as_chat))
    }

    fn writer(&self, stamp: Stamp) -> Box<dyn Writer> {
        Box::new(writer::CompletionsWriter::new(stamp))
    }
}

/// A chunk, or a whole answer, in the chat dialect's shape. A stream of Writer's is bare pieces, `{"value": "…"}`, which
/// nothing ends, so that each may be the last.
fn as_chat(mut chunk: Value) -> Value {
    if let Some(Value::String(text)) = chunk.get_mut("value").map(Value::take) {
        return json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]});
    }
    let choices = chunk.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(text) = choice.shift_remove("text") {
            choice.insert("delta".to_owned(), json!({"content": text}));
        }
    }
    chunk
}
