//! What every dialect's codec does: read and write requests, whole answers and streams, through one model of each.

use bytes::Bytes;
use serde_json::Value;

use super::chat::Chat;
use super::event::Event;
use super::id::Ids;
use super::loss::Losses;
use super::transcript::Marks;
use crate::stream;

/// One dialect's words for the model of [`Chat`] and [`Event`]. Codecs are pure: no I/O, no clock, the same input gives
/// the same output.
pub trait Codec: Send + Sync {
    /// Reads a request. `target` is the path and query it came with: Gemini names its model there. What the model
    /// cannot hold goes to `extra` and `Other`, not to the losses.
    fn read_request(&self, target: &str, body: Value) -> Result<Chat, Malformed>;

    /// Writes a request. What this dialect has no room for is reported with its path in the dialect that it was read
    /// from.
    fn write_request(&self, chat: &Chat, losses: &mut Losses) -> Outgoing;

    /// Reads a whole, successful answer.
    fn read_answer(&self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed>;

    /// Writes a whole answer from all its events.
    fn write_answer(&self, events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value;

    /// Whether a client of this codec streams as one JSON array.
    fn array(&self) -> bool {
        false
    }

    /// A reader at the start of a stream.
    fn reader(&self, ids: Ids) -> Box<dyn Reader>;

    /// A writer at the start of a stream.
    fn writer(&self, stamp: Stamp) -> Box<dyn Writer>;
}

/// Turns the events of one dialect's stream into the model's. It never fails: what it cannot read is
/// [`super::event::EventKind::Raw`], a broken JSON text a failure.
pub trait Reader: Send {
    /// Reads one event of the wire: none, one or several of the model.
    fn read(&mut self, event: &stream::Event) -> Vec<Event>;

    /// The wire ended: what its last event left open. A stream that ended before its dialect's end is a failure of kind
    /// `Server` whose code is `stream_cut`.
    fn finish(&mut self) -> Vec<Event>;
}

/// Turns events of the model into one dialect's stream. Grammatical whatever the order of its input: every block is
/// begun and ended, the start comes first and once, the end last and once.
pub trait Writer: Send + Sync {
    /// Writes one event: none, one or several of the wire.
    fn write(&mut self, event: Event, losses: &mut Losses) -> Vec<stream::Event>;

    /// Goes on from the numbers of a stream that another wrote, of which this writer has written the events: what must
    /// be said before anything else.
    fn align(&mut self, _marks: &Marks) -> Vec<stream::Event> {
        Vec::new()
    }
}

/// What an answer needs that another dialect may not say.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The model's name as the client asked for it, for an answer that names none.
    pub model: String,
    /// The time of the request, in seconds since 1970.
    pub created: i64,
    /// Ids for what needs them.
    pub ids: Ids,
    /// The request as the client made it, for dialects that repeat its settings (Responses) or choose by it (usage
    /// chunks).
    pub chat: std::sync::Arc<Chat>,
}

/// A request in an upstream's dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Path and query, below the upstream's base path: `/v1/chat/completions`.
    pub target: String,
    /// The body.
    pub body: Value,
}

/// A body that is not of its dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Malformed {
    /// Where: `messages[2].role`.
    pub path: String,
    /// What is wrong, for the client: `expected a string`.
    pub what: String,
}

// === impl Malformed ===

impl Malformed {
    /// A body that is wrong at a place.
    pub fn at(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// The body's bytes.
    pub fn bytes(&self) -> Bytes {
        Bytes::from(self.body.to_string())
    }
}
