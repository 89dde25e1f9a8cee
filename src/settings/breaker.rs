//! Settings of when an endpoint that fails is left alone, and of how often a request may be tried again.

use std::num::NonZeroU32;
use std::time::Duration;

use super::limits::at_least_one;
use super::section::{choice, section};

section! {
    /// When an endpoint that fails is left alone for a while. Attempts are counted, not requests; streams at their end.
    /// Connection failures, timeouts, garbage, cut streams, error events, 408 and 5xx are failures; 429 and 529 are not:
    /// such an endpoint is passed over for as long as it asks. What the client did wrong never counts.
    pub struct Breaker {
        /// Whether endpoints are left alone at all.
        on: bool = true => reload;
        /// Failures in a row that open it.
        consecutive: NonZeroU32 = at_least_one(5) => reload;
        /// Percent of failures within `window` that open it, from `of` attempts on.
        percent: NonZeroU32 = at_least_one(50) => reload;
        /// Attempts within `window` before `percent` counts.
        of: NonZeroU32 = at_least_one(20) => reload;
        /// The time in which attempts are counted.
        window: Duration = Duration::from_secs(30) => reload;
        /// How long it stays open the first time; each time after that twice as long, until it was closed for `longest`.
        open: Duration = Duration::from_secs(15) => reload;
        /// The longest time that it stays open.
        longest: Duration = Duration::from_mins(5) => reload;
        /// How many requests may be under way at an endpoint that is half-open: after its time, before it has proved itself.
        probes: NonZeroU32 = at_least_one(2) => reload;
        /// How many of them must succeed before it is closed again. One that fails opens it again.
        successes: NonZeroU32 = at_least_one(2) => reload;
        /// Whether each model of an endpoint has a breaker of its own for what fails after the connection.
        per_model: bool = false => reload;
        /// An answer whose first event takes longer counts as a failure; none unless written.
        slow: Option<Duration> = None => reload;
        /// What is done when all endpoints that are left are open: `try` asks the one that reopens soonest all the same,
        /// `refuse` tells the client with 503 and `Retry-After`.
        when_all_open: WhenAllOpen = WhenAllOpen::Try => reload;
    }
}

choice! {
    /// What is done when all endpoints are open.
    pub enum WhenAllOpen {
        /// The one that reopens soonest is asked.
        Try = "try",
        /// The client is told.
        Refuse = "refuse",
    }
}

section! {
    /// How many attempts may be repetitions, so that an upstream that fails is not asked even more because of it.
    pub struct Retries {
        /// Percent of the exchanges of the last ten seconds: more of them may not be tried again at the same upstream.
        percent: u32 = 20 => reload;
        /// Repetitions a second that are allowed in any case.
        per_second: u32 = 10 => reload;
    }
}
