//! OpenAI's Responses: events that name their type, and answers that are lists of items.

use super::notes::Notes;
use super::place::{Gone, Place};
use super::{Kind, Tool, usage, walk};
use crate::dialect::event::Stop;
use crate::json::{Doc, Fragment, Item, NodeId};

/// The types of items that call a tool, and where their arguments stand.
pub(super) const CALLS: [(&str, &str); 3] =
    [("function_call", "arguments"), ("custom_tool_call", "input"), ("mcp_call", "arguments")];

/// Reads one event of a stream. Those that repeat what deltas said hold nothing: [`super::echo`] keeps them in step.
pub(super) fn event(n: &mut Notes<'_>, root: NodeId, name: Option<&str>) {
    let stated = walk::word(n.doc, root, "type");
    let delta = Place { node: root, key: "delta" };
    match stated.as_deref().or(name).unwrap_or_default() {
        "response.created" => n.only(None, Kind::Start),
        "response.output_text.delta" => n.text(0, Kind::Text, delta, Vec::new(), None),
        "response.refusal.delta" => n.text(0, Kind::Refusal, delta, Vec::new(), None),
        "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
            n.text(0, Kind::Reasoning, delta, Vec::new(), None);
        }
        "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta"
        | "response.mcp_call_arguments.delta" => {
            let tool = Tool {
                index: walk::number(n.doc, root, "output_index").unwrap_or_default(),
                id: None,
                name: None,
                args: n.args(root, "delta", true),
                whole: false,
                gone: Gone::Emptied(vec![delta]),
            };
            n.tool(0, tool);
        }
        "response.output_item.added" => {
            let index = walk::number(n.doc, root, "output_index").unwrap_or_default();
            if let Some(item) = walk::object(n.doc, root, "item") {
                call(n, index, item, Gone::Emptied(Vec::new()));
            }
        }
        "response.output_text.annotation.added" => n.only(None, Kind::Citation),
        "response.completed" | "response.incomplete" | "response.done" => {
            if let Some(response) = walk::object(n.doc, root, "response") {
                ended(n, response);
            }
        }
        "response.failed" => {
            let response = walk::object(n.doc, root, "response").unwrap_or(root);
            n.failed(response, true);
        }
        "error" => {
            n.failed(root, true);
        }
        "ping" | "keepalive" => n.only(None, Kind::Ping),
        _ if walk::blank(n.doc, root, "type").is_none() => {
            n.failed(root, false);
        }
        _ => {}
    }
}

/// Reads an item that calls a tool; nothing for others.
fn call(n: &mut Notes<'_>, index: u64, item: NodeId, gone: Gone) {
    let kind = walk::word(n.doc, item, "type").unwrap_or_default();
    let Some((_, key)) = CALLS.into_iter().find(|(call, _)| *call == kind) else { return };
    let args = n.args(item, key, true);
    let id = walk::word(n.doc, item, "call_id").or_else(|| walk::word(n.doc, item, "id"));
    let name = n.name(item, "name");
    let whole = n.whole || args.and_then(|args| args.read(n.doc)).is_some_and(|text| !text.is_empty());
    n.tool(0, Tool { index, id, name, args, whole, gone });
}

/// Reads a whole answer.
pub(super) fn whole(n: &mut Notes<'_>, root: NodeId) {
    let failed = matches!(n.doc.get(root, "error"), Ok(Some(Item::Object(_) | Item::String(_))));
    for (array, at, item) in walk::listed(n.doc, root, "output") {
        for (_, _, text) in walk::listed(n.doc, item, "summary") {
            n.text(0, Kind::Reasoning, Place { node: text, key: "text" }, Vec::new(), None);
        }
        for (_, _, piece) in walk::listed(n.doc, item, "content") {
            let text = |key| Place { node: piece, key };
            match walk::word(n.doc, piece, "type").as_deref() {
                Some("output_text") => n.text(0, Kind::Text, text("text"), Vec::new(), None),
                Some("refusal") => n.text(0, Kind::Refusal, text("refusal"), Vec::new(), None),
                Some("reasoning_text") => n.text(0, Kind::Reasoning, text("text"), Vec::new(), None),
                _ => {}
            }
        }
        call(n, at as u64, item, Gone::Item { array, at, home: None });
    }
    if failed {
        n.failed(root, false);
    }
    ended(n, root);
}

fn ended(n: &mut Notes<'_>, response: NodeId) {
    let used = usage::openai(n.doc, response);
    n.usage(used, &[]);
    let stop = match walk::word(n.doc, response, "status").as_deref() {
        Some("completed") if calls_a_function(n.doc, response) => Stop::Tool,
        Some("completed") => Stop::End,
        Some("incomplete") => {
            let details = walk::object(n.doc, response, "incomplete_details");
            let reason = details.and_then(|details| walk::word(n.doc, details, "reason")).unwrap_or_default();
            match reason.as_str() {
                "max_output_tokens" | "max_tokens" => Stop::Length,
                "content_filter" => Stop::Filter,
                _ => Stop::Other(reason),
            }
        }
        _ => return,
    };
    n.stop(0, stop, &[]);
}

/// Whether the client is to call something before the answer can go on.
fn calls_a_function(doc: &mut Doc, response: NodeId) -> bool {
    let items = walk::listed(doc, response, "output");
    items.into_iter().any(|(_, _, item)| {
        walk::word(doc, item, "type").is_some_and(|kind| kind == "function_call" || kind == "custom_tool_call")
    })
}

/// Makes `output_text`, which some send with a whole answer, say what its texts say.
pub(super) fn mend(doc: &mut Doc, root: NodeId) {
    if walk::blank(doc, root, "output_text").is_none() {
        return;
    }
    let mut all = String::new();
    for (_, _, item) in walk::listed(doc, root, "output") {
        for (_, _, piece) in walk::listed(doc, item, "content") {
            if walk::word(doc, piece, "type").as_deref() == Some("output_text") {
                all.push_str(&walk::word(doc, piece, "text").unwrap_or_default());
            }
        }
    }
    let _ = doc.set(root, "output_text", &Fragment::from(all.as_str()));
}
