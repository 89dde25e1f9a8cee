//! Lets only so many in at once, the others in turn: before an endpoint, and before the gate as a whole.
//!
//! [`line`] is the order, and has no clock; here are those who wait. A [`Place`] is given back when it is dropped, and a
//! [`Turn`] that is dropped, because its client left or its time is over, leaves the line at once and never has a place.

pub mod line;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Endpoint, Upstream, Upstreams};
use crate::settings::{self, Priority};
use line::{Entered, Limits, Line, Rank};

/// What the settings say of an upstream's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the line allows.
    pub limits: Limits,
    /// The longest wait.
    pub longest: Duration,
    /// The class of requests whose plan names none.
    pub priority: Priority,
}

/// The lines before the endpoints that have one. They outlive generations: a place that is taken stays taken.
#[derive(Debug, Default)]
pub struct Queues {
    by_endpoint: RwLock<HashMap<String, Arc<Queue>>>,
}

/// One line and those who wait in it.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    /// When it began, from which its times count.
    started: Instant,
}

#[derive(Debug)]
struct State {
    line: Line<oneshot::Sender<Place>>,
    /// The generation that set its limits: an older one that still serves does not set them back.
    generation: u64,
}

/// A place, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Place {
    queue: Arc<Queue>,
    since: Instant,
}

/// What became of one who entered.
#[derive(Debug)]
pub enum Entry {
    /// A place was free.
    Place(Place),
    /// It waits.
    Waits(Turn),
    /// There is no room even to wait. It may come again after so long.
    Full(Duration),
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Turn {
    queue: Arc<Queue>,
    rank: Rank,
    until: Instant,
    place: oneshot::Receiver<Place>,
}

/// How busy a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// Places taken.
    pub running: u32,
    /// Places in all.
    pub at_once: u32,
    /// How many wait in each class, the highest first.
    pub waiting: [usize; 4],
}

// === impl Rule ===

impl From<&settings::Queue> for Rule {
    fn from(settings: &settings::Queue) -> Self {
        let limits = Limits { at_once: settings.at_once.get(), waiting: settings.waiting, ageing: settings.ageing };
        Self { limits, longest: settings.longest, priority: settings.priority }
    }
}

// === impl Queues ===

impl Queues {
    /// The line before an endpoint, with the limits of a generation; 0 is one that has no say where others have.
    pub fn of(&self, upstream: &Upstream, endpoint: &Endpoint, rule: &Rule, generation: u64) -> Arc<Queue> {
        let key = key(upstream, endpoint);
        let known = self.by_endpoint.read().get(&key).cloned();
        let queue = known.unwrap_or_else(|| {
            let mut queues = self.by_endpoint.write();
            // One that nobody is in or about to enter holds nothing that must be kept.
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
            Arc::clone(queues.entry(key).or_insert_with(|| Arc::new(Queue::new(rule.limits))))
        });
        queue.limit(rule.limits, generation);
        queue
    }

    /// Gives the lines that are there the limits of a generation that goes live: who waits has them too.
    pub fn went_live(&self, upstreams: &Upstreams, generation: u64) {
        for upstream in upstreams.iter() {
            let Some(rule) = &upstream.queue else { continue };
            for endpoint in &upstream.endpoints {
                let known = self.by_endpoint.read().get(&key(upstream, endpoint)).cloned();
                if let Some(queue) = known {
                    queue.limit(rule.limits, generation);
                }
            }
        }
    }

    /// How busy the line before an endpoint is; `None` when nobody is in it, or there is none.
    pub fn busy(&self, upstream: &Upstream, endpoint: &Endpoint) -> Option<Busy> {
        Some(self.by_endpoint.read().get(&key(upstream, endpoint))?.busy())
    }

    /// Whether an endpoint would serve one more at once.
    pub fn has_room(&self, upstream: &Upstream, endpoint: &Endpoint) -> bool {
        if upstream.queue.is_none() {
            return true;
        }
        self.busy(upstream, endpoint).is_none_or(|busy| busy.running < busy.at_once && busy.waits() == 0)
    }
}

/// By what an endpoint is known from generation to generation.
fn key(upstream: &Upstream, endpoint: &Endpoint) -> String {
    format!("{}/{} {}:{}", upstream.name, endpoint.name, endpoint.host, endpoint.port)
}

// === impl Queue ===

impl Queue {
    /// A line in which nobody stands.
    pub fn new(limits: Limits) -> Self {
        Self { state: Mutex::new(State { line: Line::new(limits), generation: 0 }), started: Instant::now() }
    }

    /// Changes what it allows, unless a newer generation has said so already.
    pub fn limit(self: &Arc<Self>, limits: Limits, generation: u64) {
        let mut state = self.state.lock();
        if generation < state.generation {
            return;
        }
        state.generation = generation;
        if state.line.limits() == limits {
            return;
        }
        state.line.limit(limits);
        drop(state);
        self.go_on();
    }

    /// Enters the line, to wait until `until` at the longest.
    pub fn enter(self: &Arc<Self>, class: Priority, until: Instant) -> Entry {
        let mut told = None;
        let mut state = self.state.lock();
        let entered = state.line.enter(self.elapsed(), class, until.saturating_duration_since(self.started), || {
            let (tell, place) = oneshot::channel();
            told = Some(place);
            tell
        });
        match (entered, told) {
            (Entered::Place, _) => Entry::Place(self.place()),
            (Entered::Waits(rank), Some(place)) => Entry::Waits(Turn { queue: Arc::clone(self), rank, until, place }),
            (Entered::Full | Entered::Waits(_), _) => Entry::Full(state.line.estimate()),
        }
    }

    /// Takes a place, if one is free and nobody waits for it.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let taken = self.state.lock().line.take();
        taken.then(|| self.place())
    }

    /// How busy it is.
    pub fn busy(&self) -> Busy {
        let state = self.state.lock();
        Busy { running: state.line.running(), at_once: state.line.limits().at_once, waiting: state.line.by_class() }
    }

    /// When somebody who gives up now might come again.
    pub fn estimate(&self) -> Duration {
        self.state.lock().line.estimate()
    }

    fn place(self: &Arc<Self>) -> Place {
        Place { queue: Arc::clone(self), since: Instant::now() }
    }

    /// Gives the places that are free to those whose turn it is. A place that nobody takes any more is given back when it
    /// is dropped, which comes here again.
    fn go_on(self: &Arc<Self>) {
        loop {
            let next = self.state.lock().line.next(self.elapsed());
            let Some(next) = next else { return };
            drop(next.send(self.place()));
        }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.state.lock().line.leave(self.since.elapsed());
        self.queue.go_on();
    }
}

// === impl Turn ===

impl Turn {
    /// How many turns it is until this one's, from 1.
    pub fn position(&self) -> usize {
        self.queue.state.lock().line.position(self.rank).unwrap_or(1)
    }

    /// Waits for the place; `None` when its time is over first. Safe to drop before it is ready.
    pub async fn come(&mut self) -> Option<Place> {
        tokio::select! {
            biased;
            place = &mut self.place => place.ok(),
            () = tokio::time::sleep_until(self.until) => None, // paced: the longest wait of the settings
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.state.lock().line.cancel(self.rank);
    }
}

// === impl Busy ===

impl Busy {
    /// How many wait.
    pub fn waits(&self) -> usize {
        self.waiting.iter().sum()
    }
}

#[cfg(test)]
mod tests;
