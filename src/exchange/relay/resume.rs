//! A stream that stops behind the commit point: it may go on at another upstream, and the client hears one answer.

use bytes::Bytes;

use super::stream_wire;
use crate::cache::Refusal;
use crate::dialect::interpreter::Interpreter;
use crate::dialect::transcript::Transcript;
use crate::error::{Error, Fault, Kind};
use crate::exchange::attempt::going_on;
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection, Dial};
use crate::exchange::{Exchange, opening};
use crate::gate::Gate;
use crate::message::ResponseHead;
use crate::tape::connection::TapedConnection;

/// How a stream ends that does not go on: the client's last words for it, if they are not those of every stream, and why.
pub(super) type Ending = (Bytes, Error);

/// Keeps what is said in a stream that may go on elsewhere.
pub(super) fn watch<N: Connection>(x: &Exchange, head: &ResponseHead, source: &mut Source<N>) {
    if x.going_on.is_none() || source.uploading() || !x.request_replayable() {
        return;
    }
    let Some(place) = source.interpreter() else { return };
    if let Some(interpreter) = place {
        interpreter.keep_transcript();
    } else if let (Some(wire), Some(mut beside)) = (stream_wire(head), going_on::beside(x)) {
        beside.keep_transcript();
        beside.begin(wire, None);
        *place = Some(Box::new(beside));
    }
}

/// Counts what is kept of a stream as held in memory. When that is too much, the stream ends where its upstream does.
pub(super) fn weigh<N: Connection>(x: &mut Exchange, source: &mut Source<N>) {
    let Some(going_on) = x.going_on.as_mut() else { return };
    let Some(Some(interpreter)) = source.interpreter() else { return };
    let Some(size) = interpreter.transcript().map(Transcript::size) else { return };
    if x.intake.share.grow(going_on.grown(size)).is_err() {
        interpreter.drop_transcript();
    }
}

/// Has another attempt go on with a stream that stopped. Where that is not `within` an event, the client hears signs of
/// life until then.
pub(super) async fn go_on<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    source: &mut Source<TapedConnection<D::Connection>>,
    error: Error,
    within: bool,
) -> Result<(), Ending> {
    if x.going_on.is_none() || error.fault() != Fault::Upstream || error.kind() == Kind::ClientGone {
        return Err((Bytes::new(), error));
    }
    let kept = source.take_interpreter();
    let Some(interpreter) = kept.filter(|interpreter| interpreter.transcript().is_some()) else {
        return Err((Bytes::new(), error));
    };
    if let Some(last) = x.attempts.last_mut() {
        last.error = Some(error.clone());
    }
    if let Some(fill) = &x.cache.fill {
        // No one upstream said all of it: it is stored for nobody, and who joined hears that it broke off.
        fill.spoil(Refusal::Error);
        fill.end(Err(error.clone()));
    }
    if let Err(mut interpreter) = going_on::stopped(x, interpreter) {
        interpreter.drop_transcript();
        let last = interpreter.fail((&error).into());
        put_back(source, interpreter, &last);
        return Err((last, error));
    }
    source.release(false).await;
    std::mem::take(&mut x.held).failed(&error);
    if !within {
        opening::stop(x);
    }
    let went_on = going_on::go_on(gate, client, x).await;
    if let Err(gone) = opening::go_on(client, x).await {
        return Err((Bytes::new(), gone));
    }
    match went_on {
        Ok(mut response) if !x.awaits_an_answer() => {
            std::mem::swap(source, &mut response.source);
            x.held = response.held;
            Ok(())
        }
        other => {
            if let Ok(mut response) = other {
                response.source.release(false).await;
            } else if let Err(gone) = other
                && gone.kind() == Kind::ClientGone
            {
                return Err((Bytes::new(), gone));
            }
            let last = going_on::give_up(x, &error);
            if !last.is_empty() {
                source.tell();
            }
            Err((last, error))
        }
    }
}

/// Leaves an interpreter that said its last words where the end of the response looks for it.
fn put_back<N: Connection>(source: &mut Source<N>, interpreter: Box<Interpreter>, last: &Bytes) {
    if let Some(place) = source.interpreter() {
        *place = Some(interpreter);
    }
    if !last.is_empty() {
        source.tell();
    }
}
