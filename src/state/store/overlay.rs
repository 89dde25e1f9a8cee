//! A store over another: it reads what lies below and keeps what is written to itself, so that what a preview does
//! never shows in what serves.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Change, Refused, Store, Value};

/// The store below, and where it no longer counts.
#[derive(Debug)]
pub(super) struct Below {
    /// It is only ever looked at.
    store: Arc<Store>,
    /// Namespaces with keys that were written or deleted above: for those only what is above counts.
    covered: Mutex<HashSet<(Box<str>, Box<str>)>>,
}

// === impl Below ===

impl Below {
    /// Whether only what is above counts for a key.
    pub(super) fn is_covered(&self, ns: &str, key: &str) -> bool {
        self.covered.lock().contains(&(ns.into(), key.into()))
    }

    /// The value below and when it is over. It does not count as used there.
    pub(super) fn peek(&self, ns: &str, key: &str) -> Option<(Value, Option<Duration>)> {
        if let Some(below) = self.store.below.as_ref().filter(|below| !below.is_covered(ns, key)) {
            return below.peek(ns, key);
        }
        let namespace = Arc::clone(self.store.namespaces.get(ns)?.value());
        let shard = namespace.shard(key).lock();
        let slot = shard.current(self.store.clock.elapsed(), key)?;
        Some((slot.value().clone(), slot.expires()))
    }
}

// === impl Store ===

impl Store {
    /// An empty store over another, with the same clock and limits.
    pub fn over(store: &Arc<Self>) -> Self {
        let below = Below { store: Arc::clone(store), covered: Mutex::default() };
        Self { below: Some(below), ..Self::new(store.clock, store.limits) }
    }

    /// Lifts what lies below a key up, so that it can be changed here. Nothing to do in a store that lies over none.
    pub(super) fn cover(&self, ns: &str, key: &str) -> Result<(), Refused> {
        let Some(below) = &self.below else { return Ok(()) };
        // Held until the value is here, so that nobody finds the key covered and nothing above.
        let mut covered = below.covered.lock();
        let name = (ns.into(), key.into());
        if covered.contains(&name) {
            return Ok(());
        }
        if covered.len() >= self.limits.entries {
            return Err(Refused::Full);
        }
        if let Some((value, expires)) = below.peek(ns, key) {
            let namespace = self.namespace(ns)?;
            let mut shard = namespace.shard(key).lock();
            shard.apply(self.clock.elapsed(), key, Change::Put { value, expires }, self.limits.value_bytes)?;
        }
        covered.insert(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;
    use crate::state::StoreLimits;

    fn stores() -> (Arc<Store>, Store) {
        let below = Arc::new(Store::new(Clock::live(), StoreLimits::default()));
        below.set("n", "a", json!(1), None).unwrap();
        let over = Store::over(&below);
        (below, over)
    }

    #[test]
    fn what_lies_below_is_read_until_it_is_written_over() {
        let (below, over) = stores();
        assert_eq!(over.get("n", "a"), Some(json!(1)));
        below.set("n", "a", json!(2), None).unwrap();
        assert_eq!(over.get("n", "a"), Some(json!(2)), "as it is now");
        over.set("n", "a", json!(3), None).unwrap();
        below.set("n", "a", json!(4), None).unwrap();
        assert_eq!((over.get("n", "a"), below.get("n", "a")), (Some(json!(3)), Some(json!(4))));
    }

    #[test]
    fn nothing_that_is_done_above_shows_below() {
        let (below, over) = stores();
        assert_eq!(over.incr("n", "a", 5.0, None), Ok(6.0), "counts on from what is below");
        assert_eq!(over.add("n", "b", json!("x"), None), Ok(true));
        assert_eq!(over.cas("n", "c", None, Some(json!(1)), None), Ok(true));
        assert_eq!((below.get("n", "a"), below.get("n", "b"), below.get("n", "c")), (Some(json!(1)), None, None));
        assert_eq!(below.stats().iter().map(|stats| stats.entries).sum::<usize>(), 1);
    }

    #[test]
    fn what_was_deleted_above_is_gone_above_only() {
        let (below, over) = stores();
        assert!(over.delete("n", "a"), "there was a value");
        assert!(!over.delete("n", "a"));
        assert_eq!((over.get("n", "a"), below.get("n", "a")), (None, Some(json!(1))));
        assert_eq!(over.add("n", "a", json!(9), None), Ok(true));
        assert_eq!(over.get("n", "a"), Some(json!(9)));
    }

    #[test]
    fn a_comparison_sees_what_lies_below() {
        let (_below, over) = stores();
        assert_eq!(over.add("n", "a", json!(0), None), Ok(false));
        assert_eq!(over.cas("n", "a", Some(&json!(2)), Some(json!(3)), None), Ok(false));
        assert_eq!(over.cas("n", "a", Some(&json!(1)), Some(json!(3)), None), Ok(true));
        assert_eq!(over.get("n", "a"), Some(json!(3)));
    }

    #[test]
    fn what_expires_below_expires_at_the_same_time_above() {
        let (below, over) = stores();
        below.set("n", "t", json!(1), Some(Duration::ZERO)).unwrap();
        assert_eq!(over.incr("n", "t", 1.0, None), Ok(1.0), "it was over");
    }
}
