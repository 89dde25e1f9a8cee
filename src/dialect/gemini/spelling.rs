//! The two spellings of Google's JSON: its parser takes `inline_data` for `inlineData`, and clients send both.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// The object that must stand at a place, its fields' names in camel case.
pub(super) fn object<'a>(path: &'a Path<'a>, value: Value) -> Result<Fields<'a>, Malformed> {
    match value {
        Value::Object(map) => Ok(Fields::new(camel(map), path)),
        _ => Err(path.malformed("expected an object")),
    }
}

/// An object with its fields' names in camel case, in their order.
pub(super) fn camel(map: Map<String, Value>) -> Map<String, Value> {
    if map.keys().any(|name| name.contains('_')) {
        map.into_iter().map(|(name, value)| (camel_name(&name).into_owned(), value)).collect()
    } else {
        map
    }
}

/// A name in camel case.
pub(super) fn camel_name(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn snake_case_becomes_camel_case_in_place() {
        let Value::Object(map) = json!({"b_c_d": 1, "a": {"x_y": 2}, "$schema": 3}) else { return };
        assert_eq!(Value::Object(camel(map)).to_string(), r#"{"bCD":1,"a":{"x_y":2},"$schema":3}"#);
    }
}
