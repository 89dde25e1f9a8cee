//! Averages that forget: of what happens now and then, and of how long answers take.

use std::time::Duration;

/// The weight of one sample in an average of samples.
const WEIGHT: f32 = 0.1;

/// In this time a latency is forgotten to a third (as Finagle's peak EWMA, which this is after).
const MEMORY: Duration = Duration::from_secs(10);

/// The latency that counts while nothing is known but something is under way, so that not all is sent at once to one of
/// which nothing is known.
const UNKNOWN: f64 = 1e9;

/// An average of samples, of which the newest weigh most.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Average(Option<f32>);

/// An average of latencies that takes a peak for the truth at once and forgets it with time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeakAverage {
    seconds: f64,
    at: Duration,
}

// === impl Average ===

impl Average {
    pub(super) fn add(&mut self, sample: f32) {
        self.0 = Some(self.0.map_or(sample, |value| value + (sample - value) * WEIGHT));
    }

    pub(super) fn value(self) -> Option<f32> {
        self.0
    }
}

// === impl PeakAverage ===

impl PeakAverage {
    /// Takes a latency into account.
    pub(super) fn add(&mut self, now: Duration, latency: Duration) {
        let sample = latency.as_secs_f64();
        let known = self.at(now);
        self.seconds = if sample > known { sample } else { sample + (self.seconds - sample) * self.kept(now) };
        self.at = now;
    }

    /// The average as it is now, in seconds.
    pub(super) fn at(&self, now: Duration) -> f64 {
        if self.seconds == 0.0 { 0.0 } else { self.seconds * self.kept(now) }
    }

    /// What one more request costs where so many are under way.
    pub(super) fn load(&self, now: Duration, under_way: u32) -> f64 {
        let known = self.at(now);
        if known == 0.0 && under_way > 0 { UNKNOWN + f64::from(under_way) } else { known * f64::from(under_way + 1) }
    }

    /// The part of what was known that counts still.
    fn kept(&self, now: Duration) -> f64 {
        (-now.saturating_sub(self.at).as_secs_f64() / MEMORY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten() {
        let mut average = PeakAverage::default();
        average.add(s(0), Duration::from_millis(100));
        average.add(s(0), s(5));
        assert!((average.at(s(0)) - 5.0).abs() < 1e-9);
        assert!((average.at(s(10)) - 5.0 / std::f64::consts::E).abs() < 1e-9);
        average.add(s(60), Duration::from_millis(100));
        assert!(average.at(s(60)) < 0.12);
    }

    #[test]
    fn what_is_unknown_is_tried_by_one_at_a_time() {
        let mut known = PeakAverage::default();
        known.add(s(0), s(3));
        let unknown = PeakAverage::default();
        assert!(unknown.load(s(0), 0) < known.load(s(0), 0));
        assert!(unknown.load(s(0), 1) > known.load(s(0), 50));
    }

    #[test]
    fn an_average_follows_its_samples() {
        let mut average = Average::default();
        assert_eq!(average.value(), None);
        average.add(1.0);
        (0..50).for_each(|_| average.add(0.0));
        assert!(average.value().unwrap() < 0.01);
    }
}
