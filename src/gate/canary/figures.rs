//! What the two sides of a canary did in the same time: counts, and times in a histogram fine enough to tell a fifth.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The shortest time that is told from others.
const SHORTEST: f64 = 100e-6;

/// Parts of each doubling: neighbours differ by two hundredths.
const PARTS: f64 = 32.0;

/// As many buckets as reach from the shortest time to an hour.
const BUCKETS: usize = 806;

/// The figures of one side.
#[derive(Debug)]
pub(super) struct Figures {
    /// Exchanges that ended.
    exchanges: AtomicU64,
    /// Those that ended with a status of 500 or above, or because of an upstream.
    errors: AtomicU64,
    /// Until the last byte.
    whole: Times,
    /// Until the head.
    first: Times,
}

/// How often each time occurred.
#[derive(Debug)]
struct Times(Box<[AtomicU64]>);

/// The figures at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Exchanges that ended.
    pub exchanges: u64,
    /// Hooks that failed.
    pub policy_errors: u64,
    /// Exchanges that failed.
    pub errors: u64,
    /// The time that half of the exchanges stayed below.
    pub p50: Option<Duration>,
    /// The time that all but one in a hundred stayed below.
    pub p99: Option<Duration>,
    /// The time to the head that half of the exchanges stayed below.
    pub first: Option<Duration>,
}

// === impl Figures ===

impl Default for Figures {
    fn default() -> Self {
        let (exchanges, errors) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { exchanges, errors, whole: Times::default(), first: Times::default() }
    }
}

impl Figures {
    /// Counts an exchange that ended.
    pub(super) fn add(&self, failed: bool, whole: Duration, first: Option<Duration>) {
        self.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.whole.add(whole);
        if let Some(first) = first {
            self.first.add(first);
        }
        self.exchanges.fetch_add(1, Ordering::Relaxed);
    }

    /// The figures now, with failures of hooks that were counted elsewhere.
    pub(super) fn sample(&self, policy_errors: u64) -> Sample {
        Sample {
            exchanges: self.exchanges.load(Ordering::Relaxed),
            policy_errors,
            errors: self.errors.load(Ordering::Relaxed),
            p50: self.whole.percentile(0.50),
            p99: self.whole.percentile(0.99),
            first: self.first.percentile(0.50),
        }
    }
}

// === impl Times ===

impl Default for Times {
    fn default() -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(BUCKETS).collect())
    }
}

impl Times {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest number that the type has"
    )]
    fn add(&self, time: Duration) {
        let bucket = (time.as_secs_f64() / SHORTEST).log2() * PARTS;
        if let Some(count) = self.0.get((bucket.max(0.0) as usize).min(BUCKETS - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The time that this share of all stayed below, as far as buckets tell.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of exchanges stay far below 2^52"
    )]
    fn percentile(&self, share: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        // The middle of the bucket.
        Some(Duration::from_secs_f64(SHORTEST * ((bucket as f64 + 0.5) / PARTS).exp2()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_told_to_two_hundredths() {
        let figures = Figures::default();
        for millis in 1..=1000 {
            figures.add(millis % 10 == 0, Duration::from_millis(millis), Some(Duration::from_millis(millis / 2)));
        }
        let sample = figures.sample(3);
        assert_eq!((sample.exchanges, sample.errors, sample.policy_errors), (1000, 100, 3));
        for (told, millis) in [(sample.p50, 500.0), (sample.p99, 990.0), (sample.first, 250.0)] {
            let told = told.unwrap().as_secs_f64() * 1000.0;
            assert!((told / millis - 1.0).abs() < 0.025, "{told} for {millis}");
        }
    }

    #[test]
    fn the_shortest_and_the_longest_are_counted_too() {
        let figures = Figures::default();
        assert_eq!(figures.sample(0).p99, None);
        figures.add(false, Duration::ZERO, None);
        figures.add(false, Duration::from_secs(1_000_000), None);
        let sample = figures.sample(0);
        assert!(sample.p50.unwrap() < Duration::from_millis(1));
        assert!(sample.p99.unwrap() > Duration::from_mins(50));
        assert_eq!(sample.first, None);
    }
}
