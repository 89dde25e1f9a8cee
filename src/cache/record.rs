//! Recording an answer as it comes from its upstream, so that a hit replays the very bytes of a miss.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::admit::{self, Refusal};
use super::entry::{Entry, PIECE_COST, Provenance};
use crate::clock::Clock;
use crate::gate::memory::Share;
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

/// Of those, what a client is told that waits for the very answer and is refused together with who asked first.
const OF_A_REFUSAL: &[&str] = &["retry-after", "retry-after-ms", "x-should-retry"];

/// Pieces may cost this much in any case.
const PIECES_AT_LEAST: usize = 512;

/// The least room that is made for pieces at a time.
const BLOCK: usize = 4 * 1024;

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
    pub provenance: Option<Provenance>,
}

/// Records one answer. It belongs to its exchange, so that two answers never mix. As soon as it is clear that the answer
/// will not be kept it holds only what others that listen to it have yet to hear.
#[derive(Debug)]
pub struct Recorder {
    /// Times the pieces.
    clock: Clock,
    /// The entry to be, all but its body.
    entry: Arc<Entry>,
    /// The dialect of the answer.
    dialect: Option<&'static str>,
    /// When the head came.
    started: Duration,
    /// The largest body in bytes.
    max_bytes: usize,
    /// Room for the next pieces. They are copied, because a piece may be a small part of a large read buffer that it
    /// would keep alive.
    room: BytesMut,
    /// The pieces that are held.
    pieces: VecDeque<Bytes>,
    /// How long after the head each of them came.
    times: VecDeque<Duration>,
    /// Pieces that came before them and were let go.
    gone: usize,
    /// Bytes that are held.
    size: usize,
    /// Counts what is held among all that the gate holds.
    share: Option<Share>,
    /// Looks into a stream.
    events: Option<(Wire, Splitter)>,
    /// What the events so far meant.
    seen: Sight,
    /// Why it will not be kept.
    refused: Option<Refusal>,
}

/// The piece was let go: whoever asks for it listens too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

// === impl Recorder ===

impl Recorder {
    /// Starts with the head of an answer, which may already keep it out. `headers` are all of them, repeated ones each;
    /// `max_bytes` is the largest body.
    pub fn new<'h>(
        clock: Clock,
        recording: Recording,
        max_bytes: usize,
        status: u16,
        headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone,
    ) -> Self {
        let age = headers.clone().find(|(name, _)| name.eq_ignore_ascii_case("age"));
        let age = age.and_then(|(_, value)| std::str::from_utf8(value).ok()?.trim().parse().ok());
        let entry = Entry {
            status,
            headers: stored(status, headers.clone()),
            chunks: Vec::new(),
            times: Vec::new(),
            size: 0,
            stored_at: clock.wall(),
            ttl: recording.ttl,
            grace: recording.grace,
            age_before: Duration::from_secs(age.unwrap_or(0)),
            tags: recording.tags,
            provenance: recording.provenance,
        };
        Self {
            clock,
            entry: Arc::new(entry),
            dialect: recording.dialect,
            started: clock.elapsed(),
            max_bytes,
            room: BytesMut::new(),
            pieces: VecDeque::new(),
            times: VecDeque::new(),
            gone: 0,
            size: 0,
            share: None,
            events: recording.wire.map(|wire| (wire, Splitter::new(wire, max_bytes))),
            seen: Sight::default(),
            refused: admit::head(status, headers).err(),
        }
    }

    /// Counts what it holds.
    #[must_use]
    pub fn counted(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    /// The entry to be, all but its body.
    pub fn head(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// The largest body in bytes.
    pub fn limit(&self) -> usize {
        self.max_bytes
    }

    /// Takes the next piece of the body. A stream may be cut anywhere. `heard`: others listen, for whom pieces are held
    /// though the answer will not be kept.
    pub fn push(&mut self, piece: &Bytes, heard: bool) {
        if piece.is_empty() {
            return;
        }
        if self.refused.is_none() {
            // A piece costs more than its bytes: a stream of tiny ones must not outgrow the limit.
            let cost = (self.pieces.len() + 1) * PIECE_COST;
            if self.size + piece.len() > self.max_bytes || cost > self.max_bytes.max(PIECES_AT_LEAST) {
                self.refuse(Refusal::TooLarge);
            } else if self.share.as_mut().is_some_and(|share| !share.spare(piece.len())) {
                self.refuse(Refusal::NoRoom);
            } else {
                self.look_into(piece.clone());
            }
        }
        if self.refused.is_some() && !heard {
            self.let_go();
            return;
        }
        self.hold(piece);
    }

    /// Holds a piece, and lets go of the oldest where there are too many.
    fn hold(&mut self, piece: &Bytes) {
        if self.room.capacity() < piece.len() {
            self.room = BytesMut::with_capacity(piece.len().max(BLOCK));
        }
        self.room.extend_from_slice(piece);
        self.pieces.push_back(self.room.split().freeze());
        self.times.push_back(self.clock.elapsed().saturating_sub(self.started));
        self.size += piece.len();
        while self.refused.is_some() && self.is_too_much() && self.pieces.len() > 1 {
            self.size -= self.pieces.pop_front().map_or(0, |oldest| oldest.len());
            self.times.pop_front();
            self.gone += 1;
        }
    }

    /// Whether more is held than may be: a piece costs more than its bytes, and a stream of tiny ones must not outgrow
    /// the limit.
    fn is_too_much(&self) -> bool {
        self.size > self.max_bytes || self.pieces.len() * PIECE_COST > self.max_bytes.max(PIECES_AT_LEAST)
    }

    /// The piece with this number, counted from 0; none when it has not come yet.
    pub fn piece(&self, number: usize) -> Result<Option<Bytes>, Lost> {
        let at = number.checked_sub(self.gone).ok_or(Lost)?;
        Ok(self.pieces.get(at).cloned())
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
            self.refuse(Refusal::Error);
        } else if too_long {
            self.refuse(Refusal::TooLarge);
        }
    }

    /// Why it will not be kept, if that is known.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused
    }

    /// Decides that the answer will not be kept; the first reason stands.
    pub fn refuse(&mut self, refusal: Refusal) {
        self.refused.get_or_insert(refusal);
        self.events = None;
    }

    /// Ends the recording. `complete` says that the upstream's body came to its end: a broken connection leaves nothing
    /// behind. What it holds stays, for those who listen.
    pub fn finish(&mut self, complete: bool) -> Result<Entry, Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        if !complete {
            return Err(Refusal::Incomplete);
        }
        let seen = match &mut self.events {
            None => None,
            Some((wire, splitter)) => {
                // Some servers leave out the blank line, or the line end, after their last event.
                if let Some(rest) = splitter.finish() {
                    self.seen.add(look(&Event::parse(*wire, rest)));
                }
                Some(self.seen)
            }
        };
        let mut entry = Entry::clone(&self.entry).with_body(self.pieces.iter(), self.times.iter().copied().collect());
        match seen {
            Some(seen) => admit::stream(seen)?,
            None => admit::body(self.dialect, &entry.body())?,
        }
        entry.stored_at = self.clock.wall();
        Ok(entry)
    }

    /// Frees what is held: nobody listens, and it will not be kept.
    fn let_go(&mut self) {
        self.gone += self.pieces.len() + 1;
        self.size = 0;
        self.share = None;
        self.room = BytesMut::new();
        self.pieces = VecDeque::new();
        self.times = VecDeque::new();
    }
}

/// The headers that are the answer's own.
fn stored<'h>(status: u16, headers: impl Iterator<Item = (&'h str, &'h [u8])> + Clone) -> Vec<(String, Bytes)> {
    let is_connection = |name: &str| name.eq_ignore_ascii_case("connection");
    let named: Vec<&str> = headers
        .clone()
        .filter(|(name, _)| is_connection(name))
        .flat_map(|(_, value)| std::str::from_utf8(value).unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    let refusal = |name: &str| status >= 400 && OF_A_REFUSAL.iter().any(|other| other.eq_ignore_ascii_case(name));
    headers
        .filter(|(name, _)| is_own(name) || refusal(name))
        .filter(|(name, _)| !named.iter().any(|other| other.eq_ignore_ascii_case(name)))
        .map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value)))
        .collect()
}

/// Whether a header says something about the answer, whoever asked for it.
fn is_own(name: &str) -> bool {
    let starts = |start: &&str| name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start));
    !NOT_STORED.iter().chain(OF_ONE_EXCHANGE).any(|other| other.eq_ignore_ascii_case(name))
        && !RATE_LIMITS.iter().any(starts)
}
