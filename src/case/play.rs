//! Plays a case: a gate of its own on a virtual clock, the same exchange as live traffic, everything written down.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;

use super::arrive::arrive;
use super::client::{Got, ScriptedClient};
use super::mask::Mask;
use super::script::{ScriptedDial, Wire};
use super::{Answer, Call, Case};
use crate::bundle::Bundle;
use crate::cache::MemoryCache;
use crate::clock::Clock;
use crate::dialect::event::Usage;
use crate::dialect::keep::Keep;
use crate::exchange::decision::{Identity, Plan};
use crate::exchange::{self, AttemptRecord, CacheState, End, Exchange, Peer, Reason, Sent, finish};
use crate::fault::Fault;
use crate::gate::memory::Held;
use crate::gate::preview::Lanes;
use crate::gate::services::{GateServices, Sink};
use crate::gate::{Gate, Random, State};
use crate::generation::Candidate;
use crate::metrics::Metrics;
use crate::policy::{Decision, HookReport, LogLine};
use crate::settings::{Place, Settings};
use crate::state::{Limiter, Store, StoreLimits};

/// How long work after a response may go on, in virtual time.
const AFTERWARDS: Duration = Duration::from_mins(1);

/// The name of a case's generation: snapshots do not change because a comment in a policy did.
const GENERATION: &str = "case";

/// What happened when a case was played.
pub struct Played {
    /// The case.
    pub case: Case,
    /// Its calls, in order.
    pub(super) calls: Vec<PlayedCall>,
    /// Answers that no attempt asked for.
    pub(super) unused: Vec<Answer>,
    /// What must not be shown.
    pub(super) mask: Mask,
}

/// What became of one call.
pub(super) struct PlayedCall {
    /// The call.
    pub(super) call: Call,
    /// Who was found to be calling.
    pub(super) identity: Identity,
    /// What the policies decided, in order.
    pub(super) decisions: Vec<Decision>,
    /// Where it was to go.
    pub(super) plan: Option<Plan>,
    /// What the cache did.
    pub(super) cache: CacheState,
    /// The attempts.
    pub(super) attempts: Vec<AttemptRecord>,
    /// What upstreams were sent.
    pub(super) wires: Vec<Wire>,
    /// What the client got.
    pub(super) got: Vec<Got>,
    /// What could not be carried between two dialects, each in a line.
    pub(super) losses: Vec<String>,
    /// What the upstream said of its failure within a stream that was translated.
    pub(super) failure: Option<String>,
    /// Tokens used, as far as a translation told.
    pub(super) usage: Option<Usage>,
    /// How it ended.
    pub(super) sent: Sent,
    /// Its id, by which requests of the gate are told from those of policies.
    pub(super) id: String,
    /// What policies said.
    pub(super) heard: Heard,
}

/// What policies said during a call.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Their log lines.
    pub(super) lines: Vec<LogLine>,
    /// Their failures.
    pub(super) reports: Vec<HookReport>,
}

/// Writes down what policies say.
#[derive(Default)]
struct Notes(Mutex<Heard>);

/// Plays a case on a bundle. Errors when the bundle, with what the case sets, has faults.
pub fn play(bundle: &Bundle, case: &Case) -> Result<Played, Vec<Fault>> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| vec![Fault::in_file(&case.file, format!("no runtime: {error}"))])?;
    runtime.block_on(play_here(bundle, case))
}

/// Plays cases on all processors; the results are in the order of the cases.
pub fn play_all(bundle: &Bundle, cases: &[Case]) -> Vec<Result<Played, Vec<Fault>>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<_>> = Mutex::new(Vec::with_capacity(cases.len()));
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(cases.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { return };
                    let played = play(bundle, case);
                    results.lock().push((index, played));
                }
            });
        }
    });
    let mut results = results.into_inner();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, played)| played).collect()
}

async fn play_here(bundle: &Bundle, case: &Case) -> Result<Played, Vec<Fault>> {
    let (candidate, mask) = candidate(bundle, case)?;
    let notes = Arc::new(Notes::default());
    let gate = gate(candidate, case, Arc::clone(&notes))?;
    let mut calls = Vec::with_capacity(case.calls.len());
    for call in &case.calls {
        tokio::time::sleep(call.after).await; // paced: the case says how long the client waits
        calls.push(play_call(&gate, &notes, case, call).await);
    }
    Ok(Played { case: case.clone(), calls, unused: gate.dial.unused(), mask })
}

/// The bundle as the case wants it, with stand-ins for secrets: a case needs no real keys.
fn candidate(bundle: &Bundle, case: &Case) -> Result<(Candidate, Mask), Vec<Fault>> {
    let secrets = RefCell::new(Vec::new());
    let look_up = |place: &Place| {
        let value = match place {
            Place::Env(name) => case.setup.env.get(name).cloned(),
            Place::File(_) => None,
        };
        let value = value.unwrap_or_else(|| format!("stand-in for {place}").replace(' ', "-"));
        secrets.borrow_mut().push((value.clone(), place.to_string()));
        Ok(value)
    };
    let mut candidate = Candidate::adjusted(bundle, &look_up, |settings| set_params(settings, case))?;
    GENERATION.clone_into(&mut candidate.hash);
    let mask = Mask::new(secrets.take(), case);
    Ok((candidate, mask))
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

/// A gate for one case.
fn gate(candidate: Candidate, case: &Case, notes: Arc<Notes>) -> Result<Gate<ScriptedDial>, Vec<Fault>> {
    let clock = Clock::starting_at(case.setup.clock);
    let dial = ScriptedDial::new(case.answers.clone());
    let state = State {
        store: Arc::new(Store::new(clock, StoreLimits::default())),
        limiter: Arc::new(Limiter::new(clock)),
        random: Arc::new(Random::new(case.setup.seed)),
    };
    let limits = &candidate.settings.cache;
    let cache = MemoryCache::new(clock, limits.memory, limits.entry);
    let services = Arc::new(GateServices {
        state: state.clone(),
        clock,
        dial: dial.clone(),
        upstreams: Arc::clone(&candidate.upstreams),
        fetch_allow: candidate.settings.fetch.allow.clone(),
        sink: Arc::clone(&notes) as Arc<dyn Sink>,
    });
    let thoughts = candidate.settings.limits.thoughts;
    let generation = candidate.build(1, services, 1, clock.wall())?;
    Ok(Gate {
        live: ArcSwap::from_pointee(generation),
        dial,
        cache,
        keep: Keep::new(thoughts),
        state,
        clock,
        metrics: Arc::new(Metrics::new()),
        held: Held::default(),
        sink: notes,
        canary: Arc::default(),
        lanes: Lanes::default(),
    })
}

/// Serves one call to its end, and waits for the work that policies left for afterwards.
async fn play_call(gate: &Gate<ScriptedDial>, notes: &Notes, case: &Case, call: &Call) -> PlayedCall {
    let peer = Peer { ip: case.setup.client, tls: call.tls, version: call.head.version };
    let mut x = arrive(gate, peer, call.head.clone());
    let mut client = ScriptedClient::new(call);
    if exchange::serve(gate, &mut client, &mut x).await == End::Upgrade {
        x.sent.reason = Some(Reason::Upgraded);
    }
    let mut played = PlayedCall {
        call: call.clone(),
        identity: x.identity.clone(),
        decisions: x.run.trace(),
        plan: x.plan.clone(),
        cache: CacheState { rule: x.cache.rule.clone(), key: x.cache.key.clone(), verdict: x.cache.verdict.clone() },
        attempts: x.attempts.clone(),
        wires: Vec::new(),
        got: client.got,
        losses: losses(&x),
        failure: x.translated.as_ref().and_then(|it| it.told.failure.as_ref()).map(|it| it.message.clone()),
        usage: x.translated.as_ref().and_then(|it| it.told.usage.clone()),
        sent: Sent { reason: x.sent.reason, error: x.sent.error.clone(), ..Sent::default() },
        id: x.id.clone(),
        heard: Heard::default(),
    };
    finish::settle(gate, x);
    afterwards().await;
    played.wires = gate.dial.take_wires();
    played.heard = std::mem::take(&mut *notes.0.lock());
    played
}

/// What was lost between two dialects.
fn losses(x: &Exchange) -> Vec<String> {
    let told = x.translated.iter().flat_map(|translated| translated.told.losses.iter());
    told.map(ToString::to_string).collect()
}

/// Waits until no work is left: tasks that were begun are the only ones on this runtime.
async fn afterwards() {
    let metrics = Handle::current().metrics();
    let until = Instant::now() + AFTERWARDS;
    while metrics.num_alive_tasks() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1)).await; // paced: virtual time, for work that waits itself
    }
}

// === impl Notes ===

impl Sink for Notes {
    fn finished(&self, _exchange: &Exchange) {}

    fn log(&self, line: LogLine) {
        self.0.lock().lines.push(line);
    }

    fn report(&self, report: HookReport) {
        self.0.lock().reports.push(report);
    }
}
