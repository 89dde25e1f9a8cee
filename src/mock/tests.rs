//! Claims about the mock upstream, made by a client that sees the raw bytes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::serve;

mod alike;
mod dialects;
mod faults;
mod gemini;
mod thoughts;
mod wire;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts a mock upstream named `m1` that lives as long as the test.
async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, "m1".to_owned(), std::future::pending::<()>()));
    address
}

/// A raw connection and what has been read from it.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// One answer, taken apart.
#[derive(Debug)]
struct Answer {
    head: String,
    /// As on the wire.
    raw: Vec<u8>,
    /// Without chunks.
    body: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn more(&mut self) -> io::Result<usize> {
        tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await.expect("nothing came")
    }

    /// Everything up to the end of the connection, and how it ended.
    async fn drain(mut self) -> (Vec<u8>, io::Result<()>) {
        loop {
            match self.more().await {
                Ok(0) => return (self.read, Ok(())),
                Ok(_) => {}
                Err(error) => return (self.read, Err(error)),
            }
        }
    }

    /// Reads until `mark` has come, and returns all before its end.
    async fn until(&mut self, mark: &str) -> Vec<u8> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.read, mark.as_bytes()) {
                return self.read.drain(..at + mark.len()).collect();
            }
            assert_ne!(self.more().await.unwrap(), 0, "closed before {mark:?}: {:?}", text(&self.read));
        }
    }

    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert_ne!(self.more().await.unwrap(), 0, "closed early");
        }
        self.read.drain(..count).collect()
    }

    async fn answer(&mut self) -> Answer {
        let head = text(&self.until("\r\n\r\n").await);
        if head.contains("transfer-encoding: chunked\r\n") {
            let (mut raw, mut body) = (Vec::new(), Vec::new());
            loop {
                let line = self.until("\r\n").await;
                let size = usize::from_str_radix(text(&line).trim_end(), 16).unwrap();
                raw.extend(&line);
                if size == 0 {
                    raw.extend(self.until("\r\n").await);
                    return Answer { head, raw, body };
                }
                let chunk = self.exactly(size + 2).await;
                body.extend(&chunk[..size]);
                raw.extend(&chunk);
            }
        }
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let body = self.exactly(length).await;
        Answer { head, raw: body.clone(), body }
    }
}

impl Answer {
    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", text(&self.body)))
    }

    fn text(&self) -> String {
        text(&self.body)
    }

    /// The data of each SSE event, or each line of NDJSON.
    fn events(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("event: "));
        let data = lines.map(|line| line.strip_prefix("data: ").unwrap_or(line)).filter(|data| *data != "[DONE]");
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// The names of the SSE events.
    fn names(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A POST with a JSON body; `fields` are further header lines, each with its end.
fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: m\r\n{fields}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: m\r\n\r\n")
}

/// Sends one request on a connection of its own.
async fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut client = Client::connect(address).await;
    client.send(request).await;
    client.answer().await
}

/// Posts to a mock of its own.
async fn ask_once(path: &str, body: &str) -> Answer {
    ask(start().await, &post(path, "", body)).await
}
