//! A part of a namespace under one lock: its entries in order of use and of expiry, within their share of the limits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{NamespaceStats, Refused, Value};

/// What an entry costs beside its key and value: its places in the map and in the two orders.
const ENTRY_COST: usize = 256;

/// Some keys and their values.
#[derive(Debug)]
pub(super) struct Shard {
    /// The values.
    slots: HashMap<Arc<str>, Slot>,
    /// Keys by last use, the oldest first.
    by_use: BTreeMap<u64, Arc<str>>,
    /// Keys that expire, by when. The number keeps those of one moment apart.
    by_expiry: BTreeMap<(Duration, u64), Arc<str>>,
    /// Counts uses.
    uses: u64,
    /// What the entries cost.
    bytes: usize,
    /// The most entries.
    max_entries: usize,
    /// The most they may cost.
    max_bytes: usize,
    /// Whether entries are dropped to make room for new ones.
    evicts: bool,
    /// Entries dropped because their time was over.
    expired: u64,
    /// Entries dropped to make room.
    evicted: u64,
    /// Values that found no room.
    refused: u64,
}

/// A value in its place.
#[derive(Debug)]
pub(super) struct Slot {
    /// Shared, so that it can be copied after the lock is gone.
    value: Arc<Value>,
    /// What it costs, its key included.
    cost: usize,
    /// When it was last used; its place in `by_use`.
    used: u64,
    /// When it is over, and the number it has there; its place in `by_expiry`.
    expires: Option<(Duration, u64)>,
}

/// What to do with a value.
#[derive(Debug)]
pub(super) enum Change {
    /// Leave it as it is.
    Keep,
    /// Put another in its place.
    Put {
        /// The new value.
        value: Value,
        /// When it is over, as time on the clock.
        expires: Option<Duration>,
    },
    /// Remove it.
    Remove,
}

// === impl Slot ===

impl Slot {
    /// The value.
    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    /// When it is over, as time on the clock.
    pub(super) fn expires(&self) -> Option<Duration> {
        self.expires.map(|(at, _)| at)
    }
}

// === impl Change ===

impl Change {
    /// Puts a value that is over `ttl` from `now`.
    pub(super) fn put(value: Value, now: Duration, ttl: Option<Duration>) -> Self {
        Self::Put { value, expires: ttl.map(|ttl| now.saturating_add(ttl)) }
    }
}

// === impl Shard ===

impl Shard {
    pub(super) fn new(max_entries: usize, max_bytes: usize, evicts: bool) -> Self {
        Self {
            slots: HashMap::new(),
            by_use: BTreeMap::new(),
            by_expiry: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            max_entries,
            max_bytes,
            evicts,
            expired: 0,
            evicted: 0,
            refused: 0,
        }
    }

    /// The value, which becomes the one last used.
    pub(super) fn get(&mut self, now: Duration, key: &str) -> Option<Arc<Value>> {
        self.current(now, key)?;
        let slot = self.slots.get_mut(key)?;
        if self.evicts
            && slot.used != self.uses
            && let Some(name) = self.by_use.remove(&slot.used)
        {
            self.uses += 1;
            slot.used = self.uses;
            self.by_use.insert(self.uses, name);
        }
        Some(Arc::clone(&slot.value))
    }

    /// The slot, unless its time is over.
    pub(super) fn current(&self, now: Duration, key: &str) -> Option<&Slot> {
        self.slots.get(key).filter(|slot| slot.expires().is_none_or(|at| at > now))
    }

    /// Does what was decided, or refuses and leaves everything as it is.
    pub(super) fn apply(&mut self, now: Duration, key: &str, change: Change, max_value: usize) -> Result<(), Refused> {
        match change {
            Change::Keep => Ok(()),
            Change::Remove => {
                self.remove(key);
                Ok(())
            }
            Change::Put { value, expires } => {
                let size = weight(&value);
                let cost = key.len() + size + ENTRY_COST;
                let fits = if size > max_value || cost > self.max_bytes {
                    Err(Refused::TooLarge)
                } else {
                    self.make_room(now, key, cost)
                };
                self.refused += u64::from(fits.is_err());
                fits.map(|()| self.insert(key, value, cost, expires))
            }
        }
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(slot) = self.slots.remove(key) {
            self.bytes -= slot.cost;
            self.by_use.remove(&slot.used);
            if let Some(place) = slot.expires {
                self.by_expiry.remove(&place);
            }
        }
    }

    /// Adds what it holds to its namespace's figures.
    pub(super) fn add_to(&self, stats: &mut NamespaceStats) {
        stats.entries += self.slots.len();
        stats.bytes += self.bytes;
        stats.expired += self.expired;
        stats.evicted += self.evicted;
        stats.refused += self.refused;
    }

    /// Drops what has expired, then what was not used for longest, until `cost` more bytes under `key` fit.
    fn make_room(&mut self, now: Duration, key: &str, cost: usize) -> Result<(), Refused> {
        while let Some((_, name)) = self.by_expiry.first_key_value().filter(|((at, _), _)| *at <= now) {
            let name = Arc::clone(name);
            self.remove(&name);
            self.expired += 1;
        }
        while !self.fits(key, cost) {
            let Some((_, name)) = self.by_use.first_key_value().filter(|_| self.evicts) else {
                return Err(Refused::Full);
            };
            let name = Arc::clone(name);
            self.evicted += u64::from(*name != *key);
            self.remove(&name);
        }
        Ok(())
    }

    /// Whether `cost` bytes under `key` fit beside everything else.
    fn fits(&self, key: &str, cost: usize) -> bool {
        let (replaced, freed) = self.slots.get(key).map_or((0, 0), |slot| (1, slot.cost));
        self.slots.len() - replaced < self.max_entries && self.bytes - freed + cost <= self.max_bytes
    }

    /// Puts a value in its place, for which there is room.
    fn insert(&mut self, key: &str, value: Value, cost: usize, expires: Option<Duration>) {
        let name = self.slots.get_key_value(key).map_or_else(|| Arc::from(key), |(name, _)| Arc::clone(name));
        self.remove(key);
        self.uses += 1;
        let expires = expires.map(|at| (at, self.uses));
        if let Some(place) = expires {
            self.by_expiry.insert(place, Arc::clone(&name));
        }
        self.by_use.insert(self.uses, Arc::clone(&name));
        self.bytes += cost;
        self.slots.insert(name, Slot { value: Arc::new(value), cost, used: self.uses, expires });
    }
}

/// About how many bytes a value takes in memory.
fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => members.iter().map(|(name, value)| 2 * name.len() + 64 + weight(value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}
