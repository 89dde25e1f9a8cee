//! What a gate knows of one endpoint: its breakers, what is under way, how quick and how reliable it is, its limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use parking_lot::Mutex;

use super::change::{Bell, Change, State};
use super::models::Models;
use crate::error::Kind;
use crate::settings::Breaker as Rules;
use crate::upstream::average::{Average, PeakAverage};
use crate::upstream::breaker::{Breaker, Outcome, Pass, Standing, Turn};
use crate::upstream::learned::Learned;

/// What is known of one endpoint. It outlives generations that have the endpoint in common.
#[derive(Debug, Default)]
pub struct Vitals {
    /// The upstream's name and the endpoint's.
    pub(super) name: (String, String),
    /// Who is told of changes; nobody for an endpoint that belongs to no gate.
    bell: Option<Arc<Bell>>,
    /// Attempts under way.
    under_way: AtomicU32,
    /// Whether there is something to think about: a breaker that is not closed, or a limit that is known.
    marked: AtomicBool,
    /// What it is owed of turns.
    pub(in crate::upstream) credit: AtomicI64,
    /// Figures for a score.
    success: Figure,
    speed: Figure,
    latency: Figure,
    pub(super) inner: Mutex<Inner>,
}

/// A number that is read without a lock, as the bits of an `f32`.
#[derive(Debug)]
struct Figure(AtomicU32);

/// What is looked at under a lock.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) breaker: Breaker,
    pub(super) models: Models,
    pub(super) latency: PeakAverage,
    success: Average,
    speed: Average,
    pub(super) learned: Learned,
    /// Attempts that ended.
    pub(super) total: u64,
    /// Those of them that failed.
    pub(super) failed: u64,
    /// The last failure in one word, and when it was.
    pub(super) last_failure: Option<(&'static str, Duration)>,
    /// When it last served.
    pub(super) last_success: Option<Duration>,
    /// When the gate looks after it by itself.
    probe_at: Duration,
}

/// What is asked of an endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// The model, where models have breakers of their own.
    pub model: Option<&'a str>,
    /// About how many tokens are sent.
    pub tokens: u64,
    /// The gate's time.
    pub now: Duration,
}

/// How fit an endpoint is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It is.
    Fit,
    /// It has to prove itself, and there is room for one more to try it.
    Trial,
    /// It is, but had better be spared for now.
    Spared,
    /// It is not before then.
    Open(Duration),
}

/// Leave for an attempt at an endpoint.
#[derive(Debug)]
pub(super) struct Entry {
    endpoint: Pass,
    model: Option<(Box<str>, Pass)>,
}

/// Whether an answer asks for a rest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest {
    /// It does not.
    No,
    /// It does, for so long if it says so.
    Wanted(Option<Duration>),
}

/// How an attempt ended, as far as it says anything about the endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It was answered to the end; tokens a second, when they were counted.
    Served(Option<f32>),
    /// It wants less to do: 429 or 529.
    Refused,
    /// It failed.
    Failed {
        /// How, in one word.
        kind: &'static str,
        /// Whether nobody was there at all.
        unreachable: bool,
    },
}

/// Success, tokens a second and seconds to the first event; what is not known is absent.
pub(in crate::upstream) type Figures = (Option<f32>, Option<f32>, Option<f32>);

// === impl Figure ===

impl Figure {
    fn get(&self) -> Option<f32> {
        let value = f32::from_bits(self.0.load(Ordering::Relaxed));
        (!value.is_nan()).then_some(value)
    }

    fn set(&self, value: Option<f32>) {
        self.0.store(value.unwrap_or(f32::NAN).to_bits(), Ordering::Relaxed);
    }
}

impl Default for Figure {
    fn default() -> Self {
        Self(AtomicU32::new(f32::NAN.to_bits()))
    }
}

// === impl Verdict ===

impl Verdict {
    /// What an error of this kind says about the endpoint.
    pub fn failed(kind: Kind) -> Self {
        Self::Failed { kind: kind.as_str(), unreachable: matches!(kind, Kind::Connect | Kind::Tls) }
    }
}

// === impl Vitals ===

impl Vitals {
    pub(super) fn new(upstream: &str, endpoint: &str, bell: Arc<Bell>) -> Self {
        Self { name: (upstream.to_owned(), endpoint.to_owned()), bell: Some(bell), ..Self::default() }
    }

    /// Attempts under way.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Figures for a score.
    pub(in crate::upstream) fn figures(&self) -> Figures {
        (self.success.get(), self.speed.get(), self.latency.get())
    }

    /// What one more request costs here, by the latency and by what is under way.
    pub(in crate::upstream) fn load(&self, now: Duration) -> f64 {
        self.inner.lock().latency.load(now, self.under_way())
    }

    /// How fit it is to be asked.
    pub fn fitness(&self, rules: &Rules, headroom: u32, ask: &Ask<'_>) -> Fitness {
        if !self.marked.load(Ordering::Relaxed) {
            return Fitness::Fit;
        }
        let inner = self.inner.lock();
        let own = inner.breaker.standing(ask.now, rules);
        let model = ask.model.and_then(|model| inner.models.get(model)).map(|b| b.standing(ask.now, rules));
        match (own, model.unwrap_or(Standing::Closed)) {
            (Standing::Open { until: one }, Standing::Open { until: other }) => Fitness::Open(one.max(other)),
            (Standing::Open { until }, _) | (_, Standing::Open { until }) => Fitness::Open(until),
            (Standing::HalfOpen { free: false }, _) | (_, Standing::HalfOpen { free: false }) => Fitness::Open(ask.now),
            _ if inner.learned.busy_until(ask.now, ask.tokens, headroom).is_some() => Fitness::Spared,
            (Standing::Closed, Standing::Closed) => Fitness::Fit,
            _ => Fitness::Trial,
        }
    }

    /// Leave for an attempt, which counts from now on; `None` when nobody may, unless it is `forced`.
    pub(super) fn enter(&self, rules: &Rules, ask: &Ask<'_>, forced: bool) -> Option<Entry> {
        let entry = if self.marked.load(Ordering::Relaxed) || ask.model.is_some() {
            self.admit(rules, ask, forced)?
        } else {
            Entry { endpoint: Pass::default(), model: None }
        };
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Some(entry)
    }

    fn admit(&self, rules: &Rules, ask: &Ask<'_>, forced: bool) -> Option<Entry> {
        let mut inner = self.inner.lock();
        let (endpoint, turn) = inner.breaker.enter(ask.now, rules, forced);
        let endpoint = endpoint?;
        let mut model_turn = None;
        let model = match ask.model {
            None => None,
            Some(name) => {
                let (pass, turn) = inner.models.at(name, ask.now).enter(ask.now, rules, forced);
                model_turn = turn;
                let Some(pass) = pass else {
                    inner.breaker.release(endpoint);
                    return None;
                };
                Some((name.into(), pass))
            }
        };
        inner.learned.spend(ask.tokens);
        drop(inner);
        self.tell(None, turn, "its time is over");
        self.tell(ask.model, model_turn, "its time is over");
        Some(Entry { endpoint, model })
    }

    /// Notes how long the head of an answer took.
    #[allow(clippy::cast_possible_truncation, reason = "three digits of it are enough")]
    pub(super) fn heard(&self, now: Duration, took: Duration) {
        let mut inner = self.inner.lock();
        inner.latency.add(now, took);
        self.latency.set(Some(inner.latency.at(now) as f32));
    }

    /// Takes note of the limits that an answer tells of, and of a rest that it asks for.
    pub(super) fn learn(&self, now: Duration, wall: SystemTime, headers: &HeaderMap, rest: Rest) {
        let mut inner = self.inner.lock();
        inner.learned.read(headers, wall, now);
        match rest {
            Rest::Wanted(wait) => inner.learned.refused(wait, now),
            Rest::No => inner.learned.accepted(),
        }
        self.mark(&inner, now);
    }

    /// Takes an attempt's end into account; without a verdict it said nothing about the endpoint.
    pub(super) fn leave(&self, rules: &Rules, entry: Entry, now: Duration, verdict: Option<Verdict>) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        let Entry { endpoint, model } = entry;
        let Some(verdict) = verdict else {
            inner.breaker.release(endpoint);
            if let Some((name, pass)) = model {
                inner.models.at(&name, now).release(pass);
            }
            return;
        };
        let (outcome, why) = inner.count(verdict, now);
        self.success.set(inner.success.value());
        self.speed.set(inner.speed.value());
        // What fails after the connection is the model's failure, where models are told apart.
        let of_model = model.is_some() && matches!(outcome, Some(Outcome::Failure { unreachable: false }));
        let turn = match outcome {
            Some(outcome) if !of_model => inner.breaker.record(now, rules, endpoint, outcome),
            _ => {
                inner.breaker.release(endpoint);
                None
            }
        };
        let mut model_turn = None;
        if let Some((name, pass)) = &model {
            let breaker = inner.models.at(name, now);
            match outcome {
                Some(outcome) if of_model || outcome == Outcome::Success => {
                    model_turn = breaker.record(now, rules, *pass, outcome);
                }
                _ => breaker.release(*pass),
            }
        }
        self.mark(&inner, now);
        drop(inner);
        self.tell(None, turn, why);
        self.tell(model.as_ref().map(|(name, _)| &**name), model_turn, why);
    }

    /// Takes into account what the gate found out by itself.
    pub(in crate::upstream) fn probed(&self, rules: &Rules, now: Duration, alive: bool) {
        let mut inner = self.inner.lock();
        let turn = inner.breaker.probed(now, rules, alive);
        self.mark(&inner, now);
        drop(inner);
        self.tell(None, turn, "probe");
    }

    /// Whether the gate is to look after it now; the next time is `every` later.
    pub(in crate::upstream) fn is_due(&self, now: Duration, every: Duration) -> bool {
        let mut inner = self.inner.lock();
        let due = inner.probe_at <= now;
        if due {
            inner.probe_at = now + every;
        }
        due
    }

    /// Looks after it again soon: it has to prove itself.
    pub(in crate::upstream) fn probe_again(&self, at: Duration) {
        let mut inner = self.inner.lock();
        if !inner.breaker.is_closed() {
            inner.probe_at = inner.probe_at.min(at);
        }
    }

    /// Takes over what another gate tells.
    pub(super) fn adopt(&self, change: &Change, until: Duration, now: Duration) {
        let mut inner = self.inner.lock();
        let breaker = match &change.model {
            Some(model) => inner.models.at(model, now),
            None => &mut inner.breaker,
        };
        let turn = match change.state {
            State::Open => breaker.told_open(until, change.openings),
            State::Closed => breaker.reset(now),
            // Each gate finds out for itself.
            State::HalfOpen => None,
        };
        self.mark(&inner, now);
        drop(inner);
        if let (Some(bell), Some(_)) = (&self.bell, turn) {
            bell.note(change, "told by another gate");
        }
    }

    /// Closes all its breakers and forgets what it told of its limits.
    pub(super) fn reset(&self, now: Duration) {
        let mut inner = self.inner.lock();
        let turn = inner.breaker.reset(now);
        let models = inner.models.take_open();
        inner.learned = Learned::default();
        self.mark(&inner, now);
        drop(inner);
        self.tell(None, turn, "reset");
        for model in models {
            self.tell(Some(&model), Some(Turn::Closed), "reset");
        }
    }

    /// Notes whether there is something to think about.
    fn mark(&self, inner: &Inner, now: Duration) {
        let plain = inner.breaker.is_closed() && inner.models.are_closed() && inner.learned.is_empty(now);
        self.marked.store(!plain, Ordering::Relaxed);
    }

    /// A moment of the gate's time, in milliseconds since 1970.
    pub(super) fn moment(&self, at: Duration) -> u64 {
        self.bell.as_ref().map_or(0, |bell| bell.moment(at))
    }

    fn tell(&self, model: Option<&str>, turn: Option<Turn>, why: &str) {
        if let (Some(bell), Some(turn)) = (&self.bell, turn) {
            bell.ring(&self.name, model, turn, why);
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Counts how an attempt ended: what it is for a breaker, and why in one word.
    fn count(&mut self, verdict: Verdict, now: Duration) -> (Option<Outcome>, &'static str) {
        self.total += 1;
        match verdict {
            Verdict::Served(speed) => {
                self.success.add(1.0);
                if let Some(speed) = speed {
                    self.speed.add(speed);
                }
                self.last_success = Some(now);
                (Some(Outcome::Success), "served")
            }
            Verdict::Refused => {
                self.success.add(0.0);
                (None, "refused")
            }
            Verdict::Failed { kind, unreachable } => {
                self.success.add(0.0);
                self.failed += 1;
                self.last_failure = Some((kind, now));
                (Some(Outcome::Failure { unreachable }), kind)
            }
        }
    }
}
