//! Sends the response to the client: the head, then the body as it comes, through the hooks, recorded on the side.

pub mod events;

mod resume;

mod settle;

mod shape;

pub mod told;

mod whole;

mod write;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::affinity::scribe;
use super::attempt::{self, Committed};
use super::decision::Answer;
use super::heads::{self, Framing};
use super::source::Source;
use super::wire::{Client, Connection, Dial};
use super::{CacheVerdict, End, Exchange, fail, opening, receive, storing};
use crate::dialect::Dialect;
use crate::error::{Error, Kind};
use crate::gate::Gate;
use crate::message::{Body, HeadError, Owned, Response, ResponseHead, ServedBy, Shared};
use crate::policy::Hook;
use crate::stream::Wire;
use crate::tape::connection::TapedConnection;
use events::Events;
use write::{ended, meter, write, write_on};

/// Sends the response of an attempt.
pub async fn response<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    committed: Committed<TapedConnection<D::Connection>>,
) -> Result<End, Error> {
    let mut committed = committed;
    storing::commit(x, &mut committed);
    let Committed { mut head, mut source, upstream, endpoint, held, .. } = committed;
    x.held = held;
    resume::watch(x, &head, &mut source);
    heads::strip_response(&mut head);
    let served_by = ServedBy::Upstream { upstream: upstream.name.clone(), endpoint: endpoint.name.clone() };
    send(gate, client, x, head, source, served_by).await
}

/// Sends a body that the gate put together.
pub async fn made<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    mut head: ResponseHead,
    body: Bytes,
    served_by: ServedBy,
) -> Result<End, Error> {
    heads::frame_response(&mut head, Framing::Length(body.len() as u64));
    let source = Source::<TapedConnection<D::Connection>>::Whole(Some(body));
    send(gate, client, x, head, source, served_by).await
}

/// Sends an answer made of one that was kept, through the same hooks as a fresh one.
pub async fn kept<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    head: ResponseHead,
    body: Bytes,
    age: Duration,
) -> Result<End, Error> {
    let source = Source::<TapedConnection<D::Connection>>::Whole(Some(body));
    let stale = x.cache.verdict == CacheVerdict::Stale;
    send(gate, client, x, head, source, ServedBy::Cache { age, stale }).await
}

/// Sends an answer that a policy made.
pub async fn answer<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    answer: Answer,
) -> Result<End, Error> {
    let head = answer_head(&answer)?;
    let source = Source::Whole(Some(answer.body));
    send(gate, client, x, head, source, ServedBy::Policy).await
}

/// The head of an answer made here.
pub fn answer_head(answer: &Answer) -> Result<ResponseHead, Error> {
    let bad = |error: HeadError| Error::gate("an answer made here cannot be sent").with_detail(error.to_string());
    let mut head = ResponseHead::build(answer.status, Some(answer.headers.len() + 1)).map_err(bad)?;
    for (name, value) in &answer.headers {
        head.append_header(name.clone(), value.as_str()).map_err(bad)?;
    }
    heads::frame_response(&mut head, Framing::Length(answer.body.len() as u64));
    Ok(head)
}

/// The one way a response takes to the client.
async fn send<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    head: ResponseHead,
    mut source: Source<TapedConnection<D::Connection>>,
    served_by: ServedBy,
) -> Result<End, Error> {
    let bodied = heads::has_body(&x.method, head.status);
    let wire = stream_wire(&head).filter(|_| bodied);
    let made_by = (x.dialect == Some(Dialect::OpenAiResponses)).then(|| served_by.clone());
    let response = Owned::new(Response {
        head,
        body: if bodied { Body::Unread } else { Body::Empty },
        streaming: wire.is_some(),
        committed: x.opening.is_open(),
        served_by,
    });
    let mut shaped = shape::on_response(client, x, &response, &mut source).await;
    if shaped.is_ok() && wire.is_none() {
        shaped = whole::on_event(client, x, &response, &mut source).await;
    }
    if let Err(error) = shaped {
        x.held.failed(&error);
        source.release(false).await;
        return Err(error);
    }
    // A hook may have changed the status to one that has no body.
    let bodied = bodied && heads::has_body(&x.method, response.lock().head.status);
    if let Some(length) = told::length(x, &source).filter(|_| wire.is_none() && bodied) {
        heads::frame_response(&mut response.lock().head, Framing::Length(length));
    }
    let events = wire.filter(|_| bodied).map(|wire| Events::new(wire, x));
    let shown = x.generation.policies.has(Hook::OnResponse);
    let (mut head, mut whole) = framed(&response, events.as_ref(), bodied, shown);
    if x.cache.rule.as_ref().is_some_and(|rule| rule.http.is_none()) {
        x.generation.forwarding.mark_cache(&mut head, x.cache.details.as_deref().unwrap_or("miss"));
    }
    if x.opening.is_open() && !opening::fits(&head, bodied) {
        match Box::pin(opening::fit(client, x, &mut head, &mut source, whole, wire)).await {
            Ok(bytes) => whole = Some(bytes),
            Err(error) => {
                source.release(false).await;
                return Err(error);
            }
        }
    }
    let end = !bodied || whole.as_ref().is_some_and(Bytes::is_empty);
    x.meter = if bodied { meter(x, &head, wire) } else { None };
    if let Some(made_by) = made_by.filter(|_| bodied) {
        x.bond.scribe = Box::pin(scribe::listen(gate, x, made_by, &head, wire)).await;
    }
    settle::remember(gate, x);
    settle::heard(gate, x, &mut source);
    let sent = opening::begin(client, x, head, end).await;
    let result = match sent {
        Err(error) => Err(error),
        Ok(_) if !bodied => Ok(()),
        Ok(ended) => match whole {
            Some(bytes) => send_whole(client, x, bytes, ended).await,
            None => pump(gate, client, x, &mut source, events).await,
        },
    };
    settle::settle(gate, client, x, &mut source, result, bodied).await
}

/// The head to send, with its framing, and the body if it is in memory. A response that was `shown` to policies stays
/// as they know it.
fn framed(
    response: &Shared<Response>,
    events: Option<&Events>,
    bodied: bool,
    shown: bool,
) -> (ResponseHead, Option<Bytes>) {
    let mut response = response.lock();
    let whole = response.body.bytes().filter(|_| bodied);
    let head = &mut response.head;
    head.set_version(http::Version::HTTP_11);
    match &whole {
        Some(bytes) => heads::frame_response(head, Framing::Length(bytes.len() as u64)),
        None if head.status == StatusCode::NO_CONTENT => {
            head.remove_header("content-length");
        }
        None if !bodied => {}
        None => {
            let edits = events.is_some_and(Events::edits);
            let length = heads::content_length(&head.headers).filter(|_| !edits);
            heads::frame_response(head, length.map_or(Framing::Open, Framing::Length));
        }
    }
    let head = if shown { head.clone() } else { std::mem::take(&mut *response).head };
    (head, whole)
}

/// Adds the gate's traces to a head about to be sent.
pub(super) fn marked(x: &Exchange, head: ResponseHead) -> ResponseHead {
    let mut head = marked_early(x, head);
    if let Some(translated) = &x.translated {
        x.generation.forwarding.mark_losses(&mut head, &translated.told.losses);
    }
    if let Some(waited) = x.attempts.last().and_then(|last| last.queued.as_ref()) {
        x.generation.forwarding.mark_queue(&mut head, waited);
    }
    head
}

/// The same for one that is sent before there is an answer: nothing of the attempts so far is about it.
pub(super) fn marked_early(x: &Exchange, mut head: ResponseHead) -> ResponseHead {
    x.generation.forwarding.mark_response(&mut head, &x.id, &x.generation.label);
    if x.intake.expects_continue {
        // The client may or may not send its body now: only a new connection is unambiguous.
        let _ = head.insert_header("Connection", "close");
    }
    head
}

/// Whether a response is a stream of events: its type says so, and it is not compressed.
pub(super) fn stream_wire(head: &ResponseHead) -> Option<Wire> {
    if head.headers.contains_key("content-encoding") || head.status != StatusCode::OK {
        return None;
    }
    Wire::of(head.headers.get("content-type")?.to_str().ok()?)
}

async fn send_whole<C: Client>(client: &mut C, x: &mut Exchange, bytes: Bytes, end: bool) -> Result<(), Error> {
    if end {
        return Ok(());
    }
    if !bytes.is_empty() {
        write(client, x, bytes).await?;
    }
    ended(x).await;
    client.end_body(None).await
}

/// Passes the body on as it comes. A client that leaves ends it at once.
async fn pump<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    source: &mut Source<TapedConnection<D::Connection>>,
    mut events: Option<Events>,
) -> Result<(), Error> {
    loop {
        let uploading = source.uploading();
        let piece = tokio::select! {
            biased;
            piece = source.next() => piece,
            piece = heed(client, uploading) => match piece {
                Ok(piece) => {
                    source.upload(piece).await;
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        let piece = match piece {
            Ok(Some(piece)) => source.with_what_is_there(piece).await,
            Ok(None) => break,
            Err(error) => {
                // Boxed: what few streams need is not carried by all.
                let within = events.as_ref().is_none_or(Events::within);
                let going_on = Box::pin(resume::go_on(gate, client, x, source, error, within));
                let Err((last, error)) = going_on.await else { continue };
                match &mut events {
                    Some(passing) => {
                        passing.push(last);
                        pass(client, x, source, passing).await??;
                    }
                    None => write(client, x, last).await?,
                }
                return broken(client, x, events, error, source.told()).await;
            }
        };
        resume::weigh(x, source);
        if let (Some(answer), Some(translated)) = (source.take_answer(), &mut x.translated) {
            translated.told.answer = answer;
            settle::remember(gate, x);
        }
        settle::heard(gate, x, source);
        let Some(passing) = &mut events else {
            write_on(client, x, source, piece).await?;
            continue;
        };
        passing.push(piece);
        if let Err(error) = pass(client, x, source, passing).await? {
            return broken(client, x, events, error, source.told()).await;
        }
    }
    if let Some(mut events) = events {
        // What a policy or the cache tells ends as it likes; what others are told at present ends as theirs does.
        let live = !x.attempts.is_empty() || x.cache.verdict == CacheVerdict::Joined;
        x.sent.error = events.unfinished(x.dialect).filter(|_| live);
        for piece in events.end(x) {
            write(client, x, piece).await?;
        }
    }
    settle::heard(gate, x, source);
    let trailers = source.trailers().await.unwrap_or_default();
    ended(x).await;
    client.end_body(trailers).await
}

/// Passes the events at hand on, through the hooks. The inner error is the stream's.
async fn pass<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    source: &mut Source<N>,
    events: &mut Events,
) -> Result<Result<(), Error>, Error> {
    loop {
        let mut out = Vec::new();
        let more = events.pass(x, &mut out);
        if !out.is_empty() {
            write_on(client, x, source, events::joined(out)).await?;
        }
        match more {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// What comes from the client while it is answered: the rest of its body, or that it left.
async fn heed<C: Client>(client: &mut C, uploading: bool) -> Result<Option<Bytes>, Error> {
    if uploading {
        return client.read_body().await;
    }
    if client.body_done() {
        client.gone().await;
        return Err(receive::gone());
    }
    std::future::pending().await
}

/// After the commit point a failure of the upstream becomes the stream's own last event, in the client's dialect, unless
/// the client was `told` already.
async fn broken<C: Client>(
    client: &mut C,
    x: &mut Exchange,
    events: Option<Events>,
    error: Error,
    told: bool,
) -> Result<(), Error> {
    if let Some(events) = events.filter(|_| error.kind() != Kind::ClientGone && !told) {
        for piece in events.fail(x, &error) {
            write(client, x, piece).await?;
        }
    }
    Err(error)
}
