//! One JSON array that arrives in pieces: how Gemini streams when it is not asked for `alt=sse`. Each element is an
//! event; brackets, commas and blanks between elements belong to the event they precede, so that no byte is lost.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;

use super::Parts;
use super::sse::BYTE_ORDER_MARK;

/// Finds where an element ends, byte after byte, so that it does not matter how the bytes are split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// What the last byte was part of.
    at: At,
    /// Whether the bracket that opens the stream's array was seen and its end was not.
    inside: bool,
}

/// A place in the array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Between two elements, or outside the array.
    #[default]
    Between,
    /// In a number or a literal, which ends before the next separator.
    Word,
    /// In an element, so many brackets deep; 0 only within a string.
    Open {
        /// Brackets that are open in the element.
        depth: usize,
        /// Whether a string is open.
        string: bool,
        /// Whether the last byte was the backslash of an escape.
        escape: bool,
    },
}

// === impl Scan ===

impl Scan {
    /// Where the element that the bytes so far began ends in `bytes`, or the array with its bracket; `None` when
    /// neither has come. Bytes up to that end, or all of them, are taken. The end can be 0.
    pub(super) fn end_of_event(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut index = 0;
        while let Some(&byte) = bytes.get(index) {
            match self.at {
                At::Open { depth, string: true, escape: false } => {
                    index += memchr2(b'"', b'\\', bytes.get(index..)?)?;
                    let escape = bytes.get(index) == Some(&b'\\');
                    self.at = At::Open { depth, string: escape, escape };
                }
                At::Open { depth, string: true, escape: true } => {
                    self.at = At::Open { depth, string: true, escape: false };
                    index += 1;
                    continue;
                }
                At::Open { depth, .. } => self.step(byte, depth),
                At::Word if matches!(byte, b',' | b']' | b' ' | b'\t' | b'\r' | b'\n') => {
                    self.at = At::Between;
                    return Some(index);
                }
                At::Word => {}
                At::Between => {
                    if self.begin(byte) {
                        return Some(index + 1);
                    }
                }
            }
            index += 1;
            if matches!(self.at, At::Open { depth: 0, string: false, .. }) {
                self.at = At::Between;
                return Some(index);
            }
        }
        None
    }

    /// Takes a byte within an element and outside its strings.
    fn step(&mut self, byte: u8, depth: usize) {
        let depth = match byte {
            b'{' | b'[' => depth + 1,
            b'}' | b']' => depth.saturating_sub(1),
            _ => depth,
        };
        self.at = At::Open { depth, string: byte == b'"', escape: false };
    }

    /// Takes a byte between elements. Returns whether it ends the array. A byte order mark is passed over.
    fn begin(&mut self, byte: u8) -> bool {
        match byte {
            b'[' if !self.inside => self.inside = true,
            b']' => {
                self.inside = false;
                return true;
            }
            b'{' | b'[' | b'"' => self.step(byte, 0),
            b',' | b' ' | b'\t' | b'\r' | b'\n' | 0x80.. => {}
            _ => self.at = At::Word,
        }
        false
    }
}

/// Reads one piece: the element is the data; the end of the array, or blanks, are a piece without data.
pub(super) fn parse(raw: &Bytes) -> Parts {
    let data = raw.slice(element(raw));
    Parts { has_data: !data.is_empty(), data, ..Parts::default() }
}

/// Writes a changed piece with the separators that `raw` had. One that was made here goes on with the array after a
/// comma: who begins or ends an array makes its bytes and reads them with [`super::Event::parse`].
pub(super) fn render(raw: &[u8], parts: &Parts) -> Bytes {
    let Range { start, end } = element(raw);
    let before = if raw.is_empty() { b",\r\n" } else { raw.get(..start).unwrap_or_default() };
    let after = raw.get(end..).unwrap_or_default();
    let mut out = BytesMut::with_capacity(before.len() + parts.data.len() + after.len());
    out.put_slice(before);
    out.put_slice(&parts.data);
    out.put_slice(after);
    out.freeze()
}

/// Where the element stands in a piece.
fn element(raw: &[u8]) -> Range<usize> {
    let piece = raw.strip_prefix(BYTE_ORDER_MARK).unwrap_or(raw).trim_ascii_start();
    let element = match piece.split_first() {
        Some((b'[' | b',', rest)) => rest.trim_ascii_start(),
        _ => piece,
    };
    let start = raw.len() - element.len();
    let element = element.trim_ascii_end();
    start..start + if element == b"]" { 0 } else { element.len() }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Splitter, Wire};
    use super::*;

    const ARRAYS: &[&str] = &[
        "[{\n  \"a\": \"x]},[\\\" \\\\\"\n}\n,\r\n{\"b\":[{},[1,2]]}\n]\n",
        "[[1],\"two, \\\"]\",3,null , -4.5e1]",
        "\u{feff}{\"error\":{\"code\":503}}",
        " [ ] ",
        "[{\"cut\": \"sho",
        "]{\"a\":1},,}",
    ];

    /// The data of each event, and all bytes joined.
    fn take<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Bytes>, Vec<u8>) {
        let mut splitter = Splitter::new(Wire::JsonArray, 1 << 20);
        let (mut data, mut bytes) = (Vec::new(), Vec::new());
        for piece in pieces {
            splitter.push(Bytes::copy_from_slice(piece));
            while let Some(event) = splitter.next().expect("no event is too long") {
                bytes.extend_from_slice(&event.to_bytes());
                data.push(event.data().clone());
            }
        }
        bytes.extend_from_slice(&splitter.finish().unwrap_or_default());
        (data, bytes)
    }

    #[test]
    fn every_split_gives_the_same_elements_and_the_same_bytes() {
        for text in ARRAYS {
            let bytes = text.as_bytes();
            let whole = take(std::iter::once(bytes));
            assert_eq!(whole.1, bytes, "{text:?}");
            for at in 0..=bytes.len() {
                assert_eq!(take([&bytes[..at], &bytes[at..]].into_iter()), whole, "{text:?} at {at}");
            }
            assert_eq!(take(bytes.chunks(1)), whole, "{text:?} byte by byte");
        }
    }

    #[test]
    fn elements_are_the_data_and_the_end_has_none() {
        let (data, _) = take(std::iter::once(ARRAYS[1].as_bytes()));
        assert_eq!(data, ["[1]", "\"two, \\\"]\"", "3", "null", "-4.5e1", ""]);
        let (data, _) = take(std::iter::once(ARRAYS[2].as_bytes()));
        assert_eq!(data, ["{\"error\":{\"code\":503}}"]);
        assert_eq!(take(std::iter::once(ARRAYS[3].as_bytes())).0, [""]);
    }

    #[test]
    fn an_element_does_not_wait_for_the_comma_after_it() {
        let mut splitter = Splitter::new(Wire::JsonArray, 100);
        splitter.push(Bytes::from_static(b"[{\"a\":1}"));
        assert_eq!(splitter.next().unwrap().unwrap().data(), "{\"a\":1}");
    }

    #[test]
    fn a_changed_element_keeps_its_separators_and_a_made_one_follows_a_comma() {
        for (raw, changed) in [("[{}", "[7"), ("\n,\r\n{} ", "\n,\r\n7 "), ("{}", "7"), ("[[2]", "[7")] {
            let mut event = Event::parse(Wire::JsonArray, Bytes::copy_from_slice(raw.as_bytes()));
            event.set_data(Bytes::from_static(b"7"));
            assert_eq!(event.to_bytes(), changed, "{raw:?}");
        }
        assert_eq!(Event::new(Wire::JsonArray, Some("x"), Bytes::from_static(b"{}")).to_bytes(), ",\r\n{}");
    }
}
