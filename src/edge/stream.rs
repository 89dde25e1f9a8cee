//! A client's connection as the engine sees it: guarded on the way in, gathered into few writes on the way out.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use memchr::memmem;
use parking_lot::Mutex;
use pingora_core::protocols::l4::socket::SocketAddr as EngineAddr;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::guard::{Guarded, H2_PREFACE, Limits};
use super::head_edit::HeadEdit;

/// Writes are gathered up to this many bytes before they go out.
const GATHER: usize = 16 * 1024;

/// How the engine ends the line that announces a chunked body.
static CHUNKED: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"chunked\r\n"));

/// The connection under the guard.
pub enum Transport {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection.
pub struct ClientStream {
    guarded: Guarded<Transport>,
    /// Bytes on their way out.
    out: BytesMut,
    /// What the head about to be written should say instead; set by the exchange, taken by the write.
    edit: Mutex<Option<HeadEdit>>,
    /// How the body after the last head is passed on.
    pass: Pass,
    peer: SocketAddr,
    digest: Arc<SocketDigest>,
    tls: bool,
    h2: bool,
}

/// How written bytes are passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Gathered until the engine flushes: chunked bodies, HTTP/2.
    OnFlush,
    /// At once, together with the head that waits: bodies of a known length, which the engine flushes only at
    /// their end.
    AtOnce,
}

// === impl ClientStream ===

impl ClientStream {
    /// A connection that was just accepted.
    pub fn new(transport: Transport, peer: SocketAddr, limits: Limits, h2c: bool) -> Self {
        let fd = transport.socket().as_raw_fd();
        let digest = SocketDigest::from_raw_fd(fd);
        let _ = digest.peer_addr.set(Some(EngineAddr::Inet(peer)));
        let tls = matches!(transport, Transport::Tls(_));
        let h2 = transport.agreed_on_h2();
        let guarded = if h2 { Guarded::transparent(transport) } else { Guarded::new(transport, limits, h2c && !tls) };
        Self {
            guarded,
            out: BytesMut::new(),
            edit: Mutex::new(None),
            pass: Pass::OnFlush,
            peer,
            digest: Arc::new(digest),
            tls,
            h2,
        }
    }

    /// The address at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether it is under TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Says what the next head should say instead of the engine's own lines.
    pub fn edit_head(&self, edit: HeadEdit) {
        *self.edit.lock() = Some(edit);
    }

    /// Says that the client's upgrade was answered with 101.
    pub fn switched(&self) {
        self.guarded.switched();
    }

    /// Says that the client's upgrade was not.
    pub fn stayed(&self) {
        self.guarded.stayed();
    }

    /// Takes a head: it waits for the body, or for the engine's flush.
    fn take_head(&mut self, head: &[u8], edit: &HeadEdit) {
        let chunked = CHUNKED.find(head).is_some();
        self.pass = if chunked { Pass::OnFlush } else { Pass::AtOnce };
        edit.apply(head, &mut self.out);
    }

    /// Writes out what was gathered.
    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(self.guarded.get_mut()).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // The engine listens to the client because nothing is to be said: a head that waits for its body goes out now.
        if !self.out.is_empty()
            && let Poll::Ready(Err(error)) = self.as_mut().poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.guarded).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.starts_with(b"HTTP/1.") && !buf.starts_with(b"HTTP/1.1 1") {
            let edit = self.edit.lock().take();
            if let Some(edit) = edit {
                self.take_head(buf, &edit);
                return Poll::Ready(Ok(buf.len()));
            }
        }
        if self.out.len() + buf.len() <= GATHER {
            self.out.extend_from_slice(buf);
            if self.pass == Pass::AtOnce {
                // What cannot go out now stays gathered; the next write or flush takes it along.
                if let Poll::Ready(Err(error)) = self.poll_out(cx) {
                    return Poll::Ready(Err(error));
                }
            }
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(self.poll_out(cx))?;
        Pin::new(self.guarded.get_mut()).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(self.guarded.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(self.guarded.get_mut()).poll_shutdown(cx)
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").field("peer", &self.peer).field("tls", &self.tls).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        let _ = tokio::io::AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> i32 {
        self.guarded.get_ref().socket().as_raw_fd()
    }
}

impl Ssl for ClientStream {
    /// Tells the engine that ALPN decides about HTTP/2 here.
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.then(|| Arc::new(SslDigest::new("", "", None, None, Vec::new())))
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.h2.then_some(ALPN::H2)
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }

    fn get_read_pending_time(&self) -> Duration {
        Duration::ZERO
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

#[async_trait]
impl Peek for ClientStream {
    /// Tells the engine whether the client speaks HTTP/2 from the first byte, with as few bytes as it takes.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        let preface = self.guarded.is_h2_preface().await?;
        if preface && buf.len() == H2_PREFACE.len() {
            buf.copy_from_slice(H2_PREFACE);
        } else {
            buf.fill(0);
        }
        Ok(true)
    }
}

// === impl Transport ===

impl Transport {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Tcp(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    fn agreed_on_h2(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
