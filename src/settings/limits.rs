//! Settings of what the gate holds in memory, for how long it waits, and what it writes down.

use std::num::NonZeroU32;
use std::time::Duration;

use super::section::{choice, section};
use super::url::Url;
use crate::edge::guard;
use crate::json;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

section! {
    /// What clients and policies may use. Sizes are bytes held in memory.
    pub struct Limits {
        /// Longest time from accepting a connection, or from a head's first byte, to the head's last byte.
        head_deadline: Duration = Duration::from_secs(10) => reload;
        /// Largest request head.
        head_bytes: usize = 64 * KIB => reload;
        /// Largest number of header fields in a request.
        headers: NonZeroU32 = at_least_one(128) => reload;
        /// Longest request line.
        request_line: usize = 16 * KIB => reload;
        /// Longest pause between two pieces of a request body, and longest time a client may take none of its response.
        body_idle: Duration = Duration::from_mins(1) => reload;
        /// Largest request body held for hooks, the cache or failover. Streamed bodies have no limit.
        body: usize = 8 * MIB => reload;
        /// Largest sum of all bodies held at one time. Copies for the cache are made only as long as it is half of that.
        buffered_total: usize = 256 * MIB => reload;
        /// Largest response body held for hooks.
        response_body: usize = 64 * MIB => reload;
        /// Largest sum of sealed thoughts kept for clients whose dialect cannot carry them.
        thoughts: usize = 16 * MIB => restart;
        /// Largest event of a stream.
        event: usize = MIB => reload;
        /// Deepest nesting of JSON that hooks read.
        json_depth: NonZeroU32 = at_least_one(128) => reload;
        /// Largest number of client connections.
        connections: NonZeroU32 = at_least_one(10_000) => restart;
        /// How long an idle client connection is kept.
        keep_alive: Duration = Duration::from_mins(1) => reload;
        /// Requests served on one connection before it is closed; 0 for no limit.
        requests_per_connection: u32 = 0 => restart;
        /// How long the rest of a refused request's body is read, so that the client sees the answer.
        drain: Duration = Duration::from_secs(5) => reload;
        /// Longest time for a whole exchange, streams included; none unless written.
        deadline: Option<Duration> = None => reload;
        /// Largest number of exchanges that are served at once; 0 for no limit. Those beyond it wait. Endpoints that
        /// policies serve themselves are not counted, so that health can be asked for under load.
        exchanges: u32 = 0 => reload;
        /// How many exchanges wait to be served, when there is a limit; others are told 503.
        exchanges_waiting: u32 = 50 => reload;
        /// How long an exchange waits to be served before it is told 503.
        exchanges_wait: Duration = Duration::from_secs(10) => reload;
        /// How long a client that asked for a stream waits in silence before it is sent a sign of life, as often as that
        /// again; never unless written. Its stream begins with the first one: what fails from there on is told in it, and
        /// what `on_response` changes of the head comes too late (`res.committed`; the log says what). A plan may ask for
        /// silence: `ping = false`.
        ping: Option<Duration> = None => reload;
        /// How the `User-Agent` of those clients of `OpenAI`'s APIs begins that skip comments in a stream; to others no
        /// sign of life is known. Anthropic's clients know pings.
        ping_comments: Vec<String> = skip_comments() => reload;
        /// How long running exchanges may take to end when the gate is told to stop.
        shutdown: Duration = Duration::from_secs(30) => reload;
        /// Largest memory of one policy VM; there is one for each worker.
        policy_memory: usize = 64 * MIB => reload;
        /// Processor time that a policy's top level may use when it is loaded.
        policy_load: Duration = Duration::from_millis(200) => reload;
    }
}

section! {
    /// The store of answers that policies may serve again.
    pub struct Cache {
        /// Largest sum of all stored answers.
        memory: usize = 64 * MIB => reload;
        /// Largest sum of all answers kept by RFC 9111, beside those in `memory`.
        http: usize = 64 * MIB => reload;
        /// Largest single answer that is stored.
        entry: usize = 4 * MIB => reload;
        /// Largest sum of the answers, by whichever rules, that are kept on disk too, behind the memory, so that a restart
        /// does not forget them; none are unless written.
        disk: Option<usize> = None => restart;
        /// The folder for them. A relative path starts in `.tidegate`, which is no part of the bundle nor of git. One
        /// gate at a time uses it.
        dir: String = "cache".to_owned() => restart;
    }
}

section! {
    /// The last exchanges, held in memory to be saved as cases, explained and played on other policies.
    pub struct Record {
        /// How many are kept; 0 keeps none.
        exchanges: u32 = 200 => reload;
        /// Largest sum of all that are kept, and of all that have not ended.
        memory: usize = 32 * MIB => reload;
        /// Largest sum of the bodies of one that is kept, the request's and the answers'.
        body: usize = MIB => reload;
        /// One of so many exchanges is kept: `10` keeps every tenth.
        every: NonZeroU32 = at_least_one(1) => reload;
        /// Most exchanges that are kept of one second: under load a sample, so that keeping costs nothing there.
        per_second: NonZeroU32 = at_least_one(200) => reload;
    }
}

section! {
    /// What the gate writes to its standard error.
    pub struct Log {
        /// The form of a line: `auto` is `text` on a terminal and `json` elsewhere.
        format: LogFormat = LogFormat::Auto => restart;
        /// The least important lines that are written.
        level: LogLevel = LogLevel::Info => restart;
        /// Whether each exchange gets a line.
        access: bool = true => reload;
    }
}

section! {
    /// What policies may fetch on their own.
    pub struct Fetch {
        /// URLs that `http.fetch` may begin with: same scheme, host and port, and the path or one below it.
        allow: Vec<Url> = Vec::new() => reload;
    }
}

choice! {
    /// The form of a log line.
    pub enum LogFormat {
        /// Text on a terminal, JSON elsewhere.
        Auto = "auto",
        /// For people.
        Text = "text",
        /// One object on each line.
        Json = "json",
    }
}

choice! {
    /// How important a log line is.
    pub enum LogLevel {
        /// Something failed.
        Error = "error",
        /// Something is not as it should be.
        Warn = "warn",
        /// What an operator wants to know.
        Info = "info",
        /// What the author of a policy wants to know.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

// === impl Limits ===

impl Limits {
    /// What the guard before the engine holds a client to.
    pub fn guard(&self) -> guard::Limits {
        guard::Limits {
            head_bytes: self.head_bytes,
            headers: self.headers.get() as usize,
            request_line: self.request_line,
            head_deadline: self.head_deadline,
            ..guard::Limits::default()
        }
    }

    /// How deep JSON may be nested.
    pub fn json(&self) -> json::Limits {
        json::Limits { depth: self.json_depth.get() as usize }
    }
}

/// Clients that skip comments, which not all do that read server-sent events line by line: `OpenAI`'s own libraries
/// (`_decoders` of openai-python and openai-node drop lines that begin with a colon), and those built on them.
fn skip_comments() -> Vec<String> {
    let clients = ["OpenAI/", "AsyncOpenAI/", "AzureOpenAI/", "AsyncAzureOpenAI/", "Agents/", "codex", "ai-sdk/"];
    clients.map(str::to_owned).into()
}

/// A default that is a number from 1.
pub(super) fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
