//! A fill: one answer on its way into the cache, heard by all who asked for the same while it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::admit::Refusal;
use super::entry::{Entry, Tokens};
use super::record::Recorder;
use crate::error::{Error, Fault, Kind};

/// One answer as it comes. Whoever listens reads at its own pace from what is recorded; nobody holds the others up.
#[derive(Debug)]
pub struct Fill {
    log: Mutex<Log>,
    /// Something was added.
    more: Notify,
    /// How many listen.
    followers: Arc<Followers>,
}

#[derive(Debug)]
struct Log {
    recorder: Recorder,
    /// How it ended, once it has.
    ended: Option<Result<(), Error>>,
    /// What is kept of it, once it has come to its end.
    kept: Option<Result<Entry, Refusal>>,
    /// Why the answer is not kept though nothing is wrong with it.
    withheld: Option<Refusal>,
}

/// How many exchanges wait for or listen to the answer of another.
#[derive(Debug, Default)]
pub struct Followers {
    now: AtomicUsize,
    /// Their number has changed.
    changed: Notify,
}

// === impl Fill ===

impl Fill {
    /// The fill of a recording that has begun.
    pub fn new(recorder: Recorder, followers: Arc<Followers>) -> Self {
        Self {
            log: Mutex::new(Log { recorder, ended: None, kept: None, withheld: None }),
            more: Notify::new(),
            followers,
        }
    }

    /// The answer's head: the entry to be without its body.
    pub fn head(&self) -> Arc<Entry> {
        Arc::clone(self.log.lock().recorder.head())
    }

    /// Adds a piece of the body.
    pub fn push(&self, piece: &Bytes) {
        self.log.lock().recorder.push(piece, self.followers.any());
        // Who joined in between has looked for it already, and waits.
        if self.followers.any() {
            self.more.notify_waiters();
        }
    }

    /// The body came to its end, or failed; the first end stands.
    pub fn end(&self, how: Result<(), Error>) {
        {
            let mut log = self.log.lock();
            if log.ended.is_none() {
                // Known before anybody else joins: what is empty at its end is not handed on.
                log.kept = Some(log.recorder.finish(how.is_ok()));
                log.ended = Some(how);
            }
        }
        self.more.notify_waiters();
    }

    /// Keeps a sound answer out of the cache. Others may join it all the same.
    pub fn withhold(&self, refusal: Refusal) {
        self.log.lock().withheld = Some(refusal);
    }

    /// Decides that the answer will not be kept: something is wrong with it.
    pub fn spoil(&self, refusal: Refusal) {
        self.log.lock().recorder.refuse(refusal);
    }

    /// Whether somebody who asks now can hear it from its beginning, and nothing is wrong with it so far.
    pub fn is_open(&self) -> bool {
        let log = self.log.lock();
        log.recorder.refused().is_none() && !matches!(log.kept, Some(Err(_)))
    }

    /// The entry, if the answer may be kept: with the model that was asked for, and the tokens that it took.
    pub fn finish(&self, model: Option<String>, tokens: Option<Tokens>) -> Result<Entry, Refusal> {
        let mut log = self.log.lock();
        let refused = log.withheld.or(log.recorder.refused()).unwrap_or(Refusal::Incomplete);
        let kept = log.kept.take().unwrap_or(Err(refused));
        let mut entry = if log.withheld.is_some() || log.recorder.refused().is_some() { Err(refused) } else { kept }?;
        if let Some(provenance) = &mut entry.provenance {
            (provenance.model, provenance.tokens) = (model, tokens);
        }
        Ok(entry)
    }

    /// The piece with this number, once it is there; none at the end. Safe to drop.
    pub async fn piece(&self, number: usize) -> Result<Option<Bytes>, Error> {
        loop {
            let more = self.more.notified();
            {
                let log = self.log.lock();
                match log.recorder.piece(number) {
                    Ok(Some(piece)) => return Ok(Some(piece)),
                    Err(_) => return Err(lost()),
                    Ok(None) => {}
                }
                if let Some(ended) = &log.ended {
                    return ended.clone().map(|()| None);
                }
            }
            more.await;
        }
    }

    /// How long the body is, once all of it is there for who hears it from its beginning.
    pub fn length(&self) -> Option<usize> {
        let log = self.log.lock();
        log.ended.as_ref().filter(|ended| ended.is_ok()).and_then(|_| log.recorder.length())
    }

    /// The largest body in bytes that is held.
    pub fn limit(&self) -> usize {
        self.log.lock().recorder.limit()
    }

    /// Whether it came to a bad end.
    pub fn has_failed(&self) -> bool {
        matches!(self.log.lock().ended, Some(Err(_)))
    }

    /// Those who listen.
    pub fn followers(&self) -> &Followers {
        &self.followers
    }

    /// Whether there is no piece with this number, nor will there be.
    pub fn has_said(&self, number: usize) -> bool {
        let log = self.log.lock();
        log.ended.is_some() && matches!(log.recorder.piece(number), Ok(None))
    }
}

/// What is told to a client that takes an answer so slowly that what it has yet to hear is no longer held.
fn lost() -> Error {
    Error::new(
        Fault::Gate,
        Kind::Overloaded,
        503,
        "the answer is too long to be kept for a client that takes it so slowly",
    )
}

// === impl Followers ===

impl Followers {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.now.load(Ordering::Acquire)
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.count() > 0
    }

    pub(super) fn join(&self) {
        self.now.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    pub(super) fn leave(&self) {
        self.now.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Waits until there are some, or none.
    pub async fn until(&self, any: bool) {
        loop {
            let changed = self.changed.notified();
            if self.any() == any {
                return;
            }
            changed.await;
        }
    }
}
