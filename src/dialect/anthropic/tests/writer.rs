//! Streams are grammatical whatever events come.

use serde_json::{Value, json};

use super::{first, pairs, read, sse, text, written};
use crate::dialect::Dialect;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::loss::Verdict;
use crate::dialect::seal::Seal;

fn start(id: &str) -> EventKind {
    EventKind::Start(Start { id: Some(id.to_owned()), model: Some("m-1".to_owned()), ..Start::default() })
}

fn call(block: u32, id: &str) -> EventKind {
    EventKind::ToolStart { block, id: id.to_owned(), name: "look_up".to_owned() }
}

fn args(block: u32, json: &str) -> EventKind {
    EventKind::ToolArgs { block, json: json.to_owned() }
}

fn usage(input: u64, output: u64) -> EventKind {
    EventKind::Usage(Usage { input, output, ..Usage::default() })
}

fn failure(kind: FailureKind, message: &str) -> EventKind {
    EventKind::Failed(Failure { status: 500, kind, message: message.to_owned(), code: None, param: None })
}

/// The types of events, with the index of those that have one.
fn grammar(data: &[Value]) -> Vec<String> {
    let name = |data: &Value| match data.get("index") {
        Some(index) => format!("{} {index}", data["type"].as_str().unwrap()),
        None => data["type"].as_str().unwrap().to_owned(),
    };
    data.iter().map(name).collect()
}

/// Asserts that the start is first and once, that blocks are numbered from 0 and never two open, and the end last.
fn assert_grammatical(data: &[Value]) {
    let (mut open, mut next, mut started, mut ended) = (None, 0, false, false);
    for event in data {
        assert!(!ended, "nothing follows the end");
        match event["type"].as_str().unwrap() {
            "message_start" => assert!(!std::mem::replace(&mut started, true)),
            "content_block_start" => {
                assert!(started && open.is_none());
                assert_eq!(event["index"], next);
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => assert_eq!(event["index"], open.unwrap()),
            "content_block_stop" => assert_eq!(event["index"], open.take().unwrap()),
            "message_delta" => assert!(started && open.is_none()),
            "message_stop" | "error" => {
                assert!(open.is_none());
                ended = true;
            }
            "ping" => {}
            other => panic!("{other}"),
        }
    }
    assert!(ended);
}

#[test]
fn a_plain_answer_has_all_six_kinds_of_events() {
    let kinds = [start("msg_1"), usage(7, 1), text(0, "Moin"), EventKind::BlockStop { block: 0 }, usage(7, 3)];
    let (data, losses) = written(first(kinds.into_iter().chain([EventKind::Stop(Stop::End), EventKind::End])));
    assert!(losses.is_empty());
    let names =
        "message_start,content_block_start 0,content_block_delta 0,content_block_stop 0,message_delta,message_stop";
    assert_eq!(grammar(&data).join(","), names);
    assert_eq!(data[0]["message"]["usage"]["input_tokens"], 7);
    assert_eq!(data[4]["usage"]["output_tokens"], 3);
    assert_eq!(data[4]["delta"], json!({"stop_reason": "end_turn", "stop_sequence": null}));
}

#[test]
fn usage_after_the_stop_stands_in_the_message_delta() {
    let kinds = [start("msg_1"), text(0, "a"), EventKind::Stop(Stop::Length), usage(5, 9), EventKind::End];
    let (data, _) = written(first(kinds));
    let delta = &data[data.len() - 2];
    assert_eq!(delta["usage"], json!({"input_tokens": 5, "output_tokens": 9}));
    assert_eq!(delta["delta"]["stop_reason"], "max_tokens");
}

#[test]
fn interleaved_blocks_wait_for_their_turn() {
    let kinds = [
        start("msg_1"),
        call(0, "a"),
        call(1, "b"),
        args(1, "{\"b\""),
        args(0, "{\"a\":"),
        args(1, ":2}"),
        EventKind::BlockStop { block: 1 },
        text(2, "late"),
        args(0, "1}"),
        EventKind::BlockStop { block: 0 },
        EventKind::Stop(Stop::Tool),
        usage(1, 1),
        EventKind::End,
    ];
    let (data, losses) = written(first(kinds));
    assert!(losses.is_empty());
    assert_grammatical(&data);
    let joined = |index: usize| -> String {
        let deltas = data.iter().filter(|data| data["type"] == "content_block_delta" && data["index"] == index);
        deltas.filter_map(|data| data["delta"]["partial_json"].as_str()).collect()
    };
    assert_eq!((joined(0).as_str(), joined(1).as_str()), ("{\"a\":1}", "{\"b\":2}"));
    assert_eq!(grammar(&data).iter().filter(|name| name.starts_with("content_block_start")).count(), 3);
}

#[test]
fn a_tool_call_without_arguments_has_empty_braces() {
    let (data, _) = written(first([start("msg_1"), call(0, "a"), args(0, ""), EventKind::End]));
    assert_grammatical(&data);
    assert_eq!(data[2]["delta"], json!({"type": "input_json_delta", "partial_json": "{}"}));
    assert_eq!(data[4]["delta"]["stop_reason"], "tool_use");
}

#[test]
fn a_start_is_made_where_none_came() {
    let (data, _) = written(first([text(0, "a"), start("late"), EventKind::End]));
    assert_grammatical(&data);
    assert_eq!(data[0]["message"]["model"], "asked-model");
    assert!(data[0]["message"]["id"].as_str().unwrap().starts_with("msg_"));
}

#[test]
fn any_order_of_any_events_is_grammatical() {
    let failed = || failure(FailureKind::Server, "broken");
    let pool: Vec<fn() -> EventKind> = vec![
        || start("msg_1"),
        || text(0, "a"),
        || text(1, ""),
        || EventKind::Reasoning { block: 1, text: "hm".to_owned() },
        || EventKind::Seal { block: 1, seal: Seal::Anthropic("s".to_owned()) },
        || EventKind::Seal { block: 2, seal: Seal::AnthropicRedacted("r".to_owned()) },
        || EventKind::Refusal { block: 0, text: "no".to_owned() },
        || call(2, ""),
        || args(2, "{}"),
        || EventKind::BlockStop { block: 0 },
        || EventKind::BlockStop { block: 2 },
        || EventKind::Raw { from: Dialect::Anthropic, value: json!({"type": "web_search_tool_result", "content": []}) },
        || EventKind::Stop(Stop::End),
        || EventKind::Ping,
        || usage(1, 2),
        || EventKind::End,
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..500 {
        let mut kinds: Vec<EventKind> = (0..random.usize(0..14)).map(|_| pool[random.usize(..pool.len())]()).collect();
        kinds.push(if round % 2 == 0 { failed() } else { EventKind::End });
        let (data, _) = written(first(kinds));
        assert_grammatical(&data);
    }
}

#[test]
fn a_failure_ends_the_stream_in_an_error_event() {
    let kinds = [start("msg_1"), text(0, "a"), failure(FailureKind::Overloaded, "busy"), EventKind::End];
    let (data, _) = written(first(kinds));
    assert_grammatical(&data);
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    assert_eq!(data.last().unwrap(), &error);
    assert!(!data.iter().any(|data| data["type"] == "message_stop"));
}

#[test]
fn a_context_that_is_too_long_is_said_in_the_words_that_clients_know() {
    let (data, _) = written(first([failure(FailureKind::ContextLength, "maximum context length is 8 tokens")]));
    let message = "prompt is too long: maximum context length is 8 tokens";
    assert_eq!(data[0]["error"]["message"], message);
}

#[test]
fn thoughts_of_another_maker_are_shown_with_an_invented_signature() {
    let thoughts = EventKind::Reasoning { block: 0, text: "hm".to_owned() };
    let seal = EventKind::Seal { block: 0, seal: Seal::Gemini("g".to_owned()) };
    let (data, losses) = written(first([start("x"), thoughts, seal, text(1, "a"), usage(1, 1), EventKind::End]));
    // The block of thoughts never ended, so the text came after it was closed at the end.
    assert_grammatical(&data);
    assert_eq!(data[1]["content_block"], json!({"type": "thinking", "thinking": "", "signature": ""}));
    let expected = [
        ("id", Verdict::Approximated),
        ("content[0].signature", Verdict::Dropped),
        ("content[0].signature", Verdict::Invented),
    ];
    assert_eq!(pairs(&losses), expected);
}

#[test]
fn only_the_first_answer_is_written() {
    let second = Event { choice: 1, kind: text(0, "second") };
    let mut events = first([start("msg_1"), text(0, "first"), usage(1, 1)]);
    events.push(second);
    events.extend(first([EventKind::End]));
    let (data, losses) = written(events);
    assert_eq!(pairs(&losses), [("choices[1]", Verdict::Dropped)]);
    assert!(!sse(&data).contains("second"));
}

#[test]
fn what_other_dialects_know_is_reported() {
    let mut extra = serde_json::Map::new();
    extra.insert("cost".to_owned(), json!(0.1));
    let usage =
        EventKind::Usage(Usage { input: 1, output: 1, extra, from: Some(Dialect::OpenAiChat), ..Usage::default() });
    let kinds = [
        start("msg_1"),
        text(0, "a"),
        EventKind::Citation { block: 0, value: json!({"type": "url_citation"}) },
        EventKind::Logprobs(json!({"content": []})),
        EventKind::Raw { from: Dialect::OpenAiResponses, value: json!({"type": "web_search_call"}) },
        usage,
        EventKind::Stop(Stop::Filter),
        EventKind::End,
    ];
    let (_, losses) = written(first(kinds));
    let expected = [
        ("content[0].citations", Verdict::Dropped),
        ("logprobs", Verdict::Dropped),
        ("answer.web_search_call", Verdict::Dropped),
        ("answer.usage", Verdict::Dropped),
        ("finish_reason", Verdict::Approximated),
    ];
    assert_eq!(pairs(&losses), expected);
}

#[test]
fn a_refusal_stops_for_that_reason() {
    let refusal = EventKind::Refusal { block: 0, text: "I will not.".to_owned() };
    let (data, _) = written(first([start("msg_1"), refusal, EventKind::Stop(Stop::End), EventKind::End]));
    assert_eq!(data[2]["delta"]["text"], "I will not.");
    assert_eq!(data[4]["delta"]["stop_reason"], "refusal");
}

#[test]
fn pings_pass_and_do_not_begin_the_message() {
    let (data, _) = written(first([EventKind::Ping, start("msg_1"), EventKind::Ping, EventKind::End]));
    assert_eq!(grammar(&data), ["ping", "message_start", "ping", "message_delta", "message_stop"]);
}

#[test]
fn a_reason_of_this_dialect_alone_comes_back() {
    let delta = json!({"stop_reason": "model_context_window_exceeded", "stop_sequence": null});
    let stream = sse(&[
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 1}}}),
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ]);
    let events = read(&stream);
    assert!(events.contains(&Event::first(EventKind::Stop(Stop::Length))));
    let (data, losses) = written(events);
    assert!(losses.is_empty());
    assert_eq!(data[1]["delta"], delta);
}
