//! NDJSON: one JSON value a line. A line feed cannot stand inside a JSON string, so it always ends an event.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr;

use super::Parts;

/// Where the first event in `bytes` ends, its line feed included.
pub(super) fn end_of_event(bytes: &[u8]) -> Option<usize> {
    memchr(b'\n', bytes).map(|at| at + 1)
}

/// Reads one line, of which the first `skip` bytes are a byte order mark.
pub(super) fn parse(raw: &Bytes, skip: usize) -> Parts {
    let line = raw.get(skip..).unwrap_or_default();
    let start = raw.len() - line.trim_ascii_start().len();
    let data = raw.slice(start..start + line.trim_ascii().len());
    Parts { has_data: !data.is_empty(), data, ..Parts::default() }
}

/// Writes a changed line with the line end that `raw` had.
pub(super) fn render(raw: &[u8], parts: &Parts) -> Bytes {
    let mut out = BytesMut::with_capacity(parts.data.len() + 2);
    out.extend(parts.data.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.put_slice(if raw.ends_with(b"\r\n") { b"\r\n" } else { b"\n" });
    out.freeze()
}
