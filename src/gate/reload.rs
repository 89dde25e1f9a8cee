//! Follows the bundle: a save that has no faults goes live in one swap; one that has leaves the last good one.

use std::sync::Arc;
use std::time::Duration;

use super::{Gate, background, live};
use crate::admin::Board;
use crate::bundle::{Bundle, Watcher};
use crate::fault::Fault;
use crate::generation::{Candidate, Generation};
use crate::settings::{Settings, reload_notes};
use crate::upstream::dial::Dialer;

/// How often a replaced generation is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(200);

/// What flags and environment change in settings that were read.
pub type Adjust = Box<dyn Fn(&mut Settings) -> Result<(), Vec<Fault>> + Send + Sync>;

/// What a reload needs.
pub struct Reloader {
    /// The gate to put generations into.
    pub gate: Arc<Gate<Dialer>>,
    /// Where its result is shown.
    pub board: Arc<Board>,
    /// How many VMs a generation has.
    pub workers: usize,
    /// Applied to the settings of every bundle.
    pub adjust: Adjust,
}

/// Takes every change of the bundle until the process ends.
pub async fn follow(reloader: Reloader, mut watcher: Watcher) {
    let reloader = Arc::new(reloader);
    loop {
        let changed = watcher.changed().await;
        let at_work = Arc::clone(&reloader);
        // Compiling is work for a moment, and dropping an old generation's VMs collects their garbage.
        let taken = tokio::task::spawn_blocking(move || at_work.take(changed)).await;
        if let Ok(Some(old)) = taken {
            background::start(&reloader.gate);
            reloader.board.draining(&old);
            tokio::spawn(drain(old));
        }
    }
}

/// Holds a replaced generation until no exchange is on it, then drops it off the workers: its VMs collect their
/// garbage when they go.
async fn drain(old: Arc<Generation>) {
    while Arc::strong_count(&old) > 1 {
        tokio::time::sleep(DRAIN_LOOK).await; // paced: streams on the old generation end when they end
    }
    let _ = tokio::task::spawn_blocking(move || drop(old)).await;
}

// === impl Reloader ===

impl Reloader {
    /// Puts a changed bundle live, or says why not. Returns the generation that it replaced.
    fn take(&self, changed: Result<Arc<Bundle>, Vec<Fault>>) -> Option<Arc<Generation>> {
        match changed.and_then(|bundle| self.build(&bundle)) {
            Ok(Some(generation)) => return Some(self.swap(generation)),
            Ok(None) => self.board.accepted(Vec::new()),
            Err(faults) => self.reject(faults),
        }
        None
    }

    /// The generation of a bundle; `None` when it is the one that serves.
    fn build(&self, bundle: &Bundle) -> Result<Option<Generation>, Vec<Fault>> {
        let live = self.gate.live.load();
        if bundle.hash.to_string() == live.hash {
            return Ok(None);
        }
        let candidate = Candidate::from_bundle(bundle, &self.adjust)?;
        let gate = &self.gate;
        let services = live::services(&candidate, &gate.dial, &gate.state, gate.clock, &gate.sink);
        candidate.build(live.number + 1, services, self.workers, gate.clock.wall()).map(Some)
    }

    fn swap(&self, generation: Generation) -> Arc<Generation> {
        let old = self.gate.live.load_full();
        let notes = reload_notes(&old.settings, &generation.settings);
        for note in &notes {
            tracing::warn!("{note}");
        }
        tracing::info!(generation = generation.number, hash = %generation.hash, "live");
        let cache = &generation.settings.cache;
        self.gate.cache.resize(cache.memory, cache.entry);
        self.gate.live.store(Arc::new(generation));
        self.gate.metrics.generation("live");
        self.board.accepted(notes);
        old
    }

    fn reject(&self, faults: Vec<Fault>) {
        for fault in &faults {
            tracing::error!("rejected: {fault}");
        }
        self.gate.metrics.generation("rejected");
        self.board.rejected(faults);
    }
}
