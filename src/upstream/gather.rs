//! An upstream's connection that sends a request's head and the body behind it in one write: the engine flushes
//! between them, and a system call costs a quarter of a small exchange.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes are gathered up to this many; more go out as they are.
const GATHER: usize = 16 * 1024;

/// A connection to an endpoint.
pub(super) struct Gather {
    inner: Stream,
    /// Bytes on their way out.
    out: BytesMut,
    /// A body is about to follow: until it comes, flushing has to wait.
    hold: AtomicBool,
}

// === impl Gather ===

impl Gather {
    /// Takes a connection that the engine opened.
    pub(super) fn new(inner: Stream) -> Self {
        Self { inner, out: BytesMut::new(), hold: AtomicBool::new(false) }
    }

    /// Says whether a body is about to follow what was written.
    pub(super) fn hold(&self, hold: bool) {
        self.hold.store(hold, Ordering::Relaxed);
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what was gathered, unless it has to wait. What cannot go out now goes with the next write or flush.
    fn poll_pass(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.hold.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.poll_out(cx) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => match Pin::new(&mut self.inner).poll_flush(cx) {
                Poll::Ready(Err(error)) => Err(error),
                _ => Ok(()),
            },
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Gather {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gather {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.out.len() + buf.len() > GATHER {
            ready!(self.poll_out(cx))?;
            return Pin::new(&mut self.inner).poll_write(cx, buf);
        }
        self.out.extend_from_slice(buf);
        self.poll_pass(cx)?;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.out.len() + total > GATHER {
            ready!(self.poll_out(cx))?;
            return Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        }
        for buf in bufs {
            self.out.extend_from_slice(buf);
        }
        self.poll_pass(cx)?;
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.hold.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("waiting", &self.out.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Shutdown for Gather {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for Gather {
    fn id(&self) -> i32 {
        self.inner.id()
    }
}

impl Ssl for Gather {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Gather {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for Gather {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for Gather {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl Peek for Gather {}
