//! Vectors from numbers to base64 and back, to the last bit.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::Vector;
use crate::dialect::codec::Malformed;

// === impl Vector ===

impl Vector {
    /// The vector of a JSON text: an array of numbers, or a string of base64.
    pub fn of_json(text: &str) -> Result<Self, Malformed> {
        let value: &RawValue = serde_json::from_str(text).map_err(|error| Malformed::at("", error.to_string()))?;
        Self::read(value, "")
    }

    /// It as JSON text, as it came.
    pub fn json(&self) -> Result<String, Malformed> {
        match self {
            Self::Floats(text) => Ok(text.get().to_owned()),
            Self::Base64(base64) => serde_json::to_string(base64).map_err(|error| Malformed::at("", error.to_string())),
        }
    }

    /// The vector that a JSON value is: an array, or a string of base64.
    pub(super) fn read(value: &RawValue, path: &str) -> Result<Self, Malformed> {
        match value.get().as_bytes().first() {
            Some(b'[') => Ok(Self::Floats(value.to_owned())),
            Some(b'"') => {
                serde_json::from_str(value.get()).map(Self::Base64).map_err(|_| Malformed::at(path, "expected base64"))
            }
            _ => Err(Malformed::at(path, "expected an array of numbers, or base64")),
        }
    }

    /// Its numbers as a JSON array: the text that came, or the shortest that gives the same 32-bit floats.
    pub(super) fn floats(&self, index: usize) -> Result<Cow<'_, RawValue>, Malformed> {
        let base64 = match self {
            Self::Floats(text) => return Ok(Cow::Borrowed(text)),
            Self::Base64(base64) => base64,
        };
        let wrong = || Malformed::at(format!("data[{index}].embedding"), "is no base64 of 32-bit floats");
        let bytes = STANDARD.decode(base64).map_err(|_| wrong())?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(wrong());
        }
        let mut text = String::with_capacity(bytes.len() * 3 + 2);
        for float in floats.iter().map(|bytes| f32::from_le_bytes(*bytes)) {
            text.push(if text.is_empty() { '[' } else { ',' });
            let written = write!(text, "{float}");
            if !float.is_finite() || written.is_err() {
                return Err(wrong());
            }
        }
        text.push_str(if text.is_empty() { "[]" } else { "]" });
        RawValue::from_string(text).map(Cow::Owned).map_err(|_| wrong())
    }

    /// Its 32-bit floats in base64.
    pub(super) fn base64(&self, index: usize) -> Result<Cow<'_, str>, Malformed> {
        let text = match self {
            Self::Base64(base64) => return Ok(Cow::Borrowed(base64)),
            Self::Floats(text) => text.get(),
        };
        let wrong = || Malformed::at(format!("data[{index}].embedding"), "is no array of numbers");
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).ok_or_else(wrong)?.trim();
        let mut bytes = Vec::with_capacity(inner.len() / 2);
        for number in inner.split(',').filter(|_| !inner.is_empty()) {
            // Not by way of f64, which would round twice.
            let float: f32 = number.trim().parse().map_err(|_| wrong())?;
            bytes.extend_from_slice(&float.to_le_bytes());
        }
        Ok(Cow::Owned(STANDARD.encode(bytes)))
    }
}
