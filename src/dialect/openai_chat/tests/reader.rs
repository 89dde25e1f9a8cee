//! The oddities of streams, one claim each.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::dialect::codec::Codec;
use crate::dialect::event::{Event, EventKind, Stop};
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::id::Ids;
use crate::dialect::openai_chat::OpenAiChat;
use crate::dialect::seal::Seal;
use crate::stream::{self, Wire};

/// Reads these bytes, one block each, to the end of the wire.
fn raw(blocks: &[String]) -> Vec<EventKind> {
    let mut reader = OpenAiChat::OPENAI.reader(Ids::new("x"));
    let event = |block: &String| stream::Event::parse(Wire::Sse, Bytes::from(block.clone()));
    let mut events: Vec<Event> = blocks.iter().flat_map(|block| reader.read(&event(block))).collect();
    events.extend(reader.finish());
    events.into_iter().map(|event| event.kind).collect()
}

/// Reads these chunks and the end mark.
fn chunks(chunks: &[Value]) -> Vec<EventKind> {
    let mut blocks: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    blocks.push("data: [DONE]\n\n".to_owned());
    raw(&blocks)
}

#[expect(clippy::needless_pass_by_value, reason = "each call makes its own")]
fn delta(delta: Value) -> Value {
    json!({"id": "c", "model": "m", "created": 1, "choices": [{"index": 0, "delta": delta}]})
}

fn finish(reason: &str) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn stop(events: &[EventKind]) -> Stop {
    let stops: Vec<&Stop> =
        events.iter().filter_map(|kind| if let EventKind::Stop(stop) = kind { Some(stop) } else { None }).collect();
    let [stop] = stops.as_slice() else { panic!("{events:?}") };
    (*stop).clone()
}

fn failure(events: &[EventKind]) -> Failure {
    let Some(EventKind::Failed(failure)) = events.last() else { panic!("{events:?}") };
    failure.clone()
}

/// The calls that events make up: name, arguments.
fn calls(events: &[EventKind]) -> Vec<(String, String)> {
    let mut calls: Vec<(u32, String, String)> = Vec::new();
    for kind in events {
        match kind {
            EventKind::ToolStart { block, name, .. } => calls.push((*block, name.clone(), String::new())),
            EventKind::ToolArgs { block, json } => {
                calls.iter_mut().find(|(known, ..)| known == block).unwrap().2.push_str(json);
            }
            _ => {}
        }
    }
    calls.into_iter().map(|(_, name, arguments)| (name, arguments)).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "each call makes its own")]
fn call(value: Value) -> Value {
    delta(json!({"tool_calls": [value]}))
}

#[test]
fn thoughts_text_and_calls_are_blocks_in_the_order_they_begin() {
    let events = chunks(&[
        delta(json!({"role": "assistant", "content": "", "reasoning_content": "hm"})),
        delta(json!({"content": "so", "reasoning_content": null, "tool_calls": null, "refusal": null})),
        call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}})),
        call(json!({"index": 0, "function": {"arguments": "{}"}})),
        finish("tool_calls"),
    ]);
    let start = events.first().cloned();
    assert!(matches!(start, Some(EventKind::Start(start)) if start.id.as_deref() == Some("c")));
    let (text, id, name) = ("so".to_owned(), "a".to_owned(), "f".to_owned());
    assert_eq!(
        events[1..],
        [
            EventKind::Reasoning { block: 0, text: "hm".to_owned() },
            EventKind::BlockStop { block: 0 },
            EventKind::Text { block: 1, text },
            EventKind::BlockStop { block: 1 },
            EventKind::ToolStart { block: 2, id, name },
            EventKind::ToolArgs { block: 2, json: "{}".to_owned() },
            EventKind::BlockStop { block: 2 },
            EventKind::Stop(Stop::Tool),
            EventKind::End,
        ]
    );
}

#[test]
fn calls_are_told_apart_however_the_server_numbers_them() {
    let no_index = chunks(&[
        call(json!({"id": "a", "function": {"name": "f", "arguments": "{}"}})),
        call(json!({"id": "b", "function": {"name": "f", "arguments": "{\"x\":1}"}})),
    ]);
    let all_zero = chunks(&[
        call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}})),
        call(json!({"index": 0, "id": "b", "function": {"name": "f", "arguments": {"x": 1}}})),
    ]);
    let expected = [("f".to_owned(), "{}".to_owned()), ("f".to_owned(), "{\"x\":1}".to_owned())];
    assert_eq!(calls(&no_index), expected);
    assert_eq!(calls(&all_zero), expected);
    let repeated = chunks(&[
        call(json!({"index": 1, "id": "a", "function": {"name": "f", "arguments": "{"}})),
        call(json!({"index": 1, "id": "a", "function": {"name": "f", "arguments": "}"}})),
    ]);
    assert_eq!(calls(&repeated), expected[..1]);
    assert_eq!(stop(&repeated), Stop::Tool);
}

#[test]
fn fragments_of_two_calls_may_alternate() {
    let events = chunks(&[
        call(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "[1"}})),
        call(json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": "[2"}})),
        call(json!({"index": 0, "function": {"arguments": "]"}})),
        call(json!({"index": 1, "function": {"arguments": "]"}})),
    ]);
    assert_eq!(calls(&events), [("f".to_owned(), "[1]".to_owned()), ("g".to_owned(), "[2]".to_owned())]);
}

#[test]
fn a_call_without_an_id_gets_one() {
    let events = chunks(&[call(json!({"index": 0, "id": "", "function": {"name": "f", "arguments": "{}"}}))]);
    let ids: Vec<&String> = events
        .iter()
        .filter_map(|kind| if let EventKind::ToolStart { id, .. } = kind { Some(id) } else { None })
        .collect();
    assert!(ids[0].starts_with("call_") && ids[0].len() > 20, "{ids:?}");
}

#[test]
fn an_empty_first_chunk_does_not_name_the_answer() {
    let empty = json!({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [1]});
    let events = chunks(&[empty, delta(json!({"content": "x"})), finish("stop")]);
    let Some(EventKind::Start(start)) = events.first() else { panic!("{events:?}") };
    assert_eq!((start.id.as_deref(), start.created), (Some("c"), Some(1)));
    assert_eq!(start.extra["prompt_filter_results"], json!([1]));
}

#[test]
fn the_last_usage_counts_wherever_it_stands() {
    let usage = |tokens: u64| json!({"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1});
    let mut first = delta(json!({"content": "x"}));
    first["usage"] = usage(1);
    let last = json!({"id": "c", "choices": [], "usage": usage(9)});
    let events = chunks(&[first, finish("stop"), last]);
    let counts: Vec<u64> = events
        .iter()
        .filter_map(|kind| if let EventKind::Usage(usage) = kind { Some(usage.output) } else { None })
        .collect();
    assert_eq!(counts, [9]);
}

#[test]
fn a_cumulative_message_says_nothing_twice() {
    let both = |piece: &str, all: &str| json!({"choices": [{"index": 0, "delta": {"content": piece}, "message": {"content": all}}]});
    let events = chunks(&[both("a", "a"), both("b", "ab"), both("", "ab")]);
    let text: String = events
        .iter()
        .filter_map(|kind| if let EventKind::Text { text, .. } = kind { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(text, "ab");
}

#[test]
fn details_seal_the_thoughts_they_repeat() {
    let piece = |text: &str| json!({"type": "reasoning.text", "text": text, "index": 0, "format": "f"});
    let signed = json!({"type": "reasoning.text", "signature": "s", "index": 0});
    let events = chunks(&[
        delta(json!({"reasoning": "a", "reasoning_details": [piece("a")]})),
        delta(json!({"reasoning": "b", "reasoning_details": [piece("b")]})),
        delta(json!({"reasoning_details": [signed]})),
        delta(json!({"content": "x"})),
        finish("stop"),
    ]);
    let joined = json!([{"type": "reasoning.text", "text": "ab", "index": 0, "format": "f", "signature": "s"}]);
    assert_eq!(events[3], EventKind::Seal { block: 0, seal: Seal::OpenRouter(joined) });
    assert_eq!(events[4], EventKind::BlockStop { block: 0 });
}

#[test]
fn an_end_mark_without_a_reason_is_an_end() {
    assert_eq!(stop(&chunks(&[delta(json!({"content": "x"}))])), Stop::End);
    let refusal = chunks(&[delta(json!({"refusal": "no"})), finish("stop")]);
    assert_eq!(stop(&refusal), Stop::Refusal);
}

#[test]
fn a_reason_without_an_end_mark_is_an_end() {
    let block = |chunk: Value| format!("data: {chunk}\n\n");
    let ended = raw(&[block(delta(json!({"content": "x"}))), block(finish("length"))]);
    assert_eq!(stop(&ended), Stop::Length);
    assert_eq!(ended.last(), Some(&EventKind::End));
    let cut = failure(&raw(&[block(delta(json!({"content": "x"})))]));
    assert_eq!((cut.kind, cut.code.as_deref()), (FailureKind::Server, Some("stream_cut")));
}

#[test]
fn errors_within_a_stream_are_failures_in_every_shape() {
    let named = raw(&[
        "event: error\ndata: {\"error\":{\"message\":\"bad\",\"type\":\"invalid_request_error\"}}\n\n".to_owned()
    ]);
    assert_eq!(failure(&named).kind, FailureKind::Invalid);
    let in_chunk = chunks(&[json!({"choices": [], "error": {"code": 429, "message": "slow down"}})]);
    assert_eq!((failure(&in_chunk).kind, failure(&in_chunk).status), (FailureKind::RateLimit, 429));
    let stray = raw(&["error: {\"error\":{\"message\":\"no slot\"}}\n\n".to_owned()]);
    assert_eq!(failure(&stray).message, "no slot");
    let vllm =
        chunks(&[json!({"object": "error", "message": "This model's maximum context length is 8", "code": 400})]);
    assert_eq!(failure(&vllm).kind, FailureKind::ContextLength);
    let in_choice = chunks(&[json!({"choices": [{"index": 0, "error": {"code": 502, "message": "gone"}}]})]);
    assert_eq!(failure(&in_choice).status, 502);
}

#[test]
fn garbage_is_a_failure_and_the_last_word() {
    let events =
        raw(&["data: {\"choices\": [\n\n".to_owned(), format!("data: {}\n\n", delta(json!({"content": "x"})))]);
    assert_eq!(events.len(), 1);
    assert_eq!(failure(&events).code.as_deref(), Some("garbage"));
}

#[test]
fn no_shape_of_json_is_too_odd_to_read() {
    for odd in
        ["1", "[]", "{\"choices\":{}}", "{\"choices\":[1,null,{}]}", "{\"choices\":[{\"delta\":[],\"index\":-1}]}"]
    {
        let events = raw(&[format!("data: {odd}\n\n"), "data: [DONE]\n\n".to_owned()]);
        assert_eq!(events.last(), Some(&EventKind::End), "{odd}");
    }
    let odd = json!({"tool_calls": [1, {"index": "x"}, {"function": {"name": 1, "arguments": 2}}], "content": 7, "annotations": {}});
    assert_eq!(calls(&chunks(&[delta(odd)])), [(String::new(), "2".to_owned())]);
}

#[test]
fn what_only_this_dialect_knows_is_passed_on_raw() {
    let events = chunks(&[delta(json!({"content": "x"})), delta(json!({"audio": {"data": "AA"}})), finish("stop")]);
    let raw = json!({"choices": [{"index": 0, "delta": {"audio": {"data": "AA"}}}]});
    assert!(events.contains(&EventKind::Raw { from: Dialect::OpenAiChat, value: raw }), "{events:?}");
}

#[test]
fn a_comment_is_a_sign_of_life() {
    let events = raw(&[": WAIT\n\n".to_owned(), "\n".to_owned(), "data: [DONE]\n\n".to_owned()]);
    assert_eq!(events, [EventKind::Ping, EventKind::End]);
}

#[test]
fn a_whole_answer_says_what_its_stream_says() {
    let whole = json!({"id": "c", "object": "chat.completion", "model": "m", "created": 1, "choices": [{
        "index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "x", "reasoning_content": "hm", "annotations": [{"type": "url_citation"}]},
    }]});
    let events = OpenAiChat::OPENAI.read_answer(whole, &mut Ids::new("x")).unwrap();
    let streamed = chunks(&[
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"content": "x"})),
        delta(json!({"annotations": [{"type": "url_citation"}]})),
        finish("stop"),
    ]);
    assert_eq!(events.into_iter().map(|event| event.kind).collect::<Vec<_>>(), streamed);
}

#[test]
fn reasoning_counted_apart_is_counted_in() {
    let body = json!({"choices": [], "usage": {
        "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 18, "completion_tokens_details": {"reasoning_tokens": 10},
    }});
    let events = OpenAiChat::OPENAI.read_answer(body, &mut Ids::new("x")).unwrap();
    let usage =
        events.iter().find_map(|event| if let EventKind::Usage(usage) = &event.kind { Some(usage) } else { None });
    let usage = usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.reasoning), (5, 13, Some(10)));
}
