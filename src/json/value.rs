//! What is read out of a document and what is spliced into it.

use std::borrow::Cow;

use bytes::Bytes;

use super::check::check;
use super::node::{NodeId, Span};
use super::text::decode;
use super::{ErrorKind, JsonError, Limits};

/// One value as it stands in a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// `null`, which is not the same as nothing there.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The digits as written: 2^63−1, `1.0` and `1e400` lose nothing.
    Number(&'a str),
    /// The text with its escapes resolved; a lone surrogate reads as U+FFFD.
    String(Cow<'a, str>),
    /// An object, to be read with its node.
    Object(NodeId),
    /// An array, to be read with its node.
    Array(NodeId),
}

/// A valid JSON value, ready to be spliced into a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// The value without white space around it.
    bytes: Bytes,
    /// Levels of containers in it, so that splices cannot pile up beyond the limit.
    depth: usize,
}

// === impl Item ===

impl<'a> Item<'a> {
    /// Reads the scalar at `span`, whose extent a scan has found.
    pub(super) fn scalar(text: &'a [u8], span: Span) -> Result<Item<'a>, JsonError> {
        let raw = span.of(text);
        match raw.first() {
            Some(b'"') => decode(text, span.start(), span.end()).map(Item::String),
            Some(b't') => Ok(Item::Bool(true)),
            Some(b'f') => Ok(Item::Bool(false)),
            Some(b'n') => Ok(Item::Null),
            _ => {
                std::str::from_utf8(raw).map(Item::Number).map_err(|_| JsonError::new(ErrorKind::BadUtf8, span.start()))
            }
        }
    }
}

// === impl Fragment ===

impl Fragment {
    /// The fragment that `bytes` already is; white space around it is left out, its inside is kept to the byte.
    pub fn parse(bytes: &Bytes) -> Result<Self, JsonError> {
        let checked = check(bytes, Limits::default())?;
        Ok(Self { bytes: bytes.slice(checked.span.start()..checked.span.end()), depth: checked.depth })
    }

    /// `null`.
    pub fn null() -> Self {
        Self::of_scalar(Bytes::from_static(b"null"))
    }

    /// The text that will be spliced in.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Levels of containers in it; a scalar has none.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    fn of_scalar(bytes: Bytes) -> Self {
        Self { bytes, depth: 0 }
    }
}

impl From<bool> for Fragment {
    fn from(value: bool) -> Self {
        Self::of_scalar(Bytes::from_static(if value { b"true" } else { b"false" }))
    }
}

impl From<i64> for Fragment {
    fn from(value: i64) -> Self {
        Self::of_scalar(Bytes::from(value.to_string()))
    }
}

impl From<&str> for Fragment {
    fn from(value: &str) -> Self {
        Self::of_scalar(Bytes::from(serde_json::Value::from(value).to_string()))
    }
}

impl TryFrom<f64> for Fragment {
    type Error = JsonError;

    /// A whole number that a double holds exactly is written without a point, as Lua has one kind of number and an
    /// upstream wants `max_tokens: 100`, not `100.0`.
    fn try_from(value: f64) -> Result<Self, JsonError> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let Some(number) = serde_json::Number::from_f64(value) else {
            return Err(JsonError::new(ErrorKind::NotFinite, 0));
        };
        let whole = value.trunc().to_bits() == value.to_bits() && value.abs() <= EXACT;
        let text = if whole { format!("{value:.0}") } else { number.to_string() };
        Ok(Self::of_scalar(Bytes::from(text)))
    }
}

impl TryFrom<&serde_json::Value> for Fragment {
    type Error = JsonError;

    /// Fails on a value nested too deep.
    fn try_from(value: &serde_json::Value) -> Result<Self, JsonError> {
        Self::parse(&Bytes::from(value.to_string()))
    }
}
