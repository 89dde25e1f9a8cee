//! The last exchanges of a gate, bounded by number and bytes: what `record`, `explain` and shadow runs look at.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Taken, Tape};
use crate::settings::Record;

/// The last exchanges, in memory only.
#[derive(Debug)]
pub struct Ring {
    kept: Mutex<Kept>,
    /// What part of what the settings allow it takes: one of so many.
    part: usize,
    /// Exchanges seen, to choose one of so many.
    seen: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    taken: VecDeque<Arc<Taken>>,
    bytes: usize,
    /// How many were ever kept: the number of the newest.
    number: u64,
}

// === impl Ring ===

impl Default for Ring {
    fn default() -> Self {
        Self::part(1)
    }
}

impl Ring {
    /// A ring that takes one of so many parts of the memory that the settings allow.
    pub fn part(part: usize) -> Self {
        Self { kept: Mutex::default(), part: part.max(1), seen: AtomicU64::new(0) }
    }

    /// A tape for an exchange that begins now: recording, when the settings want this one kept.
    pub fn tape(&self, settings: &Record) -> Tape {
        let every = u64::from(settings.every.get());
        if settings.exchanges == 0 || (every > 1 && !self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(every)) {
            return Tape::default();
        }
        Tape::recording(settings.body)
    }

    /// Keeps an exchange; the oldest make room.
    pub fn keep(&self, taken: Arc<Taken>, settings: &Record) {
        // What is dropped is dropped when nobody waits for the lock.
        let mut dropped = Vec::new();
        {
            let mut kept = self.kept.lock();
            kept.bytes += taken.weight;
            kept.taken.push_back(taken);
            kept.number += 1;
            while kept.taken.len() > settings.exchanges as usize || kept.bytes > settings.memory / self.part {
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
