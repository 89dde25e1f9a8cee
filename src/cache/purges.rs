//! The last purges: an answer that was on its way when it was purged, or comes from a store that the purge did not
//! reach, is not served.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;

use super::entry::Entry;
use super::key::Key;
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

    /// Whether an answer that was made at this time was purged since.
    pub(super) fn forbid(&self, made: SystemTime, key: &Key, entry: &Entry) -> bool {
        self.any_since(made, |pick| pick.picks(key, entry))
    }

    /// The same of something of which no more is known than these tags.
    pub(super) fn forbid_tagged(&self, made: SystemTime, key: &Key, tags: &[String]) -> bool {
        self.any_since(made, |pick| pick.picks_tagged(key, tags))
    }

    fn any_since(&self, made: SystemTime, picks: impl Fn(&Pick) -> bool) -> bool {
        let purges = self.0.read();
        // The newest are the last.
        purges.iter().rev().take_while(|(at, _)| *at >= made).any(|(_, pick)| picks(pick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::tests::{entry, key};
    use crate::clock::Clock;

    #[test]
    fn only_what_was_made_before_a_purge_is_forbidden_by_it() {
        let (purges, clock) = (Purges::default(), Clock::live());
        let (key, entry) = (key("a", Some("ann")), entry(clock, 1, 60));
        let at = clock.wall();
        let (before, after) = (at - Duration::from_secs(1), at + Duration::from_secs(1));
        assert!(!purges.forbid(before, &key, &entry));
        purges.remember(at, Pick::User("ben".to_owned()));
        assert!(!purges.forbid(before, &key, &entry));
        purges.remember(at, Pick::User("ann".to_owned()));
        assert!(purges.forbid(before, &key, &entry) && !purges.forbid(after, &key, &entry));
        for _ in 0..2 * MOST {
            purges.remember(at, Pick::Tag("x".to_owned()));
        }
        assert_eq!(purges.0.read().len(), MOST);
    }
}
