//! The bytes a client has sent and the gate has not yet passed on, in one buffer that a connection reuses.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// The size a buffer starts with, the room each read is offered, and the most that an idle connection keeps.
pub(super) const ROOM: usize = 4 * 1024;

/// A first-in first-out byte buffer over memory that is always initialised.
#[derive(Default)]
pub(super) struct Inbox {
    /// All memory held; bytes outside `start..end` are spare.
    memory: Vec<u8>,
    /// Where the unread bytes begin.
    start: usize,
    /// Where the unread bytes end.
    end: usize,
}

// === impl Inbox ===

impl Inbox {
    /// The bytes not yet consumed, oldest first.
    pub(super) fn unread(&self) -> &[u8] {
        self.memory.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes are not yet consumed.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// How much memory is held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.memory.capacity()
    }

    /// Whether nothing is left to consume.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets the oldest `count` bytes, and memory beyond [`ROOM`] once all are gone.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.start = 0;
            self.end = 0;
            if self.memory.len() > ROOM {
                self.memory.truncate(ROOM);
                self.memory.shrink_to_fit();
            }
        }
    }

    /// Adds bytes that were read elsewhere behind the unread ones.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        let end = self.end + bytes.len();
        if let Some(spare) = self.memory.get_mut(self.end..end) {
            spare.copy_from_slice(bytes);
            self.end = end;
        }
    }

    /// Reads once from `source` and says how many bytes came; zero is the end of the stream.
    pub(super) fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        source: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.end == self.memory.len() {
            self.make_room(ROOM);
        }
        let mut spare = ReadBuf::new(self.memory.get_mut(self.end..).unwrap_or_default());
        ready!(Pin::new(source).poll_read(cx, &mut spare))?;
        let count = spare.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }

    /// Sees to `count` spare bytes behind the unread ones: by moving these to the front, then by growing.
    fn make_room(&mut self, count: usize) {
        if self.memory.len() - self.end >= count {
            return;
        }
        self.memory.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let needed = self.end + count;
        if self.memory.len() < needed {
            self.memory.resize(needed.next_power_of_two().max(ROOM), 0);
        }
    }
}

/// Says how much is held, not what: heads carry keys, and the engine logs its streams.
impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("unread", &self.len()).finish_non_exhaustive()
    }
}
