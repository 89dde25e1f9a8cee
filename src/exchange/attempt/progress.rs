//! Works out which endpoint is tried next: the plan in its order, those that are fit first, no endpoint twice while
//! another is left, and no more repetitions than the upstream's budget has.

mod pick;

use std::sync::Arc;
use std::time::Duration;

use super::LONGEST_WAIT;
use super::asked::Asked;
use super::held::Held;
use crate::error::{Error, Fault, Kind};
use crate::exchange::decision::{Failover, Plan, PlannedAttempt};
use crate::exchange::wire::Dial;
use crate::exchange::{Exchange, turn};
use crate::gate::Gate;
use crate::settings::WhenAllOpen;
use crate::upstream::health::Ticket;
use crate::upstream::{Endpoint, Upstream};
use pick::{Pick, Picked, Reach};

/// One try that is about to be made.
pub(super) struct Try {
    /// What the plan says of it.
    pub(super) planned: PlannedAttempt,
    /// The upstream.
    pub(super) upstream: Arc<Upstream>,
    /// The endpoint that was chosen.
    pub(super) endpoint: Arc<Endpoint>,
    /// What it owns until its end.
    pub(super) held: Held,
}

/// The plan as it is being worked through.
pub(super) struct Progress {
    plan: Plan,
    /// The plan's first entry that may be used.
    at: usize,
    /// The entry of the last try.
    current: usize,
    /// Tries begun: on tape each is told by its number.
    begun: u32,
    /// What was tried.
    tried: Vec<Tried>,
    /// Upstreams that may not be tried again: too much was repeated there.
    spent: Vec<Arc<Upstream>>,
    /// The last endpoint tried: it is tried again only when there is no other.
    last: Option<Try>,
    /// How long the endpoints stay open because of which nothing was tried.
    refused: Option<(Arc<Upstream>, Duration)>,
}

/// An endpoint that was tried, and the model that the plan asked it for: for another one it has not been tried.
struct Tried {
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    model: Option<String>,
}

// === impl Progress ===

impl Progress {
    /// The plan, of which nothing was tried.
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, at: 0, current: 0, begun: 0, tried: Vec::new(), spent: Vec::new(), last: None, refused: None }
    }

    /// Takes back a try that was made: it is made again only when there is no other endpoint.
    pub(super) fn made(&mut self, done: Try) {
        self.last = Some(done);
    }

    /// Why nothing was tried, when all endpoints are open and their owner wants the client to be told.
    pub(super) fn refusal(&self) -> Option<Error> {
        let (upstream, wait) = self.refused.as_ref()?;
        let message =
            format!("no endpoint of `{}` can be asked for the next {} s", upstream.name, wait.as_secs_f64().ceil());
        Some(Error::new(Fault::Upstream, Kind::Overloaded, 503, message).with_retry_after(*wait))
    }

    /// The next try: an endpoint that is fit and was not tried, of the current upstream or else of the plan's next; else
    /// one that is open, where the upstream's owner wants that; else the only endpoint again.
    pub(super) fn next<D: Dial>(&mut self, gate: &Gate<D>, x: &Exchange) -> Option<Try> {
        self.begun += 1;
        while let Some((at, next)) = self.first(gate, x, Reach::Fit).or_else(|| self.first(gate, x, Reach::Open)) {
            if !self.affords(gate, x, &next.upstream) {
                self.spent.push(next.upstream);
                continue;
            }
            self.current = at;
            self.tried.push(Tried::of(&next));
            return Some(next);
        }
        if self.tried.len() == 1 && self.spent.is_empty() { self.again(gate, x) } else { None }
    }

    /// The first try that the plan has from here on.
    fn first<D: Dial>(&mut self, gate: &Gate<D>, x: &Exchange, reach: Reach) -> Option<(usize, Try)> {
        (self.at..self.plan.attempts.len()).find_map(|at| Some((at, self.choose(gate, x, at, reach)?)))
    }

    /// A try of one entry of the plan.
    fn choose<D: Dial>(&mut self, gate: &Gate<D>, x: &Exchange, at: usize, reach: Reach) -> Option<Try> {
        let planned = self.plan.attempts.get(at)?;
        let upstream = x.generation.upstreams.get(&planned.upstream)?;
        if self.spent.iter().any(|spent| Arc::ptr_eq(spent, upstream)) {
            return None;
        }
        let excluded = |endpoint: &Endpoint| {
            self.was_tried(endpoint, planned)
                || planned.endpoint.as_ref().is_some_and(|wanted| *wanted != endpoint.name)
        };
        let asked = Asked::of(gate, x, planned, upstream);
        let pick = |excluded: &dyn Fn(&Endpoint) -> bool| {
            Pick { gate, upstream, asked: &asked, excluded, reach }.told_as(&x.tape, self.begun)
        };
        // One that would serve at once is better than a place in a line.
        let crowded = turn::crowded(gate, x, upstream);
        let mut picked = Picked::Nothing;
        if !crowded.is_empty() {
            picked = pick(&|endpoint| excluded(endpoint) || crowded.contains(&endpoint.name));
        }
        if matches!(picked, Picked::Nothing) {
            picked = pick(&excluded);
        }
        match picked {
            Picked::Nothing => None,
            Picked::Refused(wait) => {
                let sooner = self.refused.as_ref().is_none_or(|(_, other)| wait < *other);
                if sooner {
                    self.refused = Some((Arc::clone(upstream), wait));
                }
                None
            }
            Picked::One(endpoint, ticket) => {
                Some(Try { planned: planned.clone(), upstream: Arc::clone(upstream), endpoint, held: Held::of(ticket) })
            }
        }
    }

    /// The only endpoint once more, unless its owner wants it left alone.
    fn again<D: Dial>(&mut self, gate: &Gate<D>, x: &Exchange) -> Option<Try> {
        let last = self.last.take()?;
        if !self.affords(gate, x, &last.upstream) {
            return None;
        }
        let asked = Asked::of(gate, x, &last.planned, &last.upstream);
        let forced = last.upstream.breaker.when_all_open == WhenAllOpen::Try;
        let take = |forced| Ticket::take(&last.upstream, &last.endpoint, &asked.ask(), gate.clock, forced);
        let ticket = take(forced);
        let what = || format!("again {} of {}", self.begun, last.upstream.name);
        if !forced && !x.tape.ask(what, || ticket.is_some()) {
            return None;
        }
        let held = Held::of(ticket.or_else(|| take(true))?);
        Some(Try { held, ..last })
    }

    /// Whether one more try may be made at an upstream: its first of an exchange always may.
    fn affords<D: Dial>(&self, gate: &Gate<D>, x: &Exchange, upstream: &Arc<Upstream>) -> bool {
        let now = gate.clock.elapsed();
        if !self.tried.iter().any(|tried| tried.upstream.name == upstream.name) {
            upstream.pool().request(now);
            return true;
        }
        let what = || format!("repetition {} of {}", self.begun, upstream.name);
        let may = x.tape.ask(what, || upstream.pool().repeat(now, &upstream.retries));
        if !may {
            gate.metrics.not_repeated(&upstream.name);
            tracing::debug!(target: "tidegate::health", id = x.id, upstream = upstream.name, "too much is repeated already");
        }
        may
    }

    /// How many endpoints of the plan were not tried, each counted for each model that it is to be asked for.
    pub(super) fn untried(&self, x: &Exchange) -> usize {
        let mut left: Vec<(&Endpoint, &Option<String>)> = Vec::new();
        for planned in &self.plan.attempts {
            let Some(upstream) = x.generation.upstreams.get(&planned.upstream) else {
                continue;
            };
            for endpoint in &upstream.endpoints {
                let wanted = planned.endpoint.as_ref().is_none_or(|wanted| *wanted == endpoint.name);
                let counted = left.iter().any(|(other, model)| same(other, endpoint) && **model == planned.model);
                if wanted && !counted && !self.was_tried(endpoint, planned) {
                    left.push((endpoint, &planned.model));
                }
            }
        }
        left.len()
    }

    fn was_tried(&self, endpoint: &Endpoint, planned: &PlannedAttempt) -> bool {
        self.tried.iter().any(|tried| tried.is(endpoint, planned))
    }

    /// Takes up what `failover` answered: where to go on, and how long to wait first.
    pub(super) fn turn(&mut self, x: &Exchange, current: &Try, again: Failover) -> Duration {
        let elsewhere = again.upstream.filter(|name| *name != current.upstream.name && !self.plan.pinned);
        if let Some(upstream) = elsewhere {
            let planned = PlannedAttempt { upstream, ..PlannedAttempt::default() };
            if x.generation.upstreams.get(&planned.upstream).is_some() {
                self.at = (self.current + 1).min(self.plan.attempts.len());
                self.plan.attempts.insert(self.at, planned);
            }
        }
        again.after.min(LONGEST_WAIT)
    }
}

// === impl Tried ===

impl Tried {
    fn of(made: &Try) -> Self {
        Self {
            upstream: Arc::clone(&made.upstream),
            endpoint: Arc::clone(&made.endpoint),
            model: made.planned.model.clone(),
        }
    }

    /// Whether this was the same endpoint, asked for the model that is planned.
    fn is(&self, endpoint: &Endpoint, planned: &PlannedAttempt) -> bool {
        same(&self.endpoint, endpoint) && self.model == planned.model
    }
}

/// Whether two references are to one endpoint of a generation.
fn same(one: &Endpoint, other: &Endpoint) -> bool {
    std::ptr::eq(one, other)
}
