//! The hooks, in one table: what each is called with, what it may do, how long it may take and what its failure means.

use std::time::Duration;

use crate::json;

/// A place in the life of an exchange where policies are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Says who is calling.
    Identify,
    /// Edits the request or answers it.
    OnRequest,
    /// Says where the request goes.
    Route,
    /// Says whether and how the response may be stored.
    Cache,
    /// Edits what one attempt sends.
    OnAttempt,
    /// Says when a stream that is held back may go out.
    Commit,
    /// Says what to do after an attempt that failed.
    Failover,
    /// Edits a response's head and whole body.
    OnResponse,
    /// Edits one event of a stream.
    OnEvent,
    /// Adds events at the end of a stream.
    OnStreamEnd,
    /// Shapes an error that the gate makes.
    OnError,
    /// Looks at a finished exchange.
    OnLog,
    /// Serves local endpoints.
    Endpoints,
    /// Works periodically.
    Background,
}

/// How long a hook may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Running without a wait in between.
    pub burst: Duration,
    /// All its bursts together. For events: those of one stream.
    pub total: Duration,
    /// From its start to its end, waits included.
    pub wall: Duration,
}

/// What a hook's failure means unless its mount says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// The step fails, and the client gets this status when nothing was sent yet.
    Fail(u16),
    /// The exchange goes on as if the hook had no opinion.
    Ignore,
}

/// One row of the table.
pub(super) struct Spec {
    /// The key in `policy { … }`.
    pub(super) name: &'static str,
    /// Whether host functions may wait in it.
    pub(super) waits: bool,
    /// Whether it may edit the message it is given; other hooks return data.
    pub(super) edits: bool,
    /// Whether it runs bottom to top, as what leaves the gate passes the policies in reverse.
    pub(super) outward: bool,
    /// How long it may take.
    pub(super) deadlines: Deadlines,
    /// What its failure means.
    pub(super) on_failure: OnFailure,
}

/// What VMs and hooks may use.
#[derive(Clone, Debug)]
pub struct HostLimits {
    /// Bytes of one VM's heap.
    pub memory: usize,
    /// Running time of one file's top level.
    pub top_level: Duration,
    /// The same deadlines for every hook, in place of the table's.
    pub deadlines: Option<Deadlines>,
    /// All work left for after a response, waits included.
    pub after_response: Duration,
    /// What JSON may ask of a hook that reads it.
    pub json: json::Limits,
}

// === impl Deadlines ===

impl Deadlines {
    /// Deadlines so many times as long.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { burst: self.burst * times, total: self.total * times, wall: self.wall }
    }
}

// === impl Hook ===

impl Hook {
    /// All hooks, in the order in which an exchange meets them.
    pub const ALL: [Self; 14] = [
        Self::Identify,
        Self::OnRequest,
        Self::Route,
        Self::Cache,
        Self::OnAttempt,
        Self::Commit,
        Self::Failover,
        Self::OnResponse,
        Self::OnEvent,
        Self::OnStreamEnd,
        Self::OnError,
        Self::OnLog,
        Self::Endpoints,
        Self::Background,
    ];

    /// The key in `policy { … }`.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// The hook of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }

    /// Its place in tables with a row for each hook.
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Its row of the table.
    pub(super) fn spec(self) -> Spec {
        use OnFailure::{Fail, Ignore};
        match self {
            Self::Identify => row("identify", 5, 20, 5000, Fail(500)).waits(),
            Self::OnRequest => row("on_request", 10, 50, 10_000, Fail(500)).waits().edits(),
            Self::Route => row("route", 5, 20, 5000, Fail(500)).waits(),
            Self::Cache => row("cache", 5, 20, 2000, Ignore).waits(),
            Self::OnAttempt => row("on_attempt", 10, 50, 5000, Fail(500)).waits().edits(),
            Self::Commit => row("commit", 2, 200, 5000, Ignore),
            Self::Failover => row("failover", 2, 2, 5000, Fail(500)),
            Self::OnResponse => row("on_response", 10, 50, 5000, Fail(502)).waits().edits().outward(),
            Self::OnEvent => row("on_event", 2, 200, 5000, Ignore).edits().outward(),
            Self::OnStreamEnd => row("on_stream_end", 2, 200, 5000, Ignore).outward(),
            Self::OnError => row("on_error", 5, 20, 5000, Ignore).outward(),
            Self::OnLog => row("on_log", 5, 20, 2000, Ignore).waits().outward(),
            Self::Endpoints => row("endpoints", 10, 50, 10_000, Fail(500)).waits(),
            Self::Background => row("background", 10, 200, 30_000, Ignore).waits(),
        }
    }
}

// === impl Spec ===

/// A row for a hook that neither waits nor edits; times in milliseconds.
fn row(name: &'static str, burst: u64, total: u64, wall: u64, on_failure: OnFailure) -> Spec {
    Spec {
        name,
        waits: false,
        edits: false,
        outward: false,
        deadlines: Deadlines {
            burst: Duration::from_millis(burst),
            total: Duration::from_millis(total),
            wall: Duration::from_millis(wall),
        },
        on_failure,
    }
}

impl Spec {
    fn waits(self) -> Self {
        Self { waits: true, ..self }
    }

    fn edits(self) -> Self {
        Self { edits: true, ..self }
    }

    fn outward(self) -> Self {
        Self { outward: true, ..self }
    }
}

// === impl HostLimits ===

impl HostLimits {
    /// How long a hook may take.
    pub(super) fn deadlines(&self, hook: Hook) -> Deadlines {
        self.deadlines.unwrap_or(hook.spec().deadlines)
    }
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            memory: 64 * 1024 * 1024,
            top_level: Duration::from_millis(200),
            deadlines: None,
            after_response: Duration::from_secs(10),
            json: json::Limits::default(),
        }
    }
}
