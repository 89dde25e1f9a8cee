//! The rules of the commit point: how long an answer is held back, and when a second attempt is made beside the first.

use std::time::Duration;

pub use crate::settings::HoldUntil as Until;

/// How much of an answer is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What a stream must have said.
    pub until: Until,
    /// The longest time, once a stream has begun to speak or the head of a whole answer is there.
    pub time: Duration,
    /// The most bytes.
    pub bytes: usize,
}

/// When other attempts are begun beside one that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// After so long without a sign.
    pub after: Duration,
    /// How many at most.
    pub most: u32,
}

// === impl Hold ===

impl Default for Hold {
    fn default() -> Self {
        Self { until: Until::Event, time: Duration::from_secs(5), bytes: 64 << 10 }
    }
}
