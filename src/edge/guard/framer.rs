//! What may pass of the bytes of one connection: heads, then bodies, then heads, without any I/O of its own.

use super::chunk::Chunked;
use super::head::{Framing, Head, Progress};
use super::rewrite::rewrite;
use super::{Limits, Refusal};

/// What a client says first that speaks HTTP/2 without having been asked (RFC 9113 §3.4).
pub const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The verdict on the oldest bytes of a connection that have not been dealt with.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing can be said before more bytes come.
    More,
    /// So many bytes mean nothing and are to be forgotten.
    Skip(usize),
    /// So many bytes may pass as they are.
    Pass(usize),
    /// So many bytes are a head that passes in another form.
    Replace {
        /// How many bytes are replaced.
        taken: usize,
        /// What passes instead.
        with: Vec<u8>,
    },
    /// A head may not pass, and nothing after it.
    Refuse(Refusal),
    /// A body broke the named rule, and nothing more may pass.
    Fault(&'static str),
    /// Nothing may pass before it is known whether the connection switches to another protocol.
    Hold,
}

/// Follows the messages of one connection.
#[derive(Debug)]
pub struct Framer {
    /// What the client may ask for.
    limits: Limits,
    /// Whether the connection may still turn out to speak HTTP/2 from its first byte.
    sniffing: bool,
    /// Where in the sequence of messages the next byte stands.
    state: State,
}

/// The places in the sequence of messages.
#[derive(Debug)]
enum State {
    /// In a head, or between messages.
    Head(Head),
    /// In a body with so many bytes to come.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// Behind a head that asks to switch protocols.
    Held,
    /// In another protocol.
    Raw,
    /// Behind a refusal or a fault.
    Over,
}

// === impl Framer ===

impl Framer {
    /// Follows a connection from its first byte; with `allow_h2c` it may begin with [`H2_PREFACE`] and then passes
    /// untouched.
    pub fn new(limits: Limits, allow_h2c: bool) -> Self {
        Self { limits, sniffing: allow_h2c, state: State::Head(Head::default()) }
    }

    /// Lets everything pass.
    pub fn transparent(limits: Limits) -> Self {
        Self { limits, sniffing: false, state: State::Raw }
    }

    /// The verdict on `bytes`, the oldest not dealt with. The caller does what it says before it asks again; after
    /// [`Step::More`] it asks again with the same bytes and more behind them.
    pub fn advance(&mut self, bytes: &[u8]) -> Step {
        if bytes.is_empty() {
            return Step::More;
        }
        match &mut self.state {
            State::Head(_) => self.advance_head(bytes),
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= here as u64;
                if *left == 0 {
                    self.state = State::Head(Head::default());
                }
                Step::Pass(here)
            }
            State::Chunked(chunked) => match chunked.follow(bytes, &self.limits) {
                (0, Some(reason)) => {
                    self.state = State::Over;
                    Step::Fault(reason)
                }
                (count, _) => {
                    if chunked.is_done() {
                        self.state = State::Head(Head::default());
                    }
                    Step::Pass(count)
                }
            },
            State::Held => Step::Hold,
            State::Raw => Step::Pass(bytes.len()),
            State::Over => Step::Skip(bytes.len()),
        }
    }

    /// Whether the connection begins with [`H2_PREFACE`]: `None` while `bytes`, all that came, does not tell. Once it
    /// does, everything passes.
    pub fn sniff(&mut self, bytes: &[u8]) -> Option<bool> {
        if !self.sniffing {
            return Some(self.is_raw());
        }
        let matches = H2_PREFACE.iter().zip(bytes).all(|(wanted, byte)| wanted == byte);
        if matches && bytes.len() < H2_PREFACE.len() {
            return None;
        }
        self.sniffing = false;
        if matches {
            self.state = State::Raw;
        }
        Some(matches)
    }

    /// Settles a held connection: with `switched` everything passes from here, otherwise the next byte begins a head.
    /// Without effect on a connection that is not held.
    pub fn settle(&mut self, switched: bool) {
        if self.is_held() {
            self.state = if switched { State::Raw } else { State::Head(Head::default()) };
        }
    }

    /// Gives up what the client left incomplete or never sent: nothing more may pass.
    pub fn end(&mut self) {
        self.state = State::Over;
    }

    /// Whether the next byte belongs to a head.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Whether it is undecided if the connection switches to another protocol.
    pub fn is_held(&self) -> bool {
        matches!(self.state, State::Held)
    }

    /// Whether everything passes.
    pub fn is_raw(&self) -> bool {
        matches!(self.state, State::Raw)
    }

    /// Whether nothing more may pass.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// How many bytes may pass without being looked at: what is left of a body with a length, or all of them.
    pub fn unseen(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Raw => Some(u64::MAX),
            _ => None,
        }
    }

    /// The verdict on bytes that begin a head.
    fn advance_head(&mut self, bytes: &[u8]) -> Step {
        if self.sniffing {
            match self.sniff(bytes) {
                None => return Step::More,
                Some(true) => return Step::Pass(bytes.len()),
                Some(false) => {}
            }
        }
        let State::Head(head) = &mut self.state else {
            return Step::More;
        };
        match head.follow(bytes, &self.limits) {
            Progress::More => Step::More,
            Progress::Skip(count) => {
                // What follows an empty line is a request of HTTP/1.
                self.sniffing = false;
                Step::Skip(count)
            }
            Progress::Refused(refusal) => {
                self.state = State::Over;
                Step::Refuse(refusal)
            }
            Progress::Complete { length, framing, rewrite: anew } => {
                let with = anew.then(|| rewrite(bytes.get(..length).unwrap_or_default(), head.facts()));
                self.state = match framing {
                    Framing::Length(0) => State::Head(Head::default()),
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::Chunked(Chunked::new()),
                    Framing::Switch => State::Held,
                };
                match with {
                    Some(with) => Step::Replace { taken: length, with },
                    None => Step::Pass(length),
                }
            }
        }
    }
}
