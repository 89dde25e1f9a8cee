//! Writes an answer, with the faults that were asked for.

use std::io::{self, Write};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::fault::{Ending, Faults};
use super::http::{Head, Wire};
use super::reply::{Body, Reply};
use super::state::Mock;

/// What the request and the connection say about how its answer is written.
pub(super) struct Manner<'a> {
    /// Written into `x-mock`.
    pub(super) name: &'a str,
    /// HEAD: the answer has no body, whatever its head says.
    pub(super) head_only: bool,
    /// HTTP/1.1: the answer may be chunked.
    pub(super) modern: bool,
    /// Whether the connection stays open after the answer.
    pub(super) keep_alive: bool,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Another request may follow.
    Again,
    /// The connection is closed.
    Close,
}

/// How the client finds the end of the body (RFC 9112 §6).
#[derive(Clone, Copy, PartialEq)]
enum Framing {
    /// Told beforehand, in bytes.
    Length(u64),
    /// By an empty chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// How much is gathered before it is written when nothing asks for pauses.
const GATHER: usize = 64 * 1024;
/// The pieces that a plain body is counted in by the faults that count.
const PIECE: usize = 16;
/// Neither a status line, nor a chunk size, nor JSON.
const GARBAGE: &[u8] = b"\x00\xffnot http, not a chunk, not json\r\n}{]\x07";

/// Writes `reply`. An error means that the client left before the end.
pub(super) async fn send(wire: &mut Wire, reply: &Reply, faults: &Faults, manner: &Manner<'_>) -> io::Result<Next> {
    if !faults.delay.is_zero() {
        wire.rest(faults.delay).await?;
    }
    match faults.ending {
        Ending::Reset => return reset(wire),
        Ending::Garbage => {
            wire.out.extend_from_slice(GARBAGE);
            return close(wire).await;
        }
        _ => {}
    }
    if faults.hints.is_some() && manner.modern {
        wire.out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload; as=style\r\n\r\n");
    }
    let framing = manner.framing(reply, faults);
    let before = wire.out.len();
    write_head(&mut wire.out, reply, faults, manner, framing)?;
    match faults.ending {
        Ending::HalfHead => {
            wire.out.truncate(before + (wire.out.len() - before) / 2);
            return close(wire).await;
        }
        Ending::ResetAfterHead => {
            wire.flush(0, Duration::ZERO).await?;
            return reset(wire);
        }
        _ => {}
    }
    let next = if manner.head_only { Next::Again } else { write_body(wire, reply, faults, framing).await? };
    if next == Next::Again && manner.keep_alive && framing != Framing::Close {
        wire.flush(0, Duration::ZERO).await?;
        return Ok(Next::Again);
    }
    close(wire).await
}

// === impl Manner ===

impl<'a> Manner<'a> {
    pub(super) fn of(mock: &'a Mock, head: &Head) -> Self {
        let head_only = head.method == "HEAD";
        Self { name: &mock.name, head_only, modern: head.modern, keep_alive: head.keep_alive }
    }

    /// For an answer to what could not be read as a request.
    pub(super) fn closing(mock: &'a Mock) -> Self {
        Self { name: &mock.name, head_only: false, modern: true, keep_alive: false }
    }

    fn framing(&self, reply: &Reply, faults: &Faults) -> Framing {
        match (reply.body.len(), self.modern) {
            (Some(length), modern) if !(modern && faults.trailers) => Framing::Length(length),
            (_, true) => Framing::Chunked,
            (_, false) => Framing::Close,
        }
    }
}

fn write_head(
    out: &mut Vec<u8>,
    reply: &Reply,
    faults: &Faults,
    manner: &Manner<'_>,
    framing: Framing,
) -> io::Result<()> {
    let reason = ::http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
    let (status, reason, kind, name) = (reply.status, reason.unwrap_or_default(), reply.content_type, manner.name);
    write!(out, "HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\nx-mock: {name}\r\n")?;
    match framing {
        Framing::Length(length) => write!(out, "content-length: {length}\r\n")?,
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Close => {}
    }
    if faults.trailers && framing == Framing::Chunked {
        out.extend_from_slice(b"trailer: x-mock-trailer\r\n");
    }
    if let Some(value) = &faults.retry_after {
        write!(out, "retry-after: {value}\r\n")?;
    }
    if let Some(methods) = reply.allow {
        write!(out, "allow: {methods}\r\n")?;
    }
    if !manner.keep_alive || framing == Framing::Close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if !manner.modern {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes the body piece by piece up to its end or to where a fault ends it. What is gathered last is left in
/// `wire.out`, so that a small answer is one write.
async fn write_body(wire: &mut Wire, reply: &Reply, faults: &Faults, framing: Framing) -> io::Result<Next> {
    let pace = Pace::of(faults);
    let limit = pace.limit(&reply.body, framing);
    let mut index = 0;
    while let Some(piece) = reply.body.piece(index, pace.step) {
        if Some(index) == limit {
            break;
        }
        if index > 0 && !faults.pause.is_zero() {
            pace.flush(wire).await?;
            wire.rest(faults.pause).await?;
        } else if wire.out.len() > GATHER || (index == 0 && pace.split > 0) {
            wire.flush(if index == 0 { 0 } else { pace.split }, pace.gap).await?;
        }
        frame(&mut wire.out, piece, framing)?;
        index += 1;
    }
    if limit.is_none() {
        end(&mut wire.out, faults, framing);
        if pace.split > 0 {
            pace.flush(wire).await?;
        }
        return Ok(Next::Again);
    }
    pace.flush(wire).await?;
    break_off(wire, reply, faults, framing, index).await
}

/// How the pieces of a body go out.
struct Pace {
    /// How large the pieces of a plain body are.
    step: usize,
    /// The size of one write, 0 for any.
    split: usize,
    /// The rest between two writes.
    gap: Duration,
    /// After how many pieces the body breaks off.
    limit: Option<usize>,
}

// === impl Pace ===

impl Pace {
    fn of(faults: &Faults) -> Self {
        let limit = match faults.ending {
            Ending::Cut(count) | Ending::Stall(count) | Ending::GarbageAfter(count) => Some(count),
            _ => None,
        };
        let counted = limit.is_some() || !faults.pause.is_zero();
        let split = if faults.drip.is_some() { 1 } else { faults.split.unwrap_or(0) };
        Self { step: if counted { PIECE } else { GATHER }, split, gap: faults.drip.unwrap_or_default(), limit }
    }

    /// A body of a known length that broke off after its last piece would be whole, so the last piece is held back.
    fn limit(&self, body: &Body, framing: Framing) -> Option<usize> {
        let Framing::Length(length) = framing else { return self.limit };
        let step = u64::try_from(self.step).unwrap_or(u64::MAX);
        let last = usize::try_from(length.div_ceil(step)).unwrap_or(usize::MAX).saturating_sub(1);
        self.limit.map(|limit| limit.min(last)).filter(|_| body.len() != Some(0))
    }

    async fn flush(&self, wire: &mut Wire) -> io::Result<()> {
        wire.flush(self.split, self.gap).await
    }
}

fn frame(out: &mut Vec<u8>, piece: &[u8], framing: Framing) -> io::Result<()> {
    if framing != Framing::Chunked {
        out.extend_from_slice(piece);
        return Ok(());
    }
    write!(out, "{:x}\r\n", piece.len())?;
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn end(out: &mut Vec<u8>, faults: &Faults, framing: Framing) {
    if framing == Framing::Chunked {
        let trailer: &[u8] = if faults.trailers { b"0\r\nx-mock-trailer: end\r\n\r\n" } else { b"0\r\n\r\n" };
        out.extend_from_slice(trailer);
    }
}

/// Ends a body before its end, after `sent` pieces.
async fn break_off(wire: &mut Wire, reply: &Reply, faults: &Faults, framing: Framing, sent: usize) -> io::Result<Next> {
    match (faults.ending, framing) {
        (Ending::Stall(_), _) => {
            wire.until_gone().await;
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        // The length is kept, so that the damage is to the content alone.
        (Ending::GarbageAfter(_), Framing::Length(_)) => {
            let mut index = sent;
            while let Some(piece) = reply.body.piece(index, PIECE) {
                wire.out.extend(GARBAGE.iter().cycle().take(piece.len()));
                if wire.out.len() > GATHER {
                    wire.flush(0, Duration::ZERO).await?;
                }
                index += 1;
            }
            Ok(Next::Again)
        }
        (Ending::GarbageAfter(_), _) => {
            wire.out.extend_from_slice(GARBAGE);
            Ok(Next::Close)
        }
        _ => Ok(Next::Close),
    }
}

/// Drops the connection so that the client sees a reset instead of an end.
fn reset(wire: &Wire) -> io::Result<Next> {
    wire.stream.set_zero_linger()?;
    Ok(Next::Close)
}

/// Writes what is due and ends the connection in order.
async fn close(wire: &mut Wire) -> io::Result<Next> {
    wire.flush(0, Duration::ZERO).await?;
    wire.stream.shutdown().await?;
    Ok(Next::Close)
}
