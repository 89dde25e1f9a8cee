//! Shadow runs: a staged generation plays what the live one has just served, off the path of any request and within an
//! allowance of processor time, so that its owner sees what it would have decided otherwise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::archive::Archive;
use super::table::Table;
use crate::bundle::{Bundle, Hash};
use crate::gate::Gate;
use crate::gate::reload::Reloader;
use crate::tape::{Ring, Taken};
use crate::upstream::dial::Dialer;

/// How often it is looked for new exchanges.
const LOOK: Duration = Duration::from_millis(200);

/// Plays until the process ends.
pub async fn follow(shadow: Arc<Shadow>, gate: Arc<Gate<Dialer>>, reloader: Arc<Reloader>, archive: Arc<Archive>) {
    loop {
        let (at_work, turn) = (Arc::clone(&shadow), (Arc::clone(&gate), Arc::clone(&reloader), Arc::clone(&archive)));
        let rest = tokio::task::spawn_blocking(move || {
            let (gate, reloader, archive) = turn;
            let live = gate.live.load();
            let percent = if live.settings.shadow { live.settings.shadow_percent.get() } else { 0 };
            at_work.turn(&gate.tapes, &archive, reloader.staged().as_ref(), percent)
        });
        let rest = rest.await.unwrap_or(LOOK);
        tokio::time::sleep(rest).await; // paced: the allowance of processor time
    }
}

/// What a staged generation would have decided otherwise.
#[derive(Debug, Default)]
pub struct Shadow(Mutex<Seen>);

/// What was seen of one staged generation.
#[derive(Debug, Default)]
struct Seen {
    /// Which.
    hash: Option<Hash>,
    /// How its decisions differ.
    table: Table,
    /// The number of the last exchange that was played.
    last: u64,
    /// Exchanges that passed unplayed, since the allowance did not suffice.
    missed: u64,
}

// === impl Shadow ===

impl Shadow {
    /// What was seen so far; nothing without a staged generation.
    pub fn show(&self) -> Option<Value> {
        let seen = self.0.lock();
        let hash = seen.hash?;
        let mut shown = seen.table.to_json();
        let fields = shown.as_object_mut()?;
        fields.insert("hash".to_owned(), json!(hash));
        fields.insert("missed".to_owned(), json!(seen.missed));
        Some(shown)
    }

    /// Plays what is new on `staged`; `percent` of one processor's time may be used. Returns how long to rest.
    pub fn turn(&self, ring: &Ring, archive: &Archive, staged: Option<&Arc<Bundle>>, percent: u32) -> Duration {
        let Some(staged) = staged.filter(|_| percent > 0) else {
            *self.0.lock() = Seen { last: ring.number(), ..Seen::default() };
            return LOOK;
        };
        let Some((taken, number)) = self.next(ring, staged.hash) else { return LOOK };
        if taken.bundle.hash == staged.hash {
            // A canary served it: it is what it would do.
            self.0.lock().last = number;
            return Duration::ZERO;
        }
        let began = Instant::now();
        let compared = archive.compare(&taken, staged);
        let used = began.elapsed();
        let mut seen = self.0.lock();
        if seen.hash == Some(staged.hash) {
            seen.last = number;
            match compared {
                Ok((old, new)) => {
                    seen.table.note(&taken.facts.id, &old, &new);
                }
                Err(faults) => {
                    let why = faults.first().map_or_else(|| "it has faults".to_owned(), ToString::to_string);
                    seen.table.failed(why);
                }
            }
        }
        used * 100_u32.saturating_sub(percent.min(100)) / percent.clamp(1, 100)
    }

    /// The next exchange that was not played; those that are gone meanwhile are counted.
    fn next(&self, ring: &Ring, staged: Hash) -> Option<(Arc<Taken>, u64)> {
        let mut seen = self.0.lock();
        if seen.hash != Some(staged) {
            *seen = Seen { hash: Some(staged), last: ring.number(), ..Seen::default() };
        }
        let (taken, number, passed) = ring.after(seen.last)?;
        seen.missed += passed;
        Some((taken, number))
    }
}
