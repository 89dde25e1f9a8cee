//! Streams of events: bytes to events and back, so that an event nobody edits leaves as the bytes it came in.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

pub mod decode;
mod ending;
mod json_array;
mod meaning;
mod ndjson;
mod sse;
#[cfg(test)]
mod tests;

pub use ending::Ending;
pub use meaning::{Meaning, Sight, look, meaning};

/// How events stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wire {
    /// Server-sent events: the grammar of the WHATWG HTML standard, §9.2.6.
    Sse,
    /// One JSON value a line.
    Ndjson,
    /// The elements of one JSON array (Gemini without `alt=sse`). No media type announces it: `application/json` is
    /// also a whole answer.
    JsonArray,
}

/// One item of a stream: the bytes as they came, and what they say. Cloning it copies no bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The wire it is rendered for.
    wire: Wire,
    /// The bytes as they came, with their own line ends; empty for an event that was made here.
    raw: Bytes,
    /// What the bytes say, or what was set since.
    parts: Parts,
    /// Whether `raw` no longer says what `parts` says, so that the event must be rendered.
    changed: bool,
}

/// What an event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parts {
    /// The value of `event:`, always UTF-8.
    name: Option<Bytes>,
    /// The `data:` lines joined by line feeds, or the JSON line without its end. A slice of the raw bytes wherever
    /// the data stands in one piece.
    data: Bytes,
    /// Whether there is data, be it empty.
    has_data: bool,
    /// Whether an `error:` line was seen. It is no field of the standard, so clients drop it in silence, but some
    /// servers end a failed stream with it.
    stray_error: bool,
}

/// Cuts a stream into events, wherever the bytes were split on their way. Two that are equal go on alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splitter {
    /// The grammar.
    wire: Wire,
    /// The longest event in bytes, line ends included.
    max_event_bytes: usize,
    /// Bytes that were not looked at yet, in order.
    chunks: VecDeque<Bytes>,
    /// The start of an event whose end has not come.
    begun: BytesMut,
    /// Where in a block the last byte looked at stands.
    scan: sse::Scan,
    /// Where in an array it stands.
    array: json_array::Scan,
    /// Whether the next event is the first, before which a byte order mark may stand.
    at_start: bool,
    /// Whether an event was too long; no more events come after it.
    failed: bool,
}

/// An event is longer than the limit. The bytes are not lost: [`Splitter::finish`] gives them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The limit in bytes.
    pub limit: usize,
}

// === impl Wire ===

impl Wire {
    /// The wire that a `Content-Type` announces, whatever its parameters; `None` for anything but a stream of events.
    pub fn of(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is("text/event-stream") {
            Some(Self::Sse)
        } else if is("application/x-ndjson")
            || is("application/ndjson")
            || is("application/stream+json")
            || is("application/jsonl")
        {
            Some(Self::Ndjson)
        } else {
            None
        }
    }
}

// === impl Event ===

impl Event {
    /// An event made here. On a wire without names the name is dropped.
    pub fn new(wire: Wire, name: Option<&str>, data: Bytes) -> Self {
        let mut event =
            Self { wire, raw: Bytes::new(), parts: Parts { data, has_data: true, ..Parts::default() }, changed: true };
        event.set_name(name);
        event
    }

    /// Reads the bytes of one event. Also for what [`Splitter::finish`] returned: a last NDJSON line needs no line
    /// end to be whole, and some servers leave out the blank line after their last event.
    pub fn parse(wire: Wire, raw: Bytes) -> Self {
        Self::parse_after(wire, raw, 0)
    }

    /// Reads the bytes of one event, of which the first `skip` are a byte order mark.
    fn parse_after(wire: Wire, raw: Bytes, skip: usize) -> Self {
        let parts = match wire {
            Wire::Sse => sse::parse(&raw, skip),
            Wire::Ndjson => ndjson::parse(&raw, skip),
            Wire::JsonArray => json_array::parse(&raw),
        };
        Self { wire, raw, parts, changed: false }
    }

    /// The wire it belongs to.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// The name that `event:` gave it; `None` when there is none, or an empty one.
    pub fn name(&self) -> Option<&str> {
        self.parts.name.as_deref().and_then(|name| std::str::from_utf8(name).ok())
    }

    /// The data: several `data:` lines joined by line feeds, or the JSON line. Empty when there is none.
    pub fn data(&self) -> &Bytes {
        &self.parts.data
    }

    /// Whether there is data. A block of comments, or a blank line, has none, and no client sees an event in it.
    pub fn has_data(&self) -> bool {
        self.parts.has_data
    }

    /// Renames the event. Line ends in the name become spaces, since they would start another field. Does nothing on
    /// a wire without names.
    pub fn set_name(&mut self, name: Option<&str>) {
        let name = name.filter(|name| !name.is_empty() && self.wire == Wire::Sse);
        if name == self.name() {
            return;
        }
        self.parts.name = name.map(|name| Bytes::from(name.replace(['\r', '\n'], " ")));
        self.changed = true;
    }

    /// Replaces the data. Each line of it becomes a `data:` line; in NDJSON, line ends, which can only stand between
    /// JSON's tokens, become spaces.
    pub fn set_data(&mut self, data: Bytes) {
        if self.parts.has_data && self.parts.data == data {
            return;
        }
        self.parts.data = data;
        self.parts.has_data = true;
        self.changed = true;
    }

    /// The event's bytes: those that came unless it was changed. A changed event keeps its comments, `id:` and
    /// `retry:` lines and the line ends it came with.
    pub fn to_bytes(&self) -> Bytes {
        match self.wire {
            _ if !self.changed => self.raw.clone(),
            Wire::Sse => sse::render(&self.raw, &self.parts),
            Wire::Ndjson => ndjson::render(&self.raw, &self.parts),
            Wire::JsonArray => json_array::render(&self.raw, &self.parts),
        }
    }

    /// Whether the block holds a line `error: …`.
    fn has_stray_error(&self) -> bool {
        self.parts.stray_error
    }
}

// === impl Splitter ===

impl Splitter {
    /// A splitter at the start of a stream. It holds at most `max_event_bytes` and what was pushed since
    /// [`Self::next`] last said `None`.
    pub fn new(wire: Wire, max_event_bytes: usize) -> Self {
        Self {
            wire,
            max_event_bytes,
            chunks: VecDeque::new(),
            begun: BytesMut::new(),
            scan: sse::Scan::default(),
            array: json_array::Scan::default(),
            at_start: true,
            failed: false,
        }
    }

    /// The grammar of the stream.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// The next whole event, or `None` until more bytes come. An event is copied only when it came in pieces.
    #[expect(clippy::should_implement_trait, reason = "the end of what was pushed is not the end of the stream")]
    pub fn next(&mut self) -> Result<Option<Event>, TooLong> {
        while let Some(chunk) = self.chunks.front_mut().filter(|_| !self.failed) {
            let end = match self.wire {
                Wire::Sse => self.scan.end_of_event(chunk),
                Wire::Ndjson => ndjson::end_of_event(chunk),
                Wire::JsonArray => self.array.end_of_event(chunk),
            };
            let piece = chunk.split_to(end.unwrap_or(chunk.len()));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
            if self.begun.len() + piece.len() > self.max_event_bytes {
                self.begun.extend_from_slice(&piece);
                self.failed = true;
            } else if end.is_none() {
                self.begun.extend_from_slice(&piece);
            } else {
                return Ok(Some(self.event(piece)));
            }
        }
        if self.failed { Err(TooLong { limit: self.max_event_bytes }) } else { Ok(None) }
    }

    /// The event that `last` ends.
    fn event(&mut self, last: Bytes) -> Event {
        let raw = if self.begun.is_empty() {
            last
        } else {
            self.begun.extend_from_slice(&last);
            self.begun.split().freeze()
        };
        let marked = std::mem::take(&mut self.at_start) && raw.starts_with(sse::BYTE_ORDER_MARK);
        let skip = if marked { sse::BYTE_ORDER_MARK.len() } else { 0 };
        Event::parse_after(self.wire, raw, skip)
    }

    /// Ends the stream: the bytes after the last event that [`Self::next`] returned, to be passed on as they are.
    pub fn finish(&mut self) -> Option<Bytes> {
        for chunk in self.chunks.drain(..) {
            self.begun.extend_from_slice(&chunk);
        }
        let rest = self.begun.split().freeze();
        (!rest.is_empty()).then_some(rest)
    }
}

// === impl TooLong ===

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an event of the stream is longer than {} bytes", self.limit)
    }
}

impl std::error::Error for TooLong {}
