//! One attempt between two dialects: it asks in the upstream's words and answers in the client's.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::Dialect;
use super::chat::Chat;
use super::codec::{Codec, Malformed, Outgoing, Reader, Stamp, Writer};
use super::event::{Event, EventKind, Usage};
use super::failure::Failure;
use super::habits::Habits;
use super::id::Ids;
use super::keep;
use super::loss::Losses;
use super::{error, way};
use crate::stream::decode::Decoder;
use crate::stream::{self, Splitter, TooLong, Wire};

pub mod resume;

#[cfg(test)]
mod tests;

/// Stands between a client and an upstream that speak different dialects.
pub struct Interpreter {
    client: Side,
    upstream: Side,
    /// What the answer needs that the upstream may not say.
    stamp: Stamp,
    /// The answer as it streams through.
    passing: Option<Passing>,
    /// How the stream may go on, or goes on, with another upstream.
    resuming: resume::Resuming,
    /// The answer was made for another exchange and is told anew.
    anew: bool,
    /// What was learnt of the answer.
    pub told: Told,
}

/// What was learnt while an answer was translated.
#[derive(Debug, Default)]
pub struct Told {
    /// What could not be carried, either way.
    pub losses: Losses,
    /// Tokens used, as the client was told.
    pub usage: Option<Usage>,
    /// Why the upstream says that it failed, if it did within a stream.
    pub failure: Option<Failure>,
    /// The answer's sealed parts.
    pub answer: keep::Answer,
}

/// One side's dialect.
struct Side {
    dialect: Dialect,
    codec: Box<dyn Codec>,
}

/// A stream on its way.
struct Passing {
    /// Undoes a compression that was not asked for.
    decoder: Option<Decoder>,
    splitter: Splitter,
    reader: Box<dyn Reader>,
    /// Writes the client's dialect; `None` where both sides speak it, so that bytes pass as they came.
    writer: Option<Box<dyn Writer>>,
    /// The upstream's dialect ended the stream, well or with a failure.
    over: bool,
    /// The upstream's wire ended.
    ended: bool,
}

/// Why a stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// An event is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// Its compression is broken, or unfolds without end.
    #[error("its compression cannot be undone: {0}")]
    Compression(#[from] std::io::Error),
}

/// The longest event of an upstream's stream, in bytes. The last event of a Responses stream repeats the answer.
const LONGEST_EVENT: usize = 16 * 1024 * 1024;

// === impl Interpreter ===

impl Interpreter {
    /// Between a client's chat and an upstream that is asked in `upstream`; `None` when one of them is no chat.
    /// `target` is the client's own, `created` the time of the request in seconds since 1970.
    pub fn new(
        client: Dialect,
        upstream: Dialect,
        target: &str,
        habits: Habits,
        chat: Chat,
        exchange: &str,
        created: i64,
    ) -> Option<Self> {
        let side = |dialect| Some(Side { dialect, codec: way::codec(dialect, target, habits)? });
        let stamp = Stamp { model: chat.model.clone(), created, ids: Ids::new(exchange), chat: chat.into() };
        let (client, upstream) = (side(client)?, side(upstream)?);
        let resuming = resume::Resuming::default();
        Some(Self { client, upstream, stamp, passing: None, resuming, anew: false, told: Told::default() })
    }

    /// Tells an answer that was made for another exchange: with an id and a time of this one, and with what it read
    /// counted as read from a cache.
    #[must_use]
    pub fn anew(mut self) -> Self {
        self.anew = true;
        self
    }

    /// The dialect that the upstream answers in.
    pub fn upstream(&self) -> Dialect {
        self.upstream.dialect
    }

    /// The time that an answer tells which says none, in seconds since 1970.
    pub fn created(&self) -> i64 {
        self.stamp.created
    }

    /// Reads a client's request.
    pub fn read(client: Dialect, target: &str, body: &[u8]) -> Result<Chat, Malformed> {
        let codec = way::codec(client, target, Habits::OPENAI).ok_or_else(|| Malformed::at("", "not a chat"))?;
        let value: Value =
            serde_json::from_slice(body).map_err(|error| Malformed::at("body", format!("not JSON: {error}")))?;
        codec.read_request(target, value)
    }

    /// The request in the upstream's dialect. `chat` is what goes out: thoughts put back, the plan's model.
    pub fn request(&mut self, chat: &Chat) -> Outgoing {
        self.upstream.codec.write_request(chat, &mut self.told.losses)
    }

    /// Whether the client wants its answer event by event.
    pub fn streams(&self) -> bool {
        self.stamp.chat.stream
    }

    /// The media type of an answer to the client.
    pub fn content_type(&self) -> &'static str {
        match (self.streams(), self.client_wire()) {
            (false, _) | (true, Wire::JsonArray) => "application/json",
            (true, Wire::Sse) => "text/event-stream",
            (true, Wire::Ndjson) => "application/x-ndjson",
        }
    }

    /// How events stand on the client's wire.
    pub fn client_wire(&self) -> Wire {
        match self.client.dialect {
            Dialect::OllamaChat | Dialect::OllamaGenerate => Wire::Ndjson,
            Dialect::Gemini if self.client.codec.array() => Wire::JsonArray,
            _ => Wire::Sse,
        }
    }

    /// Translates an answer that is whole: JSON, or with a wire a stream that was read to its end. It becomes what the
    /// client asked for, whole or a stream. A failure within it is an error.
    pub fn whole(&mut self, body: &[u8], wire: Option<Wire>) -> Result<Bytes, Failure> {
        let events = if let Some(wire) = wire {
            self.read_all(body, wire)
        } else {
            let garbage = |what: String| {
                Failure::ours("garbage", &format!("the upstream's answer is not of its dialect: {what}"))
            };
            let value = serde_json::from_slice(body).map_err(|error| garbage(error.to_string()))?;
            let read = self.upstream.codec.read_answer(value, &mut self.stamp.ids.clone());
            read.map_err(|error| garbage(error.to_string()))?
        };
        let events: Vec<Event> = events.into_iter().map(|event| self.renewed(event)).collect();
        for event in &events {
            self.heed(event);
        }
        if let Some(failure) = self.told.failure.take() {
            return Err(failure);
        }
        if !self.streams() {
            let answer = self.client.codec.write_answer(events, &self.stamp, &mut self.told.losses);
            return Ok(Bytes::from(answer.to_string()));
        }
        let mut writer = self.client.codec.writer(self.stamp.clone());
        let mut out = BytesMut::new();
        for event in events {
            write(&mut *writer, event, &mut self.told.losses, &mut out);
        }
        Ok(out.freeze())
    }

    /// Begins to translate a stream as it comes, compressed if there is a decoder.
    pub fn begin(&mut self, wire: Wire, decoder: Option<Decoder>) {
        self.passing = Some(Passing {
            decoder,
            splitter: Splitter::new(wire, LONGEST_EVENT),
            reader: self.upstream.codec.reader(self.resuming.ids().unwrap_or_else(|| self.stamp.ids.clone())),
            writer: self.writer(),
            over: false,
            ended: false,
        });
    }

    /// Translates the next piece of a stream; empty when it completes no event.
    pub fn pass(&mut self, piece: Bytes) -> Result<Bytes, Unreadable> {
        let mut out = BytesMut::new();
        if let Some(mut passing) = self.passing.take() {
            let read = self.pass_on(&mut passing, piece, &mut out);
            self.passing = Some(passing);
            read?;
        }
        Ok(out.freeze())
    }

    fn pass_on(&mut self, passing: &mut Passing, piece: Bytes, out: &mut BytesMut) -> Result<(), Unreadable> {
        let piece = match &mut passing.decoder {
            Some(decoder) => decoder.push(&piece)?,
            None => piece,
        };
        passing.splitter.push(piece);
        while let Some(event) = passing.splitter.next()? {
            self.carry(passing, &event, out);
        }
        Ok(())
    }

    /// Ends a stream that ended on the upstream's wire.
    pub fn end(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(mut passing) = self.passing.take().filter(|passing| !passing.ended) {
            if let Some(rest) = passing.splitter.finish() {
                let event = stream::Event::parse(passing.splitter.wire(), rest);
                self.carry(&mut passing, &event, &mut out);
            }
            let last = passing.reader.finish();
            self.hear(&mut passing, None, last, &mut out);
            passing.ended = self.broken().is_none();
            self.passing = Some(passing);
        }
        out.freeze()
    }

    /// Ends a stream that broke off: with the client's own last words for it, unless its dialect held it for whole.
    pub fn fail(&mut self, failure: Failure) -> Bytes {
        let mut out = BytesMut::new();
        if self.over() {
            return Bytes::new();
        }
        if let Some(mut passing) = self.passing.take().filter(|passing| !passing.ended) {
            let last = passing.reader.finish();
            let whole = !last.is_empty() && !last.iter().any(|event| matches!(event.kind, EventKind::Failed(_)));
            let cut = || [EventKind::Failed(failure), EventKind::End].map(Event::first).to_vec();
            for event in if whole { last } else { cut() } {
                self.say(&mut passing, event, &mut out);
            }
            self.passing = whole.then_some(passing);
        }
        out.freeze()
    }

    /// Whether the client heard the end of the stream, well or with a failure: what befalls the upstream's wire behind it
    /// concerns nobody.
    pub fn over(&self) -> bool {
        self.passing.as_ref().is_some_and(|passing| passing.over)
    }

    /// Whether nothing of a stream is left to be said.
    pub fn ended(&self) -> bool {
        self.passing.as_ref().is_none_or(|passing| passing.ended)
    }

    /// An upstream's error in the client's dialect: its status and body.
    pub fn refusal(&self, status: u16, body: &[u8], exchange: &str) -> (u16, Bytes) {
        self.refused(&error::read(self.upstream.dialect, status, body), exchange)
    }

    /// A failure in the client's dialect: its status and body.
    pub fn refused(&self, failure: &Failure, exchange: &str) -> (u16, Bytes) {
        let (status, body) = error::write(self.client.dialect, failure, exchange);
        (status, Bytes::from(body.to_string()))
    }

    fn read_all(&mut self, body: &[u8], wire: Wire) -> Vec<Event> {
        let mut splitter = Splitter::new(wire, body.len().max(1));
        let mut reader = self.upstream.codec.reader(self.stamp.ids.clone());
        let mut events = Vec::new();
        splitter.push(Bytes::copy_from_slice(body));
        while let Ok(Some(event)) = splitter.next() {
            events.extend(reader.read(&event));
        }
        if let Some(rest) = splitter.finish() {
            events.extend(reader.read(&stream::Event::parse(wire, rest)));
        }
        events.extend(reader.finish());
        events
    }

    fn carry(&mut self, passing: &mut Passing, event: &stream::Event, out: &mut BytesMut) {
        let said = passing.reader.read(event);
        self.hear(passing, Some(event), said, out);
    }

    fn say(&mut self, passing: &mut Passing, event: Event, out: &mut BytesMut) {
        let event = self.renewed(event);
        passing.over |= matches!(event.kind, EventKind::Failed(_) | EventKind::End);
        self.heed(&event);
        if let Some(writer) = &mut passing.writer {
            write(&mut **writer, event, &mut self.told.losses, out);
        }
    }

    /// An event as it is told anew, where it is.
    fn renewed(&self, mut event: Event) -> Event {
        if self.anew {
            match &mut event.kind {
                EventKind::Start(start) => {
                    (start.id, start.created) = (None, None);
                    start.extra.shift_remove("createTime");
                }
                EventKind::Usage(usage) => self.count_as_cached(usage),
                _ => {}
            }
        }
        event
    }

    /// Counts everything that was read as read from a cache, in dialects that count that; what else was counted was
    /// counted for another exchange.
    fn count_as_cached(&self, usage: &mut Usage) {
        let counts = !matches!(self.client.dialect, Dialect::OllamaChat | Dialect::OllamaGenerate);
        usage.cache_read = counts.then_some(usage.input);
        usage.cache_write = None;
        usage.extra.clear();
    }

    /// Takes note of an event.
    fn heed(&mut self, event: &Event) {
        self.told.answer.note(event);
        match &event.kind {
            EventKind::Usage(usage) => self.told.usage = Some(usage.clone()),
            EventKind::Failed(failure) => self.told.failure = Some(failure.clone()),
            _ => {}
        }
    }
}

fn write(writer: &mut dyn Writer, event: Event, losses: &mut Losses, out: &mut BytesMut) {
    for event in writer.write(event, losses) {
        out.extend_from_slice(&event.to_bytes());
    }
}

impl std::fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Interpreter({} to {})", self.client.dialect.as_str(), self.upstream.dialect.as_str())
    }
}
