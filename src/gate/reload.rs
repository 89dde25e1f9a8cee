//! Follows the bundle: a save that has no faults goes live in one swap, or is staged until someone accepts it; one that
//! has faults leaves the last good one.

mod command;
mod first;

pub use command::{Denied, Promotion};
pub use first::{First, first};

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::live::Parts;
use super::{Gate, background};
use crate::admin::Board;
use crate::bundle::shelf::Shelf;
use crate::bundle::{Bundle, Change, Hash, Watcher};
use crate::fault::Fault;
use crate::generation::{Candidate, Generation};
use crate::review::acceptance::{self, Acceptance, Standing};
use crate::settings::{GoLive, Settings, reload_notes};
use crate::upstream::dial::Dialer;

/// How often a replaced generation is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(200);

/// What flags and environment change in settings that were read.
pub type Adjust = dyn Fn(&mut Settings) -> Result<(), Vec<Fault>> + Send + Sync;

/// Decides which generation serves. Its methods compile and write, so they run off the workers.
pub struct Reloader {
    /// The gate to put generations into.
    gate: Arc<Gate<Dialer>>,
    /// Where its results are shown.
    board: Arc<Board>,
    /// How many VMs a generation has.
    workers: usize,
    /// Applied to the settings of every bundle.
    adjust: Arc<Adjust>,
    /// One change at a time.
    desk: Mutex<Desk>,
}

/// What is known of generations that do not serve.
struct Desk {
    shelf: Shelf,
    /// What is on disk, as far as it can be read.
    on_disk: Option<Hash>,
    /// What is on disk, if it waits.
    staged: Option<Staged>,
    /// The number of the last generation that was built.
    numbers: u64,
}

/// A generation that is ready to serve and must not yet.
struct Staged {
    bundle: Arc<Bundle>,
    generation: Arc<Generation>,
    since: Timestamp,
    waits: Waits,
}

/// What a staged generation waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Waits {
    /// To be accepted; why it is not.
    Review(String),
    /// To be promoted: it was accepted, and held.
    Promotion(Acceptance),
}

/// What a gate was started with, for its reloader.
pub struct Serving {
    /// The bundle that serves.
    pub bundle: Arc<Bundle>,
    /// Who accepted it, if someone did.
    pub accepted_by: Option<String>,
    /// The bundle on disk that someone went away from before the gate was stopped.
    pub over: Option<Hash>,
    /// The bundles that were kept.
    pub shelf: Shelf,
}

/// Takes every change of the bundle, and of what it is accepted by, until the process ends.
pub async fn follow(reloader: Arc<Reloader>, mut watcher: Watcher) {
    loop {
        let change = watcher.stirred().await;
        let at_work = Arc::clone(&reloader);
        // Compiling is work for a moment, and dropping an old generation's VMs collects their garbage.
        let _ = tokio::task::spawn_blocking(move || at_work.take(change)).await;
    }
}

/// Holds a replaced generation until no exchange is on it, then drops it off the workers: its VMs collect their
/// garbage when they go.
async fn drain<T: Send + Sync + 'static>(old: Arc<T>) {
    while Arc::strong_count(&old) > 1 {
        tokio::time::sleep(DRAIN_LOOK).await; // paced: streams on the old generation end when they end
    }
    let _ = tokio::task::spawn_blocking(move || drop(old)).await;
}

// === impl Reloader ===

impl Reloader {
    /// A reloader for a gate that was started with `first`.
    pub fn new(
        gate: Arc<Gate<Dialer>>,
        board: Arc<Board>,
        workers: usize,
        adjust: Arc<Adjust>,
        first: Serving,
    ) -> Self {
        let Serving { bundle, accepted_by, over, shelf } = first;
        let numbers = gate.live.load().number;
        let desk = Mutex::new(Desk { shelf, on_disk: None, staged: None, numbers });
        let reloader = Self { gate, board, workers, adjust, desk };
        let mut desk = reloader.desk.lock();
        for why in desk.shelf.refused() {
            tracing::warn!("{why}");
        }
        desk.shelf.go_live(&bundle, accepted_by.as_deref(), over);
        reloader.tidy(&mut desk);
        drop(desk);
        reloader
    }

    /// Takes what changed.
    fn take(&self, change: Change) {
        let mut desk = self.desk.lock();
        match change {
            Change::Bundle(Ok(bundle)) => self.saved(&mut desk, &bundle),
            Change::Bundle(Err(faults)) => {
                desk.on_disk = None;
                desk.shelf.forget_over();
                self.unstage(&mut desk);
                self.reject(faults);
            }
            Change::Reviews => self.judge_again(&mut desk),
        }
        self.show(&desk);
    }

    /// Puts a saved bundle live, or on the stage, or says why not.
    fn saved(&self, desk: &mut Desk, bundle: &Arc<Bundle>) {
        desk.on_disk = Some(bundle.hash);
        if desk.shelf.pointer().is_some_and(|pointer| pointer.over == Some(bundle.hash)) {
            // Someone went away from exactly this. It is no new save.
            return;
        }
        desk.shelf.forget_over();
        self.unstage(desk);
        let live = self.gate.live.load_full();
        if live.full() == Some(bundle.hash) {
            self.board.sound();
            return;
        }
        match self.candidate(bundle).and_then(|candidate| self.build(desk, candidate)) {
            Err(faults) => self.reject(faults),
            Ok(generation) => self.decide(desk, bundle, generation, live.settings.go_live),
        }
    }

    /// Whether a generation without faults serves at once: the live one's settings say what it takes.
    fn decide(&self, desk: &mut Desk, bundle: &Arc<Bundle>, generation: Arc<Generation>, go_live: GoLive) {
        let waits = match go_live {
            GoLive::OnSave => return self.swap(desk, bundle, generation, None, None),
            GoLive::Reviewed => match acceptance::standing(&bundle.root, &bundle.hash) {
                Standing::Accepted(accepted) if accepted.live => {
                    return self.swap(desk, bundle, generation, Some(&accepted.accepted_by), None);
                }
                Standing::Accepted(accepted) => Waits::Promotion(accepted),
                Standing::Waiting(why) => Waits::Review(why),
            },
        };
        desk.shelf.save(bundle);
        let staged = Staged { bundle: Arc::clone(bundle), generation, since: Timestamp::now(), waits };
        staged.say();
        self.gate.metrics.generation("staged");
        self.board.sound();
        desk.staged = Some(staged);
        self.tidy(desk);
    }

    /// Looks whether what is staged was accepted meanwhile.
    fn judge_again(&self, desk: &mut Desk) {
        let Some(mut staged) = desk.staged.take() else { return };
        let waits = match acceptance::standing(&staged.bundle.root, &staged.bundle.hash) {
            Standing::Accepted(accepted) if accepted.live => {
                let Staged { bundle, generation, .. } = staged;
                return self.swap(desk, &bundle, generation, Some(&accepted.accepted_by), None);
            }
            Standing::Accepted(accepted) => Waits::Promotion(accepted),
            Standing::Waiting(why) => Waits::Review(why),
        };
        if staged.waits != waits {
            staged.waits = waits;
            staged.say();
        }
        desk.staged = Some(staged);
    }

    /// Checks a bundle.
    fn candidate(&self, bundle: &Bundle) -> Result<Candidate, Vec<Fault>> {
        Candidate::from_bundle(bundle, &*self.adjust)
    }

    /// Builds a generation with its VMs.
    fn build(&self, desk: &mut Desk, candidate: Candidate) -> Result<Arc<Generation>, Vec<Fault>> {
        let generation = Parts::of(&self.gate).build(candidate, desk.numbers + 1, self.workers)?;
        desk.numbers += 1;
        Ok(Arc::new(generation))
    }

    /// Puts a generation live. It is written down first: a gate that is killed in between starts with it.
    fn swap(
        &self,
        desk: &mut Desk,
        bundle: &Arc<Bundle>,
        generation: Arc<Generation>,
        accepted_by: Option<&str>,
        over: Option<Hash>,
    ) {
        desk.shelf.go_live(bundle, accepted_by, over);
        let old = self.gate.live.load_full();
        let notes = reload_notes(&old.settings, &generation.settings);
        for note in &notes {
            tracing::warn!("{note}");
        }
        tracing::info!(generation = generation.number, hash = %generation.hash, accepted_by, "live");
        let cache = &generation.settings.cache;
        self.gate.cache.resize(cache.memory, cache.http, cache.entry);
        self.gate.queues.went_live(&generation.upstreams, generation.number);
        self.gate.admission.went_live(&generation.settings.limits, generation.number);
        self.gate.live.store(generation);
        self.gate.canary.end("another generation went live");
        self.gate.metrics.generation("live");
        self.board.went_live(notes);
        self.drop_lanes(|hash| *hash == bundle.hash);
        self.tidy(desk);
        background::start(&self.gate);
        self.board.draining(&old);
        tokio::spawn(drain(old));
    }

    fn reject(&self, faults: Vec<Fault>) {
        for fault in &faults {
            tracing::error!("rejected: {fault}");
        }
        self.gate.metrics.generation("rejected");
        self.board.rejected(faults);
    }

    /// Something else was saved than what waits: nobody can accept that any more.
    fn unstage(&self, desk: &mut Desk) {
        if let Some(old) = desk.staged.take() {
            self.drop_lanes(|hash| *hash == old.bundle.hash);
        }
    }

    /// Drops lanes; what is on them ends as it would have.
    fn drop_lanes(&self, goes: impl Fn(&Hash) -> bool) {
        for lane in self.gate.lanes.drop_if(|lane| goes(&lane.hash)) {
            tokio::spawn(drain(lane));
        }
    }

    /// Keeps as many bundles as the settings say, and what is needed.
    fn tidy(&self, desk: &mut Desk) {
        let keep = self.gate.live.load().settings.generations.get() as usize;
        let canary = self.gate.canary.running().map(|canary| canary.hash);
        let spared: Vec<Hash> = desk.staged.iter().map(|staged| staged.bundle.hash).chain(canary).collect();
        desk.shelf.prune(keep, &spared);
    }

    /// Tells status what waits, and what someone went away from.
    fn show(&self, desk: &Desk) {
        let over = desk.shelf.pointer().and_then(|pointer| pointer.over);
        let mut shown = serde_json::Map::new();
        if let Some(staged) = &desk.staged {
            shown.insert("staged".into(), staged.show());
        }
        if let Some(over) = over.filter(|over| Some(*over) != self.gate.live.load().full()) {
            let why = "it does not serve, because someone went back; the next save counts again";
            shown.insert("passed_over".into(), json!({"hash": over, "why": why}));
        }
        let troubles: Vec<&str> =
            desk.shelf.unwritten().into_iter().chain(desk.shelf.refused().iter().map(String::as_str)).collect();
        if !troubles.is_empty() {
            shown.insert("shelf".into(), json!(troubles));
        }
        self.board.waits(shown);
    }
}

// === impl Staged ===

impl Staged {
    /// What would make it serve.
    fn command(&self) -> String {
        match &self.waits {
            Waits::Review(_) => format!("tidegate review {}", self.bundle.root.display()),
            Waits::Promotion(_) => format!("tidegate promote {}", self.bundle.hash),
        }
    }

    /// What it waits for, in a sentence.
    fn why(&self) -> String {
        match &self.waits {
            Waits::Review(why) => why.clone(),
            Waits::Promotion(accepted) => format!("{} accepted it, to be promoted", accepted.accepted_by),
        }
    }

    fn say(&self) {
        tracing::info!(
            hash = %self.bundle.hash, waits_for = self.why(), run = self.command(), "staged"
        );
    }

    fn show(&self) -> Value {
        json!({
            "hash": self.bundle.hash,
            "since": self.since.to_string(),
            "held": matches!(self.waits, Waits::Promotion(_)),
            "waits_for": self.why(),
            "run": self.command(),
        })
    }
}
