//! A stored answer: what an upstream said, in its own dialect and piece by piece, so that one entry serves a client of
//! any dialect, streamed or whole.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::dialect::event::Usage;
use crate::stream::Wire;

mod flat;

/// What one entry costs beside its texts and bytes.
const ENTRY_COST: usize = 512;

/// What one piece costs beside its bytes.
pub(super) const PIECE_COST: usize = size_of::<Bytes>() + size_of::<Duration>();

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "flat::Flat", into = "flat::Flat")]
pub struct Entry {
    /// Its status.
    pub status: u16,
    /// Its headers in their order and spelling, `Date` included, less those that are not the answer's own: of the
    /// connection, of the framing, cookies, request ids, rate limits.
    pub headers: Vec<(String, Bytes)>,
    /// Its body as it came, piece by piece. All of them lie in one block of memory.
    pub chunks: Vec<Bytes>,
    /// How long after the head each piece came.
    pub times: Vec<Duration>,
    /// The length of its body in bytes.
    pub size: usize,
    /// When it was whole.
    pub stored_at: SystemTime,
    /// How long it may serve from then on.
    pub ttl: Duration,
    /// How long it may be kept after that, to serve while a new one is fetched or when none can be had.
    pub grace: Duration,
    /// How old it was when it came: what `Age` said.
    pub age_before: Duration,
    /// Words to clear it by.
    pub tags: Vec<String>,
    /// Whose words the body is in, when it is a chat that the gate can translate. All others serve as they are.
    pub provenance: Option<Provenance>,
}

/// Whose words a stored chat is in, and who heard them first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The dialect of the body.
    pub dialect: Dialect,
    /// How its events stand in the body; `None`: it is whole.
    pub wire: Option<Wire>,
    /// The upstream that gave it.
    pub upstream: String,
    /// The model that was asked for there, where it is known.
    pub model: Option<String>,
    /// Who heard it first: whoever asks in the same form hears the same bytes.
    pub first: Listener,
    /// What it took, as far as was told.
    pub tokens: Option<Tokens>,
}

/// How a client hears an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// The client's dialect.
    pub dialect: Dialect,
    /// How events stand on its wire; `None`: it wants its answer whole.
    pub wire: Option<Wire>,
    /// The exchange's id, from which the answer's ids are made.
    pub id: String,
    /// The time that the answer tells, in seconds since 1970.
    pub created: i64,
}

/// Tokens that an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read.
    pub input: u64,
    /// Written.
    pub output: u64,
}

// === impl Entry ===

impl Entry {
    /// How old it is: the value of `Age` (RFC 9111 §4.2.3).
    pub fn age(&self, clock: &Clock) -> Duration {
        self.age_before.saturating_add(self.since(clock))
    }

    /// Whether it may still serve.
    pub fn is_fresh(&self, clock: &Clock) -> bool {
        self.since(clock) < self.ttl
    }

    /// How long its time has been over.
    pub fn stale_for(&self, clock: &Clock) -> Duration {
        self.since(clock).saturating_sub(self.ttl)
    }

    /// Whether there is any reason to keep it.
    pub fn is_of_use(&self, clock: &Clock) -> bool {
        self.since(clock) < self.ttl.saturating_add(self.grace)
    }

    /// How long ago it was stored.
    pub fn since(&self, clock: &Clock) -> Duration {
        clock.wall().duration_since(self.stored_at).unwrap_or_default()
    }

    /// The whole body; copied when it is in more than one piece.
    pub fn body(&self) -> Bytes {
        match self.chunks.as_slice() {
            [only] => only.clone(),
            chunks => {
                let mut body = BytesMut::with_capacity(self.size);
                for chunk in chunks {
                    body.extend_from_slice(chunk);
                }
                body.freeze()
            }
        }
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
        ENTRY_COST + self.size + headers + tags + self.chunks.len() * PIECE_COST
    }

    /// The entry with this body, all of it in one block of memory.
    pub(super) fn with_body<'p>(mut self, pieces: impl Iterator<Item = &'p Bytes>, times: Vec<Duration>) -> Self {
        let mut body = BytesMut::new();
        let mut ends = Vec::with_capacity(times.len());
        for piece in pieces {
            body.extend_from_slice(piece);
            ends.push(body.len());
        }
        self.size = body.len();
        // Copied once more: what grew may hold twice what it needs.
        self.chunks = cut(&Bytes::copy_from_slice(&body), &ends);
        self.times = times;
        self
    }
}

/// The pieces of a body that end there.
fn cut(body: &Bytes, ends: &[usize]) -> Vec<Bytes> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| body.slice(start..*end)).collect()
}

// === impl Tokens ===

impl From<&Usage> for Tokens {
    fn from(usage: &Usage) -> Self {
        Self { input: usage.input, output: usage.output }
    }
}

#[cfg(test)]
mod tests;
