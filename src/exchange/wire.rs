//! What an exchange needs of its two wires, so that live sockets and scripted cases go through the same code.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::error::Error;
use crate::message::{RequestHead, ResponseHead};
use crate::upstream::{Endpoint, Upstream};

/// The client's side of an exchange.
pub trait Client: Send {
    /// The next piece of the request body; `None` at its end.
    fn read_body(&mut self) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Whether the request body was read to its end.
    fn body_done(&mut self) -> bool;

    /// Ends when the client has left. To be awaited only when the body was read to its end; safe to drop.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether the client is known to have left, though its exchange goes on: nothing that is sent reaches it.
    fn has_left(&self) -> bool {
        false
    }

    /// Tells a client that sent `Expect: 100-continue` to go on. Does nothing after a response head.
    fn send_continue(&mut self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends a response head, interim or final. `end` says that no body follows.
    fn send_head(&mut self, head: ResponseHead, end: bool) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends a piece of the body; waits while the client is slow.
    fn send_body(&mut self, piece: Bytes) -> impl Future<Output = Result<(), Error>> + Send;

    /// Ends the body, with trailers where the client's protocol has them.
    fn end_body(&mut self, trailers: Option<HeaderMap>) -> impl Future<Output = Result<(), Error>> + Send;

    /// Ends a response that cannot be completed so that the client notices: no last chunk, a reset stream.
    fn break_off(&mut self) -> impl Future<Output = ()> + Send;
}

/// Opens connections to endpoints.
pub trait Dial: Send + Sync + 'static {
    /// An open connection, for one exchange at a time.
    type Connection: Connection;

    /// A connection to `endpoint`, from the pool unless `fresh` is asked for.
    fn connect(
        &self,
        upstream: &Arc<Upstream>,
        endpoint: &Arc<Endpoint>,
        fresh: bool,
    ) -> impl Future<Output = Result<Self::Connection, Error>> + Send;
}

/// The upstream's side of an attempt.
pub trait Connection: Send {
    /// Whether the connection was used before, so that it may have been closed while idle.
    fn reused(&self) -> bool;

    /// Says that the body is at hand and follows the head at once, so that both may travel together.
    fn body_follows(&mut self) {}

    /// Sends the request head; `more` says that a body follows.
    fn send_head(&mut self, head: RequestHead, more: bool) -> impl Future<Output = Result<(), Error>> + Send;

    /// Sends a piece of the request body; `end` with the last one.
    fn send_body(&mut self, piece: Bytes, end: bool) -> impl Future<Output = Result<(), Error>> + Send;

    /// The next response head: interim ones first. Safe to drop before it is ready.
    fn read_head(&mut self) -> impl Future<Output = Result<ResponseHead, Error>> + Send;

    /// The next piece of the response body; `None` at its clean end. Safe to drop before it is ready.
    fn read_body(&mut self) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;

    /// Whether the connection ended before any byte of a response: it had been closed while it was idle.
    fn untouched(&self) -> bool {
        false
    }

    /// Whether the response was read to its end, so that reading on would take another exchange's bytes.
    fn response_done(&mut self) -> bool;

    /// The trailers after a body, if the protocol and the upstream have them.
    fn read_trailers(&mut self) -> impl Future<Output = Result<Option<HeaderMap>, Error>> + Send;

    /// Gives the connection back: to the pool when `clean`, closed otherwise.
    fn release(self, clean: bool) -> impl Future<Output = ()> + Send;
}
