//! Serves an exchange that asks to leave HTTP: when the endpoint agrees, its bytes pass both ways until one side ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONNECTION, UPGRADE};
use pingora_proxy::Session;
use tokio::time::Instant;

use super::client::{WireClient, stream_of};
use crate::error::{Error, Fault, Kind};
use crate::exchange::attempt::{Committed, prepare};
use crate::exchange::decision::PlannedAttempt;
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection};
use crate::exchange::{AttemptRecord, End, Exchange, Reason, fail, heads, receive, relay};
use crate::gate::Gate;
use crate::message::{Body, Owned, Request, RequestHead, ResponseHead};
use crate::policy::{AttemptFacts, Hook};
use crate::tape::Tape;
use crate::tape::connection::TapedConnection;
use crate::upstream::dial::{Dialer, PingoraConnection};
use crate::upstream::health::Ticket;
use crate::upstream::{Endpoint, Upstream};

/// Where an upgrade goes.
struct Target {
    planned: PlannedAttempt,
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    ticket: Ticket,
}

/// Serves the exchange to its end. Never fails: whatever goes wrong becomes a response, or a broken connection.
pub(super) async fn serve(gate: &Gate<Dialer>, session: &mut Session, x: &mut Exchange) -> End {
    // What passes from here on is no exchange that could be played again.
    x.tape = Tape::default();
    let result = match target(gate, x) {
        Ok(target) => live(gate, session, x, target).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(end) => end,
        Err(error) => fail::answer(gate, &mut WireClient::new(session), x, error).await,
    }
}

/// The endpoint that the plan asks for first. An upgrade is tried once: what its endpoint does with it cannot be seen.
fn target(gate: &Gate<Dialer>, x: &Exchange) -> Result<Target, Error> {
    let planned = x.plan.as_ref().and_then(|plan| plan.attempts.first());
    let chosen = planned.and_then(|planned| {
        let upstream = x.generation.upstreams.get(&planned.upstream)?;
        let excluded = |endpoint: &Endpoint| planned.endpoint.as_ref().is_some_and(|wanted| *wanted != endpoint.name);
        let (endpoint, ticket) = Ticket::single(upstream, gate.clock, excluded, || gate.draw())?;
        Some(Target { planned: planned.clone(), upstream: Arc::clone(upstream), endpoint, ticket })
    });
    chosen.ok_or_else(|| Error::new(Fault::Gate, Kind::NoRoute, 502, "the plan holds no endpoint"))
}

/// Asks the endpoint, and goes on as it answers.
async fn live(gate: &Gate<Dialer>, session: &mut Session, x: &mut Exchange, target: Target) -> Result<End, Error> {
    let began = Instant::now();
    let asked = ask(gate, session, x, &target).await;
    x.attempts.push(AttemptRecord {
        upstream: target.upstream.name.clone(),
        endpoint: target.endpoint.name.clone(),
        model: target.planned.model.clone(),
        dialect: None,
        status: asked.as_ref().ok().map(|(head, _)| head.status.as_u16()),
        error: asked.as_ref().err().cloned(),
        took: began.elapsed(),
        waited: Duration::ZERO,
        goes_on: None,
        queued: None,
        resent: false,
        beside: false,
    });
    let Target { upstream, endpoint, ticket, .. } = target;
    let (head, connection) = match asked {
        Ok(answer) => answer,
        Err(error) => {
            ticket.failed(&error);
            return Err(error);
        }
    };
    let idle = upstream.timeouts.idle;
    let ticket = ticket.judged(head.status.as_u16());
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        // What is said in another protocol says nothing about the endpoint: it is well when it lets itself be talked to.
        if let Some(ticket) = ticket {
            ticket.served(None);
        }
        return switch(session, x, head, connection, idle).await;
    }
    let source = Source::live(TapedConnection::untaped(connection), idle, x.deadline);
    let head = heads::check_response(head)?;
    let mut committed = Committed::new(head, source, upstream, endpoint);
    committed.held.ticket = ticket;
    relay::response(gate, &mut WireClient::new(session), x, committed).await
}

/// Sends the request on a connection of its own and waits for the final head.
async fn ask(
    gate: &Gate<Dialer>,
    session: &mut Session,
    x: &mut Exchange,
    target: &Target,
) -> Result<(ResponseHead, PingoraConnection), Error> {
    let head = head(session, x, target).await?;
    let mut connection = gate.dial.alone(&target.endpoint).await?;
    connection.send_head(head, false).await?;
    let patience = target.planned.timeout.unwrap_or(target.upstream.timeouts.head);
    // A client that wants to talk does not stop talking before it begins.
    session.downstream_session.set_abort_on_close(true);
    let client = &mut WireClient::new(session);
    tokio::select! {
        biased;
        head = final_head(&mut connection) => Ok((head?, connection)),
        () = client.gone() => Err(receive::gone()),
        () = tokio::time::sleep(patience) => Err(Error::upstream(Kind::Timeout, "the upstream did not answer in time")), // paced: the attempt's own deadline
    }
}

/// The head that the endpoint is sent: like any other, but for the two headers that ask for the upgrade.
async fn head(session: &Session, x: &mut Exchange, target: &Target) -> Result<RequestHead, Error> {
    let copy = Owned::new(Request { head: prepare::address(x, &target.endpoint, false)?, body: Body::Empty });
    if x.generation.policies.has(Hook::OnAttempt) {
        let facts = AttemptFacts { planned: &target.planned, number: 1, endpoint: &target.endpoint.name, losses: None };
        x.run.on_attempt(&copy, &facts).await?;
    }
    let mut head = copy.lock().head.clone();
    let asked = session.req_header();
    for (name, spelled) in [(CONNECTION, "Connection"), (UPGRADE, "Upgrade")] {
        if let Some(value) = asked.headers.get(name) {
            let _ = head.insert_header(spelled, value.clone());
        }
    }
    Ok(head)
}

async fn final_head(connection: &mut PingoraConnection) -> Result<ResponseHead, Error> {
    loop {
        let head = connection.read_head().await?;
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(head);
        }
    }
}

/// Tells the client that the protocol changes, and passes bytes until one side ends.
async fn switch(
    session: &mut Session,
    x: &mut Exchange,
    head: ResponseHead,
    mut connection: PingoraConnection,
    idle: Duration,
) -> Result<End, Error> {
    x.sent.status = Some(head.status.as_u16());
    x.sent.head_after = Some(x.elapsed());
    x.sent.reason = Some(Reason::Upgraded);
    // From here on silence is the two sides' own affair, within `idle`.
    session.downstream_session.set_read_timeout(None);
    connection.switch();
    let told = WireClient::new(session).send_head(head, false).await;
    if let Some(stream) = stream_of(&session.downstream_session) {
        stream.switched();
    }
    if told.is_ok() {
        carry(session, x, &mut connection, idle).await;
    }
    connection.release(false).await;
    Ok(End::Broken)
}

/// Passes bytes both ways until one side ends, or neither says anything for `idle`.
async fn carry(session: &mut Session, x: &mut Exchange, connection: &mut PingoraConnection, idle: Duration) {
    loop {
        tokio::select! {
            said = session.downstream_session.read_request_body() => {
                let Ok(Some(piece)) = said else { return };
                if !matches!(tokio::time::timeout(idle, connection.carry(piece)).await, Ok(Ok(()))) {
                    return;
                }
            }
            said = connection.read_body() => {
                let Ok(Some(piece)) = said else { return };
                x.sent.bytes += piece.len() as u64;
                if pass(session, piece).await.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(idle) => return, // paced: the longest silence
        }
    }
}

async fn pass(session: &mut Session, piece: Bytes) -> Result<(), Error> {
    WireClient::new(session).send_body(piece).await
}
