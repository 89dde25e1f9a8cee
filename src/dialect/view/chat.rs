//! OpenAI's chat and completions, and the many that speak like them: a chunk's `delta` and an answer's `message` hold the
//! same things.

use super::notes::Notes;
use super::place::{Gone, Place};
use super::{Kind, Tool, usage, walk};
use crate::dialect::event::Stop;
use crate::json::{Item, NodeId};

/// Reads a chunk or a whole answer.
pub(super) fn answer(n: &mut Notes<'_>, root: NodeId, name: Option<&str>) {
    let choices: Vec<(u32, NodeId)> = walk::listed(n.doc, root, "choices")
        .into_iter()
        .map(|(_, at, node)| (u32::try_from(walk::index(n.doc, node, at)).unwrap_or(u32::MAX), node))
        .collect();
    for (choice, node) in &choices {
        said(n, *choice, *node);
    }
    n.failed(root, name == Some("error"));
    let used = usage::openai(n.doc, root);
    n.usage(used, &[(Place { node: root, key: "usage" }, Some("null"))]);
    for (choice, node) in choices {
        if let Some(reason) = walk::word(n.doc, node, "finish_reason") {
            n.stop(choice, stop(reason), &[(Place { node, key: "finish_reason" }, Some("null"))]);
        }
    }
}

/// Reads one choice.
fn said(n: &mut Notes<'_>, choice: u32, node: NodeId) {
    // Some have both: in a stream `message` then is all that came so far, in a whole answer `delta` is empty.
    let holders = if n.whole { ["message", "delta"] } else { ["delta", "message"] };
    let Some(message) = holders.into_iter().find_map(|key| walk::object(n.doc, node, key)) else {
        n.text(choice, Kind::Text, Place { node, key: "text" }, Vec::new(), None);
        return;
    };
    if walk::blank(n.doc, message, "role").is_some() {
        n.only(Some(choice), Kind::Start);
    }
    reasoning(n, choice, message);
    if let Some(content) = walk::array(n.doc, message, "content") {
        for item in walk::objects(n.doc, content) {
            pieces(n, choice, item);
        }
    } else {
        // Together says a delta's text again where completions have it.
        let again = walk::blank(n.doc, node, "text").map(|_| Place { node, key: "text" });
        let copies = again.into_iter().collect();
        n.text(choice, Kind::Text, Place { node: message, key: "content" }, copies, None);
    }
    n.text(choice, Kind::Refusal, Place { node: message, key: "refusal" }, Vec::new(), None);
    tools(n, choice, message);
    if walk::array(n.doc, message, "annotations").is_some_and(|list| !n.doc.is_empty(list).unwrap_or(true)) {
        n.only(Some(choice), Kind::Citation);
    }
}

/// Reads thoughts: two names for one thing, and a list of `OpenRouter`'s that says it again.
fn reasoning(n: &mut Notes<'_>, choice: u32, message: NodeId) {
    let mut places: Vec<Place> = ["reasoning_content", "reasoning"]
        .into_iter()
        .filter(|key| walk::blank(n.doc, message, key).is_some())
        .map(|key| Place { node: message, key })
        .collect();
    for (_, _, node) in walk::listed(n.doc, message, "reasoning_details") {
        let key = ["text", "summary"].into_iter().find(|key| walk::blank(n.doc, node, key).is_some());
        places.extend(key.map(|key| Place { node, key }));
    }
    if !places.is_empty() {
        let place = places.remove(0);
        n.text(choice, Kind::Reasoning, place, places, None);
    }
}

/// Reads one piece of a content that is a list, as Mistral writes it.
fn pieces(n: &mut Notes<'_>, choice: u32, item: NodeId) {
    for (_, _, thought) in walk::listed(n.doc, item, "thinking") {
        n.text(choice, Kind::Reasoning, Place { node: thought, key: "text" }, Vec::new(), None);
    }
    n.text(choice, Kind::Text, Place { node: item, key: "text" }, Vec::new(), None);
}

fn tools(n: &mut Notes<'_>, choice: u32, message: NodeId) {
    for (array, at, call) in walk::listed(n.doc, message, "tool_calls") {
        let inner = ["function", "custom"].into_iter().find_map(|key| walk::object(n.doc, call, key)).unwrap_or(call);
        let args = n.args(inner, "arguments", true).or_else(|| n.args(inner, "input", true));
        let tool = Tool {
            index: walk::index(n.doc, call, at),
            id: walk::word(n.doc, call, "id"),
            name: n.name(inner, "name"),
            whole: n.whole || args.is_some_and(|args| args.json),
            args,
            gone: Gone::Item { array, at, home: Some(Place { node: message, key: "tool_calls" }) },
        };
        n.tool(choice, tool);
    }
    if let Ok(Some(Item::Object(call))) = n.doc.get(message, "function_call") {
        let tool = Tool {
            index: 0,
            id: None,
            name: n.name(call, "name"),
            args: n.args(call, "arguments", true),
            whole: n.whole,
            gone: Gone::Key(Place { node: message, key: "function_call" }),
        };
        n.tool(choice, tool);
    }
}

fn stop(reason: String) -> Stop {
    match reason.as_str() {
        "stop" | "eos" | "end_turn" => Stop::End,
        "length" | "max_tokens" => Stop::Length,
        "tool_calls" | "function_call" => Stop::Tool,
        "stop_sequence" => Stop::Sequence(None),
        "content_filter" => Stop::Filter,
        "refusal" => Stop::Refusal,
        _ => Stop::Other(reason),
    }
}
