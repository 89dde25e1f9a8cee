//! What one measurement found, as the line of JSON that it leaves behind.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The figures of one measurement.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Who was measured.
    pub peer: String,
    /// What it was measured by: `load`, `latency`, `memory` or `reload`.
    pub measure: String,
    /// The work it carried.
    pub work: String,
    /// Names end in their unit.
    #[serde(flatten)]
    pub figures: BTreeMap<String, f64>,
}

/// Times of many requests.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

// === impl Record ===

impl Record {
    /// A record without figures yet.
    pub(crate) fn new(peer: &str, measure: &str, work: &str) -> Self {
        Self { peer: peer.to_owned(), measure: measure.to_owned(), work: work.to_owned(), figures: BTreeMap::new() }
    }

    /// Adds a figure.
    pub(crate) fn set(&mut self, name: &str, figure: f64) {
        self.figures.insert(name.to_owned(), (figure * 1000.0).round() / 1000.0);
    }

    /// Adds the median, the 99th percentile and the largest of `times`; `prefix` names what they are of.
    pub(crate) fn set_times(&mut self, prefix: &str, times: &mut Times) {
        times.0.sort_unstable();
        for (name, share) in [("p50_us", 0.5), ("p99_us", 0.99), ("max_us", 1.0)] {
            self.set(&format!("{prefix}{name}"), micros(times.share(share)));
        }
    }
}

/// Microseconds, with their fraction.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

// === impl Times ===

impl Times {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> f64 {
        count(self.0.len())
    }

    /// Takes in what another client measured.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The time that `share` of the sorted ones do not exceed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
    fn share(&self, share: f64) -> Duration {
        let index = (count(self.0.len()) * share).ceil() as usize;
        self.0.get(index.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// A number of things as a figure.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn count(things: usize) -> f64 {
    things as f64
}
