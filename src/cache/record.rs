//! Recording an answer on its way to the client, so that a hit replays the very bytes that a miss sent.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::admit::{self, Refusal};
use super::entry::{ENTRY_COST, Entry, Origin, PIECE_COST};
use crate::clock::Clock;
use crate::stream::{Event, Sight, Splitter, Wire, look};

#[cfg(test)]
mod tests;

/// What belongs to a connection and not to an answer (RFC 9110 §7.6.1), what the gate writes anew for every answer,
/// and what concerns only the client that asked first: its cookies, and the challenge to its credentials.
const NOT_STORED: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "age",
    "alt-svc",
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "proxy-authenticate",
    "proxy-authentication-info",
    "authentication-info",
];

/// Names of the exchange that the answer came from, of its duration, and of what its client may still ask for. Under
/// another exchange they would be wrong: support would look up the wrong request, clients would slow down for a
/// budget that was not touched.
const OF_ONE_EXCHANGE: &[&str] = &[
    "apim-request-id",
    "cf-ray",
    "mistral-correlation-id",
    "openai-processing-ms",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "server-timing",
    "traceparent",
    "traceresponse",
    "tracestate",
    "x-amz-cf-id",
    "x-amzn-requestid",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-debug-trace-id",
    "x-ds-trace-id",
    "x-envoy-upstream-service-time",
    "x-generation-id",
    "x-kong-request-id",
    "x-ms-client-request-id",
    "x-ms-request-id",
    "x-request-id",
    "x-should-retry",
];

/// How the names of rate limit headers start.
const RATE_LIMITS: &[&str] = &["anthropic-ratelimit-", "ratelimit", "x-ratelimit-", "x-rate-limit-"];

/// What a recording must know of its exchange.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// How the events stand in the body, when it is a stream; then it must end as streams of LLM APIs end.
    pub wire: Option<Wire>,
    /// The dialect of the answer, if it is one the gate speaks.
    pub dialect: Option<&'static str>,
    /// How long the entry may serve.
    pub ttl: Duration,
    /// How long it may be kept after that.
    pub grace: Duration,
    /// Words to clear the entry by.
    pub tags: Vec<String>,
    /// Whose words it is in, when it is a chat.
    pub origin: Option<Origin>,
}

/// Records one answer. It belongs to its exchange, so that two answers never mix, and it gives up as soon as it is
/// clear that the answer will not be kept.
#[derive(Debug)]
pub struct Recorder {
    /// Times the pieces.
    clock: Clock,
    /// The entry to be, all but its body.
    entry: Entry,
    /// The dialect of the answer.
    dialect: Option<&'static str>,
    /// When the head was sent.
    started: Duration,
    /// The largest body in bytes.
    max_bytes: usize,
    /// The body so far. Copied, because a piece may be a small part of a large read buffer that it would keep alive.
    body: BytesMut,
    /// Where each piece ends in `body`.
    ends: Vec<usize>,
    /// Looks into a stream.
    events: Option<(Wire, Splitter)>,
    /// What the events so far meant.
    seen: Sight,
    /// Why it gave up.
    refused: Option<Refusal>,
}

// === impl Recorder ===

impl Recorder {
    /// Starts with the head of an answer, unless its head already keeps it out. `headers` are all of them, repeated
    /// ones each; `max_bytes` is the largest body.
    pub fn new<'h>(
        clock: Clock,
        recording: Recording,
        max_bytes: usize,
        status: u16,
        headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
    ) -> Result<Self, Refusal> {
        admit::head(status, headers.clone())?;
        let age = headers.clone().find(|(name, _)| name.eq_ignore_ascii_case("age"));
        let age = age.and_then(|(_, value)| std::str::from_utf8(value).ok()?.trim().parse().ok());
        let entry = Entry {
            status,
            headers: stored(headers),
            chunks: Vec::new(),
            times: Vec::new(),
            size: 0,
            stored_at: clock.wall(),
            ttl: recording.ttl,
            grace: recording.grace,
            age_before: Duration::from_secs(age.unwrap_or(0)),
            tags: recording.tags,
            origin: recording.origin,
        };
        Ok(Self {
            clock,
            entry,
            dialect: recording.dialect,
            started: clock.elapsed(),
            max_bytes,
            body: BytesMut::new(),
            ends: Vec::new(),
            events: recording.wire.map(|wire| (wire, Splitter::new(wire, max_bytes))),
            seen: Sight::default(),
            refused: None,
        })
    }

    /// Takes the next piece of the body. A stream may be cut anywhere.
    pub fn push(&mut self, piece: &Bytes) {
        if piece.is_empty() || self.refused.is_some() {
            return;
        }
        // A piece costs more than its bytes: a stream of tiny ones must not outgrow the limit.
        let cost = (self.ends.len() + 1) * PIECE_COST;
        if self.body.len() + piece.len() > self.max_bytes || cost > self.max_bytes.max(ENTRY_COST) {
            self.give_up(Refusal::TooLarge);
            return;
        }
        self.body.extend_from_slice(piece);
        self.ends.push(self.body.len());
        self.entry.times.push(self.clock.elapsed().saturating_sub(self.started));
        self.look_into(piece.clone());
    }

    /// Looks at the events that a piece completes.
    fn look_into(&mut self, piece: Bytes) {
        let Some((_, splitter)) = &mut self.events else {
            return;
        };
        splitter.push(piece);
        let too_long = loop {
            match splitter.next() {
                Ok(Some(event)) => self.seen.add(look(&event)),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if self.seen.error {
            self.give_up(Refusal::Error);
        } else if too_long {
            self.give_up(Refusal::TooLarge);
        }
    }

    /// Why it gave up, if it has: then nothing more needs to be told to it.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused
    }

    /// Ends the recording. `complete` says that the upstream's body came to its end and all of it was sent: a client
    /// that left, a limit, or a broken connection leave nothing behind.
    pub fn finish(mut self, complete: bool) -> Result<Entry, Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        if !complete {
            return Err(Refusal::Incomplete);
        }
        match &mut self.events {
            None => admit::body(self.dialect, &self.body)?,
            Some((wire, splitter)) => {
                // Some servers leave out the blank line, or the line end, after their last event.
                if let Some(rest) = splitter.finish() {
                    self.seen.add(look(&Event::parse(*wire, rest)));
                }
                admit::stream(self.seen)?;
            }
        }
        Ok(self.into_entry())
    }

    /// Everything that was recorded, in as much memory as it needs.
    fn into_entry(self) -> Entry {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let body = self.body.freeze();
        let pieces: Vec<Bytes> = starts.zip(&self.ends).map(|(start, end)| body.slice(start..*end)).collect();
        let mut entry = self.entry;
        let mut times = std::mem::take(&mut entry.times);
        times.shrink_to_fit();
        entry.stored_at = self.clock.wall();
        entry.with_body(pieces.iter(), times)
    }

    /// Stops recording and frees what was recorded.
    fn give_up(&mut self, refusal: Refusal) {
        self.refused = Some(refusal);
        self.body = BytesMut::new();
        self.ends = Vec::new();
        self.events = None;
        self.entry.times = Vec::new();
        self.entry.headers = Vec::new();
    }
}

/// The headers that are the answer's own.
fn stored<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone) -> Vec<(String, Bytes)> {
    let is_connection = |name: &str| name.eq_ignore_ascii_case("connection");
    let named: Vec<&str> = headers
        .clone()
        .filter(|(name, _)| is_connection(name))
        .flat_map(|(_, value)| std::str::from_utf8(value).unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    headers
        .filter(|(name, _)| is_own(name) && !named.iter().any(|other| other.eq_ignore_ascii_case(name)))
        .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)))
        .collect()
}

/// Whether a header says something about the answer, whoever asked for it.
fn is_own(name: &str) -> bool {
    let starts = |start: &&str| name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start));
    !NOT_STORED.iter().chain(OF_ONE_EXCHANGE).any(|other| other.eq_ignore_ascii_case(name))
        && !RATE_LIMITS.iter().any(starts)
}
