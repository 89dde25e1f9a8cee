//! What policies ask of the gate: state, time, randomness, calls to upstreams, and someone to tell.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::state::{Limiter, Store};
use crate::tape::Tape;

/// The outcome of a call that a policy makes.
pub type Called = Pin<Box<dyn Future<Output = Result<CallResponse, CallError>> + Send>>;

/// The gate, as policies see it. A case gives them a gate of its own.
pub trait Services: Send + Sync + 'static {
    /// What policies keep.
    fn store(&self) -> &Store;

    /// What policies limit.
    fn limiter(&self) -> &Limiter;

    /// The time.
    fn clock(&self) -> Clock;

    /// Where an exchange's random numbers start.
    fn seed(&self) -> u64;

    /// Sends a request to a named upstream.
    fn call(&self, upstream: String, request: CallRequest, timeout: Option<Duration>) -> Called;

    /// Sends a request to a URL, when the settings allow it.
    fn fetch(&self, url: String, request: CallRequest, timeout: Option<Duration>) -> Called;

    /// The first of these upstreams that is fit to serve.
    fn pick(&self, names: &[String]) -> Option<String>;

    /// Whether an upstream is fit to serve.
    fn healthy(&self, name: &str) -> bool;

    /// Takes a log line.
    fn log(&self, line: LogLine);

    /// Takes note of a hook that failed.
    fn report(&self, report: HookReport);
}

/// A request that a policy makes itself. It has no `Debug`: its headers may carry secrets.
#[derive(Clone)]
pub struct CallRequest {
    /// The method.
    pub method: String,
    /// Path and query; for a fetch the URL says it.
    pub path: String,
    /// Headers in the order given.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// Where it is noted what comes back.
    pub tape: Tape,
}

/// What a policy's own request brought, read to its end.
#[derive(Clone, Debug)]
pub struct CallResponse {
    /// The status.
    pub status: u16,
    /// Headers in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// Why a policy's own request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The kind in one word, such as `timeout`.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// For who looks closely.
    Debug,
    /// Worth a line.
    Info,
    /// Should be looked at.
    Warn,
    /// Must be looked at.
    Error,
}

/// What a policy said.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The policy's name.
    pub policy: String,
    /// The exchange's id; `None` in background work.
    pub request_id: Option<String>,
    /// The sentence.
    pub message: String,
    /// Whatever else it gave.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// A hook that failed, for the operator.
#[derive(Clone, Debug)]
pub struct HookReport {
    /// The policy's name.
    pub policy: String,
    /// The hook's name.
    pub hook: &'static str,
    /// The file, when the failure has a place.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<usize>,
    /// What went wrong.
    pub message: String,
    /// The calls that led there, one a line.
    pub traceback: String,
    /// The exchange's id; `None` in background work.
    pub request_id: Option<String>,
}

// === impl LogLevel ===

impl LogLevel {
    /// The level in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
