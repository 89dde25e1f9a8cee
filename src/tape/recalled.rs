//! What an exchange heard of an answer that was made for another: a stored one, or one that it joined.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::cache::Entry;
use crate::error::Error;

/// An answer that was made for another exchange.
#[derive(Clone, Debug)]
pub enum Recalled {
    /// From the cache.
    Stored(Arc<Entry>),
    /// From an exchange that was answered at the same time, as far as it was heard.
    Joined(Overheard),
    /// There was none: that exchange failed.
    Refused(Error),
}

/// A joined answer as it was heard.
#[derive(Clone, Debug)]
pub struct Overheard {
    /// Its head and the pieces that were heard, with their times from the moment in which it was first listened to.
    pub entry: Arc<Entry>,
    /// How long it was waited for.
    pub waited: Duration,
    /// How many had joined then.
    pub followers: usize,
    /// How it ended, when that was heard.
    pub end: Option<Result<(), Error>>,
    begun: Instant,
}

// === impl Recalled ===

impl Recalled {
    /// The answer, as far as it is known.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Stored(entry) | Self::Joined(Overheard { entry, .. }) => Some(entry),
            Self::Refused(_) => None,
        }
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.entry().map_or(0, |entry| entry.weight())
    }
}

// === impl Overheard ===

impl Overheard {
    /// Nothing but the head, which is without a body.
    pub fn new(head: Arc<Entry>, waited: Duration, followers: usize) -> Self {
        Self { entry: head, waited, followers, end: None, begun: Instant::now() }
    }

    /// Adds a piece.
    pub fn piece(&mut self, piece: &Bytes) {
        let entry = Arc::make_mut(&mut self.entry);
        entry.size += piece.len();
        entry.chunks.push(piece.clone());
        entry.times.push(self.begun.elapsed());
    }
}
