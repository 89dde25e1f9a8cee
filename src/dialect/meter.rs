//! Counts the tokens of an answer, and hears of a failure within it, from the very bytes that the client is sent.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use super::event::Usage;
use super::failure::Failure;
use super::view::{self, Memory};
use super::{Dialect, error};
use crate::json::{Doc, Limits};
use crate::stream::decode::Decoder;
use crate::stream::{self, Event, Splitter, Wire};

#[cfg(test)]
mod tests;

/// A meter on one answer.
pub struct Meter {
    dialect: Dialect,
    /// Undoes the compression that client and upstream agreed on.
    decoder: Option<Decoder>,
    form: Form,
    memory: Memory,
    usage: Option<view::Usage>,
    /// Events with data: most servers send one for each token.
    events: u64,
    /// The failure that a stream told of.
    failure: Option<Failure>,
    /// What is measured is not what it says it is: nothing more is read.
    blind: bool,
}

/// The form of the measured body.
enum Form {
    Stream(Splitter),
    /// A whole answer, gathered up to [`MOST`].
    Whole(Vec<u8>),
}

/// Answers and events longer than this are not measured. They pass all the same.
const MOST: usize = 16 * 1024 * 1024;

/// Bytes of a request that are about one token: for a guess where the upstream says nothing.
const BYTES_A_TOKEN: u64 = 4;

/// What stands in every event that says what was used: only those are read.
static SAYS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [Finder::new("\"usage"), Finder::new("eval_count\"")]);

/// What stands in every event that tells of a failure.
static FAILS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("error"));

// === impl Meter ===

impl Meter {
    /// A meter for an answer in a dialect, streamed if there is a wire; `None` where no tokens are counted, or the
    /// answer's coding is not known here.
    pub fn new(dialect: Dialect, wire: Option<Wire>, coding: Option<&str>) -> Option<Self> {
        let decoder = match coding {
            Some(coding) => Some(Decoder::of(coding, MOST)?),
            None => None,
        };
        view::speaks(dialect).then(|| Self {
            dialect,
            decoder,
            form: wire.map_or_else(|| Form::Whole(Vec::new()), |wire| Form::Stream(Splitter::new(wire, MOST))),
            memory: Memory::default(),
            usage: None,
            events: 0,
            failure: None,
            blind: false,
        })
    }

    /// Reads a piece on its way to the client.
    pub fn read(&mut self, piece: &Bytes) {
        if self.blind {
            return;
        }
        let piece = match &mut self.decoder {
            None => Ok(piece.clone()),
            Some(decoder) => decoder.push(piece),
        };
        let Ok(piece) = piece else {
            self.blind = true;
            return;
        };
        match &mut self.form {
            Form::Whole(body) if body.len() + piece.len() <= MOST => body.extend_from_slice(&piece),
            Form::Whole(_) => self.blind = true,
            Form::Stream(splitter) => {
                splitter.push(piece);
                self.read_events();
            }
        }
    }

    fn read_events(&mut self) {
        loop {
            let Form::Stream(splitter) = &mut self.form else { return };
            match splitter.next() {
                Ok(Some(event)) => self.event(&event),
                Ok(None) => return,
                Err(_) => {
                    self.blind = true;
                    return;
                }
            }
        }
    }

    fn event(&mut self, event: &Event) {
        if self.failure.is_none() && FAILS.find(&event.to_bytes()).is_some() && stream::look(event).error {
            self.failure = Some(error::read_event(event));
        }
        if !event.has_data() {
            return;
        }
        self.events += 1;
        if SAYS.iter().any(|says| says.find(event.data()).is_some())
            && let Ok(mut doc) = Doc::parse(event.data().clone(), Limits::default())
        {
            let mut parts = view::event(self.dialect, event.name(), &mut doc);
            self.memory.complete(self.dialect, &mut parts);
            self.usage = parts.iter().rev().find_map(|part| part.usage).or(self.usage);
        }
    }

    /// The end of the answer. Some servers leave out the blank line, or the line end, after their last event.
    pub fn end(&mut self) {
        let Form::Stream(splitter) = &mut self.form else { return };
        if let Some(rest) = splitter.finish().filter(|_| !self.blind) {
            let event = Event::parse(splitter.wire(), rest);
            self.event(&event);
        }
    }

    /// The failure that a stream told of, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What was used. Where the upstream said nothing it is estimated: an event of a stream for each token written, and
    /// a token for four bytes of the request, of which there were `asked`.
    pub fn usage(mut self, asked: Option<u64>) -> Option<Usage> {
        if let Form::Whole(body) = &mut self.form
            && let Ok(mut doc) = Doc::parse(Bytes::from(std::mem::take(body)), Limits::default())
        {
            self.usage = view::used(self.dialect, &mut doc);
        }
        match self.usage {
            Some(told) => Some(Usage {
                input: told.input.unwrap_or_default(),
                output: told.output.unwrap_or_default(),
                cache_read: told.cache_read,
                cache_write: told.cache_write,
                reasoning: told.reasoning,
                ..Usage::default()
            }),
            None if self.events > 0 => Some(Usage {
                input: asked.unwrap_or_default() / BYTES_A_TOKEN,
                output: self.events,
                estimated: true,
                ..Usage::default()
            }),
            None => None,
        }
    }
}
