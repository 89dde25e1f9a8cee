//! Vectors in the cache: each text's own, whichever batch it was asked for in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::admit::{self, Refusal};
use super::entry::Entry;
use crate::clock::Clock;
use crate::dialect::embedding::Vector;

/// A vector as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The model that made it, where its upstream said so.
    pub model: Option<String>,
    /// Its numbers as they came, to the last digit: the JSON text of an array, or of a string of base64.
    pub numbers: String,
    /// How old it is.
    #[serde(default)]
    pub age: Duration,
}

// === impl Kept ===

impl Kept {
    /// A vector that has just come. `None` when there is nothing in it.
    pub fn new(vector: &Vector, model: Option<&str>) -> Option<Self> {
        let numbers = vector.json().ok()?;
        let empty = matches!(numbers.as_str(), "[]" | "\"\"");
        let model = model.map(str::to_owned);
        (!empty).then_some(Self { model, numbers, age: Duration::ZERO })
    }

    /// What an entry holds.
    pub fn of(entry: &Entry, clock: &Clock) -> Option<Self> {
        let kept: Self = serde_json::from_slice(&entry.body()).ok()?;
        Some(Self { age: entry.age(clock), ..kept })
    }

    /// The vector.
    pub fn vector(&self) -> Option<Vector> {
        Vector::of_json(&self.numbers).ok()
    }

    /// An entry that may serve for `ttl`.
    pub fn entry(&self, clock: &Clock, ttl: Duration) -> Option<Arc<Entry>> {
        let body = Bytes::from(serde_json::to_vec(self).ok()?);
        Some(Arc::new(Entry {
            status: 200,
            headers: Vec::new(),
            size: body.len(),
            chunks: vec![body],
            times: vec![Duration::ZERO],
            stored_at: clock.wall(),
            ttl,
            grace: Duration::ZERO,
            age_before: Duration::ZERO,
            tags: Vec::new(),
            provenance: None,
        }))
    }
}

/// Whether vectors of an answer with this head may be kept.
pub fn may_keep<'h>(status: u16, headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Result<(), Refusal> {
    match admit::head(status, headers) {
        // They were read, whatever coding they came in.
        Err(Refusal::Encoded) | Ok(()) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}
