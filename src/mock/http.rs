//! Reads HTTP/1 requests from a socket and keeps its raw bytes at hand, because faults need more say over the wire
//! than a server library gives.

use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// One connection.
pub(super) struct Wire {
    /// The socket; dropped at the end of the connection.
    pub(super) stream: TcpStream,
    /// What was read and not yet used: at most one request, then the start of those pipelined behind it.
    pub(super) input: BytesMut,
    /// What is to be written next; kept so that its memory serves all answers of the connection.
    pub(super) out: Vec<u8>,
}

/// What the head of a request says about the request's bytes and its answer's.
pub(super) struct Head {
    /// The head's length in the input, its empty line included.
    pub(super) len: usize,
    /// As received.
    pub(super) method: String,
    /// Path and query, as received.
    pub(super) target: String,
    /// HTTP/1.1, so that the answer may be chunked.
    pub(super) modern: bool,
    /// Whether another request may follow.
    pub(super) keep_alive: bool,
    /// How the body is framed.
    pub(super) framing: Framing,
    /// Whether the client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    pub(super) expects: bool,
    /// The values of all `x-mock-fault` headers, joined by `;`.
    pub(super) faults: String,
}

/// How a request's body is framed (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    /// By its length in bytes; 0 when there is none.
    Length(usize),
    /// In chunks.
    Chunked,
}

/// A body that was read whole.
pub(super) struct Received {
    /// The body when it had to be put together from chunks.
    pub(super) joined: Option<Vec<u8>>,
    /// The body's place in the input, when it stands there in one piece.
    pub(super) place: Range<usize>,
    /// Where the request ends in the input.
    pub(super) end: usize,
}

/// Why no request could be read.
pub(super) enum ReadError {
    /// The connection broke or the client left.
    Gone,
    /// The client is told this status and why, and the connection is closed.
    Refused(u16, &'static str),
}

/// The longest head that is read, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most header fields that a head may have.
const MAX_FIELDS: usize = 128;
/// The longest body that is read, in bytes: it is kept in memory.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// How much a client may send ahead while its answer is still under way.
const MAX_AHEAD: usize = 64 * 1024;
/// The most that is made room for before it has arrived.
const MAX_RESERVE: usize = 1024 * 1024;

// === impl Wire ===

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, input: BytesMut::with_capacity(8 * 1024), out: Vec::with_capacity(4 * 1024) }
    }

    /// The next request's head, left in the input; `None` when the client closed between two requests.
    pub(super) async fn head(&mut self) -> Result<Option<Head>, ReadError> {
        let mut searched = 0;
        loop {
            if searched == 0 {
                self.skip_empty_lines();
            }
            if let Some(at) = memmem::find(self.input.get(searched..).unwrap_or_default(), b"\r\n\r\n") {
                return Head::parse(self.input.get(..searched + at + 4).unwrap_or_default()).map(Some);
            }
            if self.input.len() > MAX_HEAD {
                return Err(ReadError::Refused(431, "the head of the request is too long"));
            }
            searched = self.input.len().saturating_sub(3);
            match self.fill().await {
                Ok(0) if self.input.is_empty() => return Ok(None),
                Ok(0) | Err(_) => return Err(ReadError::Gone),
                Ok(_) => {}
            }
        }
    }

    /// Reads the body of the request whose head stands in the input, asking for it when the client waits to be asked.
    pub(super) async fn body(&mut self, head: &Head) -> Result<Received, ReadError> {
        if head.expects && self.input.len() == head.len && head.framing != Framing::Length(0) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| ReadError::Gone)?;
        }
        match head.framing {
            Framing::Length(len) if len > MAX_BODY => Err(TOO_LARGE),
            Framing::Length(len) => {
                let end = head.len + len;
                self.fill_to(end).await?;
                Ok(Received { joined: None, place: head.len..end, end })
            }
            Framing::Chunked => self.chunks(head.len).await,
        }
    }

    /// Forgets the first `count` bytes of the input.
    pub(super) fn consume(&mut self, count: usize) {
        self.input.advance(count.min(self.input.len()));
    }

    /// Writes what is due, in pieces of `piece` bytes with a rest of `gap` between two; 0 is all at once.
    pub(super) async fn flush(&mut self, piece: usize, gap: Duration) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        let pieces = out.chunks(if piece == 0 { out.len().max(1) } else { piece });
        for (index, bytes) in pieces.enumerate() {
            if index > 0 {
                self.rest(gap).await?;
            }
            self.stream.write_all(bytes).await?;
        }
        self.out = out;
        self.out.clear();
        Ok(())
    }

    /// Lets time pass while watching the client, whose leaving is an error. No time still lets other tasks run.
    pub(super) async fn rest(&mut self, time: Duration) -> io::Result<()> {
        if time.is_zero() {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let end = Instant::now() + time;
        while self.input.len() < MAX_AHEAD {
            match timeout_at(end, self.fill()).await {
                Err(_) => return Ok(()),
                Ok(Ok(0)) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) => {}
            }
        }
        tokio::time::sleep_until(end).await;
        Ok(())
    }

    /// Waits until the client leaves; what it sends until then is thrown away.
    pub(super) async fn until_gone(&mut self) {
        while matches!(self.fill().await, Ok(read) if read > 0) {
            self.input.clear();
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.input).await
    }

    async fn fill_to(&mut self, len: usize) -> Result<(), ReadError> {
        while self.input.len() < len {
            self.input.reserve((len - self.input.len()).min(MAX_RESERVE));
            if !matches!(self.fill().await, Ok(read) if read > 0) {
                return Err(ReadError::Gone);
            }
        }
        Ok(())
    }

    /// Empty lines before a request are to be ignored (RFC 9112 §2.2).
    fn skip_empty_lines(&mut self) {
        while self.input.starts_with(b"\r\n") {
            self.input.advance(2);
        }
    }

    /// Puts a chunked body together (RFC 9112 §7.1); trailers are read and ignored.
    async fn chunks(&mut self, start: usize) -> Result<Received, ReadError> {
        let mut body = Vec::new();
        let mut at = start;
        loop {
            let (line, size) = self.chunk_size(at).await?;
            at += line;
            if size == 0 {
                break;
            }
            if size > MAX_BODY - body.len() {
                return Err(TOO_LARGE);
            }
            self.fill_to(at + size + 2).await?;
            body.extend_from_slice(self.input.get(at..at + size).unwrap_or_default());
            at += size + 2;
            if self.input.get(at - 2..at) != Some(b"\r\n") {
                return Err(BAD_CHUNK);
            }
        }
        loop {
            let line = self.line(at).await?;
            at += line;
            if line == 2 {
                return Ok(Received { joined: Some(body), place: 0..0, end: at });
            }
        }
    }

    /// The length of the chunk line at `at`, and the size it tells.
    async fn chunk_size(&mut self, at: usize) -> Result<(usize, usize), ReadError> {
        let line = self.line(at).await?;
        match httparse::parse_chunk_size(self.input.get(at..at + line).unwrap_or_default()) {
            Ok(httparse::Status::Complete((_, size))) => {
                usize::try_from(size).map(|size| (line, size)).map_err(|_| TOO_LARGE)
            }
            _ => Err(BAD_CHUNK),
        }
    }

    /// The length of the line at `at`, its end included.
    async fn line(&mut self, at: usize) -> Result<usize, ReadError> {
        loop {
            let rest = self.input.get(at..).unwrap_or_default();
            if let Some(end) = memmem::find(rest, b"\r\n") {
                return Ok(end + 2);
            }
            if rest.len() > MAX_HEAD {
                return Err(BAD_CHUNK);
            }
            self.fill_to(self.input.len() + 1).await?;
        }
    }
}

const TOO_LARGE: ReadError = ReadError::Refused(413, "the body of the request is too large");
const BAD_CHUNK: ReadError = ReadError::Refused(400, "the body's chunks are broken");

// === impl Head ===

impl Head {
    fn parse(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => {
                return Err(ReadError::Refused(431, "the request has too many header fields"));
            }
            _ => return Err(ReadError::Refused(400, "the head of the request is not HTTP")),
        }
        let modern = request.version == Some(1);
        let mut head = Self {
            len: bytes.len(),
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            modern,
            keep_alive: modern,
            framing: Framing::Length(0),
            expects: false,
            faults: String::new(),
        };
        request.headers.iter().try_for_each(|field| head.read_field(field.name, field.value)).map(|()| head)
    }

    fn read_field(&mut self, name: &str, value: &[u8]) -> Result<(), ReadError> {
        if name.eq_ignore_ascii_case("content-length") {
            self.read_length(value)?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(ReadError::Refused(501, "the only transfer coding read is chunked"));
            }
            self.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            self.read_connection(value);
        } else if name.eq_ignore_ascii_case("expect") {
            self.expects = value.eq_ignore_ascii_case(b"100-continue");
        } else if name.eq_ignore_ascii_case("x-mock-fault") {
            self.faults.push_str(&String::from_utf8_lossy(value));
            self.faults.push(';');
        }
        Ok(())
    }

    /// Chunked wins over a length, in whichever order they stand (RFC 9112 §6.3).
    fn read_length(&mut self, value: &[u8]) -> Result<(), ReadError> {
        let digits = value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        let length = length.ok_or(ReadError::Refused(400, "the content-length is not a number"))?;
        if self.framing != Framing::Chunked {
            self.framing = Framing::Length(length);
        }
        Ok(())
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if option.eq_ignore_ascii_case(b"close") {
                self.keep_alive = false;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            }
        }
    }
}
