//! Whole answers.

use serde_json::json;

use super::{first, ids, pairs, stamp, text};
use crate::dialect::anthropic::Anthropic;
use crate::dialect::codec::Codec;
use crate::dialect::event::{EventKind, Start, Stop, Usage};
use crate::dialect::failure::FailureKind;
use crate::dialect::loss::{Losses, Verdict};

#[test]
fn an_answer_of_another_dialect_becomes_a_message() {
    let call = EventKind::ToolStart { block: 1, id: "call_1".to_owned(), name: "tide".to_owned() };
    let usage = Usage { input: 50, output: 9, cache_read: Some(30), reasoning: Some(4), ..Usage::default() };
    let kinds = [
        EventKind::Start(Start { id: Some("msg_1".to_owned()), model: Some("m".to_owned()), ..Start::default() }),
        text(0, "One "),
        text(0, "moment."),
        EventKind::BlockStop { block: 0 },
        call,
        EventKind::ToolArgs { block: 1, json: "{\"port\": \"Husum\"}".to_owned() },
        EventKind::BlockStop { block: 1 },
        EventKind::Stop(Stop::Tool),
        EventKind::Usage(usage),
        EventKind::End,
    ];
    let mut losses = Losses::default();
    let message = Anthropic.write_answer(first(kinds), &stamp(), &mut losses);
    assert!(losses.is_empty());
    let expected = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "text", "text": "One moment."},
            {"type": "tool_use", "id": "call_1", "name": "tide", "input": {"port": "Husum"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 20, "cache_read_input_tokens": 30, "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 4}},
    });
    assert_eq!(message, expected);
}

#[test]
fn arguments_that_are_no_object_are_kept_as_text() {
    let call = EventKind::ToolStart { block: 0, id: "c".to_owned(), name: "f".to_owned() };
    let args = EventKind::ToolArgs { block: 0, json: "{\"cut".to_owned() };
    let mut losses = Losses::default();
    let usage = EventKind::Usage(Usage::default());
    let message = Anthropic.write_answer(first([call, args, usage, EventKind::End]), &stamp(), &mut losses);
    assert_eq!(message["content"][0]["input"], json!({"_raw": "{\"cut"}));
    assert_eq!(pairs(&losses), [("content[0].input", Verdict::Approximated)]);
}

#[test]
fn an_error_with_a_good_status_is_a_failure_and_stays_one() {
    let error = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}});
    let events = Anthropic.read_answer(error.clone(), &mut ids()).unwrap();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert!(matches!(&event.kind, EventKind::Failed(failure) if failure.kind == FailureKind::RateLimit));
    assert_eq!(Anthropic.write_answer(events, &stamp(), &mut Losses::default()), error);
}

#[test]
fn an_answer_without_content_is_malformed() {
    let wrong = Anthropic.read_answer(json!({"id": "msg_1"}), &mut ids()).unwrap_err();
    assert_eq!(wrong.to_string(), "content: is required");
    assert!(Anthropic.read_answer(json!("text"), &mut ids()).is_err());
}

#[test]
fn details_of_the_end_come_back() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": "refusal", "stop_sequence": null, "stop_details": {"type": "refusal", "category": "x"},
        "container": {"id": "c_1"}, "context_management": {"applied_edits": []},
        "usage": {"input_tokens": 1, "output_tokens": 2, "server_tool_use": {"web_search_requests": 1},
            "output_tokens_details": {"thinking_tokens": 1, "spoken_tokens": 1}},
    });
    let events = Anthropic.read_answer(body.clone(), &mut ids()).unwrap();
    assert_eq!(Anthropic.write_answer(events, &stamp(), &mut Losses::default()), body);
}
