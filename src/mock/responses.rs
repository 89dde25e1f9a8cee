//! The `OpenAI` Responses dialect: one output item, whole or as its sequence of named, numbered events.

use std::fmt;

use super::answer::{self, CREATED};
use super::ask::{self, Said};
use super::quote::Quoted;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::stream::Stream;
use super::tool::ToolCall;

/// The one item of the output.
enum Item {
    /// A message with this text.
    Message(String),
    /// A call of a tool.
    Call(ToolCall),
}

/// Adds events that carry their own name and number.
struct Sequence {
    /// Where they go.
    stream: Stream,
}

/// `POST /v1/responses`.
pub(super) fn responses(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (ask, model) = call.ask()?;
    let input = ask.input.ok_or_else(|| Refusal::missing("input"))?;
    let said: Said =
        ask::said_in(input).ok_or_else(|| Refusal::new(400, "`input` must be a text or a list of items."))?;
    let item = match ToolCall::wanted(&ask, &said) {
        Some(tool) => Item::Call(tool),
        None => Item::Message(answer::text(&said.text, &call.faults)),
    };
    if ask.stream == Some(true) {
        return Ok(Reply::events(events(call, &model, &item)));
    }
    Ok(Reply::json(done(call, &model, &item)))
}

fn events(call: &Call<'_>, model: &str, item: &Item) -> Stream {
    let id = &call.id;
    let mut sequence = Sequence { stream: Stream::new(Dialect::Responses, &call.faults) };
    let begun = response(id, model, "in_progress", "", "null");
    sequence.event("response.created", format_args!(r#""response":{begun}"#));
    sequence.event("response.in_progress", format_args!(r#""response":{begun}"#));
    let added = item.render(id, false);
    sequence.event("response.output_item.added", format_args!(r#""output_index":0,"item":{added}"#));
    match item {
        Item::Message(text) => message_events(&mut sequence, id, text),
        Item::Call(tool) => call_events(&mut sequence, id, tool),
    }
    let whole = item.render(id, true);
    sequence.event("response.output_item.done", format_args!(r#""output_index":0,"item":{whole}"#));
    sequence.finish("response.completed", format_args!(r#""response":{}"#, done(call, model, item)));
    sequence.stream
}

fn message_events(sequence: &mut Sequence, id: &str, text: &str) {
    let place = format!(r#""item_id":"msg_{id}","output_index":0,"content_index":0"#);
    let part =
        |text: &str| format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":{}}}"#, Quoted(text));
    sequence.event("response.content_part.added", format_args!(r#"{place},"part":{}"#, part("")));
    for word in answer::words(text) {
        let word = Quoted(word);
        sequence.event("response.output_text.delta", format_args!(r#"{place},"delta":{word},"logprobs":[]"#));
    }
    let whole = Quoted(text);
    sequence.event("response.output_text.done", format_args!(r#"{place},"text":{whole},"logprobs":[]"#));
    sequence.event("response.content_part.done", format_args!(r#"{place},"part":{}"#, part(text)));
}

fn call_events(sequence: &mut Sequence, id: &str, tool: &ToolCall) {
    let place = format!(r#""item_id":"fc_{id}","output_index":0"#);
    for fragment in tool.fragments() {
        let fragment = Quoted(fragment);
        sequence.event("response.function_call_arguments.delta", format_args!(r#"{place},"delta":{fragment}"#));
    }
    let arguments = Quoted(&tool.arguments);
    sequence.event("response.function_call_arguments.done", format_args!(r#"{place},"arguments":{arguments}"#));
}

/// The completed response.
fn done(call: &Call<'_>, model: &str, item: &Item) -> String {
    let input = answer::prompt_tokens(call.request.body);
    let output = match item {
        Item::Message(text) => answer::tokens(text),
        Item::Call(tool) => tool.fragments().count(),
    };
    let total = input + output;
    let usage = format!(
        r#"{{"input_tokens":{input},"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{output},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{total}}}"#
    );
    response(&call.id, model, "completed", &item.render(&call.id, true), &usage)
}

fn response(id: &str, model: &str, status: &str, output: &str, usage: &str) -> String {
    let model = Quoted(model);
    format!(
        r#"{{"id":"resp_{id}","object":"response","created_at":{CREATED},"status":"{status}","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":{model},"output":[{output}],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{{"effort":null,"summary":null}},"store":true,"temperature":1.0,"text":{{"format":{{"type":"text"}}}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{usage},"user":null,"metadata":{{}}}}"#
    )
}

// === impl Item ===

impl Item {
    /// The item when it is added, still empty, or when it is whole.
    fn render(&self, id: &str, whole: bool) -> String {
        let status = if whole { "completed" } else { "in_progress" };
        match self {
            Self::Message(text) => {
                let text = Quoted(text);
                let part = format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":{text}}}"#);
                let content = if whole { &part } else { "" };
                format!(
                    r#"{{"id":"msg_{id}","type":"message","status":"{status}","content":[{content}],"role":"assistant"}}"#
                )
            }
            Self::Call(tool) => {
                let (name, arguments) = (Quoted(&tool.name), Quoted(if whole { &tool.arguments } else { "" }));
                format!(
                    r#"{{"id":"fc_{id}","type":"function_call","status":"{status}","arguments":{arguments},"call_id":"call_{id}","name":{name}}}"#
                )
            }
        }
    }
}

// === impl Sequence ===

impl Sequence {
    fn event(&mut self, name: &str, fields: fmt::Arguments<'_>) {
        let number = self.stream.len();
        self.stream.event(name, format_args!(r#"{{"type":"{name}",{fields},"sequence_number":{number}}}"#));
    }

    fn finish(&mut self, name: &str, fields: fmt::Arguments<'_>) {
        let number = self.stream.len();
        self.stream.finish(name, format_args!(r#"{{"type":"{name}",{fields},"sequence_number":{number}}}"#));
    }
}
