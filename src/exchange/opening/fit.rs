//! An answer that came when its client's stream was open already: it must be a stream too, or a failure told in it.

use bytes::Bytes;
use http::StatusCode;

use super::meanwhile;
use crate::dialect::habits::Habits;
use crate::dialect::interpreter::Interpreter;
use crate::dialect::{self, Dialect};
use crate::error::{Error, Fault, Kind};
use crate::exchange::Exchange;
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection};
use crate::message::ResponseHead;
use crate::stream::Wire;

/// Whether an answer can go on in a stream that was opened before it came.
pub(in crate::exchange) fn fits(head: &ResponseHead, bodied: bool) -> bool {
    let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    let plain = !head.headers.contains_key("content-encoding");
    bodied && plain && head.status == StatusCode::OK && kind.and_then(Wire::of) == Some(Wire::Sse)
}

/// Makes an answer fit: one that is whole is said event by event. A refusal becomes an error, to be told as an event, and
/// so does a stream of which a policy made one.
pub(in crate::exchange) async fn fit<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    head: &mut ResponseHead,
    source: &mut Source<N>,
    whole: Option<Bytes>,
    wire: Option<Wire>,
) -> Result<Bytes, Error> {
    if wire.is_some() {
        let message = "the answer was refused";
        return Err(Error::new(Fault::Gate, Kind::Rejected, head.status.as_u16(), message));
    }
    let body = if let Some(body) = whole {
        body
    } else {
        let cap = x.generation.settings.limits.response_body;
        let mut share = x.intake.share.apart();
        let read = meanwhile(client, x, source.read_all(cap, Some(&mut share))).await;
        x.intake.share.join(share);
        read??
    };
    if let Some(said) = x.dialect.filter(|_| head.status == StatusCode::OK).and_then(|it| streamed(x, it, &body)) {
        head.insert_header("Content-Type", "text/event-stream")
            .map_err(|error| Error::gate("the head of a stream cannot be sent").with_detail(error.to_string()))?;
        return Ok(said);
    }
    let failure = dialect::error::read(x.dialect.unwrap_or(Dialect::OpenAiChat), head.status.as_u16(), &body);
    let kind = failure.kind.as_str();
    let error = Error::new(Fault::Upstream, Kind::StreamError, failure.status, failure.message);
    Err(error.with_code(failure.code.as_deref().unwrap_or(kind)))
}

/// A whole answer as the stream that the client asked for.
fn streamed(x: &Exchange, dialect: Dialect, body: &[u8]) -> Option<Bytes> {
    let request = x.request.lock().body.bytes()?;
    let chat = Interpreter::read(dialect, &x.target, &request).ok()?.without_turns();
    let made = Interpreter::new(dialect, dialect, &x.target, Habits::OPENAI, chat, &x.id, 0);
    made?.whole(body, None).ok()
}
