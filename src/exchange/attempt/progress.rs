//! Works out which endpoint is tried next: the plan in its order, no endpoint twice while another is left.

use std::sync::Arc;
use std::time::Duration;

use super::LONGEST_WAIT;
use super::held::Held;
use crate::exchange::Exchange;
use crate::exchange::decision::{Failover, Plan, PlannedAttempt};
use crate::exchange::wire::Dial;
use crate::gate::Gate;
use crate::upstream::{Endpoint, Upstream, balance};

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
    /// The plan's entry in use.
    at: usize,
    /// Endpoints tried.
    tried: Vec<Arc<Endpoint>>,
    /// The last endpoint tried: it is tried again only when there is no other.
    last: Option<Try>,
}

// === impl Progress ===

impl Progress {
    /// The plan, of which nothing was tried.
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, at: 0, tried: Vec::new(), last: None }
    }

    /// Takes back a try that was made: it is made again only when there is no other endpoint.
    pub(super) fn made(&mut self, done: Try) {
        self.last = Some(done);
    }

    /// The next try: an endpoint of the current upstream that was not tried, else the plan's next upstream, else
    /// the only endpoint again.
    pub(super) fn next<D: Dial>(&mut self, gate: &Gate<D>, x: &Exchange) -> Option<Try> {
        while let Some(planned) = self.plan.attempts.get(self.at) {
            if let Some(next) = self.choose(gate, x, planned) {
                self.tried.push(Arc::clone(&next.endpoint));
                return Some(next);
            }
            self.at += 1;
        }
        if self.tried.len() == 1 {
            return self.last.take();
        }
        None
    }

    fn choose<D: Dial>(&self, gate: &Gate<D>, x: &Exchange, planned: &PlannedAttempt) -> Option<Try> {
        let upstream = x.generation.upstreams.get(&planned.upstream)?;
        let excluded = |endpoint: &Endpoint| {
            self.was_tried(endpoint) || planned.endpoint.as_ref().is_some_and(|wanted| *wanted != endpoint.name)
        };
        let endpoint =
            balance::choose(&upstream.endpoints, excluded, || x.tape.ask(|| "draw".to_owned(), || gate.draw()))?;
        Some(Try {
            planned: planned.clone(),
            upstream: Arc::clone(upstream),
            endpoint: Arc::clone(endpoint),
            held: Held::default(),
        })
    }

    /// How many endpoints of the plan were not tried.
    pub(super) fn untried(&self, x: &Exchange, current: &Try) -> usize {
        let mut left: Vec<&Endpoint> = Vec::new();
        for planned in &self.plan.attempts {
            let Some(upstream) = x.generation.upstreams.get(&planned.upstream) else {
                continue;
            };
            for endpoint in &upstream.endpoints {
                let wanted = planned.endpoint.as_ref().is_none_or(|wanted| *wanted == endpoint.name);
                let counted = same(endpoint, &current.endpoint) || left.iter().any(|other| same(other, endpoint));
                if wanted && !counted && !self.was_tried(endpoint) {
                    left.push(endpoint);
                }
            }
        }
        left.len()
    }

    fn was_tried(&self, endpoint: &Endpoint) -> bool {
        self.tried.iter().any(|tried| same(tried, endpoint))
    }

    /// Takes up what `failover` answered: where to go on, and how long to wait first.
    pub(super) fn turn(&mut self, x: &Exchange, current: &Try, again: Failover) -> Duration {
        let elsewhere = again.upstream.filter(|name| *name != current.upstream.name && !self.plan.pinned);
        if let Some(upstream) = elsewhere {
            let planned = PlannedAttempt { upstream, ..PlannedAttempt::default() };
            if x.generation.upstreams.get(&planned.upstream).is_some() {
                self.at += 1;
                let at = self.at.min(self.plan.attempts.len());
                self.plan.attempts.insert(at, planned);
            }
        }
        again.after.min(LONGEST_WAIT)
    }
}

/// Whether two references are to one endpoint of a generation.
fn same(one: &Endpoint, other: &Endpoint) -> bool {
    std::ptr::eq(one, other)
}
