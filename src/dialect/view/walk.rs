//! Steps into a document that is not known to be well formed: what is not there, or is something else, is nothing.

use crate::json::{Doc, Item, NodeId};

/// The object at a key.
pub(super) fn object(doc: &mut Doc, node: NodeId, key: &str) -> Option<NodeId> {
    match doc.get(node, key) {
        Ok(Some(Item::Object(node))) => Some(node),
        _ => None,
    }
}

/// The array at a key.
pub(super) fn array(doc: &mut Doc, node: NodeId, key: &str) -> Option<NodeId> {
    match doc.get(node, key) {
        Ok(Some(Item::Array(node))) => Some(node),
        _ => None,
    }
}

/// The items of an array that are objects, each with its place in it.
pub(super) fn numbered(doc: &mut Doc, array: NodeId) -> Vec<(usize, NodeId)> {
    let len = doc.len(array).unwrap_or_default();
    let mut found = Vec::with_capacity(len);
    for at in 0..len {
        if let Ok(Some(Item::Object(node))) = doc.at(array, at) {
            found.push((at, node));
        }
    }
    found
}

/// The items of an array that are objects.
pub(super) fn objects(doc: &mut Doc, array: NodeId) -> Vec<NodeId> {
    numbered(doc, array).into_iter().map(|(_, node)| node).collect()
}

/// The objects of the array at a key, each with the array and its place in it.
pub(super) fn listed(doc: &mut Doc, node: NodeId, key: &str) -> Vec<(NodeId, usize, NodeId)> {
    let Some(array) = array(doc, node, key) else { return Vec::new() };
    numbered(doc, array).into_iter().map(|(at, node)| (array, at, node)).collect()
}

/// The text at a key.
pub(super) fn word(doc: &mut Doc, node: NodeId, key: &str) -> Option<String> {
    match doc.get(node, key) {
        Ok(Some(Item::String(text))) => Some(text.into_owned()),
        _ => None,
    }
}

/// Whether there is a text at a key; and if so, whether it is empty.
pub(super) fn blank(doc: &mut Doc, node: NodeId, key: &str) -> Option<bool> {
    match doc.get(node, key) {
        Ok(Some(Item::String(text))) => Some(text.is_empty()),
        _ => None,
    }
}

/// The whole number at a key.
pub(super) fn number(doc: &mut Doc, node: NodeId, key: &str) -> Option<u64> {
    match doc.get(node, key) {
        Ok(Some(Item::Number(digits))) => digits.parse().ok(),
        _ => None,
    }
}

/// Whether the value at a key is `true`.
pub(super) fn truth(doc: &mut Doc, node: NodeId, key: &str) -> bool {
    matches!(doc.get(node, key), Ok(Some(Item::Bool(true))))
}

/// The `index` of an object, which stands at a place; those who leave it out mean the place.
pub(super) fn index(doc: &mut Doc, node: NodeId, at: usize) -> u64 {
    number(doc, node, "index").unwrap_or(at as u64)
}
