//! Whole answers, read and written, and what errors mean.

use super::*;
use crate::dialect::Dialect;
use crate::dialect::failure::{Failure, FailureKind};

fn read(body: Value) -> Vec<EventKind> {
    OllamaChat.read_answer(body, &mut ids()).unwrap().into_iter().map(|event| event.kind).collect()
}

fn write(codec: &dyn Codec, kinds: Vec<EventKind>) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = codec.write_answer(kinds.into_iter().map(Event::first).collect(), &stamp(), &mut losses);
    (body, told(&losses))
}

fn failure(body: Value) -> Failure {
    match read(body).pop() {
        Some(EventKind::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_answer_comes_back() {
    let body = json!({
        "model": "m", "created_at": "2025-08-20T09:45:30Z",
        "message": {
            "role": "assistant", "content": "c", "thinking": "t",
            "images": ["AAAA"],
            "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"z": 1.0, "a": [2]}}}],
        },
        "logprobs": [{"token": "c", "logprob": -0.5}],
        "done": true, "done_reason": "length", "remote_host": "https://example.org",
        "total_duration": 5, "load_duration": 1, "prompt_eval_count": 7, "prompt_eval_duration": 2,
        "eval_count": 3, "eval_duration": 2,
    });
    let (back, losses) = write(&OllamaChat, read(body.clone()));
    assert_eq!(back, body);
    assert!(losses.is_empty());
    let body = json!({
        "model": "m", "created_at": "2025-08-20T09:45:30Z", "response": "r", "thinking": "t", "context": [1, 2],
        "done": true, "done_reason": "stop", "eval_count": 3,
    });
    let (back, losses) = write(&OllamaGenerate, read(body.clone()));
    assert_eq!(back, body);
    assert!(losses.is_empty());
}

#[test]
fn an_answer_that_calls_a_tool_stops_for_it() {
    let call = json!({"function": {"name": "f", "arguments": {}}});
    let kinds = read(json!({"message": {"content": "x", "tool_calls": [call]}, "done": true, "done_reason": "stop"}));
    let id = ids().next("call_");
    let expected = vec![
        EventKind::Start(Start::default()),
        text(0, "x"),
        EventKind::BlockStop { block: 0 },
        EventKind::ToolStart { block: 1, id, name: "f".to_owned() },
        args(1, "{}"),
        EventKind::BlockStop { block: 1 },
        EventKind::Stop(Stop::Tool),
        EventKind::End,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn ids_of_two_answers_differ() {
    let mut ids = ids();
    let body = json!({"message": {"tool_calls": [{"function": {"name": "f"}}]}, "done": true});
    let first = OllamaChat.read_answer(body.clone(), &mut ids).unwrap();
    assert_ne!(OllamaChat.read_answer(body, &mut ids).unwrap(), first);
}

#[test]
fn counts_are_kept_as_the_server_says_them() {
    let kinds = read(json!({"response": "", "done": true, "eval_count": 4, "load_duration": 9}));
    let mut used = Usage { output: 4, from: Some(Dialect::OllamaChat), ..Usage::default() };
    used.extra.insert("load_duration".to_owned(), 9.into());
    assert!(kinds.contains(&EventKind::Usage(used)), "a cached prompt has no count");
    assert!(!read(json!({"done": true})).iter().any(|kind| matches!(kind, EventKind::Usage(_))));
}

#[test]
fn a_model_that_was_loaded_says_so() {
    let kinds = read(json!({"model": "m", "response": "", "done": true, "done_reason": "load"}));
    assert!(kinds.contains(&EventKind::Stop(Stop::Other("load".to_owned()))));
    assert_eq!(reason(Stop::Other("load".to_owned())), "load");
}

#[test]
fn an_answer_must_be_an_object() {
    assert_eq!(OllamaChat.read_answer(json!([1]), &mut ids()).unwrap_err().path, "body");
}

#[test]
fn errors_mean_what_their_words_say() {
    let cases = [
        ("model 'x:latest' not found", FailureKind::NotFound, 404),
        ("the input length exceeds the context length", FailureKind::ContextLength, 400),
        ("unauthorized", FailureKind::Auth, 401),
        ("you have reached your weekly usage limit", FailureKind::Quota, 429),
        ("server busy, please try again", FailureKind::Overloaded, 503),
        ("model requires more system memory (9 GiB)", FailureKind::Overloaded, 503),
        ("\"m\" does not support thinking", FailureKind::Invalid, 400),
        ("llama runner process has terminated", FailureKind::Server, 500),
    ];
    for (message, kind, status) in cases {
        let failure = failure(json!({"error": message}));
        assert_eq!((failure.kind, failure.status), (kind, status), "{message}");
        assert_eq!(failure.message, message);
    }
}

#[test]
fn an_error_object_with_a_status_is_read_too() {
    let failure = failure(json!({"error": {"message": "slow down", "code": "x1"}, "status_code": 429}));
    assert_eq!((failure.kind, failure.status), (FailureKind::RateLimit, 429));
    assert_eq!((failure.message.as_str(), failure.code.as_deref()), ("slow down", Some("x1")));
}

#[test]
fn an_answer_without_a_start_has_the_stamp() {
    let (body, _) = write(&OllamaChat, vec![text(0, "a"), EventKind::End]);
    let expected = json!({
        "model": "asked", "created_at": "2023-11-14T22:13:20Z", "message": {"role": "assistant", "content": "a"},
        "done": true, "done_reason": "stop",
    });
    assert_eq!(body, expected);
}

#[test]
fn a_failed_answer_is_its_error() {
    let failed = EventKind::Failed(failure(json!({"error": "boom"})));
    assert_eq!(write(&OllamaChat, vec![text(0, "a"), failed]).0, json!({"error": "boom"}));
}

#[test]
fn what_ollama_cannot_say_of_an_answer_is_named() {
    let used = Usage { input: 3, output: 2, cache_read: Some(1), reasoning: Some(0), ..Usage::default() };
    let mut begin = Start::default();
    begin.extra.insert("system_fingerprint".to_owned(), "fp".into());
    let kinds = vec![
        EventKind::Start(begin),
        EventKind::Citation { block: 0, value: json!({}) },
        EventKind::Refusal { block: 1, text: "no".to_owned() },
        EventKind::Raw { from: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) },
        EventKind::Usage(used),
        EventKind::Stop(Stop::Filter),
        EventKind::End,
    ];
    let (body, losses) = write(&OllamaChat, kinds);
    assert_eq!(body["message"]["content"], "no");
    let lost = [
        "answer.system_fingerprint dropped",
        "content[0].citations dropped",
        "content[1].refusal approximated",
        "answer.server_tool_use dropped",
        "finish_reason approximated",
        "usage.cache_read dropped",
    ];
    assert_eq!(losses, lost);
}

#[test]
fn reasons_are_words_that_ollama_has() {
    assert_eq!(reason(Stop::Tool), "stop");
    assert_eq!(reason(Stop::Length), "length");
    assert_eq!(reason(Stop::Sequence(None)), "stop");
    assert_eq!(reason(Stop::Other("odd".to_owned())), "odd", "clients take any word");
}

#[test]
fn an_answer_of_another_dialect_is_refused() {
    let error = OllamaChat.read_answer(json!({"candidates": []}), &mut ids()).unwrap_err();
    assert_eq!(error.to_string(), "message: is required");
}
