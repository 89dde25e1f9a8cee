//! The counters, in one place, with labels that cannot grow without bound: names of the settings and fixed words.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::exchange::{Exchange, Reason};
use crate::upstream::health::State;
use crate::upstream::queue::Busy;

/// All counters of a gate.
pub struct Metrics {
    registry: Registry,
    exchanges: Family<ExchangeLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    cache: Family<CacheLabels, Counter>,
    seconds: Histogram,
    open_exchanges: Gauge<i64, AtomicI64>,
    open_connections: Gauge<i64, AtomicI64>,
    bytes_out: Counter<u64, AtomicU64>,
    continued: Counter<u64, AtomicU64>,
    resent: Family<EndpointLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    losses: Family<LossLabels, Counter>,
    hook_errors: Family<HookLabels, Counter>,
    generations: Family<StateLabels, Counter>,
    breakers: Family<BreakerLabels, Counter>,
    open_endpoints: Family<EndpointLabels, Gauge<i64, AtomicI64>>,
    not_repeated: Family<UpstreamLabels, Counter>,
    turned_away: Family<ReasonLabels, Counter>,
    admitted: Gauge<i64, AtomicI64>,
    waiting: Gauge<i64, AtomicI64>,
    queue_running: Family<EndpointLabels, Gauge<i64, AtomicI64>>,
    queue_waiting: Family<EndpointLabels, Gauge<i64, AtomicI64>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ExchangeLabels {
    status: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AttemptLabels {
    upstream: String,
    endpoint: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CacheLabels {
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    upstream: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LossLabels {
    upstream: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct HookLabels {
    policy: String,
    hook: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BreakerLabels {
    upstream: String,
    endpoint: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndpointLabels {
    upstream: String,
    endpoint: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

/// Upper bounds of the duration histogram, in seconds: from a static answer to a long stream.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0];

// === impl Metrics ===

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All counters at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tidegate"),
            exchanges: Family::default(),
            attempts: Family::default(),
            cache: Family::default(),
            seconds: Histogram::new(SECONDS),
            open_exchanges: Gauge::default(),
            open_connections: Gauge::default(),
            bytes_out: Counter::default(),
            continued: Counter::default(),
            resent: Family::default(),
            tokens: Family::default(),
            losses: Family::default(),
            hook_errors: Family::default(),
            generations: Family::default(),
            breakers: Family::default(),
            open_endpoints: Family::default(),
            not_repeated: Family::default(),
            turned_away: Family::default(),
            admitted: Gauge::default(),
            waiting: Gauge::default(),
            queue_running: Family::default(),
            queue_waiting: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("exchanges", "Finished exchanges", self.exchanges.clone());
        registry.register("attempts", "Attempts at endpoints", self.attempts.clone());
        registry.register("cache", "What the cache did", self.cache.clone());
        registry.register("exchange_seconds", "How long exchanges took", self.seconds.clone());
        registry.register("open_exchanges", "Exchanges under way", self.open_exchanges.clone());
        registry.register("open_connections", "Client connections", self.open_connections.clone());
        registry.register("response_bytes", "Bytes of response bodies", self.bytes_out.clone());
        registry.register("continued", "Answers that went on at another attempt", self.continued.clone());
        registry.register("resent", "Requests sent again: a kept connection was closed", self.resent.clone());
        registry.register("tokens", "Tokens that upstreams counted", self.tokens.clone());
        registry.register("losses", "What translations could not carry", self.losses.clone());
        registry.register("hook_errors", "Hooks that failed", self.hook_errors.clone());
        registry.register("generations", "Generations by what became of them", self.generations.clone());
        registry.register("breaker_changes", "Breakers that opened, half-opened and closed", self.breakers.clone());
        registry.register("open_endpoints", "Whether an endpoint is left alone", self.open_endpoints.clone());
        registry.register("not_repeated", "Attempts that the retry budget did not allow", self.not_repeated.clone());
        registry.register("turned_away", "Exchanges that found no room in the gate", self.turned_away.clone());
        registry.register("admitted_exchanges", "Exchanges served, where that is limited", self.admitted.clone());
        registry.register("waiting_exchanges", "Exchanges that wait to be served", self.waiting.clone());
        registry.register(
            "queue_running",
            "Requests that an endpoint with a line works on",
            self.queue_running.clone(),
        );
        registry.register("queue_waiting", "Requests that wait before an endpoint", self.queue_waiting.clone());
    }

    /// Counts a finished exchange.
    pub fn exchange(&self, x: &Exchange) {
        let reason = x.sent.reason.unwrap_or(Reason::Done).as_str();
        let status = class(x.sent.status);
        self.exchanges.get_or_create(&ExchangeLabels { status, reason }).inc();
        self.seconds.observe(x.elapsed().as_secs_f64());
        self.bytes_out.inc_by(x.sent.bytes);
        self.continued.inc_by(u64::from(x.continued()));
        let verdict = x.cache.verdict.as_str();
        if verdict != "off" {
            self.cache.get_or_create(&CacheLabels { verdict }).inc();
        }
        for attempt in &x.attempts {
            let outcome = attempt.error.as_ref().map_or_else(|| class(attempt.status), |error| error.kind().as_str());
            let labels =
                AttemptLabels { upstream: attempt.upstream.clone(), endpoint: attempt.endpoint.clone(), outcome };
            self.attempts.get_or_create(&labels).inc();
            if attempt.resent {
                let AttemptLabels { upstream, endpoint, .. } = labels;
                self.resent.get_or_create(&EndpointLabels { upstream, endpoint }).inc();
            }
        }
        if let Some(last) = x.attempts.last() {
            self.translation(x, &last.upstream);
        }
    }

    /// Counts the tokens and losses of an exchange that an upstream answered.
    fn translation(&self, x: &Exchange, upstream: &str) {
        if let Some(usage) = x.usage().filter(|usage| !usage.estimated) {
            for (kind, tokens) in [("input", usage.input), ("output", usage.output)] {
                self.tokens.get_or_create(&TokenLabels { upstream: upstream.to_owned(), kind }).inc_by(tokens);
            }
        }
        for loss in x.translated.iter().flat_map(|translated| translated.told.losses.iter()) {
            let labels = LossLabels { upstream: upstream.to_owned(), verdict: loss.verdict.as_str() };
            self.losses.get_or_create(&labels).inc();
        }
    }

    /// Counts exchanges under way, up or down.
    pub fn begun(&self, by: i64) {
        self.open_exchanges.inc_by(by);
    }

    /// Counts open connections, up or down.
    pub fn connection(&self, by: i64) {
        self.open_connections.inc_by(by);
    }

    /// Counts a hook that failed.
    pub fn hook_error(&self, policy: &str, hook: &str) {
        let labels = HookLabels { policy: policy.to_owned(), hook: hook.to_owned() };
        self.hook_errors.get_or_create(&labels).inc();
    }

    /// Counts a generation that went live, or was rejected.
    pub fn generation(&self, state: &'static str) {
        self.generations.get_or_create(&StateLabels { state }).inc();
    }

    /// Counts a breaker that changed; `of_endpoint` says that it is not only a model's.
    pub fn breaker(&self, upstream: &str, endpoint: &str, state: State, of_endpoint: bool) {
        let (upstream, endpoint) = (upstream.to_owned(), endpoint.to_owned());
        let labels = BreakerLabels { upstream: upstream.clone(), endpoint: endpoint.clone(), state: state.as_str() };
        self.breakers.get_or_create(&labels).inc();
        if of_endpoint {
            let open = i64::from(state == State::Open);
            self.open_endpoints.get_or_create(&EndpointLabels { upstream, endpoint }).set(open);
        }
    }

    /// Counts an attempt that was not made because too much was repeated.
    pub fn not_repeated(&self, upstream: &str) {
        self.not_repeated.get_or_create(&UpstreamLabels { upstream: upstream.to_owned() }).inc();
    }

    /// Counts an exchange that found no room in the gate, and why.
    pub fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// How busy the gate is, by its own limit.
    pub fn admission(&self, busy: &Busy) {
        self.admitted.set(busy.running.into());
        self.waiting.set(count(busy.waits()));
    }

    /// How busy the lines before the endpoints that have one are; all others are forgotten.
    pub fn queues(&self, queues: impl Iterator<Item = (String, String, Busy)>) {
        self.queue_running.clear();
        self.queue_waiting.clear();
        for (upstream, endpoint, busy) in queues {
            let labels = EndpointLabels { upstream, endpoint };
            self.queue_running.get_or_create(&labels).set(busy.running.into());
            self.queue_waiting.get_or_create(&labels).set(count(busy.waits()));
        }
    }

    /// Everything in Prometheus' text form.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The class of a status: one of five words.
fn class(status: Option<u16>) -> &'static str {
    match status {
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(_) => "5xx",
        None => "none",
    }
}
