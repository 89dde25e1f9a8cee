//! A small gate for policies under test: sources in, hooks out.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::message::{Body, Request, RequestHead, Response, ResponseHead, ServedBy, Shared};
use crate::policy::{
    CallError, CallRequest, CallResponse, Called, Facts, HookReport, HostLimits, LogLine, Mount, OnError, PolicySet,
    Run, Services, Sources, compile,
};
use crate::state::{Limiter, Store, StoreLimits};
use crate::tape::Tape;

/// A gate that answers calls from a list and keeps what it is told.
pub(super) struct Gate {
    store: Store,
    limiter: Limiter,
    clock: Clock,
    pub(super) logs: Mutex<Vec<LogLine>>,
    pub(super) reports: Mutex<Vec<HookReport>>,
    pub(super) calls: Mutex<Vec<(String, CallRequest)>>,
    pub(super) replies: Mutex<VecDeque<Result<CallResponse, CallError>>>,
    /// Calls wait for a permit when `held` is set.
    pub(super) permits: Arc<Semaphore>,
    pub(super) running: Arc<AtomicUsize>,
}

/// Counts a call for as long as it exists.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        let clock = Clock::live();
        Arc::new(Self {
            store: Store::new(clock, StoreLimits::default()),
            limiter: Limiter::new(clock),
            clock,
            logs: Mutex::default(),
            reports: Mutex::default(),
            calls: Mutex::default(),
            replies: Mutex::default(),
            permits: Arc::new(Semaphore::new(1_000_000)),
            running: Arc::default(),
        })
    }

    /// Makes every further call wait until [`Self::release`].
    pub(super) fn hold(&self) {
        self.permits.forget_permits(1_000_000);
    }

    pub(super) fn release(&self) {
        self.permits.add_permits(1_000_000);
    }

    fn reply(&self, to: String, request: CallRequest) -> Called {
        self.calls.lock().push((to, request));
        let reply = self.replies.lock().pop_front();
        let reply = reply.unwrap_or_else(|| {
            Ok(CallResponse { status: 200, headers: vec![], body: Bytes::from_static(b"{\"ok\":true}") })
        });
        let (permits, running) = (Arc::clone(&self.permits), Arc::clone(&self.running));
        running.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(running);
        Box::pin(async move {
            let _counted = counted;
            let _permit = permits.acquire().await;
            reply
        })
    }
}

impl Services for Gate {
    fn store(&self) -> &Store {
        &self.store
    }
    fn limiter(&self) -> &Limiter {
        &self.limiter
    }
    fn clock(&self) -> Clock {
        self.clock
    }
    fn seed(&self) -> u64 {
        7
    }
    fn call(&self, upstream: String, request: CallRequest, _: Option<Duration>) -> Called {
        self.reply(upstream, request)
    }
    fn fetch(&self, url: String, request: CallRequest, _: Option<Duration>) -> Called {
        self.reply(url, request)
    }
    fn pick(&self, names: &[String]) -> Option<String> {
        names.iter().find(|name| self.healthy(name)).cloned()
    }
    fn healthy(&self, name: &str) -> bool {
        name != "ill"
    }
    fn log(&self, line: LogLine) {
        self.logs.lock().push(line);
    }
    fn report(&self, report: HookReport) {
        self.reports.lock().push(report);
    }
}

/// Sources with one mount for each file that is not under `lib/`, in the order given.
pub(super) fn sources(files: &[(&str, &str)]) -> Sources {
    let mounts = files.iter().filter(|(name, _)| !name.starts_with("lib/")).enumerate().map(|(at, (file, _))| Mount {
        name: file.trim_end_matches(".lua").to_owned(),
        file: (*file).to_owned(),
        params: serde_json::Map::new(),
        on_error: None,
        line: 10 + at,
    });
    Sources {
        mounts: mounts.collect(),
        files: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<BTreeMap<_, _>>(),
        secrets: Arc::new(|name| (name == "key").then(|| "sk-hidden".to_owned())),
    }
}

/// Policies that must load.
pub(super) fn load(gate: &Arc<Gate>, files: &[(&str, &str)]) -> PolicySet {
    load_with(gate, &sources(files), HostLimits::default())
}

pub(super) fn load_with(gate: &Arc<Gate>, sources: &Sources, limits: HostLimits) -> PolicySet {
    let services: Arc<dyn Services> = gate.clone();
    let compiled = compile(sources, limits).expect("the policies compile");
    compiled.instantiate(services, 1).expect("the policies load")
}

/// What is wrong with policies that must not load.
pub(super) fn faults(sources: &Sources) -> Vec<String> {
    let faults = compile(sources, HostLimits::default()).expect_err("the policies are refused");
    faults.iter().map(Fault::to_string).collect()
}

/// One policy with one hook, whose body is given.
pub(super) fn hook(name: &str, body: &str) -> String {
    let args = match name {
        "on_attempt" => "req, attempt, ctx",
        "on_event" => "ev, ctx",
        "commit" => "ev, a, ctx",
        _ => "req, ctx",
    };
    format!("return policy {{ api = 1, {name} = function({args}) {body} end }}")
}

pub(super) fn with_on_error(mut sources: Sources, on_error: OnError) -> Sources {
    for mount in &mut sources.mounts {
        mount.on_error = Some(on_error);
    }
    sources
}

/// A request with headers and a body that is there.
pub(super) fn request(headers: &[(&str, &str)], body: &str) -> Shared<Request> {
    let mut head = RequestHead::build("POST", b"/v1/chat/completions?a=1", None).expect("a head");
    for (name, value) in headers {
        head.append_header((*name).to_owned(), *value).expect("a header");
    }
    let body = if body.is_empty() { Body::Empty } else { Body::Whole(Bytes::copy_from_slice(body.as_bytes())) };
    Shared::new(Request { head, body })
}

pub(super) fn response(status: u16, body: &str) -> Shared<Response> {
    let head = ResponseHead::build(status, None).expect("a head");
    let served_by = ServedBy::Upstream { upstream: "mlx".to_owned(), endpoint: "a".to_owned() };
    Shared::new(Response {
        head,
        body: Body::Whole(Bytes::copy_from_slice(body.as_bytes())),
        streaming: false,
        committed: false,
        served_by,
    })
}

pub(super) fn begin(set: &PolicySet, request: &Shared<Request>) -> Run {
    set.begin(
        0,
        Facts {
            id: "req-1".to_owned(),
            client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            tls: false,
            dialect: Some(Dialect::OpenAiChat),
            started: Instant::now(),
            deadline: None,
            generation: "abc123".to_owned(),
            request: request.clone(),
            tape: Tape::default(),
        },
    )
}

pub(super) fn body_of(request: &Shared<Request>) -> String {
    String::from_utf8(request.lock().body.bytes().expect("a body").to_vec()).expect("text")
}

/// What `on_request` answers with `respond { text = … }`: a way to look into a policy.
pub(super) async fn text(body: &str) -> String {
    text_with(&Gate::new(), body, &request(&[], "")).await
}

pub(super) async fn text_with(gate: &Arc<Gate>, body: &str, request: &Shared<Request>) -> String {
    let source = hook("on_request", body);
    let set = load(gate, &[("p.lua", &source)]);
    match begin(&set, request).on_request().await {
        Ok(Some(answer)) => String::from_utf8(answer.body.to_vec()).expect("text"),
        Ok(None) => "nil".to_owned(),
        Err(error) => format!("{} {error}", error.status()),
    }
}
