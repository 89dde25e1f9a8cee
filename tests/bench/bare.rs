//! A pingora driver without policies: the yardstick for what the gate's hooks cost (`scripts/bench`).
//!
//! It is the engine at its best for this work: one thread, mimalloc, no checks on heads, no limits. Like the gate, it
//! reads the whole request body, sends it on a pooled connection, passes the response on as it comes, and leaves when
//! the client does.

#![warn(clippy::pedantic)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use clap::Parser;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections kept for reuse; more than the load ever opens.
const POOL: usize = 4096;
const KEEP_ALIVE_SECONDS: u64 = 60;

/// A bare pingora driver: forwards everything to one upstream.
#[derive(Parser)]
struct Arguments {
    /// Where clients connect.
    #[arg(long)]
    listen: SocketAddr,
    /// Where requests go.
    #[arg(long)]
    upstream: SocketAddr,
}

/// Forwards from within `request_filter`, as the gate does.
struct Bare {
    connector: Connector,
    peer: HttpPeer,
}

// === main ===

fn main() {
    let arguments = Arguments::parse();
    let settings = ServerConf { threads: 1, work_stealing: false, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let mut service = http_proxy_service(
        &server.configuration,
        Bare {
            connector: Connector::new(Some(ConnectorOptions::new(POOL))),
            peer: HttpPeer::new(arguments.upstream, false, String::new()),
        },
    );
    service.add_tcp(&arguments.listen.to_string());
    server.add_service(service);
    server.run_forever()
}

// === impl Bare ===

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Error::e_explain(ErrorType::InternalError, "requests end in request_filter")
    }

    async fn request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        session.set_keepalive(Some(KEEP_ALIVE_SECONDS));
        session.as_downstream_mut().set_pipelining_enabled(true);
        let body = read_body(session).await?;
        let (mut upstream, _reused) = self.connector.get_http_session(&self.peer).await?;
        let head = Box::new(session.req_header().clone());
        upstream.write_request_header(head).await?;
        if !body.is_empty() {
            upstream.write_request_body(body, true).await?;
        }
        upstream.finish_request_body().await?;
        relay(session, &mut upstream).await?;
        self.connector.release_http_session(upstream, &self.peer, Some(Duration::from_secs(KEEP_ALIVE_SECONDS))).await;
        Ok(true)
    }
}

/// Reads the whole body. One that came in one piece is not copied.
async fn read_body(session: &mut Session) -> Result<Bytes> {
    let Some(first) = session.read_request_body().await? else {
        return Ok(Bytes::new());
    };
    let mut rest = BytesMut::new();
    while let Some(piece) = session.read_request_body().await? {
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Passes the response on, piece by piece as it comes.
async fn relay(session: &mut Session, upstream: &mut HttpSession) -> Result<()> {
    upstream.read_response_header().await?;
    let Some(head) = upstream.response_header() else {
        return Error::e_explain(ErrorType::InternalError, "the upstream sent no head");
    };
    session.write_response_header(Box::new(head.clone()), false).await?;
    while !upstream.response_done() {
        let piece = tokio::select! {
            biased;
            piece = upstream.read_response_body() => piece?,
            gone = session.as_downstream_mut().read_body_or_idle(true) => {
                gone?;
                return Error::e_explain(ErrorType::ConnectionClosed, "the client left");
            }
        };
        if let Some(piece) = piece {
            session.write_response_body(Some(piece), upstream.response_done()).await?;
        }
    }
    session.write_response_body(None, true).await
}
