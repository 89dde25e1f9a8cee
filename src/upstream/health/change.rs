//! What is told of an endpoint whose state changes: to the log, to metrics, and to other gates.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::upstream::breaker::Turn;

/// A change of the state of an endpoint, or of one model of it, as gates tell it to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The model, when only one is meant.
    pub model: Option<String>,
    /// What it became.
    pub state: State,
    /// Until when it is left alone, in milliseconds since 1970; 0 unless it is open.
    pub until: u64,
    /// How often it has opened since it was last closed for long.
    pub openings: u32,
    /// When it changed, in milliseconds since 1970.
    pub at: u64,
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// All is well.
    Closed,
    /// It has to prove itself.
    HalfOpen,
    /// It is left alone.
    Open,
}

/// How many changes a listener may be behind before it misses some.
const BEHIND: usize = 1024;

/// Tells of changes.
#[derive(Debug)]
pub(super) struct Bell {
    changes: broadcast::Sender<Change>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

// === impl State ===

impl State {
    /// The state in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

// === impl Bell ===

impl Bell {
    pub(super) fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { changes: broadcast::Sender::new(BEHIND), metrics, clock }
    }

    /// Changes from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells of a change of this gate's own, and why it came.
    pub(super) fn ring(&self, name: &(String, String), model: Option<&str>, turn: Turn, why: &str) {
        let change = self.change(name, model, turn);
        self.note(&change, why);
        // Nobody listens in a gate that is alone.
        let _ = self.changes.send(change);
    }

    /// Notes a change that another gate told of, which is not told on.
    pub(super) fn note(&self, change: &Change, why: &str) {
        let Change { upstream, endpoint, state, .. } = change;
        self.metrics.breaker(upstream, endpoint, *state, change.model.is_none());
        let model = change.model.as_deref();
        let state = state.as_str();
        let seconds = change.until.saturating_sub(self.unix_millis(Duration::ZERO)).div_ceil(1000);
        let seconds = (change.state == State::Open).then_some(seconds);
        match change.state {
            State::Open => {
                tracing::warn!(target: "tidegate::health", upstream, endpoint, model, state, seconds, why, "an endpoint is left alone");
            }
            State::HalfOpen => {
                tracing::info!(target: "tidegate::health", upstream, endpoint, model, state, why, "an endpoint may prove itself");
            }
            State::Closed => {
                tracing::info!(target: "tidegate::health", upstream, endpoint, model, state, why, "an endpoint is well again");
            }
        }
    }

    /// The time of the gate at which a moment of `change` is, and the time now.
    pub(super) fn until(&self, change: &Change) -> (Duration, Duration) {
        let now = self.clock.elapsed();
        let left = change.until.saturating_sub(self.unix_millis(Duration::ZERO));
        (now + Duration::from_millis(left), now)
    }

    /// How long ago a change was.
    pub(super) fn since(&self, change: &Change) -> Duration {
        Duration::from_millis(self.unix_millis(Duration::ZERO).saturating_sub(change.at))
    }

    fn change(&self, (upstream, endpoint): &(String, String), model: Option<&str>, turn: Turn) -> Change {
        let (state, until, openings) = match turn {
            Turn::Opened { until, openings } => (State::Open, self.moment(until), openings),
            Turn::HalfOpened => (State::HalfOpen, 0, 0),
            Turn::Closed => (State::Closed, 0, 0),
        };
        Change {
            upstream: upstream.clone(),
            endpoint: endpoint.clone(),
            model: model.map(str::to_owned),
            state,
            until,
            openings,
            at: self.unix_millis(Duration::ZERO),
        }
    }

    /// A moment of the gate's time, in milliseconds since 1970.
    pub(super) fn moment(&self, at: Duration) -> u64 {
        self.unix_millis(at.saturating_sub(self.clock.elapsed()))
    }

    fn unix_millis(&self, from_now: Duration) -> u64 {
        let at = self.clock.wall() + from_now;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
