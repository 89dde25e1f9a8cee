//! Connects to endpoints through pingora's pooling connector and speaks HTTP/1.1 or HTTP/2 on what it gets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Version};
use pingora_core::ErrorType;
use pingora_core::connectors::http::Connector;
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v1::client::HttpSession as Http1Session;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use tokio::time::Instant;

use super::gather::Gather;
use super::resolve::{self, Resolver};
use super::{Endpoint, Upstream};
use crate::error::{Error, Kind};
use crate::exchange::wire::{Connection, Dial};
use crate::message::{RequestHead, ResponseHead};
use crate::settings::Dns;

/// Opens connections with pingora: its pool, its TLS, its HTTP codecs.
pub struct PingoraDial {
    /// For HTTP/2, and for endpoints that may speak either.
    connector: Connector,
    /// For HTTP/1.1.
    transport: TransportConnector,
    resolver: Resolver,
}

/// A connection of pingora's, for one exchange.
pub struct PingoraConnection {
    session: HttpSession,
    peer: Arc<HttpPeer>,
    /// The pool it goes back to.
    home: Arc<PingoraDial>,
    reused: bool,
    /// `:authority` for HTTP/2, which carries no `Host`.
    authority: String,
    scheme: http::uri::Scheme,
    keep_alive: Duration,
    /// The request was not sent to its end yet.
    open: bool,
    /// It was opened apart from the pool, and goes nowhere when it is done.
    fresh: bool,
    /// What has come of the response.
    answer: Answer,
}

/// Which connection is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// From the pool, if one is there.
    Pooled,
    /// A new one, apart from the pool.
    Fresh,
    /// A new one, apart from the pool, that speaks HTTP/1.1.
    Alone,
}

/// What has come of a response, as far as a repetition of the request depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nothing yet.
    Awaited,
    /// A head, interim or final.
    Heard,
    /// Nothing, and the connection is at its end.
    Never,
}

/// How long a connection that is given up may take to say farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// How the engine says that a connection ended before any byte of a response.
const NOTHING_READ: &str = "bytes already read: 0";

/// The shared handle that exchanges dial with.
#[derive(Clone)]
pub struct Dialer(Arc<PingoraDial>);

// === impl Dialer ===

impl Dialer {
    /// A dialer with a pool of `pool` idle connections, that finds names as the settings say.
    pub fn new(pool: usize, dns: &Dns) -> Self {
        let options = ConnectorOptions::new(pool);
        Self(Arc::new(PingoraDial {
            transport: TransportConnector::new(Some(options.clone())),
            connector: Connector::new(Some(options)),
            resolver: Resolver::new(dns),
        }))
    }

    /// A connection for an exchange that may leave HTTP: HTTP/1.1, and apart from the pool.
    pub async fn alone(&self, endpoint: &Endpoint) -> Result<PingoraConnection, Error> {
        self.reach(endpoint, Sort::Alone).await
    }

    /// A connection to the first of an endpoint's addresses that takes one.
    async fn reach(&self, endpoint: &Endpoint, sort: Sort) -> Result<PingoraConnection, Error> {
        match resolve::literal(&endpoint.host, endpoint.port) {
            Some(address) => self.open(endpoint, address, sort).await,
            // Boxed: most have been reached by address or by a kept connection, and all would carry room for it.
            None => Box::pin(self.find(endpoint, sort)).await,
        }
    }

    /// The same by name. The name, and each of its addresses, share the time that connecting may take.
    async fn find(&self, endpoint: &Endpoint, sort: Sort) -> Result<PingoraConnection, Error> {
        let until = Instant::now() + endpoint.connect_timeout;
        let mut addresses = self.0.resolver.resolve(&endpoint.host, endpoint.port, until).await?;
        endpoint.peers.sort(&mut addresses);
        let late = || Error::unreached().with_detail(endpoint.name.clone());
        let mut last = None;
        for (at, address) in addresses.iter().enumerate() {
            let left = until.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
            let opening = self.open(endpoint, *address, sort);
            match tokio::time::timeout(share, opening).await.unwrap_or_else(|_| Err(late())) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
            endpoint.peers.shun(*address);
        }
        Err(last.unwrap_or_else(late))
    }

    async fn open(&self, endpoint: &Endpoint, address: SocketAddr, sort: Sort) -> Result<PingoraConnection, Error> {
        let mut peer = endpoint.peers.at(address, endpoint)?;
        if sort != Sort::Pooled {
            let mut apart = peer.as_ref().clone();
            apart.group_key = fastrand::u64(1..);
            if sort == Sort::Alone {
                apart.options.alpn = ALPN::H1;
            }
            peer = Arc::new(apart);
        }
        let opened = if peer.options.alpn.get_max_http_version() == 1 {
            self.0.plain(peer.as_ref()).await
        } else {
            Box::pin(self.0.connector.get_http_session(peer.as_ref())).await
        };
        let (session, reused) = opened.map_err(|error| translate(&error, endpoint))?;
        Ok(PingoraConnection {
            session,
            peer,
            home: Arc::clone(&self.0),
            reused,
            authority: endpoint.host_header.to_str().unwrap_or_default().to_owned(),
            scheme: endpoint.scheme(),
            keep_alive: endpoint.keep_alive,
            open: true,
            fresh: sort != Sort::Pooled,
            answer: Answer::Awaited,
        })
    }
}

impl PingoraDial {
    /// A connection that speaks HTTP/1.1 only, with our own stream under the engine's codec.
    async fn plain(&self, peer: &HttpPeer) -> pingora_core::Result<(HttpSession, bool)> {
        let (stream, reused) = if let Some(stream) = self.transport.reused_stream(peer).await {
            (stream, true)
        } else {
            // Boxed, as the engine's futures are thousands of bytes that every exchange would carry along.
            let stream = Box::pin(self.transport.new_stream(peer)).await?;
            (Box::new(Gather::new(stream)) as Stream, false)
        };
        Ok((HttpSession::H1(Http1Session::new_with_options(stream, peer)), reused))
    }

    /// Takes a connection back whose response was read to its end.
    async fn take_back(&self, session: HttpSession, peer: &HttpPeer, keep_alive: Duration) {
        match session {
            HttpSession::H1(mut session) if is_ours(&session) => {
                session.respect_keepalive();
                if let Some(stream) = session.reuse().await {
                    self.transport.release_stream(stream, peer.reuse_hash(), Some(keep_alive));
                }
            }
            session => Box::pin(self.connector.release_http_session(session, peer, Some(keep_alive))).await,
        }
    }
}

/// Whether a session is on our own stream.
fn is_ours(session: &Http1Session) -> bool {
    gather(session).is_some()
}

fn gather(session: &Http1Session) -> Option<&Gather> {
    (**session.stream()).as_any().downcast_ref()
}

impl Dial for Dialer {
    type Connection = PingoraConnection;

    async fn connect(
        &self,
        _upstream: &Arc<Upstream>,
        endpoint: &Arc<Endpoint>,
        fresh: bool,
    ) -> Result<PingoraConnection, Error> {
        self.reach(endpoint, if fresh { Sort::Fresh } else { Sort::Pooled }).await
    }
}

// === impl PingoraConnection ===

impl PingoraConnection {
    /// Says that the endpoint's 101 is believed: what is written from here on is another protocol's.
    pub fn switch(&mut self) {
        if let HttpSession::H1(session) = &mut self.session {
            session.maybe_upgrade_body_writer();
        }
    }

    /// Sends bytes of another protocol.
    pub async fn carry(&mut self, piece: Bytes) -> Result<(), Error> {
        let sent = self.session.write_request_body(piece, false).await;
        sent.map_err(|error| translate_io(&error))
    }

    /// Says whether a body is about to follow what was written.
    fn hold(&self, hold: bool) {
        if let HttpSession::H1(session) = &self.session
            && let Some(gather) = gather(session)
        {
            gather.hold(hold);
        }
    }

    /// Gives a head the form of the connection's protocol (RFC 9113 §8.3.1: HTTP/2 has `:authority`, no `Host`).
    fn shape(&self, head: &mut RequestHead) -> Result<(), Error> {
        if matches!(self.session, HttpSession::H1(_)) {
            head.set_version(Version::HTTP_11);
            return Ok(());
        }
        head.set_version(Version::HTTP_2);
        let authority = head
            .remove_header("host")
            .and_then(|host| host.to_str().map(str::to_owned).ok())
            .unwrap_or_else(|| self.authority.clone());
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let uri = http::Uri::builder()
            .scheme(self.scheme.clone())
            .authority(authority)
            .path_and_query(target)
            .build()
            .map_err(|error| Error::gate("the request target cannot be sent").with_detail(error.to_string()))?;
        head.set_uri(uri);
        for name in ["connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection"] {
            head.remove_header(name);
        }
        if head.headers.get("te").is_some_and(|te| te != "trailers") {
            head.remove_header("te");
        }
        Ok(())
    }
}

impl Connection for PingoraConnection {
    fn reused(&self) -> bool {
        self.reused
    }

    fn body_follows(&mut self) {
        self.hold(true);
    }

    async fn send_head(&mut self, mut head: RequestHead, more: bool) -> Result<(), Error> {
        self.shape(&mut head)?;
        let sent = match &mut self.session {
            // Through its own door: the engine's common one leaves a request without a body open.
            HttpSession::H2(session) => session.write_request_header(Box::new(head), !more),
            session => session.write_request_header(Box::new(head)).await,
        };
        if sent.is_err() {
            self.answer = Answer::Never;
        }
        sent.map_err(|error| translate_io(&error))?;
        if !more && matches!(self.session, HttpSession::H1(_)) {
            let ended = self.session.finish_request_body().await;
            ended.map_err(|error| translate_io(&error))?;
        }
        self.open = more;
        Ok(())
    }

    async fn send_body(&mut self, piece: Bytes, end: bool) -> Result<(), Error> {
        if !self.open {
            return Ok(());
        }
        self.hold(false);
        if !piece.is_empty() || (end && matches!(self.session, HttpSession::H2(_))) {
            let sent = self.session.write_request_body(piece, end).await;
            sent.map_err(|error| translate_io(&error))?;
        }
        if end {
            let ended = self.session.finish_request_body().await;
            ended.map_err(|error| translate_io(&error))?;
            self.open = false;
        }
        Ok(())
    }

    async fn read_head(&mut self) -> Result<ResponseHead, Error> {
        let read = self.session.read_response_header().await;
        if let Err(error) = &read
            && self.answer == Answer::Awaited
            && error.to_string().contains(NOTHING_READ)
        {
            self.answer = Answer::Never;
        }
        read.map_err(|error| translate_io(&error))?;
        self.answer = Answer::Heard;
        self.session
            .response_header()
            .cloned()
            .ok_or_else(|| Error::upstream(Kind::Garbage, "the upstream sent no response head"))
    }

    async fn read_body(&mut self) -> Result<Option<Bytes>, Error> {
        let read = self.session.read_response_body().await;
        read.map_err(|error| translate_io(&error))
    }

    fn untouched(&self) -> bool {
        self.answer == Answer::Never
    }

    fn response_done(&mut self) -> bool {
        match &mut self.session {
            // A stream that was reset looks ended too: the next read tells which it is.
            HttpSession::H2(session) => session.check_response_end_or_error().unwrap_or(false),
            session => session.response_done(),
        }
    }

    async fn read_trailers(&mut self) -> Result<Option<HeaderMap<HeaderValue>>, Error> {
        match &mut self.session {
            HttpSession::H2(session) => session.read_trailers().await.map_err(|error| translate_io(&error)),
            _ => Ok(None),
        }
    }

    async fn release(mut self, clean: bool) {
        let http1 = matches!(self.session, HttpSession::H1(_));
        // A request that was not sent to its end would take the next one on the connection for its rest.
        let clean = clean && !self.open && !(http1 && self.fresh);
        if !clean {
            // Over TLS a peer that reads nothing could hold this up for ever.
            let _ = tokio::time::timeout(FAREWELL, self.session.shutdown()).await;
        }
        if clean || !http1 {
            let home = Arc::clone(&self.home);
            home.take_back(self.session, self.peer.as_ref(), self.keep_alive).await;
        }
    }
}

/// An error while connecting, in our words.
fn translate(error: &pingora_core::Error, endpoint: &Endpoint) -> Error {
    let detail = format!("{}: {error}", endpoint.name);
    let (kind, message) = match error.etype() {
        ErrorType::ConnectTimedout => return Error::unreached().with_detail(detail),
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => (Kind::Tls, "TLS with the upstream failed"),
        _ => (Kind::Connect, "the upstream could not be connected to"),
    };
    Error::upstream(kind, message).with_detail(detail)
}

/// An error on an open connection, in our words.
fn translate_io(error: &pingora_core::Error) -> Error {
    let (kind, message) = match error.etype() {
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => (Kind::Timeout, "the upstream took too long"),
        ErrorType::InvalidHTTPHeader
        | ErrorType::H1Error
        | ErrorType::InvalidH2
        | ErrorType::Custom("InvalidChunk") => (Kind::Garbage, "the upstream did not keep to HTTP"),
        _ => (Kind::Reset, "the upstream broke off the connection"),
    };
    Error::upstream(kind, message).with_detail(error.to_string())
}
