//! Tries endpoints until one answers. Nothing reaches the client before that: here is the commit point.

mod asked;

mod back_off;

mod best;

pub(super) mod desk;

pub mod going_on;

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

use tokio::time::Instant;

use super::decision::{Failover, Outcome, Place, Plan};
use super::source::Source;
use super::wire::{Client, Connection, Dial};
use super::{AttemptRecord, Exchange, Translated, opening, receive, turn};
use crate::cache::Fill;
use crate::dialect::interpreter::Interpreter;
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::message::{Body, ResponseHead};
use crate::policy::Hook;
use crate::tape::connection::TapedConnection;
use crate::upstream::{Endpoint, Upstream, retry_after};
pub(super) use asked::left_alone;
use back_off::wait;
use best::{better, keep};
use desk::Desk;
use hedge::Race;
use held::Held;
use prepare::Ready;
use progress::{Progress, Try};
use translate::Hearing;
pub(super) use translate::{reword, translated};

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
    /// The model that it was asked for, when the plan named one.
    pub model: Option<String>,
    /// Its way into the cache.
    pub fill: Option<Arc<Fill>>,
    /// When the client had sent all of a request that was passed on as it came.
    pub asked: Option<Instant>,
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
    asked::ready(client, x, &plan).await?;
    work(gate, client, x, Progress::new(plan), Duration::ZERO).await
}

/// Works through what is left of a plan, after a wait that is over.
async fn work<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    mut progress: Progress,
    mut waited: Duration,
) -> Result<Committed<TapedConnection<D::Connection>>, Error> {
    let mut best: Best<D> = None;
    let mut failure = Error::gate("the plan holds no attempt");
    while x.attempts.len() < MOST_ATTEMPTS {
        let Some(next) = progress.next(gate, x) else {
            if x.attempts.is_empty() {
                failure = progress.refusal().unwrap_or(failure);
            }
            break;
        };
        let (next, ended) = once(gate, client, x, &mut progress, next, &mut best, waited).await?;
        let decision = judge(gate, x, &progress, &next, &ended);
        match (ended, decision) {
            (Ended::Response(response), None) if response.served() => {
                x.may_go_on(progress, next);
                return Ok(*response);
            }
            (Ended::Response(response), None) => return Ok(better(best.take(), *response)),
            (Ended::Failed(error), _) if error.kind() == Kind::ClientGone => return Err(error),
            (Ended::Failed(error), None) => {
                failure = error;
                break;
            }
            (Ended::Response(response), Some(again)) => {
                let kept = opening::meanwhile(client, x, Box::pin(keep(*response))).await?;
                best = Some(better(best.take(), kept));
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
    if let Err(error) = turn(gate, client, x, &mut next).await {
        let refused = Err(error);
        record(x, &next, Instant::now(), waited, &refused, false);
        let ended = ended(x, &mut next, refused);
        return Ok((next, ended));
    }
    let started = Instant::now();
    // Only one can go on with what the client heard.
    let hedge = hedge::rule(x, &next).filter(|_| !x.goes_on());
    let again = hedge.is_some() || x.generation.policies.has(Hook::Failover);
    let ready = prepare::prepare(gate, client, x, &next, again, number(x, 0)).await;
    // How long the client and the policies took for the request says nothing about the endpoint.
    next.held.begins();
    let result = match ready {
        Ok(Ready::Ask(prepared)) => match hedge.filter(|_| prepared.is_at_hand()) {
            Some(hedge) => {
                let desk = Desk::default();
                let mut race = Race::new(gate, hedge, &desk, waited);
                race.begin(next, started, prepared);
                return Box::pin(race.run(client, x, progress, best)).await;
            }
            // Boxed: a stream that goes on for long would carry room for it to its end.
            None => Box::pin(send::attempt(&gate.dial, client, x, prepared, &mut next.held.resent)).await,
        },
        Ok(Ready::Here(response)) => Ok(*response),
        Err(error) => Err(error),
    };
    record(x, &next, started, waited, &result, false);
    let ended = ended(x, &mut next, result);
    Ok((next, ended))
}

/// Waits until the endpoint can take the request, where there is a line before it.
async fn turn<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    next: &mut Try,
) -> Result<(), Error> {
    if next.upstream.queue.is_none() {
        return Ok(());
    }
    let class = next.planned.priority;
    let waiting = turn::before_endpoint(gate, client, x, &next.upstream, &next.endpoint, class);
    // Boxed: few attempts come here, and every exchange would carry room for it.
    let (queued, place) = Box::pin(waiting).await;
    next.held.queued = queued;
    next.held.place = place?;
    Ok(())
}

/// The same for an attempt that does not wait; nothing when it would have to.
fn turn_at_once<D: Dial>(gate: &Gate<D>, x: &Exchange, mut next: Try) -> Option<Try> {
    if next.upstream.queue.is_some() {
        (next.held.queued, next.held.place) = turn::at_once(gate, x, &next.upstream, &next.endpoint)?;
    }
    Some(next)
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
        goes_on: x.said(),
        queued: made.held.queued,
        resent: made.held.resent,
        beside,
    });
}

/// What an attempt came to, with what it owns.
fn ended<N: Connection>(x: &Exchange, made: &mut Try, result: Result<Committed<N>, Error>) -> Ended<N> {
    made.held.judge(x, &result);
    match result {
        Ok(mut response) => {
            response.held = std::mem::take(&mut made.held);
            response.model.clone_from(&made.planned.model);
            Ended::Response(Box::new(response))
        }
        Err(error) => {
            made.held.place = None;
            Ended::Failed(error)
        }
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
        return (progress.untried(x) > 0).then(skip);
    }
    // Nothing was sent to anybody: what is left of the plan may do better.
    let turned_away = record.error.as_ref().is_some_and(turn::is_turned_away) && x.request_intact();
    if turned_away && record.error.as_ref().is_some_and(|error| error.code() == turn::FULL) {
        return (progress.untried(x) > 0).then(skip);
    }
    let refused = record.error.is_some() || record.status.is_none_or(|status| status >= 400);
    let ours = record.error.as_ref().is_some_and(|error| !retryable(error));
    if !refused || ours || !(turned_away || x.request_replayable()) || !x.generation.policies.has(Hook::Failover) {
        return None;
    }
    let retry_after = match ended {
        Ended::Response(response) if matches!(response.status, 429 | 503 | 529) => {
            retry_after::of(&response.head.headers, x.tape.wall(&gate.clock))
        }
        _ => None,
    };
    let outcome = outcome(x, progress, next, retry_after)?;
    x.run.failover(&outcome).ok().flatten().filter(|answer| answer.retry)
}

/// What `failover` is shown of the last attempt.
fn outcome(x: &Exchange, progress: &Progress, made: &Try, retry_after: Option<Duration>) -> Option<Outcome> {
    let record = x.attempts.last()?;
    Some(Outcome {
        number: u32::try_from(x.attempts.len()).unwrap_or(u32::MAX),
        upstream: made.upstream.name.clone(),
        endpoint: made.endpoint.name.clone(),
        status: record.status,
        error: record.error.clone(),
        retry_after,
        took: record.took,
        remaining: x.remaining(),
        untried: progress.untried(x),
        said: x.said(),
    })
}

/// What follows an `on_attempt` that failed, and a line without room: the next attempt. Nothing was sent, so there is
/// nothing to ask `failover`.
fn skip() -> Failover {
    Failover { retry: true, upstream: None, after: Duration::ZERO, decided_by: Place("gate".to_owned()) }
}

/// Whether an error is the attempt's, so that another attempt could do better.
fn retryable(error: &Error) -> bool {
    !matches!(error.kind(), Kind::ClientGone | Kind::TooLarge | Kind::BadRequest | Kind::Rejected | Kind::Internal)
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
        Self {
            head,
            status,
            source,
            upstream,
            endpoint,
            early_error: None,
            held: Held::default(),
            model: None,
            fill: None,
            asked: None,
        }
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
