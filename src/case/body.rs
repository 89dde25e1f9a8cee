//! Reads the bodies of a case, and gives them the shape that travels.
//!
//! A body is the lines up to the next block, but for the blank ones that only keep blocks apart. Lines that begin with
//! `~` are marks:
//!
//! | mark | meaning |
//! | --- | --- |
//! | `~` | the body is cut here: what follows travels in a piece of its own |
//! | `~ 200ms` | and time passes before it comes |
//! | `~ torn`, `~ 200ms torn` | the cut is in mid-line: the line before has no end |
//! | `~ base64 AAEC` | these bytes, exactly; nothing is cut |
//! | `~ end` | the body ends here with the line end before: none is taken away, none is added |
//!
//! The opening line's `split=7` cuts pieces at every seventh byte, `split=events` after every event (a blank line in
//! `text/event-stream`, elsewhere a line).

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;

use super::Piece;
use super::block::Line;
use super::message::{Framing, Mistake};
use super::read::duration;

/// How a block's body is to travel: what its opening line says.
#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    /// Line ends are CRLF.
    pub(super) crlf: bool,
    /// The last line has no end.
    pub(super) torn: bool,
    /// How its length is told when its head does not say.
    pub(super) framing: Framing,
    /// Where pieces are cut besides the marks.
    pub(super) split: Option<Split>,
    /// Before each piece but the first.
    pub(super) pause: Duration,
}

/// Where an opening line cuts a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// After so many bytes.
    Bytes(usize),
    /// After each event.
    Events,
}

/// What a stream's last bytes must be for its last event to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Nothing,
    Line,
    BlankLine,
}

/// A body as it is being read.
struct Draft {
    crlf: bool,
    /// Pauses and what comes after them.
    pieces: Vec<(Duration, Vec<u8>)>,
    /// The piece that last was given bytes exactly, and its length then.
    exact: (usize, usize),
    /// An end mark was read.
    ended: bool,
}

/// What is said of a mark that means nothing.
const MARKS: &str = "`~` cuts a body here, `~ 200ms` lets time pass too, `~ torn` cuts in mid-line, `~ base64 AAEC` gives \
                     bytes, `~ end` ends the body; `\\~` begins a line with a tilde";

/// What is said of text after an end mark.
const AFTER_END: &str = "the body ended at `~ end`";

/// The pieces of a body: cut at its marks, ended as its type asks, then cut as the opening line asks.
pub(super) fn read(lines: &[Line<'_>], ending: Ending, shape: Shape) -> Result<Vec<Piece>, Mistake> {
    let mut draft = Draft { crlf: shape.crlf, pieces: vec![(Duration::ZERO, Vec::new())], exact: (0, 0), ended: false };
    for line in lines {
        match line.bare().strip_prefix('~') {
            Some(mark) => draft.mark(mark).ok_or_else(|| (line.number, MARKS.to_owned()))?,
            None if !draft.ended => draft.text(line.unescaped()),
            None if line.is_blank() => {}
            None => return Err((line.number, AFTER_END.to_owned())),
        }
    }
    if !draft.ended {
        draft.end(if shape.torn { Ending::Nothing } else { ending });
    }
    let pieces = draft.pieces.into_iter().filter(|(pause, bytes)| !bytes.is_empty() || !pause.is_zero());
    Ok(split(pieces.map(|(pause, bytes)| Piece { pause, bytes: Bytes::from(bytes) }), ending, shape))
}

/// Where the events of some bytes end, in order.
pub(super) fn event_ends(bytes: &[u8], ending: Ending) -> Vec<usize> {
    let ends = memchr::memchr_iter(b'\n', bytes).map(|at| at + 1);
    match ending {
        Ending::BlankLine => ends.filter(|end| ends_blank(bytes.get(..*end).unwrap_or_default())).collect(),
        Ending::Line | Ending::Nothing => ends.collect(),
    }
}

/// Whether the last line is a blank one after another.
fn ends_blank(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n\n") || bytes.ends_with(b"\n\r\n")
}

fn split(pieces: impl Iterator<Item = Piece>, ending: Ending, shape: Shape) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        let ends = match shape.split {
            Some(Split::Bytes(most)) => (1..=piece.bytes.len() / most).map(|n| n * most).collect(),
            Some(Split::Events) => event_ends(&piece.bytes, ending),
            None => Vec::new(),
        };
        let mut pause = piece.pause;
        let mut from = 0;
        for end in ends.into_iter().chain([piece.bytes.len()]) {
            if end == from && end != 0 {
                continue;
            }
            if !out.is_empty() {
                pause += shape.pause;
            }
            out.push(Piece { pause, bytes: piece.bytes.slice(from..end) });
            pause = Duration::ZERO;
            from = end;
        }
    }
    out
}

// === impl Ending ===

impl Ending {
    /// What a body's type asks for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
        match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
            Some("text/event-stream") => Self::BlankLine,
            Some("application/x-ndjson" | "application/stream+json") => Self::Line,
            _ => Self::Nothing,
        }
    }

    fn bytes(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Line => "\n",
            Self::BlankLine => "\n\n",
        }
    }
}

// === impl Draft ===

impl Draft {
    /// Adds a line, or what ends the last one.
    fn text(&mut self, text: &str) {
        let crlf = self.crlf;
        if let Some((_, bytes)) = self.pieces.last_mut() {
            if crlf {
                bytes.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
            } else {
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    /// Does what a mark says. `None`: it means nothing.
    fn mark(&mut self, mark: &str) -> Option<()> {
        let mut words = mark.split_whitespace();
        let mut word = words.next();
        if self.ended {
            return None;
        }
        match word {
            Some("end") if words.next().is_none() => {
                self.ended = true;
                return Some(());
            }
            Some("base64") => return self.bytes(words.next()?).filter(|()| words.next().is_none()),
            _ => {}
        }
        let pause = match word.filter(|word| *word != "torn") {
            Some(time) => {
                word = words.next();
                duration(time)?
            }
            None => Duration::ZERO,
        };
        match word {
            Some("torn") => self.tear()?,
            Some(_) => return None,
            None => {}
        }
        self.pieces.push((pause, Vec::new()));
        words.next().is_none().then_some(())
    }

    /// Adds bytes in base64.
    fn bytes(&mut self, text: &str) -> Option<()> {
        let added = BASE64_STANDARD.decode(text).ok()?;
        let index = self.pieces.len().checked_sub(1)?;
        let (_, bytes) = self.pieces.last_mut()?;
        bytes.extend_from_slice(&added);
        self.exact = (index, bytes.len());
        Some(())
    }

    /// Takes the end of the last line away. `None`: there is none.
    fn tear(&mut self) -> Option<()> {
        let end: &[u8] = if self.crlf { b"\r\n" } else { b"\n" };
        let (_, bytes) = self.pieces.last_mut()?;
        let kept = bytes.strip_suffix(end)?.len();
        bytes.truncate(kept);
        Some(())
    }

    /// Gives the last piece with bytes the line ends it should have: those in the file only keep blocks apart.
    fn end(&mut self, ending: Ending) {
        for (index, (_, bytes)) in self.pieces.iter_mut().enumerate().rev() {
            let exact = if index == self.exact.0 { self.exact.1 } else { 0 };
            let said = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
            bytes.truncate(said.max(exact));
            if said > exact {
                let ends = ending.bytes();
                let ends = if self.crlf { ends.replace('\n', "\r\n") } else { ends.to_owned() };
                bytes.extend_from_slice(ends.as_bytes());
            }
            if !bytes.is_empty() {
                return;
            }
        }
    }
}
