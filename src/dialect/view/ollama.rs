//! Ollama's chat and generate: a line of a stream and a whole answer look alike.

use super::notes::Notes;
use super::place::{Gone, Place};
use super::{Kind, Tool, usage, walk};
use crate::dialect::event::Stop;
use crate::json::NodeId;

/// What the last line has besides the answer.
const FIGURES: [&str; 7] = [
    "done_reason",
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
];

/// Reads a line or a whole answer.
pub(super) fn answer(n: &mut Notes<'_>, root: NodeId) {
    if n.failed(root, false) {
        return;
    }
    let text = |node, key| Place { node, key };
    if let Some(message) = walk::object(n.doc, root, "message") {
        n.text(0, Kind::Reasoning, text(message, "thinking"), Vec::new(), None);
        n.text(0, Kind::Text, text(message, "content"), Vec::new(), None);
        tools(n, message);
    } else {
        n.text(0, Kind::Reasoning, text(root, "thinking"), Vec::new(), None);
        n.text(0, Kind::Text, text(root, "response"), Vec::new(), None);
    }
    if !walk::truth(n.doc, root, "done") {
        return;
    }
    let used = usage::ollama(n.doc, root);
    n.usage(used, &[]);
    let stop = match walk::word(n.doc, root, "done_reason") {
        None => Stop::End,
        Some(reason) => match reason.as_str() {
            "stop" => Stop::End,
            "length" => Stop::Length,
            _ => Stop::Other(reason),
        },
    };
    let mut strip = vec![(text(root, "done"), Some("false"))];
    strip.extend(FIGURES.map(|key| (text(root, key), None)));
    n.stop(0, stop, &strip);
}

fn tools(n: &mut Notes<'_>, message: NodeId) {
    for (array, at, call) in walk::listed(n.doc, message, "tool_calls") {
        let Some(function) = walk::object(n.doc, call, "function") else { continue };
        let tool = Tool {
            index: walk::index(n.doc, function, at),
            id: walk::word(n.doc, call, "id"),
            name: n.name(function, "name"),
            args: n.args(function, "arguments", true),
            whole: true,
            gone: Gone::Item { array, at, home: Some(Place { node: message, key: "tool_calls" }) },
        };
        n.tool(0, tool);
    }
}
