//! Stands before the client's wire and notes what it sends, when it leaves, and what it gets.

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Recorded, Tape};
use crate::error::{Error, Kind};
use crate::exchange::wire::Client;
use crate::message::ResponseHead;

/// A client whose words are noted, when there is a tape.
pub struct TapedClient<'c, C> {
    client: &'c mut C,
    tape: Tape,
    /// When its last piece came.
    last: Instant,
}

// === impl TapedClient ===

impl<'c, C: Client> TapedClient<'c, C> {
    /// Listens to `client`.
    pub fn new(client: &'c mut C, tape: Tape) -> Self {
        Self { client, tape, last: Instant::now() }
    }

    fn note(&self, note: impl FnOnce(Instant, &Mutex<Recorded>)) {
        if let Some((started, recorded)) = self.tape.recorded() {
            note(started, recorded);
        }
    }

    /// Notes when the client was found to have left.
    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.kind() == Kind::ClientGone
        {
            self.note(|started, recorded| {
                recorded.lock().left.get_or_insert(started.elapsed());
            });
        }
        result
    }
}

impl<C: Client> Client for TapedClient<'_, C> {
    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = self.client.read_body().await;
        if let Ok(Some(piece)) = &piece {
            let now = Instant::now();
            let pause = now.saturating_duration_since(self.last);
            self.last = now;
            self.note(|_, recorded| recorded.lock().client(pause, piece));
        }
        self.noted(piece)
    }

    fn body_done(&mut self) -> bool {
        self.client.body_done()
    }

    async fn gone(&mut self) {
        self.client.gone().await;
        self.note(|started, recorded| {
            recorded.lock().left.get_or_insert(started.elapsed());
        });
    }

    async fn send_continue(&mut self) -> Result<(), Error> {
        let sent = self.client.send_continue().await;
        self.noted(sent)
    }

    async fn send_head(&mut self, head: ResponseHead, end: bool) -> Result<(), Error> {
        let digest = self.tape.recorded().map(|(_, recorded)| recorded.lock().answer.with(&head));
        let last = !head.status.is_informational();
        let sent = self.client.send_head(head, end).await;
        if let (Ok(()), Some(digest)) = (&sent, digest) {
            self.note(|_, recorded| recorded.lock().head(digest, last));
        }
        self.noted(sent)
    }

    async fn send_body(&mut self, piece: Bytes) -> Result<(), Error> {
        let noted = self.tape.records().then(|| piece.clone());
        let sent = self.client.send_body(piece).await;
        if let (Ok(()), Some(piece)) = (&sent, noted) {
            self.note(|_, recorded| recorded.lock().sent(&piece));
        }
        self.noted(sent)
    }

    async fn end_body(&mut self, trailers: Option<HeaderMap>) -> Result<(), Error> {
        let sent = self.client.end_body(trailers).await;
        self.noted(sent)
    }

    async fn break_off(&mut self) {
        self.note(|_, recorded| recorded.lock().answer.broken_off());
        self.client.break_off().await;
    }
}
