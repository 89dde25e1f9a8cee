//! The engine's callbacks, in the order it calls them: a few lines each that hand over to the exchange.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use http::{HeaderValue, StatusCode, Version};
use pingora_core::protocols::http::ServerSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error as EngineError, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use super::client::{WireClient, stream_of};
use super::guard::{Refusal, refusal_header};
use super::upgrade;
use crate::dialect::Dialect;
use crate::error::{Error, Kind};
use crate::exchange::begin::{Arrival, begin};
use crate::exchange::{self, End, Exchange, Peer, Reason, finish};
use crate::gate::Gate;
use crate::message::{Body, RequestHead};
use crate::policy::Hook;
use crate::upstream::dial::Dialer;

/// The gate behind the engine's callbacks.
pub struct Edge {
    gate: Arc<Gate<Dialer>>,
}

/// What an exchange leaves for the engine's own flow: only upgrades are carried on there.
#[derive(Default)]
pub struct Carried(Option<Box<Upgrade>>);

/// An exchange that asks to leave HTTP, and where it goes.
struct Upgrade {
    exchange: Exchange,
    peer: Box<HttpPeer>,
    head: RequestHead,
}

// === impl Edge ===

impl Edge {
    /// Serves `gate`.
    pub fn new(gate: Arc<Gate<Dialer>>) -> Self {
        Self { gate }
    }

    /// Begins an exchange with the request that the engine has read.
    fn begin(&self, session: &mut Session) -> Exchange {
        let peer = peer_of(&session.downstream_session);
        let empty = session.downstream_session.is_body_empty();
        let mut head = session.req_header().clone();
        let body = match refusal(&mut head) {
            Some(error) => Body::Failed(error),
            None if empty => Body::Empty,
            None => Body::Unread,
        };
        let host = host_of(&head);
        origin_form(&mut head);
        begin(&self.gate, Arrival { peer, head, body, host, worker: worker() })
    }

    /// Prepares an upgrade for the engine's own flow.
    async fn carry(&self, session: &mut Session, mut exchange: Exchange) -> Result<Carried> {
        match upgrade::prepare(&self.gate.dial, &mut exchange).await {
            Ok((peer, head)) => {
                exchange.sent.reason = Some(Reason::Upgraded);
                Ok(Carried(Some(Box::new(Upgrade { exchange, peer, head }))))
            }
            Err(error) => {
                let mut client = WireClient::new(session);
                let end = exchange::fail::answer(&self.gate, &mut client, &mut exchange, error).await;
                stayed(session);
                finish::settle(&self.gate, exchange);
                if end == End::Broken {
                    EngineError::e_explain(ErrorType::ConnectionClosed, "broken off")
                } else {
                    Ok(Carried(None))
                }
            }
        }
    }
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Carried;

    fn new_ctx(&self) -> Carried {
        Carried::default()
    }

    /// Connection policy. The engine's own keep-alive is endless after the first request, so it is set on each.
    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut Carried) -> Result<()> {
        let live = self.gate.live.load();
        let limits = &live.settings.limits;
        let wire = &mut session.downstream_session;
        if wire.get_keepalive().is_some() {
            wire.set_keepalive(Some(limits.keep_alive.as_secs().max(1)));
        }
        wire.set_pipelining_enabled(true);
        wire.set_read_timeout(Some(limits.body_idle));
        wire.set_write_timeout(Some(limits.body_idle));
        wire.set_total_drain_timeout(Some(limits.drain));
        let llm = Dialect::of_path(session.req_header().uri.path()).is_some();
        session.downstream_session.set_abort_on_close(llm);
        Ok(())
    }

    /// The whole exchange happens here. `Ok(true)`: answered; `Ok(false)`: an upgrade goes on in the engine's flow.
    async fn request_filter(&self, session: &mut Session, ctx: &mut Carried) -> Result<bool> {
        let asks = session.req_header().headers.contains_key("upgrade");
        let mut exchange = self.begin(session);
        if asks && !exchange.upgrade {
            stayed(session);
        }
        self.gate.metrics.begun(1);
        let mut client = WireClient::new(session);
        let served = AssertUnwindSafe(exchange::serve(&*self.gate, &mut client, &mut exchange)).catch_unwind().await;
        self.gate.metrics.begun(-1);
        let end = served.unwrap_or_else(|_| {
            exchange.sent.reason = Some(Reason::Limit);
            exchange.sent.error = Some(Error::gate("the gate made a mistake"));
            End::Broken
        });
        match end {
            End::Answered => {
                if exchange.upgrade {
                    stayed(session);
                }
                finish::settle(&self.gate, exchange);
                Ok(true)
            }
            End::Broken => {
                finish::settle(&self.gate, exchange);
                EngineError::e_explain(ErrorType::ConnectionClosed, "broken off")
            }
            End::Upgrade => {
                *ctx = self.carry(session, exchange).await?;
                Ok(ctx.0.is_none())
            }
        }
    }

    async fn upstream_peer(&self, _session: &mut Session, ctx: &mut Carried) -> Result<Box<HttpPeer>> {
        match &ctx.0 {
            Some(upgrade) => Ok(upgrade.peer.clone()),
            None => Err(EngineError::explain(ErrorType::InternalError, "no plan")),
        }
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Carried,
    ) -> Result<()> {
        if let Some(upgrade) = &ctx.0 {
            let mut head = upgrade.head.clone();
            for name in ["connection", "upgrade"] {
                if let Some(value) = request.headers.get(name).cloned() {
                    head.insert_header(name, value)?;
                }
            }
            *request = head;
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Carried,
    ) -> Result<()> {
        if let Some(stream) = stream_of(&session.downstream_session) {
            if response.status == StatusCode::SWITCHING_PROTOCOLS {
                stream.switched();
            } else if !response.status.is_informational() {
                stream.stayed();
            }
        }
        if let Some(upgrade) = &mut ctx.0 {
            let policies = &upgrade.exchange.generation.policies;
            let hooked = policies.has(Hook::OnResponse) || policies.has(Hook::OnEvent);
            if hooked && response.status.is_success() {
                // Not an upgrade after all: it must not slip past the hooks that ordinary responses go through.
                return Err(EngineError::explain(ErrorType::InvalidHTTPHeader, "the upstream did not upgrade"));
            }
            upgrade.exchange.sent.status = Some(response.status.as_u16());
            upgrade.exchange.sent.head_after = Some(upgrade.exchange.elapsed());
        }
        Ok(())
    }

    /// Only upgrades come here with something to say: the client gets the gate's own error, if nothing was sent.
    async fn fail_to_proxy(&self, session: &mut Session, error: &EngineError, ctx: &mut Carried) -> FailToProxy {
        if let Some(upgrade) = &mut ctx.0
            && session.response_written().is_none()
        {
            let failure =
                Error::upstream(Kind::Connect, "the upstream could not be reached").with_detail(error.to_string());
            let mut client = WireClient::new(session);
            exchange::fail::answer(&self.gate, &mut client, &mut upgrade.exchange, failure).await;
        }
        FailToProxy { error_code: 0, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&EngineError>, ctx: &mut Carried) {
        if let Some(upgrade) = ctx.0.take() {
            let mut exchange = upgrade.exchange;
            exchange.sent.bytes = session.body_bytes_sent() as u64;
            finish::settle(&self.gate, exchange);
        }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Carried, _error: &EngineError) -> bool {
        true
    }
}

/// Tells the guard that an upgrade was answered with anything but 101: what waits behind it is the next request.
fn stayed(session: &Session) {
    if let Some(stream) = stream_of(&session.downstream_session) {
        stream.stayed();
    }
}

/// What is known of the connection that a session is on.
fn peer_of(session: &ServerSession) -> Peer {
    let version = session.req_header().version;
    if let Some(stream) = stream_of(session) {
        return Peer { ip: stream.peer().ip(), tls: stream.is_tls(), version };
    }
    let ip = session
        .client_addr()
        .and_then(|address| address.as_inet())
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip);
    let tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    Peer { ip, tls, version }
}

/// The refusal that the guard put in place of a head, if it did.
fn refusal(head: &mut RequestHead) -> Option<Error> {
    let value = head.remove_header(refusal_header())?;
    let (status, reason) = Refusal::parse(value.to_str().ok()?)?;
    let kind = if status == 408 { Kind::Timeout } else { Kind::BadRequest };
    Some(Error::client(kind, status, reason))
}

/// `Host`, or `:authority` in HTTP/2.
fn host_of(head: &RequestHead) -> Option<HeaderValue> {
    head.headers.get("host").cloned().or_else(|| HeaderValue::from_str(head.uri.authority()?.as_str()).ok())
}

/// Gives an HTTP/2 request the form in which it goes on: the target without scheme and authority.
fn origin_form(head: &mut RequestHead) {
    if head.version == Version::HTTP_2 {
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        if let Ok(uri) = http::Uri::try_from(target) {
            head.set_uri(uri);
        }
        head.set_version(Version::HTTP_11);
    }
}

/// A number for the thread at work, so that an exchange stays on one of its VMs.
fn worker() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    MINE.with(|mine| *mine)
}
