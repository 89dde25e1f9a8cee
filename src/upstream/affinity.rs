//! Where answers of `OpenAI`'s Responses were made: by their ids, and by the encrypted reasoning that was in them.

mod read;

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::settings::{self, Lost};
pub use read::{Made, Refers, Sealed, strip};

/// How many marks are kept; the ones that nobody asks for go first.
const MOST: usize = 100_000;

/// What the settings say of an upstream's affinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How long is known where an answer was made.
    pub remember: Duration,
    /// What becomes of a request that has lost its endpoint.
    pub lost: Lost,
    /// How long it may wait for it.
    pub longest: Duration,
}

/// Where an answer was made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Home {
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's name.
    pub endpoint: String,
}

/// Something by which it is known later where it was made: a hash, so that neither ids nor reasoning are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark([u8; 32]);

/// Where answers were made, in memory: bounded, and forgotten when their time is over.
#[derive(Debug)]
pub struct Affinity {
    clock: Clock,
    homes: Cache<Mark, Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    home: Arc<Home>,
    /// When it is forgotten, by the clock's elapsed time.
    until: Duration,
}

// === impl Rule ===

impl From<&settings::Affinity> for Rule {
    fn from(settings: &settings::Affinity) -> Self {
        Self { remember: settings.remember, lost: settings.lost, longest: settings.longest }
    }
}

// === impl Mark ===

impl Mark {
    /// The mark of an answer's id.
    pub fn response(id: &str) -> Self {
        Self::of("response", id)
    }

    /// The mark of sealed reasoning.
    pub fn sealed(content: &str) -> Self {
        Self::of("sealed", content)
    }

    /// The mark of an answer in the cache, by the name of its key.
    pub fn stored(question: &str) -> Self {
        Self::of("stored", question)
    }

    fn of(kind: &str, what: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(kind.as_bytes()).update(b"\0").update(what.as_bytes());
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

// === impl Affinity ===

impl Affinity {
    /// Nothing is known yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, homes: Cache::new(MOST) }
    }

    /// Where something was made. Whoever asks waits, so that a store for several gates can stand behind it.
    pub fn get(&self, mark: &Mark) -> Ready<Option<Arc<Home>>> {
        let kept = self.homes.get(mark);
        ready(match kept {
            Some(kept) if kept.until > self.clock.elapsed() => Some(kept.home),
            Some(_) => {
                self.homes.remove(mark);
                None
            }
            None => None,
        })
    }

    /// Notes where something was made, for so long.
    pub fn put(&self, mark: Mark, home: &Arc<Home>, remember: Duration) -> Ready<()> {
        let until = self.clock.elapsed().saturating_add(remember);
        self.homes.insert(mark, Kept { home: Arc::clone(home), until });
        ready(())
    }

    /// How many marks are kept.
    pub fn len(&self) -> usize {
        self.homes.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.homes.is_empty()
    }
}

#[cfg(test)]
mod tests;
