//! Stands before an endpoint's wire and notes what it answers, and when.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::{Ended, Recorded, Tape, Taped};
use crate::error::{Error, Kind};
use crate::exchange::wire::{Connection, Dial};
use crate::message::{RequestHead, ResponseHead};
use crate::upstream::{Endpoint, Upstream};

/// A connection whose words are noted, when there is a tape.
pub struct TapedConnection<N> {
    connection: N,
    tape: Tape,
    /// Its number on the tape.
    wire: usize,
    /// Whether the request was sent to its end.
    asked: bool,
}

/// Opens a connection, noting how that goes.
pub async fn connect<D: Dial>(
    dial: &D,
    tape: &Tape,
    upstream: &Arc<Upstream>,
    endpoint: &Arc<Endpoint>,
    fresh: bool,
) -> Result<TapedConnection<D::Connection>, Error> {
    let wire = tape.told_to().map_or(0, |(_, recorded)| {
        let mut recorded = recorded.lock();
        recorded.wires.push(Taped::new(&upstream.name, &endpoint.name));
        recorded.wires.len() - 1
    });
    let connected = dial.connect(upstream, endpoint, fresh).await;
    note(tape, wire, |taped, now| match &connected {
        Ok(connection) => {
            taped.reused = connection.reused();
            taped.ended = Ended::Open;
        }
        Err(error) => {
            taped.slow = taped.since(now);
            taped.ended = if error.is_unreached() { Ended::Connecting } else { Ended::Failed(error.kind()) };
        }
    });
    connected.map(|connection| TapedConnection { connection, tape: tape.clone(), wire, asked: false })
}

/// Notes something of a connection.
fn note(tape: &Tape, wire: usize, note: impl FnOnce(&mut Taped, Instant)) {
    if let Some((_, recorded)) = tape.told_to()
        && let Some(taped) = recorded.lock().wires.get_mut(wire)
    {
        note(taped, Instant::now());
    }
}

// === impl TapedConnection ===

impl<N> TapedConnection<N> {
    /// A connection of which nothing is noted.
    pub fn untaped(connection: N) -> Self {
        Self { connection, tape: Tape::default(), wire: 0, asked: false }
    }

    fn note(&self, what: impl FnOnce(&mut Taped, Instant)) {
        note(&self.tape, self.wire, what);
    }

    /// Notes a failure; a wait that the gate itself gave up is none of the connection's.
    fn failed(&self, error: &Error) {
        let ended = match error.kind() {
            Kind::Timeout => Ended::Waiting,
            kind => Ended::Failed(kind),
        };
        self.note(|taped, now| {
            if taped.heads.is_empty() {
                taped.slow = taped.since(now);
            }
            taped.ended = ended;
        });
    }
}

impl<N: Connection> Connection for TapedConnection<N> {
    fn reused(&self) -> bool {
        self.connection.reused()
    }

    fn body_follows(&mut self) {
        self.connection.body_follows();
    }

    async fn send_head(&mut self, head: RequestHead, more: bool) -> Result<(), Error> {
        let sent = self.connection.send_head(head, more).await;
        self.asked = !more;
        sent.inspect_err(|error| self.failed(error))
    }

    async fn send_body(&mut self, piece: Bytes, end: bool) -> Result<(), Error> {
        let sent = self.connection.send_body(piece, end).await;
        self.asked |= end && sent.is_ok();
        sent
    }

    async fn read_head(&mut self) -> Result<ResponseHead, Error> {
        self.note(|taped, _| taped.ended = Ended::Waiting);
        let head = self.connection.read_head().await;
        match &head {
            Ok(head) => self.note(|taped, now| {
                if taped.heads.is_empty() {
                    taped.slow = taped.since(now);
                    taped.early = !self.asked;
                }
                taped.heads.push(head.clone());
                taped.ended = Ended::Open;
            }),
            Err(error) => self.failed(error),
        }
        if head.is_ok() && self.connection.response_done() {
            self.note(|taped, _| taped.ended = Ended::Done);
        }
        head
    }

    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        // Left so when nobody waits until it is here.
        self.note(|taped, _| taped.ended = Ended::Waiting);
        let piece = self.connection.read_body().await;
        match &piece {
            Ok(Some(piece)) => {
                if let Some((_, recorded)) = self.tape.told_to() {
                    Recorded::piece(&mut recorded.lock(), self.wire, Instant::now(), piece);
                }
                let ended = if self.connection.response_done() { Ended::Done } else { Ended::Open };
                self.note(|taped, _| taped.ended = ended);
            }
            Ok(None) => self.note(|taped, _| taped.ended = Ended::Done),
            Err(error) => self.failed(error),
        }
        piece
    }

    fn untouched(&self) -> bool {
        self.connection.untouched()
    }

    fn response_done(&mut self) -> bool {
        self.connection.response_done()
    }

    async fn read_trailers(&mut self) -> Result<Option<HeaderMap>, Error> {
        let trailers = self.connection.read_trailers().await;
        if let Ok(trailers) = &trailers {
            self.note(|taped, _| taped.trailers.clone_from(trailers));
        }
        trailers
    }

    async fn release(self, clean: bool) {
        self.connection.release(clean).await;
    }
}
