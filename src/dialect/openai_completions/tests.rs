//! Tests of the completions codec.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::dialect::Dialect;
use crate::dialect::chat::{Message, Part, Role};
use crate::dialect::event::{EventKind, Stop, Usage};
use crate::stream::{self, Wire};

fn stamp(chat: Chat) -> Stamp {
    Stamp { model: "asked".to_owned(), created: 7, ids: Ids::new("x"), chat: Arc::new(chat) }
}

fn write(chat: &Chat) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = OpenAiCompletions.write_request(chat, &mut losses).body;
    (body, losses.iter().map(ToString::to_string).collect())
}

#[test]
fn several_prompts_stay_as_they_came() {
    let body = json!({"model": "m", "prompt": ["a", "b"], "suffix": "z", "logprobs": 2});
    let chat = OpenAiCompletions.read_request("", body.clone()).unwrap();
    assert!(chat.messages.is_empty());
    let (written, losses) = write(&chat);
    assert_eq!(written, body);
    assert!(losses.is_empty());
}

#[test]
fn a_conversation_becomes_a_prompt_and_says_so() {
    let say = |role, text: &str| Message::new(role, vec![Part::plain(text)]);
    let messages = vec![say(Role::System, "be brief"), say(Role::User, "hi")];
    let (body, losses) = write(&Chat { messages, origin: Some(Dialect::Anthropic), ..Chat::default() });
    assert_eq!(body["prompt"], "System: be brief\n\nUser: hi\n\nAssistant:");
    assert_eq!(losses, ["messages approximated: a conversation became one prompt"]);
}

#[test]
fn log_probabilities_are_a_number_here() {
    let mut chat = Chat::default();
    chat.sampling.logprobs = Some(true);
    chat.sampling.top_logprobs = Some(3.into());
    let (body, _) = write(&chat);
    assert_eq!(body["logprobs"], 3);
    assert!(body.get("top_logprobs").is_none());
}

#[test]
fn bare_values_are_a_stream_that_any_piece_may_end() {
    let mut reader = OpenAiCompletions.reader(Ids::new("x"));
    let mut events = Vec::new();
    for piece in ["a", "b"] {
        let data = Bytes::from(json!({"value": piece}).to_string());
        events.extend(reader.read(&stream::Event::new(Wire::Sse, None, data)));
    }
    events.extend(reader.finish());
    let text: String = events
        .iter()
        .filter_map(|event| if let EventKind::Text { text, .. } = &event.kind { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(text, "ab");
    assert_eq!(events.last().unwrap().kind, EventKind::End);
}

#[test]
fn an_answer_of_calls_and_thoughts_loses_them_by_name() {
    let kinds = [
        EventKind::Reasoning { block: 0, text: "hm".to_owned() },
        EventKind::Text { block: 1, text: "x".to_owned() },
        EventKind::ToolStart { block: 2, id: "i".to_owned(), name: "f".to_owned() },
        EventKind::Usage(Usage { input: 1, output: 2, ..Usage::default() }),
        EventKind::Stop(Stop::Tool),
        EventKind::End,
    ];
    let mut losses = Losses::default();
    let events: Vec<Event> = kinds.into_iter().map(Event::first).collect();
    let body = OpenAiCompletions.write_answer(events.clone(), &stamp(Chat::default()), &mut losses);
    assert_eq!(body["choices"][0]["text"], "x");
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert_eq!(body["usage"]["total_tokens"], 3);
    let paths: Vec<&str> = losses.iter().map(|loss| loss.path.as_str()).collect();
    assert_eq!(paths, ["content[0]", "content[2]", "stop_reason"]);
    let chat = Chat { origin: Some(Dialect::OpenAiCompletions), ..Chat::default() };
    let mut writer = OpenAiCompletions.writer(stamp(chat));
    let written: Vec<stream::Event> =
        events.into_iter().flat_map(|event| writer.write(event, &mut Losses::default())).collect();
    assert_eq!(written.len(), 3);
    assert_eq!(written[2].data().as_ref(), b"[DONE]");
}
