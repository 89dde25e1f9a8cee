//! The life of a request: one exchange from its head to its last byte, told once, in order.
//!
//! 1. [`receive`] takes the head; the body is read only when something asks for it.
//! 2. [`decide`] asks the policies: who is calling, may it pass, where does it go, may a stored response serve.
//! 3. [`attempt`] tries endpoints until one answers; nothing is sent to the client before that (the commit point).
//! 4. [`relay`] sends the response, whole or event by event, through the hooks, and records it for the cache.
//! 5. [`fail`] turns whatever went wrong into a response in the client's dialect.
//! 6. [`finish`] settles everything once: log, metrics, cache, `on_log`.

pub mod affinity;

pub mod attempt;

pub mod begin;

mod cached;

pub mod decide;

pub mod decision;

pub mod embeddings;

pub mod fail;

pub mod finish;

mod form;

pub mod forwarding;

pub mod heads;

pub mod http_cache;

pub mod linger;

pub mod opening;

pub mod receive;

pub mod refresh;

pub mod relay;

pub mod source;

pub mod storing;

pub mod turn;

pub mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, Version};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::dialect::event::Usage;
use crate::dialect::interpreter::Told;
use crate::dialect::meter::Meter;
use crate::dialect::transcript::Said;
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::gate::memory::Share;
use crate::generation::Generation;
use crate::message::{Owned, Request};
use crate::policy::Run;
use crate::tape::Tape;
use crate::tape::client::TapedClient;
use crate::upstream::queue;
use affinity::Bond;
use attempt::going_on::GoingOn;
use attempt::held::Held;
pub use cached::{CacheState, CacheVerdict};
use decision::{Identity, Plan};
use linger::Lingering;
use opening::Opening;
use turn::Waited;
use wire::{Client, Dial};

/// One request and its response: everything known about it so far.
pub struct Exchange {
    /// Its id, in the log and in the header that both sides see.
    pub id: String,
    /// When its head had been read.
    pub started: Instant,
    /// When it must be over, if it must.
    pub deadline: Option<Instant>,
    /// The generation it started on, and stays on.
    pub generation: Arc<Generation>,
    /// What is known of the connection.
    pub peer: Peer,
    /// The client's address, behind trusted gateways.
    pub client_ip: IpAddr,
    /// The method as it came: it decides whether the response may have a body.
    pub method: Method,
    /// The target as it came, for the log.
    pub target: String,
    /// `Host` or `:authority` as it came.
    pub host: Option<HeaderValue>,
    /// The dialect that the path speaks.
    pub dialect: Option<Dialect>,
    /// The request, as the client sent it and as `on_request` left it.
    pub request: Owned<Request>,
    /// The policies' side.
    pub run: Run,
    /// Who is calling.
    pub identity: Identity,
    /// Where it goes.
    pub plan: Option<Plan>,
    /// What was decided about storing.
    pub cache: CacheState,
    /// Every attempt made.
    pub attempts: Vec<AttemptRecord>,
    /// What the attempt that is being relayed owns until its end.
    pub held: Held,
    /// What is kept so that its answer may go on elsewhere, if the plan wants that.
    pub going_on: Option<Box<GoingOn>>,
    /// What was learnt while the answer was translated, if it was.
    pub translated: Option<Translated>,
    /// Counts the tokens of an answer that passes in its own dialect.
    pub meter: Option<Meter>,
    /// Tokens of such an answer, at its end.
    pub used: Option<Usage>,
    /// What the client was sent.
    pub sent: Sent,
    /// Where what it refers to was made, and where its answer is.
    pub bond: Bond,
    /// Its place among those that the gate serves at once, where that is limited.
    pub admitted: Option<queue::Place>,
    /// What the client heard before there was an answer.
    pub opening: Opening,
    /// What concerns the reading of its body.
    pub intake: Intake,
    /// Whether it asks to leave HTTP for another protocol.
    pub upgrade: bool,
    /// What came to it from outside, when that is kept.
    pub tape: Tape,
}

/// What concerns the reading of a request's body.
#[derive(Debug)]
pub struct Intake {
    /// The client waits to be told before it sends its body, and was not told yet.
    pub expects_continue: bool,
    /// Its part of the bytes that are held in memory.
    pub share: Share,
}

/// What is known of the client's connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The address at its other end.
    pub ip: IpAddr,
    /// Whether it is under TLS.
    pub tls: bool,
    /// The protocol version of the request.
    pub version: Version,
}

/// What was learnt while an answer was translated between dialects.
#[derive(Debug)]
pub struct Translated {
    /// For whom the answer's sealed thoughts are kept.
    pub holder: String,
    /// What was lost, used and thought.
    pub told: Told,
}

/// What is kept of an attempt.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// The upstream's name.
    pub upstream: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The model asked for, when the plan named one.
    pub model: Option<String>,
    /// The dialect that it was asked in, where that is not the client's.
    pub dialect: Option<Dialect>,
    /// The status, when a head came.
    pub status: Option<u16>,
    /// What went wrong otherwise.
    pub error: Option<Error>,
    /// Until the head or the failure.
    pub took: Duration,
    /// How long the gate waited before it.
    pub waited: Duration,
    /// What the client had heard, where this attempt was to go on with it.
    pub goes_on: Option<Said>,
    /// How it waited for its turn, where there is a line before the endpoint.
    pub queued: Option<Waited>,
    /// Whether its request was sent a second time: the endpoint had closed the kept connection that it was sent on.
    pub resent: bool,
    /// Whether another attempt was under way beside it, or had answered, when it ended: nothing was decided after it.
    pub beside: bool,
}

/// What the client was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// The status, once a final head was sent.
    pub status: Option<u16>,
    /// Bytes of body.
    pub bytes: u64,
    /// Events of a stream.
    pub events: u64,
    /// Until the head was sent.
    pub head_after: Option<Duration>,
    /// What ended it early.
    pub error: Option<Error>,
    /// Why it ended.
    pub reason: Option<Reason>,
}

/// Why an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The response was sent to its end.
    Done,
    /// An upstream failed after the commit point, or no attempt succeeded.
    UpstreamError,
    /// The client left.
    ClientGone,
    /// A deadline passed.
    Timeout,
    /// A limit of the gate, or a refusal.
    Limit,
    /// A policy failed.
    PolicyError,
    /// It was handed to the pass-through for upgrades.
    Upgraded,
}

/// How the exchange leaves the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A response was sent whole.
    Answered,
    /// The connection is of no further use.
    Broken,
    /// Nothing was sent: the request asks for an upgrade, and the plan says where to.
    Upgrade,
}

/// Serves one exchange to its end. Never fails: whatever goes wrong becomes a response, or a broken connection.
pub async fn serve<C: Client, D: Dial>(gate: &Gate<D>, client: &mut C, exchange: &mut Exchange) -> End {
    let client = &mut Lingering::new(TapedClient::new(client, exchange.tape.clone()), exchange.tape.clone());
    let served = match exchange.deadline {
        None => live(gate, client, exchange).await,
        Some(deadline) => match tokio::time::timeout_at(deadline, live(gate, client, exchange)).await {
            Ok(served) => served,
            Err(_) => Err(Error::new(Fault::Gate, Kind::Timeout, 504, "the exchange took too long")),
        },
    };
    let end = match served {
        Ok(end) => end,
        Err(error) => Box::pin(fail::answer(gate, client, exchange, error)).await,
    };
    if end != End::Upgrade {
        exchange.admitted = None;
    }
    opening::note(exchange);
    if end == End::Answered && !exchange.intake.expects_continue {
        receive::drain(client, exchange.generation.settings.limits.drain).await;
    }
    end
}

/// The steps in their order. An error before the commit point is answered by [`fail`].
async fn live<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut Lingering<TapedClient<'_, C>>,
    x: &mut Exchange,
) -> Result<End, Error> {
    receive::check(x)?;
    if x.generation.settings.limits.exchanges > 0 {
        x.admitted = Box::pin(turn::before_gate(gate, client, x)).await?;
    }
    decide::identify(client, x).await?;
    if let Some(generation) = gate.canary.chosen(x) {
        begin::move_to(x, generation);
        decide::identify(client, x).await?;
    }
    if let Some(answer) = decide::on_request(client, x).await? {
        return relay::answer(gate, client, x, answer).await;
    }
    if let Some(answer) = decide::endpoint(client, x).await? {
        return relay::answer(gate, client, x, answer).await;
    }
    let plan = match decide::route(client, x).await? {
        decision::Route::Answer(answer) => return relay::answer(gate, client, x, answer).await,
        decision::Route::Plan(plan) => plan,
    };
    if x.upgrade {
        x.plan = Some(plan);
        return Ok(End::Upgrade);
    }
    x.plan = Some(plan.clone());
    if let Some(found) = decide::cache(gate, client, x, &plan).await? {
        match Box::pin(relay::told::tell(gate, client, x, found)).await {
            Ok(None) => {}
            Ok(Some(end)) => return Ok(end),
            Err(error) => return Box::pin(refresh::or_spare(gate, client, x, error)).await,
        }
    }
    // Boxed: it is rare, and every exchange would carry room for it.
    if x.cache.rule.as_ref().is_some_and(|rule| rule.texts)
        && let Some(batch) = Box::pin(embeddings::batch(gate, x)).await
    {
        return Box::pin(embeddings::run(gate, client, x, plan, batch)).await;
    }
    if http_cache::concerns(x) {
        // Boxed: only some exchanges need the room for it.
        return Box::pin(http_cache::serve(gate, client, x, plan)).await;
    }
    let plan = affinity::pin(gate, client, x, plan).await.inspect_err(|error| storing::failed(x, error))?;
    client.linger(storing::wanted(x));
    let committed = attempt::run(gate, client, x, plan).await.inspect_err(|error| storing::failed(x, error));
    if x.cache.spare.is_some() {
        return Box::pin(refresh::or_better(gate, client, x, committed)).await;
    }
    relay::response(gate, client, x, committed?).await
}

// === impl Exchange ===

impl Exchange {
    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// When it began, by the clock for people.
    pub fn begun(&self, clock: &Clock) -> SystemTime {
        let now = clock.wall();
        now.checked_sub(self.elapsed()).unwrap_or(now)
    }

    /// Tokens used, as the client was told.
    pub fn usage(&self) -> Option<&Usage> {
        self.translated.as_ref().and_then(|translated| translated.told.usage.as_ref()).or(self.used.as_ref())
    }

    /// What is left until its deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

// === impl Reason ===

impl Reason {
    /// The reason in one word, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::UpstreamError => "upstream_error",
            Self::ClientGone => "client_gone",
            Self::Timeout => "timeout",
            Self::Limit => "limit",
            Self::PolicyError => "policy_error",
            Self::Upgraded => "upgraded",
        }
    }
}
