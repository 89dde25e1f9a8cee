//! Holds a stream until its first meaningful event is known, so that one which fails at once can still fail over.

use tokio::time::Instant;

use super::{Committed, receive};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection};
use crate::stream::{Meaning, Splitter, Wire, meaning};

/// How many bytes of preamble are held back at most. A stream that says nothing for so long is let through.
const MOST_HELD: usize = 64 * 1024;

/// Reads a successful stream up to its first meaningful event. An error event in that place is noted in the
/// response: the attempt failed, but should no other be made, the stream is passed on as it came.
pub async fn meaningful<C: Client, N: Connection>(
    client: &mut C,
    x: &Exchange,
    response: &mut Committed<N>,
    until: Instant,
) -> Result<(), Error> {
    let Some(wire) = stream_wire(response) else {
        return Ok(());
    };
    let mut splitter = Splitter::new(wire, x.generation.settings.limits.event);
    let mut held = 0;
    while held < MOST_HELD {
        let Some(piece) = read(client, response, until).await? else {
            return Ok(());
        };
        held += piece.len();
        splitter.push(piece.clone());
        if let Source::Live { pending, .. } = &mut response.source {
            pending.push_back(piece);
        }
        while let Ok(Some(event)) = splitter.next() {
            match meaning(&event) {
                Meaning::Nothing => {}
                Meaning::Error => {
                    response.early_error = Some(failed(event.data()));
                    return Ok(());
                }
                Meaning::Content | Meaning::Terminal => return Ok(()),
            }
        }
    }
    Ok(())
}

/// The wire form of a response that is held: a 200 whose body is a stream and is not compressed.
fn stream_wire<N: Connection>(response: &Committed<N>) -> Option<Wire> {
    if response.head.status != 200 || response.head.headers.contains_key("content-encoding") {
        return None;
    }
    Wire::of(response.head.headers.get("content-type")?.to_str().ok()?)
}

/// The next piece straight from the connection.
async fn read<C: Client, N: Connection>(
    client: &mut C,
    response: &mut Committed<N>,
    until: Instant,
) -> Result<Option<bytes::Bytes>, Error> {
    let Source::Live { connection: Some(connection), .. } = &mut response.source else {
        return Ok(None);
    };
    if connection.response_done() {
        return Ok(None);
    }
    let watch = client.body_done();
    tokio::select! {
        biased;
        piece = connection.read_body() => piece,
        () = client.gone(), if watch => Err(receive::gone()),
        () = tokio::time::sleep_until(until) => Err(Error::upstream(Kind::Timeout, "the upstream's stream did not begin in time")), // paced: the attempt's own deadline
    }
}

/// An error event in place of a stream.
fn failed(data: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(data);
    let shown: String = shown.chars().take(300).collect();
    Error::upstream(Kind::StreamError, "the upstream's stream began with an error").with_detail(shown)
}
