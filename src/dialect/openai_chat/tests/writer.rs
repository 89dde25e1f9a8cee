//! Answers of other dialects on their way to chat clients.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::dialect::chat::Chat;
use crate::dialect::codec::{Codec, Stamp};
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::failure::{Failure, FailureKind};
use crate::dialect::id::Ids;
use crate::dialect::loss::Losses;
use crate::dialect::openai_chat::OpenAiChat;
use crate::dialect::seal::Seal;

fn client() -> Chat {
    Chat { origin: Some(Dialect::OpenAiChat), ..Chat::default() }
}

fn stamp(chat: Chat) -> Stamp {
    Stamp { model: "asked".to_owned(), created: 7, ids: Ids::new("x"), chat: Arc::new(chat) }
}

fn paths(losses: &Losses) -> Vec<String> {
    losses.iter().map(|loss| loss.path.clone()).collect()
}

/// Writes events as a stream: its chunks, with the end mark as a string, and what was lost.
fn stream(kinds: Vec<EventKind>, chat: Chat) -> (Vec<Value>, Vec<String>) {
    let mut writer = OpenAiChat::OPENAI.writer(stamp(chat));
    let mut losses = Losses::default();
    let events = kinds.into_iter().flat_map(|kind| writer.write(Event::first(kind), &mut losses)).collect::<Vec<_>>();
    let chunks = events.iter().map(|event| {
        serde_json::from_slice(event.data()).unwrap_or_else(|_| String::from_utf8_lossy(event.data()).into())
    });
    (chunks.collect(), paths(&losses))
}

fn whole(kinds: Vec<EventKind>, chat: Chat) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let events = kinds.into_iter().map(Event::first).collect();
    let body = OpenAiChat::OPENAI.write_answer(events, &stamp(chat), &mut losses);
    (body, paths(&losses))
}

fn tool(block: u32) -> EventKind {
    EventKind::ToolStart { block, id: format!("id{block}"), name: "f".to_owned() }
}

fn text(text: &str) -> EventKind {
    EventKind::Text { block: 0, text: text.to_owned() }
}

fn reasons(chunks: &[Value]) -> Vec<&Value> {
    chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).filter(|reason| !reason.is_null()).collect()
}

fn failure() -> EventKind {
    EventKind::Failed(Failure {
        status: 503,
        kind: FailureKind::Overloaded,
        message: "full".to_owned(),
        code: None,
        param: None,
    })
}

#[test]
fn the_first_chunk_names_the_role_even_without_a_start() {
    let (chunks, _) = stream(vec![text("hi"), EventKind::End], client());
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!((&chunks[0]["model"], &chunks[0]["created"]), (&json!("asked"), &json!(7)));
    assert!(chunks[0]["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"content": "hi"}));
    assert_eq!(reasons(&chunks), ["stop"]);
    assert_eq!(chunks.last().unwrap(), "[DONE]");
}

#[test]
fn a_tool_call_without_arguments_has_empty_braces() {
    let kinds = || vec![tool(0), EventKind::BlockStop { block: 0 }, EventKind::Stop(Stop::Tool), EventKind::End];
    let (chunks, _) = stream(kinds(), client());
    let arguments: String = chunks
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str())
        .collect();
    assert_eq!(arguments, "{}");
    let (body, _) = whole(kinds(), client());
    assert_eq!(body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(body["choices"][0]["message"]["content"], Value::Null);
}

#[test]
fn calls_are_numbered_by_themselves_and_arguments_kept_to_the_byte() {
    let args = |block, json: &str| EventKind::ToolArgs { block, json: json.to_owned() };
    let kinds = vec![text("x"), tool(1), tool(3), args(3, "{ \"a\":1.0 }"), args(1, "{}"), EventKind::End];
    let (chunks, losses) = stream(kinds, client());
    let indices: Vec<&Value> =
        chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/index")).collect();
    assert_eq!(indices, [0, 1, 1, 0]);
    assert_eq!(chunks[4]["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"], "{ \"a\":1.0 }");
    assert_eq!(reasons(&chunks), ["tool_calls"]);
    assert!(losses.is_empty());
}

#[test]
fn the_usage_chunk_comes_only_to_who_asked() {
    let usage = || EventKind::Usage(Usage { input: 2, output: 3, cache_read: Some(1), ..Usage::default() });
    let kinds = || vec![usage(), text("x"), EventKind::Stop(Stop::End), EventKind::End];
    let (chunks, _) = stream(kinds(), Chat { stream_usage: true, ..client() });
    let last = &chunks[chunks.len() - 2];
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["total_tokens"], 5);
    assert_eq!(last["usage"]["prompt_tokens_details"], json!({"cached_tokens": 1}));
    assert!(chunks[..chunks.len() - 2].iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    let (chunks, _) = stream(kinds(), client());
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[test]
fn a_failure_ends_the_stream_once() {
    let (chunks, _) = stream(vec![text("x"), failure(), text("y"), EventKind::End], client());
    assert_eq!(chunks.len(), 4);
    assert_eq!(chunks[2]["error"]["type"], "server_error");
    assert_eq!(chunks[3], "[DONE]");
    let (body, _) = whole(vec![text("x"), failure()], client());
    assert_eq!(body["error"]["message"], "full");
}

#[test]
fn what_other_makers_say_is_named_as_lost() {
    let kinds = vec![
        EventKind::Start(Start {
            extra: [("container".to_owned(), json!({"id": 1}))].into_iter().collect(),
            from: Some(Dialect::Anthropic),
            ..Start::default()
        }),
        EventKind::Reasoning { block: 0, text: "hm".to_owned() },
        EventKind::Seal { block: 0, seal: Seal::Anthropic("s".to_owned()) },
        EventKind::Citation { block: 1, value: json!({"type": "char_location"}) },
        EventKind::Raw { from: Dialect::Anthropic, value: json!({"type": "server_tool_use"}) },
        EventKind::Stop(Stop::Pause),
        EventKind::End,
    ];
    let expected =
        ["answer.container", "content[0].signature", "content[1].citations", "answer.server_tool_use", "stop_reason"];
    let (chunks, losses) = stream(kinds.clone(), client());
    assert_eq!(losses, expected);
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"reasoning_content": "hm"}));
    let (body, mut losses) = whole(kinds, client());
    losses.sort();
    let mut expected = expected;
    expected.sort_unstable();
    assert_eq!(losses, expected);
    assert_eq!(body.get("container"), None);
}

#[test]
fn citations_of_responses_get_the_shape_of_chat() {
    let value =
        json!({"type": "url_citation", "url": "https://x.test", "title": "t", "start_index": 0, "end_index": 1});
    let (body, losses) = whole(vec![text("x"), EventKind::Citation { block: 0, value }], client());
    assert_eq!(body["choices"][0]["message"]["annotations"][0]["url_citation"]["url"], "https://x.test");
    assert!(losses.is_empty());
}

#[test]
fn geminis_seal_of_a_call_travels_with_it() {
    let seal = EventKind::Seal { block: 0, seal: Seal::Gemini("s".to_owned()) };
    let kinds = vec![tool(0), seal, EventKind::End];
    let (chunks, losses) = stream(kinds.clone(), client());
    let place = "/choices/0/delta/tool_calls/0/extra_content/google/thought_signature";
    assert!(chunks.iter().any(|chunk| chunk.pointer(place) == Some(&json!("s"))), "{chunks:?}");
    assert!(losses.is_empty());
    let (body, _) = whole(kinds, client());
    let call = &body["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["extra_content"]["google"]["thought_signature"], "s");
}

#[test]
fn a_client_of_functions_gets_a_function_call() {
    let mut chat = client();
    chat.extra.insert("functions".to_owned(), Value::Null);
    let kinds = vec![tool(0), tool(1), EventKind::Stop(Stop::Tool), EventKind::End];
    let (chunks, losses) = stream(kinds.clone(), chat.clone());
    assert_eq!(chunks[1]["choices"][0]["delta"]["function_call"]["name"], "f");
    assert_eq!(reasons(&chunks), ["function_call"]);
    assert_eq!(losses, ["content[1]"]);
    let (body, _) = whole(kinds, chat);
    assert_eq!(body["choices"][0]["message"]["function_call"]["arguments"], "{}");
}

#[test]
fn a_refusal_ends_with_stop_and_a_wordless_one_is_held_back() {
    let refusal = EventKind::Refusal { block: 0, text: "no".to_owned() };
    let (chunks, _) = stream(vec![refusal, EventKind::Stop(Stop::Refusal), EventKind::End], client());
    assert_eq!(reasons(&chunks), ["stop"]);
    let (body, losses) = whole(vec![EventKind::Stop(Stop::Refusal)], client());
    assert_eq!(body["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(losses, ["stop_reason"]);
}

#[test]
fn several_answers_keep_apart() {
    let piece = |choice, text: &str| Event { choice, kind: EventKind::Text { block: 0, text: text.to_owned() } };
    let events = vec![piece(1, "b"), piece(0, "a"), piece(1, "c")];
    let body = OpenAiChat::OPENAI.write_answer(events, &stamp(client()), &mut Losses::default());
    let texts: Vec<&Value> =
        body["choices"].as_array().unwrap().iter().map(|choice| &choice["message"]["content"]).collect();
    assert_eq!(texts, ["a", "bc"]);
}

/// Any event, in no order that makes sense.
fn any(random: &mut fastrand::Rng) -> Event {
    let block = random.u32(0..4);
    let word = || "w".to_owned();
    let choice = random.u32(0..2);
    let kind = match random.u32(0..14) {
        0 => EventKind::Start(Start::default()),
        1 | 2 => EventKind::Text { block, text: word() },
        3 => EventKind::Reasoning { block, text: word() },
        4 => EventKind::Refusal { block, text: word() },
        5 => EventKind::Seal { block, seal: Seal::Gemini(word()) },
        6 => tool(block),
        7 => EventKind::ToolArgs { block, json: word() },
        8 => EventKind::BlockStop { block },
        9 => EventKind::Usage(Usage::default()),
        10 => EventKind::Raw {
            from: Dialect::OpenAiChat,
            value: json!({"choices": [{"index": choice, "delta": {"audio": {}}}]}),
        },
        11 => EventKind::Stop(Stop::Tool),
        12 => EventKind::Ping,
        _ => EventKind::Logprobs(json!({"content": []})),
    };
    Event { choice, kind }
}

#[test]
fn a_stream_is_grammatical_whatever_comes() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut writer = OpenAiChat::OPENAI.writer(stamp(client()));
        let mut losses = Losses::default();
        let mut events: Vec<Event> = (0..random.usize(0..20)).map(|_| any(&mut random)).collect();
        events.push(Event::first(EventKind::End));
        events.push(any(&mut random));
        let written: Vec<_> = events.into_iter().flat_map(|event| writer.write(event, &mut losses)).collect();
        let (done, chunks) = written.split_last().unwrap();
        assert_eq!(done.data().as_ref(), b"[DONE]", "seed {seed}");
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_slice(chunk.data()).unwrap()).collect();
        for index in 0..2 {
            let of = |chunk: &&Value| chunk["choices"][0]["index"] == index;
            let mine: Vec<&Value> = chunks.iter().filter(of).map(|chunk| &chunk["choices"][0]).collect();
            let Some(first) = mine.first() else { continue };
            assert_eq!(first["delta"]["role"], "assistant", "seed {seed}");
            let ends = mine.iter().filter(|choice| !choice["finish_reason"].is_null()).count();
            assert_eq!(ends, 1, "seed {seed}");
            assert!(!mine[mine.len() - 1]["finish_reason"].is_null(), "seed {seed}");
        }
    }
}

#[test]
fn which_text_stopped_an_answer_is_told_as_lost() {
    let stopped = |stop| vec![EventKind::Start(Start::default()), EventKind::Stop(stop), EventKind::End];
    let (_, losses) = stream(stopped(Stop::Sequence(Some("ebb".to_owned()))), client());
    assert_eq!(losses, ["stop_reason"]);
    let (body, losses) = whole(stopped(Stop::Sequence(None)), client());
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert!(losses.is_empty(), "{losses:?}");
}
