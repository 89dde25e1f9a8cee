//! Limits on how often something may happen: the generic cell rate algorithm (ITU-T I.371, annex A), which needs one
//! number a key and no timer.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// Parts of the table, a power of two, so that keys seldom wait for each other.
const SHARDS: usize = 64;

/// The most keys of one part: about 100 MB in all parts at their fullest, with short keys.
const KEYS_PER_SHARD: usize = 16_384;

/// How many old keys are looked at when a key is new: two, so that idle ones go faster than new ones come.
const GLANCES: usize = 2;

/// How often something may happen, and what this time costs.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Tokens that come back in `per`. Above 0.
    pub rate: f64,
    /// The time they take. Above 0.
    pub per: Duration,
    /// Tokens that can be taken at once after a rest. Above 0.
    pub burst: f64,
    /// Tokens to take now. 0 looks without taking.
    pub cost: f64,
}

/// What became of the wish.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// Whether the tokens were taken.
    pub ok: bool,
    /// Tokens that are left now.
    pub remaining: f64,
    /// How long until the same wish can be met; zero when it was. A cost above the burst can never be met: then it
    /// is the time until all tokens are back.
    pub retry_after: Duration,
}

/// Counts for many keys at once.
#[derive(Debug)]
pub struct Limiter {
    /// Brings the tokens back.
    clock: Clock,
    /// Chooses a key's shard.
    hasher: RandomState,
    /// The parts of the table.
    shards: Box<[Mutex<Shard>]>,
    /// The most keys of one part.
    keys_per_shard: usize,
}

/// A part of the table.
#[derive(Debug, Default)]
struct Shard {
    /// For each key, the time in seconds on the clock at which all its tokens are back.
    full_at: HashMap<Arc<str>, f64>,
    /// The keys, each once, in the order in which they will be looked at to see whether they are idle.
    round: VecDeque<Arc<str>>,
}

// === impl Limiter ===

impl Limiter {
    /// A limiter that has seen nothing.
    pub fn new(clock: Clock) -> Self {
        Self::with_keys(clock, SHARDS, KEYS_PER_SHARD)
    }

    /// A limiter of another size. `shards` is a power of two.
    fn with_keys(clock: Clock, shards: usize, keys_per_shard: usize) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(shards).collect();
        Self { clock, hasher: RandomState::new(), shards, keys_per_shard }
    }

    /// Takes tokens for `key`, or none. A rate that is not one (zero, negative, not a number) is never met.
    pub fn take(&self, key: &str, rate: Rate) -> Taken {
        let interval = rate.per.as_secs_f64() / rate.rate;
        if !(interval > 0.0 && interval.is_finite() && rate.burst > 0.0 && rate.cost >= 0.0) {
            return Taken { ok: false, remaining: 0.0, retry_after: rate.per };
        }
        let hash = self.hasher.hash_one(key).to_le_bytes();
        let mut shard = self.shards[usize::from(hash[0]) & (self.shards.len() - 1)].lock();
        // The time is read under the lock: read before, it could be older than what another thread stored.
        let now = self.clock.elapsed().as_secs_f64();
        let full_at = shard.full_at.get(key).map_or(now, |at| at.max(now));
        let taken = decide(rate, interval, full_at - now);
        if taken.ok && rate.cost > 0.0 {
            shard.put(key, full_at + rate.cost * interval, now, self.keys_per_shard);
        }
        taken
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().full_at.len()).sum()
    }
}

/// Decides on a wish when a token takes `interval` seconds to come back and all tokens are back `wait` seconds from now.
fn decide(rate: Rate, interval: f64, wait: f64) -> Taken {
    let over = wait + (rate.cost - rate.burst) * interval;
    // A millionth of a token makes up for rounding, so that a burst of 10 is ten takes of 1.
    let ok = over <= interval * 1e-6;
    let wait = if ok { wait + rate.cost * interval } else { wait };
    let retry_after = match ok {
        true => 0.0,
        false if rate.cost > rate.burst => wait,
        false => over,
    };
    Taken {
        ok,
        remaining: (rate.burst - wait / interval).max(0.0),
        retry_after: Duration::try_from_secs_f64(retry_after).unwrap_or(Duration::MAX),
    }
}

// === impl Shard ===

impl Shard {
    /// Remembers when a key's tokens are back.
    fn put(&mut self, key: &str, full_at: f64, now: f64, max_keys: usize) {
        if let Some(place) = self.full_at.get_mut(key) {
            *place = full_at;
            return;
        }
        for _ in 0..GLANCES {
            self.forget_if_idle(now);
        }
        if self.full_at.len() >= max_keys {
            self.forget_one();
        }
        let key: Arc<str> = Arc::from(key);
        self.round.push_back(Arc::clone(&key));
        self.full_at.insert(key, full_at);
    }

    /// Looks at the next key and forgets it when all its tokens are back, which is what an unknown key has, too.
    fn forget_if_idle(&mut self, now: f64) {
        if let Some(key) = self.round.pop_front() {
            if self.full_at.get(&key).is_some_and(|at| *at <= now) {
                self.full_at.remove(&key);
            } else {
                self.round.push_back(key);
            }
        }
    }

    /// Makes room when no idle key was found: forgets the one, of a few, that is soonest idle.
    fn forget_one(&mut self) {
        let candidates = self.round.iter().take(16).enumerate();
        let soonest = candidates.min_by(|(_, a), (_, b)| {
            let at = |key: &Arc<str>| self.full_at.get(key).copied().unwrap_or_default();
            at(a).total_cmp(&at(b))
        });
        if let Some(key) = soonest.map(|(index, _)| index).and_then(|index| self.round.remove(index)) {
            self.full_at.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
