//! The one clock: wall time for people and caches, elapsed time for deadlines, virtual when a case is played.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Tells the time. A live gate starts it at the machine's time; a case starts it at a fixed moment on a paused
/// runtime, where time moves only when everything waits.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall time at `started`.
    epoch: SystemTime,
    /// The moment from which elapsed time counts on.
    started: Instant,
    /// Elapsed time at `started`.
    before: Duration,
}

// === impl Clock ===

impl Clock {
    /// A clock that shows the machine's time now and runs on from there without jumps.
    pub fn live() -> Self {
        Self::starting_at(SystemTime::now())
    }

    /// A clock that shows `epoch` now: what a case uses.
    pub fn starting_at(epoch: SystemTime) -> Self {
        Self::resuming(epoch, Duration::ZERO)
    }

    /// A clock that shows `epoch` now, and has been running for `before`.
    pub fn resuming(epoch: SystemTime, before: Duration) -> Self {
        Self { epoch, started: Instant::now(), before }
    }

    /// Wall time.
    pub fn wall(&self) -> SystemTime {
        self.epoch + self.started.elapsed()
    }

    /// Time since the clock was started: monotonic.
    pub fn elapsed(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// Seconds since 1970, with their fraction, as policies see wall time.
    pub fn unix_seconds(&self) -> f64 {
        self.wall().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
    }
}
