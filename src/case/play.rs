//! Plays a case: a gate of its own on a virtual clock, the same exchange as live traffic, everything written down.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::time::Instant;

use super::arrive::arrive;
use super::client::{Got, ScriptedClient};
use super::mask::Mask;
use super::player::Player;
use super::script::{ScriptedDial, Wire};
use super::{Answer, Call, Case, wires};
use crate::bundle::Bundle;
use crate::cache::{Cache, Flights};
use crate::clock::Clock;
use crate::dialect::event::Usage;
use crate::dialect::keep::Keep;
use crate::exchange::begin::Replay;
use crate::exchange::decision::{Identity, Plan};
use crate::exchange::{self, AttemptRecord, CacheState, End, Exchange, Peer, Reason, Sent, finish, refresh};
use crate::fault::Fault;
use crate::gate::memory::Held;
use crate::gate::preview::{self, Lanes};
use crate::gate::services::{GateServices, Sink};
use crate::gate::{Gate, Random, State};
use crate::generation::Candidate;
use crate::metrics::Metrics;
use crate::policy::{Covered, Decision, HookReport, LogLine};
use crate::state::{Limiter, Shared, Store, StoreLimits};
use crate::tape::{Ring, Tape};
use crate::upstream::affinity::Affinity;
use crate::upstream::health::Health;

/// How long work after a response may go on, in virtual time.
const AFTERWARDS: Duration = Duration::from_mins(1);

/// What happened when a case was played.
pub struct Played {
    /// The case.
    pub case: Case,
    /// Its calls, in order.
    pub(crate) calls: Vec<PlayedCall>,
    /// Answers that no attempt asked for.
    pub(crate) unused: Vec<Answer>,
    /// What must not be shown.
    pub(crate) mask: Mask,
    /// Which lines of policies ran, when they count.
    pub(crate) covered: Covered,
}

/// What became of one call.
pub(crate) struct PlayedCall {
    /// The call.
    pub(crate) call: Call,
    /// Who was found to be calling.
    pub(crate) identity: Identity,
    /// What the policies decided, in order.
    pub(crate) decisions: Vec<Decision>,
    /// Where it was to go.
    pub(crate) plan: Option<Plan>,
    /// What the cache did.
    pub(crate) cache: CacheState,
    /// The attempts.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// What upstreams were sent.
    pub(crate) wires: Vec<Wire>,
    /// What the client got.
    pub(crate) got: Vec<Got>,
    /// What could not be carried between two dialects, each in a line.
    pub(crate) losses: Vec<String>,
    /// What `on_response` changed of a head that the client had already.
    pub(crate) unsent: Vec<String>,
    /// Tokens used, as far as a translation told.
    pub(crate) usage: Option<Usage>,
    /// How it ended.
    pub(crate) sent: Sent,
    /// Its id, by which requests of the gate are told from those of policies.
    pub(crate) id: String,
    /// What policies said.
    pub(crate) heard: Heard,
}

/// What policies said during a call.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Their log lines.
    pub(crate) lines: Vec<LogLine>,
    /// Their failures.
    pub(crate) reports: Vec<HookReport>,
}

/// Writes down what policies say.
#[derive(Default)]
struct Notes(Mutex<Heard>);

/// Plays a case on a bundle. Errors when the bundle, with what the case sets, has faults.
pub fn play(bundle: &Bundle, case: &Case) -> Result<Played, Vec<Fault>> {
    Player::new(bundle).play(case)
}

/// Plays cases on all processors; the results are in the order of the cases.
pub fn play_all(bundle: &Bundle, cases: &[Case]) -> Vec<Result<Played, Vec<Fault>>> {
    Player::new(bundle).play_all(cases)
}

/// What a play is given besides its case.
pub(super) struct Scene {
    /// What is told from outside.
    pub(super) tape: Tape,
    /// How long the gate's clock has been running.
    pub(super) before: Duration,
    /// Whether the generation is a preview.
    pub(super) preview: bool,
}

/// Plays a case on a bundle that is ready for it, on a runtime and a clock of its own.
pub(super) fn play_on(candidate: Candidate, mask: Mask, case: &Case, scene: Scene) -> Result<Played, Vec<Fault>> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| vec![Fault::in_file(&case.file, format!("no runtime: {error}"))])?;
    // The gate is closed outside the runtime, which would start a thread for it.
    let (played, _gate) = runtime.block_on(play_here(candidate, mask, case, scene))?;
    drop(runtime);
    Ok(played)
}

async fn play_here(
    candidate: Candidate,
    mask: Mask,
    case: &Case,
    scene: Scene,
) -> Result<(Played, Gate<ScriptedDial>), Vec<Fault>> {
    let notes = Arc::new(Notes::default());
    let Scene { tape, before, preview } = scene;
    let clock = Clock::resuming(case.setup.clock, before);
    let gate = gate(candidate, case, clock, Arc::clone(&notes), preview)?;
    let mut calls = Vec::with_capacity(case.calls.len());
    for group in case.calls.chunk_by(|_, next| next.beside) {
        calls.extend(play_beside(&gate, &notes, case, group, &tape).await);
    }
    let covered = gate.live.load().policies.covered();
    Ok((Played { case: case.clone(), calls, unused: gate.dial.unused(), mask, covered }, gate))
}

/// A gate for one case.
fn gate(
    candidate: Candidate,
    case: &Case,
    clock: Clock,
    notes: Arc<Notes>,
    preview: bool,
) -> Result<Gate<ScriptedDial>, Vec<Fault>> {
    let dial = ScriptedDial::new(case.answers.clone());
    let state = State {
        store: Arc::new(Store::new(clock, StoreLimits::default())),
        limiter: Arc::new(Limiter::new(clock)),
        random: Arc::new(Random::new(case.setup.seed)),
    };
    let metrics = Arc::new(Metrics::new());
    let health = Arc::new(Health::new(clock, Arc::clone(&metrics)));
    health.attach(&candidate.upstreams);
    let limits = &candidate.settings.cache;
    let cache = Cache::in_memory(clock, limits.memory, limits.entry).with_http(limits.http);
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
    let generation = if preview { preview::marked(generation) } else { generation };
    Ok(Gate {
        live: ArcSwap::from_pointee(generation),
        dial,
        cache,
        shared: Shared::default(),
        flights: Flights::default(),
        keep: Keep::new(thoughts),
        state,
        health,
        clock,
        tapes: Ring::default(),
        metrics,
        admission: Arc::default(),
        queues: Arc::default(),
        affinity: Arc::new(Affinity::new(clock)),
        held: Held::default(),
        sink: notes,
        canary: Arc::default(),
        lanes: Lanes::default(),
    })
}

/// Serves calls of which each begins while the one before it is under way, and waits for the work that policies left for
/// afterwards.
async fn play_beside(
    gate: &Gate<ScriptedDial>,
    notes: &Notes,
    case: &Case,
    calls: &[Call],
    tape: &Tape,
) -> Vec<PlayedCall> {
    let mut starts = Duration::ZERO;
    let plays = calls.iter().map(|call| {
        starts += call.after;
        let start = starts;
        async move {
            tokio::time::sleep(start).await; // paced: the case says how long the client waits
            play_call(gate, case, call, tape).await
        }
    });
    let mut played = join_all(plays).await;
    afterwards().await;
    let (wires, heard) = (gate.dial.take_wires(), std::mem::take(&mut *notes.0.lock()));
    deal(&mut played, wires, heard);
    played
}

/// Gives each of several calls what is its own by its id; the first one has the rest.
fn deal(played: &mut [PlayedCall], wires: Vec<Wire>, heard: Heard) {
    let owner = |played: &[PlayedCall], is_own: &dyn Fn(&str) -> bool| {
        played.iter().position(|call| is_own(&call.id)).unwrap_or_default()
    };
    for wire in wires {
        let is_own = |id: &str| {
            let sent = wire.head.as_ref();
            sent.is_some_and(|head| wires::has_id(head, id) || wires::has_id(head, &refresh::refresh_id(id)))
        };
        let at = owner(played, &is_own);
        played.get_mut(at).into_iter().for_each(|call| call.wires.push(wire.clone()));
    }
    for line in heard.lines {
        let at = owner(played, &|id| line.request_id.as_deref() == Some(id));
        played.get_mut(at).into_iter().for_each(|call| call.heard.lines.push(line.clone()));
    }
    for report in heard.reports {
        let at = owner(played, &|id| report.request_id.as_deref() == Some(id));
        played.get_mut(at).into_iter().for_each(|call| call.heard.reports.push(report.clone()));
    }
}

/// Serves one call to its end.
async fn play_call(gate: &Gate<ScriptedDial>, case: &Case, call: &Call, tape: &Tape) -> PlayedCall {
    let peer = Peer { ip: case.setup.client, tls: call.tls, version: call.head.version };
    let id = case.setup.id.clone();
    let mut x = arrive(gate, peer, call, Replay { id, tape: tape.clone() });
    let mut client = ScriptedClient::new(call);
    if exchange::serve(gate, &mut client, &mut x).await == End::Upgrade {
        x.sent.reason = Some(Reason::Upgraded);
    }
    let played = PlayedCall {
        call: call.clone(),
        identity: x.identity.clone(),
        decisions: x.run.trace(),
        plan: x.plan.clone(),
        cache: CacheState {
            rule: x.cache.rule.clone(),
            key: x.cache.key.clone(),
            verdict: x.cache.verdict.clone(),
            ..CacheState::default()
        },
        attempts: x.attempts.clone(),
        wires: Vec::new(),
        got: client.got,
        losses: losses(&x),
        unsent: x.opening.unsent.clone(),
        usage: x.translated.as_ref().and_then(|it| it.told.usage.clone()),
        sent: Sent { reason: x.sent.reason, error: x.sent.error.clone(), ..Sent::default() },
        id: x.id.clone(),
        heard: Heard::default(),
    };
    let again = refresh::prepare(gate, &x);
    finish::settle(gate, x);
    if let Some(again) = again {
        refresh::run(gate, again).await;
    }
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

// === impl Played ===

impl Played {
    /// What policies said, call by call.
    pub(crate) fn log_lines(&self) -> impl DoubleEndedIterator<Item = &[LogLine]> {
        self.calls.iter().map(|call| call.heard.lines.as_slice())
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
