//! Makes an attempt ready: a fresh copy of the request, in the dialect of its upstream, as its policies want it.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use super::headers;
use super::hold::Holding;
use super::patience::Patience;
use super::progress::Try;
use super::translate::{self, Hearing};
use super::upload::{self, Upload};
use super::{Committed, receive};
use crate::dialect::way::Way;
use crate::dialect::{Dialect, gemini};
use crate::error::{Error, Kind};
use crate::exchange::heads::{self, Framing};
use crate::exchange::source::Source;
use crate::exchange::wire::{Client, Connection, Dial};
use crate::exchange::{Exchange, receive::with_body};
use crate::gate::Gate;
use crate::json::{self, Fragment, Item};
use crate::message::{Body, Owned, Request, RequestHead, ResponseHead};
use crate::policy::{AttemptFacts, Hook};
use crate::tape::Tape;
use crate::upstream::{Endpoint, Upstream};

/// An attempt that is ready to be made. It has nothing of the exchange, so that several can be under way.
pub(super) struct Prepared {
    /// The upstream.
    pub(super) upstream: Arc<Upstream>,
    /// The endpoint.
    pub(super) endpoint: Arc<Endpoint>,
    /// The head that is sent.
    pub(super) head: RequestHead,
    /// What follows it.
    pub(super) upload: Upload,
    /// What its answer is heard by, when it is translated.
    pub(super) hearing: Option<Hearing>,
    /// How long its steps may take.
    pub(super) patience: Patience,
    /// How its answer is held back, if it is.
    pub(super) holding: Option<Holding>,
    /// Where what comes from outside is noted.
    pub(super) tape: Tape,
    /// Whether the client's method may be repeated.
    pub(super) idempotent: bool,
}

/// What an attempt is before anything of it was sent.
pub(super) enum Ready<N: Connection> {
    /// One to be made.
    Ask(Box<Prepared>),
    /// The gate answers in the upstream's place.
    Here(Box<Committed<N>>),
}

// === impl Prepared ===

impl Prepared {
    /// Whether its request is all in memory, so that it needs nothing of the client.
    pub(super) fn is_at_hand(&self) -> bool {
        !matches!(self.upload, Upload::Streaming(_))
    }
}

/// Makes an attempt ready. With `again`, its request must be there for another attempt; `number` is 1 for the first.
pub(super) async fn prepare<C: Client, D: Dial, N: Connection>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    next: &Try,
    again: bool,
    number: u32,
) -> Result<Ready<N>, Error> {
    // What was learnt of another attempt's answer is not this one's.
    x.translated = None;
    let way = translate::way(x, &next.upstream);
    let translating = way != Way::Untouched;
    let upload = upload::prepare(client, x, again || translating || next.planned.model.is_some()).await?;
    if translating && !upload.fits(x.generation.settings.limits.body) {
        return Err(receive::too_large(x.generation.settings.limits.body));
    }
    if let Some(body) = translate::here(x, way)? {
        return made_here(&next.upstream, &next.endpoint, body).map(|response| Ready::Here(Box::new(response)));
    }
    let (head, upload, hearing) = copy(gate, client, x, next, upload, number).await?;
    let patience = Patience::new(x.deadline, &next.planned, &next.upstream);
    let holding = Holding::of(x, next, way, number, again);
    Ok(Ready::Ask(Box::new(Prepared {
        upstream: Arc::clone(&next.upstream),
        endpoint: Arc::clone(&next.endpoint),
        head,
        upload,
        hearing,
        patience,
        holding,
        tape: x.tape.clone(),
        idempotent: x.method.is_idempotent(),
    })))
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
async fn copy<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    next: &Try,
    upload: Upload,
    number: u32,
) -> Result<(RequestHead, Upload, Option<Hearing>), Error> {
    let (planned, upstream, endpoint) = (&next.planned, &next.upstream, &next.endpoint);
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
    let hooked = [Hook::OnEvent, Hook::OnResponse, Hook::Commit].into_iter().any(|hook| policies.has(hook));
    // A stream that was opened before its answer came cannot say that it is compressed.
    let early = x.generation.settings.limits.ping.is_some() && x.dialect.is_some();
    if (hooked || early) && head.headers.contains_key("accept-encoding") {
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
