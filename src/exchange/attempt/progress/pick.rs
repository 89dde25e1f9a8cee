//! Picks an endpoint of one upstream and takes leave to try it, so that whoever plays the exchange again picks the same.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exchange::attempt::asked::Asked;
use crate::exchange::wire::Dial;
use crate::gate::Gate;
use crate::settings::WhenAllOpen;
use crate::tape::Tape;
use crate::upstream::balance::{self, Found};
use crate::upstream::health::Ticket;
use crate::upstream::{Endpoint, Upstream};

/// What is picked from.
pub(super) struct Pick<'a, D: Dial, E> {
    pub(super) gate: &'a Gate<D>,
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) asked: &'a Asked,
    /// Endpoints that are not to be picked.
    pub(super) excluded: E,
    pub(super) reach: Reach,
}

/// Which endpoints are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those that may be tried.
    Fit,
    /// Those that are open, where their owner wants them tried all the same.
    Open,
}

/// What was picked.
pub(super) enum Picked {
    /// An endpoint, with leave to try it.
    One(Arc<Endpoint>, Ticket),
    /// Nothing is left.
    Nothing,
    /// All that are left are open, and to be left alone for so long.
    Refused(Duration),
}

/// What was picked, as a tape has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Endpoint(String),
    Nothing,
    Refused(Duration),
}

// === impl Reach ===

impl Reach {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fit => "endpoint",
            Self::Open => "open endpoint",
        }
    }
}

// === impl Picked ===

impl Picked {
    fn told(&self) -> Told {
        match self {
            Self::One(endpoint, _) => Told::Endpoint(endpoint.name.clone()),
            Self::Nothing => Told::Nothing,
            Self::Refused(wait) => Told::Refused(*wait),
        }
    }
}

// === impl Pick ===

impl<D: Dial, E: Fn(&Endpoint) -> bool> Pick<'_, D, E> {
    /// Picks for the try of that number: what a playing tape tells, while there is such an endpoint.
    pub(super) fn told_as(&self, tape: &Tape, number: u32) -> Picked {
        let what = || format!("{} {number} of {}", self.reach.as_str(), self.upstream.name);
        let told = tape.told::<Told>(what);
        let (fresh, obvious) = self.fresh();
        match told {
            None => {
                // What follows from the plan alone need not be told.
                if !obvious {
                    tape.note(what, &fresh.told());
                }
                fresh
            }
            Some(Told::Nothing) => Picked::Nothing,
            Some(Told::Refused(wait)) => Picked::Refused(wait),
            Some(Told::Endpoint(name)) => match (self.named(&name), fresh) {
                (Some(named), Picked::One(endpoint, ticket)) if Arc::ptr_eq(named, &endpoint) => {
                    Picked::One(endpoint, ticket)
                }
                (Some(named), fresh) => self.take(named, true).unwrap_or(fresh),
                (None, fresh) => fresh,
            },
        }
    }

    /// Picks by what is known now, and says whether there was nothing to know.
    fn fresh(&self) -> (Picked, bool) {
        loop {
            let found =
                balance::choose(self.upstream, &self.asked.ask(), self.asked.key, &self.excluded, || self.gate.draw());
            let obvious = found.left == 0 || (found.left == 1 && found.fit.is_some() && self.reach == Reach::Fit);
            let picked = match self.reach {
                Reach::Fit => found.fit.map(|endpoint| self.take(endpoint, false)),
                Reach::Open => return (self.opened(&found), obvious),
            };
            match picked {
                None => return (Picked::Nothing, obvious),
                Some(Some(picked)) => return (picked, obvious),
                // Another request has taken the last place of a half-open one meanwhile.
                Some(None) => {}
            }
        }
    }

    /// What is done with endpoints that are all open.
    fn opened(&self, found: &Found<'_>) -> Picked {
        let Some((endpoint, until)) = found.open else { return Picked::Nothing };
        match self.upstream.breaker.when_all_open {
            WhenAllOpen::Try => self.take(endpoint, true).unwrap_or(Picked::Nothing),
            // One that is half-open is waited for as shortly as can be said.
            WhenAllOpen::Refuse => Picked::Refused(until.saturating_sub(self.asked.now).max(Duration::from_secs(1))),
        }
    }

    fn take(&self, endpoint: &Arc<Endpoint>, forced: bool) -> Option<Picked> {
        let ticket = Ticket::take(self.upstream, endpoint, &self.asked.ask(), self.gate.clock, forced)?;
        Some(Picked::One(Arc::clone(endpoint), ticket))
    }

    fn named(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.upstream.endpoints.iter().find(|endpoint| endpoint.name == name && !(self.excluded)(endpoint))
    }
}
