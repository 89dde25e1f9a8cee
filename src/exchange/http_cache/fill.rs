//! An answer on its way into the cache, while it goes to the client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::cache::Key;
use crate::cache::http::{Stored, Variants};
use crate::exchange::source::Source;
use crate::exchange::wire::{Connection, Dial};
use crate::exchange::{CacheVerdict, Exchange};
use crate::gate::Gate;

/// An answer of which a copy is made.
#[derive(Debug)]
pub struct Fill {
    /// Where it will be kept.
    place: Place,
    /// All of it but its body.
    stored: Stored,
    /// The headers of its request, to find what it makes useless.
    request: HeaderMap,
    /// Its body so far. Copied, because a piece may be a small part of a large read buffer that it would keep alive.
    body: BytesMut,
    /// The largest body that is kept, in bytes.
    most: usize,
    /// It is larger.
    over: bool,
}

/// Where an answer will be kept.
#[derive(Debug)]
pub(super) struct Place {
    /// What it will be kept under.
    pub(super) key: Key,
    /// Words to purge it by.
    pub(super) tags: Vec<String>,
    /// When it was asked for.
    pub(super) asked: SystemTime,
}

/// Keeps an answer that is read to its end, before the client hears the end: its next request may come at once.
pub fn finish<D: Dial, N: Connection>(gate: &Gate<D>, x: &mut Exchange, source: &mut Source<N>) {
    if source.keeps()
        && source.done()
        && let Some(fill) = source.take_kept()
    {
        settle(gate, x, *fill, true);
    }
}

/// Keeps an answer whose body came whole and `clean`.
pub fn settle<D: Dial>(gate: &Gate<D>, x: &mut Exchange, fill: Fill, clean: bool) {
    let Fill { place, stored, request, body, over, .. } = fill;
    let why = match (over, clean) {
        (true, _) => "larger than may be stored",
        (false, false) => "incomplete",
        (false, true) => match stored.with_body(body.freeze()) {
            Some(stored) => {
                let stored = Arc::new(stored);
                let keep = |variants: &Variants| variants.with(stored, &request);
                let change = || gate.cache.change_kept(&place.key, &place.tags, place.asked, keep);
                // What was purged or changed meanwhile only the tape tells who plays it again.
                if x.tape.ask(|| "kept".to_owned(), change) {
                    gate.cache.http.counts().stored.fetch_add(1, Ordering::Relaxed);
                    x.cache.verdict = CacheVerdict::Stored;
                    return;
                }
                "purged while it was on its way"
            }
            None => "longer than the part that it is said to be",
        },
    };
    x.cache.verdict = CacheVerdict::Miss(why);
}

// === impl Source ===

impl<N: Connection> Source<N> {
    /// Keeps what comes from here on.
    pub fn keep(&mut self, fill: Fill) {
        if let Self::Live { kept, .. } = self {
            *kept = Some(Box::new(fill));
        }
    }

    /// Whether what comes is kept.
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Live { kept: Some(_), .. })
    }

    /// Takes out what was kept.
    pub fn take_kept(&mut self) -> Option<Box<Fill>> {
        match self {
            Self::Live { kept, .. } => kept.take(),
            Self::Told { .. } | Self::Whole(_) => None,
        }
    }
}

// === impl Fill ===

impl Fill {
    /// An answer whose body is yet to come.
    pub(super) fn new(place: Place, stored: Stored, request: HeaderMap, most: usize) -> Self {
        Self { place, stored, request, body: BytesMut::new(), most, over: false }
    }

    /// Takes a piece of the body.
    pub fn push(&mut self, piece: &Bytes) {
        if self.over {
            return;
        }
        if self.body.len() + piece.len() > self.most {
            (self.over, self.body) = (true, BytesMut::new());
            return;
        }
        self.body.extend_from_slice(piece);
    }
}
