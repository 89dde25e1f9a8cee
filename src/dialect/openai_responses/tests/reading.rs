//! Reading answers: the streams of servers that say less, more or something else than `OpenAI`.

use super::*;
use crate::dialect::Dialect;
use crate::dialect::event::{Start, Stop};
use crate::dialect::failure::FailureKind;

fn created() -> Value {
    json!({"type": "response.created", "response": {"id": "resp_1", "model": "m", "created_at": 5, "output": []}})
}

fn completed() -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}})
}

fn begun() -> EventKind {
    EventKind::Start(Start {
        id: Some("resp_1".to_owned()),
        model: Some("m".to_owned()),
        created: Some(5),
        from: Some(Dialect::OpenAiResponses),
        ..Start::default()
    })
}

fn raw(value: Value) -> EventKind {
    EventKind::Raw { from: Dialect::OpenAiResponses, value }
}

/// What a stream of these events between a beginning and an end says between its start and its end.
fn between(values: &[Value]) -> Vec<EventKind> {
    let all: Vec<Value> = [created()].into_iter().chain(values.iter().cloned()).chain([completed()]).collect();
    let mut said = joined(read_values(&all));
    assert_eq!(said.remove(0), begun());
    assert_eq!(said.pop(), Some(EventKind::End));
    said
}

fn args(json: &str) -> EventKind {
    EventKind::ToolArgs { block: 0, json: json.to_owned() }
}

fn call_added() -> Value {
    let item = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": ""});
    json!({"type": "response.output_item.added", "output_index": 0, "item": item})
}

fn tool_start() -> EventKind {
    EventKind::ToolStart { block: 0, id: "call_1".to_owned(), name: "look".to_owned() }
}

#[test]
fn arguments_that_only_their_done_event_says_are_said_once() {
    let done = json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"a\":1}"});
    let mut item = call_added();
    item["type"] = json!("response.output_item.done");
    item["item"]["arguments"] = json!("{\"a\":1}");
    let delta =
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"a\":1}", "x": 1});
    let said = vec![tool_start(), args("{\"a\":1}"), EventKind::BlockStop { block: 0 }, EventKind::Stop(Stop::Tool)];
    let streams = [
        vec![call_added(), done.clone(), item.clone()],
        vec![call_added(), done.clone()],
        vec![call_added(), item.clone()],
        vec![item.clone()],
        vec![call_added(), delta, done, item],
    ];
    for stream in streams {
        assert_eq!(between(&stream), said, "{stream:?}");
    }
}

#[test]
fn text_that_only_its_done_event_says_is_said_once() {
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi"});
    let done = json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "hi"});
    let item = json!({"type": "response.output_item.done", "output_index": 0, "item": {
        "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}],
    }});
    let said = vec![
        EventKind::Text { block: 0, text: "hi".to_owned() },
        EventKind::BlockStop { block: 0 },
        EventKind::Stop(Stop::End),
    ];
    for stream in [vec![delta.clone()], vec![delta, done.clone(), item.clone()], vec![done], vec![item]] {
        assert_eq!(between(&stream), said, "{stream:?}");
    }
}

#[test]
fn an_answer_that_only_the_last_event_says_is_read_from_it() {
    let response = json!({"id": "resp_1", "model": "m", "created_at": 5, "status": "completed", "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "hi"}]},
    ]});
    let said = joined(read_values(&[json!({"type": "response.completed", "response": response})]));
    assert_eq!(said.first(), Some(&begun()));
    assert!(said.contains(&EventKind::Text { block: 0, text: "hi".to_owned() }));
}

#[test]
fn parts_of_a_summary_are_paragraphs() {
    let kind = "response.reasoning_summary_text.delta";
    let delta = |part: u64, text: &str| json!({"type": kind, "summary_index": part, "delta": text});
    let said = between(&[delta(0, "one"), delta(0, " more"), delta(1, "two")]);
    assert_eq!(said.first(), Some(&EventKind::Reasoning { block: 0, text: "one more\n\ntwo".to_owned() }));
}

#[test]
fn annotations_that_were_not_streamed_are_read_with_their_part() {
    let annotation = |number: u64| json!({"type": "url_citation", "url": format!("https://example.com/{number}")});
    let place = json!({"output_index": 0, "content_index": 0});
    let event = |kind: &str, name: &str, value: Value| {
        let mut event = place.clone();
        event["type"] = json!(kind);
        event[name] = value;
        event
    };
    let part = json!({"type": "output_text", "text": "hi", "annotations": [annotation(0), annotation(1)]});
    let said = between(&[
        event("response.output_text.delta", "delta", json!("hi")),
        event("response.output_text.annotation.added", "annotation", annotation(0)),
        event("response.content_part.done", "part", part),
    ]);
    let cited: Vec<_> = said.iter().filter(|kind| matches!(kind, EventKind::Citation { .. })).collect();
    assert_eq!(cited.len(), 2);
    assert_eq!(cited[1], &EventKind::Citation { block: 0, value: annotation(1) });
}

#[test]
fn an_item_of_the_upstreams_own_is_passed_on_once_it_is_whole() {
    let item = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let said = between(&[
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}}),
        json!({"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.news", "what": 1}),
    ]);
    let news = json!({"type": "response.news", "what": 1});
    assert_eq!(said, [raw(item), raw(news), EventKind::Stop(Stop::End)]);
}

#[test]
fn a_stream_that_is_cut_is_a_failure() {
    let mut said = joined(read_values(&[created(), call_added()]));
    let Some(EventKind::Failed(failure)) = said.pop() else { panic!("{said:?}") };
    assert_eq!((failure.kind, failure.code.as_deref()), (FailureKind::Server, Some("stream_cut")));
    assert_eq!(said.pop(), Some(EventKind::BlockStop { block: 0 }));
    // Also where `[DONE]` follows nothing.
    let said = joined(read_stream("data: [DONE]\n\n", 100));
    assert!(matches!(said.as_slice(), [EventKind::Failed(_)]));
}

#[test]
fn bytes_that_are_no_json_are_a_failure_and_the_last_word() {
    let text = format!("data: {}\n\ndata: {{\"type\n\ndata: {}\n\n", created(), completed());
    let said = joined(read_stream(&text, text.len()));
    let [EventKind::Start(_), EventKind::Failed(failure)] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(failure.code.as_deref(), Some("garbage"));
}

#[test]
fn errors_inside_a_stream_fail_it_whatever_their_shape() {
    let shapes = [
        r#"data: {"type":"error","code":"rate_limit_exceeded","message":"slow","param":null}"#,
        r#"data: {"type":"error","error":{"type":"tokens","code":"rate_limit_exceeded","message":"slow"}}"#,
        "event: error\ndata: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}",
        r#"data: {"id":"x","error":{"code":429,"message":"slow"}}"#,
        r#"data: {"code":"rate_limit_exceeded","error":"slow"}"#,
        r#"error: {"code":429,"message":"slow"}"#,
        r#"data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"slow"}}}"#,
    ];
    for shape in shapes {
        let text = format!("data: {}\n\n{shape}\n\ndata: {}\n\n", created(), completed());
        let mut said = joined(read_stream(&text, text.len()));
        let Some(EventKind::Failed(failure)) = said.pop() else { panic!("{shape}: {said:?}") };
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::RateLimit, "slow"), "{shape}");
    }
}

#[test]
fn a_comment_is_a_sign_of_life() {
    assert_eq!(read_stream(": working\n\n", 100).first(), Some(&Event::first(EventKind::Ping)));
}

#[test]
fn nothing_that_a_server_may_send_upsets_the_reader() {
    let odd = [
        json!(null),
        json!([]),
        json!("x"),
        json!({"type": 5}),
        json!({"type": "response.created", "response": 7}),
        json!({"type": "response.output_text.delta", "delta": {"a": 1}, "output_index": -1}),
        json!({"type": "response.output_text.delta", "delta": "x", "output_index": null, "logprobs": 5}),
        json!({"type": "response.output_item.added", "item": null, "output_index": 9}),
        json!({"type": "response.output_item.done", "item": {"type": "message", "content": 5}, "output_index": 8}),
        json!({"type": "response.output_item.done", "item": {"type": "reasoning", "summary": [1]}, "output_index": 7}),
        json!({"type": "response.function_call_arguments.delta", "delta": "x", "output_index": 6}),
        json!({"type": "response.content_part.done", "part": {"type": "output_text"}, "output_index": 5}),
        json!({"type": "response.completed", "response": {"output": {}, "usage": 5, "incomplete_details": 5}}),
    ];
    let said = read_values(&odd);
    assert_eq!(said.iter().filter(|event| matches!(event.kind, EventKind::Start(_))).count(), 1);
    assert_eq!(said.last(), Some(&Event::first(EventKind::End)));
}

#[test]
fn why_an_answer_is_not_complete_is_told() {
    let cases = [
        (json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}), Stop::Length),
        (json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}), Stop::Filter),
        (json!({"status": "cancelled"}), Stop::Other("cancelled".to_owned())),
        (
            json!({"status": "completed", "output": [
                {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]},
            ]}),
            Stop::Refusal,
        ),
    ];
    for (mut body, stop) in cases {
        if body.get("output").is_none() {
            body["output"] = json!([]);
        }
        let said = joined(OpenAiResponses.read_answer(body.clone(), &mut ids()).unwrap());
        assert!(said.contains(&EventKind::Stop(stop)), "{body}");
    }
}

#[test]
fn an_error_that_came_as_an_answer_is_a_failure() {
    let body = json!({"error": {"code": "server_error", "message": "boom"}});
    let said = OpenAiResponses.read_answer(body, &mut ids()).unwrap();
    assert!(matches!(said.as_slice(), [Event { kind: EventKind::Failed(_), .. }]));
    assert!(OpenAiResponses.read_answer(json!({"id": "x"}), &mut ids()).is_err());
    assert!(OpenAiResponses.read_answer(json!([]), &mut ids()).is_err());
}
