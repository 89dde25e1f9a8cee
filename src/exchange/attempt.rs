//! Tries endpoints until one answers. Nothing reaches the client before that: here is the commit point.

pub(super) mod desk;

mod headers;

mod hear;

mod hedge;

pub mod held;

mod hold;

mod patience;

pub mod prepare;

mod progress;

mod send;

mod translate;

mod upload;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::decision::{Failover, Outcome, Place, Plan};
use super::source::Source;
use super::wire::{Client, Connection, Dial};
use super::{AttemptRecord, Exchange, Translated, opening, receive};
use crate::dialect::interpreter::Interpreter;
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::message::{Body, ResponseHead};
use crate::policy::Hook;
use crate::tape::connection::TapedConnection;
use crate::upstream::{Endpoint, Upstream, retry_after};
use desk::Desk;
use hedge::Race;
use held::Held;
use prepare::Ready;
use progress::{Progress, Try};
use translate::Hearing;

/// More attempts than any plan needs: a policy that always says "again" ends here.
const MOST_ATTEMPTS: usize = 16;

/// The longest wait between attempts that a policy or an upstream may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How much of a refusal's body is kept while other endpoints are tried.
const REFUSAL_BYTES: usize = 256 * 1024;

/// How long reading a refusal's body may hold up the next attempt.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// A response that will be sent to the client, from whichever attempt.
pub struct Committed<N: Connection> {
    /// Its head.
    pub head: ResponseHead,
    /// The status as the endpoint gave it: in another dialect it may be told by another.
    pub status: u16,
    /// Its body.
    pub source: Source<N>,
    /// The upstream it came from.
    pub upstream: Arc<Upstream>,
    /// The endpoint it came from.
    pub endpoint: Arc<Endpoint>,
    /// The error that its stream began with, though its status says success.
    pub early_error: Option<Error>,
    /// What the attempt owns until its end.
    pub held: Held,
}

/// The refusal worth most so far.
type Best<D> = Option<Committed<TapedConnection<<D as Dial>::Connection>>>;

/// How one attempt ended.
enum Ended<N: Connection> {
    /// With a response that may be sent as it is.
    Response(Box<Committed<N>>),
    /// With an error, or a stream that failed before its first meaningful event.
    Failed(Error),
}

/// Works through the plan. Returns the response to send; an error only when no attempt brought any response.
pub async fn run<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: Plan,
) -> Result<Committed<TapedConnection<D::Connection>>, Error> {
    opening::ready(client, x).await?;
    let mut progress = Progress::new(plan);
    let mut best: Best<D> = None;
    let mut waited = Duration::ZERO;
    let mut failure = Error::gate("the plan holds no attempt");
    while x.attempts.len() < MOST_ATTEMPTS {
        let Some(next) = progress.next(gate, x) else { break };
        let (next, ended) = once(gate, client, x, &mut progress, next, &mut best, waited).await?;
        let decision = judge(gate, x, &progress, &next, &ended);
        match (ended, decision) {
            (Ended::Response(response), None) if response.served() => return Ok(*response),
            (Ended::Response(response), None) => return Ok(better(best.take(), *response)),
            (Ended::Failed(error), _) if error.kind() == Kind::ClientGone => return Err(error),
            (Ended::Failed(error), None) => {
                failure = error;
                break;
            }
            (Ended::Response(response), Some(again)) => {
                best = Some(better(best.take(), Box::pin(keep(*response)).await));
                waited = progress.turn(x, &next, again);
            }
            (Ended::Failed(error), Some(again)) => {
                failure = error;
                waited = progress.turn(x, &next, again);
            }
        }
        progress.made(next);
        wait(client, x, waited).await?;
    }
    best.ok_or(failure)
}

/// Makes one attempt, and those beside it, and records them. Returns the one that counts; an error when nobody waits for
/// an answer any more.
async fn once<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    progress: &mut Progress,
    mut next: Try,
    best: &mut Best<D>,
    waited: Duration,
) -> Result<(Try, Ended<TapedConnection<D::Connection>>), Error> {
    let started = Instant::now();
    let hedge = hedge::rule(x, &next);
    let again = hedge.is_some() || x.generation.policies.has(Hook::Failover);
    let result = match prepare::prepare(gate, client, x, &next, again, number(x, 0)).await {
        Ok(Ready::Ask(prepared)) => match hedge.filter(|_| prepared.is_at_hand()) {
            Some(hedge) => {
                let desk = Desk::default();
                let mut race = Race::new(gate, hedge, &desk, waited);
                race.begin(next, started, prepared);
                return Box::pin(race.run(client, x, progress, best)).await;
            }
            // Boxed: a stream that goes on for long would carry room for it to its end.
            None => Box::pin(send::attempt(&gate.dial, client, x, prepared)).await,
        },
        Ok(Ready::Here(response)) => Ok(*response),
        Err(error) => Err(error),
    };
    record(x, &next, started, waited, &result, false);
    let ended = ended(&mut next, result);
    Ok((next, ended))
}

/// The number of an attempt that is made ready while others are `under_way`.
fn number(x: &Exchange, under_way: usize) -> u32 {
    u32::try_from(x.attempts.len() + under_way + 1).unwrap_or(u32::MAX)
}

/// Keeps what became of an attempt; `beside` another that goes on, or that has answered.
fn record<N: Connection>(
    x: &mut Exchange,
    made: &Try,
    started: Instant,
    waited: Duration,
    result: &Result<Committed<N>, Error>,
    beside: bool,
) {
    let (status, error) = match result {
        Ok(response) => (Some(response.status), response.early_error.clone()),
        Err(error) => (None, Some(error.clone())),
    };
    x.attempts.push(AttemptRecord {
        upstream: made.upstream.name.clone(),
        endpoint: made.endpoint.name.clone(),
        model: made.planned.model.clone(),
        dialect: translate::way(x, &made.upstream).dialect(),
        status,
        error,
        took: x.tape.ask(|| "took".to_owned(), || started.elapsed()),
        waited,
        beside,
    });
}

/// What an attempt came to, with what it owns.
fn ended<N: Connection>(made: &mut Try, result: Result<Committed<N>, Error>) -> Ended<N> {
    match result {
        Ok(mut response) => {
            response.held = std::mem::take(&mut made.held);
            Ended::Response(Box::new(response))
        }
        Err(error) => Ended::Failed(error),
    }
}

/// Asks `failover` about an attempt that did not succeed. `None`: no other attempt is to be made.
fn judge<D: Dial>(
    gate: &Gate<D>,
    x: &mut Exchange,
    progress: &Progress,
    next: &Try,
    ended: &Ended<TapedConnection<D::Connection>>,
) -> Option<Failover> {
    let record = x.attempts.last()?;
    if record.error.as_ref().is_some_and(|error| error.fault() == Fault::Policy) && x.request_intact() {
        return (progress.untried(x, next) > 0).then(skip);
    }
    let refused = record.error.is_some() || record.status.is_none_or(|status| status >= 400);
    let ours = record.error.as_ref().is_some_and(|error| !retryable(error));
    if !refused || ours || !x.request_replayable() || !x.generation.policies.has(Hook::Failover) {
        return None;
    }
    let retry_after = match ended {
        Ended::Response(response) if matches!(response.status, 429 | 503 | 529) => {
            retry_after::of(&response.head.headers, x.tape.wall(&gate.clock))
        }
        _ => None,
    };
    let outcome = Outcome {
        number: u32::try_from(x.attempts.len()).unwrap_or(u32::MAX),
        upstream: next.upstream.name.clone(),
        endpoint: next.endpoint.name.clone(),
        status: record.status,
        error: record.error.clone(),
        retry_after,
        took: record.took,
        remaining: x.remaining(),
        untried: progress.untried(x, next),
    };
    x.run.failover(&outcome).ok().flatten().filter(|answer| answer.retry)
}

/// What follows an `on_attempt` that failed: the next attempt. Nothing was sent, so there is nothing to ask `failover`.
fn skip() -> Failover {
    Failover { retry: true, upstream: None, after: Duration::ZERO, decided_by: Place("on_attempt".to_owned()) }
}

/// Whether an error is the attempt's, so that another attempt could do better.
fn retryable(error: &Error) -> bool {
    !matches!(error.kind(), Kind::ClientGone | Kind::TooLarge | Kind::BadRequest | Kind::Rejected | Kind::Internal)
}

/// Reads a refusal's body, within limits, so that its connection is free while others are tried.
async fn keep<N: Connection>(mut response: Committed<N>) -> Committed<N> {
    let read = tokio::time::timeout(REFUSAL_TIME, response.source.read_all(REFUSAL_BYTES, None)).await;
    let clean = matches!(read, Ok(Ok(_)));
    response.source.release(clean).await;
    let body = match read {
        Ok(Ok(body)) => body,
        _ => Bytes::new(),
    };
    response.source = Source::Whole(Some(body));
    response
}

/// The answer worth more to the client when all attempts are used up: a refusal that says something about the
/// request before one about the upstream's state, the newer before the older.
fn better<N: Connection>(old: Option<Committed<N>>, new: Committed<N>) -> Committed<N> {
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

/// Waits before the next attempt, unless the client leaves.
async fn wait<C: Client>(client: &mut C, x: &mut Exchange, after: Duration) -> Result<(), Error> {
    if after.is_zero() || x.remaining().is_some_and(|left| left <= after) {
        return Ok(());
    }
    opening::meanwhile(client, x, tokio::time::sleep(after)).await // paced: the back-off that failover asked for
}

/// What an exchange keeps of a translated stream at its end.
pub(super) fn heard(x: &Exchange, interpreter: Interpreter) -> Translated {
    Hearing::Chat(Box::new(interpreter)).into_translated(x)
}

// === impl Committed ===

impl<N: Connection> Committed<N> {
    /// A response with the status that its endpoint gave it.
    pub fn new(head: ResponseHead, source: Source<N>, upstream: Arc<Upstream>, endpoint: Arc<Endpoint>) -> Self {
        let status = head.status.as_u16();
        Self { head, status, source, upstream, endpoint, early_error: None, held: Held::default() }
    }

    /// Whether the endpoint did what it was asked.
    fn served(&self) -> bool {
        self.head.status.as_u16() < 400 && self.early_error.is_none()
    }
}

// === impl Exchange ===

impl Exchange {
    /// Whether nothing of the request's body was lost yet.
    fn request_intact(&self) -> bool {
        !matches!(self.request.lock().body, Body::Streamed | Body::Failed(_))
    }

    /// Whether the request can be sent a second time: its body is empty or in memory.
    pub(super) fn request_replayable(&self) -> bool {
        self.request.lock().body.bytes().is_some()
    }
}
