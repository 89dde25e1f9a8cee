//! Keeps the best refusal for the client while other endpoints are tried.

use bytes::Bytes;

use super::{Committed, REFUSAL_BYTES, REFUSAL_TIME};
use crate::exchange::source::Source;
use crate::exchange::wire::Connection;

/// Reads a refusal's body, within limits, so that its connection is free while others are tried.
pub(super) async fn keep<N: Connection>(mut response: Committed<N>) -> Committed<N> {
    let read = tokio::time::timeout(REFUSAL_TIME, response.source.read_all(REFUSAL_BYTES, None)).await;
    let clean = matches!(read, Ok(Ok(_)));
    response.source.release(clean).await;
    response.held.place = None;
    let body = match read {
        Ok(Ok(body)) => body,
        _ => Bytes::new(),
    };
    response.source = Source::Whole(Some(body));
    response
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
