//! Bytes in what is written down: as bytes, where the format has them, and read back into one block of memory.

use std::fmt;

use bytes::{Bytes, BytesMut};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that are written as bytes, where the format has them, and not as a list of numbers.
pub(super) struct Octets(pub(super) Bytes);

/// Reads them.
struct Reading;

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
