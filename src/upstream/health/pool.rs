//! What a gate knows of an upstream as a whole: whose turn it is, and how much is repeated.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use crate::settings::Retries;
use crate::upstream::budget::Budget;

/// What is known of an upstream as a whole. It outlives generations that have the upstream in common.
#[derive(Debug, Default)]
pub struct Pool {
    turns: Mutex<()>,
    budget: Mutex<Budget>,
}

// === impl Pool ===

impl Pool {
    /// Held while the turn is given to the next endpoint.
    pub(in crate::upstream) fn turns(&self) -> MutexGuard<'_, ()> {
        self.turns.lock()
    }

    /// Counts an exchange's first attempt at this upstream.
    pub fn request(&self, now: Duration) {
        self.budget.lock().request(now);
    }

    /// Whether an exchange may be tried here once more; it is counted then.
    pub fn repeat(&self, now: Duration, rules: &Retries) -> bool {
        self.budget.lock().repeat(now, rules)
    }

    /// For status.
    pub fn show(&self, now: Duration) -> Value {
        let (attempts, repetitions, refused) = self.budget.lock().figures(now);
        json!({"attempts": attempts, "repetitions": repetitions, "refused": refused})
    }
}
