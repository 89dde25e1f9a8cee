//! A stream's events on their way to the client: cut from the bytes, through `on_event`, and back to bytes.

use bytes::{Bytes, BytesMut};

use crate::dialect;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::policy::Hook;
use crate::stream::{Event, Splitter, Wire};

/// The events of one stream.
pub struct Events {
    /// Cuts the upstream's bytes.
    splitter: Splitter,
    /// The stream's form on the wire.
    wire: Wire,
    /// Whether hooks see the events.
    hooked: bool,
    /// An event was larger than the limit: from there on bytes pass as they come.
    overflown: bool,
}

// === impl Events ===

impl Events {
    /// The events of a stream that is about to be sent.
    pub fn new(wire: Wire, x: &Exchange) -> Self {
        let policies = &x.generation.policies;
        Self {
            splitter: Splitter::new(wire, x.generation.settings.limits.event),
            wire,
            hooked: policies.has(Hook::OnEvent) || policies.has(Hook::OnStreamEnd),
            overflown: false,
        }
    }

    /// Whether the bytes sent may differ from those that came, so that a declared length no longer holds.
    pub fn edits(&self) -> bool {
        self.hooked
    }

    /// Takes a piece from the upstream and puts what to send now into `out`. Only whole events go out: should the
    /// upstream break off, what the client has is readable. An error says that an event could not be shown to hooks.
    pub fn pass(&mut self, x: &mut Exchange, piece: Bytes, out: &mut Vec<Bytes>) -> Result<(), Error> {
        if self.overflown {
            out.push(piece);
            return Ok(());
        }
        self.splitter.push(piece);
        loop {
            match self.splitter.next() {
                Ok(Some(event)) if self.hooked => hook(x, event, out),
                Ok(Some(event)) => {
                    x.sent.events += 1;
                    out.push(event.to_bytes());
                }
                Ok(None) => return Ok(()),
                // What a hook was to see must not pass unseen.
                Err(_) if self.hooked => {
                    return Err(Error::upstream(Kind::TooLarge, "an event is larger than this gate holds in memory"));
                }
                Err(_) => {
                    self.overflown = true;
                    out.extend(self.splitter.finish());
                    return Ok(());
                }
            }
        }
    }

    /// The clean end of the stream: what was not a whole event, then what `on_stream_end` adds.
    pub fn end(mut self, x: &mut Exchange) -> Vec<Bytes> {
        let mut out: Vec<Bytes> = self.splitter.finish().into_iter().collect();
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
