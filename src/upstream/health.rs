//! What a gate knows of its endpoints, generation after generation: who is well, how quick, and how busy.

pub mod change;

mod models;

mod pool;

mod show;

pub mod ticket;

pub mod vitals;

#[cfg(test)]
mod tests;

pub use change::{Change, State};
pub use pool::Pool;
pub use show::endpoint as show_endpoint;
pub use ticket::Ticket;
pub use vitals::{Ask, Fitness, Verdict, Vitals};

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{Endpoint, Upstreams};
use crate::clock::Clock;
use crate::metrics::Metrics;
use change::Bell;

/// What a gate knows of its endpoints. It holds nothing itself: what no generation has any more is forgotten.
#[derive(Debug)]
pub struct Health {
    bell: Arc<Bell>,
    clock: Clock,
    endpoints: Mutex<HashMap<Name, Weak<Vitals>>>,
    upstreams: Mutex<HashMap<String, Weak<Pool>>>,
}

/// By what an endpoint is known again: the upstream's name, its own, and its address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    upstream: String,
    endpoint: String,
    address: String,
}

/// The longest that another gate's word leaves an endpoint alone, whatever it says.
const LONGEST_TOLD: Duration = Duration::from_hours(1);

// === impl Health ===

impl Health {
    /// That of a gate which knows nothing yet.
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self {
            bell: Arc::new(Bell::new(clock, metrics)),
            clock,
            endpoints: Mutex::default(),
            upstreams: Mutex::default(),
        }
    }

    /// Lets the endpoints of a generation go on with what is known of them. To be called before it serves.
    pub fn attach(&self, upstreams: &Upstreams) {
        let (mut endpoints, mut pools) = (self.endpoints.lock(), self.upstreams.lock());
        endpoints.retain(|_, known| known.strong_count() > 0);
        pools.retain(|_, known| known.strong_count() > 0);
        for upstream in upstreams.iter() {
            join(&mut pools, upstream.name.clone(), &upstream.pool, Pool::default);
            for endpoint in &upstream.endpoints {
                let new = || Vitals::new(&upstream.name, &endpoint.name, Arc::clone(&self.bell));
                join(&mut endpoints, Name::of(&upstream.name, endpoint), &endpoint.vitals, new);
            }
        }
    }

    /// Changes of this gate's own from now on, for other gates.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.bell.listen()
    }

    /// A change that another gate tells of, which was no later than now, whatever that gate's clock says.
    pub fn dated(&self, change: Change) -> Change {
        Change { at: change.at.min(self.bell.moment(self.clock.elapsed())), ..change }
    }

    /// Whether a change was so long ago.
    pub fn is_past(&self, change: &Change, age: Duration) -> bool {
        self.bell.since(change) > age
    }

    /// Takes over what another gate tells. What it says of endpoints that are not known here is nothing, and so is that
    /// one was to be left alone until a time that is over: this gate has seen for itself what became of it.
    pub fn adopt(&self, change: &Change) {
        let (until, now) = self.bell.until(change);
        if change.state == State::Open && until <= now {
            return;
        }
        for vitals in self.known(Some(&change.upstream), Some(&change.endpoint)) {
            vitals.adopt(change, until.min(now + LONGEST_TOLD), now);
        }
    }

    /// Closes the breakers of all endpoints, or of those that are named, and forgets their limits. Says how many.
    pub fn reset(&self, upstream: Option<&str>, endpoint: Option<&str>) -> usize {
        let known = self.known(upstream, endpoint);
        for vitals in &known {
            vitals.reset(self.clock.elapsed());
        }
        known.len()
    }

    /// Endpoints that are known.
    pub fn len(&self) -> usize {
        self.known(None, None).len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes that hold still, for a gate that starts later.
    pub fn standing(&self) -> Vec<Change> {
        self.known(None, None).iter().flat_map(|vitals| vitals.standing(self.clock.elapsed())).collect()
    }

    fn known(&self, upstream: Option<&str>, endpoint: Option<&str>) -> Vec<Arc<Vitals>> {
        let endpoints = self.endpoints.lock();
        let meant = |name: &Name| {
            upstream.is_none_or(|upstream| upstream == name.upstream)
                && endpoint.is_none_or(|endpoint| endpoint == name.endpoint)
        };
        endpoints.iter().filter(|(name, _)| meant(name)).filter_map(|(_, known)| known.upgrade()).collect()
    }
}

// === impl Name ===

impl Name {
    fn of(upstream: &str, endpoint: &Endpoint) -> Self {
        let address = format!("{}://{}:{}{}", endpoint.scheme(), endpoint.host, endpoint.port, endpoint.prefix);
        Self { upstream: upstream.to_owned(), endpoint: endpoint.name.clone(), address }
    }
}

/// Puts what is known under a name in its place, or something new.
fn join<K: Hash + Eq, T>(known: &mut HashMap<K, Weak<T>>, name: K, place: &OnceLock<Arc<T>>, new: impl FnOnce() -> T) {
    let entry = known.entry(name).or_default();
    let found = entry.upgrade().unwrap_or_else(|| Arc::new(new()));
    *entry = Arc::downgrade(place.get_or_init(|| found));
}
