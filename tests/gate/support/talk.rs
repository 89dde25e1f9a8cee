//! A client that keeps every byte of what it gets, so that framing is tested with content.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(crate) struct Talk {
    stream: TcpStream,
    /// What came and belongs to no answer yet.
    kept: Vec<u8>,
}

/// An answer to one request.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its status.
    pub(crate) status: u16,
    /// The head as it came, without the empty line.
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end that its framing tells.
    pub(crate) whole: bool,
}

// === impl Talk ===

impl Talk {
    /// Connects.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// A client on a connection of the test's own.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, kept: Vec::new() }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Says that nothing more comes from this side.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Everything that comes until the other side closes or resets the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.kept)
    }

    /// Sends a request without a body and reads its answer.
    pub(crate) fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Said {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\n{}\r\n", lines(headers)));
        self.read()
    }

    /// Sends a JSON body and reads the answer.
    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> Said {
        self.ask(path, headers, body);
        self.read()
    }

    /// Sends a JSON body; the answer is still to be read.
    pub(crate) fn ask(&mut self, path: &str, headers: &[(&str, &str)], body: &str) {
        let head = format!("POST {path} HTTP/1.1\r\nHost: gate.test\r\nContent-Type: application/json\r\n");
        self.send(format!("{head}{}Content-Length: {}\r\n\r\n{body}", lines(headers), body.len()));
    }

    /// Reads the next final answer to its end.
    pub(crate) fn read(&mut self) -> Said {
        loop {
            if let Some((said, used)) = parse(&self.kept, false) {
                self.kept.drain(..used);
                if said.status >= 200 {
                    return said;
                }
            } else if !self.more() {
                let ended = parse(&self.kept, true);
                self.kept.clear();
                return ended.map_or_else(Said::nothing, |(said, _)| said);
            }
        }
    }

    /// Waits until a text has come, without taking it.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !self.has(text) {
            assert!(self.more(), "the connection ended before {text:?}: {:?}", String::from_utf8_lossy(&self.kept));
        }
    }

    /// Whether a text has come and was not taken yet.
    pub(crate) fn has(&self, text: &str) -> bool {
        memchr::memmem::find(&self.kept, text.as_bytes()).is_some()
    }

    /// Takes an answer without a body, whatever length its head tells: the answer to HEAD.
    pub(crate) fn drop_head(&mut self) -> String {
        self.wait_for("\r\n\r\n");
        let end = memchr::memmem::find(&self.kept, b"\r\n\r\n").unwrap() + 4;
        String::from_utf8_lossy(&self.kept.drain(..end).collect::<Vec<u8>>()).into_owned()
    }

    /// Whether the other side closes the connection without another word.
    pub(crate) fn ends(&mut self) -> bool {
        !self.more() && self.kept.is_empty()
    }

    fn more(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(read) => {
                self.kept.extend_from_slice(&piece[..read]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&self.kept)),
        }
    }
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect()
}

/// The first answer in `bytes` and its length on the wire; when the connection has `ended`, as far as it came.
fn parse(bytes: &[u8], ended: bool) -> Option<(Said, usize)> {
    let head_end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end - 4]).into_owned();
    let mut said = Said { status: head.split(' ').nth(1)?.parse().ok()?, head, body: Vec::new(), whole: true };
    let rest = &bytes[head_end..];
    if said.status < 200 || matches!(said.status, 204 | 304) {
        return Some((said, head_end));
    }
    let used = if said.header("transfer-encoding").is_some() {
        said.unchunk(rest)
    } else if let Some(length) = said.header("content-length") {
        let length: usize = length.parse().unwrap();
        said.body = rest[..length.min(rest.len())].to_vec();
        (rest.len() >= length).then_some(length)
    } else {
        said.body = rest.to_vec();
        ended.then_some(rest.len())
    };
    said.whole = used.is_some();
    (said.whole || ended).then(|| (said, head_end + used.unwrap_or(rest.len())))
}

// === impl Said ===

impl Said {
    fn nothing() -> Self {
        Self { status: 0, head: String::new(), body: Vec::new(), whole: false }
    }

    /// Takes a chunked body apart; `None` when its end is not there.
    fn unchunk(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let line = memchr::memmem::find(bytes.get(at..)?, b"\r\n")?;
            let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).ok()?, 16).ok()?;
            at += line + 2;
            if size == 0 {
                return memchr::memmem::find(bytes.get(at..)?, b"\r\n").map(|end| at + end + 2);
            }
            self.body.extend_from_slice(bytes.get(at..at + size)?);
            at += size + 2;
        }
    }

    /// A header's first value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// A header's first value in a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}
