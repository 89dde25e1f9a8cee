//! The last purges: an answer that was on its way when it was purged, or comes from a store that the purge did not
//! reach, is not served.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;

use super::pick::Pick;

/// So many are remembered.
const MOST: usize = 1000;

/// For so long: by then whatever was under way has long ended.
pub(super) const LONGEST: Duration = Duration::from_hours(24);

/// The last purges.
#[derive(Debug, Default)]
pub(super) struct Purges(RwLock<VecDeque<(SystemTime, Pick)>>);

// === impl Purges ===

impl Purges {
    /// Remembers one.
    pub(super) fn remember(&self, at: SystemTime, pick: Pick) {
        let mut purges = self.0.write();
        while purges.len() >= MOST || purges.front().is_some_and(|(old, _)| *old + LONGEST < at) {
            purges.pop_front();
        }
        purges.push_back((at, pick));
    }

    /// Whether an answer that was made at this time, and can be picked by these labels, was purged since.
    pub(super) fn forbid(&self, made: SystemTime, labels: impl FnOnce() -> Vec<String>) -> bool {
        let purges = self.0.read();
        // Another gate's clock may be behind: they are not in order.
        let mut since = purges.iter().filter(|(at, _)| *at >= made).peekable();
        if since.peek().is_none() {
            return false;
        }
        let labels = labels();
        since.any(|(_, pick)| pick.is_among(&labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::pick::labels;
    use crate::cache::tests::{entry, key};
    use crate::clock::Clock;

    #[test]
    fn only_what_was_made_before_a_purge_is_forbidden_by_it() {
        let (purges, clock) = (Purges::default(), Clock::live());
        let (key, entry) = (key("a", Some("ann")), entry(clock, 1, 60));
        let at = clock.wall();
        let (before, after) = (at - Duration::from_secs(1), at + Duration::from_secs(1));
        let labels = || labels(&key, &entry);
        assert!(!purges.forbid(before, labels));
        purges.remember(at, Pick::User("ben".to_owned()));
        assert!(!purges.forbid(before, labels));
        purges.remember(at, Pick::User("ann".to_owned()));
        assert!(purges.forbid(before, labels) && !purges.forbid(after, labels));
        purges.remember(before - Duration::from_secs(1), Pick::Tag("y".to_owned()));
        assert!(purges.forbid(before, labels), "another gate's clock is behind");
        for _ in 0..2 * MOST {
            purges.remember(at, Pick::Tag("x".to_owned()));
        }
        assert_eq!(purges.0.read().len(), MOST);
    }
}
