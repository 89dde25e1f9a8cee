//! Streams, read and written.

use super::*;
use crate::dialect::Dialect;
use crate::dialect::failure::{Failure, FailureKind};

fn read(lines: &str) -> Vec<EventKind> {
    let whole = events(OllamaChat.reader(ids()), lines, false);
    assert_eq!(events(OllamaChat.reader(ids()), lines, true), whole);
    whole.into_iter().map(|event| event.kind).collect()
}

fn code(kinds: &[EventKind]) -> Option<&str> {
    match kinds.last() {
        Some(EventKind::Failed(Failure { code, kind: FailureKind::Server, .. })) => code.as_deref(),
        _ => None,
    }
}

const DONE: &str = "{\"done\":true,\"done_reason\":\"stop\"}\n";

#[test]
fn a_stream_says_what_its_whole_answer_says() {
    let lines = [
        json!({"model": "m", "created_at": "2025-08-20T09:45:30Z", "message": {"thinking": "h"}, "done": false}),
        json!({"model": "m", "message": {"content": "", "thinking": "m"}, "done": false}),
        json!({"model": "m", "message": {"content": "o"}, "done": false}),
        json!({"model": "m", "message": {"content": "k"}, "done": false}),
        json!({"model": "m", "message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}}),
        json!({"model": "m", "message": {"content": ""}, "done": true, "done_reason": "stop", "eval_count": 5}),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    let whole = json!({
        "model": "m", "created_at": "2025-08-20T09:45:30Z", "done": true, "done_reason": "stop", "eval_count": 5,
        "message": {
            "thinking": "hm", "content": "ok",
            "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
        },
    });
    let streamed = events(OllamaChat.reader(ids()), &text, false);
    assert_eq!(joined(streamed), OllamaChat.read_answer(whole, &mut ids()).unwrap());
}

#[test]
fn a_cut_stream_failed() {
    assert_eq!(code(&read("")), Some("stream_cut"));
    assert_eq!(code(&read("{\"message\":{\"content\":\"a\"},\"done\":false}\n")), Some("stream_cut"));
}

#[test]
fn garbage_fails_and_ends_the_stream() {
    let kinds = read(&format!("{{\"message\":\n{DONE}"));
    assert_eq!(code(&kinds), Some("garbage"));
    assert_eq!(kinds.len(), 1);
    assert_eq!(code(&read("\u{0}\n")), Some("garbage"));
}

#[test]
fn a_line_of_another_kind_is_passed_on() {
    let kinds = read(&format!("[1]\n\n{DONE}{DONE}"));
    assert_eq!(kinds[..2], [EventKind::Start(Start::default()), raw(json!([1]))]);
    assert_eq!(kinds[2..], [EventKind::Stop(Stop::End), EventKind::End]);
}

#[test]
fn an_error_in_the_stream_fails_it() {
    let kinds = read(&format!("{{\"response\":\"a\"}}\n{{\"error\":\"model runner busy\"}}\n{DONE}"));
    assert!(matches!(&kinds[..], [EventKind::Start(_), EventKind::Text { .. }, EventKind::Failed(_)]), "{kinds:?}");
}

#[test]
fn fields_of_ollamas_own_are_told_once() {
    let line = "{\"message\":{\"content\":\"a\"},\"remote_host\":\"h\"}\n";
    let raws = read(&format!("{line}{line}{DONE}")).into_iter().filter(|kind| matches!(kind, EventKind::Raw { .. }));
    assert_eq!(raws.collect::<Vec<_>>(), [raw(json!({"remote_host": "h"}))]);
}

#[test]
fn words_of_any_kind_in_place_of_fields_do_no_harm() {
    let odd = ["1", "null", "\"x\"", "[]", "{}", "[{}]", "{\"function\":1}", "[{\"function\":{\"arguments\":\"x\"}}]"];
    let keys = ["model", "created_at", "message", "response", "tool_calls", "done", "done_reason", "eval_count"];
    for value in odd {
        for key in keys {
            read(&format!("{{\"{key}\":{value}}}\n{{\"message\":{{\"{key}\":{value}}}}}\n{DONE}"));
        }
    }
}

#[test]
fn text_is_written_as_it_comes_and_the_end_last() {
    let kinds = vec![
        start("up"),
        EventKind::Ping,
        EventKind::Reasoning { block: 0, text: "h".to_owned() },
        EventKind::BlockStop { block: 0 },
        text(1, "a"),
        text(1, ""),
        EventKind::BlockStop { block: 1 },
        EventKind::Stop(Stop::End),
        usage(9, 1),
        usage(3, 2),
        EventKind::End,
        EventKind::End,
    ];
    let (written, losses) = lines(&OllamaChat, kinds);
    let line = |message: Value| json!({"model": "up", "created_at": "2023-11-14T22:13:20Z", "message": message, "done": false});
    let mut last = line(json!({"role": "assistant", "content": ""}));
    last["done"] = true.into();
    last["done_reason"] = "stop".into();
    last["prompt_eval_count"] = 3.into();
    last["eval_count"] = 2.into();
    let expected = [
        line(json!({"role": "assistant", "content": "", "thinking": "h"})),
        line(json!({"role": "assistant", "content": "a"})),
        last,
    ];
    assert_eq!(written, expected);
    assert!(losses.is_empty());
}

#[test]
fn calls_are_written_whole_and_in_the_order_they_began() {
    let kinds = vec![
        tool(0, "a"),
        tool(1, "b"),
        args(1, "{\"y\""),
        args(0, "{\"x\":"),
        args(1, ":2}"),
        EventKind::BlockStop { block: 1 },
        text(2, "t"),
        args(0, "1}"),
        EventKind::BlockStop { block: 0 },
        tool(3, "c"),
        EventKind::Stop(Stop::Tool),
        EventKind::End,
    ];
    let (written, losses) = lines(&OllamaChat, kinds);
    let call = |index: u32, name: &str, id: &str, arguments: Value| json!([{"id": id, "function": {"index": index, "name": name, "arguments": arguments}}]);
    assert_eq!(written[0]["message"]["content"], "t");
    assert_eq!(written[1]["message"]["tool_calls"], call(0, "a", "id0", json!({"x": 1})));
    assert_eq!(written[2]["message"]["tool_calls"], call(1, "b", "id1", json!({"y": 2})));
    assert_eq!(written[3]["message"]["tool_calls"], call(2, "c", "id3", json!({})), "a call left open is written too");
    assert_eq!((&written[4]["done"], &written[4]["done_reason"]), (&json!(true), &json!("stop")));
    assert!(losses.is_empty());
}

#[test]
fn arguments_keep_the_order_of_their_keys() {
    let kinds = vec![tool(0, "a"), args(0, "{\"z\":1,\"a\":2}"), EventKind::BlockStop { block: 0 }];
    let mut writer = OllamaChat.writer(stamp());
    let mut losses = Losses::default();
    let written: Vec<_> = kinds.into_iter().flat_map(|kind| writer.write(Event::first(kind), &mut losses)).collect();
    assert!(std::str::from_utf8(written[0].data()).unwrap().contains(r#""arguments":{"z":1,"a":2}"#));
}

#[test]
fn a_failure_is_the_last_line() {
    let failed =
        Failure { status: 503, kind: FailureKind::Overloaded, message: "no room".to_owned(), code: None, param: None };
    let kinds = vec![text(0, "a"), EventKind::Failed(failed), text(0, "b"), EventKind::End];
    let (written, _) = lines(&OllamaChat, kinds);
    assert_eq!(written.len(), 2);
    assert_eq!(written[1], json!({"error": "no room"}));
}

fn raw(value: Value) -> EventKind {
    EventKind::Raw { from: Dialect::OllamaChat, value }
}

#[test]
fn a_generate_stream_has_responses_and_no_tools() {
    let kinds = vec![
        EventKind::Reasoning { block: 0, text: "h".to_owned() },
        text(1, "a"),
        tool(2, "f"),
        raw(json!({"context": [1]})),
        EventKind::End,
    ];
    let (written, losses) = lines(&OllamaGenerate, kinds);
    assert_eq!((&written[0]["response"], &written[0]["thinking"]), (&json!(""), &json!("h")));
    assert_eq!(written[1]["response"], "a");
    assert_eq!((&written[2]["response"], &written[2]["context"]), (&json!(""), &json!([1])));
    assert_eq!(losses, ["tool_calls[0] dropped"]);
}

#[test]
fn log_probabilities_stand_on_a_line_of_their_own() {
    let content = json!([{"token": "a", "logprob": -1}]);
    let (written, _) = lines(&OllamaChat, vec![EventKind::Logprobs(json!({"content": content})), EventKind::End]);
    assert_eq!(written[0]["logprobs"], content);
}

#[test]
fn only_the_first_of_several_answers_is_written() {
    let mut writer = OllamaChat.writer(stamp());
    let mut losses = Losses::default();
    let second = Event { choice: 1, kind: text(0, "b") };
    assert!(writer.write(second, &mut losses).is_empty());
    assert_eq!(told(&losses), ["choices[1] dropped"]);
}
