//! What the gate does for policies: their state, their log lines, and calls to upstreams on their behalf.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri};

use super::State;
use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::exchange::source::Source;
use crate::exchange::wire::{Connection, Dial};
use crate::message::{RequestHead, ResponseHead};
use crate::policy::{CallError, CallRequest, CallResponse, Called, HookReport, LogLine, Services};
use crate::settings::Url;
use crate::state::{Limiter, Store};
use crate::tape::Tape;
use crate::tape::connection::connect;
use crate::upstream::health::Ticket;
use crate::upstream::{Endpoint, Upstream, Upstreams, build};

/// The longest answer that a policy's own call may bring.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How long a policy's own call may take when it does not say.
const CALL_TIME: Duration = Duration::from_secs(10);

/// Where finished exchanges and policies' words go: the log of a live gate, the snapshot of a case.
pub trait Sink: Send + Sync + 'static {
    /// An exchange is over.
    fn finished(&self, exchange: &Exchange);

    /// A policy said something.
    fn log(&self, line: LogLine);

    /// A hook failed.
    fn report(&self, report: HookReport);
}

/// Counts the hooks of one generation that failed, and tells who listens.
#[derive(Default)]
pub struct HookErrors {
    count: AtomicU64,
    listener: OnceLock<Listener>,
}

/// Hears of each hook that failed.
type Listener = Box<dyn Fn(&HookReport) + Send + Sync>;

/// A sink that also counts the failures of one generation.
pub struct Counting {
    /// Where everything goes.
    pub sink: Arc<dyn Sink>,
    /// The counter.
    pub errors: Arc<HookErrors>,
}

/// The services of one generation.
pub struct GateServices<D: Dial> {
    /// State that outlives the generation.
    pub state: State,
    /// The time.
    pub clock: Clock,
    /// Opens connections.
    pub dial: D,
    /// The generation's upstreams.
    pub upstreams: Arc<Upstreams>,
    /// What `http.fetch` may reach.
    pub fetch_allow: Vec<Url>,
    /// Where log lines go.
    pub sink: Arc<dyn Sink>,
}

// === impl HookErrors ===

impl HookErrors {
    /// How many failed so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Hands each failure from now on to `listener`; only the first one who asks is heard.
    pub fn listen(&self, listener: impl Fn(&HookReport) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }
}

// === impl Counting ===

impl Sink for Counting {
    fn finished(&self, exchange: &Exchange) {
        self.sink.finished(exchange);
    }

    fn log(&self, line: LogLine) {
        self.sink.log(line);
    }

    fn report(&self, report: HookReport) {
        self.errors.count.fetch_add(1, Ordering::Relaxed);
        if let Some(listener) = self.errors.listener.get() {
            listener(&report);
        }
        self.sink.report(report);
    }
}

// === impl GateServices ===

impl<D: Dial + Clone> Services for GateServices<D> {
    fn store(&self) -> &Store {
        &self.state.store
    }

    fn limiter(&self) -> &Limiter {
        &self.state.limiter
    }

    fn clock(&self) -> Clock {
        self.clock
    }

    fn seed(&self) -> u64 {
        self.state.random.next()
    }

    fn call(&self, upstream: String, request: CallRequest, timeout: Option<Duration>) -> Called {
        let Some(target) = self.upstreams.get(&upstream).cloned() else {
            let message = format!("there is no upstream `{upstream}`");
            return Box::pin(async move { Err(refused("no_upstream", message)) });
        };
        let Some((endpoint, ticket)) = self.endpoint(&target, &request.tape) else {
            let message = "no endpoint of the upstream can be asked now".to_owned();
            return Box::pin(async move { Err(refused("no_endpoint", message)) });
        };
        let dial = self.dial.clone();
        let call = async move {
            let answered = exchange(dial, target, endpoint, request).await;
            match &answered {
                Ok(response) => {
                    if let Some(ticket) = ticket.judged(response.status) {
                        ticket.served(None);
                    }
                }
                Err(error) => ticket.failed(error),
            }
            answered
        };
        Box::pin(limited(call, timeout))
    }

    fn fetch(&self, url: String, request: CallRequest, timeout: Option<Duration>) -> Called {
        let uri = url.parse::<Uri>().ok();
        let allowed = uri.and_then(|uri| {
            let allow = self.fetch_allow.iter().find(|allow| allow.covers(&uri))?;
            Some((uri, allow))
        });
        let Some((uri, allow)) = allowed else {
            let message = "the URL is not in `fetch.allow` of the settings".to_owned();
            return Box::pin(async move { Err(refused("not_allowed", message)) });
        };
        let dial = self.dial.clone();
        let (upstream, endpoint) = build::single(allow);
        let path = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let request = CallRequest { path, ..request };
        Box::pin(async move { limited(exchange(dial, upstream, endpoint, request), timeout).await })
    }

    fn pick(&self, names: &[String]) -> Option<String> {
        names.iter().find(|name| self.healthy(name)).cloned()
    }

    fn healthy(&self, name: &str) -> bool {
        self.upstreams.get(name).is_some_and(|upstream| upstream.is_fit(self.clock.elapsed()))
    }

    fn log(&self, line: LogLine) {
        self.sink.log(line);
    }

    fn report(&self, report: HookReport) {
        self.sink.report(report);
    }
}

impl<D: Dial> GateServices<D> {
    /// An endpoint for a policy's call, and leave to ask it.
    fn endpoint(&self, upstream: &Arc<Upstream>, tape: &Tape) -> Option<(Arc<Endpoint>, Ticket)> {
        let single = |excluded: &dyn Fn(&Endpoint) -> bool| {
            Ticket::single(upstream, self.clock, excluded, || self.state.random.draw())
        };
        let fresh = single(&|_| false);
        let what = || format!("endpoint of {} for a call", upstream.name);
        let name = |fresh: &(Arc<Endpoint>, Ticket)| fresh.0.name.clone();
        match tape.ask(what, || fresh.as_ref().map(name)) {
            Some(told) if fresh.as_ref().map(name) != Some(told.clone()) => {
                single(&|endpoint| endpoint.name != told).or(fresh)
            }
            Some(_) => fresh,
            None => None,
        }
    }
}

async fn limited(
    call: impl Future<Output = Result<CallResponse, Error>>,
    timeout: Option<Duration>,
) -> Result<CallResponse, CallError> {
    match tokio::time::timeout(timeout.unwrap_or(CALL_TIME), call).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(refused(error.kind().as_str(), error.to_string())),
        Err(_) => Err(refused(Kind::Timeout.as_str(), "the call took too long".to_owned())),
    }
}

fn refused(code: &str, message: String) -> CallError {
    CallError { code: code.to_owned(), message }
}

/// One request of a policy's own, whole in and whole out.
pub(crate) async fn exchange<D: Dial>(
    dial: D,
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    request: CallRequest,
) -> Result<CallResponse, Error> {
    let tape = request.tape.clone();
    let (head, body) = message(&endpoint, request)?;
    let mut connection = connect(&dial, &tape, &upstream, &endpoint, false).await?;
    let mut answered = asked(&mut connection, &head, &body).await;
    if answered.is_err() && connection.reused() && connection.untouched() {
        connection.release(false).await;
        connection = connect(&dial, &tape, &upstream, &endpoint, true).await?;
        answered = asked(&mut connection, &head, &body).await;
    }
    let head = answered?;
    let mut source = Source::live(connection, upstream.timeouts.idle, None);
    let body = source.read_all(MOST_BYTES, None).await;
    source.release(body.is_ok()).await;
    Ok(CallResponse {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body?,
    })
}

/// Sends a request and reads the final head of its response.
async fn asked<N: Connection>(connection: &mut N, head: &RequestHead, body: &Bytes) -> Result<ResponseHead, Error> {
    connection.send_head(head.clone(), !body.is_empty()).await?;
    if !body.is_empty() {
        connection.send_body(body.clone(), true).await?;
    }
    loop {
        let head = connection.read_head().await?;
        if !head.status.is_informational() {
            return Ok(head);
        }
    }
}

/// The request for an endpoint.
fn message(endpoint: &Endpoint, request: CallRequest) -> Result<(RequestHead, Bytes), Error> {
    let bad = |reason: String| Error::gate("a policy's call cannot be sent").with_detail(reason);
    let path = if request.path.starts_with('/') { request.path } else { format!("/{}", request.path) };
    let target = format!("{}{path}", endpoint.prefix);
    let mut head =
        RequestHead::build(request.method.as_str(), target.as_bytes(), None).map_err(|e| bad(e.to_string()))?;
    let mut insert = |name: String, value: HeaderValue| head.insert_header(name, value).map_err(|e| bad(e.to_string()));
    insert("Host".into(), endpoint.host_header.clone())?;
    for (name, value) in request.headers {
        let value = HeaderValue::from_str(&value).map_err(|e| bad(e.to_string()))?;
        insert(name, value)?;
    }
    for (name, value) in &endpoint.headers {
        insert(name.clone(), value.clone())?;
    }
    if !request.body.is_empty() {
        insert("Content-Length".into(), HeaderValue::from(request.body.len()))?;
    }
    Ok((head, request.body))
}
