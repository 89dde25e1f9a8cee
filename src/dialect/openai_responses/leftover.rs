//! Fields of items and parts that the model has no place for, kept in their message's `extra` under their path, so that
//! the same dialect gets them back and every other one reports each with the path it had.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Stands, as `null`, for a message item of its own: without it a text joins the message item before it.
pub(super) const MESSAGE: &str = "message";

/// Stands, as `null`, for a part of a message's content; without it a part that only this dialect knows is an item.
pub(super) const PART: &str = "part";

/// Stands, as `null`, for thoughts in a reasoning item's `content`; without it they are in its `summary`.
pub(super) const CONTENT: &str = "content";

/// Stands, as `null`, for the request's `instructions`; without it a system message is an item of the input.
pub(super) const INSTRUCTIONS: &str = "instructions";

/// What a message's `extra` holds, by the path of the item or part that it belongs to.
#[derive(Debug, Default)]
pub(super) struct Leftovers<'a> {
    /// Names and values by path; the message's own under the empty path.
    by_path: BTreeMap<&'a str, Vec<(&'a str, &'a Value)>>,
}

/// The path of a message's part.
pub(super) fn part_path(part: usize) -> String {
    format!("content[{part}]")
}

/// Keeps fields in a message's `extra` under the path of what they belong to.
pub(super) fn keep(extra: &mut Map<String, Value>, path: &str, fields: Map<String, Value>) {
    for (name, value) in fields {
        extra.insert(format!("{path}.{name}"), value);
    }
}

/// Keeps a mark, which no other dialect reports since it is `null`.
pub(super) fn mark(extra: &mut Map<String, Value>, path: &str, name: &str) {
    extra.insert(format!("{path}.{name}"), Value::Null);
}

// === impl Leftovers ===

impl<'a> Leftovers<'a> {
    /// What this dialect kept in a message's `extra`.
    pub(super) fn of(extra: &'a Map<String, Value>) -> Self {
        let mut by_path: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (key, value) in extra {
            let (path, name) = key.rsplit_once('.').unwrap_or(("", key));
            by_path.entry(path).or_default().push((name, value));
        }
        Self { by_path }
    }

    /// Whether a mark stands at a path.
    pub(super) fn marked(&self, path: &str, name: &str) -> bool {
        self.by_path
            .get(path)
            .is_some_and(|fields| fields.iter().any(|(field, value)| *field == name && value.is_null()))
    }

    /// Puts the fields of a path back into their object. Marks are none.
    pub(super) fn put_back(&self, path: &str, object: &mut Map<String, Value>) {
        for (name, value) in self.by_path.get(path).into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            object.insert((*name).to_owned(), (*value).clone());
        }
    }

    /// Whether a path has fields that [`Self::put_back`] would put back.
    pub(super) fn any(&self, path: &str) -> bool {
        self.by_path.get(path).is_some_and(|fields| fields.iter().any(|(_, value)| !value.is_null()))
    }
}
