//! The Anthropic dialect: Messages, token counts and the greeting that Claude Code looks for.

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::said::Said;
use super::stream::Stream;
use super::tool::{self, ToolCall};

/// One block of an answer.
enum Block<'a> {
    /// What the model thought, and the signature under it.
    Thinking(&'a str, String),
    /// A text.
    Text(&'a str),
    /// A call of a tool, and its id.
    ToolUse(&'a ToolCall, String),
}

/// `POST /v1/messages`.
pub(super) fn messages(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let said = Said::of(ask.turns("messages")?);
    let answer = Answer::new(&ask, &said, Dialect::Anthropic, &call.faults);
    let blocks = blocks(&answer, &call.id);
    if ask.is_set("/stream") {
        return Ok(Reply::events(events(call, &ask.model, &answer, &blocks)));
    }
    let content: Vec<Value> = blocks.iter().map(Block::whole).collect();
    let mut message = message(&call.id, &ask.model, &content, &usage(&answer, answer.output()));
    message["stop_reason"] = json!(stop_reason(&answer));
    Ok(Reply::json(&message))
}

/// `POST /v1/messages/count_tokens`.
pub(super) fn count_tokens(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let said = Said::of(ask.turns("messages")?);
    Ok(Reply::json(&json!({ "input_tokens": answer::prompt_tokens(&said.text) })))
}

/// `GET /api/hello`.
pub(super) fn hello(_: &Call<'_>) -> Reply {
    Reply::json(&json!({ "message": "hello" }))
}

fn blocks<'a>(answer: &'a Answer, id: &str) -> Vec<Block<'a>> {
    let thoughts = answer.thoughts.iter().map(|thoughts| Block::Thinking(thoughts, answer::seal(id)));
    let text = answer.calls.is_empty().then_some(Block::Text(&answer.text));
    let calls = answer.calls.iter().enumerate();
    let calls = calls.map(|(index, called)| Block::ToolUse(called, format!("toolu_{}", tool::nth(id, index))));
    thoughts.chain(text).chain(calls).collect()
}

fn events(call: &Call<'_>, model: &str, answer: &Answer, blocks: &[Block<'_>]) -> Stream {
    let mut stream = Stream::new(Dialect::Anthropic, &call.faults);
    let begun = message(&call.id, model, &[], &usage(answer, 1));
    stream.event("message_start", &json!({ "type": "message_start", "message": begun }));
    for (index, block) in blocks.iter().enumerate() {
        let start = json!({ "type": "content_block_start", "index": index, "content_block": block.empty() });
        stream.event("content_block_start", &start);
        if index == 0 {
            // The real service puts a blank into this one event only.
            stream.event("ping", &r#"{"type": "ping"}"#);
        }
        for delta in block.deltas() {
            let event = json!({ "type": "content_block_delta", "index": index, "delta": delta });
            stream.event("content_block_delta", &event);
        }
        stream.event("content_block_stop", &json!({ "type": "content_block_stop", "index": index }));
    }
    let delta = json!({ "stop_reason": stop_reason(answer), "stop_sequence": null });
    let usage = usage(answer, answer.output());
    stream.event("message_delta", &json!({ "type": "message_delta", "delta": delta, "usage": usage }));
    stream.finish("message_stop", &json!({ "type": "message_stop" }));
    stream
}

fn message(id: &str, model: &str, content: &[Value], usage: &Value) -> Value {
    json!({
        "model": model,
        "id": format!("msg_{id}"),
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage,
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    match (answer.calls.is_empty(), answer.cut) {
        (false, _) => "tool_use",
        (true, true) => "max_tokens",
        (true, false) => "end_turn",
    }
}

/// What was read from a cache is not part of the input tokens here.
fn usage(answer: &Answer, output: usize) -> Value {
    json!({
        "input_tokens": answer.input - answer.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

// === impl Block ===

impl Block<'_> {
    fn whole(&self) -> Value {
        match self {
            Self::Thinking(thoughts, seal) => json!({ "type": "thinking", "thinking": thoughts, "signature": seal }),
            Self::Text(text) => json!({ "type": "text", "text": text }),
            Self::ToolUse(call, id) => {
                json!({ "type": "tool_use", "id": id, "name": call.name, "input": call.arguments() })
            }
        }
    }

    /// The block as a stream starts it.
    fn empty(&self) -> Value {
        match self {
            Self::Thinking(..) => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Self::Text(_) => json!({ "type": "text", "text": "" }),
            Self::ToolUse(call, id) => json!({ "type": "tool_use", "id": id, "name": call.name, "input": {} }),
        }
    }

    /// What a stream adds to it. The first fragment of arguments is always empty, and the only one of a call without.
    fn deltas(&self) -> Vec<Value> {
        match self {
            Self::Thinking(thoughts, seal) => {
                let words = answer::words(thoughts).map(|word| json!({ "type": "thinking_delta", "thinking": word }));
                words.chain([json!({ "type": "signature_delta", "signature": seal })]).collect()
            }
            Self::Text(text) => answer::words(text).map(|word| json!({ "type": "text_delta", "text": word })).collect(),
            Self::ToolUse(call, _) => {
                let fragments = call.fragments().filter(|_| call.arguments != "{}");
                let fragments = std::iter::once("").chain(fragments);
                fragments.map(|part| json!({ "type": "input_json_delta", "partial_json": part })).collect()
            }
        }
    }
}
