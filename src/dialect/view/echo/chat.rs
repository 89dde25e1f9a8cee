//! Chat chunks with `message` beside `delta`: all that came so far, this delta included.

use std::collections::HashMap;

use super::{Key, Tail, mend, read};
use crate::dialect::view::walk;
use crate::json::{Doc, Limits, NodeId};
use crate::stream::Event;

/// Takes note of a chunk, and brings what was sent for it in step.
pub(super) fn follow(tails: &mut HashMap<Key, Tail>, came: &Event, sent: &mut [Event], limits: Limits) {
    if let Some((mut doc, root)) = read(came, limits) {
        for (key, _, delta) in choices(&mut doc, root) {
            tails.entry(key).or_default().came.push_str(&delta);
        }
    }
    for event in sent {
        let Some((mut doc, root)) = read(event, limits) else { continue };
        for (key, message, delta) in choices(&mut doc, root) {
            tails.entry(key).or_default().sent.push_str(&delta);
            if let Some(message) = message {
                mend(tails, key, &mut doc, message, "content");
            }
        }
        if doc.edited() {
            event.set_data(doc.render());
        }
    }
}

/// The choices of a chunk: which one, its `message`, and what its delta adds.
fn choices(doc: &mut Doc, root: NodeId) -> Vec<(Key, Option<NodeId>, String)> {
    let mut found = Vec::new();
    for (_, at, choice) in walk::listed(doc, root, "choices") {
        let outer = walk::index(doc, choice, at);
        let Some(delta) = walk::object(doc, choice, "delta") else { continue };
        let message = walk::object(doc, choice, "message");
        let text = walk::word(doc, delta, "content").unwrap_or_default();
        found.push((Key { outer, inner: 0, family: 0 }, message, text));
    }
    found
}
