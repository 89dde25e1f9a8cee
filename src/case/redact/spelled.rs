//! Text inside another notation (JSON's escapes, the percent signs of a query): read, replaced character by character,
//! and written back in the spelling it had, so that nothing changes its length.

use std::fmt::Write as _;
use std::ops::Range;

/// A text with where each of its characters stands in what it was read from.
pub(super) struct Spelled {
    /// The text.
    pub(super) text: String,
    /// Where its characters stand, in order; none where each stands for itself.
    places: Vec<(char, Range<usize>)>,
    /// How many characters it has.
    count: usize,
}

/// A notation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// Inside a JSON string (RFC 8259 §7).
    Json,
    /// In a query or a form (URL standard, application/x-www-form-urlencoded).
    Percent,
    /// As it is.
    Plain,
}

// === impl Spelled ===

impl Spelled {
    /// Reads a text. What is no escape stands for itself: a piece of a stream may end in the middle of one.
    pub(super) fn read(raw: &str, notation: Notation) -> Self {
        let escapes: &[char] = match notation {
            Notation::Json => &['\\'],
            Notation::Percent => &['%', '+'],
            Notation::Plain => &[],
        };
        if !raw.contains(escapes) {
            return Self { text: raw.to_owned(), places: Vec::new(), count: raw.chars().count() };
        }
        let mut places = Vec::with_capacity(raw.len());
        let mut at = 0;
        while let Some(c) = raw.get(at..).and_then(|rest| rest.chars().next()) {
            let (read, length) = match (notation, c) {
                (Notation::Json, '\\') => escape(raw.get(at..).unwrap_or_default()),
                (Notation::Percent, '%') => percent(raw.get(at..).unwrap_or_default()),
                (Notation::Percent, '+') => (' ', 1),
                _ => (c, c.len_utf8()),
            };
            places.push((read, at..at + length));
            at += length;
        }
        Self { text: places.iter().map(|(c, _)| *c).collect(), count: places.len(), places }
    }

    /// How many characters it has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Writes what was read anew, with other characters in place of its own; those that are the same keep their very
    /// bytes.
    pub(super) fn write(&self, raw: &str, replaced: impl Iterator<Item = char>, notation: Notation) -> String {
        if self.places.is_empty() {
            return replaced.collect();
        }
        let mut out = String::with_capacity(raw.len());
        for ((c, place), made) in self.places.iter().zip(replaced) {
            let spelling = raw.get(place.clone()).unwrap_or_default();
            if *c == made {
                out.push_str(spelling);
            } else if notation == Notation::Json && spelling.starts_with('\\') {
                for unit in made.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            } else if notation == Notation::Percent && spelling.starts_with('%') {
                for byte in made.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "%{byte:02X}");
                }
            } else {
                out.push(made);
            }
        }
        out
    }
}

/// The character of a JSON escape, and its length.
fn escape(rest: &str) -> (char, usize) {
    let c = match rest.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(c @ (b'"' | b'\\' | b'/')) => char::from(*c),
        Some(b'u') => return unicode(rest),
        _ => return ('\\', 1),
    };
    (c, 2)
}

/// The character of `\uXXXX`, or of two that are a pair.
fn unicode(rest: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => {
            let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        (Some(code), _) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        (None, _) => ('\\', 1),
    }
}

/// The character of the bytes behind percent signs, and the length of their spelling.
fn percent(rest: &str) -> (char, usize) {
    let byte = |at: usize| {
        let digits = rest.get(at * 3..at * 3 + 3)?.strip_prefix('%')?;
        u8::from_str_radix(digits, 16).ok()
    };
    let Some(first) = byte(0) else {
        return ('%', 1);
    };
    let count = match first {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    let bytes: Vec<u8> = (0..count).map_while(byte).collect();
    let read = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
    read.map_or((char::REPLACEMENT_CHARACTER, 3), |c| (c, count * 3))
}
