//! Writes bodies: as their lines, with marks where they are cut, and in base64 where bytes are no text.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::super::Piece;
use super::super::body::{Ending, event_ends};
use super::{rounded as milliseconds, time};

/// Bytes of a line in base64: 120 characters.
const BASE64_LINE: usize = 90;

/// A body as text.
#[derive(Clone)]
pub(super) struct Written {
    /// What it adds to the opening line, with blanks before its words.
    pub(super) words: String,
    /// An empty line and the body's own lines; the last one has an end.
    pub(super) text: String,
}

/// How the lines of a body are written.
#[derive(Clone, Copy)]
struct Style {
    /// Line ends are CRLF, said once in the opening line.
    crlf: bool,
    /// Cuts after events are said once in the opening line.
    events: bool,
}

/// The pieces with pauses of whole milliseconds: moments are rounded, so that short pauses are not lost in sum.
pub(super) fn rounded(pieces: &[Piece]) -> Vec<Piece> {
    let (mut at, mut told) = (Duration::ZERO, 0);
    let round = |piece: &Piece| {
        at += piece.pause;
        let now = milliseconds(at);
        let pause = Duration::from_millis(u64::try_from(now - told).unwrap_or(u64::MAX));
        told = now;
        Piece { pause, bytes: piece.bytes.clone() }
    };
    pieces.iter().map(round).collect()
}

/// The ways to write a body, from the plainest; the caller takes the first that reads back.
pub(super) fn forms(pieces: &[Piece], ending: Ending) -> Vec<Written> {
    if pieces.is_empty() {
        return vec![Written { words: String::new(), text: String::new() }];
    }
    let crlf = ends_in_crlf(pieces);
    let style = Style { crlf, events: cut_at_events(pieces, ending) };
    let text = lines(pieces, ending, style);
    let mut words = String::new();
    if crlf {
        words.push_str(" crlf");
    }
    if style.events {
        words.push_str(" split=events");
    }
    let plain = Written { words, text };
    let torn = Written { words: format!("{} torn", plain.words), text: plain.text.clone() };
    let ended = Written { words: plain.words.clone(), text: format!("{}~ end\n", plain.text) };
    let exact = Written { words: String::new(), text: format!("{}~ end\n", in_base64(pieces)) };
    vec![plain, torn, ended, exact]
}

/// Whether most lines end in CRLF.
fn ends_in_crlf(pieces: &[Piece]) -> bool {
    let (mut crlf, mut all) = (0, 0);
    for piece in pieces {
        all += memchr::memchr_iter(b'\n', &piece.bytes).count();
        crlf += memchr::memmem::find_iter(&piece.bytes, b"\r\n").count();
    }
    crlf * 2 > all
}

/// Whether there is a cut after each event, so that saying it once says it.
fn cut_at_events(pieces: &[Piece], ending: Ending) -> bool {
    let whole = |piece: &Piece| event_ends(&piece.bytes, ending).iter().all(|end| *end == piece.bytes.len());
    let events = pieces.iter().filter(|piece| event_ends(&piece.bytes, ending).last() == Some(&piece.bytes.len()));
    pieces.len() > 1 && pieces.iter().all(whole) && events.count() > pieces.len() / 2
}

/// An empty line, then the pieces with their marks.
fn lines(pieces: &[Piece], ending: Ending, style: Style) -> String {
    let mut text = "\n".to_owned();
    let mut torn = false;
    let mut said = false;
    for (index, piece) in pieces.iter().enumerate() {
        if !said && (index > 0 || !piece.pause.is_zero()) {
            mark(&mut text, piece.pause, torn);
        }
        torn = write_piece(&mut text, &piece.bytes, style.crlf);
        let next = pieces.get(index + 1);
        said = style.events
            && !torn
            && next.is_some_and(|next| next.pause.is_zero())
            && event_ends(&piece.bytes, ending).last() == Some(&piece.bytes.len());
    }
    if torn {
        text.push('\n');
    }
    text
}

/// The mark of a cut; one in mid-line ends the line in the file first.
fn mark(text: &mut String, pause: Duration, torn: bool) {
    if torn {
        text.push('\n');
    }
    text.push('~');
    if !pause.is_zero() {
        let _ = write!(text, " {}", time(pause));
    }
    text.push_str(if torn { " torn\n" } else { "\n" });
}

/// Writes a piece; says whether its last line has no end.
fn write_piece(text: &mut String, bytes: &[u8], crlf: bool) -> bool {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let shown: Vec<Option<(&str, bool)>> = lines.iter().map(|line| shown(line, crlf)).collect();
    let hidden = shown.iter().filter(|line| line.is_none()).count();
    if hidden * 4 > lines.len() {
        base64_lines(text, bytes);
        return false;
    }
    let mut torn = false;
    for (line, shown) in lines.iter().zip(shown) {
        torn = false;
        if let Some((line, ended)) = shown {
            if takes_escape(line) {
                text.push('\\');
            }
            text.push_str(line);
            if ended {
                text.push('\n');
            }
            torn = !ended;
        } else {
            base64_lines(text, line);
        }
    }
    torn
}

/// A line as it can stand in the file, without its end, and whether it has one.
fn shown(line: &[u8], crlf: bool) -> Option<(&str, bool)> {
    let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
    let (content, ended) = match line.strip_suffix(end) {
        Some(content) => (content, true),
        None if line.ends_with(b"\n") => return None,
        None => (line, false),
    };
    let content = std::str::from_utf8(content).ok()?;
    (!content.chars().any(|c| c.is_control() && c != '\t')).then_some((content, ended))
}

/// Whether a line means something else unless a `\` stands before it.
fn takes_escape(line: &str) -> bool {
    let mut chars = line.chars();
    match chars.next() {
        Some('~') => true,
        Some('>' | '<') => chars.next().is_none_or(char::is_whitespace),
        Some('\\') => matches!(chars.next(), Some('>' | '<' | '~' | '\\')),
        _ => false,
    }
}

fn base64_lines(text: &mut String, bytes: &[u8]) {
    for part in bytes.chunks(BASE64_LINE) {
        let _ = writeln!(text, "~ base64 {}", BASE64_STANDARD.encode(part));
    }
}

/// All pieces in base64: what reads back whatever they hold.
fn in_base64(pieces: &[Piece]) -> String {
    let mut text = "\n".to_owned();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 || !piece.pause.is_zero() {
            mark(&mut text, piece.pause, false);
        }
        base64_lines(&mut text, &piece.bytes);
    }
    text
}
