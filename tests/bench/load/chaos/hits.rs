//! How often the endpoints were asked each question.

use std::collections::HashMap;
use std::sync::Mutex;

/// Requests that reached an endpoint whole, by the number of their question.
#[derive(Debug, Default)]
pub(crate) struct Hits(Mutex<HashMap<u64, u64>>);

// === impl Hits ===

impl Hits {
    /// Counts one.
    pub(crate) fn count(&self, question: u64) {
        if let Ok(mut hits) = self.0.lock() {
            *hits.entry(question).or_default() += 1;
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> HashMap<u64, u64> {
        self.0.lock().map(|hits| hits.clone()).unwrap_or_default()
    }
}
