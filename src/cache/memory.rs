//! Answers in memory: bounded by bytes, shared by all workers, forgotten when their time is over.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use serde_json::{Map, Value, json};

use super::admit::Refusal;
use super::entry::Entry;
use super::key::Key;
use crate::clock::Clock;

#[cfg(test)]
mod tests;

/// Bytes a shard holds at least, so that large answers find room however many cores there are.
const SHARD_BYTES: usize = 64 << 20;

/// The bytes of a usual answer, from which the cache plans its tables.
const USUAL_BYTES: usize = 16 << 10;

/// A cache in memory.
#[derive(Debug)]
pub(super) struct MemoryCache {
    /// Tells when entries are over.
    clock: Clock,
    /// The largest body in bytes.
    max_entry_bytes: AtomicUsize,
    /// The entries by the hashes of their keys.
    entries: Cache<[u8; 32], Arc<Stored>, ByBytes, DefaultHashBuilder, CountEvictions>,
    /// What happened so far.
    counts: Counts,
}

/// What the cache holds and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that found an answer.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Answers stored.
    pub stored: u64,
    /// Answers that gave way to others, or to a newer one of their own key.
    pub evicted: u64,
    /// Bytes now, keys and headers included.
    pub bytes: u64,
    /// Answers now, expired ones that nobody has asked for since included.
    pub entries: usize,
    /// Answers that were not kept, by reason; only reasons that occurred.
    pub refused: Vec<(Refusal, u64)>,
}

/// An entry with the key it was stored under.
#[derive(Debug)]
pub(super) struct Stored {
    /// Compared at every lookup: a hash alone must never serve one user's answer to another.
    pub(super) key: Key,
    /// The answer.
    pub(super) entry: Arc<Entry>,
}

/// Weighs entries by their bytes.
#[derive(Clone, Debug)]
struct ByBytes;

/// Counts entries that had to make room.
#[derive(Clone, Debug, Default)]
struct CountEvictions(Arc<AtomicU64>);

/// Counters behind [`Stats`].
#[derive(Debug, Default)]
struct Counts {
    /// Lookups that found an answer.
    hits: AtomicU64,
    /// Lookups that did not.
    misses: AtomicU64,
    /// Answers stored.
    stored: AtomicU64,
    /// Answers dropped to make room.
    evicted: CountEvictions,
    /// Answers not kept, in the order of [`Refusal::ALL`].
    refused: [AtomicU64; Refusal::ALL.len()],
}

// === impl MemoryCache ===

impl MemoryCache {
    /// An empty cache for at most `max_bytes`, with bodies of at most `max_entry_bytes`.
    pub(super) fn new(clock: Clock, max_bytes: usize, max_entry_bytes: usize) -> Self {
        let counts = Counts::default();
        let shards = (max_bytes / SHARD_BYTES).clamp(1, 16);
        // Rounded down, since the cache itself would round up to a power of two.
        let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
        let items = (max_bytes / USUAL_BYTES).clamp(1024, 1 << 18);
        let max_bytes = max_bytes as u64;
        let (hasher, evicted) = (DefaultHashBuilder::default(), counts.evicted.clone());
        let options =
            OptionsBuilder::new().shards(shards).estimated_items_capacity(items).weight_capacity(max_bytes).build();
        let entries = match options {
            Ok(options) => Cache::with_options(options, ByBytes, hasher, evicted),
            Err(_) => Cache::with(items, max_bytes, ByBytes, hasher, evicted),
        };
        let max_entry_bytes = AtomicUsize::new(max_entry_bytes);
        Self { clock, max_entry_bytes, entries, counts }
    }

    /// Changes the limits. Entries that no longer fit are dropped.
    pub(super) fn resize(&self, max_bytes: usize, max_entry_bytes: usize) {
        self.max_entry_bytes.store(max_entry_bytes, Ordering::Relaxed);
        self.entries.set_capacity(max_bytes as u64);
    }

    /// The largest body in bytes.
    pub(super) fn entry_limit(&self) -> usize {
        self.max_entry_bytes.load(Ordering::Relaxed)
    }

    /// The answer to a request with this very key, if there is one and its time is over for no longer than `stale`.
    pub(super) fn find(&self, key: &Key, stale: Duration) -> Option<Arc<Entry>> {
        let stored = self.entries.get(key.hash()).filter(|stored| stored.key == *key)?;
        if stored.entry.is_fresh(&self.clock) || stored.entry.stale_for(&self.clock) < stale {
            return Some(Arc::clone(&stored.entry));
        }
        if !stored.entry.is_of_use(&self.clock) {
            // Only this one: a fresh answer may have taken its place since.
            self.take_out(&stored);
        }
        None
    }

    /// Counts a lookup.
    pub(super) fn count(&self, found: bool) {
        let count = if found { &self.counts.hits } else { &self.counts.misses };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Stores an answer in place of any other under its key. Refuses one that takes more than half of a shard, since
    /// it would drive out too many others.
    pub(super) fn put(&self, key: Key, entry: Arc<Entry>) -> Result<Arc<Stored>, Refusal> {
        let stored = Arc::new(Stored { key, entry });
        if stored.weight() > self.entries.shard_capacity() / 2 {
            self.refuse(Refusal::TooLarge);
            return Err(Refusal::TooLarge);
        }
        self.counts.stored.fetch_add(1, Ordering::Relaxed);
        self.entries.insert(*stored.key.hash(), Arc::clone(&stored));
        Ok(stored)
    }

    /// Takes in an answer that another store had, unless it is too large.
    pub(super) fn take_in(&self, key: &Key, entry: &Arc<Entry>) -> Option<Arc<Stored>> {
        let stored = Arc::new(Stored { key: key.clone(), entry: Arc::clone(entry) });
        if stored.weight() > self.entries.shard_capacity() / 2 {
            return None;
        }
        self.entries.insert(*key.hash(), Arc::clone(&stored));
        Some(stored)
    }

    /// Takes out this very answer.
    pub(super) fn take_out(&self, stored: &Arc<Stored>) {
        self.entries.remove_if(stored.key.hash(), |now| Arc::ptr_eq(now, stored));
    }

    /// Counts an answer that was not kept.
    pub(super) fn refuse(&self, refusal: Refusal) {
        for (count, reason) in self.counts.refused.iter().zip(Refusal::ALL) {
            if reason == refusal {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Drops the answers that `picks` chooses, and those that are of no more use. Says how many it chose.
    pub(super) fn purge(&self, picks: impl Fn(&Key, &Entry) -> bool) -> usize {
        let dropped = Cell::new(0);
        self.entries.retain(|_, stored| {
            let of_use = stored.entry.is_of_use(&self.clock);
            let pick = of_use && picks(&stored.key, &stored.entry);
            dropped.set(dropped.get() + usize::from(pick));
            of_use && !pick
        });
        dropped.get()
    }

    /// What it holds and did.
    pub(super) fn stats(&self) -> Stats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let refused = Refusal::ALL.into_iter().zip(self.counts.refused.iter().map(read));
        Stats {
            hits: read(&self.counts.hits),
            misses: read(&self.counts.misses),
            stored: read(&self.counts.stored),
            evicted: read(&self.counts.evicted.0),
            bytes: self.entries.weight(),
            entries: self.entries.len(),
            refused: refused.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

// === impl Stats ===

impl Stats {
    /// The figures as JSON, for status.
    pub fn to_json(&self) -> Value {
        let refused: Map<String, Value> =
            self.refused.iter().map(|(reason, count)| (reason.as_str().to_owned(), Value::from(*count))).collect();
        json!({
            "hits": self.hits,
            "misses": self.misses,
            "stored": self.stored,
            "evicted": self.evicted,
            "bytes": self.bytes,
            "entries": self.entries,
            "refused": refused,
        })
    }
}

// === impl Stored ===

impl Stored {
    /// About how many bytes it takes in memory.
    fn weight(&self) -> u64 {
        (self.key.weight() + self.entry.weight()) as u64
    }
}

// === impl ByBytes ===

impl Weighter<[u8; 32], Arc<Stored>> for ByBytes {
    fn weight(&self, _: &[u8; 32], stored: &Arc<Stored>) -> u64 {
        stored.weight()
    }
}

// === impl CountEvictions ===

impl Lifecycle<[u8; 32], Arc<Stored>> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: [u8; 32], _: Arc<Stored>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
