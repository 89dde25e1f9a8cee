//! A hook that was called: as it is kept, and as it is told.

use std::time::Duration;

use crate::exchange::decision::Place;
use crate::policy::hook::Hook;
use crate::policy::set::Inner;

/// A hook that was called, for logs and snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The hook's name.
    pub hook: &'static str,
    /// The policy's name.
    pub policy: String,
    /// Where the hook starts.
    pub place: Place,
    /// How long it ran, waits left out.
    pub micros: u64,
    /// Whether it answered with more than "no opinion".
    pub answered: bool,
    /// Whether it failed.
    pub failed: bool,
    /// What it changed of its message, each in a phrase, when the exchange is watched.
    pub edits: Vec<String>,
}

/// A hook that was called, as it is kept until someone asks.
pub(super) struct Step {
    /// Which.
    pub(super) hook: Hook,
    /// Whose.
    pub(super) mount: usize,
    /// How long it ran.
    pub(super) used: Duration,
    /// Whether it answered with more than "no opinion".
    pub(super) answered: bool,
    /// Whether it failed.
    pub(super) failed: bool,
    /// What it changed, when the exchange is watched.
    pub(super) edits: Vec<String>,
}

// === impl Step ===

impl Step {
    /// The step in words.
    pub(super) fn told(&self, set: &Inner) -> Decision {
        Decision {
            hook: self.hook.name(),
            policy: set.mount_name(self.mount).to_owned(),
            place: Place(set.spot(self.hook, self.mount).to_string()),
            micros: u64::try_from(self.used.as_micros()).unwrap_or(u64::MAX),
            answered: self.answered,
            failed: self.failed,
            edits: self.edits.clone(),
        }
    }
}
