//! The messages of an exchange: their heads, and bodies that may not have been read yet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::error::Error;
use crate::json::{self, Doc};

/// A request head: method, target, version, and headers in the spelling they came in. It is pingora's type, named
/// here once, because copying every head into a type of our own costs a tenth of a request.
pub use pingora_http::RequestHeader as RequestHead;
/// A response head, likewise.
pub use pingora_http::ResponseHeader as ResponseHead;

/// Why a head could not be built.
pub type HeadError = pingora_error::BError;

/// What is known of a body. Its `Debug` shows lengths, never content.
#[derive(Default)]
pub enum Body {
    /// The message has no body, or an empty one.
    #[default]
    Empty,
    /// It is still on the wire; nobody has asked for it.
    Unread,
    /// It has been read to its end, or a policy has set it.
    Whole(Bytes),
    /// It was read, and is looked at as JSON; edits are held as splices.
    Json(Box<Doc>),
    /// It was passed on as it came and can no longer be read.
    Streamed,
    /// It could not be read.
    Failed(Error),
}

/// A request with whatever is known of its body.
#[derive(Debug)]
pub struct Request {
    /// The head, edited in place by hooks.
    pub head: RequestHead,
    /// The body.
    pub body: Body,
}

/// A response with whatever is known of its body.
#[derive(Debug)]
pub struct Response {
    /// The head, edited in place by hooks.
    pub head: ResponseHead,
    /// The body.
    pub body: Body,
    /// Whether the body is a stream of events, which hooks see one by one.
    pub streaming: bool,
    /// Whether the client has a head of it already, so that this one changes nothing.
    pub committed: bool,
    /// Who made it.
    pub served_by: ServedBy,
}

/// Who made a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServedBy {
    /// An endpoint of an upstream.
    Upstream {
        /// The upstream's name.
        upstream: String,
        /// The endpoint's name.
        endpoint: String,
    },
    /// A stored response, this old.
    Cache {
        /// Time since it was stored.
        age: Duration,
        /// Whether it is older than it should be.
        stale: bool,
    },
    /// A policy, with `respond { … }`.
    Policy,
}

/// A message that the exchange and the hooks of its policies hold together. A hook that touches a body which is
/// still on the wire waits; the exchange, which owns the wire, is told and reads it.
#[derive(Debug)]
pub struct Shared<M>(Arc<Inner<M>>);

/// The exchange's own hold on a [`Shared`] message: when it ends, the message is emptied. A policy's objects live until
/// their VM collects garbage, many exchanges later, and heads kept for so long would come from cold memory each time.
#[derive(Debug)]
pub struct Owned<M: Default>(Shared<M>);

#[derive(Debug)]
struct Inner<M> {
    message: Mutex<M>,
    /// Told when a hook wants the body.
    wanted: Notify,
    /// Told when the body was read, or could not be.
    filled: Notify,
}

/// Gives a [`Shared`] message's body to its waiters, whichever side it belongs to.
pub trait HasBody {
    /// The body's place in the message.
    fn body_mut(&mut self) -> &mut Body;
}

// === impl Request ===

impl Default for Request {
    /// What is left of a request after its exchange.
    fn default() -> Self {
        Self { head: http::Request::new(()).into_parts().0.into(), body: Body::Empty }
    }
}

// === impl Response ===

impl Default for Response {
    /// What is left of a response after its exchange.
    fn default() -> Self {
        let head = http::Response::new(()).into_parts().0.into();
        Self { head, body: Body::Empty, streaming: false, committed: false, served_by: ServedBy::Policy }
    }
}

// === impl Body ===

impl Body {
    /// The bytes as they would be sent now: the very bytes that came unless they were edited.
    /// `None` while they are on the wire or gone.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Empty => Some(Bytes::new()),
            Self::Whole(bytes) => Some(bytes.clone()),
            Self::Json(doc) => Some(doc.render()),
            Self::Unread | Self::Streamed | Self::Failed(_) => None,
        }
    }

    /// The body as a JSON document, parsed at the first call.
    pub fn json(&mut self, limits: json::Limits) -> Result<&mut Doc, json::JsonError> {
        let doc = match std::mem::take(self) {
            Self::Json(doc) => doc,
            other => {
                let parsed = Doc::parse(other.bytes().unwrap_or_default(), limits);
                match parsed {
                    Ok(doc) => Box::new(doc),
                    Err(error) => {
                        *self = other;
                        return Err(error);
                    }
                }
            }
        };
        Ok(self.hold(doc))
    }

    /// Becomes a JSON document and lends it out.
    fn hold(&mut self, doc: Box<Doc>) -> &mut Doc {
        *self = Self::Json(doc);
        match self {
            Self::Json(doc) => doc,
            _ => unreachable!("it was set a line above"),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Unread => f.write_str("Unread"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Json(_) => f.write_str("Json"),
            Self::Streamed => f.write_str("Streamed"),
            Self::Failed(error) => write!(f, "Failed({error:?})"),
        }
    }
}

// === impl Shared ===

impl<M> Clone for Shared<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M> Shared<M> {
    /// Puts a message where both sides can reach it.
    pub fn new(message: M) -> Self {
        Self(Arc::new(Inner { message: Mutex::new(message), wanted: Notify::new(), filled: Notify::new() }))
    }

    /// The message itself, for as long as the guard lives. Never held across an await.
    pub fn lock(&self) -> MutexGuard<'_, M> {
        self.0.message.lock()
    }

    /// Waits until a hook asks for a body that is still on the wire.
    pub async fn wanted(&self) {
        self.0.wanted.notified().await;
    }
}

impl<M: HasBody> Shared<M> {
    /// Waits until the body is here. Errors when it could not be read, or was passed on already.
    pub async fn read(&self) -> Result<(), Error> {
        loop {
            let filled = self.0.filled.notified();
            match self.lock().body_mut() {
                Body::Unread => self.0.wanted.notify_one(),
                Body::Failed(error) => return Err(error.clone()),
                Body::Streamed => return Err(Error::gate("the body was passed on as it came")),
                Body::Empty | Body::Whole(_) | Body::Json(_) => return Ok(()),
            }
            filled.await;
        }
    }

    /// Puts the body that was read in its place and wakes whoever waits for it.
    pub fn fill(&self, body: Body) {
        *self.lock().body_mut() = body;
        self.0.filled.notify_waiters();
    }
}

// === impl Owned ===

impl<M: Default> Owned<M> {
    /// Puts a message where policies can reach it for as long as this lives.
    pub fn new(message: M) -> Self {
        Self(Shared::new(message))
    }
}

impl<M: Default> std::ops::Deref for Owned<M> {
    type Target = Shared<M>;

    fn deref(&self) -> &Shared<M> {
        &self.0
    }
}

impl<M: Default> Drop for Owned<M> {
    fn drop(&mut self) {
        drop(std::mem::take(&mut *self.0.lock()));
    }
}

impl HasBody for Request {
    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }
}

impl HasBody for Response {
    fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }
}
