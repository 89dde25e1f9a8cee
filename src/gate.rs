//! What all exchanges share: the live generation, the cache, state, the clock, and the way to endpoints.

pub mod admission;

pub mod background;

pub mod canary;

pub mod live;

pub mod memory;

pub mod preview;

pub mod reload;

pub mod services;

pub mod sharing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::cache::{Cache, Flights};
use crate::clock::Clock;
use crate::dialect::keep::Keep;
use crate::exchange::wire::Dial;
use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::state::{Limiter, Shared, Store};
use crate::tape::Ring;
use crate::upstream::affinity::Affinity;
use crate::upstream::health::Health;
use crate::upstream::queue::Queues;
use admission::Admission;
use memory::Held;
use services::Sink;

/// One gate. A process has one; every case has one of its own.
pub struct Gate<D: Dial> {
    /// The generation that serves now. An exchange loads it once and keeps it.
    pub live: ArcSwap<Generation>,
    /// Opens connections.
    pub dial: D,
    /// Stored responses.
    pub cache: Cache,
    /// What several gates have in common.
    pub shared: Shared,
    /// Calls that equal ones may join.
    pub flights: Flights,
    /// Sealed thoughts that clients cannot carry.
    pub keep: Keep,
    /// What policies keep.
    pub state: State,
    /// What is known of endpoints.
    pub health: Arc<Health>,
    /// The time.
    pub clock: Clock,
    /// The last exchanges, as they can be played again.
    pub tapes: Ring,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The line before the gate.
    pub admission: Arc<Admission>,
    /// The lines before endpoints.
    pub queues: Arc<Queues>,
    /// Where answers were made that requests refer to.
    pub affinity: Arc<Affinity>,
    /// Bytes of bodies held in memory.
    pub held: Held,
    /// Where finished exchanges and policies' log lines go.
    pub sink: Arc<dyn Sink>,
    /// The generation that serves a share of the users, if one does.
    pub canary: Arc<canary::Seat>,
    /// Generations that answer beside the live one to whoever asks for them.
    pub lanes: preview::Lanes<D>,
}

/// State that outlives generations.
#[derive(Clone)]
pub struct State {
    /// The policies' `store`.
    pub store: Arc<Store>,
    /// The policies' `limit`.
    pub limiter: Arc<Limiter>,
    /// Random numbers: from one seed, so that cases repeat.
    pub random: Arc<Random>,
}

/// A sequence of random numbers from one seed (splitmix64, Steele et al. 2014), shared by all workers.
#[derive(Debug)]
pub struct Random(AtomicU64);

// === impl Gate ===

impl<D: Dial> Gate<D> {
    /// A number in `0.0..1.0`, for choices by weight.
    pub fn draw(&self) -> f64 {
        self.state.random.draw()
    }
}

// === impl Random ===

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0.0..1.0`.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are kept, as many as the type has")]
    pub fn draw(&self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Two numbers as one, for ids.
    pub fn wide(&self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }
}
