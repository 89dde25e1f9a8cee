//! Where answers are kept: in memory, bounded by bytes, all of one URL together.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use serde_json::{Value, json};

use super::Variants;
use crate::cache::purges::Purges;
use crate::cache::{Key, Pick, pick};

/// The bytes of a usual answer, from which the place plans its tables.
const USUAL_BYTES: usize = 16 << 10;

/// Bytes that a shard holds at least.
const SHARD_BYTES: usize = 64 << 20;

/// Answers kept by RFC 9111.
#[derive(Debug)]
pub struct HttpCache {
    /// The largest body in bytes.
    max_entry_bytes: AtomicUsize,
    /// What is kept of each URL, by the hashes of their keys.
    slots: Cache<[u8; 32], Arc<Slot>, ByBytes, DefaultHashBuilder>,
    /// Held while what is kept of a URL changes, so that no change is lost.
    changing: Mutex<()>,
    /// What was purged or forgotten lately: what was asked for before is not kept.
    purges: Purges,
    /// What happened so far.
    counts: Counts,
}

/// What is kept of one URL.
#[derive(Debug)]
struct Slot {
    /// Compared at every look: a hash alone must never serve an answer of another URL or user.
    key: Key,
    /// Words to purge it by.
    tags: Vec<String>,
    variants: Arc<Variants>,
}

/// What became of a change.
#[derive(Clone, Debug)]
pub enum Changed {
    /// This is kept of the URL now.
    Into(Arc<Variants>),
    /// Nothing is: there is nothing, or too much.
    Nothing,
    /// It was not made: its answer was purged or forgotten since it was asked for.
    Forbidden,
}

/// Weighs by bytes.
#[derive(Clone, Debug)]
struct ByBytes;

/// Counters, for status.
#[derive(Debug, Default)]
pub struct Counts {
    /// Kept answers that served.
    pub hits: AtomicU64,
    /// Of these, those that an upstream was asked about first.
    pub revalidated: AtomicU64,
    /// Of these, those that were stale.
    pub stale: AtomicU64,
    /// Requests that went on to an upstream.
    pub misses: AtomicU64,
    /// Answers kept.
    pub stored: AtomicU64,
    /// URLs forgotten because something was changed there.
    pub invalidated: AtomicU64,
}

// === impl HttpCache ===

impl HttpCache {
    /// An empty place for at most `max_bytes`, with bodies of at most `max_entry_bytes`.
    pub fn new(max_bytes: usize, max_entry_bytes: usize) -> Self {
        let items = (max_bytes / USUAL_BYTES).clamp(64, 1 << 18);
        let shards = (max_bytes / SHARD_BYTES).clamp(1, 16);
        let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
        let hasher = DefaultHashBuilder::default();
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(items)
            .weight_capacity(max_bytes as u64)
            .build();
        let slots = match options {
            Ok(options) => Cache::with_options(options, ByBytes, hasher, DefaultLifecycle::default()),
            Err(_) => Cache::with(items, max_bytes as u64, ByBytes, hasher, DefaultLifecycle::default()),
        };
        let max_entry_bytes = AtomicUsize::new(max_entry_bytes);
        Self { max_entry_bytes, slots, changing: Mutex::new(()), purges: Purges::default(), counts: Counts::default() }
    }

    /// Changes the limits. What no longer fits is dropped.
    pub fn resize(&self, max_bytes: usize, max_entry_bytes: usize) {
        self.max_entry_bytes.store(max_entry_bytes, Ordering::Relaxed);
        self.slots.set_capacity(max_bytes as u64);
    }

    /// The largest body that is kept, in bytes.
    pub fn max_entry_bytes(&self) -> usize {
        self.max_entry_bytes.load(Ordering::Relaxed)
    }

    /// What is kept of a URL.
    pub fn get(&self, key: &Key) -> Option<Arc<Variants>> {
        self.slots.get(key.hash()).filter(|slot| slot.key == *key).map(|slot| Arc::clone(&slot.variants))
    }

    /// Changes what is kept of a URL, by an answer that was `asked` for then, and says what became of it.
    pub fn change(
        &self,
        key: &Key,
        tags: &[String],
        asked: SystemTime,
        change: impl FnOnce(&Variants) -> Variants,
    ) -> Changed {
        let _changing = self.changing.lock();
        if self.purges.forbid(asked, || pick::known(key, tags)) {
            return Changed::Forbidden;
        }
        let variants = Arc::new(change(&self.get(key).unwrap_or_default()));
        let slot = Arc::new(Slot { key: key.clone(), tags: tags.to_vec(), variants: Arc::clone(&variants) });
        if variants.is_empty() || slot.weight() > self.slots.shard_capacity() / 2 {
            self.slots.remove(key.hash());
            return Changed::Nothing;
        }
        self.slots.insert(*key.hash(), slot);
        Changed::Into(variants)
    }

    /// Takes away what is meant, and what is on its way. Says how many answers went.
    pub fn purge(&self, pick: &Pick, at: SystemTime) -> usize {
        let _changing = self.changing.lock();
        self.purges.remember(at, pick.clone());
        let gone = Cell::new(0);
        self.slots.retain(|_, slot| {
            let goes = pick.is_among(&pick::known(&slot.key, &slot.tags));
            gone.set(gone.get() + if goes { slot.variants.iter().count() } else { 0 });
            !goes
        });
        gone.get()
    }

    /// Forgets what is kept of a URL, by the hash of its key, and what is on its way.
    pub fn forget(&self, hash: &[u8; 32], at: SystemTime) {
        let _changing = self.changing.lock();
        // What is asked for from this very moment on is of the new state.
        let before = at.checked_sub(Duration::from_nanos(1)).unwrap_or(at);
        self.purges.remember(before, Pick::Key(blake3::Hash::from_bytes(*hash).to_hex().to_string()));
        if self.slots.remove(hash).is_some() {
            self.counts.invalidated.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The figures as JSON, for status; `None` when no policy has made use of it yet.
    pub fn to_json(&self) -> Option<Value> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        let (hits, misses) = (read(&counts.hits), read(&counts.misses));
        (hits + misses > 0).then(|| {
            json!({
                "hits": hits,
                "revalidated": read(&counts.revalidated),
                "stale": read(&counts.stale),
                "misses": misses,
                "stored": read(&counts.stored),
                "invalidated": read(&counts.invalidated),
                "bytes": self.slots.weight(),
                "urls": self.slots.len(),
            })
        })
    }
}

// === impl Slot ===

impl Slot {
    fn weight(&self) -> u64 {
        (self.key.weight() + self.variants.weight()) as u64
    }
}

// === impl ByBytes ===

impl Weighter<[u8; 32], Arc<Slot>> for ByBytes {
    fn weight(&self, _: &[u8; 32], slot: &Arc<Slot>) -> u64 {
        slot.weight()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method, StatusCode};

    use super::super::admit::Asked;
    use super::super::freshness::Times;
    use super::super::{Rule, Stored};
    use super::*;
    use crate::cache::Form;
    use crate::exchange::decision::{CacheRule, Scope};

    const RULE: Rule = Rule { heuristic: true, surrogate: true };

    fn key(path: &str) -> Key {
        let rule = CacheRule {
            ttl: Duration::ZERO,
            scope: Scope::Shared,
            read: true,
            write: true,
            http: Some(RULE),
            ..CacheRule::default()
        };
        let form = Form { method: "GET", path, dialect: None, stream: None, upstream: "", model: None };
        Key::new(Vec::new(), &rule, None, "policies", &form)
    }

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
    }

    fn stored(bytes: usize) -> Arc<Stored> {
        let (headers, now) = (HeaderMap::new(), noon());
        let asked = Asked { method: &Method::GET, headers: &headers, target: "/", host: None };
        let answer = [("Cache-Control".to_owned(), Bytes::from_static(b"max-age=60"))];
        let times = Times { asked: now, came: now };
        let stored = Stored::new(&asked, StatusCode::OK, &answer, times, RULE).unwrap();
        Arc::new(stored.with_body(Bytes::from(vec![0; bytes])).unwrap())
    }

    fn change(cache: &HttpCache, path: &str, asked: SystemTime, by: impl FnOnce(&Variants) -> Variants) -> bool {
        !matches!(cache.change(&key(path), &["charts".to_owned()], asked, by), Changed::Forbidden)
    }

    fn put(cache: &HttpCache, path: &str, bytes: usize) {
        assert!(change(cache, path, noon(), |variants| variants.with(stored(bytes), &HeaderMap::new())));
    }

    #[test]
    fn what_is_kept_of_one_url_is_found_there_until_it_is_forgotten() {
        let cache = HttpCache::new(1 << 20, 1 << 16);
        put(&cache, "/a", 10);
        assert!(cache.get(&key("/a")).is_some() && cache.get(&key("/b")).is_none());
        let later = noon() + Duration::from_secs(1);
        cache.forget(key("/a").hash(), later);
        assert!(cache.get(&key("/a")).is_none());
        change(&cache, "/b", noon(), Variants::clone);
        assert!(cache.get(&key("/b")).is_none(), "nothing takes no room");
        assert!(!change(&cache, "/a", noon(), Variants::clone), "it was asked for before");
        assert!(change(&cache, "/a", later + Duration::from_secs(1), Variants::clone));
    }

    #[test]
    fn a_purge_takes_what_is_meant() {
        let cache = HttpCache::new(1 << 20, 1 << 16);
        put(&cache, "/a", 10);
        put(&cache, "/b", 10);
        let purge = |name: &str, value: &str| cache.purge(&Pick::read(name, value).unwrap(), noon());
        assert_eq!((purge("tag", "maps"), purge("user", "ann"), purge("model", "m")), (0, 0, 0));
        assert_eq!((purge("key", &key("/a").hash_hex()), purge("tag", "charts"), purge("all", "")), (1, 1, 0));
    }

    #[test]
    fn all_together_stay_below_their_limit() {
        let cache = HttpCache::new(1 << 20, 1 << 16);
        for path in 0..400 {
            put(&cache, &format!("/{path}"), 10_000);
        }
        assert!(cache.slots.weight() <= 1 << 20, "{} bytes", cache.slots.weight());
        put(&cache, "/large", 900_000);
        assert!(cache.get(&key("/large")).is_none(), "one that would drive out all others");
    }
}
