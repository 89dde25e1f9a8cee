//! The engine's session as an exchange sees it: the client's side of the wire.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use pingora_core::ErrorType;
use pingora_core::protocols::http::ServerSession;
use pingora_proxy::Session;

use super::head_edit::HeadEdit;
use super::stream::ClientStream;
use crate::error::{Error, Kind};
use crate::exchange::wire::Client;
use crate::message::ResponseHead;

/// The client's side of one exchange on the engine.
pub struct WireClient<'a> {
    session: &'a mut Session,
    /// The version of the request.
    version: Version,
    /// How long the client may send or take nothing.
    idle: Duration,
}

/// How long a client may send or take nothing unless the settings say.
const USUAL_IDLE: Duration = Duration::from_mins(1);

// === impl WireClient ===

impl<'a> WireClient<'a> {
    /// The client of a session whose request head was read.
    pub fn new(session: &'a mut Session) -> Self {
        let version = session.req_header().version;
        let idle = session.downstream_session.get_write_timeout().unwrap_or(USUAL_IDLE);
        Self { session, version, idle }
    }

    /// Tells the connection what the engine's own lines in the head should say.
    fn edit_head(&self, head: &ResponseHead) {
        if let Some(stream) = stream_of(&self.session.downstream_session) {
            stream.edit_head(HeadEdit::of(head, self.version == Version::HTTP_11));
        }
    }
}

impl Client for WireClient<'_> {
    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        // HTTP/2 knows no time-out of its own for this.
        let reading = self.session.downstream_session.read_request_body();
        match tokio::time::timeout(self.idle, reading).await {
            Ok(read) => read.map_err(|error| translate(&error)),
            Err(_) => Err(Error::client(Kind::Timeout, 408, "the request body did not come in time")),
        }
    }

    fn body_done(&mut self) -> bool {
        self.session.downstream_session.is_body_done()
    }

    async fn gone(&mut self) {
        while self.session.downstream_session.read_body_or_idle(true).await.is_ok() {}
    }

    async fn send_continue(&mut self) -> Result<(), Error> {
        let kept = self.session.downstream_session.get_keepalive();
        let sent = self.session.downstream_session.write_continue_response().await;
        // The engine takes the unread body for a reason to close after this response.
        self.session.downstream_session.set_keepalive(kept);
        sent.map_err(|error| translate(&error))
    }

    async fn send_head(&mut self, mut head: ResponseHead, end: bool) -> Result<(), Error> {
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            let sent = self.session.downstream_session.write_response_header(Box::new(head)).await;
            return sent.map_err(|error| translate(&error));
        }
        if self.version == Version::HTTP_10 {
            head.remove_header("transfer-encoding");
        }
        if head.headers.get("connection").is_some_and(|value| value == "close") {
            self.session.downstream_session.set_keepalive(None);
        }
        self.edit_head(&head);
        let wire = &mut self.session.downstream_session;
        taken(self.idle, wire.write_response_header(Box::new(head))).await?;
        if end {
            taken(self.idle, wire.finish_body()).await?;
        }
        Ok(())
    }

    async fn send_body(&mut self, piece: Bytes) -> Result<(), Error> {
        let sent = self.session.downstream_session.write_response_body(piece, false).await;
        sent.map_err(|error| translate(&error))
    }

    async fn end_body(&mut self, trailers: Option<HeaderMap>) -> Result<(), Error> {
        if let Some(trailers) = trailers
            && self.session.downstream_session.is_http2()
        {
            return taken(self.idle, self.session.downstream_session.write_response_trailers(trailers)).await;
        }
        taken(self.idle, self.session.downstream_session.finish_body()).await
    }

    async fn break_off(&mut self) {
        self.session.downstream_session.set_keepalive(None);
    }
}

/// Waits until the client has taken what is written. One that takes nothing for too long counts as gone.
async fn taken(idle: Duration, writing: impl Future<Output = pingora_core::Result<()>>) -> Result<(), Error> {
    match tokio::time::timeout(idle, writing).await {
        Ok(written) => written.map_err(|error| translate(&error)),
        Err(_) => Err(Error::client(Kind::ClientGone, 499, "the client takes nothing")),
    }
}

/// Our own stream under an HTTP/1 session.
pub(super) fn stream_of(session: &ServerSession) -> Option<&ClientStream> {
    (**session.stream()?).as_any().downcast_ref()
}

/// The engine's word for what happened to the client, in ours.
fn translate(error: &pingora_core::Error) -> Error {
    let detail = error.to_string();
    match error.etype() {
        ErrorType::ReadTimedout => Error::client(Kind::Timeout, 408, "the request body did not come in time"),
        _ if detail.contains("invalid request body") => {
            Error::client(Kind::BadRequest, 400, "the request body breaks its framing")
        }
        _ => Error::client(Kind::ClientGone, 499, "the client left"),
    }
    .with_detail(detail)
}
