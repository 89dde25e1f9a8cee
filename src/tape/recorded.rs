//! The recording itself: what came over each wire and when, within a limit of bytes.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;

use super::{Arrived, Kept, Read, Stored};
use crate::case::{Piece, Takes};
use crate::error::Kind;
use crate::message::ResponseHead;

/// What a read counts beside its texts.
const READ_COST: usize = 64;

/// What a header counts beside its texts.
const HEADER_COST: usize = 64;

/// What a piece of a body counts beside its bytes: it has a block of memory of its own.
pub(super) const PIECE_COST: usize = size_of::<Piece>() + 16;

/// Everything that came to an exchange from outside.
#[derive(Debug, Default)]
pub struct Recorded {
    /// The request, as it arrived.
    pub arrived: Option<Arrived>,
    /// The client's body, as far as it was read.
    pub body: Vec<Piece>,
    /// When the client left.
    pub left: Option<Duration>,
    /// How much it had taken then.
    pub took: Takes,
    /// Each connection, in the order they were asked for.
    pub wires: Vec<Taped>,
    /// What was asked of state, time and chance.
    pub reads: Vec<Read>,
    /// The answer of another exchange that was heard, and under which key.
    pub stored: Option<Stored>,
    /// What was found kept as HTTP says, and under which key.
    pub kept: Option<Kept>,
    /// What the client got, as one number.
    pub answer: Digest,
    /// Bytes that may still be noted.
    room: Room,
    /// Whether they did not suffice: then this cannot be played.
    pub overfull: bool,
}

/// Bytes that one recording may take, out of those that all recordings at work may take together.
#[derive(Debug, Default)]
pub(super) struct Room {
    left: usize,
    taken: usize,
    /// What all take now, and the most that they may.
    all: Arc<AtomicUsize>,
    most: usize,
}

/// What a client got, as one number that tells two answers apart: heads but for their date, and bodies whatever their
/// pieces.
#[derive(Clone, Debug, Default)]
pub struct Digest(DefaultHasher);

/// What came over one connection.
#[derive(Debug)]
pub struct Taped {
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// Whether the connection had been used before.
    pub reused: bool,
    /// Until the first head, or until it failed without one.
    pub slow: Duration,
    /// Whether the head came before the request was sent to its end.
    pub early: bool,
    /// The heads, interim ones first.
    pub heads: Vec<ResponseHead>,
    /// The body.
    pub body: Vec<Piece>,
    /// What follows the body.
    pub trailers: Option<HeaderMap>,
    /// How it ended, as far as anybody looked.
    pub ended: Ended,
    /// When it was asked for, and then when the last thing came.
    pub(super) last: Instant,
}

/// How a connection's answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was still being connected, or could not be in time.
    Connecting,
    /// Nobody waited for more.
    Open,
    /// More was waited for.
    Waiting,
    /// At its clean end.
    Done,
    /// With an error of this kind.
    Failed(Kind),
}

// === impl Recorded ===

impl Recorded {
    /// An empty recording that takes up to `room`.
    pub(super) fn new(room: Room) -> Self {
        Self { room, ..Self::default() }
    }

    /// Notes an answer from outside.
    pub(super) fn read(&mut self, what: String, value: Value) {
        if self.fits(READ_COST + what.len() + size(&value)) {
            self.reads.push(Read { what, value });
        }
    }

    /// Forgets what was told to a generation: its reads, its calls, what it found stored. The room that they took is not
    /// given back.
    pub(super) fn forget(&mut self) {
        self.reads.clear();
        self.wires.clear();
        self.stored = None;
        self.kept = None;
    }

    /// Notes a piece of the client's body.
    pub(super) fn client(&mut self, pause: Duration, bytes: &Bytes) {
        if self.fits(PIECE_COST + bytes.len()) {
            push(&mut self.body, pause, bytes);
        }
    }

    /// Notes a head that the client took.
    pub(super) fn head(&mut self, answer: Digest, last: bool) {
        self.answer = answer;
        self.took.head |= last;
    }

    /// Notes a piece of a body that the client took.
    pub(super) fn sent(&mut self, piece: &[u8]) {
        self.answer.piece(piece);
        self.took.bytes += piece.len() as u64;
    }

    /// Notes a piece of an upstream's body.
    pub(super) fn piece(&mut self, wire: usize, now: Instant, bytes: &Bytes) {
        if !self.fits(PIECE_COST + bytes.len()) {
            return;
        }
        if let Some(taped) = self.wires.get_mut(wire) {
            let pause = taped.since(now);
            push(&mut taped.body, pause, bytes);
        }
    }

    /// How many bytes it holds: those it took of its room, its heads, and a stored answer, which may have left the
    /// cache since.
    pub fn weight(&self) -> usize {
        let size = |(name, value): (&HeaderName, &HeaderValue)| HEADER_COST + name.as_str().len() + value.len();
        let headers = |headers: &HeaderMap| headers.iter().map(size).sum::<usize>();
        let heads = self.wires.iter().flat_map(|taped| &taped.heads).map(|head| &head.headers);
        let arrived = self.arrived.iter().map(|arrived| &arrived.head);
        let targets: usize = arrived.clone().map(|head| head.raw_path().len()).sum();
        let all: usize = heads.chain(arrived.map(|head| &head.headers)).map(headers).sum();
        let stored = self.stored.iter().map(|(key, recalled)| key.len() + recalled.weight()).sum::<usize>();
        let kept = self.kept.iter().map(|(key, variants)| key.len() + variants.weight()).sum::<usize>();
        self.room.taken + targets + all + self.wires.len() * size_of::<Taped>() + stored + kept
    }

    /// Takes bytes of the room. When there is none, what was noted is of no use, and goes at once.
    fn fits(&mut self, bytes: usize) -> bool {
        if !self.overfull && !self.room.take(bytes) {
            self.overfull = true;
            self.body = Vec::new();
            self.reads = Vec::new();
            self.wires.iter_mut().for_each(|taped| taped.body = Vec::new());
            self.stored = None;
            self.kept = None;
            self.room.give_back();
        }
        !self.overfull
    }
}

// === impl Room ===

impl Room {
    /// Room for `left` bytes, as long as `all` recordings take no more than `most`.
    pub(super) fn new(left: usize, all: Arc<AtomicUsize>, most: usize) -> Self {
        Self { left, taken: 0, all, most }
    }

    fn take(&mut self, bytes: usize) -> bool {
        let Some(left) = self.left.checked_sub(bytes) else { return false };
        if self.all.fetch_add(bytes, Ordering::Relaxed) + bytes > self.most {
            self.all.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.left = left;
        self.taken += bytes;
        true
    }

    fn give_back(&mut self) {
        self.all.fetch_sub(std::mem::take(&mut self.taken), Ordering::Relaxed);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

// === impl Digest ===

impl Digest {
    /// Counts a head in.
    pub fn head(&mut self, head: &ResponseHead) {
        self.0.write(head.status.as_str().as_bytes());
        for (name, value) in head.headers.iter().filter(|(name, _)| *name != "date") {
            for part in [name.as_str().as_bytes(), b":", value.as_bytes(), b"\n"] {
                self.0.write(part);
            }
        }
    }

    /// The same with a head counted in.
    #[must_use]
    pub fn with(&self, head: &ResponseHead) -> Self {
        let mut with = self.clone();
        with.head(head);
        with
    }

    /// Counts a piece of a body in.
    pub fn piece(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// Counts in that the answer was broken off.
    pub fn broken_off(&mut self) {
        self.0.write(b"\0broken off");
    }

    /// The number.
    pub fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Notes a piece with its own copy of the bytes: what comes off a wire is a part of a larger block of memory.
fn push(pieces: &mut Vec<Piece>, pause: Duration, bytes: &Bytes) {
    pieces.push(Piece { pause, bytes: Bytes::copy_from_slice(bytes) });
}

// === impl Taped ===

impl Taped {
    /// A connection that is being asked for.
    pub(super) fn new(upstream: &str, endpoint: &str) -> Self {
        Self {
            upstream: upstream.to_owned(),
            endpoint: endpoint.to_owned(),
            reused: false,
            slow: Duration::ZERO,
            early: false,
            heads: Vec::new(),
            body: Vec::new(),
            trailers: None,
            ended: Ended::Connecting,
            last: Instant::now(),
        }
    }

    /// The time since the last thing came.
    pub(super) fn since(&mut self, now: Instant) -> Duration {
        let pause = now.saturating_duration_since(self.last);
        self.last = now;
        pause
    }
}
