//! The last exchanges of a gate, bounded by number and bytes: what `record`, `explain` and shadow runs look at.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::{Room, Taken, Tape};
use crate::settings::Record;

/// The last exchanges, in memory only.
#[derive(Debug, Default)]
pub struct Ring {
    kept: Mutex<Kept>,
    /// Exchanges seen, to choose one of so many.
    seen: AtomicU64,
    /// The second on the clock in which the last tape began, and how many began in it.
    second: AtomicU64,
    begun: AtomicU32,
    /// Bytes on the tapes of exchanges that have not ended.
    taped: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Kept {
    taken: VecDeque<Arc<Taken>>,
    bytes: usize,
    /// How many were ever kept: the number of the newest.
    number: u64,
}

// === impl Ring ===

impl Ring {
    /// A tape for an exchange that begins `now`, on the gate's clock: recording, when the settings want this one kept.
    /// `all` are kept, however many begin in a second, while someone watches for what goes wrong.
    pub fn tape(&self, settings: &Record, now: Duration, all: bool) -> Tape {
        let every = u64::from(settings.every.get());
        if settings.exchanges == 0 || (every > 1 && !self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(every)) {
            return Tape::default();
        }
        if !all && !self.begins(now.as_secs(), settings.per_second.get()) {
            return Tape::default();
        }
        Tape::recording(Room::new(settings.body, Arc::clone(&self.taped), settings.memory))
    }

    /// Whether one more may begin in this second. Two threads that meet at its turn may let in a few more.
    fn begins(&self, second: u64, most: u32) -> bool {
        if self.second.load(Ordering::Relaxed) != second && self.second.swap(second, Ordering::Relaxed) != second {
            self.begun.store(0, Ordering::Relaxed);
        }
        self.begun.load(Ordering::Relaxed) < most && self.begun.fetch_add(1, Ordering::Relaxed) < most
    }

    /// Keeps an exchange; the oldest make room, unless it finds none at all.
    pub fn keep(&self, taken: Arc<Taken>, settings: &Record) {
        if taken.weight > settings.memory {
            return;
        }
        // What is dropped is dropped when nobody waits for the lock.
        let mut dropped = Vec::new();
        {
            let mut kept = self.kept.lock();
            kept.bytes += taken.weight;
            kept.taken.push_back(taken);
            kept.number += 1;
            while kept.taken.len() > settings.exchanges as usize || kept.bytes > settings.memory {
                let Some(oldest) = kept.taken.pop_front() else { break };
                kept.bytes -= oldest.weight;
                dropped.push(oldest);
            }
        }
    }

    /// The last exchanges, the newest first.
    pub fn latest(&self) -> Vec<Arc<Taken>> {
        self.kept.lock().taken.iter().rev().cloned().collect()
    }

    /// The exchange with this id, the newest if it came again; else all whose ids begin like this.
    pub fn find(&self, id: &str) -> Vec<Arc<Taken>> {
        let kept = self.kept.lock();
        if let Some(whole) = kept.taken.iter().rev().find(|taken| taken.facts.id == id) {
            return vec![Arc::clone(whole)];
        }
        kept.taken.iter().filter(|taken| !id.is_empty() && taken.facts.id.starts_with(id)).cloned().collect()
    }

    /// The exchange with exactly this id.
    pub fn get(&self, id: &str) -> Option<Arc<Taken>> {
        self.kept.lock().taken.iter().rev().find(|taken| taken.facts.id == id).cloned()
    }

    /// The number of the newest exchange: how many were ever kept.
    pub fn number(&self) -> u64 {
        self.kept.lock().number
    }

    /// The next exchange after the one with this number, its own, and how many between the two are gone.
    pub fn after(&self, number: u64) -> Option<(Arc<Taken>, u64, u64)> {
        let kept = self.kept.lock();
        let oldest = kept.number + 1 - kept.taken.len() as u64;
        let next = oldest.max(number + 1);
        let taken = kept.taken.get(usize::try_from(next - oldest).ok()?)?;
        Some((Arc::clone(taken), next, next - number - 1))
    }

    /// How many are kept, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let kept = self.kept.lock();
        (kept.taken.len(), kept.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    #[test]
    fn tapes_at_work_take_no_more_than_the_ring_may_and_give_it_back() {
        let (ring, settings) = (Ring::default(), Record { memory: 10_000, body: 8_000, ..Record::default() });
        let note = |tape: &Tape, bytes: usize| {
            let (_, recorded) = tape.recorded().unwrap();
            recorded.lock().client(Duration::ZERO, &Bytes::from(vec![0; bytes]));
        };
        let (first, second) =
            (ring.tape(&settings, Duration::ZERO, false), ring.tape(&settings, Duration::ZERO, false));
        note(&first, 6_000);
        note(&second, 6_000);
        let second = second.finish().unwrap();
        assert!(second.overfull && second.body.is_empty(), "the two together are more than may be");
        drop(first);
        let third = ring.tape(&settings, Duration::ZERO, false);
        note(&third, 6_000);
        assert!(!third.finish().unwrap().overfull);
        assert_eq!(ring.taped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn small_pieces_count_what_they_cost() {
        let (ring, settings) = (Ring::default(), Record { body: 8_000, ..Record::default() });
        let tape = ring.tape(&settings, Duration::ZERO, false);
        let (_, recorded) = tape.recorded().unwrap();
        for _ in 0..1_000 {
            recorded.lock().client(Duration::ZERO, &Bytes::from_static(b"x"));
        }
        assert!(tape.finish().unwrap().overfull);
    }
}
