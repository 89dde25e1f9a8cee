//! What is kept of an answer.

use super::*;
use crate::dialect::event::Start;
use crate::stream::{self, Wire};

fn noted(kinds: Vec<EventKind>) -> Transcript {
    let mut transcript = Transcript::default();
    for kind in kinds {
        transcript.note(&Event::first(kind));
    }
    transcript
}

fn text(block: u32, text: &str) -> EventKind {
    EventKind::Text { block, text: text.to_owned() }
}

fn start(block: u32) -> EventKind {
    EventKind::ToolStart { block, id: format!("c{block}"), name: "f".to_owned() }
}

fn args(block: u32, json: &str) -> EventKind {
    EventKind::ToolArgs { block, json: json.to_owned() }
}

#[test]
fn pieces_that_follow_each_other_are_kept_as_one() {
    let many = (0..1000).map(|_| text(0, "ab")).collect();
    let transcript = noted(many);
    assert_eq!(transcript.events().len(), 1);
    assert_eq!(transcript.text().len(), 2000);
    assert!(transcript.size() < 2500, "{}", transcript.size());
    assert_eq!(transcript.open_text(), Some(0));
}

#[test]
fn a_call_is_open_until_its_arguments_are_json() {
    let open = |json: &str| noted(vec![start(0), args(0, json)]).said().tool_open;
    assert!(open("{\"a\": \"b"));
    assert!(!open("{\"a\": \"b\"}"));
    assert_eq!(noted(vec![text(0, "abc"), start(1)]).said().calls, 1);
}

#[test]
fn calls_that_wait_were_not_sent() {
    let kinds =
        || vec![text(0, "a"), start(1), args(1, "{}"), EventKind::BlockStop { block: 1 }, start(2), args(2, "{")];
    let calls = |client| noted(kinds()).without_unsent_calls(client).map(|sent| sent.calls().len());
    assert_eq!(calls(Dialect::OllamaChat), Some(1));
    assert_eq!(calls(Dialect::Gemini), Some(0), "the text before did not end");
    assert_eq!(calls(Dialect::Anthropic), None);
}

#[test]
fn usage_adds_up_over_attempts_and_is_estimated_where_nobody_told() {
    let mut transcript = noted(vec![text(0, &"x".repeat(400))]);
    let first = transcript.used(30);
    assert_eq!((first.input, first.output, first.estimated), (30, 100, true));
    transcript.hand_over(first);
    transcript.note(&Event::first(EventKind::Usage(Usage { input: 7, output: 5, ..Usage::default() })));
    let both = transcript.used(30);
    assert_eq!((both.input, both.output), (37, 105));
}

#[test]
fn what_only_its_own_dialect_knows_binds_an_answer() {
    let raw = |kind: &str| EventKind::Raw { from: Dialect::Anthropic, value: serde_json::json!({"type": kind}) };
    assert!(noted(vec![EventKind::Start(Start::default()), raw("message_delta")]).bound().is_none());
    assert!(noted(vec![raw("server_tool_use")]).bound().is_some());
}

#[test]
fn marks_are_taken_from_the_wire() {
    let event = |data: &str| stream::Event::new(Wire::Sse, None, bytes::Bytes::from(data.to_owned()));
    let mut marks = Marks::of(Dialect::Anthropic);
    marks.take(&event(r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use"}}"#));
    assert!(marks.bound().is_some());
    marks.take(&event(r#"{"type":"content_block_stop","index":0}"#));
    assert_eq!(marks, Marks::Blocks { next: 1, open: None });
    let mut marks = Marks::of(Dialect::OpenAiResponses);
    marks.take(&event(
        r#"{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_9","type":"message"},"sequence_number":4}"#,
    ));
    assert_eq!(marks.ids(), ["msg_9"]);
    assert!(marks.bound().is_none());
}
