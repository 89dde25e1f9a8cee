//! The cache: which requests are the same, which answers are worth keeping, and where they are kept: in memory, on disk
//! behind it, and in a Redis that several gates share.

pub mod admit;
pub mod bypass;
mod common;
mod disk;
pub mod entry;
pub mod fill;
pub mod flight;
pub mod http;
mod kept;
pub mod key;
pub mod memory;
mod octets;
pub mod parts;
pub mod pick;
mod purges;
pub mod record;
mod refreshing;
mod sealed;
pub mod vector;

#[cfg(test)]
mod tests;

pub use admit::Refusal;
pub use bypass::{Bypass, bypass};
pub use entry::{Entry, Listener, Provenance, Tokens};
pub use fill::{Fill, Followers};
pub use flight::{Flights, Following, Leading, Outcome, Role};
pub use key::{Form, Key, canonical, differs};
pub use memory::Stats;
pub use pick::Pick;
pub use record::{Recorder, Recording};
pub use refreshing::Refresh;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::state::{Redis, Shared};
use common::Common;
use disk::Disk;
use http::HttpCache;
use memory::MemoryCache;
use purges::Purges;
use refreshing::Refreshing;

/// All stored answers. A lookup asks the nearest store first; what a farther one has is taken into memory.
#[derive(Debug)]
pub struct Cache {
    clock: Clock,
    /// The answers in this process.
    memory: MemoryCache,
    /// Those that are kept as HTTP says.
    pub http: HttpCache,
    /// What was purged lately.
    purges: Arc<Purges>,
    /// The answers on disk.
    disk: Option<Disk>,
    /// Why there are none on disk, though there should be.
    diskless: Option<String>,
    /// The answers that gates share.
    common: Option<Common>,
    /// Answers that are being fetched anew.
    refreshing: Refreshing,
}

/// What a purge took away, store by store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Answers in memory.
    pub memory: usize,
    /// Those in memory that are kept as HTTP says.
    pub http: usize,
    /// Answers on disk; `None` without a disk.
    pub disk: Option<usize>,
    /// Answers in the shared Redis; `None` without one.
    pub redis: Option<Away>,
}

/// What became of a purge in the shared Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Away {
    /// So many answers went.
    Gone(usize),
    /// It does not answer. Until it was told, none of these answers serves from it.
    Later,
}

// === impl Cache ===

impl Cache {
    /// A cache in memory only: at most `most` bytes, with bodies of at most `entry`.
    pub fn in_memory(clock: Clock, most: usize, entry: usize) -> Self {
        Self {
            clock,
            memory: MemoryCache::new(clock, most, entry),
            http: HttpCache::new(most, entry),
            purges: Arc::default(),
            disk: None,
            diskless: None,
            common: None,
            refreshing: Refreshing::default(),
        }
    }

    /// The same with at most so many bytes of what is kept as HTTP says, in place of as many again.
    #[must_use]
    pub fn with_http(self, most: usize) -> Self {
        let entry = self.memory.entry_limit();
        Self { http: HttpCache::new(most, entry), ..self }
    }

    /// The same with a disk behind it. A folder that cannot be used leaves it without, and status says so.
    #[must_use]
    pub fn behind(mut self, folder: &Path, most: usize) -> Self {
        match Disk::open(folder, most as u64, self.clock, Arc::clone(&self.purges)) {
            Ok(disk) => self.disk = Some(disk),
            Err(error) => {
                let why = format!("{}: {error}", folder.display());
                tracing::warn!("answers are not kept on disk: {why}");
                self.diskless = Some(why);
            }
        }
        self
    }

    /// The same with the Redis that gates share, if they do.
    #[must_use]
    pub fn shared(mut self, shared: &Shared) -> Self {
        self.common = shared.redis().map(|redis| Common::new(Arc::clone(redis), self.clock, Arc::clone(&self.purges)));
        self
    }

    /// Changes the limits of what is in memory. Entries that no longer fit are dropped.
    pub fn resize(&self, most: usize, http: usize, entry: usize) {
        self.memory.resize(most, entry);
        self.http.resize(http, entry);
    }

    /// The answer to a request with this very key, if there is one and its time is not over.
    pub async fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.find(key, Duration::ZERO).await
    }

    /// The same, or one whose time has been over for less than `stale`.
    pub async fn find(&self, key: &Key, stale: Duration) -> Option<Arc<Entry>> {
        let mut found = self.memory.find(key, stale);
        if found.is_none() && (self.disk.is_some() || self.common.is_some()) {
            // Boxed: an exchange that finds its answer in memory carries no room for the way to the others.
            found = Box::pin(self.farther(key, stale)).await;
        }
        self.memory.count(found.is_some());
        found
    }

    /// The answer in memory, whose time is not over, for a look that counts neither as a hit nor as a miss.
    pub fn peek(&self, key: &Key) -> Option<Arc<Entry>> {
        self.memory.find(key, Duration::ZERO)
    }

    /// Asks the stores outside this process.
    async fn farther(&self, key: &Key, stale: Duration) -> Option<Arc<Entry>> {
        let serves = |entry: &Entry| {
            (entry.is_fresh(&self.clock) || entry.stale_for(&self.clock) < stale)
                && !self.purges.forbid(entry.stored_at, || pick::labels(key, entry))
        };
        let mut found = None;
        if let Some(disk) = &self.disk {
            found = disk.get(key).await.filter(serves);
        }
        if let (None, Some(common)) = (&found, &self.common) {
            found = common.get(key).await.filter(serves);
        }
        let entry = Arc::new(found?);
        if let Some(stored) = self.memory.take_in(key, &entry)
            && self.purges.forbid(entry.stored_at, || pick::labels(key, &entry))
        {
            // Purged in between.
            self.memory.take_out(&stored);
            return None;
        }
        Some(entry)
    }

    /// The largest body in bytes.
    pub fn entry_limit(&self) -> usize {
        self.memory.entry_limit()
    }

    /// Stores what a recording came to, if it may be kept. `asked` is when its upstream was not yet asked.
    pub fn keep(&self, recorded: Result<Entry, Refusal>, key: Key, asked: SystemTime) -> Result<(), Refusal> {
        self.put(key, Arc::new(recorded.inspect_err(|refusal| self.refuse(*refusal))?), asked)
    }

    /// Stores an answer in place of any other under its key: in memory at once, elsewhere a little later. One that was
    /// `asked` for before it was purged is of the past, whenever it came.
    pub fn put(&self, key: Key, entry: Arc<Entry>, asked: SystemTime) -> Result<(), Refusal> {
        let stored = self.memory.put(key, entry)?;
        // Looked at afterwards: a purge that begins in between finds what is stored.
        if self.purges.forbid(asked, || pick::labels(&stored.key, &stored.entry)) {
            self.memory.take_out(&stored);
            self.refuse(Refusal::Purged);
            return Err(Refusal::Purged);
        }
        if let Some(disk) = &self.disk {
            disk.put(Arc::clone(&stored));
        }
        if let Some(common) = &self.common {
            common.put(stored);
        }
        Ok(())
    }

    /// Counts an answer that was not kept.
    pub fn refuse(&self, refusal: Refusal) {
        self.memory.refuse(refusal);
    }

    /// Takes answers away everywhere, and tells the gates that share them.
    pub async fn purge(&self, pick: &Pick) -> Purged {
        let at = self.clock.wall();
        let mut purged = self.adopt(pick, at);
        if let Some(common) = &self.common {
            purged.redis = Some(common.purge(pick, at).await);
        }
        purged
    }

    /// Takes away what was made before another gate's purge, in this gate's own stores.
    fn adopt(&self, pick: &Pick, at: SystemTime) -> Purged {
        self.purges.remember(at, pick.clone());
        let before = |key: &Key, entry: &Entry| entry.stored_at <= at && pick.picks(key, entry);
        Purged {
            memory: self.memory.purge(before),
            http: self.http.purge(pick, at),
            disk: self.disk.as_ref().map(|disk| disk.purge(pick, at)),
            redis: None,
        }
    }

    /// Writes to the shared Redis what is to be shared, until the process ends.
    pub async fn write_common(&self) {
        if let Some(common) = &self.common {
            common.write().await;
        }
    }

    /// Hears what other gates purge, and what they purged while this one could not hear it, until the process ends. It
    /// tells them to who holds answers `too`.
    pub async fn follow_purges(&self, redis: &Redis, too: impl Fn(&Pick)) {
        let Some(common) = &self.common else { return };
        let (mut news, mut connections) = (redis.news(), redis.connections());
        // It may be connected already.
        connections.mark_changed();
        loop {
            let heard = tokio::select! {
                made = connections.changed() => match made {
                    Ok(()) => common.catch_up().await,
                    Err(_) => return,
                },
                said = news.recv() => match said {
                    Ok(said) => {
                        self.adopt_forgotten(&said);
                        // From now on, whatever the other gate's clock says.
                        let from_now = |(at, pick): (SystemTime, Pick)| (at.max(self.clock.wall()), pick);
                        common::heard(&said).map(from_now).into_iter().collect()
                    }
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => common.catch_up().await,
                },
            };
            for (at, pick) in heard {
                self.adopt(&pick, at);
                too(&pick);
            }
        }
    }

    /// Takes over that an answer is fetched anew; `None` when someone does already.
    pub fn refresh(&self, key: &Key) -> Option<Refresh> {
        self.refreshing.take(*key.hash())
    }

    /// What the memory holds, and what all lookups came to.
    pub fn stats(&self) -> Stats {
        self.memory.stats()
    }

    /// What it holds and did, store by store, for status.
    pub fn show(&self) -> Value {
        let mut shown = self.stats().to_json();
        if let Some(disk) = &self.disk {
            shown["disk"] = disk.show();
        }
        if let Some(why) = &self.diskless {
            shown["disk"] = json!({"why": why});
        }
        if let Some(common) = &self.common {
            shown["redis"] = common.show();
        }
        shown
    }
}

// === impl Purged ===

impl Purged {
    /// What went, as JSON.
    pub fn to_json(self) -> Value {
        let mut purged = json!({"memory": self.memory});
        if self.http > 0 {
            purged["http"] = self.http.into();
        }
        if let Some(disk) = self.disk {
            purged["disk"] = disk.into();
        }
        if let Some(away) = self.redis {
            purged["redis"] = match away {
                Away::Gone(count) => count.into(),
                Away::Later => "does not answer; it is told when it is back".into(),
            };
        }
        purged
    }
}
