//! Makes one attempt: a fresh copy of the request to one endpoint, and its response up to the commit point.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::first;
use super::headers;
use super::hear;
use super::patience::Patience;
use super::translate::{self, Hearing};
use super::upload::{self, Passing, Upload};
use super::{Committed, receive};
use crate::dialect::way::Way;
use crate::dialect::{Dialect, gemini};
use crate::error::{Error, Kind};
use crate::exchange::decision::PlannedAttempt;
use crate::exchange::heads::{self, Framing};
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection, Dial};
use crate::exchange::{Exchange, receive::with_body};
use crate::gate::Gate;
use crate::json::{self, Fragment, Item};
use crate::message::{Body, Owned, Request, RequestHead, ResponseHead};
use crate::policy::{AttemptFacts, Hook};
use crate::tape::connection::{TapedConnection, connect};
use crate::upstream::{Endpoint, Upstream};

/// How long a client that waits for leave to send is kept waiting for the upstream's word.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// A reused connection that ends so soon after a request was closed while it was idle; later the upstream may have
/// acted on it, and only what may be repeated is.
const STALE_WITHIN: Duration = Duration::from_secs(1);

/// How long an upstream that took a request badly is listened to for its answer.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Tries one endpoint. A response is an answer of any status; everything else is an error.
pub async fn attempt<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    planned: &PlannedAttempt,
    upstream: &Arc<Upstream>,
    endpoint: &Arc<Endpoint>,
    replay: bool,
) -> Result<Committed<TapedConnection<D::Connection>>, Error> {
    // What was learnt of another attempt's answer is not this one's.
    x.translated = None;
    let way = translate::way(x, upstream);
    let translating = way != Way::Untouched;
    let upload = upload::prepare(client, x, replay || translating || planned.model.is_some()).await?;
    if translating && !upload.fits(x.generation.settings.limits.body) {
        return Err(receive::too_large(x.generation.settings.limits.body));
    }
    if let Some(body) = translate::here(x, way)? {
        return made_here(upstream, endpoint, body);
    }
    let (head, mut upload, hearing) = prepare(gate, client, x, planned, upstream, endpoint, upload).await?;
    let mut patience = Patience::new(x, planned, upstream);
    let mut fresh = false;
    loop {
        let connecting = connect(&gate.dial, &x.tape, upstream, endpoint, fresh);
        let mut connection = patience.wait(client, connecting).await??;
        let reused = connection.reused();
        let began = Instant::now();
        let copy = head.clone();
        let sent = transfer(client, x, &mut connection, copy, &mut upload, &mut patience).await;
        match sent.and_then(heads::check_response) {
            Ok(head) => {
                let mut source = Source::live(connection, upstream.timeouts.idle, patience.end);
                if upload.overtaken() && head.status.as_u16() < 400 && !x.intake.expects_continue {
                    source.go_on_uploading();
                }
                let mut response = Committed::new(head, source, Arc::clone(upstream), Arc::clone(endpoint));
                if replay {
                    first::meaningful(client, x, &mut response, patience.until).await?;
                }
                return match hearing {
                    Some(hearing) => Box::pin(hear::hear(client, x, hearing, response)).await,
                    None => Ok(response),
                };
            }
            Err(error) => {
                let soon = began.elapsed() < STALE_WITHIN || x.method.is_idempotent();
                let stale = error.kind() == Kind::Reset && connection.untouched() && soon;
                connection.release(false).await;
                if !stale || fresh || !reused || !upload.at_hand() {
                    return Err(error);
                }
                fresh = true;
            }
        }
    }
}

/// An answer that the gate gives itself in an upstream's place.
fn made_here<N: Connection>(
    upstream: &Arc<Upstream>,
    endpoint: &Arc<Endpoint>,
    body: Bytes,
) -> Result<Committed<N>, Error> {
    let mut head = ResponseHead::build(StatusCode::OK, Some(2))
        .map_err(|error| Error::gate("an answer made here cannot be sent").with_detail(error.to_string()))?;
    translate::reword(&mut head, "application/json", Some(body.len()))?;
    Ok(Committed::new(head, Source::Whole(Some(body)), Arc::clone(upstream), Arc::clone(endpoint)))
}

/// Makes the fresh copy of the request that this endpoint is sent, in the dialect of its upstream, and runs
/// `on_attempt` on it.
async fn prepare<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    planned: &PlannedAttempt,
    upstream: &Upstream,
    endpoint: &Endpoint,
    upload: Upload,
) -> Result<(RequestHead, Upload, Option<Hearing>), Error> {
    let head = address(x, endpoint, upstream.server.is_some() && x.dialect.is_some())?;
    let body = match &upload {
        Upload::Nothing => Body::Empty,
        Upload::Whole(bytes) => Body::Whole(bytes.clone()),
        // What was read of it is too large for memory: a hook that asks for the whole is told.
        Upload::Streaming(_) if matches!(x.request.lock().body, Body::Streamed) => {
            Body::Failed(receive::too_large(x.generation.settings.limits.body))
        }
        Upload::Streaming(_) => Body::Unread,
    };
    let mut request = Request { head, body };
    let hearing = translate::ask(x, &gate.keep, &gate.clock, planned, upstream, endpoint, &mut request)?;
    if planned.continue_cut.is_some() && request.head.headers.contains_key("accept-encoding") {
        // What nobody can read nobody can go on with.
        let _ = request.head.insert_header("Accept-Encoding", "identity");
    }
    if let Some(server) = upstream.server {
        headers::hide_key(&mut request.head, server, endpoint).map_err(|error| {
            Error::gate("the request target cannot be sent without its key").with_detail(error.to_string())
        })?;
    }
    if let Some(model) = planned.model.as_ref().filter(|_| hearing.is_none()) {
        match x.dialect {
            Some(Dialect::Gemini | Dialect::GeminiCount | Dialect::GeminiEmbed) => rename(&mut request.head, model)?,
            _ => set_model(&mut request, model, x.generation.settings.limits.json())?,
        }
    }
    if x.generation.policies.has(Hook::OnAttempt) {
        let losses = hearing.as_ref().and_then(Hearing::told).map(|told| &told.losses);
        let number = u32::try_from(x.attempts.len() + 1).unwrap_or(u32::MAX);
        let facts = AttemptFacts { planned, number, endpoint: &endpoint.name, losses };
        request = on_attempt(client, x, &facts, request).await?;
    }
    let upload = match (request.body.bytes(), upload) {
        (Some(bytes), _) if bytes.is_empty() => Upload::Nothing,
        (Some(bytes), _) => Upload::Whole(bytes),
        (None, upload) => upload,
    };
    frame(&mut request.head, &upload);
    Ok((request.head, upload, hearing))
}

/// Runs `on_attempt` on the copy of the request.
async fn on_attempt<C: Client>(
    client: &mut C,
    x: &mut Exchange,
    facts: &AttemptFacts<'_>,
    request: Request,
) -> Result<Request, Error> {
    let copy = Owned::new(request);
    let limits = &x.generation.settings.limits;
    let hook = x.run.on_attempt(&copy, facts);
    with_body(client, &x.request, Some(&copy), limits, &mut x.intake, hook).await??;
    let mut edited = copy.lock();
    Ok(std::mem::take(&mut *edited))
}

/// The head for one endpoint: the client's, without what concerned its connection, with the endpoint's address
/// and headers and the gate's traces. Of a `known` operation the URL of the settings may name the first steps.
pub(crate) fn address(x: &Exchange, endpoint: &Endpoint, known: bool) -> Result<RequestHead, Error> {
    let mut head = x.request.lock().head.clone();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    if !endpoint.prefix.is_empty() {
        let target = if known { translate::below(&endpoint.prefix, target) } else { target };
        let path = format!("{}{target}", endpoint.prefix);
        head.set_raw_path(path.as_bytes())
            .map_err(|error| Error::gate("the request target cannot be sent").with_detail(error.to_string()))?;
    }
    let host = endpoint.preserve_host.then(|| x.host.clone()).flatten();
    let insert = |head: &mut RequestHead, name: String, value: http::HeaderValue| {
        head.insert_header(name, value)
            .map_err(|error| Error::gate("a header of the settings cannot be sent").with_detail(error.to_string()))
    };
    let host = host.unwrap_or_else(|| endpoint.host_header.clone());
    if head.headers.get("host") != Some(&host) {
        insert(&mut head, "Host".into(), host)?;
    }
    let forwarding = &x.generation.forwarding;
    forwarding.mark_request(&mut head, x.peer.ip, x.peer.tls, x.host.as_ref(), &x.id);
    for (name, value) in &endpoint.headers {
        insert(&mut head, name.clone(), value.clone())?;
    }
    let policies = &x.generation.policies;
    let hooked = policies.has(Hook::OnEvent) || policies.has(Hook::OnResponse);
    if hooked && head.headers.contains_key("accept-encoding") {
        insert(&mut head, "Accept-Encoding".into(), http::HeaderValue::from_static("identity"))?;
    }
    Ok(head)
}

/// Puts the plan's model in place of the one that Gemini's path names.
fn rename(head: &mut RequestHead, model: &str) -> Result<(), Error> {
    let target = String::from_utf8_lossy(head.raw_path()).into_owned();
    let Some(target) = gemini::renamed(&target, model) else { return Ok(()) };
    head.set_raw_path(target.as_bytes())
        .map_err(|error| Error::gate("the plan's model cannot stand in a path").with_detail(error.to_string()))
}

/// Puts the plan's model in place of the request's: a splice, everything else keeps its bytes.
fn set_model(request: &mut Request, model: &str, limits: json::Limits) -> Result<(), Error> {
    let bad =
        |error: json::JsonError| Error::client(Kind::BadRequest, 400, format!("the request body is not JSON: {error}"));
    let doc = request.body.json(limits).map_err(bad)?;
    let Item::Object(root) = doc.root().map_err(bad)? else {
        return Err(Error::client(Kind::BadRequest, 400, "the request body is not a JSON object"));
    };
    doc.set(root, "model", &Fragment::from(model)).map_err(bad)
}

/// Declares how the body is delimited. One that was not touched keeps the client's own words.
fn frame(head: &mut RequestHead, upload: &Upload) {
    let framing = match upload {
        Upload::Nothing => Framing::None,
        Upload::Whole(bytes) => Framing::Length(bytes.len() as u64),
        Upload::Streaming(_) => match heads::content_length(&head.headers) {
            Some(length) => Framing::Length(length),
            None => Framing::Open,
        },
    };
    heads::frame_request(head, framing);
    if !matches!(upload, Upload::Streaming(_)) {
        head.remove_header("expect");
    }
}

/// Sends the request and reads the final response head. Interim ones go to the client as they come.
async fn transfer<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    connection: &mut N,
    head: RequestHead,
    upload: &mut Upload,
    patience: &mut Patience,
) -> Result<ResponseHead, Error> {
    match upload {
        Upload::Nothing => connection.send_head(head, false).await?,
        Upload::Whole(bytes) => {
            connection.body_follows();
            connection.send_head(head, true).await?;
            let sending = connection.send_body(bytes.clone(), true);
            match patience.wait(client, sending).await {
                Ok(Ok(())) => {}
                Err(error) if error.kind() == Kind::ClientGone => return Err(error),
                // An upstream that answers early may stop reading: its answer is still there to be read.
                Ok(Err(error)) | Err(error) => return last_word(connection).await.ok_or(error),
            }
        }
        Upload::Streaming(passing) => {
            connection.send_head(head, true).await?;
            receive::mark_streamed(&x.request);
            if let Some(head) = stream_body(client, x, connection, passing, patience).await? {
                passing.overtake();
                return Ok(head);
            }
        }
    }
    final_head(client, x, connection, patience).await
}

/// Reads heads until the final one.
async fn final_head<C: Client, N: Connection>(
    client: &mut C,
    x: &Exchange,
    connection: &mut N,
    patience: &Patience,
) -> Result<ResponseHead, Error> {
    loop {
        let head = patience.wait(client, connection.read_head()).await??;
        if !interim(&head) {
            return Ok(head);
        }
        forward_interim(client, x, head).await?;
    }
}

/// The answer of an upstream that does not take the rest of a request, if it gave one.
async fn last_word<N: Connection>(connection: &mut N) -> Option<ResponseHead> {
    let reading = async {
        loop {
            match connection.read_head().await {
                Ok(head) if interim(&head) => {}
                other => return other.ok(),
            }
        }
    };
    tokio::time::timeout(LAST_WORD, reading).await.ok().flatten()
}

fn interim(head: &ResponseHead) -> bool {
    head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS
}

/// Passes an interim response on (RFC 9110 §15.2), to clients whose protocol has them.
async fn forward_interim<C: Client>(client: &mut C, x: &Exchange, mut head: ResponseHead) -> Result<(), Error> {
    if head.status == StatusCode::CONTINUE || x.peer.version != http::Version::HTTP_11 {
        return Ok(());
    }
    heads::strip_response(&mut head);
    head.set_version(http::Version::HTTP_11);
    client.send_head(head, false).await
}

/// Passes the body on as it comes, listening for an early answer all the while. Returns that answer, if one came.
async fn stream_body<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    connection: &mut N,
    passing: &mut Passing,
    patience: &mut Patience,
) -> Result<Option<ResponseHead>, Error> {
    for piece in passing.kept() {
        connection.send_body(piece.clone(), false).await?;
    }
    if x.intake.expects_continue
        && let Some(head) = await_continue(client, x, connection, patience).await?
    {
        return Ok(Some(head));
    }
    loop {
        let piece = tokio::select! {
            biased;
            head = connection.read_head() => {
                let head = head?;
                if !interim(&head) {
                    return Ok(Some(head));
                }
                forward_interim(client, x, head).await?;
                continue;
            }
            piece = client.read_body() => piece?,
            error = patience.over() => return Err(error),
        };
        let end = piece.is_none();
        if let Some(piece) = &piece {
            passing.keep(piece);
        }
        let sent = patience.taking(connection.send_body(piece.unwrap_or_default(), end)).await;
        match sent {
            Some(Ok(())) if !end => {}
            // It may have answered before it stopped taking: its head is looked for.
            None => {
                patience.lose();
                return Ok(None);
            }
            Some(_) => {
                patience.renew();
                return Ok(None);
            }
        }
    }
}

/// Waits for the upstream's leave to send, but not for ever: some servers never give it.
async fn await_continue<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    connection: &mut N,
    patience: &Patience,
) -> Result<Option<ResponseHead>, Error> {
    let leave = (Instant::now() + CONTINUE_PATIENCE).min(patience.until);
    loop {
        match tokio::time::timeout_at(leave, connection.read_head()).await {
            Ok(Ok(head)) if head.status == StatusCode::CONTINUE => break,
            Ok(Ok(head)) if interim(&head) => forward_interim(client, x, head).await?,
            Ok(Ok(head)) => return Ok(Some(head)),
            Ok(Err(error)) => return Err(error),
            Err(_) => break,
        }
    }
    x.intake.expects_continue = false;
    client.send_continue().await?;
    Ok(None)
}
