//! A connection whose reading side only yields what the [`Framer`] lets pass, with a deadline for every head.

use super::deadline::Deadline;
use super::framer::{Framer, Step};
use super::inbox::{Inbox, ROOM};
use super::{BodyFault, Limits, Refusal};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// A client's connection behind the gate. Writing passes straight through; reading yields whole, checked heads and the
/// bodies they declare, and never crosses from one message into the next within one read.
pub struct Guarded<S> {
    /// The connection itself.
    inner: S,
    /// What may pass.
    framer: Framer,
    /// What the client sent and the reader has not taken.
    inbox: Inbox,
    /// How many bytes at the front of `inbox` may pass.
    cleared: usize,
    /// What passes before them in place of the client's own bytes: a head in another form, or a stand-in.
    instead: Vec<u8>,
    /// How much of `instead` the reader has taken.
    instead_taken: usize,
    /// The fault to report once everything before it has been taken.
    fault: Option<&'static str>,
    /// Whether the client has closed its side.
    ended: bool,
    /// The deadline of the head being waited for.
    deadline: Deadline,
    /// What became of an upgrade: [`UNDECIDED`], [`SWITCHED`] or [`STAYED`]. Atomic so that whoever relays the answer
    /// can say so through a shared reference between two reads.
    word: AtomicU8,
}

/// No word has come on an upgrade.
const UNDECIDED: u8 = 0;
/// The upgrade was answered with 101.
const SWITCHED: u8 = 1;
/// The upgrade was answered with anything else.
const STAYED: u8 = 2;

/// What came of waiting for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// Bytes.
    Some,
    /// The end of the client's side.
    End,
    /// The deadline of the head.
    Late,
}

// === impl Guarded ===

impl<S> Guarded<S> {
    /// Guards a connection that was just accepted, whose first head is due from now. With `allow_h2c` the client may
    /// speak HTTP/2 from the first byte, and the guard then steps aside.
    pub fn new(inner: S, limits: Limits, allow_h2c: bool) -> Self {
        Self::with(inner, Framer::new(limits, allow_h2c), Deadline::started(limits.head_deadline))
    }

    /// Lets everything pass: for a TLS connection that agreed on HTTP/2.
    pub fn transparent(inner: S) -> Self {
        let limits = Limits::default();
        Self::with(inner, Framer::transparent(limits), Deadline::stopped(limits.head_deadline))
    }

    fn with(inner: S, framer: Framer, deadline: Deadline) -> Self {
        Self {
            inner,
            framer,
            inbox: Inbox::default(),
            cleared: 0,
            instead: Vec::new(),
            instead_taken: 0,
            fault: None,
            ended: false,
            deadline,
            word: AtomicU8::new(UNDECIDED),
        }
    }

    /// The connection itself.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The connection itself. Who reads from it passes the guard by.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Says that the client's upgrade was answered with 101: from here every byte passes as it is. Only heeded while
    /// an upgrade awaits its answer.
    pub fn switched(&self) {
        self.word.store(SWITCHED, Ordering::Release);
    }

    /// Says that the client's upgrade was answered with anything but 101: the bytes behind it are the next request.
    /// Until one of the two words comes, nothing behind the upgrade's head passes.
    pub fn stayed(&self) {
        self.word.store(STAYED, Ordering::Release);
    }

    /// Moves what may pass into `dst`, as far as it is at hand and belongs to one message.
    fn deliver(&mut self, dst: &mut ReadBuf<'_>) {
        let before = dst.filled().len();
        loop {
            self.deliver_cleared(dst);
            let message_ended = self.framer.is_in_head() && dst.filled().len() > before;
            if message_ended || dst.remaining() == 0 || self.inbox.is_empty() || self.fault.is_some() {
                return;
            }
            match self.framer.advance(self.inbox.unread()) {
                Step::Pass(count) => self.cleared = count,
                Step::Skip(count) => self.inbox.consume(count),
                Step::Replace { taken, with } => self.replace(taken, with),
                Step::Refuse(refusal) => self.refuse(refusal),
                Step::Fault(reason) => self.fault = Some(reason),
                Step::More | Step::Hold => return,
            }
            if self.cleared > 0 || !self.instead.is_empty() {
                self.deadline.stop();
            }
            if self.framer.is_held() {
                // What was said before there was anything to decide does not count.
                self.word.store(UNDECIDED, Ordering::Release);
            }
        }
    }

    /// Moves what has been found in order into `dst`.
    fn deliver_cleared(&mut self, dst: &mut ReadBuf<'_>) {
        if let Some(rest) = self.instead.get(self.instead_taken..).filter(|rest| !rest.is_empty()) {
            let count = rest.len().min(dst.remaining());
            dst.put_slice(rest.get(..count).unwrap_or_default());
            self.instead_taken += count;
            if self.instead_taken < self.instead.len() {
                return;
            }
            self.instead = Vec::new();
            self.instead_taken = 0;
        }
        let count = self.cleared.min(dst.remaining());
        dst.put_slice(self.inbox.unread().get(..count).unwrap_or_default());
        self.inbox.consume(count);
        self.cleared -= count;
    }

    /// Lets `with` pass in place of the oldest `taken` bytes.
    fn replace(&mut self, taken: usize, with: Vec<u8>) {
        self.inbox.consume(taken);
        self.instead = with;
        self.instead_taken = 0;
    }

    /// Lets a stand-in pass in place of everything the client still sends.
    fn refuse(&mut self, refusal: Refusal) {
        self.framer.end();
        self.replace(self.inbox.len(), refusal.stand_in());
    }

    /// What to do when waiting for a head yielded none: an answer to what began, silence to what did not.
    fn give_up(&mut self, refusal: Refusal) {
        if self.inbox.is_empty() {
            self.framer.end();
        } else {
            self.refuse(refusal);
        }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Whether the client speaks HTTP/2 from the first byte; waits for as few bytes as tell. When it does, the guard
    /// has stepped aside, and the bytes are still there to be read.
    pub async fn is_h2_preface(&mut self) -> io::Result<bool> {
        std::future::poll_fn(|cx| {
            loop {
                if let Some(answer) = self.framer.sniff(self.inbox.unread()) {
                    if answer {
                        self.deadline.stop();
                    }
                    return Poll::Ready(Ok(answer));
                }
                if ready!(self.poll_fill(cx))? != Fill::Some {
                    return Poll::Ready(Ok(false));
                }
            }
        })
        .await
    }

    /// Waits for bytes, not longer than the head's deadline allows.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Fill>> {
        if self.ended {
            return Poll::Ready(Ok(Fill::End));
        }
        match self.inbox.poll_fill(&mut self.inner, cx)? {
            Poll::Ready(0) => {
                self.ended = true;
                Poll::Ready(Ok(Fill::End))
            }
            Poll::Ready(_) => Poll::Ready(Ok(Fill::Some)),
            Poll::Pending => self.deadline.poll_late(cx).map(|()| Ok(Fill::Late)),
        }
    }

    /// Waits for more of a head; `Ready` when there is something new to deliver or nothing will come.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.deadline.mind(!self.inbox.is_empty());
        match ready!(self.poll_fill(cx))? {
            Fill::Some => {}
            Fill::End => self.give_up(Refusal::bad("incomplete head")),
            Fill::Late => self.give_up(Refusal { status: 408, reason: "head not complete in time" }),
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for word on the upgrade. Meanwhile it keeps a little of what the client sends, so as to notice when the
    /// client leaves; `Ready` with the framer still held means that it left.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let word = *self.word.get_mut();
            if word != UNDECIDED {
                self.framer.settle(word == SWITCHED);
                return Poll::Ready(Ok(()));
            }
            if self.ended && self.inbox.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if self.ended || self.inbox.len() >= ROOM {
                return Poll::Pending;
            }
            ready!(self.poll_fill(cx))?;
        }
    }

    /// Reads a body straight into `dst`, past the inbox, which is empty.
    fn poll_body(&mut self, cx: &mut Context<'_>, dst: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = dst.filled().len();
        if self.ended {
            self.framer.end();
            return Poll::Ready(Ok(()));
        }
        match self.framer.unseen() {
            Some(left) if (dst.remaining() as u64) > left => {
                ready!(Pin::new(&mut (&mut self.inner).take(left)).poll_read(cx, dst))?;
            }
            _ => ready!(Pin::new(&mut self.inner).poll_read(cx, dst))?,
        }
        if dst.filled().len() == before {
            self.ended = true;
        }
        self.check_body(dst, before);
        Poll::Ready(Ok(()))
    }

    /// Cuts `dst` to the bytes from `before` on that belong to the body, and keeps the others.
    fn check_body(&mut self, dst: &mut ReadBuf<'_>, before: usize) {
        let mut end = before;
        while let Some(rest) = dst.filled().get(end..).filter(|rest| !rest.is_empty()) {
            match self.framer.advance(rest) {
                Step::Pass(count) => end += count,
                Step::Fault(reason) => {
                    self.fault = Some(reason);
                    break;
                }
                _ => break,
            }
            if self.framer.is_in_head() {
                break;
            }
        }
        self.inbox.push(dst.filled().get(end..).unwrap_or_default());
        dst.set_filled(end);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, dst: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let before = dst.filled().len();
        loop {
            me.deliver(dst);
            if dst.filled().len() > before || dst.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Some(reason) = me.fault.take() {
                me.framer.end();
                return Poll::Ready(Err(BodyFault(reason).into()));
            }
            if me.framer.is_over() {
                return Poll::Ready(Ok(()));
            }
            if me.framer.is_in_head() {
                ready!(me.poll_head(cx))?;
            } else if me.framer.is_held() {
                ready!(me.poll_held(cx))?;
                if me.framer.is_held() {
                    return Poll::Ready(Ok(()));
                }
            } else {
                ready!(me.poll_body(cx, dst))?;
                if dst.filled().len() > before || me.ended {
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Says where the connection stands, not what the client sent: heads carry keys, and the engine logs its streams.
impl<S: fmt::Debug> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("inner", &self.inner)
            .field("framer", &self.framer)
            .field("inbox", &self.inbox)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
