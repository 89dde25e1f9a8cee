//! A stream's events on their way to the client: cut from the bytes, through `on_event`, and back to bytes.

use bytes::{Bytes, BytesMut};

use crate::dialect::{self, Dialect, view};
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::Hook;
use crate::stream::{Ending, Event, Splitter, Wire};

/// The events of one stream.
pub struct Events {
    /// Cuts the upstream's bytes.
    splitter: Splitter,
    /// The stream's form on the wire.
    wire: Wire,
    /// Whether hooks see the events.
    hooked: bool,
    /// How many events hooks see before what they left is written: few at first, so that the first event does not wait
    /// for all that came with it.
    batch: usize,
    /// An event was larger than the limit: from there on bytes pass as they come.
    overflown: bool,
    /// Such bytes.
    beyond: Option<Bytes>,
    /// What the upstream said last.
    ending: Ending,
}

/// Events that are written at once at most, when hooks see each.
const MOST_AT_ONCE: usize = 32;

/// The code of the error that a stream told no end.
pub const NO_END: &str = "no_end";

// === impl Events ===

impl Events {
    /// The events of a stream that is about to be sent.
    pub fn new(wire: Wire, x: &Exchange) -> Self {
        let policies = &x.generation.policies;
        Self {
            splitter: Splitter::new(wire, x.generation.settings.limits.event),
            wire,
            hooked: policies.has(Hook::OnEvent) || policies.has(Hook::OnStreamEnd),
            batch: 1,
            overflown: false,
            beyond: None,
            ending: Ending::default(),
        }
    }

    /// Whether the bytes sent may differ from those that came, so that a declared length no longer holds.
    pub fn edits(&self) -> bool {
        self.hooked
    }

    /// Whether the client may have heard a part of an event.
    pub fn within(&self) -> bool {
        self.overflown
    }

    /// Takes a piece from the upstream.
    pub fn push(&mut self, piece: Bytes) {
        if self.overflown {
            self.beyond = Some(piece);
        } else {
            self.splitter.push(piece);
        }
    }

    /// Puts what to send now into `out`, and tells whether there is more. Only whole events go out: should the upstream
    /// break off, what the client has is readable. An error says that an event could not be shown to hooks.
    pub fn pass(&mut self, x: &mut Exchange, out: &mut Vec<Bytes>) -> Result<bool, Error> {
        out.extend(self.beyond.take());
        let batch = self.batch;
        self.batch = (batch * 2).min(MOST_AT_ONCE);
        let mut seen = 0;
        while !self.overflown {
            if seen == batch {
                return Ok(true);
            }
            let next = self.splitter.next();
            if let Ok(Some(event)) = &next {
                self.ending.see(event);
            }
            match next {
                Ok(Some(event)) if self.hooked => {
                    hook(x, event, out);
                    seen += 1;
                }
                Ok(Some(event)) => {
                    x.sent.events += 1;
                    out.push(event.to_bytes());
                }
                Ok(None) => break,
                // What a hook was to see must not pass unseen.
                Err(_) if self.hooked => {
                    return Err(Error::upstream(Kind::TooLarge, "an event is larger than this gate holds in memory"));
                }
                Err(_) => {
                    self.overflown = true;
                    out.extend(self.splitter.finish());
                }
            }
        }
        Ok(false)
    }

    /// The error of a stream that came to its end without telling so. Its client gets the bytes as they came, and can see
    /// what is missing; nobody else may take it for a whole answer. Only of a dialect is it known how streams end.
    pub fn unfinished(&mut self, dialect: Option<Dialect>) -> Option<Error> {
        if self.overflown || dialect.is_none_or(|dialect| !view::speaks(dialect)) {
            return None;
        }
        self.beyond = self.splitter.finish();
        if let Some(rest) = self.beyond.clone() {
            self.ending.see(&Event::parse(self.wire, rest));
        }
        let message = "the upstream ended its stream before the answer was whole";
        (!self.ending.is_told()).then(|| Error::upstream(Kind::StreamError, message).with_code(NO_END))
    }

    /// The clean end of the stream: what was not a whole event, then what `on_stream_end` adds.
    pub fn end(mut self, x: &mut Exchange) -> Vec<Bytes> {
        let mut out: Vec<Bytes> = self.beyond.take().into_iter().chain(self.splitter.finish()).collect();
        if self.hooked {
            out.extend(x.run.on_stream_end("done", self.wire).iter().map(Event::to_bytes));
        }
        out
    }

    /// The stream failed after the commit point: the error in the client's dialect, as its last event.
    pub fn fail(self, x: &mut Exchange, error: &Error) -> Vec<Bytes> {
        let mut out = Vec::new();
        if self.hooked {
            let reason = super::fail::reason(error).as_str();
            out.extend(x.run.on_stream_end(reason, self.wire).iter().map(Event::to_bytes));
        }
        out.extend(dialect::error_events(x.dialect, self.wire, error, &x.id).iter().map(Event::to_bytes));
        out
    }
}

/// Shows one event to the hooks. Comments are no events: they pass as they are.
fn hook(x: &mut Exchange, event: Event, out: &mut Vec<Bytes>) {
    x.sent.events += 1;
    if !event.has_data() {
        out.push(event.to_bytes());
        return;
    }
    for event in x.run.on_event(event) {
        out.push(event.to_bytes());
    }
}

/// Several events as one piece: each piece is a write.
pub fn joined(events: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(events) {
        Ok([only]) => only,
        Err(events) => {
            let mut all = BytesMut::with_capacity(events.iter().map(Bytes::len).sum());
            for event in &events {
                all.extend_from_slice(event);
            }
            all.freeze()
        }
    }
}
