//! HTTP/1.1 messages on a socket, read with as little work as both ends of a measurement can do.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use memchr::{memchr, memmem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Room for one read. Idle connections only touch what they were sent.
const READ: usize = 64 * 1024;

/// One connection, whichever end of it.
pub(crate) struct Wire {
    socket: TcpStream,
    /// What was read and not yet used.
    buffer: BytesMut,
}

/// A head as it came, with its empty line.
pub(crate) struct Head(BytesMut);

// === impl Wire ===

impl Wire {
    /// Connects, without delays for small writes.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::new(TcpStream::connect(address).await?)
    }

    /// Takes a connected socket.
    pub(crate) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: BytesMut::new() })
    }

    /// Writes all of it at once.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Reads a head; `None` when the connection ended before it.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(Head(self.buffer.split_to(end + 4))));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Reads the body that `head` announces and gives its pieces to `sink`.
    pub(crate) async fn body(&mut self, head: &Head, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
        if let Some(length) = head.field("content-length") {
            let length = number(length, 10)?;
            return self.take(length, &mut sink).await;
        }
        if head.field("transfer-encoding").is_none() {
            return Ok(());
        }
        loop {
            let size = self.chunk_size().await?;
            self.take(size, &mut sink).await?;
            self.take(2, &mut |_| ()).await?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    /// Waits until something of the body is there.
    pub(crate) async fn more(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { self.expect().await } else { Ok(()) }
    }

    /// Waits until the other end leaves.
    pub(crate) async fn gone(&mut self) -> io::Result<()> {
        while self.fill().await? > 0 {
            self.buffer.clear();
        }
        Ok(())
    }

    /// The size line of a chunk. Extensions are not expected here.
    async fn chunk_size(&mut self) -> io::Result<usize> {
        loop {
            if let Some(end) = memchr(b'\n', &self.buffer) {
                let line = self.buffer.split_to(end + 1);
                return number(line.trim_ascii(), 16);
            }
            self.expect().await?;
        }
    }

    /// Gives the next `length` bytes to `sink`.
    async fn take(&mut self, mut length: usize, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        while length > 0 {
            if self.buffer.is_empty() {
                self.expect().await?;
            }
            let piece = self.buffer.len().min(length);
            sink(self.buffer.get(..piece).unwrap_or_default());
            self.buffer.advance(piece);
            length -= piece;
        }
        Ok(())
    }

    /// Reads more, which must come.
    async fn expect(&mut self) -> io::Result<()> {
        if self.fill().await? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ);
        self.socket.read_buf(&mut self.buffer).await
    }
}

// === impl Head ===

impl Head {
    /// The first line.
    pub(crate) fn start(&self) -> &[u8] {
        self.0.as_ref().split(|&byte| byte == b'\r').next().unwrap_or_default()
    }

    /// The status of a response; 0 when it has none.
    pub(crate) fn status(&self) -> u16 {
        let digits = self.start().split(|&byte| byte == b' ').nth(1).unwrap_or_default();
        std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }

    /// Whether it is the head of a response with status 200.
    pub(crate) fn is_ok(&self) -> bool {
        self.status() == 200
    }

    /// The value of the first field of that name, which is in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let mut rest: &[u8] = &self.0;
        loop {
            rest = rest.get(memchr(b'\n', rest)? + 1..)?;
            let Some((found, after)) = rest.split_at_checked(name.len()) else {
                continue;
            };
            if after.first() == Some(&b':') && found.eq_ignore_ascii_case(name.as_bytes()) {
                let end = memchr(b'\r', after)?;
                return Some(after.get(1..end)?.trim_ascii());
            }
        }
    }
}

/// Reads a number that stands in the message's frame.
fn number(text: &[u8], radix: u32) -> io::Result<usize> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| usize::from_str_radix(text, radix).ok())
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the message has no valid length"))
}
