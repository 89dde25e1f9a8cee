//! The Anthropic dialect: Messages, token counts and the greeting that Claude Code looks for.

use super::answer;
use super::ask::{self, Said};
use super::quote::Quoted;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::stream::Stream;
use super::tool::ToolCall;

/// The one block of the answer.
enum Block {
    /// A text.
    Text(String),
    /// A call of a tool.
    ToolUse(ToolCall),
}

/// `POST /v1/messages`.
pub(super) fn messages(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let said: Said = ask::said(ask.messages.as_deref().ok_or_else(|| Refusal::missing("messages"))?);
    let block = match ToolCall::wanted(&ask, &said) {
        Some(tool) => Block::ToolUse(tool),
        None => Block::Text(answer::text(&said.text, &call.faults)),
    };
    if ask.stream == Some(true) {
        return Ok(Reply::events(events(call, &model, &block)));
    }
    let content = block.render(&call.id);
    let usage = usage(call, block.tokens());
    Ok(Reply::json(message(&call.id, &model, &content, &format!("\"{}\"", block.stop_reason()), &usage)))
}

/// `POST /v1/messages/count_tokens`.
pub(super) fn count_tokens(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, _) = call.ask()?;
    ask.messages.ok_or_else(|| Refusal::missing("messages"))?;
    Ok(Reply::json(format!(r#"{{"input_tokens":{}}}"#, answer::prompt_tokens(call.request.body))))
}

/// `GET /api/hello`.
pub(super) fn hello(_: &Call<'_>) -> Reply {
    Reply::json(r#"{"message":"hello"}"#.to_owned())
}

fn events(call: &Call<'_>, model: &str, block: &Block) -> Stream {
    let id = &call.id;
    let mut stream = Stream::new(Dialect::Anthropic, &call.faults);
    let begun = message(id, model, "", "null", &usage(call, 1));
    stream.event("message_start", format_args!(r#"{{"type":"message_start","message":{begun}}}"#));
    let empty = block.render_empty(id);
    stream.event(
        "content_block_start",
        format_args!(r#"{{"type":"content_block_start","index":0,"content_block":{empty}}}"#),
    );
    // The real service puts a blank into this one event only.
    stream.event("ping", format_args!(r#"{{"type": "ping"}}"#));
    let mut delta = |kind: &str, field: &str, part: &str| {
        let part = Quoted(part);
        stream.event(
            "content_block_delta",
            format_args!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"{kind}","{field}":{part}}}}}"#),
        );
    };
    match block {
        Block::Text(text) => answer::words(text).for_each(|word| delta("text_delta", "text", word)),
        Block::ToolUse(tool) => {
            // The first fragment is always empty, and the only one of a call without arguments.
            delta("input_json_delta", "partial_json", "");
            if tool.arguments != "{}" {
                tool.fragments().for_each(|fragment| delta("input_json_delta", "partial_json", fragment));
            }
        }
    }
    stream.event("content_block_stop", format_args!(r#"{{"type":"content_block_stop","index":0}}"#));
    let (reason, usage) = (block.stop_reason(), usage(call, block.tokens()));
    stream.event(
        "message_delta",
        format_args!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{usage}}}"#
        ),
    );
    stream.finish("message_stop", format_args!(r#"{{"type":"message_stop"}}"#));
    stream
}

fn message(id: &str, model: &str, content: &str, stop_reason: &str, usage: &str) -> String {
    let model = Quoted(model);
    format!(
        r#"{{"model":{model},"id":"msg_{id}","type":"message","role":"assistant","content":[{content}],"stop_reason":{stop_reason},"stop_sequence":null,"usage":{usage}}}"#
    )
}

fn usage(call: &Call<'_>, output: usize) -> String {
    let input = answer::prompt_tokens(call.request.body);
    format!(
        r#"{{"input_tokens":{input},"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":{output},"service_tier":"standard"}}"#
    )
}

// === impl Block ===

impl Block {
    fn render(&self, id: &str) -> String {
        match self {
            Self::Text(text) => format!(r#"{{"type":"text","text":{}}}"#, Quoted(text)),
            Self::ToolUse(tool) => tool_use(id, &tool.name, &tool.arguments),
        }
    }

    /// The block as a stream starts it.
    fn render_empty(&self, id: &str) -> String {
        match self {
            Self::Text(_) => r#"{"type":"text","text":""}"#.to_owned(),
            Self::ToolUse(tool) => tool_use(id, &tool.name, "{}"),
        }
    }

    fn stop_reason(&self) -> &'static str {
        match self {
            Self::Text(_) => "end_turn",
            Self::ToolUse(_) => "tool_use",
        }
    }

    fn tokens(&self) -> usize {
        match self {
            Self::Text(text) => answer::tokens(text),
            Self::ToolUse(tool) => tool.fragments().count(),
        }
    }
}

fn tool_use(id: &str, name: &str, input: &str) -> String {
    let name = Quoted(name);
    format!(r#"{{"type":"tool_use","id":"toolu_{id}","name":{name},"input":{input}}}"#)
}
