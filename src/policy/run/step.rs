//! A hook that was called: as it is kept, and as it is told.

use std::sync::Arc;
use std::time::Duration;

use crate::exchange::decision::Place;
use crate::policy::hook::Hook;
use crate::policy::set::{Inner, Names};

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

/// The hooks that were called, as they are kept until someone asks.
#[derive(Clone, Default)]
pub struct Trace {
    /// In order; single events are left out.
    pub(super) steps: Vec<Step>,
    /// Who they are.
    names: Option<Names>,
    /// Those that were told already.
    told: Vec<Decision>,
}

/// A hook that was called, as it is kept until someone asks.
#[derive(Clone)]
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

// === impl Trace ===

impl Trace {
    /// An empty one, for the policies of a set.
    pub(super) fn new(set: &Arc<Inner>) -> Self {
        Self { steps: Vec::new(), names: Some(set.names()), told: Vec::new() }
    }

    /// Each hook in words.
    pub fn told(&self) -> Vec<Decision> {
        let steps = self.names.iter().flat_map(|names| self.steps.iter().map(|step| step.told(names)));
        self.told.iter().cloned().chain(steps).collect()
    }

    /// How many hooks were called.
    pub fn len(&self) -> usize {
        self.told.len() + self.steps.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<Decision>> for Trace {
    fn from(told: Vec<Decision>) -> Self {
        Self { told, ..Self::default() }
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.told()).finish()
    }
}

// === impl Step ===

impl Step {
    /// The step in words.
    fn told(&self, names: &Names) -> Decision {
        Decision {
            hook: self.hook.name(),
            policy: names.mount(self.mount).to_owned(),
            place: Place(names.spot(self.hook, self.mount).to_string()),
            micros: u64::try_from(self.used.as_micros()).unwrap_or(u64::MAX),
            answered: self.answered,
            failed: self.failed,
            edits: self.edits.clone(),
        }
    }
}
