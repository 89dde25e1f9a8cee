use serde_json::json;

use super::*;
use crate::dialect::failure::FailureKind;

/// An Anthropic answer as a stream.
const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"one \"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"two\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// Between an `OpenAI` chat client and an upstream of Anthropic's dialect.
fn interpreter(stream: bool) -> Interpreter {
    between(Dialect::OpenAiChat, Dialect::Anthropic, stream)
}

fn between(client: Dialect, upstream: Dialect, stream: bool) -> Interpreter {
    let chat = Chat { model: "asked".to_owned(), stream, stream_usage: true, ..Chat::default() };
    Interpreter::new(client, upstream, "/v1/chat/completions", Habits::OPENAI, chat, "exchange", 7).unwrap()
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The text of a chat's stream.
fn spoken(stream: &str) -> String {
    let chunks = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let chunks = chunks.map(|data| serde_json::from_str::<Value>(data).unwrap());
    chunks.filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}

/// A broken wire, as the gate tells of it.
fn broken() -> Failure {
    Failure::ours("reset", "the upstream broke off")
}

#[test]
fn a_whole_answer_becomes_the_stream_that_was_asked_for() {
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [{"type": "text", "text": "one two"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 5, "output_tokens": 2}});
    let mut interpreter = interpreter(true);
    let stream = text(&interpreter.whole(answer.to_string().as_bytes(), None).unwrap());
    assert_eq!((spoken(&stream).as_str(), stream.matches("[DONE]").count()), ("one two", 1), "{stream}");
    assert_eq!(interpreter.content_type(), "text/event-stream");
    assert_eq!(interpreter.told.usage.map(|usage| (usage.input, usage.output)), Some((5, 2)));
}

#[test]
fn a_stream_becomes_the_whole_answer_that_was_asked_for() {
    let mut interpreter = interpreter(false);
    let answer: Value =
        serde_json::from_slice(&interpreter.whole(ANTHROPIC.as_bytes(), Some(Wire::Sse)).unwrap()).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "one two");
    assert_eq!((&answer["model"], &answer["usage"]["prompt_tokens"]), (&json!("claude"), &json!(5)), "{answer}");
    assert_eq!(interpreter.content_type(), "application/json");
}

#[test]
fn a_stream_is_the_same_however_it_is_cut() {
    let through = |size: usize| {
        let mut interpreter = interpreter(true);
        interpreter.begin(Wire::Sse, None);
        let mut out = Vec::new();
        for piece in ANTHROPIC.as_bytes().chunks(size) {
            out.extend_from_slice(&interpreter.pass(Bytes::copy_from_slice(piece)).unwrap());
        }
        out.extend_from_slice(&interpreter.end());
        String::from_utf8(out).unwrap()
    };
    let whole = through(ANTHROPIC.len());
    assert_eq!(spoken(&whole), "one two");
    for size in 1..60 {
        assert_eq!(through(size), whole, "in pieces of {size}");
    }
}

#[test]
fn garbage_is_a_failure_of_the_upstream() {
    for body in ["", "hello", "<html>", "[]", "{}", "{\"content\":5}", "{\"type\":\"message\""] {
        let failure = interpreter(false).whole(body.as_bytes(), None).unwrap_err();
        assert_eq!((failure.kind, failure.status), (FailureKind::Server, 502), "{body:?}: {failure:?}");
        assert_eq!(failure.code.as_deref(), Some("garbage"), "{body:?}");
        let failure = interpreter(true).whole(body.as_bytes(), Some(Wire::Sse)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Server, "{body:?} as a stream: {failure:?}");
    }
}

#[test]
fn a_failure_hidden_in_a_good_answer_is_an_error() {
    let hidden = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let failure = interpreter(true).whole(hidden.as_bytes(), None).unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Overloaded, "Overloaded"));
    let stream = format!("event: error\ndata: {hidden}\n\n");
    let failure = interpreter(false).whole(stream.as_bytes(), Some(Wire::Sse)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Overloaded);
}

#[test]
fn a_stream_that_fails_within_is_told_once_and_is_over() {
    let mut interpreter = interpreter(true);
    interpreter.begin(Wire::Sse, None);
    let start = ANTHROPIC.split_inclusive("\n\n").take(3).collect::<String>();
    let failure =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"broke\"}}\n\n";
    let mut said = text(&interpreter.pass(Bytes::from(start + failure + failure)).unwrap());
    assert!(interpreter.over() && !interpreter.ended());
    said += &text(&interpreter.pass(Bytes::from(ANTHROPIC)).unwrap());
    said += &text(&interpreter.fail(broken()));
    said += &text(&interpreter.end());
    assert_eq!((said.matches("\"error\":").count(), said.matches("broke off").count()), (1, 0), "{said}");
    assert_eq!(interpreter.told.failure.as_ref().map(|failure| failure.message.as_str()), Some("broke"));
}

#[test]
fn a_stream_that_breaks_off_is_told_so_once() {
    let mut interpreter = interpreter(true);
    interpreter.begin(Wire::Sse, None);
    interpreter.pass(Bytes::from(ANTHROPIC.split_inclusive("\n\n").take(3).collect::<String>())).unwrap();
    let said = text(&interpreter.fail(broken()));
    assert!(said.contains("the upstream broke off"), "{said}");
    assert!(interpreter.fail(broken()).is_empty() && interpreter.end().is_empty() && interpreter.ended());
    assert!(!interpreter.over(), "the error still has to reach who asks next");
}

#[test]
fn a_stream_that_breaks_behind_its_last_word_is_whole() {
    for events in [6, 7] {
        let mut interpreter = between(Dialect::Gemini, Dialect::OpenAiChat, true);
        interpreter.begin(Wire::Sse, None);
        let chunk = |choice: &str| {
            format!("data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{choice}]}}\n\n")
        };
        let mut stream = chunk("{\"index\":0,\"delta\":{\"content\":\"hi\"}}")
            + &chunk("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}");
        if events == 7 {
            stream += "data: [DONE]\n\n";
        }
        let mut said = text(&interpreter.pass(Bytes::from(stream)).unwrap());
        said += &text(&interpreter.fail(broken()));
        assert!(said.contains("STOP") && !said.contains("broke off"), "{said}");
        assert!(interpreter.over());
    }
}

#[test]
fn a_stream_ends_exactly_once() {
    let mut interpreter = interpreter(true);
    interpreter.begin(Wire::Sse, None);
    assert!(!interpreter.ended());
    let mut said = text(&interpreter.pass(Bytes::from([ANTHROPIC, ANTHROPIC].concat())).unwrap());
    said += &text(&interpreter.end());
    assert!(interpreter.ended());
    said += &text(&interpreter.end());
    said += &text(&interpreter.pass(Bytes::from(ANTHROPIC)).unwrap());
    assert_eq!((said.matches("[DONE]").count(), spoken(&said).as_str()), (1, "one two"), "{said}");
}

#[test]
fn a_last_event_without_its_blank_line_is_heard() {
    let mut interpreter = interpreter(true);
    interpreter.begin(Wire::Sse, None);
    let mut said = text(&interpreter.pass(Bytes::from(ANTHROPIC.trim_end())).unwrap());
    said += &text(&interpreter.end());
    assert!(said.ends_with("data: [DONE]\n\n") && !said.contains("error"), "{said}");
}

#[test]
fn an_event_without_end_is_too_long() {
    let mut interpreter = interpreter(true);
    interpreter.begin(Wire::Sse, None);
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let passed = (0..=LONGEST_EVENT >> 20).try_for_each(|_| interpreter.pass(piece.clone()).map(drop));
    assert!(matches!(passed, Err(Unreadable::TooLong(TooLong { limit: LONGEST_EVENT }))), "{passed:?}");
    assert!(text(&interpreter.fail(broken())).contains("broke off"));
}

#[test]
fn what_only_the_upstream_s_dialect_knows_is_told_as_lost() {
    let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    let mut interpreter = between(Dialect::Anthropic, Dialect::OpenAiChat, false);
    interpreter.whole(answer.to_string().as_bytes(), None).unwrap();
    let losses: Vec<&str> = interpreter.told.losses.iter().map(|loss| loss.path.as_str()).collect();
    assert!(losses.contains(&"answer.system_fingerprint") && !losses.contains(&"answer.object"), "{losses:?}");
}

#[test]
fn what_is_no_chat_has_no_interpreter() {
    let chat = Chat::default();
    let made = Interpreter::new(Dialect::OpenAiEmbeddings, Dialect::Anthropic, "/", Habits::OPENAI, chat, "x", 0);
    assert!(made.is_none());
    let refused = Interpreter::read(Dialect::OpenAiModels, "/v1/models", b"{}").unwrap_err();
    assert_eq!(refused.what, "not a chat");
    let refused = Interpreter::read(Dialect::OpenAiChat, "/v1/chat/completions", b"{").unwrap_err();
    assert_eq!(refused.path, "body");
}

#[test]
fn an_upstream_s_refusal_has_the_client_s_shape() {
    let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let (status, body) = interpreter(false).refusal(529, body, "id-1");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, &body["error"]["message"], &body["error"]["request_id"]),
        (503, &json!("Overloaded"), &json!("id-1"))
    );
}

#[test]
fn a_failure_within_a_stream_shows_neither_key_nor_address() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\
                 \"key sk-ant-api03-AAAABBBBCCCCDDDDEEEEFFFF refused by 10.1.2.3:8443\"}}\n\n";
    let mut interpreter = interpreter(true);
    interpreter.begin(Wire::Sse, None);
    let said = text(&interpreter.pass(Bytes::from(error)).unwrap()) + &text(&interpreter.end());
    assert!(said.contains("refused by"), "{said}");
    assert!(!said.contains("BBBBCCCC") && !said.contains("10.1.2.3"), "{said}");
}
