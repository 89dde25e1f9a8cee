//! A bundle made ready for many plays: what does not depend on the case is read, compiled and checked once, so that a
//! play costs little more than its exchanges.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::Case;
use super::mask::Mask;
use super::play::{Played, Scene, play_on};
use crate::bundle::Bundle;
use crate::fault::Fault;
use crate::gate::reload::Adjust;
use crate::generation::Candidate;
use crate::policy::{Code, Counting};
use crate::settings::{Place, Settings};
use crate::tape::{Taken, Tape, Watch};

/// The name of a case's generation: snapshots do not change because a comment in a policy did.
const GENERATION: &str = "case";

/// Forms of a bundle that are kept at most; cases that all set something else would fill the memory.
const MOST_KEPT: usize = 64;

/// Plays cases on one bundle. Each play has a VM, a store, a clock and a gate of its own.
pub struct Player {
    bundle: Arc<Bundle>,
    /// Where secrets come from.
    house: House,
    /// The policies, compiled.
    code: Code,
    /// The bundle as cases want it.
    kept: Mutex<Vec<(Wishes, Arc<Ready>)>>,
}

/// Where secrets come from.
enum House {
    /// Nowhere: they have stand-ins.
    StandIns,
    /// The machine that serves the bundle.
    Machine(Arc<Adjust>),
}

/// What a case sets of a bundle.
#[derive(PartialEq)]
struct Wishes {
    /// Environment variables.
    env: BTreeMap<String, String>,
    /// Parameters: policy, name, value.
    params: Vec<(String, String, Value)>,
}

/// A bundle as a case wants it, checked.
struct Ready {
    candidate: Candidate,
    /// Stand-ins for its secrets, each with where it comes from.
    secrets: Vec<(String, String)>,
}

// === impl Player ===

impl Player {
    /// A player of cases on `bundle`.
    pub fn new(bundle: &Bundle) -> Self {
        Self::with(bundle, Counting::Off)
    }

    /// A player whose plays say which lines of the policies ran.
    pub(super) fn counting_lines(bundle: &Bundle) -> Self {
        Self::with(bundle, Counting::Lines)
    }

    /// A player of exchanges on a bundle as this machine serves it: with its secrets, and with the settings as `adjust`
    /// changes them.
    pub fn as_served(bundle: Arc<Bundle>, adjust: Arc<Adjust>) -> Self {
        let code = Code::of(&bundle.files, Counting::Off);
        Self { bundle, house: House::Machine(adjust), code, kept: Mutex::default() }
    }

    fn with(bundle: &Bundle, counting: Counting) -> Self {
        let code = Code::of(&bundle.files, counting);
        Self { bundle: Arc::new(bundle.clone()), house: House::StandIns, code, kept: Mutex::default() }
    }

    /// The bundle that it plays on.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Plays a case. Errors when the bundle, with what the case sets, has faults.
    pub fn play(&self, case: &Case) -> Result<Played, Vec<Fault>> {
        let scene = Scene {
            tape: Tape::playing(case.setup.reads.clone(), None, false),
            before: Duration::ZERO,
            preview: false,
        };
        self.perform(case, scene)
    }

    /// Plays an exchange again that was taken off its tape.
    pub fn replay(&self, taken: &Taken, watch: Watch) -> Result<Played, Vec<Fault>> {
        let tape = Tape::playing(taken.case.setup.reads.clone(), taken.stored.clone(), true);
        let tape = tape.holding(taken.kept.clone()).watched(watch);
        self.perform(&taken.case, Scene { tape, before: taken.elapsed, preview: taken.preview })
    }

    fn perform(&self, case: &Case, scene: Scene) -> Result<Played, Vec<Fault>> {
        let ready = self.ready(case)?;
        play_on(ready.candidate.again(), Mask::new(ready.secrets.clone(), case), case, scene)
    }

    /// The secrets that it plays a case with; none when the bundle has faults.
    pub fn secrets(&self, case: &Case) -> Vec<String> {
        let ready = self.ready(case).ok();
        ready.iter().flat_map(|ready| &ready.secrets).map(|(secret, _)| secret.clone()).collect()
    }

    /// Plays cases on all processors; the results are in the order of the cases.
    pub fn play_all(&self, cases: &[Case]) -> Vec<Result<Played, Vec<Fault>>> {
        on_all_processors(cases, |case| self.play(case))
    }

    /// The bundle as the case wants it. Faults name lines of the case, so only what has none is kept.
    fn ready(&self, case: &Case) -> Result<Arc<Ready>, Vec<Fault>> {
        let wishes = Wishes::of(case);
        let kept = self.kept.lock().iter().find(|(known, _)| *known == wishes).map(|(_, ready)| Arc::clone(ready));
        if let Some(ready) = kept {
            return Ok(ready);
        }
        let ready = Arc::new(self.make(case)?);
        let mut kept = self.kept.lock();
        if kept.len() < MOST_KEPT {
            kept.push((wishes, Arc::clone(&ready)));
        }
        Ok(ready)
    }

    /// Checks the bundle: on the machine's own secrets, or with stand-ins, since a case needs no real keys.
    fn make(&self, case: &Case) -> Result<Ready, Vec<Fault>> {
        let secrets = RefCell::new(Vec::new());
        let look_up = |place: &Place| {
            let value = match (&self.house, place) {
                (House::Machine(_), place) => place.look_up()?,
                (House::StandIns, place) => stand_in(place, case),
            };
            secrets.borrow_mut().push((value.clone(), place.to_string()));
            Ok(value)
        };
        let adjust = |settings: &mut Settings| {
            if let House::Machine(adjust) = &self.house {
                adjust(settings)?;
            }
            set_params(settings, case)
        };
        let mut candidate = Candidate::adjusted_on(&self.bundle, &self.code, &look_up, adjust)?;
        if matches!(self.house, House::StandIns) {
            GENERATION.clone_into(&mut candidate.hash);
        }
        Ok(Ready { candidate, secrets: secrets.take() })
    }
}

/// What stands for a secret in a case.
fn stand_in(place: &Place, case: &Case) -> String {
    let set = match place {
        Place::Env(name) => case.setup.env.get(name).cloned(),
        Place::File(_) => None,
    };
    set.unwrap_or_else(|| format!("stand-in for {place}").replace(' ', "-"))
}

// === impl Wishes ===

impl Wishes {
    fn of(case: &Case) -> Self {
        let params = case.setup.params.iter();
        let params = params.map(|param| (param.policy.clone(), param.name.clone(), param.value.clone()));
        Self { env: case.setup.env.clone(), params: params.collect() }
    }
}

/// Does a piece of work for each item on all processors; the results are in the order of the items.
pub fn on_all_processors<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(items.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    results.lock().push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Puts the parameters that the case sets in place of the settings'.
fn set_params(settings: &mut Settings, case: &Case) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    for param in &case.setup.params {
        let policy = settings.policies.iter_mut().find(|policy| policy.label() == param.policy);
        if let Some(policy) = policy {
            policy.params.insert(param.name.clone(), param.value.clone());
        } else {
            let message = format!("the settings have no policy `{}`", param.policy);
            faults.push(Fault::at(&case.file, param.line, 1, message));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
