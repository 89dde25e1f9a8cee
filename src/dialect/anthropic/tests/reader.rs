//! Streams are read whatever they hold.

use serde_json::{Value, json};

use super::{digest, first, ids, read, sse, text};
use crate::dialect::Dialect;
use crate::dialect::anthropic::Anthropic;
use crate::dialect::codec::Codec;
use crate::dialect::event::{Event, EventKind, Stop, Usage};
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::seal::Seal;

fn message_start() -> Value {
    let usage = json!({"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20,
        "output_tokens": 1, "service_tier": "standard"});
    json!({"type": "message_start", "message": {"id": "msg_7", "type": "message", "role": "assistant",
        "model": "claude-x", "content": [], "stop_reason": null, "usage": usage}})
}

fn block_start(index: u32, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u32, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn block_stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn end(reason: &str) -> [Value; 2] {
    let delta = json!({"stop_reason": reason, "stop_sequence": null});
    [json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 40}}), json!({"type": "message_stop"})]
}

/// The events of blocks between a start and an end.
fn events_of(blocks: &[Value], reason: &str) -> Vec<Event> {
    let all: Vec<Value> = [message_start()].into_iter().chain(blocks.iter().cloned()).chain(end(reason)).collect();
    let events = read(&sse(&all));
    events[2..events.len() - 3].to_vec()
}

fn failure(events: &[Event]) -> &Failure {
    match &events.last().unwrap().kind {
        EventKind::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn raw(value: Value) -> EventKind {
    EventKind::Raw { from: Dialect::Anthropic, value }
}

#[test]
fn cached_tokens_are_part_of_the_input_and_the_end_completes_the_start() {
    let events = read(&sse(&[vec![message_start()], end("end_turn").to_vec()].concat()));
    let usage = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Usage(usage) => Some(usage.clone()),
        _ => None,
    });
    let extra = json!({"service_tier": "standard"}).as_object().unwrap().clone();
    let (cache_read, cache_write) = (Some(100), Some(20));
    let from = Some(Dialect::Anthropic);
    let expected = Usage { input: 130, output: 40, cache_read, cache_write, extra, from, ..Usage::default() };
    assert_eq!(usage.unwrap(), expected);
    let last: Vec<EventKind> = events.into_iter().rev().take(2).map(|event| event.kind).collect();
    assert_eq!(last, [EventKind::End, EventKind::Stop(Stop::End)]);
}

#[test]
fn thoughts_come_with_their_seal_and_redacted_ones_are_nothing_else() {
    let blocks = [
        block_start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "", "estimated_tokens": 50})),
        delta(0, &json!({"type": "signature_delta", "signature": "sig"})),
        block_stop(0),
        block_start(1, &json!({"type": "redacted_thinking", "data": "dark"})),
        block_stop(1),
    ];
    let expected = first([
        EventKind::Reasoning { block: 0, text: String::new() },
        EventKind::Seal { block: 0, seal: Seal::Anthropic("sig".to_owned()) },
        EventKind::BlockStop { block: 0 },
        EventKind::Seal { block: 1, seal: Seal::AnthropicRedacted("dark".to_owned()) },
        EventKind::BlockStop { block: 1 },
    ]);
    assert_eq!(events_of(&blocks, "end_turn"), expected);
}

#[test]
fn a_call_whose_only_piece_is_empty_has_no_arguments() {
    let blocks = [
        block_start(0, &json!({"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}})),
        delta(0, &json!({"type": "input_json_delta", "partial_json": ""})),
        block_stop(0),
    ];
    let start = EventKind::ToolStart { block: 0, id: "toolu_1".to_owned(), name: "now".to_owned() };
    assert_eq!(events_of(&blocks, "tool_use"), first([start, EventKind::BlockStop { block: 0 }]));
}

#[test]
fn a_server_tool_is_one_raw_block_with_its_collected_input() {
    let blocks = [
        block_start(0, &json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}})),
        delta(0, &json!({"type": "input_json_delta", "partial_json": "{\"query\":"})),
        delta(0, &json!({"type": "input_json_delta", "partial_json": "\"tides\"}"})),
        block_stop(0),
        block_start(1, &json!({"type": "compaction", "content": null})),
        delta(1, &json!({"type": "compaction_delta", "content": "short"})),
        block_stop(1),
    ];
    let tool = json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "tides"}});
    let compaction = json!({"type": "compaction", "content": "short"});
    assert_eq!(events_of(&blocks, "end_turn"), first([raw(tool), raw(compaction)]));
}

#[test]
fn a_call_by_another_caller_keeps_it() {
    let call =
        json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}, "caller": {"type": "code_1"}});
    let body = json!({"id": "msg_1", "content": [call], "stop_reason": "tool_use", "usage": {"input_tokens": 1}});
    let events = Anthropic.read_answer(body, &mut ids()).unwrap();
    let again = Anthropic.write_answer(events, &super::stamp(), &mut crate::dialect::loss::Losses::default());
    assert_eq!(again["content"][0], call);
}

#[test]
fn unknown_events_and_deltas_are_raw() {
    let unknown = json!({"type": "weather_report", "wind": 7});
    let strange = delta(0, &json!({"type": "wave_delta", "height": 2}));
    let blocks =
        [unknown.clone(), block_start(0, &json!({"type": "text", "text": ""})), strange.clone(), block_stop(0)];
    let expected = first([raw(unknown), raw(strange), text(0, ""), EventKind::BlockStop { block: 0 }]);
    assert_eq!(events_of(&blocks, "end_turn"), expected);
}

#[test]
fn a_delta_of_a_block_that_never_began_begins_it() {
    let blocks =
        [delta(0, &json!({"type": "text_delta", "text": "a"})), delta(0, &json!({"type": "text_delta", "text": "b"}))];
    let expected = first([text(0, "a"), text(0, "b"), EventKind::BlockStop { block: 0 }]);
    assert_eq!(events_of(&blocks, "end_turn"), expected);
}

#[test]
fn a_stream_that_is_cut_fails_once() {
    let events = read(&sse(&[message_start()]));
    assert_eq!(failure(&events).code.as_deref(), Some("stream_cut"));
    assert_eq!(failure(&read("")).kind, FailureKind::Server);
}

#[test]
fn a_stream_that_is_cut_after_its_reason_is_whole() {
    let [delta, _] = end("end_turn");
    assert_eq!(read(&sse(&[message_start(), delta])).last().unwrap().kind, EventKind::End);
}

#[test]
fn errors_after_a_good_status_are_failures_in_every_shape() {
    let start = sse(&[message_start()]);
    let cases = [
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            FailureKind::Overloaded,
        ),
        ("data: {\"error\":{\"code\":429,\"message\":\"slow down\"},\"choices\":[]}\n\n", FailureKind::RateLimit),
        ("event: error\ndata: {\"message\":\"no\",\"status\":403}\n\n", FailureKind::Permission),
        ("event: error\ndata: out of order\n\n", FailureKind::Server),
        ("error: {\"code\":503,\"message\":\"loading\"}\n\n", FailureKind::Overloaded),
        (
            "data: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 9\"}}\n\n",
            FailureKind::ContextLength,
        ),
    ];
    for (wire, kind) in cases {
        let more = sse(&end("end_turn"));
        let events = read(&format!("{start}{wire}{more}"));
        assert_eq!(failure(&events).kind, kind, "{wire}");
    }
}

#[test]
fn broken_json_is_garbage_and_nothing_follows() {
    let events = read(&format!("{}data: {{\"type\":\n\n{}", sse(&[message_start()]), sse(&end("end_turn"))));
    assert_eq!(failure(&events).code.as_deref(), Some("garbage"));
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let whole = sse(&[
        message_start(),
        block_start(0, &json!({"type": "text", "text": ""})),
        delta(0, &json!({"type": "text_delta", "text": "sea"})),
        block_stop(0),
        json!({"type": "message_delta", "delta": 5, "usage": []}),
        json!({"type": "content_block_start", "index": 0, "content_block": "x"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}}),
        delta(0, &json!({"type": "input_json_delta", "partial_json": "{}"})),
        block_stop(0),
    ]);
    let mut random = fastrand::Rng::with_seed(3);
    for round in 0..300 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..round % 4 {
            let place = random.usize(..bytes.len());
            bytes[place] = b"{}[]\":,x\n0"[random.usize(..10)];
        }
        let events = read(&String::from_utf8_lossy(&bytes));
        let last = &events.last().unwrap().kind;
        assert!(matches!(last, EventKind::End | EventKind::Failed(_)));
        let ends = events.iter().filter(|event| matches!(event.kind, EventKind::End | EventKind::Failed(_)));
        assert_eq!(ends.count(), 1);
    }
}

#[test]
fn a_whole_answer_says_what_its_stream_says() {
    let citation = json!({"type": "char_location", "cited_text": "low"});
    let stream = [
        message_start(),
        block_start(0, &json!({"type": "text", "text": "", "citations": []})),
        delta(0, &json!({"type": "citations_delta", "citation": citation})),
        delta(0, &json!({"type": "text_delta", "text": "ebb "})),
        delta(0, &json!({"type": "text_delta", "text": "tide"})),
        block_stop(0),
        block_start(1, &json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}})),
        delta(1, &json!({"type": "input_json_delta", "partial_json": "{\"a\": [1, "})),
        delta(1, &json!({"type": "input_json_delta", "partial_json": "2]}"})),
        block_stop(1),
    ];
    let stream = read(&sse(&stream.into_iter().chain(end("tool_use")).collect::<Vec<_>>()));
    let mut body = message_start()["message"].take();
    body["content"] = json!([
        {"type": "text", "text": "ebb tide", "citations": [citation]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, 2]}},
    ]);
    body["stop_reason"] = json!("tool_use");
    body["usage"]["output_tokens"] = json!(40);
    let whole = Anthropic.read_answer(body, &mut ids()).unwrap();
    assert_eq!(digest(&whole), digest(&stream));
}
