//! What a hook changed of a message, found by looking before and after: for who wants to have an exchange explained.

use std::fmt::Write as _;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::message::{Body, Request, Response, Shared};

/// The most changes of one hook that are told.
const MOST: usize = 20;

/// Longer values are cut.
const LONGEST: usize = 80;

/// The message that a hook may change.
#[derive(Clone)]
pub(super) enum Subject {
    /// A request.
    Request(Shared<Request>),
    /// A response.
    Response(Shared<Response>),
}

/// A message at one moment.
pub(super) struct Picture {
    /// Method and target, or the status.
    start: String,
    headers: Vec<(String, String)>,
    /// Nothing while it is on the wire.
    body: Option<Bytes>,
    /// The body as it came, where that is known: it may have come only after the picture before this one.
    came: Option<Bytes>,
}

// === impl Subject ===

impl Subject {
    /// The message as it is now.
    pub(super) fn picture(&self) -> Picture {
        match self {
            Self::Request(request) => {
                let request = request.lock();
                let target = String::from_utf8_lossy(request.head.raw_path()).into_owned();
                let start = format!("{} {target}", request.head.method);
                Picture {
                    start,
                    headers: headers(&request.head.headers),
                    body: request.body.bytes(),
                    came: came(&request.body),
                }
            }
            Self::Response(response) => {
                let response = response.lock();
                let start = response.head.status.as_u16().to_string();
                Picture {
                    start,
                    headers: headers(&response.head.headers),
                    body: response.body.bytes(),
                    came: came(&response.body),
                }
            }
        }
    }
}

fn came(body: &Body) -> Option<Bytes> {
    match body {
        Body::Json(doc) => Some(doc.source()),
        _ => None,
    }
}

fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

// === impl Picture ===

impl Picture {
    /// What is different in `after`, each in a phrase.
    pub(super) fn changes(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.start != after.start {
            changes.push(format!("{} → {}", self.start, after.start));
        }
        header_changes(&self.headers, &after.headers, &mut changes);
        if let (Some(before), Some(after)) = (self.body.as_ref().or(after.came.as_ref()), &after.body)
            && before != after
        {
            body_changes(before, after, &mut changes);
        }
        let more = changes.len().saturating_sub(MOST);
        if more > 0 {
            changes.truncate(MOST);
            changes.push(format!("and {more} changes more"));
        }
        changes
    }
}

fn header_changes(before: &[(String, String)], after: &[(String, String)], changes: &mut Vec<String>) {
    let all = |headers: &[(String, String)], wanted: &str| {
        let values = headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        values.collect::<Vec<_>>().join(", ")
    };
    let mut names: Vec<&String> = before.iter().chain(after).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    for name in names {
        let had = before.iter().any(|(known, _)| known == name);
        let has = after.iter().any(|(known, _)| known == name);
        let (old, new) = (all(before, name), all(after, name));
        match (had, has) {
            (false, true) => changes.push(format!("header {name} added: {}", cut(&new))),
            (true, false) => changes.push(format!("header {name} removed: {}", cut(&old))),
            _ if old != new => changes.push(format!("header {name}: {} → {}", cut(&old), cut(&new))),
            _ => {}
        }
    }
}

fn body_changes(before: &[u8], after: &[u8], changes: &mut Vec<String>) {
    let parsed = (serde_json::from_slice::<Value>(before), serde_json::from_slice::<Value>(after));
    let told = changes.len();
    if let (Ok(before), Ok(after)) = parsed {
        json_changes("", &before, &after, changes);
    }
    if changes.len() == told {
        changes.push(format!("body: {} bytes → {} bytes", before.len(), after.len()));
    }
}

fn json_changes(path: &str, before: &Value, after: &Value, changes: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                let path = format!("{path}/{name}");
                match new.get(name) {
                    Some(now) => json_changes(&path, value, now, changes),
                    None => changes.push(format!("body {path} removed: {}", cut(&value.to_string()))),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                changes.push(format!("body {path}/{name} added: {}", cut(&value.to_string())));
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (value, now)) in old.iter().zip(new).enumerate() {
                json_changes(&format!("{path}/{at}"), value, now, changes);
            }
        }
        _ if before != after => {
            let path = if path.is_empty() { "/" } else { path };
            changes.push(format!("body {path}: {} → {}", cut(&before.to_string()), cut(&after.to_string())));
        }
        _ => {}
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    let mut shown = text.get(..end).unwrap_or_default().to_owned();
    if end < text.len() {
        let _ = write!(shown, "… ({} bytes)", text.len());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(headers: &[(&str, &str)], body: &str) -> Picture {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Picture {
            start: "POST /v1".to_owned(),
            headers,
            body: Some(Bytes::copy_from_slice(body.as_bytes())),
            came: None,
        }
    }

    #[test]
    fn headers_that_came_went_and_changed_are_told() {
        let before = picture(&[("a", "1"), ("b", "2")], "");
        let after = picture(&[("b", "3"), ("c", "4")], "");
        assert_eq!(before.changes(&after), ["header a removed: 1", "header b: 2 → 3", "header c added: 4"]);
        assert!(before.changes(&before).is_empty());
    }

    #[test]
    fn a_change_in_json_is_told_with_its_path() {
        let before = picture(&[], r#"{"model":"a","messages":[{"content":"x"}],"user":"u"}"#);
        let after = picture(&[], r#"{"model":"b","messages":[{"content":"y"}],"n":1}"#);
        assert_eq!(
            before.changes(&after),
            [
                "body /model: \"a\" → \"b\"",
                "body /messages/0/content: \"x\" → \"y\"",
                "body /user removed: \"u\"",
                "body /n added: 1"
            ]
        );
    }

    #[test]
    fn a_body_that_came_while_the_hook_waited_is_held_against_what_came() {
        let before = Picture { body: None, ..picture(&[], "") };
        let after = Picture { came: Some(Bytes::from_static(b"{\"a\":1}")), ..picture(&[], r#"{"a":2}"#) };
        assert_eq!(before.changes(&after), ["body /a: 1 → 2"]);
        assert!(before.changes(&picture(&[], "text")).is_empty(), "nobody knows what it was");
    }

    #[test]
    fn a_change_of_spacing_is_told_by_its_length() {
        assert_eq!(picture(&[], r#"{"a":1}"#).changes(&picture(&[], r#"{"a": 1}"#)), ["body: 7 bytes → 8 bytes"]);
    }
}
