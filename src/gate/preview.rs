//! Lanes: generations that answer beside the live one on the same port, to requests that carry a token for them, with
//! state of their own, so that trying a change never shows in what serves.

mod token;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::HeaderMap;
use parking_lot::RwLock;
use serde_json::{Value, json};

use super::live::{LiveSink, Parts};
use super::services::Sink;
use super::{Gate, State, canary};
use crate::admin::Board;
use crate::bundle::Hash;
use crate::cache::{Cache, Flights};
use crate::clock::Clock;
use crate::dialect::keep::Keep;
use crate::error::{Error, Kind};
use crate::exchange::wire::Dial;
use crate::fault::Fault;
use crate::generation::{Candidate, Generation};
use crate::metrics::Metrics;
use crate::state::{Limiter, Shared, Store};
use crate::tape::Ring;
use crate::upstream::dial::Dialer;
use crate::upstream::health::Health;

/// The header that carries a token. It is read here and never forwarded.
pub const PREVIEW: &str = "x-tidegate-preview";

/// What stands behind the generation in answers of previews.
const MARK: &str = "; preview";

/// How many lanes there may be.
pub const MOST: usize = 4;

/// A lane's cache, keep and last exchanges take so many times less than the live ones, so that all lanes together stay
/// below them.
const PART: usize = 2 * MOST;

/// All lanes of a gate.
pub struct Lanes<D: Dial> {
    lanes: RwLock<Vec<Arc<Lane<D>>>>,
    /// Signs tokens; unset until the first lane.
    key: OnceLock<[u8; 32]>,
}

/// A generation beside the live one, in a gate of its own.
pub struct Lane<D: Dial> {
    /// The generation.
    pub hash: Hash,
    /// The gate that serves it.
    pub gate: Arc<Gate<D>>,
    /// Its hook errors.
    board: Arc<Board>,
    /// Seconds after 1970 at which the last of its tokens is over.
    until: AtomicU64,
}

// === impl Lanes ===

impl<D: Dial> Default for Lanes<D> {
    fn default() -> Self {
        Self { lanes: RwLock::default(), key: OnceLock::new() }
    }
}

impl<D: Dial> Lanes<D> {
    /// Sets the key that tokens are signed with, unless one is set.
    pub fn sign_with(&self, key: [u8; 32]) {
        let _ = self.key.set(key);
    }

    /// A token for a generation, good for `time`, and when that is over.
    pub fn token(&self, hash: &Hash, now: SystemTime, time: Duration) -> Option<(String, SystemTime)> {
        let until = seconds(now + time);
        let lane = self.get(hash)?;
        lane.until.fetch_max(until, Ordering::Relaxed);
        Some((token::make(self.key.get()?, &hash.to_string(), until), UNIX_EPOCH + Duration::from_secs(until)))
    }

    /// The lane that a request asks for; `None` when it asks for none. A token that is not good is an error: whoever
    /// wants to see a preview must never see what is live instead.
    pub fn asked(&self, headers: &HeaderMap, clock: Clock) -> Result<Option<Arc<Lane<D>>>, Error> {
        let mut values = headers.get_all(PREVIEW).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let forbidden = |why: &str| Error::client(Kind::Rejected, 403, format!("no preview: {why}"));
        let text = value.to_str().ok().filter(|_| values.next().is_none());
        let forged = || forbidden("the token was not made by this gate");
        let (Some(text), Some(key)) = (text, self.key.get()) else { return Err(forged()) };
        let (generation, _) = token::read(key, text, clock.wall()).map_err(|refused| match refused {
            token::Refused::Forged => forged(),
            token::Refused::Expired => forbidden("the token has expired; `tidegate preview` makes another"),
        })?;
        let lanes = self.lanes.read();
        let lane = lanes.iter().find(|lane| lane.hash.to_string() == generation);
        let gone = || forbidden(&format!("generation {generation} is no longer previewed; `tidegate preview` again"));
        lane.cloned().map(Some).ok_or_else(gone)
    }

    /// The lane of a generation.
    pub fn get(&self, hash: &Hash) -> Option<Arc<Lane<D>>> {
        self.lanes.read().iter().find(|lane| lane.hash == *hash).cloned()
    }

    /// Adds a lane; false when there are too many.
    pub fn add(&self, lane: Lane<D>) -> bool {
        let mut lanes = self.lanes.write();
        let room = lanes.len() < MOST;
        if room {
            lanes.push(Arc::new(lane));
        }
        room
    }

    /// Takes out the lanes that should go; exchanges on them end as they would have.
    pub fn drop_if(&self, goes: impl Fn(&Lane<D>) -> bool) -> Vec<Arc<Lane<D>>> {
        let mut lanes = self.lanes.write();
        let (gone, stay) = std::mem::take(&mut *lanes).into_iter().partition(|lane| goes(lane));
        *lanes = stay;
        gone
    }

    /// The gates of all lanes.
    pub fn gates(&self) -> Vec<Arc<Gate<D>>> {
        self.lanes.read().iter().map(|lane| Arc::clone(&lane.gate)).collect()
    }

    /// The lanes, for status.
    pub fn show(&self) -> Vec<Value> {
        self.lanes.read().iter().map(|lane| lane.show()).collect()
    }
}

// === impl Lane ===

impl<D: Dial> Lane<D> {
    /// Whether all of its tokens are over.
    pub fn is_over(&self, now: SystemTime) -> bool {
        seconds(now) >= self.until.load(Ordering::Relaxed)
    }

    /// When the last of its tokens is over.
    pub fn until(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.until.load(Ordering::Relaxed))
    }

    fn show(&self) -> Value {
        json!({
            "hash": self.hash,
            "until": httpdate::fmt_http_date(self.until()),
            "cache": self.gate.cache.stats().to_json(),
            "hook_errors": self.board.reports(),
        })
    }
}

impl Lane<Dialer> {
    /// A lane beside `live` for a bundle that was checked. It shares connections, time and the limit on bodies in
    /// memory; its store reads what the live one holds and keeps its own writes; all else is its own.
    pub fn beside(
        live: &Gate<Dialer>,
        hash: Hash,
        mut candidate: Candidate,
        number: u64,
        workers: usize,
    ) -> Result<Self, Vec<Fault>> {
        Arc::make_mut(&mut candidate.settings).record.memory /= PART;
        let (board, metrics) = (Arc::new(Board::default()), Arc::new(Metrics::new()));
        let sink: Arc<dyn Sink> = Arc::new(LiveSink::new(Arc::clone(&board), Arc::clone(&metrics)));
        let state = State {
            store: Arc::new(Store::over(&live.state.store)),
            limiter: Arc::new(Limiter::new(live.clock)),
            random: Arc::clone(&live.state.random),
        };
        let health = Arc::new(Health::new(live.clock, Arc::clone(&metrics)));
        let parts = Parts { dial: &live.dial, state: &state, health: &health, clock: live.clock, sink: &sink };
        let built = parts.build(candidate, number, workers)?;
        let generation = marked(built);
        let settings = Arc::clone(&generation.settings);
        let gate = Gate {
            live: ArcSwap::from_pointee(generation),
            dial: live.dial.clone(),
            cache: Cache::in_memory(live.clock, settings.cache.memory / PART, settings.cache.entry)
                .with_http(settings.cache.http / PART),
            shared: Shared::default(),
            flights: Flights::default(),
            keep: Keep::new(settings.limits.thoughts / PART),
            state,
            health,
            clock: live.clock,
            tapes: Ring::default(),
            metrics,
            admission: Arc::clone(&live.admission),
            queues: Arc::clone(&live.queues),
            affinity: Arc::clone(&live.affinity),
            held: live.held.clone(),
            sink,
            canary: Arc::new(canary::Seat::default()),
            lanes: Lanes::default(),
        };
        Ok(Self { hash, gate: Arc::new(gate), board, until: AtomicU64::new(0) })
    }
}

/// Whether the answers of a generation say that they are a preview.
pub fn is_marked(generation: &Generation) -> bool {
    generation.label.ends_with(MARK)
}

/// A generation whose answers always say that they are a preview.
pub fn marked(mut generation: Generation) -> Generation {
    generation.label = format!("{}{MARK}", generation.hash);
    generation.forwarding.generation = true;
    generation
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
