//! An entry as it is written down: its body in one piece, so that it is read back into one block of memory.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Entry, Provenance, cut};
use crate::cache::octets::Octets;

/// What stands for an [`Entry`] where it is written down.
#[derive(Serialize, Deserialize)]
pub(super) struct Flat {
    status: u16,
    headers: Vec<(String, Octets)>,
    body: Octets,
    /// Where each piece of the body ends.
    ends: Vec<usize>,
    times: Vec<Duration>,
    stored_at: SystemTime,
    ttl: Duration,
    grace: Duration,
    age_before: Duration,
    tags: Vec<String>,
    provenance: Option<Provenance>,
}

// === impl Flat ===

impl From<Entry> for Flat {
    fn from(entry: Entry) -> Self {
        let body = Octets(entry.body());
        let mut end = 0;
        let ends = entry.chunks.iter().map(|chunk| {
            end += chunk.len();
            end
        });
        Self {
            ends: ends.collect(),
            status: entry.status,
            headers: entry.headers.into_iter().map(|(name, value)| (name, Octets(value))).collect(),
            body,
            times: entry.times,
            stored_at: entry.stored_at,
            ttl: entry.ttl,
            grace: entry.grace,
            age_before: entry.age_before,
            tags: entry.tags,
            provenance: entry.provenance,
        }
    }
}

impl TryFrom<Flat> for Entry {
    type Error = &'static str;

    fn try_from(flat: Flat) -> Result<Self, Self::Error> {
        let body = flat.body.0;
        let in_order = flat.ends.is_sorted() && flat.ends.last().copied().unwrap_or_default() == body.len();
        if !in_order || flat.times.len() != flat.ends.len() {
            return Err("its pieces are not those of its body");
        }
        Ok(Self {
            status: flat.status,
            headers: flat.headers.into_iter().map(|(name, value)| (name, value.0)).collect(),
            chunks: cut(&body, &flat.ends),
            times: flat.times,
            size: body.len(),
            stored_at: flat.stored_at,
            ttl: flat.ttl,
            grace: flat.grace,
            age_before: flat.age_before,
            tags: flat.tags,
            provenance: flat.provenance,
        })
    }
}
