//! Responses: `….delta`, then `….done`, the part's, the item's and the answer's end.

use std::collections::{BTreeSet, HashMap};

use super::{Key, Tail, mend, read, renumber};
use crate::dialect::view::{responses::CALLS, walk};
use crate::json::{Doc, Fragment, Limits, NodeId};
use crate::stream::Event;

/// The families of events that say a text in pieces and then whole: `response.<name>.delta`, `response.<name>.done`; and
/// where it then stands.
const FAMILIES: [(&str, &str); 8] = [
    ("output_text", "text"),
    ("refusal", "refusal"),
    ("reasoning_text", "text"),
    ("reasoning_summary_text", "text"),
    ("function_call_arguments", "arguments"),
    ("custom_tool_call_input", "input"),
    ("mcp_call_arguments", "arguments"),
    ("code_interpreter_call_code", "code"),
];

/// What became of items as such.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Those whose beginning was not sent.
    gone: BTreeSet<u64>,
    /// Tools that were given another name.
    names: HashMap<u64, String>,
}

/// What an event is about.
enum About {
    /// A piece of a text.
    Delta(Key, String),
    /// An item that begins, with its name if it has one.
    Added(u64, Option<String>),
}

// === impl Items ===

impl Items {
    /// Takes note of an event and of what was sent for it.
    pub(super) fn follow(&mut self, tails: &mut HashMap<Key, Tail>, came: &Event, sent: &mut [Event], limits: Limits) {
        let begun = match about(came, limits) {
            None => None,
            Some(About::Delta(key, text)) => {
                tails.entry(key).or_default().came.push_str(&text);
                None
            }
            Some(About::Added(item, name)) => Some((item, name)),
        };
        let mut added = false;
        for event in sent.iter() {
            match (about(event, limits), &begun) {
                (Some(About::Delta(key, text)), _) => tails.entry(key).or_default().sent.push_str(&text),
                (Some(About::Added(item, name)), Some((same, before))) if item == *same => {
                    added = true;
                    if let Some(name) = name.filter(|name| Some(name) != before.as_ref()) {
                        self.names.insert(item, name);
                    }
                }
                _ => {}
            }
        }
        if let Some((item, _)) = begun.filter(|_| !added) {
            self.gone.insert(item);
        }
        for event in sent {
            renumber(event, "output_index", &self.gone, limits);
        }
    }

    /// Makes an event that repeats say what the client was sent; false when it was not sent at all.
    pub(super) fn repeat(&self, tails: &HashMap<Key, Tail>, doc: &mut Doc, root: NodeId) -> bool {
        let kind = walk::word(doc, root, "type").unwrap_or_default();
        let outer = walk::number(doc, root, "output_index").unwrap_or_default();
        match kind.as_str() {
            "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
                if let Some(response) = walk::object(doc, root, "response") {
                    self.answer(tails, doc, response);
                }
                return true;
            }
            _ if kind.strip_suffix(".done").is_none() => return true,
            _ if self.gone.contains(&outer) => return false,
            "response.output_item.done" => {
                if let Some(item) = walk::object(doc, root, "item") {
                    self.item(tails, doc, outer, item);
                }
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                let inner = inner(doc, root);
                if let Some(part) = walk::object(doc, root, "part") {
                    piece(tails, doc, (outer, inner), part);
                }
            }
            _ => {
                if let Some((family, field)) = family(&kind, ".done") {
                    let inner = inner(doc, root);
                    mend(tails, Key { outer, inner, family }, doc, root, field);
                    self.rename(doc, outer, root);
                }
            }
        }
        true
    }

    fn answer(&self, tails: &HashMap<Key, Tail>, doc: &mut Doc, response: NodeId) {
        let items = walk::listed(doc, response, "output");
        for (array, at, item) in items.into_iter().rev() {
            if self.gone.contains(&(at as u64)) {
                // It was found there just now.
                let _ = doc.remove_at(array, at);
            } else {
                self.item(tails, doc, at as u64, item);
            }
        }
    }

    fn item(&self, tails: &HashMap<Key, Tail>, doc: &mut Doc, outer: u64, item: NodeId) {
        for list in ["content", "summary"] {
            for (_, at, part) in walk::listed(doc, item, list) {
                piece(tails, doc, (outer, at as u64), part);
            }
        }
        let kind = walk::word(doc, item, "type").unwrap_or_default();
        let code = ("code_interpreter_call", "code");
        let Some((_, field)) = CALLS.into_iter().chain([code]).find(|(call, _)| *call == kind) else { return };
        let families = FAMILIES.iter().enumerate().filter(|(_, (name, _))| name.starts_with(kind.as_str()));
        for (family, _) in families {
            mend(tails, Key { outer, inner: 0, family }, doc, item, field);
        }
        self.rename(doc, outer, item);
    }

    fn rename(&self, doc: &mut Doc, item: u64, node: NodeId) {
        if let Some(name) = self.names.get(&item)
            && walk::blank(doc, node, "name").is_some()
        {
            // A place that was just read takes a text.
            let _ = doc.set(node, "name", &Fragment::from(name.as_str()));
        }
    }
}

/// Mends one piece of an item's content or summary.
fn piece(tails: &HashMap<Key, Tail>, doc: &mut Doc, at: (u64, u64), part: NodeId) {
    let kind = walk::word(doc, part, "type").unwrap_or_default();
    let name = if kind == "summary_text" { "reasoning_summary_text" } else { kind.as_str() };
    if let Some((family, (_, field))) = FAMILIES.iter().enumerate().find(|(_, (family, _))| *family == name) {
        mend(tails, Key { outer: at.0, inner: at.1, family }, doc, part, field);
    }
}

/// What an event that is no repeat is about, as far as it matters.
fn about(event: &Event, limits: Limits) -> Option<About> {
    let (mut doc, root) = read(event, limits)?;
    let kind = walk::word(&mut doc, root, "type")?;
    let outer = walk::number(&mut doc, root, "output_index").unwrap_or_default();
    if kind == "response.output_item.added" {
        let item = walk::object(&mut doc, root, "item");
        let name = item.and_then(|item| walk::word(&mut doc, item, "name"));
        return Some(About::Added(outer, name));
    }
    let (family, _) = family(&kind, ".delta")?;
    let inner = inner(&mut doc, root);
    let text = walk::word(&mut doc, root, "delta")?;
    Some(About::Delta(Key { outer, inner, family }, text))
}

/// The family of an event's type, and where its text stands when it is whole.
fn family(kind: &str, end: &str) -> Option<(usize, &'static str)> {
    let name = kind.strip_prefix("response.")?.strip_suffix(end)?;
    let found = FAMILIES.iter().enumerate().find(|(_, (family, _))| *family == name);
    found.map(|(at, (_, field))| (at, *field))
}

/// The place of a text in its item.
fn inner(doc: &mut Doc, root: NodeId) -> u64 {
    ["content_index", "summary_index"].into_iter().find_map(|key| walk::number(doc, root, key)).unwrap_or_default()
}
