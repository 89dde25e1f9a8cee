//! How long the steps of an attempt may take, as deadlines that move with its progress.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::exchange::decision::PlannedAttempt;
use crate::exchange::receive;
use crate::exchange::wire::Client;
use crate::upstream::Upstream;

/// The deadlines of one attempt.
pub(super) struct Patience {
    /// How long the head may take once the request was sent.
    head: Duration,
    /// How long the endpoint may take none of the request's body.
    idle: Duration,
    /// When the whole attempt must be over.
    pub(super) end: Option<Instant>,
    /// The moment by which the head must be there.
    pub(super) until: Instant,
}

// === impl Patience ===

impl Patience {
    /// The deadlines of an attempt that begins now.
    pub(super) fn new(x: &Exchange, planned: &PlannedAttempt, upstream: &Upstream) -> Self {
        let total = upstream.timeouts.total.map(|total| Instant::now() + total);
        let mut patience = Self {
            head: planned.timeout.unwrap_or(upstream.timeouts.head),
            idle: upstream.timeouts.idle,
            end: [x.deadline, total].into_iter().flatten().min(),
            until: Instant::now(),
        };
        patience.renew();
        patience
    }

    /// Counts the wait for the head from now: the client has taken its time to send the body.
    pub(super) fn renew(&mut self) {
        self.until = self.within(self.head);
    }

    /// Gives the endpoint no more time: only a head that is there already counts.
    pub(super) fn lose(&mut self) {
        self.until = Instant::now();
    }

    /// Waits for a step of the attempt, but not past the deadline for its head, and not for a client that has left.
    pub(super) async fn wait<C: Client, F: Future>(&self, client: &mut C, step: F) -> Result<F::Output, Error> {
        let watch = client.body_done();
        tokio::select! {
            biased;
            output = step => Ok(output),
            () = client.gone(), if watch => Err(receive::gone()),
            () = tokio::time::sleep_until(self.until) => Err(late()), // paced: the attempt's own deadline
        }
    }

    /// Lets the endpoint take a piece of the body. `None` when it takes none of it for too long.
    pub(super) async fn taking<F: Future>(&self, sending: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.within(self.idle), sending).await.ok()
    }

    /// Ends when the whole attempt must be over.
    pub(super) async fn over(&self) -> Error {
        match self.end {
            Some(end) => tokio::time::sleep_until(end).await, // paced: the attempt's own deadline
            None => std::future::pending().await,
        }
        late()
    }

    fn within(&self, time: Duration) -> Instant {
        let until = Instant::now() + time;
        self.end.map_or(until, |end| end.min(until))
    }
}

fn late() -> Error {
    Error::upstream(Kind::Timeout, "the upstream did not answer in time")
}
