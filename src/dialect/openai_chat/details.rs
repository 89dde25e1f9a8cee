//! `OpenRouter`'s `reasoning_details`: thoughts in pieces with what seals them.

use serde_json::{Map, Value};

/// Fields that come in pieces, which are joined.
const PIECES: [&str; 4] = ["text", "summary", "data", "signature"];

/// The text of thoughts that these details hold.
pub(super) fn text(details: &[Value]) -> String {
    let text = |detail: &Value| detail.get("text").or_else(|| detail.get("summary"))?.as_str().map(str::to_owned);
    details.iter().filter_map(text).collect()
}

/// Adds the details of one chunk to those before: pieces of the same type and index are one detail, as `OpenRouter`
/// wants them back (its guide to reasoning tokens).
pub(super) fn add(all: &mut Vec<Value>, more: Vec<Value>) {
    for detail in more {
        match (all.last_mut(), detail) {
            (Some(Value::Object(last)), Value::Object(detail)) if same(last, &detail) => join(last, detail),
            (_, detail) => all.push(detail),
        }
    }
}

fn same(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.contains_key("index") && ["type", "index"].iter().all(|name| one.get(*name) == other.get(*name))
}

fn join(last: &mut Map<String, Value>, detail: Map<String, Value>) {
    for (name, value) in detail {
        match (last.get_mut(&name), value) {
            (Some(Value::String(text)), Value::String(more)) if PIECES.contains(&name.as_str()) => text.push_str(&more),
            (Some(_), Value::Null) => {}
            (_, value) => drop(last.insert(name, value)),
        }
    }
}
