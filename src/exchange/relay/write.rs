//! What the client is sent, and those who listen on the way: the meter of tokens, and who notes where it was made.

use bytes::Bytes;

use crate::dialect::meter::Meter;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection};
use crate::message::ResponseHead;
use crate::stream::Wire;

/// Sends a piece of the body; those who listen hear it first.
pub(super) async fn write<C: Client>(client: &mut C, x: &mut Exchange, piece: Bytes) -> Result<(), Error> {
    if !client.has_left() {
        x.sent.bytes += piece.len() as u64;
    }
    if let Some(meter) = &mut x.meter {
        meter.read(&piece);
    }
    if let Some(scribe) = x.bond.scribe.as_mut()
        && scribe.hear(&piece)
    {
        Box::pin(scribe.note()).await;
    }
    client.send_body(piece).await
}

/// Writes a piece. While the client is slow, the source is read on for those who joined and are not.
pub(super) async fn write_on<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    source: &mut Source<N>,
    piece: Bytes,
) -> Result<(), Error> {
    if !source.is_shared() {
        return write(client, x, piece).await;
    }
    tokio::select! {
        biased;
        written = write(client, x, piece) => written,
        () = source.read_ahead() => Ok(()),
    }
}

/// What is to be known before the client hears that the answer is over.
pub(super) async fn ended(x: &mut Exchange) {
    if let Some(mut scribe) = x.bond.scribe.take()
        && scribe.end()
    {
        Box::pin(scribe.note()).await;
    }
}

/// Counts the tokens of an answer that was not translated, whether it is compressed or not.
pub(super) fn meter(x: &Exchange, head: &ResponseHead, wire: Option<Wire>) -> Option<Meter> {
    let dialect = x.dialect.filter(|_| x.translated.is_none() && head.status.is_success())?;
    let said = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let coding = said("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"));
    let wire = wire.or_else(|| Wire::of(said("content-type")?));
    Meter::new(dialect, wire, coding)
}
