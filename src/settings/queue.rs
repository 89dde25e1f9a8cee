//! Settings of the line before an endpoint: how many are served at once, who waits, in which order and how long.

use std::num::NonZeroU32;
use std::time::Duration;

use super::limits::at_least_one;
use super::section::{choice, section};

section! {
    /// The line before each endpoint of an upstream, for servers that can do only so much at once.
    pub struct Queue {
        /// Requests that an endpoint works on at once. A place is given back when its answer has come to its end.
        at_once: NonZeroU32 = at_least_one(1) => reload;
        /// How many wait before an endpoint; whoever comes then goes on to the next endpoint, or is told 503.
        waiting: u32 = 100 => reload;
        /// The longest wait. After it the attempt has failed with `overloaded`.
        longest: Duration = Duration::from_mins(2) => reload;
        /// After how long a wait a request counts as much as a new one of the next higher class, so that the lowest class
        /// has its turn too; with `1ms` there are as good as no classes.
        ageing: Duration = Duration::from_secs(10) => reload;
        /// The class of requests whose plan names none.
        priority: Priority = Priority::Normal => reload;
    }
}

choice! {
    /// Who comes first in a line.
    pub enum Priority {
        /// Before all others.
        Critical = "critical",
        /// Before most.
        High = "high",
        /// As most.
        Normal = "normal",
        /// When nobody else waits, or when it has waited for long.
        Low = "low",
    }
}
