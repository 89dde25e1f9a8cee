//! Builds the events of a stream, with the faults that belong to its content rather than to its bytes.

use std::fmt::{self, Display, Write};

use super::fault::Faults;
use super::reply::Dialect;

/// The events of one answer, one behind the other in one text.
pub(super) struct Stream {
    /// Decides the shape of an error.
    dialect: Dialect,
    /// How the events stand in the text.
    framing: Framing,
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

/// How events are told apart.
#[derive(Clone, Copy, PartialEq)]
enum Framing {
    /// Server-sent events.
    Events,
    /// One line of JSON each.
    Lines,
    /// One indented JSON array, as Gemini streams when nobody asks for server-sent events.
    Array,
}

/// What the error says that `error-event` asks for.
pub(super) const FAILED: &str = "The mock upstream was asked to fail here.";

// === impl Stream ===

impl Stream {
    pub(super) fn new(dialect: Dialect, faults: &Faults) -> Self {
        Self {
            dialect,
            framing: if dialect == Dialect::Ollama { Framing::Lines } else { Framing::Events },
            // Google's servers end their lines so.
            line_end: if faults.crlf || dialect == Dialect::Gemini { "\r\n" } else { "\n" },
            fails_after: faults.error_event,
            open_end: faults.no_done,
            failed: false,
            text: String::with_capacity(4096),
            ends: Vec::with_capacity(32),
        }
    }

    /// The stream as one JSON array.
    pub(super) fn array(dialect: Dialect, faults: &Faults) -> Self {
        Self { framing: Framing::Array, ..Self::new(dialect, faults) }
    }

    /// The media type that the dialect's real upstreams send.
    pub(super) fn content_type(&self) -> &'static str {
        match self.framing {
            Framing::Lines => "application/x-ndjson",
            Framing::Array => "application/json; charset=UTF-8",
            Framing::Events if self.dialect == Dialect::Gemini => "text/event-stream",
            Framing::Events => "text/event-stream; charset=utf-8",
        }
    }

    /// How many events there are: the number of the next one, counted from 0.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds an event; an empty name is none.
    pub(super) fn event(&mut self, name: &str, data: &dyn Display) {
        if self.fails_after == Some(self.len()) {
            self.fail();
        }
        if !self.failed {
            self.push(name, data);
        }
    }

    /// Adds the event that marks the end, or what was asked for in its place.
    pub(super) fn finish(&mut self, name: &str, data: &dyn Display) {
        if self.fails_after.is_some() && !self.failed {
            self.fail();
        }
        if !self.failed && !self.open_end {
            self.push(name, data);
            self.close();
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
            Dialect::OpenAi | Dialect::Gemini | Dialect::Ollama => "",
        };
        self.push(name, &data);
        self.close();
        self.failed = true;
    }

    fn push(&mut self, name: &str, data: &dyn Display) {
        let end = self.line_end;
        match (self.framing, name) {
            (Framing::Lines, _) => self.add(format_args!("{data}"), false),
            (Framing::Array, _) => {
                let before = if self.ends.is_empty() { "[" } else { ",\r\n" };
                self.add(format_args!("{before}{data:#}\n"), false);
            }
            (Framing::Events, "") => self.add(format_args!("data: {data}"), true),
            (Framing::Events, _) => self.add(format_args!("event: {name}{end}data: {data}"), true),
        }
    }

    /// Ends an array within its last event.
    fn close(&mut self) {
        if self.framing == Framing::Array
            && let Some(end) = self.ends.last_mut()
        {
            self.text.push_str("]\n");
            *end = self.text.len();
        }
    }

    fn add(&mut self, event: fmt::Arguments<'_>, parted: bool) {
        let end = if self.framing == Framing::Array { "" } else { self.line_end };
        let gap = if parted { end } else { "" };
        // Writing to a string cannot fail; were it to, the event would be missing rather than half there.
        match write!(self.text, "{event}{end}{gap}") {
            Ok(()) => self.ends.push(self.text.len()),
            Err(fmt::Error) => self.text.truncate(self.ends.last().copied().unwrap_or(0)),
        }
    }
}
