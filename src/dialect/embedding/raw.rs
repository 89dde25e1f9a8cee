//! JSON objects whose values are not parsed: an answer is mostly numbers, which must stay the text they are.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::dialect::codec::Malformed;

/// The fields of an object that were not taken yet, in their order.
pub(super) struct Object<'a>(Vec<(String, &'a RawValue)>);

/// Reads the fields of an object.
struct Fields;

// === impl Object ===

impl<'a> Object<'a> {
    /// The object that a body is.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(body).map_err(|_| Malformed::at("", "expected an object"))
    }

    /// The object that a value is.
    pub(super) fn of(value: &'a RawValue, path: &str) -> Result<Self, Malformed> {
        serde_json::from_str(value.get()).map_err(|_| Malformed::at(path, "expected an object"))
    }

    /// Takes a field; a `null` is as good as none.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.remove(at).1).filter(|value| value.get() != "null")
    }

    /// Takes a field that must be there.
    pub(super) fn need(&mut self, name: &str) -> Result<&'a RawValue, Malformed> {
        self.take(name).ok_or_else(|| Malformed::at(name, "is required"))
    }

    /// Takes a string, if it is one.
    pub(super) fn string(&mut self, name: &str) -> Option<String> {
        serde_json::from_str(self.take(name)?.get()).ok()
    }

    /// Takes a whole number, if it is one.
    pub(super) fn number(&mut self, name: &str) -> Option<u64> {
        serde_json::from_str(self.take(name)?.get()).ok()
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Map<String, Value> {
        let parsed = |(name, value): (String, &RawValue)| Some((name, serde_json::from_str(value.get()).ok()?));
        self.0.into_iter().filter_map(parsed).collect()
    }
}

impl<'a> Deserialize<'a> for Object<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

// === impl Fields ===

impl<'a> Visitor<'a> for Fields {
    type Value = Object<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Object<'a>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Object(fields))
    }
}

/// The items of an array.
pub(super) fn items<'a>(value: &'a RawValue, path: &str) -> Result<Vec<&'a RawValue>, Malformed> {
    serde_json::from_str(value.get()).map_err(|_| Malformed::at(path, "expected an array"))
}
