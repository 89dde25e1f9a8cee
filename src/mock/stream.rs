//! Builds the events of a stream, with the faults that belong to its content rather than to its bytes.

use std::fmt::{self, Write};

use super::fault::Faults;
use super::reply::Dialect;

/// The events of one answer, one behind the other in one text.
pub(super) struct Stream {
    /// Decides the framing and the shape of an error.
    dialect: Dialect,
    /// Ends every line.
    line_end: &'static str,
    /// After how many events an error ends the stream.
    fails_after: Option<usize>,
    /// Whether the event that marks the end is left out.
    open_end: bool,
    /// Set by the error; nothing follows it.
    failed: bool,
    /// All events as they are sent.
    text: String,
    /// Where each event ends in `text`.
    ends: Vec<usize>,
}

/// What the error says that `error-event` asks for.
pub(super) const FAILED: &str = "The mock upstream was asked to fail here.";

// === impl Stream ===

impl Stream {
    pub(super) fn new(dialect: Dialect, faults: &Faults) -> Self {
        Self {
            dialect,
            line_end: if faults.crlf { "\r\n" } else { "\n" },
            fails_after: faults.error_event,
            open_end: faults.no_done,
            failed: false,
            text: String::with_capacity(4096),
            ends: Vec::with_capacity(32),
        }
    }

    /// The media type that the dialect's real upstreams send.
    pub(super) fn content_type(&self) -> &'static str {
        match self.dialect {
            Dialect::Ollama => "application/x-ndjson",
            _ => "text/event-stream; charset=utf-8",
        }
    }

    /// How many events there are: the number of the next one, counted from 0.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds an event; an empty name is none.
    pub(super) fn event(&mut self, name: &str, data: fmt::Arguments<'_>) {
        if self.fails_after == Some(self.len()) {
            self.fail();
        }
        if !self.failed {
            self.push(name, data);
        }
    }

    /// Adds the event that marks the end, or what was asked for in its place.
    pub(super) fn finish(&mut self, name: &str, data: fmt::Arguments<'_>) {
        if self.fails_after.is_some() && !self.failed {
            self.fail();
        }
        if !self.failed && !self.open_end {
            self.push(name, data);
        }
    }

    /// The bytes of the event with this index.
    pub(super) fn event_at(&self, index: usize) -> Option<&str> {
        let start = match index.checked_sub(1) {
            Some(previous) => *self.ends.get(previous)?,
            None => 0,
        };
        self.text.get(start..*self.ends.get(index)?)
    }

    fn fail(&mut self) {
        let data = self.dialect.error_event(self.len(), FAILED);
        let name = match self.dialect {
            Dialect::Responses | Dialect::Anthropic => "error",
            Dialect::OpenAi | Dialect::Ollama => "",
        };
        self.push(name, format_args!("{data}"));
        self.failed = true;
    }

    fn push(&mut self, name: &str, data: fmt::Arguments<'_>) {
        let end = self.line_end;
        let written = match (self.dialect, name) {
            (Dialect::Ollama, _) => write!(self.text, "{data}{end}"),
            (_, "") => write!(self.text, "data: {data}{end}{end}"),
            _ => write!(self.text, "event: {name}{end}data: {data}{end}{end}"),
        };
        // Writing to a string cannot fail; were it to, the event would be missing rather than half there.
        match written {
            Ok(()) => self.ends.push(self.text.len()),
            Err(fmt::Error) => self.text.truncate(self.ends.last().copied().unwrap_or(0)),
        }
    }
}
