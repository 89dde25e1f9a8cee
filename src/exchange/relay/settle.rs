//! The end of a response: the connection goes back, what may be kept is kept, and why it ended is noted.

use super::events::NO_END;
use super::{Source, attempt, fail, heads, storing, told};
use crate::cache::Refusal;
use crate::dialect::failure::Failure;
use crate::error::{Error, Kind};
use crate::exchange::attempt::held::Held;
use crate::exchange::http_cache;
use crate::exchange::wire::{Client, Connection, Dial};
use crate::exchange::{CacheVerdict, End, Exchange, Reason};
use crate::gate::Gate;

/// Gives the connection back, stores what may be stored, and says how the exchange ended.
pub(super) async fn settle<C: Client, D: Dial, N: Connection>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    source: &mut Source<N>,
    result: Result<(), Error>,
    bodied: bool,
) -> Result<End, Error> {
    if let Some(interpreter) = source.take_interpreter().filter(|interpreter| !interpreter.is_verbatim()) {
        x.translated = Some(attempt::heard(x, *interpreter));
    }
    let mut failure = x.translated.as_ref().and_then(|translated| translated.told.failure.as_ref()).map(failed);
    if let Some(mut meter) = x.meter.take() {
        meter.end();
        // What a policy or the cache answers is no upstream's failure.
        let live = !x.attempts.is_empty() || x.cache.verdict == CacheVerdict::Joined;
        failure = failure.or_else(|| meter.failure().filter(|_| live).map(failed));
        let asked = heads::content_length(&x.request.lock().head.headers);
        x.used = meter.usage(asked);
    }
    failure = failure.or_else(|| x.sent.error.take());
    told::note(x, source);
    let cut = |error: &Error| if error.code() == NO_END { Refusal::NoEnd } else { Refusal::Error };
    storing::settle(gate, x, failure.as_ref().filter(|_| result.is_ok()).map(cut));
    let clean = result.is_ok() && (source.done() || !bodied);
    if let Some(kept) = source.take_kept() {
        http_cache::settle(gate, x, *kept, clean);
    }
    source.release(clean).await;
    judge(x, &result, failure.as_ref());
    x.held = Held::default();
    match result {
        Ok(()) if failure.is_some() => {
            x.sent.reason = failure.as_ref().map(fail::reason);
            x.sent.error = failure;
            Ok(End::Answered)
        }
        Ok(()) => {
            x.sent.reason = Some(Reason::Done);
            Ok(End::Answered)
        }
        Err(error) => {
            x.sent.reason = Some(fail::reason(&error));
            x.sent.error = Some(error);
            client.break_off().await;
            Ok(End::Broken)
        }
    }
}

/// Tells the endpoint's judge how its answer ended.
fn judge(x: &mut Exchange, result: &Result<(), Error>, failure: Option<&Error>) {
    let tokens = x.usage().map(|usage| usage.output);
    match (result, failure) {
        (Err(error), _) | (Ok(()), Some(error)) => x.held.failed(error),
        (Ok(()), None) => x.held.served(tokens),
    }
}

/// What is due when all of an answer may be there, before the client has it: it may ask again at once, and finds it kept
/// and the endpoint free.
pub(super) fn heard<D: Dial, N: Connection>(gate: &Gate<D>, x: &mut Exchange, source: &mut Source<N>) {
    http_cache::finish(gate, x, source);
    if x.held.place.is_some() && source.done() {
        x.held.place = None;
    }
}

/// The error of a stream that told of a failure and then ended well.
fn failed(failure: &Failure) -> Error {
    let kind = failure.kind.as_str();
    let message = format!("the upstream failed within its stream ({kind})");
    Error::upstream(Kind::StreamError, message).with_code(kind).with_detail(failure.message.clone())
}

/// Keeps the sealed thoughts of an answer whose client cannot carry them, before it hears the end: its next turn may come
/// at once.
pub(super) fn remember<D: Dial>(gate: &Gate<D>, x: &mut Exchange) {
    if let (Some(translated), Some(client)) = (&mut x.translated, x.dialect) {
        gate.keep.put(&translated.holder, client, std::mem::take(&mut translated.told.answer));
    }
}
