//! Server-sent events: the grammar of the WHATWG HTML standard, §9.2.6, on bytes that must survive as they are.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::{memchr, memchr2};

use super::Parts;

/// U+FEFF in UTF-8, which may stand before the first event.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Finds the blank line that ends an event, byte after byte, so that it does not matter how the bytes are split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// What the last byte was.
    at: At,
    /// Whether the last line ended in a lone carriage return. In such a stream a blank line is over with its carriage
    /// return; elsewhere the next byte must be seen, since a line feed may belong to it. Waiting in the first kind
    /// of stream would hold every event back until the next one comes.
    lone_returns: bool,
}

/// A place in a block of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the start of the stream, after so many bytes of a byte order mark.
    Mark(usize),
    /// At the start of a line.
    LineStart,
    /// Inside a line that is not blank.
    Line,
    /// After a carriage return that may be half of a line end.
    Return {
        /// Whether the line that it ends is blank.
        blank: bool,
    },
}

/// Where the lines of a block stand, without their ends.
struct Lines<'a> {
    /// The block.
    bytes: &'a [u8],
    /// Where the next line starts.
    at: usize,
}

// === impl Scan ===

impl Default for At {
    fn default() -> Self {
        Self::Mark(0)
    }
}

impl Scan {
    /// Where the event that the bytes so far began ends in `bytes`, blank line included, or `None` when its end has
    /// not come. Bytes up to that end, or all of them, are taken: the next call goes on after them. The end can be 0.
    pub(super) fn end_of_event(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut index = 0;
        while let Some(&byte) = bytes.get(index) {
            match self.at {
                At::Mark(seen) => index += self.step_mark(seen, byte),
                At::Line => {
                    let found = memchr2(b'\n', b'\r', bytes.get(index..)?)?;
                    index += found + 1;
                    self.end_line(bytes.get(index - 1) == Some(&b'\r'), false);
                }
                At::LineStart if byte == b'\n' || byte == b'\r' => {
                    index += 1;
                    if self.end_line(byte == b'\r', true) {
                        return Some(index);
                    }
                }
                At::LineStart => self.at = At::Line,
                At::Return { blank } => {
                    self.at = At::LineStart;
                    self.lone_returns = byte != b'\n';
                    index += usize::from(byte == b'\n');
                    if blank {
                        return Some(index);
                    }
                }
            }
        }
        None
    }

    /// Looks for a byte order mark; returns how many bytes it took.
    fn step_mark(&mut self, seen: usize, byte: u8) -> usize {
        let matches = BYTE_ORDER_MARK.get(seen) == Some(&byte);
        self.at = match (matches, seen) {
            (true, 2) | (false, 0) => At::LineStart,
            (true, _) => At::Mark(seen + 1),
            (false, _) => At::Line,
        };
        usize::from(matches)
    }

    /// Takes a line feed, or a carriage return, that ends a line. Returns whether an event is over with it.
    fn end_line(&mut self, is_return: bool, blank: bool) -> bool {
        if is_return && !(blank && self.lone_returns) {
            self.at = At::Return { blank };
            return false;
        }
        self.at = At::LineStart;
        self.lone_returns = is_return;
        blank
    }
}

// === impl Lines ===

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (length, end) = line_end(rest);
        let start = self.at;
        self.at = start + length + end;
        Some(start..start + length)
    }
}

/// How long the first line is, and how long its end: 0 when there is none.
fn line_end(bytes: &[u8]) -> (usize, usize) {
    match memchr2(b'\n', b'\r', bytes) {
        None => (bytes.len(), 0),
        Some(at) => (at, if bytes.get(at..at + 2) == Some(b"\r\n") { 2 } else { 1 }),
    }
}

/// A line's field name, and where its value stands. A comment has the empty name.
fn field<'a>(raw: &'a [u8], line: &Range<usize>) -> (&'a [u8], Range<usize>) {
    let text = raw.get(line.clone()).unwrap_or_default();
    let Some(colon) = memchr(b':', text) else {
        return (text, line.end..line.end);
    };
    let space = usize::from(text.get(colon + 1) == Some(&b' '));
    (text.get(..colon).unwrap_or_default(), line.start + colon + 1 + space..line.end)
}

/// Reads one block, of which the first `skip` bytes are a byte order mark.
pub(super) fn parse(raw: &Bytes, skip: usize) -> Parts {
    let mut parts = Parts::default();
    let mut joined: Option<BytesMut> = None;
    for line in (Lines { bytes: raw, at: skip }) {
        let (name, value) = field(raw, &line);
        match name {
            b"data" if !parts.has_data => {
                parts.has_data = true;
                parts.data = raw.slice(value);
            }
            b"data" => {
                let joined = joined.get_or_insert_with(|| BytesMut::from(&parts.data[..]));
                joined.put_u8(b'\n');
                joined.extend_from_slice(raw.get(value).unwrap_or_default());
            }
            b"event" => parts.name = Some(raw.slice(value)).filter(|name| !name.is_empty()).map(readable),
            b"error" => parts.stray_error = true,
            _ => {}
        }
    }
    if let Some(joined) = joined {
        parts.data = joined.freeze();
    }
    parts
}

/// The same bytes when they are UTF-8, as they should be, else with U+FFFD where they are not.
fn readable(name: Bytes) -> Bytes {
    match std::str::from_utf8(&name) {
        Ok(_) => name,
        Err(_) => Bytes::from(String::from_utf8_lossy(&name).into_owned()),
    }
}

/// Writes a changed event: the lines of `raw` that are neither name nor data stay where they are.
pub(super) fn render(raw: &[u8], parts: &Parts) -> Bytes {
    let skip = if raw.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let end = end_style(raw);
    let mut out = BytesMut::with_capacity(raw.len() + parts.data.len() + 32);
    let mut spaced = true;
    let (mut named, mut written) = (false, false);
    for line in (Lines { bytes: raw, at: skip }).filter(|line| !line.is_empty()) {
        let (name, value) = field(raw, &line);
        match name {
            b"data" | b"event" => {
                put_name(&mut out, parts, end, &mut named);
                if name == b"data" && !written {
                    written = true;
                    spaced = value.is_empty() || raw.get(value.start - 1) == Some(&b' ');
                    put_data(&mut out, parts, end, spaced);
                }
            }
            _ => {
                out.extend_from_slice(raw.get(line).unwrap_or_default());
                out.extend_from_slice(end);
            }
        }
    }
    put_name(&mut out, parts, end, &mut named);
    if parts.has_data && !written {
        put_data(&mut out, parts, end, spaced);
    }
    out.extend_from_slice(end);
    out.freeze()
}

/// The end of the first line: that of all lines of a stream made by one server.
fn end_style(raw: &[u8]) -> &[u8] {
    let (length, end) = line_end(raw);
    raw.get(length..length + end).filter(|end| !end.is_empty()).unwrap_or(b"\n")
}

/// Writes the name once, where there is one.
fn put_name(out: &mut BytesMut, parts: &Parts, end: &[u8], named: &mut bool) {
    if let Some(name) = parts.name.as_ref().filter(|_| !std::mem::replace(named, true)) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name);
        out.extend_from_slice(end);
    }
}

/// Writes a `data:` line for each line of the data. A line that starts with a space needs the one that readers take
/// away, whatever the style.
fn put_data(out: &mut BytesMut, parts: &Parts, end: &[u8], spaced: bool) {
    let mut rest: &[u8] = &parts.data;
    loop {
        let (length, gap) = line_end(rest);
        let line = rest.get(..length).unwrap_or_default();
        out.extend_from_slice(if spaced || line.starts_with(b" ") { b"data: " } else { b"data:" });
        out.extend_from_slice(line);
        out.extend_from_slice(end);
        if gap == 0 {
            return;
        }
        rest = rest.get(length + gap..).unwrap_or_default();
    }
}
