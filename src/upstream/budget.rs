//! Keeps repetitions to a share of all requests, so that an upstream in trouble is not asked more and more.
//!
//! The idea is Finagle's `RetryBudget` (20 % of the requests of the last ten seconds and ten a second in any case) and
//! Envoy's `retry_budget`. An exchange's first attempt at an upstream is a request, its others are repetitions: that it
//! was refused elsewhere before is none of this upstream's load.

use std::time::Duration;

use super::breaker::window::Window;
use crate::settings::Retries;

/// The time in which requests and repetitions are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// What an upstream was asked lately.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// All attempts, those that are repetitions as the bad ones.
    attempts: Window,
    /// Repetitions that were not made.
    refused: u64,
}

// === impl Budget ===

impl Budget {
    /// Counts an exchange's first attempt.
    pub(super) fn request(&mut self, now: Duration) {
        self.attempts.add(now, WINDOW, false);
    }

    /// Whether one more repetition may be made; it is counted then.
    pub(super) fn repeat(&mut self, now: Duration, rules: &Retries) -> bool {
        let (attempts, repetitions) = self.attempts.sums(now, WINDOW);
        let share = u64::from(attempts - repetitions) * u64::from(rules.percent) / 100;
        let may = u64::from(repetitions) < share + u64::from(rules.per_second) * WINDOW.as_secs();
        if may {
            self.attempts.add(now, WINDOW, true);
        } else {
            self.refused += 1;
        }
        may
    }

    /// Attempts and repetitions of the last ten seconds, and repetitions that were never made.
    pub(super) fn figures(&self, now: Duration) -> (u32, u32, u64) {
        let (attempts, repetitions) = self.attempts.sums(now, WINDOW);
        (attempts, repetitions, self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn granted(requests: u32, rules: &Retries) -> usize {
        let mut budget = Budget::default();
        (0..requests).for_each(|_| budget.request(NOW));
        (0..10_000).filter(|_| budget.repeat(NOW, rules)).count()
    }

    #[test]
    fn a_share_of_requests_and_a_floor_may_be_repeated() {
        assert_eq!(granted(0, &Retries::default()), 100);
        assert_eq!(granted(1000, &Retries::default()), 300);
        assert_eq!(granted(1000, &Retries { percent: 0, per_second: 0 }), 0);
        assert_eq!(granted(10, &Retries { percent: 100, per_second: 0 }), 10);
    }

    #[test]
    fn what_was_repeated_long_ago_is_forgiven() {
        let mut budget = Budget::default();
        let rules = Retries { percent: 0, per_second: 1 };
        assert_eq!((0..50).filter(|_| budget.repeat(NOW, &rules)).count(), 10);
        assert_eq!(budget.figures(NOW), (10, 10, 40));
        assert!(budget.repeat(NOW + Duration::from_secs(11), &rules));
    }
}
