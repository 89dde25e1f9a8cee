//! HTTP/2 at either end, and certificates for TLS made for one test.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Longer than any answer should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate of its own making, and its key, as PEM.
pub(crate) struct Certificate {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// An answer that came over HTTP/2.
pub(crate) struct Said {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// How the body broke off, if it did.
    pub(crate) broken: Option<h2::Error>,
}

/// Runs a test's client or upstream on this thread; fails when it takes too long.
pub(crate) fn run<F: Future>(part: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, part).await.expect("it takes too long") })
}

// === impl Certificate ===

impl Certificate {
    /// A certificate for a name, trusted by whoever trusts itself.
    pub(crate) fn of(name: &str) -> Self {
        let CertifiedKey { cert, signing_key }: CertifiedKey<KeyPair> =
            rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        Self { cert: cert.pem(), key: signing_key.serialize_pem() }
    }

    /// What a server with it agrees on connections with; `protocols` are offered.
    pub(crate) fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let chain = vec![CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut settings = builder.with_single_cert(chain, key).unwrap();
        settings.alpn_protocols = names(protocols);
        TlsAcceptor::from(Arc::new(settings))
    }

    /// Connects to a server as a client that trusts it and asks for `name`.
    pub(crate) async fn connect(&self, address: SocketAddr, name: &str, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut settings = builder.with_root_certificates(trusted).with_no_client_auth();
        settings.alpn_protocols = names(protocols);
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(settings)).connect(name, stream).await.unwrap()
    }
}

fn names(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Speaks HTTP/2 on a connection from its first byte.
pub(crate) async fn client<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

/// Speaks HTTP/2 without TLS.
pub(crate) async fn plain(address: SocketAddr) -> SendRequest<Bytes> {
    client(TcpStream::connect(address).await.unwrap()).await
}

/// A request for a path.
pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://gate.test{path}"))
}

/// Sends a request with a body, when it is not empty, and reads the answer to its end.
pub(crate) async fn ask(client: &mut SendRequest<Bytes>, request: http::request::Builder, body: &str) -> Said {
    let request = request.body(()).unwrap();
    let (response, mut upload) = client.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        upload.send_data(Bytes::from(body.to_owned()), true).unwrap();
    }
    let (head, body) = response.await.unwrap().into_parts();
    read(head, body).await
}

/// Reads an answer to its end.
pub(crate) async fn read(head: http::response::Parts, mut stream: RecvStream) -> Said {
    let mut said = Said { head, body: Vec::new(), trailers: None, broken: None };
    while let Some(piece) = stream.data().await {
        match piece {
            Ok(piece) => {
                let _ = stream.flow_control().release_capacity(piece.len());
                said.body.extend_from_slice(&piece);
            }
            Err(error) => {
                said.broken = Some(error);
                return said;
            }
        }
    }
    said.trailers = stream.trailers().await.unwrap_or_default();
    said
}

/// An HTTP/2 upstream. Each request is served by `act`, which gets the request and where the answer goes.
pub(crate) async fn upstream<A, F>(tls: Option<TlsAcceptor>, act: A) -> SocketAddr
where
    A: Fn(Request<RecvStream>, SendResponse<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let act = Arc::new(act);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (act, tls) = (Arc::clone(&act), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(socket, act).await,
                    Some(tls) => {
                        if let Ok(socket) = tls.accept(socket).await {
                            serve(socket, act).await;
                        }
                    }
                }
            });
        }
    });
    address
}

async fn serve<S, A, F>(socket: S, act: Arc<A>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(act(request, respond));
    }
}

/// Begins an answer with status 200 and headers.
pub(crate) fn begin(respond: &mut SendResponse<Bytes>, headers: &[(&str, &str)]) -> SendStream<Bytes> {
    let head = headers.iter().fold(Response::builder(), |head, (name, value)| head.header(*name, *value));
    respond.send_response(head.body(()).unwrap(), false).unwrap()
}
