//! A stored answer as bytes, for stores outside this process: with a checksum over all of it, so that what was torn,
//! flipped or written by another version is a miss and never an answer.
//!
//! `tgc` and the version (4 bytes) · BLAKE3 of what follows (32) · length of the label (4, little end first) · the label
//! · key and entry. Label, key and entry are in the format of `postcard`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::key::Key;
use super::pick;

/// What the bytes begin with. The last is the version: another one for every change of what is in [`Key`] or [`Entry`].
const MAGIC: [u8; 4] = *b"tgc\x01";

/// Where what the checksum is of begins.
const SUMMED: usize = 36;

/// Where the label begins.
const LABEL: usize = 40;

/// The longest label.
const LONGEST_LABEL: usize = 16 << 10;

/// What a store must know of an answer without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Label {
    /// The hash of its key.
    pub(super) hash: [u8; 32],
    /// When it was whole, in milliseconds since 1970.
    pub(super) made: u64,
    /// When it is of no more use, likewise.
    pub(super) until: u64,
    /// Hashes of everything that it can be picked by.
    pub(super) marks: Vec<u64>,
}

/// Bytes that are no answer that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

// === impl Label ===

impl Label {
    /// The label of an answer.
    pub(super) fn of(key: &Key, entry: &Entry) -> Self {
        let marks = pick::labels(key, entry).iter().map(|label| mark(label)).collect();
        Self {
            hash: *key.hash(),
            made: millis(entry.stored_at),
            until: millis(entry.stored_at + entry.ttl + entry.grace),
            marks,
        }
    }

    /// Reads the label at the start of an answer that need not be there whole. Nothing but the checksum of the whole
    /// says that it is right.
    pub(super) fn peek(bytes: &[u8]) -> Result<Self, Corrupt> {
        let length = bytes.get(SUMMED..LABEL).and_then(|length| length.try_into().ok()).ok_or(Corrupt)?;
        let length = u32::from_le_bytes(length) as usize;
        if bytes.get(..4) != Some(&MAGIC) || length > LONGEST_LABEL {
            return Err(Corrupt);
        }
        let label = bytes.get(LABEL..LABEL + length).ok_or(Corrupt)?;
        postcard::from_bytes(label).map_err(|_| Corrupt)
    }

    /// The most bytes that [`peek`](Self::peek) needs.
    pub(super) const PEEK: usize = LABEL + LONGEST_LABEL;

    /// How long the answer may be kept from `now` on.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        Duration::from_millis(self.until.saturating_sub(millis(now)))
    }
}

/// The hash of what an answer can be picked by.
pub(super) fn mark(label: &str) -> u64 {
    let hash = blake3::hash(label.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |mark, byte| mark << 8 | u64::from(*byte))
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An answer as bytes. `None` when it cannot be written.
pub(super) fn seal(label: &Label, key: &Key, entry: &Entry) -> Option<Vec<u8>> {
    let label = postcard::to_stdvec(label).ok().filter(|label| label.len() <= LONGEST_LABEL)?;
    let mut bytes = Vec::with_capacity(LABEL + label.len() + entry.size + 1024);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[0; SUMMED - 4]);
    bytes.extend_from_slice(&u32::try_from(label.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&label);
    let mut bytes = postcard::to_extend(&(key, entry), bytes).ok()?;
    let sum = blake3::hash(bytes.get(SUMMED..)?);
    bytes.get_mut(4..SUMMED)?.copy_from_slice(sum.as_bytes());
    Some(bytes)
}

/// The answer that was sealed under `wanted`. `Ok(None)`: what is there is the answer to something else that has the same
/// hash.
pub(super) fn open(bytes: &[u8], wanted: &Key) -> Result<Option<Entry>, Corrupt> {
    Label::peek(bytes)?;
    let (sum, summed) = (bytes.get(4..SUMMED).ok_or(Corrupt)?, bytes.get(SUMMED..).ok_or(Corrupt)?);
    if blake3::hash(summed).as_bytes() != sum {
        return Err(Corrupt);
    }
    let length = bytes.get(SUMMED..LABEL).and_then(|length| length.try_into().ok()).map_or(0, u32::from_le_bytes);
    let body = bytes.get(LABEL + length as usize..).ok_or(Corrupt)?;
    let (key, entry): (Key, Entry) = postcard::from_bytes(body).map_err(|_| Corrupt)?;
    if key != *wanted {
        return Ok(None);
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests;
