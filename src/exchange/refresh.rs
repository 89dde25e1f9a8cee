//! Stored responses whose time is over (RFC 5861): the one that serves when the upstreams fail, and the new one that is
//! fetched once nobody waits for it.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::affinity::Bond;
use super::attempt::held::Held;
use super::attempt::{self, Committed};
use super::decide::Found;
use super::decision::Plan;
use super::opening::Opening;
use super::storing::Means;
use super::wire::{Client, Dial};
use super::{CacheState, CacheVerdict, End, Exchange, Intake, Reason, Sent, fail, finish, http_cache, relay, storing};
use crate::cache::Refresh;
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::message::{Body, Owned, Request, ResponseHead, Shared};
use crate::policy::Facts;
use crate::tape::connection::TapedConnection;
use crate::tape::{Recalled, Tape};

/// A response that is to be fetched anew, as the exchange that was served the old one would have asked for it.
pub struct Again {
    /// The exchange without a client.
    x: Box<Exchange>,
    /// Where it goes.
    plan: Plan,
    /// That nobody else fetches it.
    refresh: Refresh,
}

/// Nobody waits: what is sent goes nowhere.
struct Nobody;

/// Sends what an attempt came to, or the old response when that is a failure of the upstreams: no answer, an error of
/// their own, or a refusal because they are too busy.
pub(super) async fn or_better<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    committed: Result<Committed<TapedConnection<D::Connection>>, Error>,
) -> Result<End, Error> {
    let mut answer = match committed {
        Err(error) => return or_spare(gate, client, x, error).await,
        Ok(answer) => answer,
    };
    if answer.early_error.is_none() && !matches!(answer.status, 429 | 500..) {
        return relay::response(gate, client, x, answer).await;
    }
    let failure = Error::upstream(Kind::StreamError, format!("the upstream failed with {}", answer.status));
    storing::failed(x, &failure);
    let translated = x.translated.take();
    if let Some(end) = spare(gate, client, x).await? {
        answer.source.release(false).await;
        answer.held.failed(&failure);
        return Ok(end);
    }
    x.translated = translated;
    relay::response(gate, client, x, answer).await
}

/// Sends the old response in place of an error of the upstreams', if there is one; else the error goes on.
pub(super) async fn or_spare<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    error: Error,
) -> Result<End, Error> {
    if error.fault() != Fault::Upstream && !matches!(error.kind(), Kind::Overloaded | Kind::Timeout) {
        return Err(error);
    }
    x.translated = None;
    spare(gate, client, x).await?.ok_or(error)
}

/// Sends the old response. `None`: there is none that can be told to this client.
async fn spare<C: Client, D: Dial>(gate: &Gate<D>, client: &mut C, x: &mut Exchange) -> Result<Option<End>, Error> {
    let Some(spare) = x.cache.spare.take() else { return Ok(None) };
    let before = std::mem::replace(&mut x.cache.verdict, CacheVerdict::Stale);
    let told = relay::told::tell(gate, client, x, Found::Recalled(Recalled::Stored(spare))).await?;
    if told.is_none() {
        x.cache.verdict = before;
    }
    Ok(told)
}

/// What is to be fetched after an exchange that was served an old response; `None` when nothing is, or somebody does
/// already. An exchange that is played again fetches nothing: it would ask other upstreams than there were.
pub fn prepare<D: Dial>(gate: &Gate<D>, x: &Exchange) -> Option<Again> {
    if !x.cache.again || x.tape.is_bound() {
        return None;
    }
    let (rule, key, plan) = (x.cache.rule.clone()?, x.cache.key.clone()?, x.plan.clone()?);
    if !rule.write {
        return None;
    }
    let request = {
        let request = x.request.lock();
        let body = request.body.bytes()?;
        let body = if body.is_empty() { Body::Empty } else { Body::Whole(body) };
        Request { head: request.head.clone(), body }
    };
    let refresh = gate.cache.refresh(&key)?;
    let verdict = CacheVerdict::Miss("too old");
    let means = Means { clock: gate.clock, limit: gate.cache.entry_limit(), followers: Arc::default() };
    let store = rule.http.is_none().then_some(means);
    let cache =
        CacheState { rule: Some(rule), key: Some(key), verdict, wire: x.cache.wire, store, ..CacheState::default() };
    let x = Box::new(without_client(gate, x, request, cache, &plan));
    Some(Again { x, plan, refresh })
}

/// The id of the exchange that fetches a response for another one.
pub fn refresh_id(id: &str) -> String {
    format!("{id}-refresh")
}

/// The exchange once more, with a life of its own and nobody who waits for it.
fn without_client<D: Dial>(gate: &Gate<D>, x: &Exchange, request: Request, cache: CacheState, plan: &Plan) -> Exchange {
    let started = Instant::now();
    let deadline = x.generation.settings.limits.deadline.map(|total| started + total);
    let (request, id, tape) = (Owned::new(request), refresh_id(&x.id), Tape::default());
    let facts = Facts {
        id: id.clone(),
        client_ip: x.client_ip,
        tls: x.peer.tls,
        dialect: x.dialect,
        started,
        deadline,
        generation: x.generation.short_hash().to_owned(),
        request: Shared::clone(&request),
        tape: tape.clone(),
    };
    Exchange {
        id,
        started,
        deadline,
        generation: Arc::clone(&x.generation),
        peer: x.peer,
        client_ip: x.client_ip,
        method: x.method.clone(),
        target: x.target.clone(),
        host: x.host.clone(),
        dialect: x.dialect,
        request,
        run: x.run.once_more(facts),
        identity: x.identity.clone(),
        plan: Some(plan.clone()),
        cache,
        attempts: Vec::new(),
        translated: None,
        meter: None,
        used: None,
        sent: Sent::default(),
        bond: Bond::default(),
        admitted: None,
        opening: Opening::default(),
        intake: Intake { expects_continue: false, share: gate.held.share(x.generation.settings.limits.buffered_total) },
        upgrade: false,
        held: Held::default(),
        going_on: None,
        tape,
    }
}

/// Fetches a response and stores it, if it may be kept. It is an exchange like any other: logged, counted, seen by hooks.
pub async fn run<D: Dial>(gate: &Gate<D>, again: Again) {
    let Again { mut x, plan, refresh } = again;
    let deadline = x.deadline;
    let fetched = async {
        if http_cache::concerns(&x) {
            return http_cache::refresh(gate, &mut Nobody, &mut x, plan).await;
        }
        let committed = attempt::run(gate, &mut Nobody, &mut x, plan).await?;
        relay::response(gate, &mut Nobody, &mut x, committed).await
    };
    let fetched = match deadline {
        None => fetched.await,
        Some(deadline) => tokio::time::timeout_at(deadline, fetched)
            .await
            .unwrap_or_else(|_| Err(Error::new(Fault::Gate, Kind::Timeout, 504, "the exchange took too long"))),
    };
    if let Err(error) = fetched {
        x.sent.reason = Some(fail::reason(&error));
        x.sent.error = Some(error);
    }
    x.sent.reason.get_or_insert(Reason::Done);
    finish::settle(gate, *x);
    drop(refresh);
}

impl Client for Nobody {
    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(None)
    }

    fn body_done(&mut self) -> bool {
        true
    }

    async fn gone(&mut self) {
        std::future::pending::<()>().await;
    }

    async fn send_continue(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn send_head(&mut self, _head: ResponseHead, _end: bool) -> Result<(), Error> {
        Ok(())
    }

    async fn send_body(&mut self, _piece: Bytes) -> Result<(), Error> {
        Ok(())
    }

    async fn end_body(&mut self, _trailers: Option<HeaderMap>) -> Result<(), Error> {
        Ok(())
    }

    async fn break_off(&mut self) {}
}
