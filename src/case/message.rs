//! Reads the HTTP messages inside a case's blocks, and gives their bodies the shape that travels.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, Version};

use super::Piece;
use super::block::Line;
use super::body::{self, Ending, Shape};
use crate::message::{RequestHead, ResponseHead};

/// How the length of a body is told when the head in the case does not say.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its bytes; a stream in chunks.
    #[default]
    Usual,
    /// In chunks: what follows is broken off or never comes, so that no length would be true.
    Chunks,
    /// Not at all.
    Untold,
}

/// A mistake and where it is.
pub(super) type Mistake = (usize, String);

/// The versions of HTTP that a head can name.
pub(super) const VERSIONS: [(&str, Version); 3] =
    [("HTTP/1.1", Version::HTTP_11), ("HTTP/1.0", Version::HTTP_10), ("HTTP/2", Version::HTTP_2)];

/// What stands for a reason phrase that is empty, where one without any has the usual one.
pub(super) const NO_REASON: &str = "~";

/// The name under which a target that is not text stands among the headers.
pub(super) const TARGET: &str = ":target";

/// Reads a request and its body.
pub(super) fn request(lines: &[Line<'_>], at: usize, shape: Shape) -> Result<(RequestHead, Vec<Piece>), Mistake> {
    let (first, rest) = start_line(lines).ok_or((at, "the block holds no request".to_owned()))?;
    let words: Vec<&str> = first.bare().split(' ').collect();
    let bad = || (first.number, "a request begins like `POST /v1/messages HTTP/1.1`".to_owned());
    let [method, target, version] = words.as_slice() else {
        return Err(bad());
    };
    let version = version_of(version).ok_or_else(bad)?;
    let mut head = RequestHead::build(*method, target.as_bytes(), None)
        .map_err(|error| (first.number, format!("the request line is not HTTP: {error}")))?;
    head.set_version(version);
    let rest = headers(rest, |name, value| match name {
        TARGET => head.set_raw_path(value).is_ok(),
        name => head.append_header(name.to_owned(), value).is_ok(),
    })?;
    let body = body::read(rest, Ending::of(&head.headers), shape)?;
    if shape.framing != Framing::Untold && !framed(&head.headers) && !body.is_empty() {
        let _ = head.append_header("Content-Length", length(&body).to_string());
    }
    Ok((head, body))
}

/// Reads a response, with the interim ones before it. Empty when the block holds none.
pub(super) fn response(lines: &[Line<'_>], shape: Shape) -> Result<(Vec<ResponseHead>, Vec<Piece>), Mistake> {
    let mut heads = Vec::new();
    let mut rest = lines;
    while let Some((first, after)) = start_line(rest) {
        let mut head = status_line(first)?;
        rest = headers(after, |name, value| head.append_header(name.to_owned(), value).is_ok())?;
        let interim = head.status.is_informational();
        heads.push(head);
        if !interim {
            break;
        }
    }
    let Some(last) = heads.last_mut() else {
        return Ok((heads, Vec::new()));
    };
    let body = body::read(rest, Ending::of(&last.headers), shape)?;
    let bodiless = matches!(last.status.as_u16(), 100..=199 | 204 | 304);
    if shape.framing != Framing::Untold && !framed(&last.headers) && !bodiless {
        let streamed = shape.framing == Framing::Chunks || !matches!(Ending::of(&last.headers), Ending::Nothing);
        let _ = if streamed {
            last.append_header("Transfer-Encoding", "chunked")
        } else {
            last.append_header("Content-Length", length(&body).to_string())
        };
    }
    Ok((heads, body))
}

/// The first line that says something, and the lines after it.
fn start_line<'a, 'l>(lines: &'l [Line<'a>]) -> Option<(Line<'a>, &'l [Line<'a>])> {
    let at = lines.iter().position(|line| !line.is_blank())?;
    Some((*lines.get(at)?, lines.get(at + 1..)?))
}

fn version_of(word: &str) -> Option<Version> {
    VERSIONS.iter().find(|(name, _)| *name == word).map(|(_, version)| *version)
}

fn status_line(line: Line<'_>) -> Result<ResponseHead, Mistake> {
    let bad = || (line.number, "a response begins like `HTTP/1.1 200 OK`".to_owned());
    let (version, rest) = line.bare().split_once(' ').ok_or_else(bad)?;
    let version = version_of(version).ok_or_else(bad)?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code: u16 = code.parse().map_err(|_| bad())?;
    let mut head = ResponseHead::build(code, None).map_err(|_| bad())?;
    head.set_version(version);
    let reason = Some(reason).filter(|reason| !reason.is_empty() && head.status.canonical_reason() != Some(*reason));
    if let Some(reason) = reason {
        let reason = if reason == NO_REASON { "" } else { reason };
        head.set_reason_phrase(Some(reason)).map_err(|_| bad())?;
    }
    Ok(head)
}

/// Hands header lines to `add` up to the blank line; returns the lines after it.
fn headers<'a, 'l>(lines: &'l [Line<'a>], mut add: impl FnMut(&str, &[u8]) -> bool) -> Result<&'l [Line<'a>], Mistake> {
    for (index, line) in lines.iter().enumerate() {
        if line.is_blank() {
            return Ok(lines.get(index + 1..).unwrap_or_default());
        }
        let added = match line.bare().strip_prefix("~ base64 ") {
            Some(rest) => rest
                .split_once(' ')
                .is_some_and(|(name, value)| BASE64_STANDARD.decode(value.trim()).is_ok_and(|value| add(name, &value))),
            None => line.bare().split_once(':').is_some_and(|(name, value)| add(name, value.trim().as_bytes())),
        };
        if !added {
            return Err((line.number, "this is not a header; an empty line ends the headers".to_owned()));
        }
    }
    Ok(&[])
}

fn framed(headers: &HeaderMap) -> bool {
    headers.contains_key("content-length") || headers.contains_key("transfer-encoding")
}

fn length(body: &[Piece]) -> usize {
    body.iter().map(|piece| piece.bytes.len()).sum()
}
