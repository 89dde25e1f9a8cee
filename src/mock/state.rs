//! What all connections of one mock upstream share: its name, its counters and the faults ordered by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::fault::{FaultError, Faults};
use super::route::{ROUTES, Route};

/// One mock upstream.
pub(super) struct Mock {
    /// Written into the `x-mock` header of every answer.
    pub(super) name: String,
    /// Requests by place in [`ROUTES`].
    by_route: Vec<AtomicU64>,
    /// Requests for paths that are not in [`ROUTES`].
    elsewhere: AtomicU64,
    /// Answers that ended because the client had left.
    aborted: AtomicU64,
    /// What the next model requests suffer; set and healed through `/mock/fault`.
    ordered: Mutex<Option<Order>>,
}

/// Faults for requests to come.
pub(super) struct Order {
    /// What happens to each of them.
    pub(super) faults: Faults,
    /// How many requests are left; `None` until healed.
    pub(super) times: Option<u64>,
}

/// The counters at one moment.
pub(super) struct Stats {
    /// Requests answered or under way; those to `/mock/…` are not counted.
    pub(super) requests: u64,
    /// The paths asked for at least once, in the order of [`ROUTES`].
    pub(super) by_path: Vec<(&'static str, u64)>,
    /// Clients that left before the end of their answer.
    pub(super) aborted: u64,
}

// === impl Mock ===

impl Mock {
    pub(super) fn new(name: String) -> Self {
        let by_route = ROUTES.iter().map(|_| AtomicU64::new(0)).collect();
        Self { name, by_route, elsewhere: AtomicU64::new(0), aborted: AtomicU64::new(0), ordered: Mutex::new(None) }
    }

    /// Counts one request for the route with this index, or for an unknown path.
    pub(super) fn count(&self, route: Option<usize>) {
        let counter = route.and_then(|index| self.by_route.get(index)).unwrap_or(&self.elsewhere);
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one client that left before the end of its answer.
    pub(super) fn count_aborted(&self) {
        self.aborted.fetch_add(1, Ordering::Relaxed);
    }

    /// The faults of a request as far as its head tells: those ordered, when it asks a model, then its own.
    pub(super) fn faults(&self, route: Option<&Route>, asked: &str) -> Result<Faults, FaultError> {
        let ordered = if route.is_some_and(Route::asks_a_model) { self.take_order() } else { None };
        let mut faults = ordered.unwrap_or_default();
        faults.add(asked, &[';'])?;
        Ok(faults)
    }

    /// Replaces the order; `None` heals.
    pub(super) fn order(&self, order: Option<Order>) {
        *self.ordered.lock() = order.filter(|order| order.times != Some(0));
    }

    pub(super) fn stats(&self) -> Stats {
        let asked = ROUTES.iter().zip(&self.by_route);
        let mut by_path: Vec<_> = asked
            .filter(|(route, _)| !route.is_control())
            .map(|(route, count)| (route.path, count.load(Ordering::Relaxed)))
            .collect();
        by_path.push(("elsewhere", self.elsewhere.load(Ordering::Relaxed)));
        by_path.retain(|(_, count)| *count > 0);
        let requests = by_path.iter().map(|(_, count)| count).sum();
        Stats { requests, by_path, aborted: self.aborted.load(Ordering::Relaxed) }
    }

    /// The ordered faults for one request, which uses up one of their times.
    fn take_order(&self) -> Option<Faults> {
        let mut ordered = self.ordered.lock();
        let order = ordered.as_mut()?;
        let faults = order.faults.clone();
        if let Some(left) = &mut order.times {
            *left -= 1;
            if *left == 0 {
                *ordered = None;
            }
        }
        Some(faults)
    }
}
