//! Watches a bundle and yields each new state of it once, whatever way its files are saved.

mod ears;
pub(super) mod places;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use self::ears::{Ears, Listen};
use self::places::Places;
use super::read::{Scan, scan_twice};
use super::{Bundle, Hash};
use crate::fault::Fault;

/// How long a bundle must be left alone before it is read.
pub const SETTLE: Duration = Duration::from_millis(60);

/// After how long it is read although it is not left alone.
const LONGEST_SETTLE: Duration = Duration::from_secs(1);

/// How often it is read without any event: some file systems send none.
const SAFETY_NET: Duration = Duration::from_secs(5);

/// How often it is read when the machine cannot watch.
const POLL: Duration = Duration::from_secs(1);

/// Follows one bundle. Nothing runs in the background: the next state is looked for while [`Watcher::changed`] is
/// awaited, and events that come in between are kept.
pub struct Watcher {
    /// The folder, as it was named; it may be a symlink that is swapped.
    dir: PathBuf,
    /// How long the bundle must be left alone.
    settle: Duration,
    /// The events of the machine.
    ears: Ears,
    /// What acceptances depended on when it was last looked at.
    reviews: Option<blake3::Hash>,
    /// The last state that was yielded.
    yielded: Option<Result<Arc<Bundle>, Vec<Fault>>>,
    /// A state in which something is missing: it is believed when it is found twice.
    suspect: Option<Result<Hash, Vec<Fault>>>,
    /// Whether a scan is due although no event came: the last one was not finished, or has to be confirmed.
    due: bool,
    /// Whether the bundle was left alone before the last scan, as far as events tell.
    settled: bool,
}

/// What changed.
#[derive(Debug)]
pub enum Change {
    /// The bundle; an error is a state that cannot be read, with every fault.
    Bundle(Result<Arc<Bundle>, Vec<Fault>>),
    /// What stands in `reviews/` or `snapshots/`, and so perhaps whether a bundle is accepted.
    Reviews,
}

/// How changes are noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the machine's events; every few seconds the bundle is also read.
    Events,
    /// By reading the bundle every second, for this reason.
    Polling(String),
}

// === impl Watcher ===

impl Watcher {
    /// Starts to watch. The first state that is yielded is the present one, unless it is [`Watcher::skip`]ped.
    pub fn start(dir: &Path, settle: Duration) -> Self {
        Self::with(dir, settle, ears::machine())
    }

    /// The same, with events from `listen`.
    pub(super) fn with(dir: &Path, settle: Duration, listen: Listen) -> Self {
        let mut places = Places::default();
        if let Some(root) = places.follow(dir) {
            places.add_folder(&root);
        }
        let mut ears = Ears::new(listen);
        ears.turn_to(places);
        Self {
            dir: dir.to_owned(),
            settle,
            ears,
            reviews: None,
            yielded: None,
            suspect: None,
            due: true,
            settled: false,
        }
    }

    /// Does not yield this state, which the caller has read itself.
    #[must_use]
    pub fn skip(mut self, known: Arc<Bundle>) -> Self {
        self.yielded = Some(Ok(known));
        self
    }

    /// How changes are noticed at present.
    pub fn mode(&self) -> &Mode {
        self.ears.mode()
    }

    /// Waits for a state that differs from the last one yielded; an error is a state that cannot be read, with every
    /// fault. May be dropped and called again without missing a state.
    pub async fn changed(&mut self) -> Result<Arc<Bundle>, Vec<Fault>> {
        loop {
            if let Change::Bundle(outcome) = self.stirred().await {
                return outcome;
            }
        }
    }

    /// Waits for a state that differs from the last one yielded, or for a change of what acceptances depend on. May
    /// be dropped and called again without missing either.
    pub async fn stirred(&mut self) -> Change {
        loop {
            self.wait().await;
            let Some(scan) = self.scan().await else {
                continue;
            };
            self.due = false;
            let before = self.reviews.replace(scan.reviews);
            if let Some(outcome) = self.judge(scan.outcome) {
                return Change::Bundle(outcome);
            }
            if before.is_some_and(|before| before != scan.reviews) {
                return Change::Reviews;
            }
        }
    }

    /// Waits until something may have changed and is left alone since.
    async fn wait(&mut self) {
        let idle = match self.ears.mode() {
            Mode::Events => SAFETY_NET,
            Mode::Polling(_) => POLL,
        };
        let first_state = self.yielded.is_none() && self.suspect.is_none();
        if !self.due && timeout(idle, self.ears.heard()).await.is_err() {
            self.due = true;
            self.settled = false;
            return;
        }
        self.due = true;
        self.settled = true;
        if first_state {
            return;
        }
        let latest = Instant::now() + LONGEST_SETTLE;
        loop {
            self.ears.forget();
            let quiet = Instant::now() + self.settle;
            let heard = timeout_at(quiet.min(latest), self.ears.heard()).await;
            if heard.is_err() || Instant::now() >= latest {
                return;
            }
        }
    }

    /// Reads the bundle and turns to where it lies now; `None` when it was being written meanwhile.
    async fn scan(&mut self) -> Option<Scan> {
        self.ears.forget();
        loop {
            let dir = self.dir.clone();
            let scan = tokio::task::spawn_blocking(move || scan_twice(&dir)).await.ok()??;
            // What happened in a folder before it was listened to is seen by reading once more.
            if !self.ears.turn_to(scan.places.clone()) {
                return Some(scan);
            }
        }
    }

    /// Decides whether what was found is to be yielded.
    fn judge(&mut self, found: Result<Bundle, Vec<Fault>>) -> Option<Result<Arc<Bundle>, Vec<Fault>>> {
        let hash = found.as_ref().map(|bundle| bundle.hash).map_err(Clone::clone);
        if self.is_old(&hash) {
            self.suspect = None;
            return None;
        }
        if !self.settled {
            // No event told of this change, so the ears may be in folders that were replaced.
            self.ears.doubt();
        }
        let doubtful = match &found {
            Ok(bundle) => bundle.is_truncated() || !self.keeps_last(bundle) || !self.settled,
            Err(_) => true,
        };
        if doubtful && self.suspect.as_ref() != Some(&hash) {
            self.suspect = Some(hash);
            self.due = true;
            return None;
        }
        self.suspect = None;
        let found = found.map(Arc::new);
        self.yielded = Some(found.clone());
        Some(found)
    }

    /// Whether this state was the last one yielded.
    fn is_old(&self, hash: &Result<Hash, Vec<Fault>>) -> bool {
        match (&self.yielded, hash) {
            (Some(Ok(last)), Ok(hash)) => last.hash == *hash,
            (Some(Err(last)), Err(faults)) => last == faults,
            _ => false,
        }
    }

    /// Whether no file of the last state is missing.
    fn keeps_last(&self, bundle: &Bundle) -> bool {
        match &self.yielded {
            Some(Ok(last)) => bundle.keeps(last),
            _ => true,
        }
    }
}
