//! What differs example two JSON texts, by path: `messages[].content` rather than a line of two kilobytes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::phrase::example;

/// Below this many steps, values are compared whole.
const DEPTH: usize = 32;

/// What changed at a path: the verb, and the value.
pub(super) type Found = (String, &'static str, Option<String>);

/// Two lines of bodies as JSON, when both are: what stands before it, such as `data: `, has to be the same.
pub(super) fn both<'t>(old: &'t str, new: &'t str) -> Option<(Value, Value)> {
    let start = |line: &'t str| line.find(['{', '[']).map(|start| line.split_at(start));
    let ((before_old, old), (before_new, new)) = (start(old)?, start(new)?);
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    if before_old == before_new { Some((value(old)?, value(new)?)) } else { None }
}

/// What changed, in the order of the old value; the same path once for each kind of change and value.
pub(super) fn changes(old: &Value, new: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    compare("", old, new, 0, &mut found);
    let mut seen = BTreeSet::new();
    found.retain(|change| seen.insert(change.clone()));
    found
}

fn compare(path: &str, old: &Value, new: &Value, depth: usize, found: &mut Vec<Found>) {
    match (old, new) {
        _ if old == new => {}
        (Value::Object(old), Value::Object(new)) if depth < DEPTH => {
            let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for (name, value) in old {
                match new.get(name) {
                    Some(now) => compare(&inside(name), value, now, depth + 1, found),
                    None => found.push((inside(name), "removed from", Some(value.to_string()))),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                found.push((inside(name), "added to", Some(value.to_string())));
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() && depth < DEPTH => {
            for (old, new) in old.iter().zip(new) {
                compare(&format!("{path}[]"), old, new, depth + 1, found);
            }
        }
        _ => found.push((path.to_owned(), "changed in", Some(example(&old.to_string(), &new.to_string())))),
    }
}
