//! Starts a live gate: real sockets, real time, the log for a sink.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;

use super::memory::Held;
use super::preview::Lanes;
use super::services::{Counting, GateServices, HookErrors, Sink};
use super::{Gate, Random, State};
use crate::admin::Board;
use crate::bundle::shelf;
use crate::cache::{Cache, Flights};
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::dialect::keep::Keep;
use crate::exchange::{Exchange, Reason, finish};
use crate::fault::Fault;
use crate::generation::{Candidate, Generation};
use crate::metrics::Metrics;
use crate::policy::{HookReport, LogLevel, LogLine};
use crate::state::{Limiter, Redis, Shared, Store, StoreLimits};
use crate::tape::Ring;
use crate::upstream::affinity::Affinity;
use crate::upstream::dial::Dialer;
use crate::upstream::health::Health;

/// The settings' name in a bundle, as faults show it.
const SETTINGS: &str = "tidegate.toml";

/// Idle connections to endpoints that are kept, over all of them.
const POOL: usize = 1024;

/// Writes what happens to the log, and keeps hook errors for status.
pub struct LiveSink {
    board: Arc<Board>,
    metrics: Arc<Metrics>,
}

/// What the generations of a gate are built with.
pub struct Parts<'a> {
    /// Opens connections.
    pub dial: &'a Dialer,
    /// What policies keep.
    pub state: &'a State,
    /// What is known of endpoints.
    pub health: &'a Health,
    /// The time.
    pub clock: Clock,
    /// Where finished exchanges and log lines go.
    pub sink: &'a Arc<dyn Sink>,
}

/// Builds the first generation and the gate around it.
pub fn start(candidate: Candidate, workers: usize, board: Arc<Board>) -> Result<Gate<Dialer>, Vec<Fault>> {
    let clock = Clock::live();
    let metrics = Arc::new(Metrics::new());
    let sink: Arc<dyn Sink> = Arc::new(LiveSink::new(board, Arc::clone(&metrics)));
    let state = State {
        store: Arc::new(Store::new(clock, StoreLimits::default())),
        limiter: Arc::new(Limiter::new(clock)),
        random: Arc::new(Random::new(fastrand::u64(..))),
    };
    let shared =
        Redis::new(&candidate.settings.redis).map(Shared::over).map_err(|why| vec![Fault::in_file(SETTINGS, why)])?;
    let dial = Dialer::new(POOL, &candidate.settings.dns);
    let health = Arc::new(Health::new(clock, Arc::clone(&metrics)));
    let parts = Parts { dial: &dial, state: &state, health: &health, clock, sink: &sink };
    let generation = parts.build(candidate, 1, workers)?;
    metrics.generation("live");
    Ok(Gate {
        cache: cache(&generation, clock, &shared),
        affinity: Arc::new(Affinity::new(clock).among(&shared)),
        shared,
        flights: Flights::default(),
        keep: Keep::new(generation.settings.limits.thoughts),
        live: ArcSwap::from_pointee(generation),
        dial,
        state,
        health,
        clock,
        tapes: Ring::default(),
        metrics,
        admission: Arc::default(),
        queues: Arc::default(),
        held: Held::default(),
        sink,
        canary: Arc::default(),
        lanes: Lanes::default(),
    })
}

/// The cache with the stores that the settings ask for.
fn cache(generation: &Generation, clock: Clock, shared: &Shared) -> Cache {
    let settings = &generation.settings.cache;
    let cache = Cache::in_memory(clock, settings.memory, settings.entry).with_http(settings.http).shared(shared);
    match (settings.disk, &generation.bundle) {
        (Some(most), Some(bundle)) => cache.behind(&bundle.root.join(shelf::ROOM).join(&settings.dir), most),
        _ => cache,
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// Those of a running gate.
    pub fn of(gate: &'a Gate<Dialer>) -> Self {
        Self { dial: &gate.dial, state: &gate.state, health: &gate.health, clock: gate.clock, sink: &gate.sink }
    }

    /// Builds a generation.
    pub fn build(&self, candidate: Candidate, number: u64, workers: usize) -> Result<Generation, Vec<Fault>> {
        self.health.attach(&candidate.upstreams);
        let errors = Arc::new(HookErrors::default());
        let services = Arc::new(GateServices {
            state: self.state.clone(),
            clock: self.clock,
            dial: self.dial.clone(),
            upstreams: Arc::clone(&candidate.upstreams),
            fetch_allow: candidate.settings.fetch.allow.clone(),
            sink: Arc::new(Counting { sink: Arc::clone(self.sink), errors: Arc::clone(&errors) }),
        });
        let generation = candidate.build(number, services, workers, self.clock.wall())?;
        Ok(Generation { hook_errors: errors, ..generation })
    }
}

// === impl LiveSink ===

impl LiveSink {
    /// A sink that counts in `metrics` and shows failures on `board`.
    pub fn new(board: Arc<Board>, metrics: Arc<Metrics>) -> Self {
        Self { board, metrics }
    }
}

impl Sink for LiveSink {
    fn finished(&self, x: &Exchange) {
        if !x.generation.settings.log.access {
            return;
        }
        let attempts = finish::attempts_line(&x.attempts);
        tracing::info!(
            target: "tidegate::access",
            id = x.id,
            client_ip = %x.client_ip,
            method = x.method.as_str(),
            path = finish::without_query(&x.target),
            status = x.sent.status,
            reason = x.sent.reason.map(Reason::as_str),
            ms = finish::millis(x.elapsed()),
            head_ms = x.sent.head_after.map(finish::millis),
            bytes = x.sent.bytes,
            user = x.identity.user,
            client = x.identity.client,
            session = x.identity.session,
            agent = x.identity.agent,
            evidence = x.identity.evidence,
            dialect = x.dialect.map(Dialect::as_str),
            cache = x.cache.verdict.as_str(),
            route = x.plan.as_ref().map(|plan| plan.decided_by.0.as_str()),
            attempts,
            queued_ms = finish::queued(&x.attempts).map(finish::millis),
            continued = Some(x.continued()).filter(|continued| *continued > 0),
            losses = x.translated.as_ref().map(|translated| translated.told.losses.to_string()).filter(|all| !all.is_empty()),
            input_tokens = x.usage().map(|usage| usage.input),
            output_tokens = x.usage().map(|usage| usage.output),
            generation = x.generation.short_hash(),
            error = x.sent.error.as_ref().map(tracing::field::display),
        );
    }

    fn log(&self, line: LogLine) {
        let fields = Value::Object(line.fields);
        let id = line.request_id.unwrap_or_default();
        let (policy, said) = (line.policy, line.message);
        match line.level {
            LogLevel::Debug => tracing::debug!(target: "tidegate::policy", %policy, %id, %fields, "{said}"),
            LogLevel::Info => tracing::info!(target: "tidegate::policy", %policy, %id, %fields, "{said}"),
            LogLevel::Warn => tracing::warn!(target: "tidegate::policy", %policy, %id, %fields, "{said}"),
            LogLevel::Error => tracing::error!(target: "tidegate::policy", %policy, %id, %fields, "{said}"),
        }
    }

    fn report(&self, report: HookReport) {
        self.metrics.hook_error(&report.policy, report.hook);
        tracing::error!(
            target: "tidegate::policy",
            policy = %report.policy,
            hook = %report.hook,
            "{}",
            report.message
        );
        self.board.report(&report);
    }
}
