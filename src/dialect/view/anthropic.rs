//! Anthropic's Messages: events that name their type, and answers that are lists of blocks.

use super::notes::Notes;
use super::place::{Gone, Place};
use super::{Kind, Tool, usage, walk};
use crate::dialect::event::Stop;
use crate::json::NodeId;

/// Reads one event of a stream.
pub(super) fn event(n: &mut Notes<'_>, root: NodeId, name: Option<&str>) {
    let stated = walk::word(n.doc, root, "type");
    match stated.as_deref().or(name).unwrap_or_default() {
        "message_start" => {
            n.only(None, Kind::Start);
            if let Some(message) = walk::object(n.doc, root, "message") {
                let used = usage::anthropic(n.doc, message);
                n.usage(used, &[]);
            }
        }
        "content_block_start" => {
            if let Some(block) = walk::object(n.doc, root, "content_block") {
                let index = walk::index(n.doc, root, 0);
                block_start(n, index, block);
            }
        }
        "content_block_delta" => delta(n, root),
        "message_delta" => {
            let used = usage::anthropic(n.doc, root);
            n.usage(used, &[]);
            if let Some(delta) = walk::object(n.doc, root, "delta") {
                ended(n, delta);
            }
        }
        "message_stop" => n.only(None, Kind::End),
        "ping" => n.only(None, Kind::Ping),
        "error" => {
            n.failed(root, true);
        }
        _ => {}
    }
}

/// Reads what a block begins with: mostly nothing but a tool's name.
fn block_start(n: &mut Notes<'_>, index: u64, block: NodeId) {
    let kind = walk::word(n.doc, block, "type").unwrap_or_default();
    if calls(&kind) {
        let args = n.args(block, "input", false);
        let gone = Gone::Emptied(Vec::new());
        let (id, name) = (walk::word(n.doc, block, "id"), n.name(block, "name"));
        n.tool(0, Tool { index, id, name, whole: args.is_some(), args, gone });
        return;
    }
    for (key, kind) in [("text", Kind::Text), ("thinking", Kind::Reasoning)] {
        if walk::blank(n.doc, block, key) == Some(false) {
            n.text(0, kind, Place { node: block, key }, Vec::new(), None);
        }
    }
}

fn delta(n: &mut Notes<'_>, root: NodeId) {
    let Some(node) = walk::object(n.doc, root, "delta") else { return };
    match walk::word(n.doc, node, "type").as_deref().unwrap_or_default() {
        "text_delta" => n.text(0, Kind::Text, Place { node, key: "text" }, Vec::new(), None),
        "thinking_delta" => n.text(0, Kind::Reasoning, Place { node, key: "thinking" }, Vec::new(), None),
        "input_json_delta" => {
            let place = Place { node, key: "partial_json" };
            let tool = Tool {
                index: walk::index(n.doc, root, 0),
                id: None,
                name: None,
                args: n.args(node, place.key, true),
                whole: false,
                gone: Gone::Emptied(vec![place]),
            };
            n.tool(0, tool);
        }
        "citations_delta" => n.only(None, Kind::Citation),
        _ => {}
    }
}

/// Reads a whole answer.
pub(super) fn whole(n: &mut Notes<'_>, root: NodeId) {
    if walk::word(n.doc, root, "type").as_deref() == Some("error") {
        n.failed(root, true);
        return;
    }
    for (array, at, block) in walk::listed(n.doc, root, "content") {
        let gone = Gone::Item { array, at, home: None };
        let kind = walk::word(n.doc, block, "type").unwrap_or_default();
        match kind.as_str() {
            "text" => n.text(0, Kind::Text, Place { node: block, key: "text" }, Vec::new(), Some(gone)),
            "thinking" => n.text(0, Kind::Reasoning, Place { node: block, key: "thinking" }, Vec::new(), Some(gone)),
            _ if calls(&kind) => {
                let args = n.args(block, "input", true);
                let (id, name) = (walk::word(n.doc, block, "id"), n.name(block, "name"));
                n.tool(0, Tool { index: at as u64, id, name, args, whole: true, gone });
            }
            _ => {}
        }
    }
    let used = usage::anthropic(n.doc, root);
    n.usage(used, &[]);
    ended(n, root);
}

/// Whether a block of this type calls a tool, be it one that runs elsewhere.
fn calls(kind: &str) -> bool {
    matches!(kind, "tool_use" | "server_tool_use" | "mcp_tool_use")
}

fn ended(n: &mut Notes<'_>, holder: NodeId) {
    let Some(reason) = walk::word(n.doc, holder, "stop_reason") else { return };
    let stop = match reason.as_str() {
        "end_turn" => Stop::End,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::Tool,
        "stop_sequence" => Stop::Sequence(walk::word(n.doc, holder, "stop_sequence")),
        "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Pause,
        _ => Stop::Other(reason),
    };
    n.stop(0, stop, &[]);
}
