//! How long the steps of an attempt may take, as deadlines that move with its progress.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Kind};
use crate::exchange::decision::PlannedAttempt;
use crate::upstream::{Timeouts, Upstream};

/// The deadlines of one attempt.
#[derive(Debug)]
pub(super) struct Patience {
    /// How long each step may take.
    times: Timeouts,
    /// To connect, where the plan says.
    connect: Option<Duration>,
    /// When the exchange must be over.
    deadline: Option<Instant>,
    /// When the whole attempt must be over.
    end: Option<Instant>,
    /// When the request was sent, as far as it was.
    sent: Instant,
    /// The moment by which the head must be there.
    until: Instant,
}

// === impl Patience ===

impl Patience {
    /// The deadlines of an attempt that begins now.
    pub(super) fn new(deadline: Option<Instant>, planned: &PlannedAttempt, upstream: &Upstream) -> Self {
        let times = times(planned, upstream);
        let now = Instant::now();
        let mut patience = Self {
            times,
            connect: planned.timeouts.as_ref().and_then(|timeouts| timeouts.connect),
            deadline,
            end: deadline.into_iter().chain(times.total.map(|total| now + total)).min(),
            sent: now,
            until: now,
        };
        patience.renew();
        patience
    }

    /// Counts the wait for an answer from now: the request was sent.
    pub(super) fn renew(&mut self) {
        self.sent = Instant::now();
        self.until = self.within(self.times.head);
    }

    /// Gives the endpoint no more time: only a head that is there already counts.
    pub(super) fn lose(&mut self) {
        self.until = Instant::now();
    }

    /// Waits for a connection.
    pub(super) async fn connect<F: Future>(&self, step: F) -> Result<F::Output, Error> {
        let until = self.connect.map_or(self.until, |connect| self.until.min(Instant::now() + connect));
        tokio::time::timeout_at(until, step).await.map_err(|_| match self.connect {
            Some(_) if until < self.until => Error::unreached(),
            _ => late(),
        })
    }

    /// Waits for a step of the attempt, but not past the deadline for its head.
    pub(super) async fn wait<F: Future>(&self, step: F) -> Result<F::Output, Error> {
        tokio::time::timeout_at(self.until, step).await.map_err(|_| late())
    }

    /// Lets the endpoint take a piece of the body. `None` when it takes none of it for too long.
    pub(super) async fn taking<F: Future>(&self, sending: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.within(self.times.idle), sending).await.ok()
    }

    /// Ends when the whole attempt must be over.
    pub(super) async fn over(&self) -> Error {
        match self.end {
            Some(end) => tokio::time::sleep_until(end).await, // paced: the attempt's own deadline
            None => std::future::pending().await,
        }
        late()
    }

    /// When the request was sent.
    pub(super) fn sent(&self) -> Instant {
        self.sent
    }

    /// The moment by which the head must be there.
    pub(super) fn head(&self) -> Instant {
        self.until
    }

    /// The moment by which a stream must have said something that counts.
    pub(super) fn first(&self) -> Instant {
        let first = self.sent + self.times.first.unwrap_or(self.times.head);
        self.end.map_or(first, |end| end.min(first))
    }

    /// The moment by which the next piece of a body must be there, counted from now.
    pub(super) fn piece(&self) -> Instant {
        self.within(self.times.idle)
    }

    /// The longest pause between two pieces of a body.
    pub(super) fn idle(&self) -> Duration {
        self.times.idle
    }

    /// When an answer that is on its way must be over. A stream that has begun may take as long as it comes, unless it
    /// is asked otherwise.
    pub(super) fn rest(&self, streams: bool) -> Option<Instant> {
        if streams && !self.times.cut_streams { self.deadline } else { self.end }
    }

    fn within(&self, time: Duration) -> Instant {
        let until = Instant::now() + time;
        self.end.map_or(until, |end| end.min(until))
    }
}

/// The upstream's own times, where the plan does not say otherwise.
fn times(planned: &PlannedAttempt, upstream: &Upstream) -> Timeouts {
    let mut times = upstream.timeouts;
    if let Some(head) = planned.timeout {
        times.head = head;
    }
    if let Some(said) = planned.timeouts.as_deref() {
        times.head = said.head.unwrap_or(times.head);
        times.first = said.first.or(times.first);
        times.idle = said.idle.unwrap_or(times.idle);
        times.total = said.total.or(times.total);
    }
    times
}

fn late() -> Error {
    Error::upstream(Kind::Timeout, "the upstream did not answer in time")
}
