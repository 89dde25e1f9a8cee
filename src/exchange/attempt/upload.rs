//! What an attempt sends after the request head, and how much of it a second connection could be sent again.

use bytes::{Bytes, BytesMut};

use crate::error::Error;
use crate::exchange::wire::Client;
use crate::exchange::{Exchange, heads, receive};
use crate::message::Body;
use crate::policy::Hook;

/// How much of a passing body is kept for a second connection.
const KEPT: usize = 64 * 1024;

/// Bodies up to this size are looked for beside their head.
const SMALL_BODY: u64 = 16 * 1024;

/// What is sent after a head.
pub(super) enum Upload {
    /// Nothing.
    Nothing,
    /// This, all in memory.
    Whole(Bytes),
    /// What is still on the client's wire.
    Streaming(Passing),
}

/// A body that is passed on as it comes. Its beginning stays at hand: a kept connection that turns out to be closed
/// is replaced by a fresh one, which needs it again.
pub(super) struct Passing {
    /// What was taken off the client's wire, until it becomes too much.
    kept: Vec<Bytes>,
    /// Bytes taken.
    taken: usize,
    /// The answer began before all of it was sent.
    overtaken: bool,
}

// === impl Upload ===

impl Upload {
    /// Whether all that was sent of it can be sent again.
    pub(super) fn at_hand(&self) -> bool {
        match self {
            Self::Nothing | Self::Whole(_) => true,
            Self::Streaming(passing) => passing.taken <= KEPT,
        }
    }

    /// Whether all of it is in memory, and no more than `most` bytes.
    pub(super) fn fits(&self, most: usize) -> bool {
        match self {
            Self::Nothing => true,
            Self::Whole(bytes) => bytes.len() <= most,
            Self::Streaming(_) => false,
        }
    }

    /// Whether the answer began before all of it was sent.
    pub(super) fn overtaken(&self) -> bool {
        matches!(self, Self::Streaming(passing) if passing.overtaken)
    }
}

// === impl Passing ===

impl Passing {
    /// A body of which `prefix` was read already.
    pub(super) fn new(prefix: Bytes) -> Self {
        Self { taken: prefix.len(), kept: vec![prefix], overtaken: false }
    }

    /// What was taken so far, to be sent first.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Bytes> {
        self.kept.iter().filter(|piece| !piece.is_empty())
    }

    /// Notes that the answer began before all of the body was sent.
    pub(super) fn overtake(&mut self) {
        self.overtaken = true;
    }

    /// Keeps a piece that is about to be sent, while the body is small.
    pub(super) fn keep(&mut self, piece: &Bytes) {
        self.taken += piece.len();
        if self.taken <= KEPT {
            self.kept.push(piece.clone());
        } else {
            self.kept.clear();
        }
    }
}

/// Decides what follows the head. A body that may be needed again is read into memory, as far as it fits.
pub(super) async fn prepare<C: Client>(client: &mut C, x: &mut Exchange, replay: bool) -> Result<Upload, Error> {
    let limits = &x.generation.settings.limits;
    let (unread, declared) = {
        let request = x.request.lock();
        (matches!(request.body, Body::Unread), heads::content_length(&request.head.headers))
    };
    if !unread {
        let request = x.request.lock();
        return match &request.body {
            Body::Failed(error) => Err(error.clone()),
            Body::Streamed => Err(Error::gate("the request body was already passed on")),
            body => Ok(body.bytes().filter(|bytes| !bytes.is_empty()).map_or(Upload::Nothing, Upload::Whole)),
        };
    }
    if !replay || declared.is_some_and(|length| length > limits.body as u64) {
        return at_hand(client, x, declared).await;
    }
    let (bytes, whole) = receive::read_up_to(client, Bytes::new(), limits.body, declared, &mut x.intake).await?;
    if !whole {
        receive::mark_streamed(&x.request);
        return Ok(Upload::Streaming(Passing::new(bytes)));
    }
    x.request.fill(Body::Whole(bytes.clone()));
    Ok(Upload::Whole(bytes))
}

/// A body that nobody has to look at is passed on as it comes. A small one that came together with its head is sent
/// together with it too, which saves a system call.
async fn at_hand<C: Client>(client: &mut C, x: &Exchange, declared: Option<u64>) -> Result<Upload, Error> {
    let small = declared.is_some_and(|length| length <= SMALL_BODY);
    if !small || x.intake.expects_continue || x.generation.policies.has(Hook::OnAttempt) {
        return Ok(Upload::Streaming(Passing::new(Bytes::new())));
    }
    let mut read = BytesMut::new();
    while declared.is_some_and(|length| length > read.len() as u64) {
        let piece = tokio::select! {
            biased;
            piece = client.read_body() => piece?,
            () = std::future::ready(()) => break,
        };
        match piece {
            Some(piece) => read.extend_from_slice(&piece),
            None => break,
        }
    }
    let read = read.freeze();
    if declared == Some(read.len() as u64) && client.body_done() {
        x.request.fill(Body::Whole(read.clone()));
        return Ok(Upload::Whole(read));
    }
    if !read.is_empty() {
        receive::mark_streamed(&x.request);
    }
    Ok(Upload::Streaming(Passing::new(read)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_body_can_be_sent_again_and_a_large_one_is_not_kept() {
        let mut passing = Passing::new(Bytes::new());
        passing.keep(&Bytes::from_static(b"ab"));
        passing.keep(&Bytes::from_static(b"c"));
        assert_eq!(passing.kept().collect::<Vec<_>>(), ["ab", "c"]);
        passing.keep(&Bytes::from(vec![0; KEPT]));
        assert_eq!(passing.kept().count(), 0);
        assert!(!Upload::Streaming(passing).at_hand());
    }
}
