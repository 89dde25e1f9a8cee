//! The thread that writes answers: it first finds what lies on disk from before, then does what is in its queue.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::files::Found;
use super::{Room, Work};
use crate::cache::memory::Stored;
use crate::cache::pick;
use crate::cache::sealed::{self, Label};

/// How often what is of no more use is looked for.
const EXPIRE: Duration = Duration::from_mins(1);

/// Works until the store is closed.
pub(super) fn run(room: &Room, work: &Receiver<Work>) {
    find(room);
    let mut expired = Instant::now();
    loop {
        match work.recv_timeout(EXPIRE) {
            Ok(Work::Put(stored)) => {
                write(room, &stored);
                room.waiting.fetch_sub(stored.entry.size, Ordering::Relaxed);
            }
            Ok(Work::Forget(hash)) => {
                room.index.lock().remove(&hash);
                let _ = room.files.remove(&hash);
            }
            Ok(Work::Remove) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let doomed = std::mem::take(&mut *room.doomed.lock());
        remove(room, &doomed);
        if expired.elapsed() >= EXPIRE {
            expired = Instant::now();
            let gone = room.index.lock().expire(sealed::millis(room.clock.wall()));
            remove(room, &gone);
        }
    }
}

/// Puts what lies there into the index, the last used first, and removes what is of no use.
fn find(room: &Room) {
    let now = sealed::millis(room.clock.wall());
    let mut found: Vec<(Label, Found)> = Vec::new();
    for file in room.files.found() {
        match &file.label {
            Some(label) if label.until > now => found.push((label.clone(), file)),
            label => {
                let corrupt = label.is_none() && file.answer;
                room.counts.corrupt.fetch_add(u64::from(corrupt), Ordering::Relaxed);
                let _ = std::fs::remove_file(&file.path);
            }
        }
    }
    found.sort_unstable_by_key(|(_, file)| std::cmp::Reverse(file.used));
    let mut index = room.index.lock();
    for (label, file) in found {
        index.add_found(label, file.bytes);
    }
    index.found_all();
    let gone = index.evict();
    drop(index);
    evicted(room, &gone);
}

/// Writes an answer, and makes room for it.
fn write(room: &Room, stored: &Stored) {
    let (key, entry) = (&stored.key, &stored.entry);
    let purged = || room.purges.forbid(entry.stored_at, || pick::labels(key, entry));
    if purged() {
        return;
    }
    let label = Label::of(key, entry);
    let Some(bytes) = sealed::seal(&label, key, entry) else { return };
    match room.files.write(key.hash(), &bytes) {
        Ok(bytes) => {
            room.counts.written.fetch_add(1, Ordering::Relaxed);
            let mut index = room.index.lock();
            index.add(label, bytes);
            let gone = index.evict();
            drop(index);
            evicted(room, &gone);
            // A purge that came in between did not find it, and is not remembered over a restart.
            if purged() {
                room.drop_file(key.hash());
            }
        }
        Err(error) => {
            if room.counts.failed.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!("an answer could not be written to the cache's folder: {error}");
            }
        }
    }
}

fn evicted(room: &Room, gone: &[[u8; 32]]) {
    room.counts.evicted.fetch_add(gone.len() as u64, Ordering::Relaxed);
    remove(room, gone);
}

/// Removes files, but those that were written anew since.
fn remove(room: &Room, hashes: &[[u8; 32]]) {
    for hash in hashes {
        if !room.index.lock().has(hash) {
            let _ = room.files.remove(hash);
        }
    }
}
