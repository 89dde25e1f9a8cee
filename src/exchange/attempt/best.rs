//! Keeps the best refusal for the client while other endpoints are tried.

use super::held::Held;
use super::{Committed, REFUSAL_BYTES, REFUSAL_TIME};
use crate::exchange::heads::{self, Framing};
use crate::exchange::source::Source;
use crate::exchange::wire::Connection;
use crate::message::ResponseHead;

/// Reads a refusal's body, within limits, so that its connection is free while others are tried.
pub(super) async fn keep<N: Connection>(mut response: Committed<N>) -> Committed<N> {
    let read = tokio::time::timeout(REFUSAL_TIME, response.source.read_all(REFUSAL_BYTES, None)).await;
    let clean = matches!(read, Ok(Ok(_)));
    response.source.release(clean).await;
    match &read {
        Ok(Ok(_)) => response.held.served(None),
        Ok(Err(error)) => response.held.failed(error),
        Err(_) => {}
    }
    // Nothing more comes of it: others may have its place, and try an endpoint that has to prove itself.
    response.held = Held::default();
    let body = read.ok().and_then(Result::ok);
    if body.is_none() {
        lose_body(&mut response.head);
    }
    response.source = Source::Whole(Some(body.unwrap_or_default()));
    response
}

/// Makes a head one of an answer without a body, since that was too long, or too long in coming.
fn lose_body(head: &mut ResponseHead) {
    heads::frame_response(head, Framing::Length(0));
    for name in ["content-encoding", "content-type", "trailer"] {
        head.remove_header(name);
    }
}

/// The answer worth more to the client when all attempts are used up: a refusal that says something about the
/// request before one about the upstream's state, the newer before the older.
pub(super) fn better<N: Connection>(old: Option<Committed<N>>, new: Committed<N>) -> Committed<N> {
    let worth = |response: &Committed<N>| match response.head.status.as_u16() {
        408 => 1,
        429 => 2,
        400..=499 => 3,
        _ => 0,
    };
    match old {
        Some(old) if worth(&old) > worth(&new) => old,
        _ => new,
    }
}
