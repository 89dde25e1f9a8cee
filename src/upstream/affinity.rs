//! Where answers of `OpenAI`'s Responses were made: by their ids, and by the encrypted reasoning that was in them.

mod read;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::settings::{self, Lost};
use crate::state::Shared;
pub use read::{Made, Refers, Sealed, strip};

/// How many marks are kept; the ones that nobody asks for go first.
const MOST: usize = 100_000;

/// Where marks are among what gates share.
const SPACE: &str = "affinity";

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

/// Where answers were made: in memory, bounded, and forgotten when their time is over; behind it what gates that share a
/// Redis tell each other.
#[derive(Debug)]
pub struct Affinity {
    clock: Clock,
    homes: Cache<Mark, Kept>,
    /// What gates have in common. Without it, or when it does not answer, only what is in memory is known.
    shared: Shared,
}

#[derive(Clone, Debug)]
struct Kept {
    home: Arc<Home>,
    /// When it is forgotten, by the clock's elapsed time.
    until: Duration,
}

/// Where an answer was made, as gates tell each other.
#[derive(Serialize, Deserialize)]
struct Told {
    #[serde(flatten)]
    home: Home,
    /// When it is forgotten, in milliseconds since 1970.
    until: u64,
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
        Self { clock, homes: Cache::new(MOST), shared: Shared::default() }
    }

    /// The same among gates that share a Redis, if they do.
    #[must_use]
    pub fn among(self, shared: &Shared) -> Self {
        Self { shared: shared.clone(), ..self }
    }

    /// Where something was made, as far as anybody tells.
    pub async fn get(&self, mark: &Mark) -> Option<Arc<Home>> {
        match self.known_here(mark) {
            // Boxed: few ask it, and none does where no gate shares anything.
            None if self.shared.redis().is_some() => Box::pin(self.told(mark)).await,
            known => known,
        }
    }

    fn known_here(&self, mark: &Mark) -> Option<Arc<Home>> {
        let kept = self.homes.get(mark)?;
        if kept.until > self.clock.elapsed() {
            return Some(kept.home);
        }
        self.homes.remove(mark);
        None
    }

    /// Where another gate says that it was made, which is known here from now on.
    async fn told(&self, mark: &Mark) -> Option<Arc<Home>> {
        let value = self.shared.get(SPACE, &mark.to_string()).await?;
        // What cannot be read was put there by somebody else, or by a gate of another version.
        let Told { home, until } = serde_json::from_slice(&value).ok()?;
        let left = Duration::from_millis(until.checked_sub(millis(self.clock.wall()))?);
        let home = Arc::new(home);
        self.keep(*mark, &home, left);
        Some(home)
    }

    /// Notes where something was made, for so long; other gates know it when this is done.
    pub async fn put(&self, mark: Mark, home: &Arc<Home>, remember: Duration) {
        self.keep(mark, home, remember);
        if self.shared.redis().is_some() {
            let until =
                millis(self.clock.wall()).saturating_add(u64::try_from(remember.as_millis()).unwrap_or(u64::MAX));
            let told = Told { home: Home::clone(home), until };
            let value = serde_json::to_vec(&told).unwrap_or_default();
            // Without an answer it is known here only.
            Box::pin(self.shared.put(SPACE, &mark.to_string(), &value, remember)).await;
        }
    }

    fn keep(&self, mark: Mark, home: &Arc<Home>, remember: Duration) {
        let until = self.clock.elapsed().saturating_add(remember);
        self.homes.insert(mark, Kept { home: Arc::clone(home), until });
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

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
