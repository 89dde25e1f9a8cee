//! Reads the HTTP messages inside a case's blocks, and gives their bodies the shape that travels.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::Piece;
use super::block::Line;
use super::read::duration;
use crate::message::{RequestHead, ResponseHead};

/// How a block's body is to travel: what its opening line says.
#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    /// Line ends are CRLF.
    pub(super) crlf: bool,
    /// The last line has no end.
    pub(super) torn: bool,
    /// How its length is told when its head does not say.
    pub(super) framing: Framing,
    /// The most bytes of a piece.
    pub(super) split: Option<usize>,
    /// Before each piece but the first.
    pub(super) pause: Duration,
}

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

/// What a stream's last bytes must be for its last event to be whole.
#[derive(Clone, Copy)]
enum Ending {
    Nothing,
    Line,
    BlankLine,
}

/// Reads a request and its body.
pub(super) fn request(lines: &[Line<'_>], at: usize, shape: Shape) -> Result<(RequestHead, Vec<Piece>), Mistake> {
    let (first, rest) = start_line(lines).ok_or((at, "the block holds no request".to_owned()))?;
    let words: Vec<&str> = first.bare().split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words.as_slice() else {
        let message = "a request begins like `POST /v1/messages HTTP/1.1`";
        return Err((first.number, message.to_owned()));
    };
    let mut head = RequestHead::build(*method, target.as_bytes(), None)
        .map_err(|error| (first.number, format!("the request line is not HTTP: {error}")))?;
    if words.last() == Some(&"HTTP/1.0") {
        head.set_version(http::Version::HTTP_10);
    }
    let rest = headers(rest, |name, value| head.append_header(name, value).is_ok())?;
    let body = body(rest, &head.headers, shape)?;
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
        rest = headers(after, |name, value| head.append_header(name, value).is_ok())?;
        let interim = head.status.is_informational();
        heads.push(head);
        if !interim {
            break;
        }
    }
    let Some(last) = heads.last_mut() else {
        return Ok((heads, Vec::new()));
    };
    let body = body(rest, &last.headers, shape)?;
    let bodiless = matches!(last.status.as_u16(), 100..=199 | 204 | 304);
    if shape.framing != Framing::Untold && !framed(&last.headers) && !bodiless {
        let streamed = shape.framing == Framing::Chunks || !matches!(ending(&last.headers), Ending::Nothing);
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

fn status_line(line: Line<'_>) -> Result<ResponseHead, Mistake> {
    let bad = || (line.number, "a response begins like `HTTP/1.1 200 OK`".to_owned());
    let rest = line.bare().strip_prefix("HTTP/1.1 ").ok_or_else(bad)?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let code: u16 = code.parse().map_err(|_| bad())?;
    let mut head = ResponseHead::build(code, None).map_err(|_| bad())?;
    if !reason.is_empty() && head.status.canonical_reason() != Some(reason) {
        head.set_reason_phrase(Some(reason)).map_err(|_| bad())?;
    }
    Ok(head)
}

/// Hands header lines to `add` up to the blank line; returns the lines after it.
fn headers<'a, 'l>(
    lines: &'l [Line<'a>],
    mut add: impl FnMut(String, &str) -> bool,
) -> Result<&'l [Line<'a>], Mistake> {
    for (index, line) in lines.iter().enumerate() {
        if line.is_blank() {
            return Ok(lines.get(index + 1..).unwrap_or_default());
        }
        let pair = line.bare().split_once(':');
        let added = pair.is_some_and(|(name, value)| add(name.to_owned(), value.trim()));
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

/// The pieces of a body: cut at `~` lines, ended as its type asks, then cut as the opening line asks.
fn body(lines: &[Line<'_>], headers: &HeaderMap, shape: Shape) -> Result<Vec<Piece>, Mistake> {
    let mut pieces = vec![(Duration::ZERO, String::new())];
    for line in lines {
        if let Some(mark) = line.bare().strip_prefix('~') {
            pieces.push((pause(mark).ok_or_else(|| (line.number, PAUSES.to_owned()))?, String::new()));
        } else if let Some((_, text)) = pieces.last_mut() {
            text.push_str(line.unescaped());
        }
    }
    let ending = if shape.torn { Ending::Nothing } else { ending(headers) };
    end(&mut pieces, ending);
    let pieces = pieces.into_iter().filter(|(pause, text)| !text.is_empty() || !pause.is_zero());
    let line_ends = |text: String| if shape.crlf { text.replace('\n', "\r\n") } else { text };
    let pieces = pieces.map(|(pause, text)| Piece { pause, bytes: Bytes::from(line_ends(text)) });
    Ok(split(pieces, shape))
}

const PAUSES: &str = "`~` cuts a body here, `~ 200ms` lets time pass too; `\\~` begins a line with a tilde";

fn pause(mark: &str) -> Option<Duration> {
    match mark.trim() {
        "" => Some(Duration::ZERO),
        text => duration(text),
    }
}

fn ending(headers: &HeaderMap) -> Ending {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
    match kind.map(|kind| kind.split(';').next().unwrap_or_default().trim()) {
        Some("text/event-stream") => Ending::BlankLine,
        Some("application/x-ndjson" | "application/stream+json") => Ending::Line,
        _ => Ending::Nothing,
    }
}

/// Gives the last piece with bytes the line ends it should have: those in the file only keep blocks apart.
fn end(pieces: &mut [(Duration, String)], ending: Ending) {
    let last = pieces.iter_mut().rev().find(|(_, text)| !text.trim_end_matches(['\r', '\n']).is_empty());
    if let Some((_, text)) = last {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        text.push_str(match ending {
            Ending::Nothing => "",
            Ending::Line => "\n",
            Ending::BlankLine => "\n\n",
        });
    }
    let rest = pieces.iter_mut().rev();
    for (_, text) in rest.take_while(|(_, text)| text.trim_end_matches(['\r', '\n']).is_empty()) {
        text.clear();
    }
}

fn split(pieces: impl Iterator<Item = Piece>, shape: Shape) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        let most = shape.split.unwrap_or(usize::MAX);
        let mut rest = piece.bytes;
        let mut pause = piece.pause;
        loop {
            let bytes = rest.split_to(rest.len().min(most));
            if !out.is_empty() {
                pause += shape.pause;
            }
            out.push(Piece { pause, bytes });
            pause = Duration::ZERO;
            if rest.is_empty() {
                break;
            }
        }
    }
    out
}
