//! The `OpenAI` Responses dialect: output items, whole or as their sequence of named, numbered events.

use serde_json::{Value, json};

use super::answer::{self, Answer, CREATED};
use super::ask::Ask;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::said::Said;
use super::stream::Stream;
use super::tool::{self, ToolCall};

/// One item of the output.
enum Item<'a> {
    /// What the model thought: a summary, and the thoughts sealed when the client wants them so.
    Reasoning(&'a str, Option<String>),
    /// A message with this text, and whether it is all there was to say.
    Message(&'a str, bool),
    /// A call of a tool, and the part of its ids that tells it from others.
    Call(&'a ToolCall, String),
}

/// Adds events that carry their own name and number.
struct Sequence {
    /// Where they go.
    stream: Stream,
}

/// `POST /v1/responses`.
pub(super) fn responses(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let said = Said::of_input(ask.required("input")?);
    let said = said.ok_or_else(|| Refusal::new(400, "`input` must be a text or a list of items."))?;
    let answer = Answer::new(&ask, &said, Dialect::Responses, &call.faults);
    let items = items(&ask, &answer, &call.id);
    if ask.is_set("/stream") {
        return Ok(Reply::events(events(call, &ask, &answer, &items)));
    }
    Ok(Reply::json(&done(call, &ask, &answer, &items)))
}

fn items<'a>(ask: &Ask, answer: &'a Answer, id: &str) -> Vec<Item<'a>> {
    let seal = answer::includes_sealed_thoughts(ask).then(|| answer::seal(id));
    let thoughts = answer.thoughts.iter().map(|thoughts| Item::Reasoning(thoughts, seal.clone()));
    let message = answer.calls.is_empty().then_some(Item::Message(&answer.text, !answer.cut));
    let calls = answer.calls.iter().enumerate().map(|(index, called)| Item::Call(called, tool::nth(id, index)));
    thoughts.chain(message).chain(calls).collect()
}

fn events(call: &Call<'_>, ask: &Ask, answer: &Answer, items: &[Item<'_>]) -> Stream {
    let mut sequence = Sequence { stream: Stream::new(Dialect::Responses, &call.faults) };
    let begun = response(&call.id, ask, "in_progress");
    sequence.event("response.created", json!({ "response": begun }));
    sequence.event("response.in_progress", json!({ "response": begun }));
    for (index, item) in items.iter().enumerate() {
        let added = item.render(&call.id, false);
        let place = json!({ "item_id": added["id"], "output_index": index });
        sequence.event("response.output_item.added", json!({ "output_index": index, "item": added }));
        match item {
            Item::Reasoning(thoughts, _) => reasoning_events(&mut sequence, &place, thoughts),
            Item::Message(text, _) => message_events(&mut sequence, &place, text),
            Item::Call(called, _) => call_events(&mut sequence, &place, called),
        }
        let whole = item.render(&call.id, true);
        sequence.event("response.output_item.done", json!({ "output_index": index, "item": whole }));
    }
    let name = if answer.cut { "response.incomplete" } else { "response.completed" };
    sequence.finish(name, json!({ "response": done(call, ask, answer, items) }));
    sequence.stream
}

fn reasoning_events(sequence: &mut Sequence, place: &Value, thoughts: &str) {
    let place = with(place, json!({ "summary_index": 0 }));
    let part = |text: &str| json!({ "part": { "type": "summary_text", "text": text } });
    sequence.event("response.reasoning_summary_part.added", with(&place, part("")));
    for word in answer::words(thoughts) {
        sequence.event("response.reasoning_summary_text.delta", with(&place, json!({ "delta": word })));
    }
    sequence.event("response.reasoning_summary_text.done", with(&place, json!({ "text": thoughts })));
    sequence.event("response.reasoning_summary_part.done", with(&place, part(thoughts)));
}

fn message_events(sequence: &mut Sequence, place: &Value, text: &str) {
    let place = with(place, json!({ "content_index": 0 }));
    sequence.event("response.content_part.added", with(&place, json!({ "part": output_text("") })));
    for word in answer::words(text) {
        sequence.event("response.output_text.delta", with(&place, json!({ "delta": word, "logprobs": [] })));
    }
    sequence.event("response.output_text.done", with(&place, json!({ "text": text, "logprobs": [] })));
    sequence.event("response.content_part.done", with(&place, json!({ "part": output_text(text) })));
}

fn call_events(sequence: &mut Sequence, place: &Value, called: &ToolCall) {
    for fragment in called.fragments() {
        sequence.event("response.function_call_arguments.delta", with(place, json!({ "delta": fragment })));
    }
    let whole = json!({ "name": called.name, "arguments": called.arguments });
    sequence.event("response.function_call_arguments.done", with(place, whole));
}

fn output_text(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

/// The fields of both objects, those of `fields` last.
fn with(place: &Value, fields: Value) -> Value {
    let mut both = place.clone();
    if let (Value::Object(both), Value::Object(fields)) = (&mut both, fields) {
        both.extend(fields);
    }
    both
}

/// The response when it is whole, or as whole as the client's limit lets it be.
fn done(call: &Call<'_>, ask: &Ask, answer: &Answer, items: &[Item<'_>]) -> Value {
    let mut done = response(&call.id, ask, if answer.cut { "incomplete" } else { "completed" });
    if answer.cut {
        done["incomplete_details"] = json!({ "reason": "max_output_tokens" });
    }
    done["output"] = items.iter().map(|item| item.render(&call.id, true)).collect();
    done["usage"] = json!({
        "input_tokens": answer.input,
        "input_tokens_details": { "cached_tokens": answer.cached },
        "output_tokens": answer.output(),
        "output_tokens_details": { "reasoning_tokens": answer.thought_tokens() },
        "total_tokens": answer.input + answer.output(),
    });
    done
}

/// The response without its output; what the client set is told back.
fn response(id: &str, ask: &Ask, status: &str) -> Value {
    let echo = |place: &str, otherwise: Value| ask.get(place).cloned().unwrap_or(otherwise);
    json!({
        "id": format!("resp_{id}"),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": echo("/instructions", Value::Null),
        "max_output_tokens": echo("/max_output_tokens", Value::Null),
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": echo("/parallel_tool_calls", json!(true)),
        "previous_response_id": null,
        "reasoning": echo("/reasoning", json!({ "effort": null, "summary": null })),
        "store": echo("/store", json!(true)),
        "temperature": echo("/temperature", json!(1.0)),
        "text": echo("/text", json!({ "format": { "type": "text" } })),
        "tool_choice": echo("/tool_choice", json!("auto")),
        "tools": echo("/tools", json!([])),
        "top_p": echo("/top_p", json!(1.0)),
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": echo("/metadata", json!({})),
    })
}

// === impl Item ===

impl Item<'_> {
    /// The item when it is added, still empty, or when it is whole.
    fn render(&self, id: &str, whole: bool) -> Value {
        let status = if whole { "completed" } else { "in_progress" };
        match self {
            Self::Reasoning(thoughts, seal) => {
                let summary = if whole { json!([{ "type": "summary_text", "text": thoughts }]) } else { json!([]) };
                let mut item = json!({ "id": format!("rs_{id}"), "type": "reasoning", "summary": summary });
                if let Some(seal) = seal {
                    item["encrypted_content"] = json!(if whole { seal } else { "" });
                }
                item
            }
            Self::Message(text, complete) => json!({
                "id": format!("msg_{id}"),
                "type": "message",
                "status": if whole && !complete { "incomplete" } else { status },
                "content": if whole { json!([output_text(text)]) } else { json!([]) },
                "role": "assistant",
            }),
            Self::Call(called, id) => json!({
                "id": format!("fc_{id}"),
                "type": "function_call",
                "status": status,
                "arguments": if whole { &called.arguments } else { "" },
                "call_id": format!("call_{id}"),
                "name": called.name,
            }),
        }
    }
}

// === impl Sequence ===

impl Sequence {
    fn event(&mut self, name: &str, fields: Value) {
        let data = self.data(name, fields);
        self.stream.event(name, &data);
    }

    fn finish(&mut self, name: &str, fields: Value) {
        let data = self.data(name, fields);
        self.stream.finish(name, &data);
    }

    fn data(&self, name: &str, fields: Value) -> Value {
        let data = with(&json!({ "type": name }), fields);
        with(&data, json!({ "sequence_number": self.stream.len() }))
    }
}
