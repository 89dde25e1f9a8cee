//! What the next upstream is asked.

use super::*;
use crate::dialect::chat::{Format, Thinking};

fn said(text: &str) -> Transcript {
    let mut transcript = Transcript::default();
    transcript.note(&Event::first(EventKind::Reasoning { block: 0, text: "secret thoughts".to_owned() }));
    transcript.note(&Event::first(EventKind::Text { block: 1, text: text.to_owned() }));
    transcript
}

/// The request that goes on after a text.
fn asked(dialect: Dialect, handing: Handing, text: &str) -> Value {
    let (_, target, body) = clients().into_iter().find(|(known, ..)| *known == dialect).unwrap();
    let mut chat = codec(dialect).read_request(target, body).unwrap();
    let mut losses = Losses::default();
    go_on(&mut chat, &said(text), handing, &mut losses);
    let mut outgoing = codec(dialect).write_request(&chat, &mut losses);
    mark(&mut outgoing, handing);
    outgoing.body
}

#[test]
fn a_server_that_goes_on_from_a_turn_is_handed_the_text_as_one() {
    let body = asked(Dialect::Anthropic, Handing::LastTurn, "The moon \n");
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "The moon"}));
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
    assert_eq!(body["max_tokens"], 998);
    let body = asked(Dialect::OpenAiChat, Handing::Prefix, "The moon");
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "The moon", "prefix": true}));
    let body = asked(Dialect::OpenAiChat, Handing::FinalMessage, "The moon");
    assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "The moon"}));
    assert_eq!((&body["add_generation_prompt"], &body["continue_final_message"]), (&json!(false), &json!(true)));
    let body = asked(Dialect::OpenAiCompletions, Handing::Prompt, "The moon");
    assert_eq!(body["prompt"], "hiThe moon");
}

#[test]
fn any_other_is_shown_the_text_and_told_to_go_on() {
    for (dialect, ..) in clients().into_iter().take(5) {
        let body = asked(dialect, Handing::Request, "The moon ");
        let turns = body.get("messages").or(body.get("input")).or(body.get("contents")).unwrap();
        let turns: Vec<String> = turns.as_array().unwrap().iter().map(Value::to_string).collect();
        assert_eq!(turns.len(), 3, "{turns:?}");
        assert!(turns[1].contains("The moon "), "{turns:?}");
        assert!(turns[2].contains("Go on from the exact character"), "{turns:?}");
        assert!(!body.to_string().contains("secret thoughts"), "{body}");
    }
}

#[test]
fn an_answer_that_said_nothing_is_asked_for_again() {
    let mut chat = Chat { format: Some(Format::Json), ..Chat::default() };
    let seam = go_on(&mut chat, &said(" "), Handing::Request, &mut Losses::default());
    assert_eq!((chat.messages.len(), chat.format.is_some()), (0, true));
    drop(seam);
}

#[test]
fn words_that_the_client_put_into_the_models_mouth_stay_one_turn() {
    let turns = vec![Message::new(Role::User, vec![]), Message::new(Role::Assistant, vec![Part::plain("The ")])];
    let mut chat = Chat { messages: turns, ..Chat::default() };
    go_on(&mut chat, &said("moon"), Handing::LastTurn, &mut Losses::default());
    assert_eq!(chat.messages.len(), 2);
    assert_eq!(chat.messages[1].text(), "The moon");
}

#[test]
fn the_limit_of_tokens_holds_for_both_answers_together() {
    let mut chat = Chat::default();
    chat.sampling.max_tokens = Some(100.into());
    let long = "x".repeat(200);
    go_on(&mut chat, &said(&long), Handing::Request, &mut Losses::default());
    assert_eq!(chat.sampling.max_tokens, Some(50.into()));
    chat.sampling.max_tokens = Some(100.into());
    chat.thinking = Some(Thinking { budget: Some(80), ..Thinking::default() });
    go_on(&mut chat, &said(&long), Handing::Request, &mut Losses::default());
    assert_eq!(chat.sampling.max_tokens, Some(100.into()), "a budget for thoughts must fit");
}

#[test]
fn an_enforced_form_is_not_asked_of_the_rest() {
    let mut chat = Chat { format: Some(Format::Json), ..Chat::default() };
    let mut losses = Losses::default();
    go_on(&mut chat, &said("{\"a\":"), Handing::Request, &mut losses);
    assert_eq!(chat.format, None);
    assert!(losses.to_string().contains("response_format"));
}
