//! The client of a case: it sends what the file says, leaves when the file says so, and keeps what it gets.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::{Call, Piece, Takes};
use crate::error::Error;
use crate::exchange::receive;
use crate::exchange::wire::Client;
use crate::message::ResponseHead;

/// How much longer a client stays that is to take something first. Timers count whole milliseconds, so that what took two
/// parts of one takes two of them here.
const GRACE: Duration = Duration::from_secs(10);

/// The client's side of one call.
pub(super) struct ScriptedClient {
    /// When the call began.
    started: Instant,
    /// When it leaves.
    leaves: Option<Instant>,
    /// How much it takes, and how much it took.
    takes: Option<Takes>,
    took: Takes,
    /// What it has still to send.
    body: VecDeque<Piece>,
    /// When the next piece is there, once it was waited for.
    due: Option<Instant>,
    /// What it got.
    pub(super) got: Vec<Got>,
}

/// One thing that the client got, and when, counted from the start of the call.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    /// Leave to send the body.
    Continue,
    /// A head, interim or final.
    Head(Duration, Box<ResponseHead>),
    /// A piece of the body.
    Piece(Duration, Bytes),
    /// Trailers after the body.
    Trailers(HeaderMap),
    /// The response was broken off.
    BrokenOff(Duration),
}

// === impl ScriptedClient ===

impl ScriptedClient {
    /// A client that begins its call now.
    pub(super) fn new(call: &Call) -> Self {
        let started = Instant::now();
        Self {
            started,
            leaves: call.leaves.map(|after| started + after),
            takes: call.takes,
            took: Takes::default(),
            body: call.body.clone().into(),
            due: None,
            got: Vec::new(),
        }
    }

    /// When the client leaves, as far as is known now.
    fn leaves(&self) -> Option<Instant> {
        let takes_more = self.takes.is_some_and(|takes| self.took < takes);
        self.leaves.map(|leaves| if takes_more { leaves + GRACE } else { leaves })
    }

    /// Errors once the client has left.
    fn here(&self) -> Result<(), Error> {
        match self.leaves() {
            Some(leaves) if leaves <= Instant::now() => Err(receive::gone()),
            _ => Ok(()),
        }
    }

    /// Waits for the moment when the client leaves.
    async fn leaving(leaves: Option<Instant>) {
        match leaves {
            Some(leaves) => tokio::time::sleep_until(leaves).await, // paced: the case says when the client leaves
            None => std::future::pending().await,
        }
    }
}

impl Client for ScriptedClient {
    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(pause) = self.body.front().map(|piece| piece.pause) else {
            return Ok(None);
        };
        let due = *self.due.get_or_insert_with(|| Instant::now() + pause);
        tokio::select! {
            biased;
            () = Self::leaving(self.leaves()) => return Err(receive::gone()),
            () = tokio::time::sleep_until(due) => {} // paced: the case says how slowly the client sends
        }
        self.due = None;
        Ok(self.body.pop_front().map(|piece| piece.bytes))
    }

    fn body_done(&mut self) -> bool {
        self.body.is_empty()
    }

    async fn gone(&mut self) {
        Self::leaving(self.leaves()).await;
    }

    async fn send_continue(&mut self) -> Result<(), Error> {
        self.here()?;
        self.got.push(Got::Continue);
        Ok(())
    }

    async fn send_head(&mut self, head: ResponseHead, _end: bool) -> Result<(), Error> {
        self.here()?;
        if self.takes.is_some_and(|takes| !takes.head) && !head.status.is_informational() {
            return Err(receive::gone());
        }
        self.took.head = true;
        self.got.push(Got::Head(self.started.elapsed(), Box::new(head)));
        Ok(())
    }

    async fn send_body(&mut self, piece: Bytes) -> Result<(), Error> {
        self.here()?;
        let room = self.takes.map_or(u64::MAX, |takes| takes.bytes.saturating_sub(self.took.bytes));
        let taken = piece.slice(..piece.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        let whole = taken.len() == piece.len();
        self.took.bytes += taken.len() as u64;
        if !taken.is_empty() {
            self.got.push(Got::Piece(self.started.elapsed(), taken));
        }
        if whole { Ok(()) } else { Err(receive::gone()) }
    }

    async fn end_body(&mut self, trailers: Option<HeaderMap>) -> Result<(), Error> {
        self.here()?;
        if self.takes.is_some() && self.leaves.is_some() {
            return Err(receive::gone());
        }
        self.got.extend(trailers.map(Got::Trailers));
        Ok(())
    }

    async fn break_off(&mut self) {
        self.got.push(Got::BrokenOff(self.started.elapsed()));
    }
}
