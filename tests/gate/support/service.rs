//! An upstream that does what a test tells it, and keeps every request that reached it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use super::talk::header;

/// What an upstream does with one request; true when it takes another one on the same connection.
pub(crate) trait Act: Fn(&Heard, &mut TcpStream) -> bool + Send + Sync + 'static {}

impl<F: Fn(&Heard, &mut TcpStream) -> bool + Send + Sync + 'static> Act for F {}

/// A running upstream. It ends with the process.
pub(crate) struct Service {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Counts the requests of this upstream, from 1.
    pub(crate) number: usize,
    /// Counts the connections of this upstream, from 1.
    pub(crate) connection: usize,
    /// The request exactly as it came.
    pub(crate) wire: Vec<u8>,
    /// The head as it came, without the empty line.
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
}

// === impl Service ===

impl Service {
    /// Starts an upstream.
    pub(crate) fn start(act: impl Act) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), act)
    }

    /// Starts an upstream on a listener that is there already.
    pub(crate) fn on(listener: TcpListener, act: impl Act) -> Self {
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (act, log, count) = (Arc::new(act), Arc::clone(&heard), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = count.fetch_add(1, Ordering::SeqCst) + 1;
                let (act, log) = (Arc::clone(&act), Arc::clone(&log));
                thread::spawn(move || serve(stream, connection, &*act, &log));
            }
        });
        Self { address, heard, connections }
    }

    /// An upstream that always says the same.
    pub(crate) fn saying(answer: Vec<u8>) -> Self {
        Self::start(move |_, stream| say(stream, &answer))
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    /// How many connections came so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests came so far.
    pub(crate) fn count(&self) -> usize {
        self.heard.lock().len()
    }
}

fn serve(mut stream: TcpStream, connection: usize, act: &impl Act, log: &Mutex<Vec<Heard>>) {
    stream.set_nodelay(true).unwrap();
    let mut kept = Vec::new();
    while let Some(mut heard) = next(&mut stream, &mut kept) {
        {
            let mut log = log.lock();
            heard.number = log.len() + 1;
            heard.connection = connection;
            log.push(heard.clone());
        }
        if !act(&heard, &mut stream) {
            return;
        }
    }
}

/// Reads a request with its body.
fn next(stream: &mut TcpStream, kept: &mut Vec<u8>) -> Option<Heard> {
    loop {
        if let Some((heard, used)) = parse(kept) {
            kept.drain(..used);
            return Some(heard);
        }
        let mut piece = [0; 16 * 1024];
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        kept.extend_from_slice(&piece[..read]);
    }
}

fn parse(bytes: &[u8]) -> Option<(Heard, usize)> {
    let start = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..start - 4]).into_owned();
    if header(&head, "transfer-encoding").is_some() {
        let end = memchr::memmem::find(&bytes[start..], b"0\r\n\r\n")? + 5;
        let body = unchunked(&bytes[start..start + end]);
        let wire = bytes[..start + end].to_vec();
        return Some((Heard { number: 0, connection: 0, wire, head, body }, start + end));
    }
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let body = bytes.get(start..start + length)?.to_vec();
    let wire = bytes[..start + length].to_vec();
    Some((Heard { number: 0, connection: 0, wire, head, body }, start + length))
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = memchr::memmem::find(bytes, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        body.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        bytes = &bytes[line + 2 + size + 2..];
    }
    body
}

// === impl Heard ===

impl Heard {
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

    /// The path with its query.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// Writes bytes; the connection stays open.
pub(crate) fn say(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).is_ok()
}

/// Writes bytes and closes the connection.
pub(crate) fn last(stream: &mut TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    say(stream, bytes);
    false
}

/// Resets the connection.
pub(crate) fn reset(stream: &mut TcpStream) -> bool {
    SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).unwrap();
    false
}

/// Waits until the other side has closed the connection.
pub(crate) fn stall(stream: &mut TcpStream) -> bool {
    let mut piece = [0; 1024];
    while stream.read(&mut piece).is_ok_and(|read| read > 0) {}
    false
}

/// An answer with a length.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let fields: String = headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect();
    let mut bytes = format!("HTTP/1.1 {status} Said\r\n{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A JSON answer.
pub(crate) fn json(body: &str) -> Vec<u8> {
    answer(200, &[("Content-Type", "application/json")], body)
}

/// The head of a chunked answer of some type.
pub(crate) fn open(kind: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// One chunk.
pub(crate) fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The end of a chunked body.
pub(crate) const END: &str = "0\r\n\r\n";

/// A whole chunked answer, each piece in a chunk of its own.
pub(crate) fn chunked<P: AsRef<[u8]>>(kind: &str, pieces: impl IntoIterator<Item = P>) -> Vec<u8> {
    let mut bytes = open(kind).into_bytes();
    for piece in pieces {
        bytes.extend_from_slice(&chunk(piece));
    }
    bytes.extend_from_slice(END.as_bytes());
    bytes
}

/// A chat stream of OpenAI's in which each word is an event.
pub(crate) fn chat_stream(words: &[&str]) -> String {
    let event = |delta: &str, finish: &str| {
        format!(
            r#"data: {{"id":"c1","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        ) + "\n\n"
    };
    let mut text: String = words.iter().map(|word| event(&format!(r#"{{"content":"{word}"}}"#), "null")).collect();
    text.push_str(&event("{}", r#""stop""#));
    text + "data: [DONE]\n\n"
}

/// A whole chat answer of OpenAI's.
pub(crate) fn chat(text: &str) -> String {
    format!(
        r#"{{"id":"c1","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
    )
}

/// An address at which nobody listens, and nobody will: it is taken until the process ends.
pub(crate) fn nobody() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}
