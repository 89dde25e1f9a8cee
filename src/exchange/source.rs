//! Where the body of a response comes from: an endpoint, the cache, or a policy's own answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::Instant;

use super::http_cache;
use super::wire::Connection;
use crate::cache::Fill;
use crate::dialect::failure::Failure;
use crate::dialect::interpreter::Interpreter;
use crate::dialect::keep::Answer;
use crate::error::{Error, Fault, Kind};
use crate::gate::memory::Share;
use crate::tape::Overheard;
use teller::Teller;

mod stopped;
pub mod teller;
mod upload;

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
        /// Turns it into the client's words.
        voice: Voice,
        /// Where it is recorded as it comes, for the cache and for those who joined.
        fill: Option<Arc<Fill>>,
        /// Read and recorded already, while this client was slow and others were not.
        ahead: VecDeque<Bytes>,
        /// Counts what was read already, until that is given out.
        held: Option<Share>,
        /// Keeps what comes as HTTP says.
        kept: Option<Box<http_cache::Fill>>,
    },
    /// From the cache, or from another exchange that is answered the same.
    Told {
        /// Who tells it.
        teller: Teller,
        /// Turns it into the client's words.
        voice: Voice,
    },
    /// In memory.
    Whole(Option<Bytes>),
}

/// How a stream is put into the client's words.
#[derive(Default)]
pub struct Voice {
    /// Stands between the two dialects of a stream, when they differ.
    interpreter: Option<Box<Interpreter>>,
    /// What went wrong behind a piece that was still to be given out.
    failed: Option<Error>,
    /// Whether the client was told what went wrong, in the stream itself.
    told: bool,
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
            voice: Voice::default(),
            fill: None,
            ahead: VecDeque::new(),
            held: None,
            kept: None,
        }
    }

    /// A response that was made for another exchange.
    pub fn told_by(teller: Teller) -> Self {
        Self::Told { teller, voice: Voice::default() }
    }

    /// Records the answer as it comes.
    pub fn record(&mut self, to: &Arc<Fill>) {
        if let Self::Live { fill, .. } = self {
            *fill = Some(Arc::clone(to));
        }
    }

    /// Whether others may listen to the answer as it comes.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Live { fill: Some(_), .. })
    }

    /// The body, when it is whole and in memory.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(body) => body.as_ref(),
            _ => None,
        }
    }

    /// Puts the stream into other words from here on.
    pub fn interpret(&mut self, by: Box<Interpreter>) {
        if let Some(voice) = self.voice_mut() {
            voice.interpreter = Some(by);
        }
    }

    fn voice(&self) -> Option<&Voice> {
        match self {
            Self::Live { voice, .. } | Self::Told { voice, .. } => Some(voice),
            Self::Whole(_) => None,
        }
    }

    fn voice_mut(&mut self) -> Option<&mut Voice> {
        match self {
            Self::Live { voice, .. } | Self::Told { voice, .. } => Some(voice),
            Self::Whole(_) => None,
        }
    }

    /// The next piece, in the client's dialect; `None` at the clean end. Safe to drop before it is ready.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let piece = self.raw().await;
            let Some(Voice { interpreter: Some(interpreter), failed, told }) = self.voice_mut() else {
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
            if let Some(error) = interpreter.broken().map(stopped::error) {
                let said = said?;
                if said.is_empty() {
                    return Err(error);
                }
                *failed = Some(error);
                self.forget_what_is_there();
                return Ok(Some(said));
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

    /// The next piece as the upstream sent it, recorded if it is to be.
    async fn raw(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Whole(bytes) => Ok(bytes.take().filter(|bytes| !bytes.is_empty())),
            Self::Told { teller, voice } => match voice.failed.take() {
                Some(error) => Err(error),
                None => teller.next().await,
            },
            Self::Live { ahead, .. } => match ahead.pop_front() {
                Some(piece) => Ok(Some(piece)),
                None => self.recorded().await,
            },
        }
    }

    /// The next piece from the endpoint, on its way past the recording.
    async fn recorded(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = self.read().await;
        if let (Self::Live { kept: Some(kept), .. }, Ok(Some(piece))) = (&mut *self, &piece) {
            kept.push(piece);
        }
        if let Self::Live { fill: Some(fill), connection, pending, voice, .. } = self {
            match &piece {
                Ok(Some(piece)) => {
                    fill.push(piece);
                    let done = connection.as_mut().is_some_and(Connection::response_done);
                    if done && pending.is_empty() && voice.failed.is_none() {
                        // Known before the client has all of it: it may ask again at once.
                        fill.end(Ok(()));
                    }
                }
                Ok(None) => fill.end(Ok(())),
                Err(error) => fill.end(Err(error.clone())),
            }
        }
        piece
    }

    /// The next piece from the endpoint.
    async fn read(&mut self) -> Result<Option<Bytes>, Error> {
        let Self::Live { connection, pending, idle, until, voice, held, .. } = self else { return Ok(None) };
        if let Some(piece) = pending.pop_front() {
            return Ok(Some(piece));
        }
        *held = None;
        if let Some(error) = voice.failed.take() {
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
            // Nobody waited for the endpoint when it passed: it was the client that took its time.
            return Err(Error::new(Fault::Gate, Kind::Timeout, 504, "the exchange took too long"));
        }
        let patience = now + *idle;
        let patience = until.map_or(patience, |until| until.min(patience));
        match tokio::time::timeout_at(patience, connection.read_body()).await {
            Ok(piece) => piece,
            Err(_) => Err(Error::upstream(Kind::Timeout, "the upstream stopped sending")),
        }
    }

    /// Reads on while this client is slow, as long as others listen who are not. Never ends; safe to drop.
    pub async fn read_ahead(&mut self) {
        while let Self::Live { fill: Some(fill), ahead, .. } = self {
            if ahead.iter().map(Bytes::len).sum::<usize>() > fill.limit() {
                break;
            }
            Arc::clone(fill).followers().until(true).await;
            let piece = self.recorded().await;
            let Self::Live { ahead, voice, .. } = self else { break };
            match piece {
                Ok(Some(piece)) => ahead.push_back(piece),
                Ok(None) => break,
                Err(error) => {
                    // Told to who asks next.
                    voice.failed = Some(error);
                    break;
                }
            }
        }
        std::future::pending::<()>().await;
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
                    if let Some(voice) = self.voice_mut() {
                        voice.failed = Some(error);
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
            Self::Live { voice: Voice { interpreter: Some(interpreter), .. }, .. }
            | Self::Told { voice: Voice { interpreter: Some(interpreter), .. }, .. }
                if !interpreter.ended() =>
            {
                false
            }
            Self::Told { teller, .. } => teller.done(),
            Self::Live { connection, pending, ahead, .. } => {
                pending.is_empty() && ahead.is_empty() && connection.as_mut().is_none_or(Connection::response_done)
            }
        }
    }

    /// Whether the client was told of a failure in the stream itself.
    pub fn told(&self) -> bool {
        self.voice().is_some_and(|voice| voice.told)
    }

    /// Takes the sealed parts of a translated stream that was heard to its end.
    pub fn take_answer(&mut self) -> Option<Answer> {
        let interpreter = self.voice_mut()?.interpreter.as_mut().filter(|interpreter| interpreter.over())?;
        Some(std::mem::take(&mut interpreter.told.answer))
    }

    /// Takes out what stood between two dialects.
    pub fn take_interpreter(&mut self) -> Option<Box<Interpreter>> {
        self.voice_mut()?.interpreter.take()
    }

    /// Takes out what was heard of an answer that another exchange is given, if that is noted.
    pub fn take_overheard(&mut self) -> Option<Overheard> {
        match self {
            Self::Told { teller: Teller::Joined(joined), .. } => joined.overheard.take(),
            _ => None,
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
