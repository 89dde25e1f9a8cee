//! A client that may leave while its answer goes on: others wait for it, or it is to be stored in any case. Then what
//! is left to be said is said to nobody, and the exchange takes the same path to its end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::receive;
use super::wire::Client;
use crate::cache::Followers;
use crate::error::Error;
use crate::message::ResponseHead;
use crate::tape::Tape;

/// A client that may be survived by its answer.
pub struct Lingering<C> {
    client: C,
    tape: Tape,
    wanted: Option<Wanted>,
    /// What is left of it, once it has left.
    left: Option<Left>,
}

/// Who else wants the answer.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Those who joined.
    pub followers: Arc<Followers>,
    /// The cache, whoever has left.
    pub outlive: bool,
}

/// What holds once the client has left.
struct Left {
    at: Instant,
    /// Whether anybody else wanted the answer then.
    wanted: bool,
    /// When nobody did any more, as it was recorded.
    until: Option<Duration>,
    /// How it was found out.
    error: Error,
}

// === impl Lingering ===

impl<C: Client> Lingering<C> {
    /// A client whose exchange ends with it.
    pub fn new(client: C, tape: Tape) -> Self {
        Self { client, tape, wanted: None, left: None }
    }

    /// Lets the exchange go on without the client, as long as others want its answer.
    pub fn linger(&mut self, wanted: Option<Wanted>) {
        self.wanted = wanted;
    }

    /// Notes that the client has left, and whether anybody else wants its answer.
    fn leave(&mut self, error: Error) {
        let (wanted, until) = match &self.wanted {
            Some(wanted) => {
                let is_wanted = wanted.is_wanted();
                self.tape.note(|| "wanted".to_owned(), &is_wanted);
                (is_wanted, None)
            }
            // Played again, nobody else is there who could want it.
            None => (self.tape.told(|| "wanted".to_owned()) == Some(true), self.tape.told(|| "unwanted".to_owned())),
        };
        self.left = Some(Left { at: Instant::now(), wanted, until, error });
    }

    /// Ends when nobody wants the answer of a client that has left.
    async fn unwanted(&mut self) {
        let Some(left) = &mut self.left else { return };
        if !left.wanted {
            return;
        }
        match (&self.wanted, left.until) {
            (Some(Wanted { followers, outlive: false }), _) => {
                followers.until(false).await;
                left.wanted = false;
                self.tape.note(|| "unwanted".to_owned(), &left.at.elapsed());
            }
            (None, Some(until)) => tokio::time::sleep_until(left.at + until).await, // paced: as it was recorded
            _ => std::future::pending().await,
        }
        left.wanted = false;
    }

    /// What the exchange is told of something that could not be said: nothing, as long as others want to hear it.
    fn unsaid(&mut self, error: Error) -> Result<(), Error> {
        if self.left.is_none() {
            self.leave(error);
        }
        match &self.left {
            Some(left) if !left.wanted => Err(left.error.clone()),
            _ => Ok(()),
        }
    }
}

impl<C: Client> Client for Lingering<C> {
    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        self.client.read_body().await
    }

    fn body_done(&mut self) -> bool {
        self.client.body_done()
    }

    async fn gone(&mut self) {
        if self.left.is_none() {
            self.client.gone().await;
            self.leave(receive::gone());
        }
        self.unwanted().await;
    }

    fn has_left(&self) -> bool {
        self.left.is_some()
    }

    async fn send_continue(&mut self) -> Result<(), Error> {
        self.client.send_continue().await
    }

    async fn send_head(&mut self, head: ResponseHead, end: bool) -> Result<(), Error> {
        if self.left.is_some() {
            return self.unsaid(receive::gone());
        }
        let sent = self.client.send_head(head, end).await;
        sent.or_else(|error| self.unsaid(error))
    }

    async fn send_body(&mut self, piece: Bytes) -> Result<(), Error> {
        if self.left.is_some() {
            return self.unsaid(receive::gone());
        }
        let sent = self.client.send_body(piece).await;
        sent.or_else(|error| self.unsaid(error))
    }

    /// A client that has left did not hear the end.
    async fn end_body(&mut self, trailers: Option<HeaderMap>) -> Result<(), Error> {
        match &self.left {
            Some(left) => Err(left.error.clone()),
            None => self.client.end_body(trailers).await,
        }
    }

    async fn break_off(&mut self) {
        self.client.break_off().await;
    }
}

// === impl Wanted ===

impl Wanted {
    fn is_wanted(&self) -> bool {
        self.outlive || self.followers.any()
    }
}
