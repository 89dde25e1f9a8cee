//! Writing answers: grammatical whatever the order of what comes.

use serde_json::{Value, json};

use super::super::OpenAiResponses;
use super::super::tests::traffic::accumulates;
use super::super::tests::{stamp, write_stream};
use crate::dialect::chat::Chat;
use crate::dialect::codec::Codec;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

fn text(block: u32, text: &str) -> EventKind {
    EventKind::Text { block, text: text.to_owned() }
}

fn thought(block: u32, text: &str) -> EventKind {
    EventKind::Reasoning { block, text: text.to_owned() }
}

fn call(block: u32) -> EventKind {
    EventKind::ToolStart { block, id: format!("call_{block}"), name: "look".to_owned() }
}

fn args(block: u32, json: &str) -> EventKind {
    EventKind::ToolArgs { block, json: json.to_owned() }
}

fn stop(block: u32) -> EventKind {
    EventKind::BlockStop { block }
}

/// Writes a stream, checks its grammar and that the whole answer is the same, and gives the response object and the
/// paths of the losses.
fn written(kinds: Vec<EventKind>) -> (Value, Vec<String>) {
    let events: Vec<Event> = kinds.into_iter().map(Event::first).collect();
    let mut losses = Losses::default();
    let stream = write_stream(events.clone(), stamp(Chat::default()), &mut losses);
    accumulates(&stream);
    let whole = OpenAiResponses.write_answer(events, &stamp(Chat::default()), &mut losses);
    let response = stream.last().unwrap()["response"].clone();
    assert_eq!(response, whole);
    (response, losses.iter().map(|loss| loss.path.clone()).collect())
}

fn types(response: &Value) -> Vec<&str> {
    response["output"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect()
}

#[test]
fn blocks_that_alternate_are_items_side_by_side() {
    let (response, losses) = written(vec![
        thought(0, "hm"),
        text(1, "a"),
        call(2),
        args(2, "{\"x\""),
        text(1, "b"),
        thought(0, "!"),
        call(3),
        args(2, ":1}"),
        stop(1),
        text(4, "c"),
        EventKind::End,
    ]);
    assert_eq!(types(&response), ["reasoning", "message", "function_call", "function_call", "message"]);
    assert_eq!(response["output"][0]["summary"][0]["text"], "hm!");
    assert_eq!(response["output"][1]["content"][0]["text"], "ab");
    assert_eq!(response["output"][2]["arguments"], "{\"x\":1}");
    assert_eq!(response["status"], "completed");
    assert!(losses.is_empty());
}

#[test]
fn a_tool_call_without_arguments_has_empty_braces() {
    let (response, _) = written(vec![call(0), args(0, ""), stop(0), EventKind::Stop(Stop::Tool), EventKind::End]);
    let item = &response["output"][0];
    assert_eq!((&item["arguments"], &item["call_id"]), (&json!("{}"), &json!("call_0")));
}

#[test]
fn texts_one_after_another_are_parts_of_one_message() {
    let refusal = EventKind::Refusal { block: 2, text: "no".to_owned() };
    let (response, _) = written(vec![text(0, "a"), stop(0), text(1, "b"), stop(1), refusal, EventKind::End]);
    let content = &response["output"][0]["content"];
    assert_eq!(types(&response), ["message"]);
    assert_eq!((&content[1]["text"], &content[2]["refusal"]), (&json!("b"), &json!("no")));
}

#[test]
fn a_start_that_is_late_or_missing_is_made() {
    let start = EventKind::Start(Start { id: Some("late".to_owned()), ..Start::default() });
    let (response, _) = written(vec![EventKind::Ping, text(0, "a"), start, EventKind::End, text(0, "more")]);
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!((&response["model"], &response["created_at"]), (&json!("asked"), &json!(1_700_000_000)));
    assert_eq!(response["output"][0]["content"][0]["text"], "a");
}

#[test]
fn nothing_at_all_is_still_an_answer() {
    assert_eq!(written(vec![EventKind::End]).0["output"], json!([]));
}

#[test]
fn a_failure_ends_the_stream_and_says_so() {
    let failure =
        Failure { status: 429, kind: FailureKind::RateLimit, message: "slow".to_owned(), code: None, param: None };
    let failed = EventKind::Failed(failure);
    let (response, _) = written(vec![text(0, "a"), failed.clone(), failed.clone(), EventKind::End]);
    assert_eq!(response["status"], "failed");
    assert_eq!(response["error"], json!({"code": "rate_limit_exceeded", "message": "slow"}));
    assert_eq!(response["output"][0]["status"], "incomplete");
    assert_eq!(written(vec![failed]).0["status"], "failed");
}

#[test]
fn an_answer_that_was_cut_says_why() {
    let (response, _) = written(vec![text(0, "a"), stop(0), EventKind::Stop(Stop::Length), EventKind::End]);
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["output"][0]["status"], "incomplete");
}

#[test]
fn only_openais_seals_are_written() {
    let own = Seal::OpenAi { id: "rs_9".to_owned(), encrypted: Some("e".to_owned()) };
    let (response, losses) = written(vec![
        thought(0, "hm"),
        EventKind::Seal { block: 0, seal: own },
        stop(0),
        EventKind::Seal { block: 1, seal: Seal::AnthropicRedacted("x".to_owned()) },
        stop(1),
        EventKind::End,
    ]);
    let summary = json!([{"type": "summary_text", "text": "hm"}]);
    let item = json!({"id": "rs_9", "type": "reasoning", "summary": summary, "encrypted_content": "e"});
    assert_eq!(response["output"], json!([item]));
    assert_eq!(losses, ["content[1].signature"]);
}

#[test]
fn other_answers_are_a_loss() {
    let mut losses = Losses::default();
    let events =
        vec![Event { choice: 1, kind: text(0, "b") }, Event::first(text(0, "a")), Event::first(EventKind::End)];
    let whole = OpenAiResponses.write_answer(events, &stamp(Chat::default()), &mut losses);
    assert_eq!(whole["output"][0]["content"][0]["text"], "a");
    assert_eq!(losses.iter().count(), 1);
}

#[test]
fn citations_of_other_dialects_become_annotations_where_they_can() {
    let cite = |value: Value| EventKind::Citation { block: 0, value };
    let (response, losses) = written(vec![
        text(0, "a"),
        cite(json!({"type": "url_citation", "url_citation": {"url": "u", "start_index": 0, "end_index": 1}})),
        cite(json!({"type": "char_location", "cited_text": "x"})),
        cite(json!({"type": "web_search_result_location", "url": "v", "title": "w"})),
        EventKind::End,
    ]);
    let annotations = response["output"][0]["content"][0]["annotations"].as_array().unwrap();
    let urls: Vec<_> = annotations.iter().map(|annotation| annotation["url"].as_str().unwrap()).collect();
    assert_eq!(urls, ["u", "v"]);
    assert_eq!(losses.len(), 2);
}

#[test]
fn log_probabilities_stand_with_their_text_whichever_comes_first() {
    let odds = |token: &str| EventKind::Logprobs(json!({"content": [{"token": token}]}));
    let (response, _) = written(vec![odds("a"), text(0, "a"), text(0, "b"), odds("b"), EventKind::End]);
    assert_eq!(response["output"][0]["content"][0]["logprobs"], json!([{"token": "a"}, {"token": "b"}]));
}

#[test]
fn the_usage_that_comes_last_counts() {
    let usage = |output| EventKind::Usage(Usage { input: 3, output, cache_read: Some(2), ..Usage::default() });
    let (response, _) = written(vec![usage(1), text(0, "a"), EventKind::Stop(Stop::End), usage(4), EventKind::End]);
    assert_eq!(
        response["usage"],
        json!({
            "input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7,
        })
    );
}

#[test]
fn the_response_repeats_what_the_request_asked() {
    let body = json!({
        "model": "m", "instructions": "be kind", "input": "x", "temperature": 0.5, "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true}],
        "metadata": {"a": "b"},
    });
    let chat = OpenAiResponses.read_request("/v1/responses", body.clone()).unwrap();
    let whole = OpenAiResponses.write_answer(Vec::new(), &stamp(chat), &mut Losses::default());
    for name in ["instructions", "temperature", "tools", "metadata"] {
        assert_eq!(whole[name], body[name], "{name}");
    }
    assert_eq!(whole["reasoning"], json!({"effort": "low", "summary": null}));
    assert_eq!(whole["text"], json!({"format": {"type": "text"}}));
    assert_eq!((&whole["top_p"], &whole["error"]), (&json!(1.0), &Value::Null));
}

#[test]
fn a_citation_may_come_before_its_text() {
    let value = json!({"type": "url_citation", "url_citation": {"url": "https://tide.test/", "title": "Tides"}});
    let citation = EventKind::Citation { block: 0, value };
    let (response, losses) = written(vec![citation, text(0, "a"), stop(0), EventKind::Stop(Stop::End), EventKind::End]);
    assert_eq!(response["output"][0]["content"][0]["annotations"][0]["title"], "Tides");
    assert_eq!(response["output"][0]["content"][0]["text"], "a");
    assert!(losses.is_empty(), "{losses:?}");
}

#[test]
fn a_refusal_without_words_is_seen_by_the_reason() {
    let refused = |kind| written(vec![kind, stop(0), EventKind::Stop(Stop::Refusal), EventKind::End]);
    let (response, losses) = refused(text(0, "a"));
    assert_eq!(response["incomplete_details"], json!({"reason": "content_filter"}));
    assert_eq!(losses, ["stop_reason"]);
    let (response, losses) = refused(EventKind::Refusal { block: 0, text: "no".to_owned() });
    assert_eq!(response["status"], "completed");
    assert!(losses.is_empty(), "{losses:?}");
}
