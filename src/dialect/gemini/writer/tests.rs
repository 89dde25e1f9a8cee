use serde_json::{Value, json};

use super::*;
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::gemini::tests::{stamp, written};
use crate::dialect::seal::Seal;

fn text(block: u32, text: &str) -> EventKind {
    EventKind::Text { block, text: text.to_owned() }
}

fn call(block: u32, name: &str) -> EventKind {
    EventKind::ToolStart { block, id: format!("id_{block}"), name: name.to_owned() }
}

fn args(block: u32, json: &str) -> EventKind {
    EventKind::ToolArgs { block, json: json.to_owned() }
}

fn seal(block: u32) -> EventKind {
    EventKind::Seal { block, seal: Seal::Gemini("s".to_owned()) }
}

fn stop(block: u32) -> EventKind {
    EventKind::BlockStop { block }
}

/// The chunks that events are written as.
fn chunks(kinds: Vec<EventKind>) -> Vec<Value> {
    let (text, _) = written(true, kinds.into_iter().map(Event::first).collect());
    serde_json::from_str(&text).expect("an array")
}

/// All parts of all chunks of the first candidate.
fn parts(kinds: Vec<EventKind>) -> Vec<Value> {
    let chunks = chunks(kinds);
    let parts = chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array());
    parts.flatten().cloned().collect()
}

#[test]
fn text_leaves_piece_by_piece_and_the_last_chunk_says_why_it_ended() {
    let usage = Usage { input: 3, output: 2, ..Usage::default() };
    let start = Start { id: Some("r".to_owned()), model: Some("m".to_owned()), ..Start::default() };
    let all = chunks(vec![
        EventKind::Start(start),
        text(0, "a"),
        EventKind::Ping,
        text(0, "b"),
        stop(0),
        EventKind::Stop(Stop::Length),
        EventKind::Usage(usage),
        EventKind::End,
        text(1, "late"),
        EventKind::End,
    ]);
    assert_eq!(all.len(), 3);
    let first = json!({
        "candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}, "index": 0}],
        "modelVersion": "m", "responseId": "r",
    });
    assert_eq!(all[0], first);
    assert_eq!(all[2]["candidates"], json!([{"finishReason": "MAX_TOKENS", "index": 0}]));
    assert_eq!(all[2]["usageMetadata"]["totalTokenCount"], 5);
}

#[test]
fn an_answer_without_a_start_takes_its_name_from_the_request() {
    let all = chunks(vec![text(0, "a"), EventKind::End]);
    assert_eq!(all[0]["modelVersion"], "asked");
    assert_eq!(all[0]["responseId"], all[1]["responseId"]);
    assert_eq!(all[1]["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn a_tool_call_without_arguments_has_empty_braces() {
    let made = parts(vec![call(0, "f"), args(0, ""), stop(0), EventKind::End]);
    assert_eq!(made, [json!({"functionCall": {"id": "id_0", "name": "f", "args": {}}})]);
}

#[test]
fn arguments_that_are_no_object_are_a_loss() {
    let events = [call(0, "f"), args(0, "[1"), stop(0), EventKind::End].map(Event::first).into();
    let (text, losses) = written(false, events);
    assert!(text.contains(r#""args":{"arguments":"[1"}"#), "{text}");
    assert_eq!(losses.iter().count(), 1);
}

#[test]
fn blocks_that_alternate_are_put_in_order() {
    let made = parts(vec![
        call(0, "f"),
        text(1, "x"),
        call(2, "g"),
        args(2, "{\"b\":"),
        args(0, "{\"a\":1}"),
        args(2, "2}"),
        stop(2),
        stop(0),
        text(1, "y"),
        EventKind::End,
    ]);
    let names: Vec<String> = made.iter().map(|part| part.to_string().chars().take(40).collect()).collect();
    assert!(names[0].contains("id_0") && names[3].contains("id_2"), "{names:?}");
    assert_eq!(made[1..3], [json!({"text": "x"}), json!({"text": "y"})]);
    assert_eq!(made[3]["functionCall"]["args"], json!({"b": 2}));
}

#[test]
fn a_seal_alone_goes_to_the_text_after_it_or_to_an_empty_one() {
    let made = parts(vec![seal(0), stop(0), text(1, "a"), text(1, "b"), EventKind::End]);
    assert_eq!(made, [json!({"text": "a", "thoughtSignature": "s"}), json!({"text": "b"})]);
    let made = parts(vec![text(0, "a"), stop(0), seal(1), stop(1), EventKind::Stop(Stop::End), EventKind::End]);
    assert_eq!(made[1], json!({"text": "", "thoughtSignature": "s"}));
}

#[test]
fn thoughts_and_calls_carry_their_seals() {
    let thought = EventKind::Reasoning { block: 0, text: "hm".to_owned() };
    let made = parts(vec![thought, seal(0), stop(0), call(1, "f"), seal(1), stop(1), EventKind::End]);
    assert_eq!(made[0], json!({"text": "hm", "thought": true}));
    assert_eq!(made[1], json!({"text": "", "thought": true, "thoughtSignature": "s"}));
    assert_eq!(made[2]["thoughtSignature"], "s");
}

#[test]
fn a_failure_is_the_last_chunk_and_the_array_is_closed() {
    let failure =
        Failure { status: 503, kind: FailureKind::Overloaded, message: "busy".to_owned(), code: None, param: None };
    for events in [vec![], vec![text(0, "a"), call(1, "f")]] {
        let mut events = events;
        events.extend([EventKind::Failed(failure.clone()), EventKind::End, text(0, "b")]);
        let all = chunks(events);
        let error = json!({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}});
        assert_eq!(all.last(), Some(&error));
        assert_eq!(all.iter().filter(|chunk| chunk.get("error").is_some()).count(), 1);
    }
}

#[test]
fn an_answer_of_nothing_is_whole_in_both_forms() {
    assert_eq!(chunks(vec![EventKind::End])[0]["candidates"][0]["finishReason"], "STOP");
    let (text, _) = written(false, vec![Event::first(EventKind::End)]);
    assert!(text.starts_with("data: {") && text.ends_with("}\n\n"), "{text}");
}

#[test]
fn several_answers_are_candidates_by_index() {
    let event = |choice, kind| Event { choice, kind };
    let events = vec![
        event(1, text(0, "b")),
        event(0, text(0, "a")),
        event(1, EventKind::Stop(Stop::Length)),
        event(0, EventKind::Stop(Stop::End)),
        event(0, EventKind::End),
    ];
    let body = Chunks::whole(events, &stamp(), &mut Losses::default());
    let seen = body["candidates"].as_array().unwrap().iter().map(|candidate| {
        (candidate["content"]["parts"][0]["text"].as_str().unwrap(), candidate["finishReason"].as_str().unwrap())
    });
    assert_eq!(seen.collect::<Vec<_>>(), [("a", "STOP"), ("b", "MAX_TOKENS")]);
}

#[test]
fn what_gemini_does_not_have_is_a_loss() {
    let start =
        Start { extra: [("system_fingerprint".to_owned(), json!("f"))].into_iter().collect(), ..Start::default() };
    let events = vec![
        EventKind::Start(start),
        EventKind::Refusal { block: 0, text: "no".to_owned() },
        EventKind::Citation { block: 0, value: json!({"url": "u"}) },
        EventKind::Seal { block: 1, seal: Seal::Anthropic("a".to_owned()) },
        EventKind::Raw { from: Dialect::OpenAiResponses, value: json!({"type": "web_search_call"}) },
        EventKind::Stop(Stop::Sequence(Some("x".to_owned()))),
        EventKind::End,
    ];
    let (_, losses) = written(false, events.into_iter().map(Event::first).collect());
    let paths: Vec<&str> = losses.iter().map(|loss| loss.path.as_str()).collect();
    let expected = [
        "answer.system_fingerprint",
        "refusal",
        "citations",
        "thinking.signature",
        "answer.web_search_call",
        "finish_reason",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a_blocked_prompt_has_no_candidate() {
    let feedback = json!({"blockReason": "SAFETY"});
    let start = Start {
        extra: [("promptFeedback".to_owned(), feedback)].into_iter().collect(),
        from: Some(Dialect::Gemini),
        ..Start::default()
    };
    let events = [EventKind::Start(start), EventKind::Stop(Stop::Filter), EventKind::End].map(Event::first);
    let body = Chunks::whole(events.into(), &stamp(), &mut Losses::default());
    assert_eq!((body.get("candidates"), &body["promptFeedback"]["blockReason"]), (None, &json!("SAFETY")));
}
