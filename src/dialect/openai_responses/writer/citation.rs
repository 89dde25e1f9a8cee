//! Citations of any dialect as annotations of the Responses API.

use serde_json::{Map, Value, json};

use crate::dialect::loss::Losses;

/// An annotation for a citation; `None`, with a loss, where this dialect has no form for it.
pub(super) fn annotation(value: Value, losses: &mut Losses) -> Option<Value> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    match (kind, value.get("url_citation")) {
        // Chat completions have the same fields one level below.
        ("url_citation", Some(Value::Object(inner))) => {
            let mut flat = Map::new();
            flat.insert("type".to_owned(), Value::from("url_citation"));
            flat.extend(inner.clone());
            Some(Value::Object(flat))
        }
        // Anthropic: a page that was found, cited without saying where in the answer.
        ("web_search_result_location", _) => {
            losses.approximated("citations", "where in the text a page is cited is not known");
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
            Some(json!({
                "type": "url_citation", "url": text("url"), "title": text("title"), "start_index": 0, "end_index": 0,
            }))
        }
        (kind, _) if kind.is_empty() || kind.ends_with("_location") => {
            losses.dropped("citations", "a citation of another dialect");
            None
        }
        _ => Some(value),
    }
}
