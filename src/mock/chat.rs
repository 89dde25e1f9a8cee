//! `OpenAI`'s chat completions, whole or as chunks.

use serde_json::{Value, json};

use super::answer::{self, Answer, CREATED};
use super::ask::Ask;
use super::openai::Chunks;
use super::reply::{Dialect, Reply};
use super::route::{Call, Refusal};
use super::said::Said;
use super::tool;

/// The most answers to one request.
const MAX_CHOICES: usize = 128;

/// `POST /v1/chat/completions`.
pub(super) fn chat(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let ask = call.ask()?;
    let said = Said::of(ask.turns("messages")?);
    let count = ask.number("/n").unwrap_or(1);
    if !(1..=MAX_CHOICES).contains(&count) {
        return Err(Refusal::new(400, format!("`n` must be from 1 to {MAX_CHOICES}.")));
    }
    let answer = Answer::new(&ask, &said, Dialect::OpenAi, &call.faults);
    if ask.is_set("/stream") {
        return Ok(stream(call, &ask, &answer, count));
    }
    let mut message = json!({ "role": "assistant", "content": content(&answer), "refusal": null });
    if let Some(thoughts) = &answer.thoughts {
        message["reasoning_content"] = json!(thoughts);
    }
    if !answer.calls.is_empty() {
        message["tool_calls"] = calls(&answer, &call.id);
    }
    let choice = |index: usize| json!({ "index": index, "message": message, "logprobs": null, "finish_reason": finish_reason(&answer) });
    Ok(Reply::json(&json!({
        "id": format!("chatcmpl-{}", call.id),
        "object": "chat.completion",
        "created": CREATED,
        "model": ask.model,
        "choices": (0..count).map(choice).collect::<Vec<_>>(),
        "usage": usage(&answer, count),
        "system_fingerprint": "fp_mock",
    })))
}

/// The chunks, those of several answers in turn.
fn stream(call: &Call<'_>, ask: &Ask, answer: &Answer, count: usize) -> Reply {
    let id = format!("chatcmpl-{}", call.id);
    let mut chunks = Chunks::new(call, ask, &id, "chat.completion.chunk");
    for delta in deltas(answer, &call.id) {
        for index in 0..count {
            chunks.choice(&json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": null }));
        }
    }
    let finish = finish_reason(answer);
    for index in 0..count {
        chunks.choice(&json!({ "index": index, "delta": {}, "logprobs": null, "finish_reason": finish }));
    }
    chunks.end(&usage(answer, count))
}

/// The changes to one message, from its role to its last word.
fn deltas(answer: &Answer, id: &str) -> Vec<Value> {
    let start = if answer.calls.is_empty() { json!("") } else { Value::Null };
    let mut deltas = vec![json!({ "role": "assistant", "content": start, "refusal": null })];
    if let Some(thoughts) = &answer.thoughts {
        deltas.extend(answer::words(thoughts).map(|word| json!({ "reasoning_content": word })));
    }
    deltas.extend(answer::words(&answer.text).map(|word| json!({ "content": word })));
    for (index, called) in answer.calls.iter().enumerate() {
        let id = format!("call_{}", tool::nth(id, index));
        let function = json!({ "name": called.name, "arguments": "" });
        let head = json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] });
        deltas.push(head);
        let fragment = |text: &str| json!({ "tool_calls": [{ "index": index, "function": { "arguments": text } }] });
        deltas.extend(called.fragments().map(fragment));
    }
    deltas
}

fn content(answer: &Answer) -> Value {
    if answer.calls.is_empty() { json!(answer.text) } else { Value::Null }
}

fn calls(answer: &Answer, id: &str) -> Value {
    let calls = answer.calls.iter().enumerate().map(|(index, called)| {
        let function = json!({ "name": called.name, "arguments": called.arguments });
        json!({ "id": format!("call_{}", tool::nth(id, index)), "type": "function", "function": function })
    });
    calls.collect()
}

fn finish_reason(answer: &Answer) -> &'static str {
    match (answer.calls.is_empty(), answer.cut) {
        (false, _) => "tool_calls",
        (true, true) => "length",
        (true, false) => "stop",
    }
}

fn usage(answer: &Answer, count: usize) -> Value {
    let output = answer.output() * count;
    json!({
        "prompt_tokens": answer.input,
        "completion_tokens": output,
        "total_tokens": answer.input + output,
        "prompt_tokens_details": { "cached_tokens": answer.cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": answer.thought_tokens() * count,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
