//! Answers on disk, behind the memory, so that a restart does not forget them.
//!
//! One file an answer, named by the hash of its key, in plain folders. A library was looked for first: `foyer` is a cache
//! of its own with a memory, an engine and a block file of fixed size, and a tenth of this gate's dependencies again;
//! `cacache` bounds nothing and forgets nothing; `redb` and its likes write every answer twice and never give room back.
//! A file is written whole beside its place and renamed, is checked by its checksum, is counted in an index that fits in
//! memory, and can be looked at and removed by whoever must.
//!
//! Workers never wait for the disk: answers are read on threads for blocking work, and written by a thread of this store's
//! own behind a bounded queue, which drops what it cannot take.

mod files;
mod index;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::entry::Entry;
use super::key::Key;
use super::memory::Stored;
use super::pick::Pick;
use super::purges::Purges;
use super::sealed;
use crate::clock::Clock;
use files::Files;
use index::Index;

/// Answers that may wait to be written.
const MOST_WAITING: usize = 256;

/// Bytes of answers that may wait to be written.
const WAITING_BYTES: usize = 32 << 20;

/// How long an exchange waits for the disk.
const PATIENCE: Duration = Duration::from_millis(500);

/// Answers on disk.
#[derive(Debug)]
pub(super) struct Disk {
    /// What the threads of this store share.
    room: Arc<Room>,
    /// To the thread that writes.
    queue: SyncSender<Work>,
}

/// What all threads of the store share.
#[derive(Debug)]
struct Room {
    /// Tells the time.
    clock: Clock,
    /// The folder.
    files: Files,
    /// What is there.
    index: Mutex<Index>,
    /// What was purged lately.
    purges: Arc<Purges>,
    /// Bytes that wait to be written.
    waiting: AtomicUsize,
    /// Files that are in the index no more and must go.
    doomed: Mutex<Vec<[u8; 32]>>,
    /// What happened so far.
    counts: Counts,
}

/// What is to be done by the thread that writes.
#[derive(Debug)]
enum Work {
    /// Write an answer.
    Put(Arc<Stored>),
    /// Remove what is doomed.
    Remove,
    /// Remove the answer to a key, whatever was to be written of it before.
    Forget([u8; 32]),
}

/// Counters for status.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    written: AtomicU64,
    evicted: AtomicU64,
    /// Answers that the queue had no room for.
    dropped: AtomicU64,
    /// Files that were no answer that could be used.
    corrupt: AtomicU64,
    /// Files that could not be read or written.
    failed: AtomicU64,
}

// === impl Disk ===

impl Disk {
    /// A store of at most `most` bytes in a folder, which is made when it is missing. What is there already is found while
    /// the gate serves. Errors when the folder cannot be used, or another gate does.
    pub(super) fn open(folder: &Path, most: u64, clock: Clock, purges: Arc<Purges>) -> io::Result<Self> {
        let room = Arc::new(Room {
            clock,
            files: Files::open(folder)?,
            index: Mutex::new(Index::new(most)),
            purges,
            waiting: AtomicUsize::new(0),
            doomed: Mutex::default(),
            counts: Counts::default(),
        });
        let (queue, work) = sync_channel(MOST_WAITING);
        let at_work = Arc::clone(&room);
        std::thread::Builder::new().name("cache-disk".to_owned()).spawn(move || writer::run(&at_work, &work))?;
        Ok(Self { room, queue })
    }

    /// The answer to a request with this very key, if there is one that is still of use.
    pub(super) async fn get(&self, key: &Key) -> Option<Entry> {
        if !self.room.index.lock().may_have(key.hash()) {
            self.room.counts.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let (room, key) = (Arc::clone(&self.room), key.clone());
        let reading = tokio::task::spawn_blocking(move || room.read(&key));
        tokio::time::timeout(PATIENCE, reading).await.ok()?.ok().flatten()
    }

    /// Puts an answer into the queue of those to be written; it is dropped when the disk is too slow.
    pub(super) fn put(&self, stored: Arc<Stored>) {
        let size = stored.entry.size;
        let waiting = self.room.waiting.fetch_add(size, Ordering::Relaxed);
        let sent = if waiting + size > WAITING_BYTES {
            Err(TrySendError::Full(Work::Put(stored)))
        } else {
            self.queue.try_send(Work::Put(stored))
        };
        if sent.is_err() {
            self.room.waiting.fetch_sub(size, Ordering::Relaxed);
            self.room.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets the answers that were made before a purge and are meant by it; says how many. Their files go a little
    /// later.
    pub(super) fn purge(&self, pick: &Pick, before: SystemTime) -> usize {
        let gone = self.room.index.lock().purge(sealed::mark(&pick.label()), sealed::millis(before));
        let count = gone.len();
        self.room.doomed.lock().extend(gone);
        // When the queue is full the thread is awake, and sees it.
        let _ = self.queue.try_send(Work::Remove);
        count
    }

    /// Forgets the answer to a key, and what waits to be written of it.
    pub(super) fn forget(&self, hash: &[u8; 32]) {
        let unknown = !self.room.index.lock().may_have(hash);
        if unknown && self.room.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        self.room.index.lock().remove(hash);
        if self.queue.try_send(Work::Forget(*hash)).is_err() {
            // What is in the queue is written after this, unless it was purged.
            let key = blake3::Hash::from_bytes(*hash).to_hex().to_string();
            self.room.purges.remember(self.room.clock.wall(), Pick::Key(key));
            self.room.doomed.lock().push(*hash);
        }
    }

    /// What it holds and did, for status.
    pub(super) fn show(&self) -> Value {
        let (counts, index) = (&self.room.counts, self.room.index.lock());
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({
            "hits": read(&counts.hits),
            "misses": read(&counts.misses),
            "written": read(&counts.written),
            "evicted": read(&counts.evicted),
            "dropped": read(&counts.dropped),
            "corrupt": read(&counts.corrupt),
            "failed": read(&counts.failed),
            "bytes": index.bytes(),
            "entries": index.len(),
            "found_all": index.is_whole(),
        })
    }
}

// === impl Room ===

impl Room {
    /// Reads an answer. What cannot be used is removed.
    fn read(&self, key: &Key) -> Option<Entry> {
        let miss = || {
            self.counts.misses.fetch_add(1, Ordering::Relaxed);
            None
        };
        let most = self.index.lock().most();
        let bytes = match self.files.read(key.hash(), most) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return miss(),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.counts.corrupt.fetch_add(1, Ordering::Relaxed);
                self.drop_file(key.hash());
                return miss();
            }
            Err(_) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                return miss();
            }
        };
        match sealed::open(&bytes, key) {
            Ok(Some(entry)) if entry.is_of_use(&self.clock) => {
                self.counts.hits.fetch_add(1, Ordering::Relaxed);
                if self.index.lock().used(key.hash()) {
                    self.files.touch(key.hash());
                }
                Some(entry)
            }
            Ok(Some(_)) => {
                self.drop_file(key.hash());
                miss()
            }
            Ok(None) => miss(),
            Err(_) => {
                self.counts.corrupt.fetch_add(1, Ordering::Relaxed);
                self.drop_file(key.hash());
                miss()
            }
        }
    }

    /// Removes a file and what is known of it.
    fn drop_file(&self, hash: &[u8; 32]) {
        self.index.lock().remove(hash);
        let _ = self.files.remove(hash);
    }
}
