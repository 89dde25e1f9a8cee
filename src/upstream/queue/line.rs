//! The order of a line: who has a place, who waits, and whose turn is next. It has no clock of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::settings::Priority;

/// What a line allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Places at once.
    pub at_once: u32,
    /// How many may wait for one.
    pub waiting: u32,
    /// After how long a wait an entry is worth as much as a new one of the next higher class.
    pub ageing: Duration,
}

/// A line; `T` is by what one who waits is told.
#[derive(Debug)]
pub struct Line<T> {
    limits: Limits,
    /// Places taken.
    running: u32,
    /// Those who wait, in the order of their turns.
    waiting: BTreeMap<Rank, Entry<T>>,
    /// How many have waited so far, which tells apart who came at one moment.
    entered: u64,
    /// How long a place is usually taken; nothing until one was given back.
    usual: Option<Duration>,
}

/// Where somebody stands in a line.
///
/// An entry's turn is due when it came, and one `ageing` later for each class below the highest. So each class is served
/// in the order it came, and an entry is overtaken only by those that come before its turn is due: the lowest class by
/// whom comes within three times `ageing` after it, however many come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    due: Duration,
    number: u64,
}

#[derive(Debug)]
struct Entry<T> {
    class: Priority,
    /// When it is over, without a turn.
    until: Duration,
    ticket: T,
}

/// What became of one who entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// A place was free, and is taken.
    Place,
    /// It waits.
    Waits(Rank),
    /// There is no room even to wait.
    Full,
}

/// What an estimate of a wait is at least and at most: less is no wait that a client can heed, and more nobody knows.
const ESTIMATES: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

// === impl Line ===

impl<T> Line<T> {
    /// A line in which nobody stands.
    pub fn new(limits: Limits) -> Self {
        Self { limits, running: 0, waiting: BTreeMap::new(), entered: 0, usual: None }
    }

    /// What it allows.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes what it allows. Whoever is in it stays; [`Line::next`] tells whose turn it is now.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Enters the line, to wait until `until` at the longest. A place is given at once only when nobody waits.
    pub fn enter(&mut self, now: Duration, class: Priority, until: Duration, ticket: impl FnOnce() -> T) -> Entered {
        if self.take() {
            return Entered::Place;
        }
        let most = self.limits.waiting as usize;
        if self.waiting.len() >= most {
            self.waiting.retain(|_, entry| entry.until > now);
        }
        if self.waiting.len() >= most {
            return Entered::Full;
        }
        self.entered += 1;
        let due = now.saturating_add(self.limits.ageing.saturating_mul(steps(class)));
        let rank = Rank { due, number: self.entered };
        self.waiting.insert(rank, Entry { class, until, ticket: ticket() });
        Entered::Waits(rank)
    }

    /// Takes a place, if one is free and nobody waits for it.
    pub fn take(&mut self) -> bool {
        let free = self.running < self.limits.at_once && self.waiting.is_empty();
        self.running += u32::from(free);
        free
    }

    /// Gives a place back that was taken for a while.
    pub fn leave(&mut self, taken: Duration) {
        self.running = self.running.saturating_sub(1);
        self.usual = Some(self.usual.map_or(taken, |usual| usual.saturating_sub(usual / 8) + taken / 8));
    }

    /// The one whose turn it is, who has a place from now on; nobody when none is free. Whoever's time is over has no turn
    /// any more: that ticket is dropped.
    pub fn next(&mut self, now: Duration) -> Option<T> {
        while self.running < self.limits.at_once {
            let (_, entry) = self.waiting.pop_first()?;
            if entry.until > now {
                self.running += 1;
                return Some(entry.ticket);
            }
        }
        None
    }

    /// Takes somebody out who waits no longer; false when it waited no more.
    pub fn cancel(&mut self, rank: Rank) -> bool {
        self.waiting.remove(&rank).is_some()
    }

    /// How many turns it is until this one's, from 1; `None` when it waits no more.
    pub fn position(&self, rank: Rank) -> Option<usize> {
        self.waiting.contains_key(&rank).then(|| self.waiting.range(..=rank).count())
    }

    /// Places taken.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many wait in each class, the highest first.
    pub fn by_class(&self) -> [usize; 4] {
        let mut lengths = [0; 4];
        for entry in self.waiting.values() {
            if let Some(length) = lengths.get_mut(steps(entry.class) as usize) {
                *length += 1;
            }
        }
        lengths
    }

    /// When somebody who is turned away now might come again: when all who wait could have had their turn.
    pub fn estimate(&self) -> Duration {
        let ahead = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX).saturating_add(1);
        let [least, most] = ESTIMATES;
        let usual = self.usual.unwrap_or(least);
        (usual.saturating_mul(ahead) / self.limits.at_once.max(1)).clamp(least, most)
    }
}

/// How many classes are above this one.
fn steps(class: Priority) -> u32 {
    match class {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}

#[cfg(test)]
mod tests;
