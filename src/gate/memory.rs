//! Counts the bytes of bodies held in memory over all exchanges, so that many large ones cannot exhaust the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Fault, Kind};

/// All bytes held.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<AtomicUsize>);

/// One exchange's part of them; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    all: Held,
    mine: usize,
    /// What all exchanges together may hold.
    cap: usize,
}

// === impl Held ===

impl Held {
    /// An exchange's part, empty at first; all together may hold `cap` bytes.
    pub fn share(&self, cap: usize) -> Share {
        Share { all: self.clone(), mine: 0, cap }
    }

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Share ===

impl Share {
    /// Takes so many bytes more; an error when all together would hold too much.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let before = self.all.0.fetch_add(bytes, Ordering::Relaxed);
        self.mine += bytes;
        if before + bytes > self.cap {
            return Err(Error::new(
                Fault::Gate,
                Kind::Overloaded,
                503,
                "the gate holds as many bodies in memory as it may",
            ));
        }
        Ok(())
    }
}

impl Share {
    /// Takes so many bytes more for what is welcome and not needed, such as a copy for the cache: only as long as all
    /// together then hold half of what they may. Says whether it did.
    pub fn spare(&mut self, bytes: usize) -> bool {
        let before = self.all.0.fetch_add(bytes, Ordering::Relaxed);
        let room = before + bytes <= self.cap / 2;
        if room {
            self.mine += bytes;
        } else {
            self.all.0.fetch_sub(bytes, Ordering::Relaxed);
        }
        room
    }

    /// An empty part of the same whole, to be given back by itself.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { all: self.all.clone(), mine: 0, cap: self.cap }
    }

    /// Takes over what another part counts.
    pub fn join(&mut self, mut other: Self) {
        self.mine += std::mem::take(&mut other.mine);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back() {
        let held = Held::default();
        let mut share = held.share(10);
        share.grow(8).unwrap();
        assert!(held.share(10).grow(3).is_err());
        assert_eq!(held.bytes(), 8);
        drop(share);
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn what_is_not_needed_leaves_half_of_the_room() {
        let held = Held::default();
        let (mut copy, mut body) = (held.share(10), held.share(10));
        assert!(copy.spare(5) && !copy.spare(1));
        assert!(body.grow(5).is_ok() && !copy.spare(1));
        assert_eq!(held.bytes(), 10);
        drop((copy, body));
        assert_eq!(held.bytes(), 0);
    }
}
