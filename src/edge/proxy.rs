//! The engine's callbacks, in the order it calls them: a few lines each that hand over to the exchange.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use http::{HeaderValue, Version};
use pingora_core::protocols::http::ServerSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error as EngineError, ErrorType, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use super::client::{WireClient, stream_of};
use super::guard::{Refusal, refusal_header};
use super::upgrade;
use crate::dialect::Dialect;
use crate::error::{Error, Kind};
use crate::exchange::begin::{Arrival, begin};
use crate::exchange::{self, End, Exchange, Peer, Reason, finish, refresh};
use crate::gate::Gate;
use crate::message::{Body, RequestHead};
use crate::upstream::dial::Dialer;

/// The gate behind the engine's callbacks.
pub struct Edge {
    gate: Arc<Gate<Dialer>>,
}

// === impl Edge ===

impl Edge {
    /// Serves `gate`.
    pub fn new(gate: Arc<Gate<Dialer>>) -> Self {
        Self { gate }
    }

    /// Begins an exchange with the request that the engine has read, unless it is `refused` as a whole.
    fn begin(gate: &Gate<Dialer>, session: &mut Session, refused: Option<&Error>) -> Exchange {
        let peer = peer_of(&session.downstream_session);
        let empty = session.downstream_session.is_body_empty();
        let mut head = session.req_header().clone();
        let body = match refusal(&mut head).or_else(|| refused.cloned()) {
            Some(error) => Body::Failed(error),
            None if empty => Body::Empty,
            None => Body::Unread,
        };
        let host = host_of(&head);
        origin_form(&mut head);
        begin(gate, Arrival { peer, head, body, host, worker: worker(), replay: None })
    }

    /// The whole exchange.
    async fn serve(gate: &Gate<Dialer>, session: &mut Session, exchange: &mut Exchange) -> End {
        let end = exchange::serve(gate, &mut WireClient::new(session), exchange).await;
        // Boxed: every exchange would carry room for it.
        if end == End::Upgrade { Box::pin(upgrade::serve(gate, session, exchange)).await } else { end }
    }
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = ();

    fn new_ctx(&self) {}

    /// Connection policy. The engine's own keep-alive is endless after the first request, so it is set on each.
    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<()> {
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

    /// The whole exchange happens here; nothing is left for the engine's own flow.
    async fn request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        let asks = session.req_header().headers.contains_key("upgrade");
        let asked = self.gate.lanes.asked(&session.req_header().headers, self.gate.clock);
        let lane = asked.as_ref().ok().and_then(Option::as_ref);
        let gate = lane.map_or(&self.gate, |lane| &lane.gate);
        let mut exchange = Self::begin(gate, session, asked.as_ref().err());
        if asks && !exchange.upgrade {
            stayed(session);
        }
        gate.metrics.begun(1);
        let served = AssertUnwindSafe(Self::serve(gate, session, &mut exchange)).catch_unwind().await;
        gate.metrics.begun(-1);
        let end = served.unwrap_or_else(|_| {
            exchange.sent.reason = Some(Reason::Limit);
            exchange.sent.error = Some(Error::gate("the gate made a mistake"));
            End::Broken
        });
        if exchange.upgrade {
            stayed(session);
        }
        let again = refresh::prepare(gate, &exchange);
        finish::settle(gate, exchange);
        if let Some(again) = again {
            let gate = Arc::clone(gate);
            tokio::spawn(async move { refresh::run(&gate, again).await });
        }
        if end == End::Answered { Ok(true) } else { EngineError::e_explain(ErrorType::ConnectionClosed, "broken off") }
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        EngineError::e_explain(ErrorType::InternalError, "every exchange ends before this")
    }

    /// What there was to say was said by the exchange itself.
    async fn fail_to_proxy(&self, _session: &mut Session, _error: &EngineError, _ctx: &mut ()) -> FailToProxy {
        FailToProxy { error_code: 0, can_reuse_downstream: false }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &(), _error: &EngineError) -> bool {
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
