//! Counts what happened in the last seconds, in slots that are used again.

use std::time::Duration;

/// How many slots a window has: the oldest tenth of it goes at a time.
const SLOTS: usize = 10;

/// Attempts and failures of the last seconds.
#[derive(Clone, Debug, Default)]
pub(in crate::upstream) struct Window {
    /// How many there were, and how many of them failed.
    slots: [(u32, u32); SLOTS],
    /// The number of the newest slot, counted from the start of time.
    newest: u64,
}

// === impl Window ===

impl Window {
    /// Counts one.
    pub(in crate::upstream) fn add(&mut self, now: Duration, length: Duration, bad: bool) {
        let number = number(now, length);
        for passed in (self.newest + 1..=number).take(SLOTS) {
            self.slots[index(passed)] = (0, 0);
        }
        self.newest = self.newest.max(number);
        let slot = &mut self.slots[index(number)];
        slot.0 = slot.0.saturating_add(1);
        slot.1 = slot.1.saturating_add(u32::from(bad));
    }

    /// How many there were in the window that ends now, and how many of them failed.
    pub(in crate::upstream) fn sums(&self, now: Duration, length: Duration) -> (u32, u32) {
        let number = number(now, length);
        let oldest = (number + 1).saturating_sub(SLOTS as u64);
        (oldest..=number.min(self.newest))
            .map(|at| self.slots[index(at)])
            .fold((0, 0), |(all, bad), slot| (all.saturating_add(slot.0), bad.saturating_add(slot.1)))
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a window is shorter than 500 million years")]
fn number(now: Duration, length: Duration) -> u64 {
    let slot = (length.as_nanos() / SLOTS as u128).max(1);
    (now.as_nanos() / slot) as u64
}

#[allow(clippy::cast_possible_truncation, reason = "it is below the number of slots")]
fn index(number: u64) -> usize {
    (number % SLOTS as u64) as usize
}
