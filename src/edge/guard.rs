//! The strict gate for HTTP/1 bytes from clients, so that the engine behind it only ever sees complete, valid and
//! unambiguous requests, one after the other.
//!
//! The engine's own parser forgives much (bare LF, folded lines, `Content-Length` beside `Transfer-Encoding`) and knows
//! no deadline for a whole head. [`Guarded`] stands between it and the socket: heads pass when they are complete and
//! have been checked, body bytes pass as far as the framing of their head allows, and everything else becomes a
//! [`Refusal`] that travels the ordinary path as a stand-in request.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

mod chunk;
mod deadline;
mod framer;
mod head;
mod inbox;
mod rewrite;
mod stream;
mod target;
#[cfg(test)]
mod tests;

pub use framer::{Framer, H2_PREFACE, Step};
pub use stream::Guarded;

/// What a client may ask the gate to hold in memory, and for how long it may keep the gate waiting for a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest head in bytes, request line and empty line included; beyond it the answer is 431.
    pub head_bytes: usize,
    /// Largest number of header fields; beyond it the answer is 431.
    pub headers: usize,
    /// Longest request line in bytes without its line end; beyond it the answer is 414.
    pub request_line: usize,
    /// Longest extension of one chunk in bytes; beyond it the body is broken off.
    pub chunk_ext: usize,
    /// Largest trailer section in bytes; beyond it the body is broken off.
    pub trailer_bytes: usize,
    /// Longest time from the first byte of a head (for the first head: from accepting the connection) to its last.
    pub head_deadline: Duration,
}

/// Why a head may not pass, and with which status the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer: 400, 408, 414, 431, 501 or 505.
    pub status: u16,
    /// The broken rule in a few words, fit for the answer and for the log.
    pub reason: &'static str,
}

/// A body that broke the rules of its framing; the source of the `InvalidData` error that its reader gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid request body: {0}")]
pub struct BodyFault(
    /// The broken rule in a few words.
    pub &'static str,
);

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            headers: 128,
            request_line: 16 * 1024,
            chunk_ext: 1024,
            trailer_bytes: 8 * 1024,
            head_deadline: Duration::from_secs(30),
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The request that the engine reads in place of the refused head: complete, without a body, closing, and marked
    /// with [`refusal_header`], whose value is the status, a space and the reason.
    pub fn stand_in(&self) -> Vec<u8> {
        format!(
            "GET /{status} HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n{name}: {status} {reason}\r\n\r\n",
            status = self.status,
            name = refusal_header(),
            reason = self.reason,
        )
        .into_bytes()
    }

    /// Reads the value of the [`refusal_header`] field back into the status and the reason; `None` for anything that
    /// [`Refusal::stand_in`] did not write.
    pub fn parse(value: &str) -> Option<(u16, &str)> {
        let (status, reason) = value.split_once(' ')?;
        Some((status.parse().ok()?, reason))
    }

    /// A refusal with status 400.
    const fn bad(reason: &'static str) -> Self {
        Self { status: 400, reason }
    }
}

// === impl BodyFault ===

impl From<BodyFault> for io::Error {
    fn from(fault: BodyFault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

/// The lower-case name of the header field that marks a stand-in request.
///
/// It carries 128 random bits drawn once per process, so no client can send it.
pub fn refusal_header() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    // The standard hasher is keyed by the system's random source and its output does not betray the key.
    NAME.get_or_init(|| {
        let draw = |salt: u64| RandomState::new().hash_one(salt);
        format!("x-refused-{:016x}{:016x}", draw(1), draw(2))
    })
}
