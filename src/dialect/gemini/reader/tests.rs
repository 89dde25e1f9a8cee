use serde_json::{Value, json};

use super::*;
use crate::dialect::event::Stop;
use crate::dialect::failure::FailureKind;
use crate::dialect::gemini::tests::events_of;
use crate::stream::Wire;

fn whole(body: Value) -> Vec<EventKind> {
    let events = Answer::new(Ids::new("x")).whole(body, &mut Ids::new("x")).expect("an answer");
    events.into_iter().map(|event| event.kind).collect()
}

fn sse(chunks: &[&str]) -> Vec<EventKind> {
    let text = format!("data: {}\r\n\r\n", chunks.join("\r\n\r\ndata: "));
    events_of(Wire::Sse, &text, 3).into_iter().map(|event| event.kind).collect()
}

fn part(part: &Value, reason: &Value) -> Value {
    json!({"candidates": [{"content": {"parts": [part], "role": "model"}, "finishReason": reason}]})
}

#[test]
fn a_call_without_an_id_gets_one_and_makes_the_stop_one_for_tools() {
    let kinds = whole(part(&json!({"functionCall": {"name": "tide", "args": {"b": 1, "a": 2}}}), &json!("STOP")));
    let Some(EventKind::ToolStart { id, name, .. }) = kinds.get(1) else { panic!("{kinds:?}") };
    assert!(id.starts_with("call_") && name == "tide", "{id} {name}");
    assert_eq!(kinds[2], EventKind::ToolArgs { block: 0, json: "{\"b\":1,\"a\":2}".to_owned() });
    assert!(kinds.contains(&EventKind::Stop(Stop::Tool)));
}

#[test]
fn ids_of_an_answer_go_on_where_the_last_one_left() {
    let mut ids = Ids::new("x");
    let body = part(&json!({"functionCall": {"name": "tide"}}), &json!(1));
    let mut id = |body: Value| match &Answer::new(ids.clone()).whole(body, &mut ids).unwrap()[1].kind {
        EventKind::ToolStart { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    };
    assert_ne!(id(body.clone()), id(body));
}

#[test]
fn the_seal_of_a_text_stands_before_it_and_that_of_thoughts_with_them() {
    let seal = || Seal::Gemini("s".to_owned());
    let kinds = whole(part(&json!({"text": "a", "thoughtSignature": "s"}), &json!("STOP")));
    assert_eq!(kinds[1..3], [EventKind::Seal { block: 0, seal: seal() }, EventKind::BlockStop { block: 0 }]);
    assert_eq!(kinds[3], EventKind::Text { block: 1, text: "a".to_owned() });
    let kinds = whole(part(&json!({"text": "a", "thought": true, "thoughtSignature": "s"}), &json!("STOP")));
    assert_eq!(kinds[1], EventKind::Reasoning { block: 0, text: "a".to_owned() });
    assert_eq!(kinds[2], EventKind::Seal { block: 0, seal: seal() });
}

#[test]
fn a_blocked_prompt_is_held_back() {
    let kinds = whole(json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}));
    assert!(matches!(kinds[0], EventKind::Start(_)));
    assert_eq!(kinds[1], EventKind::Stop(Stop::Filter));
    assert!(matches!(&kinds[2], EventKind::Usage(usage) if usage.input == 4));
    assert_eq!(kinds[3], EventKind::End);
}

#[test]
fn a_body_that_is_no_answer_is_malformed() {
    for body in [json!({"text": "hello"}), json!("x"), json!([1])] {
        assert!(Answer::new(Ids::new("x")).whole(body, &mut Ids::new("x")).is_err());
    }
}

#[test]
fn only_the_last_usage_of_a_stream_is_told() {
    let kinds = sse(&[
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":9}}"#,
        r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":1}}"#,
    ]);
    let usages = kinds.iter().filter_map(|kind| match kind {
        EventKind::Usage(usage) => Some(usage.input),
        _ => None,
    });
    assert_eq!(usages.collect::<Vec<u64>>(), [5]);
    assert_eq!(kinds.last(), Some(&EventKind::End));
}

#[test]
fn a_stream_without_a_finish_reason_was_cut() {
    for chunks in [&[][..], &[r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#]] {
        let kinds = sse(chunks);
        let Some(EventKind::Failed(failure)) = kinds.last() else { panic!("{kinds:?}") };
        assert_eq!((failure.kind, failure.code.as_deref()), (FailureKind::Server, Some("stream_cut")));
        assert!(!kinds.contains(&EventKind::End));
    }
}

#[test]
fn the_usage_of_a_cut_stream_is_told_before_its_failure() {
    let kinds = sse(&[r#"{"candidates":[{}],"usageMetadata":{"promptTokenCount":9}}"#]);
    assert!(matches!(kinds[1..], [EventKind::Usage(_), EventKind::Failed(_)]), "{kinds:?}");
}

#[test]
fn errors_within_a_stream_are_failures_in_every_shape() {
    let texts = [
        "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\n",
        "event: error\ndata: {\"code\":503,\"message\":\"busy\"}\n\n",
        "event: error\ndata: \"UNAVAILABLE\"\n\n",
        "error: {\"message\":\"busy\"}\n\n",
        "data: [{\"error\":{\"code\":503,\"message\":\"busy\"}}]\n\n",
        "data: {broken\n\n",
    ];
    for text in texts {
        let more = format!("{text}data: {{\"candidates\":[{{\"finishReason\":\"STOP\"}}]}}\n\n");
        let events = events_of(Wire::Sse, &more, 4);
        assert_eq!(events.len(), 1, "{text}: {events:?}");
        let EventKind::Failed(failure) = &events[0].kind else { panic!("{text}: {events:?}") };
        assert_eq!(failure.code.as_deref() == Some("garbage"), text.contains("broken"));
    }
    let events = events_of(Wire::JsonArray, "[{\"error\":{\"code\":429,\"message\":\"m\"}}]", 2);
    assert!(matches!(&events[..], [Event { kind: EventKind::Failed(failure), .. }] if failure.status == 429));
}

#[test]
fn candidates_are_told_apart_by_index() {
    let events = events_of(
        Wire::Sse,
        "data: {\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"text\":\"b\"}]},\"finishReason\":\"STOP\"},\
         {\"content\":{\"parts\":[{\"text\":\"a\"}]},\"index\":0,\"finishReason\":\"MAX_TOKENS\"}]}\n\n",
        9,
    );
    let stops = events.iter().filter_map(|event| match &event.kind {
        EventKind::Stop(stop) => Some((event.choice, stop.clone())),
        _ => None,
    });
    assert_eq!(stops.collect::<Vec<_>>(), [(1, Stop::End), (0, Stop::Length)]);
}

#[test]
fn what_is_not_known_is_raw_in_its_place() {
    let kinds = whole(json!({"candidates": [{"finishReason": "STOP", "avgLogprobs": -1, "content": {"parts": [
        {"text": "a"}, {"executableCode": {"code": "1"}}, {"text": "b"},
    ]}}]}));
    let code = json!({"candidates": [{"content": {"parts": [{"executableCode": {"code": "1"}}]}}]});
    assert_eq!(kinds[1], EventKind::Text { block: 0, text: "a".to_owned() });
    assert_eq!(kinds[2..4], [EventKind::BlockStop { block: 0 }, EventKind::Raw { from: Dialect::Gemini, value: code }]);
    assert_eq!(kinds[4], EventKind::Text { block: 1, text: "b".to_owned() });
    assert!(
        kinds.contains(&EventKind::Raw { from: Dialect::Gemini, value: json!({"candidates": [{"avgLogprobs": -1}]}) })
    );
}

#[test]
fn sources_are_a_citation_of_the_text() {
    let kinds = whole(json!({"candidates": [{
        "finishReason": "STOP", "content": {"parts": [{"text": "a"}]}, "groundingMetadata": {"webSearchQueries": ["q"]},
    }]}));
    let value = json!({"groundingMetadata": {"webSearchQueries": ["q"]}});
    assert_eq!(kinds[2], EventKind::Citation { block: 0, value });
}

#[test]
fn the_time_of_an_answer_is_read_and_kept() {
    let mut body = part(&json!({"text": "a"}), &json!("STOP"));
    body["createTime"] = json!("2025-01-01T00:00:00.25Z");
    let EventKind::Start(start) = whole(body).swap_remove(0) else { panic!("no start") };
    assert_eq!(start.created, Some(1_735_689_600));
    assert_eq!(start.extra["createTime"], "2025-01-01T00:00:00.25Z");
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let odd = [
        "null",
        "1",
        "[]",
        "{}",
        "\"x\"",
        "[DONE]",
        "{\"candidates\":{}}",
        "{\"candidates\":[null,1,{\"content\":[]}]}",
        "{\"candidates\":[{\"content\":{\"parts\":[null,1,\"x\",{},{\"functionCall\":3},{\"functionCall\":{\"name\":1}}]}}]}",
        "{\"candidates\":[{\"index\":-1,\"finishReason\":{}}],\"usageMetadata\":[],\"promptFeedback\":3}",
        "{\"candidates\":[{\"index\":99999999999,\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":18446744073709551615,\"toolUsePromptTokenCount\":18446744073709551615}}",
        "\u{0}",
        "{\"a\":",
    ];
    for text in odd {
        let kinds = sse(&[text]);
        assert!(matches!(kinds.last(), Some(EventKind::End | EventKind::Failed(_))), "{text}: {kinds:?}");
    }
}
