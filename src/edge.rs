//! Bytes in: listeners, TLS, connection limits, and the engine's server side. The only room that knows pingora's.

pub mod client;

pub mod guard;

pub mod head_edit;

pub mod proxy;

pub mod stream;

pub mod tls;

mod upgrade;

pub mod local;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::{HttpServerApp, HttpServerOptions, ServerApp};
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::gate::Gate;
use crate::upstream::dial::Dialer;
use proxy::Edge;
use stream::{ClientStream, Transport};

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long to pause after the system refused a connection: it is out of files, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound address, ready to be served.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    h2c: bool,
}

/// The listening side of a running gate.
pub struct Server {
    gate: Arc<Gate<Dialer>>,
    proxy: Arc<HttpProxy<Edge>>,
    h2c_proxy: Arc<HttpProxy<Edge>>,
    /// Connections at once, over all listeners.
    connections: Arc<Semaphore>,
    /// Every open connection.
    tracker: TaskTracker,
    /// True once no new exchange may begin.
    closing: watch::Sender<bool>,
}

// === impl Listener ===

impl Listener {
    /// Binds an address. With `tls`, connections are under TLS and may speak HTTP/2.
    pub async fn bind(address: SocketAddr, tls: Option<TlsAcceptor>, h2c: bool) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        Ok(Self { socket, tls, h2c })
    }

    /// The address bound, with the port that the system chose for port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

// === impl Server ===

impl Server {
    /// Prepares to serve `gate` on at most `connections` connections at once.
    pub fn new(gate: Arc<Gate<Dialer>>, connections: usize) -> Self {
        let conf = Arc::new(ServerConf::default());
        // The engine counts the requests after the first.
        let keep_alive = gate.live.load().settings.limits.keep_alive;
        let per_connection = gate.live.load().settings.limits.requests_per_connection.checked_sub(1);
        let build = |h2c: bool| {
            let mut proxy = http_proxy(&conf, Edge::new(Arc::clone(&gate)));
            let mut options = HttpServerOptions::default();
            options.h2c = h2c;
            options.keepalive_request_limit = per_connection;
            options.h2_idle_timeout = Some(keep_alive);
            proxy.server_options = Some(options);
            Arc::new(proxy)
        };
        Self {
            proxy: build(false),
            h2c_proxy: build(true),
            connections: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            tracker: TaskTracker::new(),
            closing: watch::Sender::new(false),
            gate,
        }
    }

    /// Accepts connections until [`Server::close`]. At the limit further ones wait in the system's queue.
    pub async fn accept(self: Arc<Self>, listener: Listener) {
        // The socket is closed with this loop, so that nobody waits at a gate that drains.
        let Listener { socket: listening, tls, h2c } = listener;
        let mut closing = self.closing.subscribe();
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&self.connections).acquire_owned() => permit,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            let accepted = tokio::select! {
                accepted = listening.accept() => accepted,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            match accepted {
                Ok((socket, peer)) => {
                    let server = Arc::clone(&self);
                    let tls = tls.clone();
                    self.tracker.spawn(async move {
                        server.connection(tls, h2c, socket, peer).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await; // paced: the system is out of files
                }
            }
        }
    }

    /// Serves one connection to its end.
    async fn connection(&self, tls: Option<TlsAcceptor>, h2c: bool, socket: TcpStream, peer: SocketAddr) {
        let _ = socket.set_nodelay(true);
        let limits = self.gate.live.load().settings.limits.guard();
        let transport = match tls {
            None => Transport::Tcp(socket),
            Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(socket)).await {
                Ok(Ok(tls)) => Transport::Tls(Box::new(tls)),
                Ok(Err(_)) | Err(_) => return,
            },
        };
        self.gate.metrics.connection(1);
        let stream = Box::new(ClientStream::new(transport, peer, limits, h2c));
        let proxy = if h2c { &self.h2c_proxy } else { &self.proxy };
        let _ = proxy.process_new(stream, &self.closing.subscribe()).await;
        self.gate.metrics.connection(-1);
    }

    /// Stops accepting, lets exchanges under way finish within `grace`, and tells whether all did.
    pub async fn close(&self, grace: Duration) -> bool {
        self.closing.send_replace(true);
        self.proxy.http_cleanup().await;
        self.h2c_proxy.http_cleanup().await;
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.tracker.len()
    }
}
