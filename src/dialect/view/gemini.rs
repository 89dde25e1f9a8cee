//! Gemini: a chunk of a stream and a whole answer look alike, both lists of parts.

use super::notes::Notes;
use super::place::{Gone, Place};
use super::{Kind, Tool, usage, walk};
use crate::dialect::event::Stop;
use crate::json::{Item, NodeId};

/// Reads a chunk or a whole answer.
pub(super) fn answer(n: &mut Notes<'_>, root: NodeId) {
    if n.failed(root, false) {
        return;
    }
    let candidates: Vec<(u32, NodeId)> = walk::listed(n.doc, root, "candidates")
        .into_iter()
        .map(|(_, at, node)| (u32::try_from(walk::index(n.doc, node, at)).unwrap_or(u32::MAX), node))
        .collect();
    for (choice, node) in &candidates {
        if let Some(content) = walk::object(n.doc, *node, "content") {
            said(n, *choice, content);
        }
    }
    let used = usage::gemini(n.doc, root);
    n.usage(used, &[(Place { node: root, key: "usageMetadata" }, None)]);
    for (choice, node) in candidates {
        if let Some(stop) = stop(n, node) {
            n.stop(choice, stop, &[(Place { node, key: "finishReason" }, None)]);
        }
    }
    let refused = walk::object(n.doc, root, "promptFeedback");
    if refused.is_some_and(|feedback| matches!(n.doc.get(feedback, "blockReason"), Ok(Some(Item::String(_))))) {
        n.stop(0, Stop::Filter, &[]);
    }
}

fn said(n: &mut Notes<'_>, choice: u32, content: NodeId) {
    let mut calls = 0;
    for (array, at, part) in walk::listed(n.doc, content, "parts") {
        let gone = Gone::Item { array, at, home: None };
        if let Some(call) = walk::object(n.doc, part, "functionCall") {
            let tool = Tool {
                index: calls,
                id: walk::word(n.doc, call, "id"),
                name: n.name(call, "name"),
                args: n.args(call, "args", true),
                whole: true,
                gone,
            };
            n.tool(choice, tool);
            calls += 1;
        } else {
            let kind = if walk::truth(n.doc, part, "thought") { Kind::Reasoning } else { Kind::Text };
            n.text(choice, kind, Place { node: part, key: "text" }, Vec::new(), Some(gone));
        }
    }
}

/// Why a candidate ended: a word, or its number where enumerations are sent as such.
fn stop(n: &mut Notes<'_>, candidate: NodeId) -> Option<Stop> {
    let reason = match n.doc.get(candidate, "finishReason") {
        Ok(Some(Item::String(word))) => word.into_owned(),
        Ok(Some(Item::Number(digits))) => digits.to_owned(),
        _ => return None,
    };
    Some(match reason.as_str() {
        "FINISH_REASON_UNSPECIFIED" | "0" => return None,
        "STOP" | "1" => Stop::End,
        "MAX_TOKENS" | "2" => Stop::Length,
        "SAFETY" | "3" | "RECITATION" | "4" | "LANGUAGE" | "6" | "BLOCKLIST" | "7" | "PROHIBITED_CONTENT" | "8"
        | "SPII" | "9" | "IMAGE_SAFETY" | "11" => Stop::Filter,
        _ => Stop::Other(reason),
    })
}
