//! What lies on disk: how large, how long of use, when it was used last, and what it can be picked by.

use std::collections::{BTreeMap, HashMap};

use crate::cache::sealed::Label;

/// So many uses of an answer need not be noted in its file's time.
const RECENT: u64 = 16;

/// What is known of the files.
#[derive(Debug)]
pub(super) struct Index {
    /// The most bytes they may take.
    most: u64,
    /// The bytes they take.
    bytes: u64,
    /// By the hash of the key.
    slots: HashMap<[u8; 32], Slot>,
    /// The same by last use, the longest unused first.
    order: BTreeMap<u64, [u8; 32]>,
    /// Counts uses up.
    newest: u64,
    /// Counts down for files that are found at the start: they were used before anything that is used now.
    oldest: u64,
    /// Whether all files that lay there were found.
    whole: bool,
}

/// What is known of a file.
#[derive(Debug)]
struct Slot {
    bytes: u64,
    /// When the answer was made, in milliseconds since 1970.
    made: u64,
    /// When it is of no more use, likewise.
    until: u64,
    /// Its place in the order.
    used: u64,
    /// Uses that its file's time does not show.
    unnoted: u64,
    marks: Box<[u64]>,
}

// === impl Index ===

impl Index {
    /// Nothing, with room for so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            bytes: 0,
            slots: HashMap::new(),
            order: BTreeMap::new(),
            newest: u64::MAX / 2,
            oldest: u64::MAX / 2,
            whole: false,
        }
    }

    /// Whether there may be an answer to a key: before all files were found, nobody knows.
    pub(super) fn may_have(&self, hash: &[u8; 32]) -> bool {
        !self.whole || self.slots.contains_key(hash)
    }

    /// Whether there is an answer to a key.
    pub(super) fn has(&self, hash: &[u8; 32]) -> bool {
        self.slots.contains_key(hash)
    }

    /// Adds an answer that was just written.
    pub(super) fn add(&mut self, label: Label, bytes: u64) {
        self.newest += 1;
        self.insert(label, bytes, self.newest);
    }

    /// Adds an answer that lay there. They are to be told the newest first; one that was written meanwhile stays.
    pub(super) fn add_found(&mut self, label: Label, bytes: u64) {
        if !self.slots.contains_key(&label.hash) {
            self.oldest -= 1;
            self.insert(label, bytes, self.oldest);
        }
    }

    fn insert(&mut self, label: Label, bytes: u64, used: u64) {
        self.remove(&label.hash);
        self.bytes += bytes;
        self.order.insert(used, label.hash);
        let Label { hash, made, until, marks } = label;
        self.slots.insert(hash, Slot { bytes, made, until, used, unnoted: 0, marks: marks.into() });
    }

    /// All files that lay there were told.
    pub(super) fn found_all(&mut self) {
        self.whole = true;
    }

    /// Notes that an answer was used; whether its file's time should say so.
    pub(super) fn used(&mut self, hash: &[u8; 32]) -> bool {
        let Some(slot) = self.slots.get_mut(hash) else { return false };
        self.newest += 1;
        self.order.remove(&slot.used);
        self.order.insert(self.newest, *hash);
        slot.used = self.newest;
        slot.unnoted += 1;
        slot.unnoted % RECENT == 1
    }

    /// Forgets an answer.
    pub(super) fn remove(&mut self, hash: &[u8; 32]) -> bool {
        let Some(slot) = self.slots.remove(hash) else { return false };
        self.order.remove(&slot.used);
        self.bytes -= slot.bytes;
        true
    }

    /// Forgets what takes too much room, the longest unused first, and says which files are to go.
    pub(super) fn evict(&mut self) -> Vec<[u8; 32]> {
        let mut gone = Vec::new();
        while self.bytes > self.most
            && let Some(hash) = self.order.first_key_value().map(|(_, hash)| *hash)
        {
            self.remove(&hash);
            gone.push(hash);
        }
        gone
    }

    /// Forgets what is of no more use.
    pub(super) fn expire(&mut self, now: u64) -> Vec<[u8; 32]> {
        self.forget(|slot| slot.until <= now)
    }

    /// Forgets what a purge means.
    pub(super) fn purge(&mut self, mark: u64, before: u64) -> Vec<[u8; 32]> {
        self.forget(|slot| slot.made <= before && slot.marks.contains(&mark))
    }

    fn forget(&mut self, goes: impl Fn(&Slot) -> bool) -> Vec<[u8; 32]> {
        let gone: Vec<[u8; 32]> = self.slots.iter().filter(|(_, slot)| goes(slot)).map(|(hash, _)| *hash).collect();
        for hash in &gone {
            self.remove(hash);
        }
        gone
    }

    /// The most bytes that the files may take.
    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// Bytes that the files take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many answers there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether all files that lay there were found.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }
}
