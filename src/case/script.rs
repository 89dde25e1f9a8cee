//! The upstreams of a case: connections that answer as its file says, and keep every byte they are sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Answer, Mishap, Piece};
use crate::error::{Error, Kind};
use crate::exchange::wire::{Connection, Dial};
use crate::message::{RequestHead, ResponseHead};
use crate::upstream::{Endpoint, Upstream};

/// The name of an upstream in a case that stands for whatever upstream is asked and has no answer of its own: recordings
/// of others do not know the names of this bundle's upstreams.
pub const ANY: &str = "*";

/// A pause in which no time passes on the virtual clock: what comes after it comes by itself all the same.
pub(super) const APART: Duration = Duration::from_nanos(1);

/// Opens connections to a case's upstreams.
#[derive(Clone, Debug)]
pub struct ScriptedDial(Arc<Mutex<Script>>);

#[derive(Debug)]
struct Script {
    /// What is still to be answered.
    answers: Vec<Answer>,
    /// What was sent since it was last taken.
    wires: Vec<Wire>,
}

/// What one connection was asked for and sent.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// Where the case says what it answers; nowhere: the connection is refused.
    pub line: Option<usize>,
    /// What goes wrong with the answer.
    pub fault: Option<Mishap>,
    /// Whether the connection had been used before.
    pub reused: bool,
    /// The request head, unless there was no connection to send it on.
    pub head: Option<RequestHead>,
    /// The request body.
    pub body: Vec<u8>,
    /// Whether the request was sent to its end.
    pub complete: bool,
}

/// A connection on which one answer comes.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is something else that can be true of a connection")]
pub struct ScriptedConnection {
    script: Arc<Mutex<Script>>,
    /// Which wire of the script it is.
    wire: usize,
    /// The request's method: it decides whether a body follows.
    method: Method,
    /// The request was sent to its end.
    asked: bool,
    /// When the next thing comes, once it was waited for.
    due: Option<Instant>,
    /// How long the first head takes.
    slow: Duration,
    /// Whether the answer comes before the request's end.
    early: bool,
    /// Whether the connection was used before.
    reused: bool,
    fault: Option<Mishap>,
    heads: VecDeque<ResponseHead>,
    body: VecDeque<Piece>,
    trailers: Option<HeaderMap>,
    /// The head says that no body follows, or the body was read to its clean end.
    done: bool,
}

// === impl ScriptedDial ===

impl ScriptedDial {
    /// A dialer for these answers.
    pub fn new(answers: Vec<Answer>) -> Self {
        let wires = Vec::new();
        Self(Arc::new(Mutex::new(Script { answers, wires })))
    }

    /// What was sent since this was last asked.
    pub fn take_wires(&self) -> Vec<Wire> {
        std::mem::take(&mut self.0.lock().wires)
    }

    /// The answers nobody asked for.
    pub fn unused(&self) -> Vec<Answer> {
        self.0.lock().answers.clone()
    }
}

impl Dial for ScriptedDial {
    type Connection = ScriptedConnection;

    async fn connect(
        &self,
        upstream: &Arc<Upstream>,
        endpoint: &Arc<Endpoint>,
        _fresh: bool,
    ) -> Result<ScriptedConnection, Error> {
        let (answer, wire) = self.0.lock().begin(&upstream.name, &endpoint.name);
        let Some(answer) = answer else { return Err(unmade(Mishap::Refuse, endpoint)) };
        match answer.fault {
            Some(fault @ (Mishap::Refuse | Mishap::Tls)) => {
                tokio::time::sleep(answer.slow).await; // paced: the case says how long the failure takes
                Err(unmade(fault, endpoint))
            }
            Some(fault @ Mishap::Unreachable) => {
                let patience = if answer.slow.is_zero() { endpoint.connect_timeout } else { answer.slow };
                tokio::time::sleep(patience).await; // paced: so long a connection is waited for
                Err(unmade(fault, endpoint))
            }
            _ => Ok(ScriptedConnection::new(Arc::clone(&self.0), wire, answer)),
        }
    }
}

/// What a live dialer says of a connection that was not made.
fn unmade(fault: Mishap, endpoint: &Endpoint) -> Error {
    let (error, detail) = match fault {
        Mishap::Tls => (Error::upstream(Kind::Tls, "TLS with the upstream failed"), "handshake failed"),
        Mishap::Unreachable => (Error::unreached(), "no answer"),
        _ => (Error::upstream(Kind::Connect, "the upstream could not be connected to"), "connection refused"),
    };
    error.with_detail(format!("{}: {detail}", endpoint.name))
}

// === impl Script ===

impl Script {
    /// Begins a connection: the answer that comes on it, if there is one, and its number.
    fn begin(&mut self, upstream: &str, endpoint: &str) -> (Option<Answer>, usize) {
        let answer = self.take(upstream, endpoint);
        self.wires.push(Wire {
            upstream: upstream.to_owned(),
            endpoint: endpoint.to_owned(),
            line: answer.as_ref().map(|answer| answer.line),
            fault: answer.as_ref().and_then(|answer| answer.fault),
            reused: answer.as_ref().is_some_and(|answer| answer.reused),
            head: None,
            body: Vec::new(),
            complete: false,
        });
        (answer, self.wires.len() - 1)
    }

    /// The next answer of an endpoint: one that names it, else one of its upstream, else one of no upstream by name.
    fn take(&mut self, upstream: &str, endpoint: &str) -> Option<Answer> {
        let of = |upstream: &str, wanted: Option<&str>| {
            let matches = |answer: &Answer| answer.upstream == upstream && answer.endpoint.as_deref() == wanted;
            self.answers.iter().position(matches)
        };
        let at = of(upstream, Some(endpoint)).or_else(|| of(upstream, None)).or_else(|| of(ANY, None))?;
        Some(self.answers.remove(at))
    }
}

// === impl ScriptedConnection ===

impl ScriptedConnection {
    fn new(script: Arc<Mutex<Script>>, wire: usize, answer: Answer) -> Self {
        Self {
            script,
            wire,
            method: Method::GET,
            asked: false,
            due: None,
            slow: answer.slow,
            early: answer.early,
            reused: answer.reused,
            fault: answer.fault,
            heads: answer.heads.into(),
            body: answer.body.into(),
            trailers: answer.trailers,
            done: false,
        }
    }

    /// Writes down what was sent.
    fn note(&self, note: impl FnOnce(&mut Wire)) {
        if let Some(wire) = self.script.lock().wires.get_mut(self.wire) {
            note(wire);
        }
    }

    /// Waits `time`, once, however often the wait is dropped and taken up again.
    async fn wait(&mut self, time: Duration) {
        if time == APART {
            tokio::task::yield_now().await;
        } else if !time.is_zero() {
            let due = *self.due.get_or_insert_with(|| Instant::now() + time);
            tokio::time::sleep_until(due).await; // paced: the case says how long the upstream takes
        }
        self.due = None;
    }

    /// Whether a response to this request with this head has a body.
    fn has_body(&self, head: &ResponseHead) -> bool {
        self.method != Method::HEAD && !matches!(head.status.as_u16(), 204 | 304)
    }
}

impl Connection for ScriptedConnection {
    fn reused(&self) -> bool {
        self.reused
    }

    fn untouched(&self) -> bool {
        self.reused && self.fault == Some(Mishap::Reset)
    }

    async fn send_head(&mut self, head: RequestHead, more: bool) -> Result<(), Error> {
        self.method = head.method.clone();
        self.asked = !more;
        self.note(|wire| {
            wire.head = Some(head);
            wire.complete = !more;
        });
        Ok(())
    }

    async fn send_body(&mut self, piece: Bytes, end: bool) -> Result<(), Error> {
        self.asked = end;
        self.note(|wire| {
            wire.body.extend_from_slice(&piece);
            wire.complete = end;
        });
        Ok(())
    }

    async fn read_head(&mut self) -> Result<ResponseHead, Error> {
        if !self.asked && !self.early {
            std::future::pending::<()>().await;
        }
        self.wait(self.slow).await;
        self.slow = Duration::ZERO;
        match self.fault {
            Some(Mishap::Reset) => return Err(reset()),
            Some(Mishap::Garbage) if self.heads.is_empty() => return Err(garbage()),
            _ => {}
        }
        let Some(head) = self.heads.pop_front() else {
            return std::future::pending().await;
        };
        self.done = self.heads.is_empty() && (!self.has_body(&head) || (self.body.is_empty() && self.fault.is_none()));
        Ok(head)
    }

    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        if self.done {
            return Ok(None);
        }
        if let Some(piece) = self.body.front() {
            self.wait(piece.pause).await;
            let piece = self.body.pop_front().map(|piece| piece.bytes);
            self.done = self.body.is_empty() && self.fault.is_none();
            return Ok(piece);
        }
        match self.fault {
            Some(Mishap::Stall) => std::future::pending().await,
            Some(Mishap::Garbage) => Err(garbage()),
            Some(_) => Err(reset()),
            None => Ok(None),
        }
    }

    fn response_done(&mut self) -> bool {
        self.done
    }

    async fn read_trailers(&mut self) -> Result<Option<HeaderMap>, Error> {
        Ok(self.trailers.take())
    }

    async fn release(self, _clean: bool) {}
}

/// What a live connection says of an answer that is not HTTP.
fn garbage() -> Error {
    Error::upstream(Kind::Garbage, "the upstream did not keep to HTTP")
}

/// What a live connection says when it was broken off.
fn reset() -> Error {
    Error::upstream(Kind::Reset, "the upstream broke off the connection")
}
