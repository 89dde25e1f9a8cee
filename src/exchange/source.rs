//! Where the body of a response comes from: an endpoint, the cache, or a policy's own answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::Instant;

use super::wire::Connection;
use crate::cache::Entry;
use crate::dialect::failure::Failure;
use crate::dialect::interpreter::Interpreter;
use crate::dialect::keep::Answer;
use crate::error::{Error, Kind};
use crate::gate::memory::Share;

/// The body of a response, piece by piece.
pub enum Source<N: Connection> {
    /// From an endpoint; pieces read before the commit point come first.
    Live {
        /// The connection, until it is given back.
        connection: Option<N>,
        /// Read already.
        pending: VecDeque<Bytes>,
        /// The longest pause between two pieces.
        idle: Duration,
        /// The endpoint answers while it is sent the request's body, which goes on.
        uploading: bool,
        /// When all of it must be there.
        until: Option<Instant>,
        /// What went wrong behind a piece that was still to be given out.
        failed: Option<Error>,
        /// Stands between the two dialects of a stream, when they differ.
        interpreter: Option<Box<Interpreter>>,
        /// Whether the client was told what went wrong, in the stream itself.
        told: bool,
        /// Counts what was read already, until that is given out.
        held: Option<Share>,
    },
    /// From the cache.
    Stored {
        /// The stored response.
        entry: Arc<Entry>,
        /// The next piece.
        next: usize,
    },
    /// In memory.
    Whole(Option<Bytes>),
}

/// Pieces are put together up to this many bytes.
const MOST_AT_ONCE: usize = 32 * 1024;

// === impl Source ===

impl<N: Connection> Source<N> {
    /// A response that comes from a connection, with pauses of at most `idle`.
    pub fn live(connection: N, idle: Duration, until: Option<Instant>) -> Self {
        Self::Live {
            connection: Some(connection),
            pending: VecDeque::new(),
            idle,
            uploading: false,
            until,
            failed: None,
            interpreter: None,
            told: false,
            held: None,
        }
    }

    /// The next piece, in the client's dialect; `None` at the clean end. Safe to drop before it is ready.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let piece = self.raw().await;
            let Self::Live { interpreter: Some(interpreter), pending, failed, told, .. } = self else {
                return piece;
            };
            let kept = interpreter.transcript().is_some();
            let said = match piece {
                Ok(Some(piece)) => interpreter.pass(piece).map_err(|unreadable| {
                    Error::upstream(Kind::Garbage, "the upstream's stream cannot be read")
                        .with_detail(unreadable.to_string())
                }),
                Ok(None) if interpreter.ended() => return Ok(None),
                Ok(None) => Ok(interpreter.end()),
                Err(_) if interpreter.over() => return Ok(None),
                // Only the last word may be missing; otherwise somebody decides whether the answer goes on elsewhere.
                Err(error) if kept => interpreter.cut(Failure::from(&error)).ok_or(error),
                Err(error) => Err(error),
            };
            if let Some(error) = interpreter.broken().map(stopped) {
                pending.clear();
                match said {
                    Ok(said) if said.is_empty() => return Err(error),
                    Ok(said) => {
                        *failed = Some(error);
                        return Ok(Some(said));
                    }
                    Err(error) => return Err(error),
                }
            }
            match said {
                Ok(said) if said.is_empty() => {}
                Ok(said) => return Ok(Some(said)),
                Err(error) if kept => return Err(error),
                Err(error) => {
                    let said = interpreter.fail(Failure::from(&error));
                    if interpreter.over() {
                        return Ok(Some(said).filter(|said| !said.is_empty()));
                    }
                    if said.is_empty() {
                        return Err(error);
                    }
                    (*failed, *told) = (Some(error), true);
                    return Ok(Some(said));
                }
            }
        }
    }

    /// The next piece as the upstream sent it.
    async fn raw(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Whole(bytes) => Ok(bytes.take().filter(|bytes| !bytes.is_empty())),
            Self::Stored { entry, next } => {
                let piece = entry.chunks.get(*next).cloned();
                *next += 1;
                Ok(piece)
            }
            Self::Live { connection, pending, idle, until, failed, held, .. } => {
                if let Some(piece) = pending.pop_front() {
                    return Ok(Some(piece));
                }
                *held = None;
                if let Some(error) = failed.take() {
                    return Err(error);
                }
                let Some(connection) = connection.as_mut() else {
                    return Ok(None);
                };
                if connection.response_done() {
                    return Ok(None);
                }
                let now = Instant::now();
                if until.is_some_and(|until| until <= now) {
                    return Err(Error::upstream(Kind::Timeout, "the exchange took too long"));
                }
                let patience = now + *idle;
                let patience = until.map_or(patience, |until| until.min(patience));
                match tokio::time::timeout_at(patience, connection.read_body()).await {
                    Ok(piece) => piece,
                    Err(_) => Err(Error::upstream(Kind::Timeout, "the upstream stopped sending")),
                }
            }
        }
    }

    /// Says that the request's body goes on while the response is read.
    pub fn go_on_uploading(&mut self) {
        if let Self::Live { uploading, .. } = self {
            *uploading = true;
        }
    }

    /// Whether the rest of the request's body is to be sent while the response is read.
    pub fn uploading(&self) -> bool {
        matches!(self, Self::Live { uploading: true, .. })
    }

    /// Sends a piece of the request's body, or its end. An endpoint that takes no more of it still has its say.
    pub async fn upload(&mut self, piece: Option<Bytes>) {
        if let Self::Live { connection: Some(connection), idle, uploading, .. } = self {
            let end = piece.is_none();
            let sending = connection.send_body(piece.unwrap_or_default(), end);
            let sent = tokio::time::timeout(*idle, sending).await;
            *uploading = !end && matches!(sent, Ok(Ok(())));
        }
    }

    /// A piece together with those that can be had without waiting: each piece that goes out is a system call.
    pub async fn with_what_is_there(&mut self, first: Bytes) -> Bytes {
        let mut all = BytesMut::new();
        while all.len().max(first.len()) < MOST_AT_ONCE && !self.done() {
            let more = tokio::select! {
                biased;
                more = self.next() => more,
                () = std::future::ready(()) => break,
            };
            match more {
                Ok(Some(more)) => {
                    if all.is_empty() {
                        all.extend_from_slice(&first);
                    }
                    all.extend_from_slice(&more);
                }
                // The end is told again to who asks next, and so is a failure.
                Ok(None) => break,
                Err(error) => {
                    if let Self::Live { failed, .. } = self {
                        *failed = Some(error);
                    }
                    break;
                }
            }
        }
        if all.is_empty() { first } else { all.freeze() }
    }

    /// Reads all that is left, within `cap` bytes, which count as a share of what all exchanges hold.
    pub async fn read_all(&mut self, cap: usize, mut share: Option<&mut Share>) -> Result<Bytes, Error> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if let Some(share) = &mut share {
                share.grow(piece.len())?;
            }
            if first.is_empty() {
                first = piece;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&first);
                }
                rest.extend_from_slice(&piece);
            }
            if first.len().max(rest.len()) > cap {
                let message = format!("the response body is larger than the {cap} bytes this gate holds in memory");
                return Err(Error::upstream(Kind::TooLarge, message));
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }

    /// Whether nothing is left to read, as far as can be told without waiting.
    pub fn done(&mut self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stored { entry, next } => *next >= entry.chunks.len(),
            Self::Live { interpreter: Some(interpreter), .. } if !interpreter.ended() => false,
            Self::Live { connection, pending, .. } => {
                pending.is_empty() && connection.as_mut().is_none_or(Connection::response_done)
            }
        }
    }

    /// Whether the client was told of a failure in the stream itself.
    pub fn told(&self) -> bool {
        matches!(self, Self::Live { told: true, .. })
    }

    /// Takes the sealed parts of a translated stream that was heard to its end.
    pub fn take_answer(&mut self) -> Option<Answer> {
        match self {
            Self::Live { interpreter: Some(interpreter), .. } if interpreter.over() => {
                Some(std::mem::take(&mut interpreter.told.answer))
            }
            _ => None,
        }
    }

    /// Takes out what stood between two dialects.
    pub fn take_interpreter(&mut self) -> Option<Box<Interpreter>> {
        match self {
            Self::Live { interpreter, .. } => interpreter.take(),
            _ => None,
        }
    }

    /// What stands between two dialects, or beside a stream that may go on elsewhere.
    pub fn interpreter(&mut self) -> Option<&mut Option<Box<Interpreter>>> {
        match self {
            Self::Live { interpreter, .. } => Some(interpreter),
            _ => None,
        }
    }

    /// Notes that the client was told of a failure in the stream itself.
    pub fn tell(&mut self) {
        if let Self::Live { told, .. } = self {
            *told = true;
        }
    }

    /// The trailers after the end.
    pub async fn trailers(&mut self) -> Result<Option<HeaderMap>, Error> {
        match self {
            Self::Live { connection: Some(connection), .. } => connection.read_trailers().await,
            _ => Ok(None),
        }
    }

    /// Gives the connection back: to the pool when the response was read to its clean end, closed otherwise.
    pub async fn release(&mut self, clean: bool) {
        if let Self::Live { connection, .. } = self
            && let Some(connection) = connection.take()
        {
            // Boxed: every exchange would carry room for it to its end.
            Box::pin(connection.release(clean)).await;
        }
    }
}

/// The error of a stream that stopped by its own account.
fn stopped(failure: &Failure) -> Error {
    let kind = match failure.code.as_deref() {
        Some("stream_cut") => Kind::Reset,
        Some("garbage" | "continuation_differs") => Kind::Garbage,
        _ => Kind::StreamError,
    };
    Error::upstream(kind, "the upstream's stream stopped before the answer was whole")
        .with_detail(failure.message.clone())
}
