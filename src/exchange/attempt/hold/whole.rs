//! An answer that does not stream, while it is held: cut, an error under a good status, or not JSON at all.

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::{Holding, failed, garbage, is_json, keep, piece, readable, silent};
use crate::error::Error;
use crate::exchange::attempt::Committed;
use crate::exchange::attempt::patience::Patience;
use crate::exchange::heads;
use crate::exchange::source::Source;
use crate::exchange::wire::Connection;
use crate::stream::{self, Event, Wire};

// === impl Holding: whole answers ===

impl Holding {
    /// Reads an answer in JSON to its end, within the bounds; a page in its place is none.
    pub(super) async fn whole<N: Connection>(
        &mut self,
        response: &mut Committed<N>,
        patience: &Patience,
    ) -> Result<(), Error> {
        let kind = response.head.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let page = kind.trim_start().get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html"));
        if page && self.strict() {
            return Err(garbage(kind.as_bytes()));
        }
        let length = heads::content_length(&response.head.headers);
        if !is_json(kind) || length.is_some_and(|length| length > self.rule.bytes as u64) {
            return Ok(());
        }
        let bound = Instant::now() + self.rule.time;
        let mut bytes = 0;
        while bytes < self.rule.bytes {
            let until = bound.min(patience.piece());
            let piece = match tokio::time::timeout_at(until, piece(response)).await {
                Ok(piece) => piece?,
                Err(_) if bound <= until => return Ok(()),
                Err(_) => return Err(silent(true)),
            };
            let Some(piece) = piece else { return self.read(response) };
            bytes += piece.len();
            let full = self.share.grow(piece.len()).is_err();
            keep(response, piece);
            if full {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Looks at an answer that is all there.
    fn read<N: Connection>(&self, response: &mut Committed<N>) -> Result<(), Error> {
        let body = all(response);
        if self.strict() && (body.trim_ascii().is_empty() || !readable(&body)) {
            return Err(garbage(&body));
        }
        if stream::look(&Event::new(Wire::Ndjson, None, body.clone())).error {
            let message = "the upstream answered with an error and a status of success";
            response.early_error = Some(failed(message, &body));
        }
        Ok(())
    }
}

/// All that was read, as one piece.
fn all<N: Connection>(response: &mut Committed<N>) -> Bytes {
    let Source::Live { pending, .. } = &mut response.source else { return Bytes::new() };
    if pending.len() > 1 {
        let mut all = BytesMut::with_capacity(pending.iter().map(Bytes::len).sum());
        pending.drain(..).for_each(|piece| all.extend_from_slice(&piece));
        pending.push_back(all.freeze());
    }
    pending.front().cloned().unwrap_or_default()
}
