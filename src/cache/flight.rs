//! Single flight: who asks for what another is being answered right now waits for that answer and hears it from its
//! beginning, instead of asking the upstream again.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::fill::{Fill, Followers};
use super::key::Key;
use super::pick::Pick;
use crate::error::Error;

#[cfg(test)]
mod tests;

/// All calls of a gate that others may join, by the hashes of their keys.
#[derive(Clone, Debug, Default)]
pub struct Flights(Arc<DashMap<[u8; 32], Arc<Flight>>>);

/// One call that others may join.
#[derive(Debug)]
struct Flight {
    /// Compared whenever somebody joins: a hash alone must never serve one user's answer to another.
    key: Key,
    stage: Mutex<Stage>,
    /// The stage has changed.
    turned: Notify,
    followers: Arc<Followers>,
}

/// How far a call is.
#[derive(Clone, Debug)]
enum Stage {
    /// No answer yet.
    Waiting,
    /// The answer comes.
    Going(Arc<Fill>),
    /// There will be none.
    Over(Outcome),
}

/// Why a call has no answer for those who joined it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The upstream failed, every other of the plan included: for all alike.
    Failed(Error),
    /// The one who asked left, or failed by itself: another may take its place.
    Left(Error),
    /// The answer concerns only the one who asked, such as a refusal of its key: everybody asks alone.
    Apart,
}

/// What somebody is who asks.
#[derive(Debug)]
pub enum Role {
    /// The first: others may join.
    Leads(Leading),
    /// One who waits for what the first is answered.
    Follows(Following),
    /// Neither: what comes at present cannot be joined any more.
    Alone,
}

/// The place of the one who asks the upstream. Dropped, the call ends for all who joined.
#[derive(Debug)]
pub struct Leading {
    flights: Flights,
    flight: Arc<Flight>,
}

/// The place of one who joined.
#[derive(Debug)]
pub struct Following {
    flight: Arc<Flight>,
}

// === impl Flights ===

impl Flights {
    /// Joins the call with this very key, or leads one.
    pub fn enter(&self, key: &Key) -> Role {
        let flight = match self.0.entry(*key.hash()) {
            Slot::Vacant(place) => return self.lead(key, |flight| drop(place.insert(flight))),
            // Who asks for what has just failed does not wait until that is cleared away.
            Slot::Occupied(mut place) if place.get().key == *key && place.get().has_failed() => {
                return self.lead(key, |flight| drop(place.insert(flight)));
            }
            Slot::Occupied(place) => Arc::clone(place.get()),
        };
        if flight.key != *key {
            return Role::Alone;
        }
        // Counted first, so that nothing is let go of that this one has yet to hear.
        flight.followers.join();
        let following = Following { flight };
        if following.flight.is_open() { Role::Follows(following) } else { Role::Alone }
    }

    /// A new call, which `list` makes known.
    fn lead(&self, key: &Key, list: impl FnOnce(Arc<Flight>)) -> Role {
        let flight = Arc::new(Flight::new(key.clone()));
        list(Arc::clone(&flight));
        Role::Leads(Leading { flights: self.clone(), flight })
    }

    /// Lets nobody join any more what a purge may mean: who asks from now on is to hear nothing older. Those who joined
    /// before go on.
    pub fn part(&self, pick: &Pick) {
        self.0.retain(|_, flight| !pick.may_mean(&flight.key));
    }

    /// How many calls are under way that others may join.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many have joined one of them.
    pub fn followers(&self) -> usize {
        self.0.iter().map(|flight| flight.followers.count()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

// === impl Flight ===

impl Flight {
    fn new(key: Key) -> Self {
        Self { key, stage: Mutex::new(Stage::Waiting), turned: Notify::new(), followers: Arc::default() }
    }

    fn is_open(&self) -> bool {
        match &*self.stage.lock() {
            Stage::Waiting => true,
            Stage::Going(fill) => fill.is_open(),
            Stage::Over(_) => false,
        }
    }

    fn has_failed(&self) -> bool {
        matches!(&*self.stage.lock(), Stage::Going(fill) if fill.has_failed())
    }

    /// Goes on to a stage, unless it is over.
    fn turn(&self, stage: Stage) {
        let mut now = self.stage.lock();
        if matches!((&*now, &stage), (Stage::Waiting, _)) {
            *now = stage;
        }
        drop(now);
        self.turned.notify_waiters();
    }
}

// === impl Leading ===

impl Leading {
    /// Those who joined.
    pub fn followers(&self) -> &Arc<Followers> {
        &self.flight.followers
    }

    /// The answer comes: all who joined hear it.
    pub fn go(&self, fill: &Arc<Fill>) {
        self.flight.turn(Stage::Going(Arc::clone(fill)));
    }

    /// There is no answer for those who joined. Whoever asks from now on leads anew.
    pub fn end(self, outcome: Outcome) {
        self.leave();
        self.flight.turn(Stage::Over(outcome));
    }

    /// Takes the call off the list.
    fn leave(&self) {
        self.flights.0.remove_if(self.flight.key.hash(), |_, flight| Arc::ptr_eq(flight, &self.flight));
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.leave();
        if let Stage::Going(fill) = &*self.flight.stage.lock() {
            fill.end(Err(Error::gate("the call that this one joined was broken off")));
            return;
        }
        let outcome = Outcome::Left(Error::gate("the call that this one joined was given up"));
        self.flight.turn(Stage::Over(outcome));
    }
}

// === impl Following ===

impl Following {
    /// The answer, once it begins. Safe to drop.
    pub async fn answer(&self) -> Result<Arc<Fill>, Outcome> {
        loop {
            let turned = self.flight.turned.notified();
            match &*self.flight.stage.lock() {
                Stage::Waiting => {}
                Stage::Going(fill) => return Ok(Arc::clone(fill)),
                Stage::Over(outcome) => return Err(outcome.clone()),
            }
            turned.await;
        }
    }

    /// How many have joined, this one included.
    pub fn count(&self) -> usize {
        self.flight.followers.count()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.flight.followers.leave();
    }
}
