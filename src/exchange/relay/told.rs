//! Sends an answer that was made for another exchange, stored or still coming, through the same hooks as a fresh one and
//! in this client's dialect and form.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::{End, Error, Source, send, stream_wire};
use crate::cache::{Entry, Following, Listener, Outcome, Provenance, Role};
use crate::dialect::Dialect;
use crate::dialect::habits::Habits;
use crate::dialect::interpreter::{Interpreter, Told};
use crate::error::{Fault, Kind};
use crate::exchange::attempt;
use crate::exchange::decide::Found;
use crate::exchange::heads::{self, Framing};
use crate::exchange::source::teller::Teller;
use crate::exchange::wire::{Client, Connection, Dial};
use crate::exchange::{CacheVerdict, Exchange, opening};
use crate::gate::Gate;
use crate::message::{HeadError, ResponseHead, ServedBy};
use crate::tape::{Overheard, Recalled};

/// How often a call that waited for another in vain waits for the next one that takes its place.
const ROUNDS: usize = 2;

/// Sends what was found. `None`: this exchange asks an upstream itself.
pub async fn tell<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    found: Found,
) -> Result<Option<End>, Error> {
    match found {
        Found::Recalled(Recalled::Stored(entry)) => stored(gate, client, x, entry).await,
        Found::Recalled(Recalled::Joined(overheard)) => {
            tokio::time::sleep(overheard.waited).await; // paced: as it was recorded
            x.cache.verdict = CacheVerdict::Joined;
            let teller = Teller::replayed(&overheard);
            // Only what was overheard is there, and only the head of it tells about the answer.
            let followers = overheard.followers;
            joined(gate, client, x, overheard.entry, teller, followers).await
        }
        Found::Recalled(Recalled::Refused(error)) => {
            x.cache.verdict = CacheVerdict::Joined;
            Err(error)
        }
        Found::Joins(following) => follow(gate, client, x, following).await,
    }
}

/// Sends a stored answer. One that cannot be told to this client is none.
async fn stored<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    entry: Arc<Entry>,
) -> Result<Option<End>, Error> {
    let age = x.tape.ask(|| "age".to_owned(), || entry.age(&gate.clock));
    let as_dialect = entry.provenance.as_ref().map(|provenance| format!("; stored-as={}", provenance.dialect.as_str()));
    let stale = x.cache.verdict == CacheVerdict::Stale;
    let word = if stale { "stale" } else { "hit" };
    x.cache.details = Some(format!("{word}; age={}{}", age.as_secs(), as_dialect.unwrap_or_default()));
    let mut head = head_of(&entry, Some(entry.size))?;
    let bad = |error: HeadError| Error::gate("a stored response cannot be sent").with_detail(error.to_string());
    head.insert_header("Age", age.as_secs()).map_err(bad)?;
    let pace = x.cache.rule.as_ref().map(|rule| rule.sharing.pace).unwrap_or_default();
    let source = Source::told_by(Teller::stored(Arc::clone(&entry), pace));
    if let Some((head, source)) = voiced(gate, client, x, &entry, head, source).await? {
        return send(gate, client, x, head, source, ServedBy::Cache { age, stale }).await.map(Some);
    }
    x.cache.verdict = CacheVerdict::Miss("not to be told to this client");
    x.cache.details = None;
    Ok(None)
}

/// Waits for the answer of the call that was joined, and sends it.
async fn follow<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    mut following: Following,
) -> Result<Option<End>, Error> {
    let begun = Instant::now();
    let mut failure = Error::gate("the call that this one joined was given up");
    for _ in 0..=ROUNDS {
        match opening::meanwhile(client, x, following.answer()).await? {
            Ok(fill) => {
                x.cache.verdict = CacheVerdict::Joined;
                let (entry, followers) = (fill.head(), following.count());
                let noted = x.tape.records().then(|| Overheard::new(Arc::clone(&entry), begun.elapsed(), followers));
                let teller = Teller::joined(following, fill, noted);
                let told = joined(gate, client, x, entry, teller, followers).await?;
                if told.is_none() {
                    lead(gate, x);
                }
                return Ok(told);
            }
            Err(Outcome::Failed(error)) => return Err(refused(x, error)),
            Err(Outcome::Apart) => {
                x.cache.verdict = CacheVerdict::Miss("not stored yet");
                return Ok(None);
            }
            Err(Outcome::Left(error)) => {
                failure = error;
                let Some(key) = &x.cache.key else { return Ok(None) };
                match gate.flights.enter(key) {
                    Role::Follows(next) => following = next,
                    role => {
                        x.cache.leads(role);
                        x.cache.verdict = CacheVerdict::Miss("not stored yet");
                        return Ok(None);
                    }
                }
            }
        }
    }
    if failure.kind() == Kind::ClientGone {
        failure = Error::new(Fault::Gate, Kind::Overloaded, 503, "the calls that this one joined were given up");
    }
    Err(refused(x, failure))
}

/// The failure of a call that was joined, for one who joined it.
fn refused(x: &mut Exchange, error: Error) -> Error {
    x.cache.verdict = CacheVerdict::Joined;
    // Who has an old answer in hand serves that: it is what the tape holds.
    if let (Some(key), None) = (&x.cache.key, &x.cache.spare) {
        x.tape.heard(|| key.question(), || Recalled::Refused(error.clone()));
    }
    error
}

/// Lets who asks from now on join this exchange, which asks an upstream itself. It joins nobody again: one call that
/// failed is enough to wait for.
fn lead<D: Dial>(gate: &Gate<D>, x: &mut Exchange) {
    if let Some(role @ Role::Leads(_)) = x.cache.key.as_ref().map(|key| gate.flights.enter(key)) {
        x.cache.leads(role);
    }
}

/// Sends an answer that another exchange is given. `None`: it failed, or is not to be told to this client, which has heard
/// nothing of it.
async fn joined<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    entry: Arc<Entry>,
    teller: Teller,
    followers: usize,
) -> Result<Option<End>, Error> {
    x.cache.details = Some(format!("join; followers={followers}"));
    let head = head_of(&entry, None)?;
    let source = Source::told_by(teller);
    let Some((head, source)) = voiced(gate, client, x, &entry, head, source).await? else {
        x.cache.verdict = CacheVerdict::Miss("the call that it joined failed");
        x.cache.details = None;
        return Ok(None);
    };
    send(gate, client, x, head, source, ServedBy::Cache { age: Duration::ZERO, stale: false }).await.map(Some)
}

/// Notes what was heard of a joined answer, for who plays the exchange again.
pub(super) fn note<N: Connection>(x: &Exchange, source: &mut Source<N>) {
    if let (Some(overheard), Some(key)) = (source.take_overheard(), &x.cache.key) {
        x.tape.heard(|| key.question(), || Recalled::Joined(overheard));
    }
}

/// How long a joined answer is, where all of it is there before its head is sent.
pub(super) fn length<N: Connection>(x: &Exchange, source: &Source<N>) -> Option<u64> {
    if x.cache.verdict != CacheVerdict::Joined {
        return None;
    }
    let key = || "joined length".to_owned();
    let length = source.joined_length().map(|length| length as u64);
    if let Some(length) = length {
        x.tape.note(key, &length);
    }
    length.or_else(|| x.tape.told(key))
}

/// The head of an answer as it was stored, with its length where that is known.
fn head_of(entry: &Entry, length: Option<usize>) -> Result<ResponseHead, Error> {
    let bad = |error: HeadError| Error::gate("a stored response cannot be sent").with_detail(error.to_string());
    let mut head = ResponseHead::build(entry.status, Some(entry.headers.len() + 2)).map_err(bad)?;
    for (name, value) in &entry.headers {
        head.append_header(name.clone(), value.as_ref()).map_err(bad)?;
    }
    if let Some(length) = length.filter(|_| stream_wire(&head).is_none()) {
        heads::frame_response(&mut head, Framing::Length(length as u64));
    }
    Ok(head)
}

/// The answer in the client's words and form: as it is where that is what it was stored in. `None`: it cannot be told.
async fn voiced<C: Client, D: Dial, N: Connection>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    entry: &Entry,
    mut head: ResponseHead,
    mut source: Source<N>,
) -> Result<Option<(ResponseHead, Source<N>)>, Error> {
    let (Some(dialect), Some(provenance)) = (x.dialect, &entry.provenance) else { return Ok(Some((head, source))) };
    if provenance.dialect == dialect && (provenance.wire == x.cache.wire || entry.status != 200) {
        return Ok(Some((head, source)));
    }
    let Some(mut interpreter) = interpreter(gate, x, dialect, provenance) else { return Ok(None) };
    if let (200, true, Some(wire)) = (entry.status, interpreter.streams(), provenance.wire) {
        attempt::reword(&mut head, interpreter.content_type(), None)?;
        interpreter.begin(wire, None);
        let told = Told { losses: interpreter.told.losses.clone(), ..Told::default() };
        x.translated = Some(attempt::translated(x, told));
        source.interpret(Box::new(interpreter));
        return Ok(Some((head, source)));
    }
    let body = gathered(client, x, &mut source).await;
    note(x, &mut source);
    let body = match body {
        Err(error) if x.cache.verdict == CacheVerdict::Joined && is_others(&error) => return Ok(None),
        body => body?,
    };
    let (status, content_type, body) = if entry.status == 200 {
        match interpreter.whole(&body, provenance.wire) {
            Ok(body) => (200, interpreter.content_type(), body),
            Err(_) => return Ok(None),
        }
    } else {
        let (status, body) = interpreter.refusal(entry.status, &body, &x.id);
        (status, "application/json", body)
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let _ = head.set_status(status);
    attempt::reword(&mut head, content_type, Some(body.len()))?;
    x.translated = Some(attempt::translated(x, interpreter.told));
    Ok(Some((head, Source::Whole(Some(body)))))
}

/// Whether an error is the matter of the call that was joined, so that asking alone may end well.
fn is_others(error: &Error) -> bool {
    !matches!(error.kind(), Kind::ClientGone | Kind::TooLarge)
}

/// Reads all of an answer, unless the client leaves.
async fn gathered<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    source: &mut Source<N>,
) -> Result<Bytes, Error> {
    let cap = x.generation.settings.limits.response_body;
    let mut share = x.intake.share.apart();
    let body = opening::meanwhile(client, x, source.read_all(cap, Some(&mut share))).await;
    x.intake.share.join(share);
    body?
}

/// What puts a stored answer into the client's words. To who asks as the first client did it tells the same, ids and
/// times included; to others it is told anew.
fn interpreter<D: Dial>(
    gate: &Gate<D>,
    x: &Exchange,
    dialect: Dialect,
    provenance: &Provenance,
) -> Option<Interpreter> {
    let body = x.request.lock().body.bytes()?;
    let chat = Interpreter::read(dialect, &x.target, &body).ok()?.without_turns();
    let between =
        |id: &str, created| Interpreter::new(dialect, provenance.dialect, &x.target, Habits::OPENAI, chat, id, created);
    let Listener { dialect: first, wire, id, created } = &provenance.first;
    if provenance.dialect != dialect && (*first, *wire) == (dialect, x.cache.wire) {
        return between(id, *created);
    }
    let now = x.tape.wall(&gate.clock).duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    between(&x.id, i64::try_from(now).unwrap_or_default()).map(Interpreter::anew)
}
