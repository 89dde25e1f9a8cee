//! A client that keeps every byte of what it gets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any answer should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that keeps one connection.
pub(crate) struct Client(TcpStream);

// === impl Client ===

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Sends a head and reads an answer with a length: its head and body as text.
    pub(crate) fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> (String, String) {
        let fields: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let fields = fields.concat();
        self.0.write_all(format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= length(head)
            {
                return (head.to_owned(), body.to_owned());
            }
            let read = self.0.read(&mut piece).unwrap();
            assert!(read > 0, "the connection ended within an answer");
            answer.extend_from_slice(&piece[..read]);
        }
    }
}

/// The length that a head tells.
fn length(head: &str) -> usize {
    let lower = head.to_lowercase();
    let value = lower.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.map_or(0, |value| value.trim().parse().unwrap())
}
