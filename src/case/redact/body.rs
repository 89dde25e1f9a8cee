//! Redacts bodies by what they are: JSON, streams of events, forms, parts of a form, other text, and bytes that are no
//! text. Nothing that cannot be read is let through.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::super::Piece;
use super::head;
use super::scan::{Depth, Scan};
use super::{Kind, json};
use crate::stream::Wire;
use crate::stream::decode::Decoder;

/// A compressed body that unfolds to more is not looked into.
const MOST: usize = 64 << 20;

/// A body as it may be kept, in the pieces it came in; `kind` is its `Content-Type`.
pub(super) fn pieces(scan: &Scan<'_>, body: &[Piece], kind: &str) -> Vec<Piece> {
    let all: Vec<u8> = body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
    let made = bytes(scan, &all, kind);
    let mut made = Bytes::from(made);
    let cut = |piece: &Piece| Piece { pause: piece.pause, bytes: made.split_to(piece.bytes.len().min(made.len())) };
    body.iter().map(cut).collect()
}

/// A compressed body unfolded, piece by piece; `None` when it cannot be.
pub(super) fn unfolded(body: &[Piece], coding: &str) -> Option<Vec<Piece>> {
    let mut decoder = Decoder::of(coding, MOST)?;
    let mut pieces: Vec<Piece> = Vec::with_capacity(body.len());
    let mut pause = Duration::ZERO;
    let mut length = 0;
    for piece in body {
        let bytes = decoder.push(&piece.bytes).ok()?;
        pause += piece.pause;
        length += bytes.len();
        if length > MOST {
            return None;
        }
        if !bytes.is_empty() {
            pieces.push(Piece { pause, bytes });
            pause = Duration::ZERO;
        }
    }
    Some(pieces)
}

/// A compressed body that could not be looked into, without what it says.
pub(super) fn hidden(scan: &Scan<'_>, body: &[Piece]) -> Vec<Piece> {
    let hide = |piece: &Piece| Piece { pause: piece.pause, bytes: Bytes::from(noise(scan, &piece.bytes)) };
    body.iter().map(hide).collect()
}

/// Bytes of a body as they may be kept, as many as they were.
fn bytes(scan: &Scan<'_>, bytes: &[u8], kind: &str) -> Vec<u8> {
    if let Some(boundary) = boundary(kind) {
        return parts(scan, bytes, &boundary);
    }
    match std::str::from_utf8(bytes) {
        Ok(said) if !said.contains('\0') => text(scan, said, kind).into_bytes(),
        // The body was broken off within a character.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            let (said, rest) = bytes.split_at(error.valid_up_to());
            let said = String::from_utf8_lossy(said);
            let mut made = text(scan, &said, kind).into_bytes();
            made.extend(rest.iter().map(|_| b'?'));
            made
        }
        _ => noise(scan, bytes),
    }
}

fn noise(scan: &Scan<'_>, bytes: &[u8]) -> Vec<u8> {
    let made = scan.mint.noise(bytes);
    if made != bytes {
        scan.count(Kind::Binary, "", "replaced");
    }
    made
}

/// A body that is text, as it may be kept.
pub(super) fn text(scan: &Scan<'_>, text: &str, kind: &str) -> String {
    let said = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let streams = Wire::of(kind) == Some(Wire::Sse)
        || ["data:", "event:", ": ", "id:"].iter().any(|start| said.starts_with(start));
    if streams && !kind.starts_with("application/json") {
        events(scan, text)
    } else if said.starts_with(['{', '[']) {
        if is_lines(text) { lines(scan, text) } else { json::whole(scan, text, false) }
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        head::query(scan, text)
    } else if kind.contains("json") {
        json::whole(scan, text, false)
    } else {
        json::value(scan, text, Depth::Words)
    }
}

/// Whether each line is JSON of its own.
fn is_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let whole = |line: &str| line.starts_with('{') && line.trim_end().ends_with('}');
    lines.next().is_some_and(whole) && lines.next().is_some_and(|line| line.starts_with('{'))
}

fn lines(scan: &Scan<'_>, text: &str) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    json::events(scan, &mut lines);
    lines.concat()
}

/// A stream of events (WHATWG HTML, server-sent events), with what its lines say redacted.
fn events(scan: &Scan<'_>, text: &str) -> String {
    let mut payloads: Vec<String> = Vec::new();
    let mut places: Vec<Vec<Range<usize>>> = Vec::new();
    let mut other: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for line in line_ranges(text) {
        let said = text.get(line.clone()).unwrap_or_default();
        let (field, value) = said.split_once(':').unwrap_or((said, ""));
        let start = line.end - value.len() + usize::from(value.starts_with(' '));
        let value = text.get(start..line.end).unwrap_or_default();
        match field {
            "data" if open => {
                if let (Some(payload), Some(places)) = (payloads.last_mut(), places.last_mut()) {
                    payload.push('\n');
                    payload.push_str(value);
                    places.push(start..line.end);
                }
            }
            "data" => {
                payloads.push(value.to_owned());
                places.push(std::iter::once(start..line.end).collect());
            }
            "event" | "retry" => {}
            _ if said.is_empty() => {}
            _ => other.push(if said.contains(':') { start..line.end } else { line.clone() }),
        }
        open = field == "data" || (open && !said.is_empty());
    }
    let mut made = redacted(scan, text, payloads, places);
    made.extend(other.into_iter().map(|range| {
        let value = text.get(range.clone()).unwrap_or_default();
        (range, json::value(scan, value, Depth::Words))
    }));
    put(text, made)
}

/// What the events' data becomes, line by line.
fn redacted(
    scan: &Scan<'_>,
    text: &str,
    mut payloads: Vec<String>,
    places: Vec<Vec<Range<usize>>>,
) -> Vec<(Range<usize>, String)> {
    let is_json = |payload: &String| payload.trim_start().starts_with(['{', '[']) && payload.trim() != "[DONE]";
    let kinds: Vec<bool> = payloads.iter().map(is_json).collect();
    for (payload, json) in payloads.iter_mut().zip(&kinds) {
        if !json && payload.trim() != "[DONE]" {
            *payload = json::value(scan, payload, Depth::Words);
        }
    }
    let mut jsons: Vec<String> = Vec::new();
    for (payload, json) in payloads.iter_mut().zip(&kinds) {
        if *json {
            jsons.push(std::mem::take(payload));
        }
    }
    json::events(scan, &mut jsons);
    let mut jsons = jsons.into_iter();
    let mut made = Vec::new();
    for ((payload, json), ranges) in payloads.into_iter().zip(kinds).zip(places) {
        let payload = if json { jsons.next().unwrap_or_default() } else { payload };
        let mut at = 0;
        for range in ranges {
            let end = at + range.len();
            made.push((
                range.clone(),
                payload.get(at..end).unwrap_or_else(|| text.get(range).unwrap_or_default()).to_owned(),
            ));
            at = end + 1;
        }
    }
    made
}

/// A text with some of its parts replaced.
fn put(text: &str, mut made: Vec<(Range<usize>, String)>) -> String {
    made.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, part) in made {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&part);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Where the lines of a text stand, without their ends.
fn line_ranges(text: &str) -> Vec<Range<usize>> {
    let mut from = 0;
    let line = |line: &str| {
        let start = from;
        from += line.len();
        start..start + line.trim_end_matches(['\r', '\n']).len()
    };
    let end = if text.contains('\n') { '\n' } else { '\r' };
    text.split_inclusive(end).map(line).collect()
}

/// The boundary of a body of several parts (RFC 2046 §5.1.1).
fn boundary(kind: &str) -> Option<String> {
    let rest = kind.strip_prefix("multipart/")?;
    let at = rest.to_ascii_lowercase().find("boundary=")?;
    let value = rest.get(at + 9..)?.split(';').next()?.trim().trim_matches('"');
    (!value.is_empty()).then(|| format!("--{value}"))
}

/// A body of several parts: each is redacted by its own type, their heads as heads.
fn parts(scan: &Scan<'_>, all: &[u8], boundary: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(all.len());
    let mut from = 0;
    let mut first = true;
    let marks = memchr::memmem::find_iter(all, boundary.as_bytes()).chain([all.len()]);
    for mark in marks {
        let part = all.get(from..mark).unwrap_or_default();
        if first {
            out.extend(noise_or_blank(scan, part));
        } else {
            out.extend_from_slice(boundary.as_bytes());
            out.extend(part_of(scan, part.get(boundary.len()..).unwrap_or_default()));
        }
        first = false;
        from = mark;
    }
    out
}

/// What stands outside the parts: line ends stay.
fn noise_or_blank(scan: &Scan<'_>, outside: &[u8]) -> Vec<u8> {
    if outside.iter().all(|byte| b"\r\n- ".contains(byte)) { outside.to_vec() } else { bytes(scan, outside, "") }
}

/// A part after its boundary: a line end, its head, an empty line, its body, a line end.
fn part_of(scan: &Scan<'_>, part: &[u8]) -> Vec<u8> {
    let Some(at) = memchr::memmem::find(part, b"\r\n\r\n") else {
        return noise_or_blank(scan, part);
    };
    let (head, rest) = part.split_at(at + 4);
    let (body, end) = rest.split_at(rest.len() - if rest.ends_with(b"\r\n") { 2 } else { 0 });
    let head = String::from_utf8_lossy(head);
    let kind = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
    });
    let field = head.split_once("name=\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default().to_owned();
    let mut out = part_head(scan, &head).into_bytes();
    let plain = kind.is_none().then(|| std::str::from_utf8(body).ok()).flatten();
    match plain {
        Some(value) => out.extend(head::parameter(scan, &field, value).into_bytes()),
        None => out.extend(bytes(scan, body, kind.as_deref().unwrap_or_default())),
    }
    out.extend_from_slice(end);
    out
}

/// A part's head: the names of files are somebody's.
fn part_head(scan: &Scan<'_>, head: &str) -> String {
    let Some((before, rest)) = head.split_once("filename=\"") else {
        return scan.text(head, Depth::Structure);
    };
    let (name, after) = rest.split_once('"').unwrap_or((rest, ""));
    let (stem, ending) =
        name.rsplit_once('.').map_or((name, ""), |(stem, _)| (stem, name.get(stem.len()..).unwrap_or_default()));
    let quote = if rest.len() > name.len() { "\"" } else { "" };
    let stem = scan.text(stem, Depth::Words);
    format!(
        "{}filename=\"{stem}{ending}{quote}{}",
        scan.text(before, Depth::Structure),
        scan.text(after, Depth::Structure)
    )
}
