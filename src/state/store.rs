//! The store of policies: in process, bounded, atomic; it outlives generations because the gate owns it, not a policy.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

mod overlay;
mod shard;
#[cfg(test)]
mod tests;

use overlay::Below;
use shard::{Change, Shard};

/// What is stored: JSON, always a copy.
pub type Value = serde_json::Value;

/// Namespaces that start so never evict. They hold counters, and a forgotten counter is a limit that nobody keeps.
const COUNTERS: &str = "counters:";

/// Entries a shard should be able to hold before a namespace is cut into more than one.
const ENTRIES_PER_SHARD: usize = 1024;

/// The most shards of one namespace.
const MAX_SHARDS: usize = 16;

/// How much a store may hold. Each namespace has all of it, except `namespaces`.
#[derive(Clone, Copy, Debug)]
pub struct StoreLimits {
    /// Entries in one namespace.
    pub entries: usize,
    /// Bytes in one namespace: keys, values, and what it costs to keep them.
    pub bytes: usize,
    /// Bytes of one value.
    pub value_bytes: usize,
    /// Namespaces. One more is refused.
    pub namespaces: usize,
}

/// Why a value was not stored. [`Self::as_str`] is what policies see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// The namespace holds as much as it may and does not evict, or there are too many namespaces.
    Full,
    /// The value alone is larger than the limit.
    TooLarge,
    /// What should be counted up is not a number, or the sum is not.
    NotANumber,
}

/// What one namespace holds and has lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceStats {
    /// Its name.
    pub name: String,
    /// Entries now, expired ones that nobody has touched since included.
    pub entries: usize,
    /// Bytes now.
    pub bytes: usize,
    /// Entries dropped because their time was over.
    pub expired: u64,
    /// Entries dropped to make room.
    pub evicted: u64,
    /// Values that found no room.
    pub refused: u64,
}

/// Named values for policies, kept apart by namespace.
#[derive(Debug)]
pub struct Store {
    /// Tells when values expire.
    clock: Clock,
    /// How much may be held.
    limits: StoreLimits,
    /// The namespaces that were ever written to.
    namespaces: DashMap<Box<str>, Arc<Namespace>>,
    /// The store that this one lies over, if it does.
    below: Option<Below>,
}

/// One namespace, cut into shards so that keys do not wait for each other.
#[derive(Debug)]
struct Namespace {
    /// Chooses a key's shard.
    hasher: RandomState,
    /// A power of two of them, each with its share of the limits.
    shards: Box<[Mutex<Shard>]>,
}

// === impl StoreLimits ===

impl Default for StoreLimits {
    fn default() -> Self {
        Self { entries: 100_000, bytes: 64 << 20, value_bytes: 1 << 20, namespaces: 256 }
    }
}

impl StoreLimits {
    /// How many shards a namespace has: one when it is small, so that its limits are exact; never so many that a
    /// shard could hold fewer than four of the largest values.
    fn shards(&self) -> usize {
        let by_entries = self.entries / ENTRIES_PER_SHARD;
        let by_bytes = self.bytes / self.value_bytes.max(1) / 4;
        let shards = by_entries.min(by_bytes).clamp(1, MAX_SHARDS);
        if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 }
    }
}

// === impl Refused ===

impl Refused {
    /// Its name in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::TooLarge => "too_large",
            Self::NotANumber => "not_a_number",
        }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Refused {}

// === impl Store ===

impl Store {
    /// An empty store.
    pub fn new(clock: Clock, limits: StoreLimits) -> Self {
        Self { clock, limits, namespaces: DashMap::new(), below: None }
    }

    /// The value, unless it is missing, expired or evicted.
    pub fn get(&self, ns: &str, key: &str) -> Option<Value> {
        if let Some(below) = self.below.as_ref().filter(|below| !below.is_covered(ns, key)) {
            return below.peek(ns, key).map(|(value, _)| value);
        }
        let namespace = Arc::clone(self.namespaces.get(ns)?.value());
        let value = namespace.shard(key).lock().get(self.clock.elapsed(), key)?;
        Some((*value).clone())
    }

    /// Stores the value in place of any other. Without a `ttl` it stays until it is evicted.
    pub fn set(&self, ns: &str, key: &str, value: Value, ttl: Option<Duration>) -> Result<(), Refused> {
        self.change(ns, key, |_, now| Ok((Change::put(value, now, ttl), ())))
    }

    /// Stores the value only if there is none. Says whether it did.
    pub fn add(&self, ns: &str, key: &str, value: Value, ttl: Option<Duration>) -> Result<bool, Refused> {
        self.change(ns, key, |current, now| match current {
            Some(_) => Ok((Change::Keep, false)),
            None => Ok((Change::put(value, now, ttl), true)),
        })
    }

    /// Adds to a number, which starts at 0, and returns the sum. The `ttl` counts from the first call only, so that
    /// a counter that never rests still ends.
    pub fn incr(&self, ns: &str, key: &str, by: f64, ttl: Option<Duration>) -> Result<f64, Refused> {
        self.change(ns, key, |current, now| {
            let before = current.map_or(Some(0.0), |slot| slot.value().as_f64()).ok_or(Refused::NotANumber)?;
            let sum = before + by;
            let value = number(sum).ok_or(Refused::NotANumber)?;
            let change = match current {
                Some(slot) => Change::Put { value, expires: slot.expires() },
                None => Change::put(value, now, ttl),
            };
            Ok((change, sum))
        })
    }

    /// Stores `new`, or removes the value when it is `None`, only if the present value is `old`; `None` stands for
    /// no value. Says whether it did. Numbers are equal when they count the same: 1 and 1.0.
    pub fn cas(
        &self,
        ns: &str,
        key: &str,
        old: Option<&Value>,
        new: Option<Value>,
        ttl: Option<Duration>,
    ) -> Result<bool, Refused> {
        self.change(ns, key, |current, now| {
            let same = match (current, old) {
                (Some(slot), Some(old)) => same(slot.value(), old),
                (None, None) => true,
                _ => false,
            };
            let change = match new {
                _ if !same => Change::Keep,
                Some(value) => Change::put(value, now, ttl),
                None => Change::Remove,
            };
            Ok((change, same))
        })
    }

    /// Removes the value. Says whether there was one.
    pub fn delete(&self, ns: &str, key: &str) -> bool {
        if self.cover(ns, key).is_err() {
            return false;
        }
        let Some(namespace) = self.namespaces.get(ns).map(|namespace| Arc::clone(&namespace)) else {
            return false;
        };
        let mut shard = namespace.shard(key).lock();
        let found = shard.current(self.clock.elapsed(), key).is_some();
        shard.remove(key);
        found
    }

    /// What each namespace holds, by name.
    pub fn stats(&self) -> Vec<NamespaceStats> {
        let mut all: Vec<_> = self.namespaces.iter().map(|entry| entry.value().stats(entry.key())).collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Looks at a value and changes it in one step.
    fn change<R>(
        &self,
        ns: &str,
        key: &str,
        decide: impl FnOnce(Option<&shard::Slot>, Duration) -> Result<(Change, R), Refused>,
    ) -> Result<R, Refused> {
        self.cover(ns, key)?;
        let namespace = self.namespace(ns)?;
        let now = self.clock.elapsed();
        let mut shard = namespace.shard(key).lock();
        let (change, answer) = decide(shard.current(now, key), now)?;
        shard.apply(now, key, change, self.limits.value_bytes)?;
        Ok(answer)
    }

    /// The namespace, made at its first use.
    fn namespace(&self, ns: &str) -> Result<Arc<Namespace>, Refused> {
        if let Some(namespace) = self.namespaces.get(ns) {
            return Ok(Arc::clone(&namespace));
        }
        if self.namespaces.len() >= self.limits.namespaces {
            return Err(Refused::Full);
        }
        let made = self.namespaces.entry(ns.into()).or_insert_with(|| Arc::new(Namespace::new(ns, &self.limits)));
        Ok(Arc::clone(&made))
    }
}

// === impl Namespace ===

impl Namespace {
    fn new(name: &str, limits: &StoreLimits) -> Self {
        let count = limits.shards();
        let shard =
            || Mutex::new(Shard::new(limits.entries / count, limits.bytes / count, !name.starts_with(COUNTERS)));
        Self { hasher: RandomState::new(), shards: std::iter::repeat_with(shard).take(count).collect() }
    }

    /// The shard that a key belongs to.
    fn shard(&self, key: &str) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(key).to_le_bytes();
        &self.shards[usize::from(hash[0]) & (self.shards.len() - 1)]
    }

    fn stats(&self, name: &str) -> NamespaceStats {
        let mut stats = NamespaceStats { name: name.to_owned(), ..NamespaceStats::default() };
        for shard in &self.shards {
            shard.lock().add_to(&mut stats);
        }
        stats
    }
}

/// The largest whole number below which every whole number has an `f64` of its own: 2^53.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// A number as JSON, whole ones without a fraction. `None` when it is not finite.
fn number(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
        return Some(Value::from(value as i64));
    }
    serde_json::Number::from_f64(value).map(Value::Number)
}

/// Whether two values say the same, 1 and 1.0 included: policies know only one kind of number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64().is_some_and(|x| Some(x) == y.as_f64()),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(name, x)| y.get(name).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}
