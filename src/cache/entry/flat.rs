//! An entry as it is written down: its body in one piece, so that it is read back into one block of memory.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Entry, Provenance, cut};

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

/// Bytes that are written as bytes, where the format has them, and not as a list of numbers.
struct Octets(Bytes);

/// Reads them.
struct Reading;

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

// === impl Octets ===

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Reading).map(Self)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(Bytes::from(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bytes, A::Error> {
        let mut bytes = BytesMut::new();
        while let Some(byte) = numbers.next_element::<u8>()? {
            bytes.extend_from_slice(&[byte]);
        }
        Ok(bytes.freeze())
    }
}
