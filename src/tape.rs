//! What an exchange took from outside itself, in order, so that it can be played again as it was: the request, every
//! connection to an endpoint, and whatever it was told of state, time and chance.
//!
//! 1. [`Tape`] is an exchange's own: off, recording, or playing back what another was told.
//! 2. [`client`] and [`connection`] stand before the two wires and note what passes.
//! 3. [`Taken`] is what is kept of a finished exchange, [`Ring`] the last ones of a gate.

pub mod client;

pub mod connection;

mod recalled;

mod recorded;

mod ring;

mod taken;

#[cfg(test)]
mod tests;

pub use recalled::{Overheard, Recalled};
use recorded::Room;
pub use recorded::{Digest, Ended, Recorded, Taped};
pub use ring::Ring;
pub use taken::{Arrived, Facts, Taken, took};

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use crate::cache::Entry;
use crate::cache::http::Variants;
use crate::clock::Clock;

/// Something that was asked for outside the exchange, and the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// What was asked: the function and its arguments, such as `store.get policy:quota alice`.
    pub what: String,
    /// The answer.
    pub value: Value,
}

/// An answer that was made for another exchange, and by which question it was found.
pub type Stored = (String, Recalled);

/// What was kept of a URL as HTTP says, and by which question it was found.
pub type Kept = (String, Arc<Variants>);

/// An exchange's tape. Off, it costs a look at a pointer wherever something would be noted.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    reel: Option<Arc<Reel>>,
    /// Which of the generations that had this exchange holds it: what an earlier one is told is no longer noted.
    turn: u32,
}

#[derive(Debug)]
struct Reel {
    /// When the exchange began.
    started: Instant,
    side: Side,
    /// Whether what hooks change is to be told.
    watch: Watch,
    /// The turn of the generation that has the exchange now.
    turn: AtomicU32,
}

/// Whether what each hook changes is found out, which costs a copy of the message a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// It is.
    Edits,
    /// It is not.
    Nothing,
}

#[derive(Debug)]
enum Side {
    /// Writes down what happens.
    Recording(Box<Mutex<Recorded>>),
    /// Answers as it is written.
    Playing(Mutex<Told>),
}

/// What is left to be told to an exchange that is played.
#[derive(Debug, Default)]
struct Told {
    reads: VecDeque<Read>,
    /// The answer of another exchange that the recorded one heard, and under which key.
    stored: Option<Stored>,
    /// What it found kept as HTTP says, likewise.
    kept: Option<Kept>,
    /// Whether the cache was asked when this was recorded, so that its gate's own cache says nothing.
    bound: bool,
}

// === impl Tape ===

impl Tape {
    /// A tape that takes up to `room`.
    fn recording(room: Room) -> Self {
        Self::on(Side::Recording(Box::new(Mutex::new(Recorded::new(room)))))
    }

    /// A tape that answers with `reads`, and with nothing else than `stored` from the cache when `bound`.
    pub fn playing(reads: Vec<Read>, stored: Option<Stored>, bound: bool) -> Self {
        Self::on(Side::Playing(Mutex::new(Told { reads: reads.into(), stored, kept: None, bound })))
    }

    fn on(side: Side) -> Self {
        let reel = Reel { started: Instant::now(), side, watch: Watch::Nothing, turn: AtomicU32::new(0) };
        Self { reel: Some(Arc::new(reel)), turn: 0 }
    }

    /// The same tape, with what was found kept as HTTP says. To be asked before the tape is shared.
    #[must_use]
    pub fn holding(mut self, kept: Option<Kept>) -> Self {
        if let Some(Reel { side: Side::Playing(told), .. }) = self.reel.as_mut().and_then(Arc::get_mut) {
            told.get_mut().kept = kept;
        }
        self
    }

    /// The same tape, with what hooks change found out or not. To be asked before the tape is shared.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        if let Some(reel) = self.reel.as_mut().and_then(Arc::get_mut) {
            reel.watch = watch;
        }
        self
    }

    /// Whether what hooks change is to be found out.
    pub fn watches(&self) -> bool {
        matches!(self.reel.as_deref(), Some(Reel { watch: Watch::Edits, .. }))
    }

    /// Whether it writes down what happens.
    pub fn records(&self) -> bool {
        matches!(self.reel.as_deref(), Some(Reel { side: Side::Recording(_), .. }))
    }

    /// Asks for something outside the exchange: a recording tape notes the answer, a playing one gives the answer that
    /// was noted, after `take` had its effect all the same.
    pub fn ask<T: Serialize + DeserializeOwned>(&self, what: impl FnOnce() -> String, take: impl FnOnce() -> T) -> T {
        let Some(reel) = self.reel.as_deref() else { return take() };
        let taken = take();
        match &reel.side {
            Side::Recording(recorded) => {
                if self.is_current(reel)
                    && let Ok(value) = serde_json::to_value(&taken)
                {
                    recorded.lock().read(what(), value);
                }
                taken
            }
            Side::Playing(told) => told.lock().next(&what()).unwrap_or(taken),
        }
    }

    /// Notes something that happened, when it is recorded.
    pub fn note<T: Serialize>(&self, what: impl FnOnce() -> String, value: &T) {
        if let Some((_, recorded)) = self.told_to()
            && let Ok(value) = serde_json::to_value(value)
        {
            recorded.lock().read(what(), value);
        }
    }

    /// What is told of something that happened, when it is played.
    pub fn told<T: DeserializeOwned>(&self, what: impl FnOnce() -> String) -> Option<T> {
        match &self.reel.as_deref()?.side {
            Side::Playing(told) => told.lock().next(&what()),
            Side::Recording(_) => None,
        }
    }

    /// Whether everything that it tells comes from a recording: what takes longer now than then is no failure.
    pub fn is_bound(&self) -> bool {
        match self.reel.as_deref() {
            Some(Reel { side: Side::Playing(told), .. }) => told.lock().bound,
            _ => false,
        }
    }

    /// Asks the cache. The answer of a played exchange is the recorded one's, as long as it asks by the same key: that may
    /// be one that was joined. Then `find` is not begun.
    pub async fn stored(
        &self,
        key: impl Fn() -> String,
        find: impl Future<Output = Option<Arc<Entry>>>,
    ) -> Option<Recalled> {
        if let Some(Reel { side: Side::Playing(told), .. }) = self.reel.as_deref()
            && self.is_bound()
        {
            let key = key();
            return told.lock().stored.take_if(|(recorded, _)| *recorded == key).map(|(_, recalled)| recalled);
        }
        let found = find.await.map(Recalled::Stored);
        if let Some(found) = &found {
            self.heard(key, || found.clone());
        }
        found
    }

    /// Asks what is kept of a URL, likewise.
    pub async fn kept(
        &self,
        key: impl Fn() -> String,
        find: impl Future<Output = Option<Arc<Variants>>>,
    ) -> Option<Arc<Variants>> {
        if let Some(Reel { side: Side::Playing(told), .. }) = self.reel.as_deref()
            && self.is_bound()
        {
            let key = key();
            return told.lock().kept.take_if(|(recorded, _)| *recorded == key).map(|(_, variants)| variants);
        }
        let found = find.await;
        if let (Some(variants), Some((_, recorded))) = (&found, self.told_to()) {
            recorded.lock().kept = Some((key(), Arc::clone(variants)));
        }
        found
    }

    /// Notes what was heard of an answer that was made for another exchange.
    pub fn heard(&self, key: impl FnOnce() -> String, recalled: impl FnOnce() -> Recalled) {
        if let Some((_, recorded)) = self.told_to() {
            recorded.lock().stored = Some((key(), recalled()));
        }
    }

    /// Wall time.
    pub fn wall(&self, clock: &Clock) -> SystemTime {
        self.ask(|| "clock".to_owned(), || clock.wall())
    }

    /// The tape for the generation that takes the exchange over: what the one before was told is forgotten, and what it
    /// is told yet, in work of its own for afterwards, is not noted.
    #[must_use]
    pub fn handed_over(&self) -> Self {
        let mut next = self.clone();
        if let (Some(reel), Some((_, recorded))) = (self.reel.as_deref(), self.recorded()) {
            next.turn = reel.turn.fetch_add(1, Ordering::Relaxed) + 1;
            recorded.lock().forget();
        }
        next
    }

    /// What was written down so far; nothing is, after it.
    pub fn finish(&self) -> Option<Recorded> {
        self.recorded().map(|(_, recorded)| std::mem::take(&mut *recorded.lock()))
    }

    /// Whether this exchange is still that of the generation whose tape this is.
    fn is_current(&self, reel: &Reel) -> bool {
        self.turn == reel.turn.load(Ordering::Relaxed)
    }

    /// The recording, for what is told to the generation that has the exchange.
    fn told_to(&self) -> Option<(Instant, &Mutex<Recorded>)> {
        self.recorded().filter(|_| self.reel.as_deref().is_some_and(|reel| self.is_current(reel)))
    }

    /// The recording, and when it began.
    fn recorded(&self) -> Option<(Instant, &Mutex<Recorded>)> {
        match self.reel.as_deref()? {
            Reel { started, side: Side::Recording(recorded), .. } => Some((*started, recorded)),
            Reel { .. } => None,
        }
    }
}

// === impl Told ===

impl Told {
    /// The next answer to this question, if it is one of the kind that is asked for.
    fn next<T: DeserializeOwned>(&mut self, what: &str) -> Option<T> {
        let at = self.reads.iter().position(|read| read.what == what)?;
        serde_json::from_value(self.reads.remove(at)?.value).ok()
    }
}
