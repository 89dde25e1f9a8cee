//! An answer's way into the cache: recorded as its upstream says it, heard by all who asked the same meanwhile, stored
//! when it came to its end and nothing is wrong with it.

use std::sync::Arc;

use super::attempt::Committed;
use super::decision::Scope;
use super::linger::Wanted;
use super::wire::{Connection, Dial};
use super::{CacheVerdict, Exchange, relay};
use crate::cache::{Fill, Followers, Listener, Outcome, Provenance, Recorder, Recording, Refusal, Tokens};
use crate::clock::Clock;
use crate::dialect::interpreter::Interpreter;
use crate::dialect::{Dialect, way};
use crate::error::{Error, Fault};
use crate::gate::Gate;
use crate::stream::Wire;
use crate::tape::Tape;

/// What recording an answer takes.
#[derive(Clone, Debug)]
pub struct Means {
    /// Times its pieces.
    pub clock: Clock,
    /// The largest body in bytes.
    pub limit: usize,
    /// Those who joined.
    pub followers: Arc<Followers>,
}

/// What an upstream's answer is before it is put into the client's dialect.
pub(super) enum Spoken<'a> {
    /// In the client's own dialect.
    Untouched,
    /// A chat in another.
    Chat(&'a Interpreter),
    /// Something else that is translated as a whole: it is kept as the client hears it.
    Other,
}

/// Begins to record an answer, which is still in its upstream's words.
pub(super) fn begin<N: Connection>(x: &Exchange, spoken: &Spoken<'_>, response: &mut Committed<N>) {
    let (Some(means), Some(rule)) = (&x.cache.store, &x.cache.rule) else { return };
    let dialect = match spoken {
        Spoken::Untouched => x.dialect,
        Spoken::Chat(interpreter) => Some(interpreter.upstream()),
        Spoken::Other => return,
    };
    let wire = relay::stream_wire(&response.head).or_else(|| {
        // No media type tells a JSON array of events from a whole answer.
        let array = matches!(spoken, Spoken::Untouched) && x.cache.wire == Some(Wire::JsonArray);
        (array && response.head.status == 200).then_some(Wire::JsonArray)
    });
    let provenance = dialect.filter(|dialect| way::is_chat(*dialect)).and_then(|dialect| {
        let created = if let Spoken::Chat(interpreter) = spoken { interpreter.created() } else { 0 };
        let first = Listener { dialect: x.dialect?, wire: x.cache.wire, id: x.id.clone(), created };
        Some(Provenance { dialect, wire, upstream: response.upstream.name.clone(), model: None, first, tokens: None })
    });
    let dialect = dialect.map(Dialect::as_str);
    let recording =
        Recording { wire, dialect, ttl: rule.ttl, grace: rule.stale.longest(), tags: rule.tags.clone(), provenance };
    let fill = record(x, means, recording, response);
    response.source.record(&fill);
    response.fill = Some(fill);
}

/// Records an answer that is whole and as the client hears it.
fn record_whole<N: Connection>(x: &Exchange, response: &mut Committed<N>) {
    let (Some(means), Some(rule), Some(body)) = (&x.cache.store, &x.cache.rule, response.source.whole()) else {
        return;
    };
    let dialect = x.dialect.map(Dialect::as_str);
    let (grace, tags) = (rule.stale.longest(), rule.tags.clone());
    let recording = Recording { dialect, ttl: rule.ttl, grace, tags, ..Recording::default() };
    let fill = record(x, means, recording, response);
    fill.push(body);
    fill.end(Ok(()));
    response.fill = Some(fill);
}

fn record<N: Connection>(x: &Exchange, means: &Means, recording: Recording, response: &Committed<N>) -> Arc<Fill> {
    let head = &response.head;
    let headers: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let status = head.status.as_u16();
    let recorder = Recorder::new(means.clock, recording, means.limit, status, headers.iter().copied());
    Arc::new(Fill::new(recorder.counted(x.intake.share.apart()), Arc::clone(&means.followers)))
}

/// An answer was chosen: whoever joined hears it from here on.
pub(super) fn commit<N: Connection>(x: &mut Exchange, response: &mut Committed<N>) {
    if response.fill.is_none() {
        record_whole(x, response);
    }
    let Some(fill) = response.fill.take() else {
        end(x, Outcome::Apart);
        return;
    };
    if response.head.status.as_u16() != fill.head().status {
        // What its status called a success was a failure.
        fill.spoil(Refusal::Error);
    }
    let asked_first = x.plan.as_ref().and_then(|plan| plan.attempts.first());
    if asked_first.is_none_or(|first| first.upstream != response.upstream.name || first.model != response.model) {
        fill.withhold(Refusal::Fallback);
    }
    let shared = x.cache.rule.as_ref().is_some_and(|rule| rule.scope == Scope::Shared);
    if shared && matches!(fill.head().status, 401 | 402 | 403 | 407 | 429) {
        end(x, Outcome::Apart);
    } else if let Some(lead) = &x.cache.lead {
        lead.go(&fill);
    }
    x.cache.fill = Some(fill);
}

/// No answer came. An upstream that failed has failed for all who joined: the whole plan was worked through. Whatever
/// else went wrong is the matter of this exchange alone.
pub(super) fn failed(x: &mut Exchange, error: &Error) {
    let outcome = match error.fault() {
        Fault::Upstream => Outcome::Failed(error.clone()),
        _ => Outcome::Left(error.clone()),
    };
    end(x, outcome);
}

fn end(x: &mut Exchange, outcome: Outcome) {
    if let Some(lead) = x.cache.lead.take() {
        lead.end(outcome);
    }
}

/// Stores an answer that came to its end, if it may be stored: nothing went `wrong` within it.
pub(super) fn settle<D: Dial>(gate: &Gate<D>, x: &mut Exchange, wrong: Option<Refusal>) {
    // Dropped at the end, when whoever asks next finds the answer stored.
    let _lead = x.cache.lead.take();
    let (Some(fill), Some(key)) = (x.cache.fill.take(), x.cache.key.clone()) else { return };
    if let Some(refusal) = wrong {
        fill.spoil(refusal);
    }
    fill.end(Err(Error::gate("the answer was not read to its end")));
    let model = x.attempts.last().and_then(|attempt| attempt.model.clone());
    let tokens = x.usage().map(Tokens::from);
    let kept = gate.cache.keep(fill.finish(model, tokens), key, x.begun(&gate.clock));
    x.cache.verdict = match as_told(&x.tape, kept) {
        Ok(()) => CacheVerdict::Stored,
        Err(refusal) => CacheVerdict::Miss(refusal.as_str()),
    };
}

/// What became of an answer that was recorded. What was purged meanwhile, and how much the gate held, only the tape tells
/// who plays it again.
fn as_told(tape: &Tape, kept: Result<(), Refusal>) -> Result<(), Refusal> {
    if let Err(refusal @ (Refusal::Purged | Refusal::NoRoom)) = kept {
        tape.note(|| "unkept".to_owned(), &refusal.as_str());
    }
    let told = tape.told::<String>(|| "unkept".to_owned());
    let told = told.and_then(|word| Refusal::ALL.into_iter().find(|refusal| refusal.as_str() == word));
    told.map_or(kept, Err)
}

/// Who wants the answer besides the client.
pub(super) fn wanted(x: &Exchange) -> Option<Wanted> {
    let followers = &x.cache.store.as_ref()?.followers;
    let outlive = x.cache.rule.as_ref().is_some_and(|rule| rule.sharing.outlive);
    (outlive || x.cache.lead.is_some()).then(|| Wanted { followers: Arc::clone(followers), outlive })
}
