//! What an attempt sends after the request head, and how much of it a second connection could be sent again.

use bytes::Bytes;

/// How much of a passing body is kept for a second connection.
const KEPT: usize = 64 * 1024;

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
