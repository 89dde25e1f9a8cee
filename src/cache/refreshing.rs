//! Which answers are being fetched anew, so that a thousand who are served an old one ask for a new one once.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The answers that are being fetched.
#[derive(Debug, Default)]
pub(super) struct Refreshing(Arc<Mutex<HashSet<[u8; 32]>>>);

/// That an answer is being fetched; over when it is dropped.
#[derive(Debug)]
pub struct Refresh {
    all: Arc<Mutex<HashSet<[u8; 32]>>>,
    hash: [u8; 32],
}

// === impl Refreshing ===

impl Refreshing {
    /// Takes one over, unless someone did.
    pub(super) fn take(&self, hash: [u8; 32]) -> Option<Refresh> {
        self.0.lock().insert(hash).then(|| Refresh { all: Arc::clone(&self.0), hash })
    }
}

// === impl Refresh ===

impl Drop for Refresh {
    fn drop(&mut self) {
        self.all.lock().remove(&self.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_fetches_an_answer() {
        let refreshing = Refreshing::default();
        let first = refreshing.take([1; 32]);
        assert!(first.is_some() && refreshing.take([1; 32]).is_none() && refreshing.take([2; 32]).is_some());
        drop(first);
        assert!(refreshing.take([1; 32]).is_some());
    }
}
