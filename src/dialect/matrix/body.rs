//! Bodies made of parts, and found again in others.

use serde_json::{Map, Value};

/// Fields whose value another side may give anew: only that there is one counts.
const IDS: [&str; 4] = ["id", "call_id", "tool_call_id", "tool_use_id"];

/// Merges a patch into a body (RFC 7396): null takes a field away, lists are replaced.
pub(super) fn merge(body: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        return body.clone_from(patch);
    };
    if !body.is_object() {
        *body = Value::Object(Map::new());
    }
    let Some(fields) = body.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.shift_remove(name);
        } else {
            merge(fields.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// Whether a body holds all of a pattern: objects may have more fields, lists more elements between. A text may also be
/// the one text part of a list. Null stands for nothing, and so does the empty text that a stream begins with.
pub(super) fn holds(body: &Value, pattern: &Value) -> bool {
    match (body, pattern) {
        (Value::Object(fields), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| field(fields, name, wanted))
        }
        (Value::Array(list), Value::Array(wanted)) => {
            let mut rest = list.iter();
            wanted.iter().all(|wanted| rest.any(|value| holds(value, wanted)))
        }
        (Value::Array(list), Value::String(wanted)) => {
            list.iter().any(|part| part.get("text").and_then(Value::as_str) == Some(wanted))
        }
        (Value::String(text), Value::Null) => text.is_empty(),
        (Value::Number(number), Value::Number(wanted)) => number.as_f64() == wanted.as_f64(),
        _ => body == pattern,
    }
}

fn field(fields: &Map<String, Value>, name: &str, wanted: &Value) -> bool {
    let value = fields.get(name).filter(|value| !value.is_null());
    match value {
        None => nothing(wanted),
        Some(value) if IDS.contains(&name) => value.as_str().is_some_and(|id| !id.is_empty()),
        Some(value) => holds(value, wanted),
    }
}

/// Whether a pattern wants nothing but that nothing is there.
fn nothing(pattern: &Value) -> bool {
    match pattern {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_is_found_among_more_and_not_in_less() {
        let body = json!({"id": "x", "n": 1.0, "list": [{"a": 1}, {"text": "Hi"}, {"a": 2, "b": 3}], "gone": null});
        for there in [
            json!({"id": "y"}),
            json!({"n": 1}),
            json!({"list": [{"a": 1}, {"a": 2}]}),
            json!({"list": "Hi"}),
            json!({"gone": null, "never": null, "nor": {"this": null}}),
        ] {
            assert!(holds(&body, &there), "{there}");
        }
        for absent in [
            json!({"n": 2}),
            json!({"list": [{"a": 2}, {"a": 1}]}),
            json!({"list": "Ho"}),
            json!({"n": null}),
            json!({"call_id": "x"}),
        ] {
            assert!(!holds(&body, &absent), "{absent}");
        }
    }

    #[test]
    fn a_patch_takes_away_with_null() {
        let mut body = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut body, &json!({"a": {"b": null}, "d": [2], "e": {"f": 3}}));
        assert_eq!(body, json!({"a": {"c": 2}, "d": [2], "e": {"f": 3}}));
    }
}
