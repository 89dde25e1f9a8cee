//! Takes JSON apart by kind, moving texts out instead of copying them; a wrong kind is said in words for the client.

use serde_json::{Map, Value};

use crate::dialect::codec::Malformed;

/// What is wrong with a value, before it is known where it stands.
pub(super) struct Wrong(&'static str);

/// A text; `null` counts as an empty one, as it does to Ollama's server.
pub(super) fn text(value: Value) -> Result<String, Wrong> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        _ => Err(Wrong("expected a string")),
    }
}

/// A list; `null` counts as an empty one.
pub(super) fn list(value: Value) -> Result<Vec<Value>, Wrong> {
    match value {
        Value::Array(list) => Ok(list),
        Value::Null => Ok(Vec::new()),
        _ => Err(Wrong("expected an array")),
    }
}

/// An object; `null` counts as an empty one.
pub(super) fn object(value: Value) -> Result<Map<String, Value>, Wrong> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(Wrong("expected an object")),
    }
}

/// A truth value; `None` for `null`.
pub(super) fn flag(value: &Value) -> Result<Option<bool>, Wrong> {
    match value {
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::Null => Ok(None),
        _ => Err(Wrong("expected true or false")),
    }
}

/// Whether a value asks for nothing: what Go's JSON takes for a field that is not there.
pub(super) fn blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

// === impl Wrong ===

impl Wrong {
    /// The error, now that the place is known.
    pub(super) fn at(self, path: impl Into<String>) -> Malformed {
        Malformed::at(path, self.0)
    }
}
