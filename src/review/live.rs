//! Waits until a running gate serves what was accepted.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bundle::Hash;

/// How long a gate may take to notice an acceptance.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(40);

/// The digits of a hash that tell one generation from others.
const DIGITS: usize = 12;

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It serves this generation.
    Live,
    /// It serves another one, with this hash.
    Other(String),
    /// There is none.
    Silent,
}

/// Asks the gate at this admin address until it serves the generation, or patience ends.
pub fn wait(admin: SocketAddr, hash: &Hash, patience: Duration) -> Gate {
    let (until, hash_digits) = (Instant::now() + patience, hash.full());
    loop {
        let found = match serving(admin) {
            Ok(hash) if hash.len() >= DIGITS && hash_digits.starts_with(&hash) => return Gate::Live,
            Ok(hash) => Gate::Other(hash),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Gate::Silent,
            Err(_) => Gate::Silent,
        };
        if Instant::now() >= until {
            return found;
        }
        thread::sleep(PAUSE); // paced: between two looks at another process
    }
}

/// The hash of the generation that the gate serves.
fn serving(admin: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET /-/status HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let status: Value = serde_json::from_str(body)?;
    let hash = status["live"]["hash"].as_str().map(str::to_owned);
    hash.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no gate's status"))
}
