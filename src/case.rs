//! Scripted exchanges in files, played through the code that serves live traffic and compared with snapshots, so
//! that what a bundle does is pinned and a change of it is read before it serves.
//!
//! 1. [`read`] turns a file into a [`Case`], or says everything that is wrong with it.
//! 2. [`play()`] sends its calls through a gate of its own, on a virtual clock, to the endpoints of [`script`].
//! 3. [`render()`] writes what happened as text, secrets masked.
//! 4. [`mod@write`] and [`redact`] make a file of a live exchange; [`recording`] and [`har`] read many of one file.
//! 5. [`snapshot`] keeps that text in insta's format; [`review`] compares a bundle's cases with its snapshots.

mod block;

mod message;

mod body;

mod number;

pub mod read;

pub mod write;

pub mod same;

pub mod redact;

pub mod recording;

pub mod har;

pub mod script;

mod arrive;

mod client;

mod play;

mod player;

pub(crate) mod mask;

mod render;

pub(crate) mod wires;

pub mod snapshot;

pub mod review;

pub mod splits;

pub mod lines;

#[cfg(test)]
mod tests;

pub(crate) use client::Got;
pub(crate) use play::PlayedCall;
pub use play::{Played, play, play_all};
pub use player::{Player, on_all_processors};
pub use render::render;
pub use review::{Outcome, Report, TestOptions, test_bundle, test_folders};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::message::{RequestHead, ResponseHead};
use crate::tape::Read;

/// One case: who calls, and what the upstreams answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file it was read from, as its owner knows it.
    pub file: String,
    /// What it shows, in a sentence or two: the comment at its top.
    pub about: String,
    /// What holds while it is played.
    pub setup: Setup,
    /// The client's requests, played one after another on the same gate.
    pub calls: Vec<Call>,
    /// What the upstreams answer, in the order of the file.
    pub answers: Vec<Answer>,
}

/// What holds while a case is played.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Wall time at the first call.
    pub clock: SystemTime,
    /// Where random numbers and request ids come from.
    pub seed: u64,
    /// The client's address.
    pub client: IpAddr,
    /// Environment variables, for secrets of the settings; all others have a stand-in.
    pub env: BTreeMap<String, String>,
    /// Parameters of policies that differ from the settings.
    pub params: Vec<Param>,
    /// The exchange's id, where it is not made from the seed.
    pub id: Option<String>,
    /// What policies and the gate are told when they ask for state, time or chance, in the order in which they ask;
    /// whatever is not among it comes from the case's own gate.
    pub reads: Vec<Read>,
}

/// A parameter of a policy that a case sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The policy's name in the settings.
    pub policy: String,
    /// The parameter.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// Where the case sets it, counted from 1.
    pub line: usize,
}

/// A request of the client.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where its block begins, counted from 1.
    pub line: usize,
    /// How long after the end of the call before it begins.
    pub after: Duration,
    /// When the client leaves, counted from the start of the call.
    pub leaves: Option<Duration>,
    /// How much it takes before it leaves; whatever comes until then unless the case says.
    pub takes: Option<Takes>,
    /// Whether it begins beside the call before it, while that is still under way: then it comes so long after that one's
    /// start.
    pub beside: bool,
    /// Whether it comes over TLS.
    pub tls: bool,
    /// Its head.
    pub head: RequestHead,
    /// Its body.
    pub body: Vec<Piece>,
}

/// How much of an answer a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Takes {
    /// Whether it takes the head.
    pub head: bool,
    /// Bytes of the body.
    pub bytes: u64,
}

/// Bytes of a body that travel together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How long they are in coming.
    pub pause: Duration,
    /// The bytes.
    pub bytes: Bytes,
}

/// What an upstream does when it is asked.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where its block begins, counted from 1.
    pub line: usize,
    /// The upstream that gives it.
    pub upstream: String,
    /// The endpoint that gives it; any of the upstream's unless named.
    pub endpoint: Option<String>,
    /// What goes wrong.
    pub fault: Option<Mishap>,
    /// How long the first head is in coming.
    pub slow: Duration,
    /// Whether it comes before the request was sent to its end.
    pub early: bool,
    /// Whether it comes on a connection that was used before: then a reset before any word is tried again.
    pub reused: bool,
    /// Its heads: interim ones, then the final one.
    pub heads: Vec<ResponseHead>,
    /// Its body.
    pub body: Vec<Piece>,
    /// What follows the body, where the protocol has it.
    pub trailers: Option<HeaderMap>,
}

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// There is no connection.
    Refuse,
    /// The connection is broken off before the head.
    Reset,
    /// After what the case gives, nothing more comes and the connection stays open.
    Stall,
    /// After what the case gives, the connection is broken off.
    Cut,
    /// In place of the head, or after what the case gives, comes something that is not HTTP.
    Garbage,
    /// The connection is not made in the time that the settings give it.
    Unreachable,
    /// The connection fails in its TLS handshake.
    Tls,
}

// === impl Mishap ===

impl Mishap {
    /// Every mishap with its word in a case.
    pub(crate) const WORDS: [(&'static str, Self); 7] = [
        ("refuse", Self::Refuse),
        ("reset", Self::Reset),
        ("stall", Self::Stall),
        ("cut", Self::Cut),
        ("garbage", Self::Garbage),
        ("unreachable", Self::Unreachable),
        ("tls", Self::Tls),
    ];
}

// === impl Setup ===

impl Default for Setup {
    /// 2026-03-01 12:00:00 UTC, seed 1, and a client at 203.0.113.7 (an address for documentation, RFC 5737).
    fn default() -> Self {
        Self {
            clock: SystemTime::UNIX_EPOCH + Duration::from_hours(492_324),
            seed: 1,
            client: IpAddr::from([203, 0, 113, 7]),
            env: BTreeMap::new(),
            params: Vec::new(),
            id: None,
            reads: Vec::new(),
        }
    }
}
