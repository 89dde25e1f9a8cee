use super::*;
use crate::dialect::chat::ToolCall;

fn call(id: &str) -> Part {
    let (name, arguments) = ("look".to_owned(), "{}".to_owned());
    Part::ToolCall(ToolCall { id: id.to_owned(), name, arguments, seal: None, cache: None })
}

fn thought(text: &str, seal: &str) -> Part {
    Part::Reasoning(Reasoning { text: text.to_owned(), seal: Some(Seal::Anthropic(seal.to_owned())) })
}

fn answer(kinds: Vec<EventKind>) -> Answer {
    let mut answer = Answer::default();
    for kind in kinds {
        answer.note(&Event::first(kind));
    }
    answer
}

/// Thoughts, a call, thoughts again, another call.
fn thinking_between_calls() -> Answer {
    let seal = |text: &str| Seal::Anthropic(text.to_owned());
    answer(vec![
        EventKind::Reasoning { block: 0, text: "Fir".to_owned() },
        EventKind::Reasoning { block: 0, text: "st".to_owned() },
        EventKind::Seal { block: 0, seal: seal("s1") },
        EventKind::ToolStart { block: 1, id: "a".to_owned(), name: "look".to_owned() },
        EventKind::Seal { block: 2, seal: seal("s2") },
        EventKind::ToolStart { block: 3, id: "b".to_owned(), name: "look".to_owned() },
    ])
}

fn returned(parts: Vec<Part>) -> Chat {
    Chat { messages: vec![Message::new(Role::Assistant, parts)], ..Chat::default() }
}

#[test]
fn thoughts_return_to_their_places_when_the_calls_return() {
    let keep = Keep::new(1 << 20);
    keep.put("me", Dialect::OpenAiChat, thinking_between_calls());
    let mut chat = returned(vec![call("a"), call("b")]);
    keep.restore("me", Dialect::Anthropic, &mut chat);
    assert_eq!(chat.messages[0].parts, [thought("First", "s1"), call("a"), thought("", "s2"), call("b")]);
}

#[test]
fn what_the_client_made_of_the_thoughts_gives_way() {
    let keep = Keep::new(1 << 20);
    keep.put("me", Dialect::OpenAiChat, thinking_between_calls());
    let unsealed = Part::Reasoning(Reasoning { text: "First".to_owned(), seal: None });
    let mut chat = returned(vec![unsealed, call("a"), call("b")]);
    keep.restore("me", Dialect::Anthropic, &mut chat);
    assert_eq!(chat.messages[0].parts, [thought("First", "s1"), call("a"), thought("", "s2"), call("b")]);
}

#[test]
fn a_turn_of_text_is_found_by_its_text() {
    let keep = Keep::new(1 << 20);
    let told = answer(vec![
        EventKind::Reasoning { block: 0, text: "Hm".to_owned() },
        EventKind::Seal { block: 0, seal: Seal::Anthropic("s".to_owned()) },
        EventKind::Text { block: 1, text: "So it ".to_owned() },
        EventKind::Text { block: 1, text: "is".to_owned() },
    ]);
    keep.put("me", Dialect::OllamaChat, told);
    let mut other = returned(vec![Part::plain("So it is not")]);
    keep.restore("me", Dialect::Anthropic, &mut other);
    assert_eq!(other.messages[0].parts, [Part::plain("So it is not")]);
    let mut same = returned(vec![Part::plain("So it is")]);
    keep.restore("me", Dialect::Anthropic, &mut same);
    assert_eq!(same.messages[0].parts, [thought("Hm", "s"), Part::plain("So it is")]);
}

#[test]
fn nobody_else_and_no_other_maker_gets_them() {
    let keep = Keep::new(1 << 20);
    keep.put("me", Dialect::OpenAiChat, thinking_between_calls());
    for (holder, upstream) in [("you", Dialect::Anthropic), ("me", Dialect::Gemini)] {
        let mut chat = returned(vec![call("a"), call("b")]);
        keep.restore(holder, upstream, &mut chat);
        assert_eq!(chat.messages[0].parts, [call("a"), call("b")], "{holder} {upstream:?}");
    }
}

#[test]
fn what_the_client_carries_itself_is_not_kept() {
    let keep = Keep::new(1 << 20);
    keep.put("me", Dialect::Anthropic, thinking_between_calls());
    assert_eq!(keep.turns.len(), 0);
}

#[test]
fn seals_on_calls_return_to_their_calls() {
    let keep = Keep::new(1 << 20);
    let told = answer(vec![
        EventKind::ToolStart { block: 0, id: "a".to_owned(), name: "look".to_owned() },
        EventKind::Seal { block: 0, seal: Seal::Gemini("g".to_owned()) },
    ]);
    keep.put("me", Dialect::OpenAiChat, told);
    let mut chat = returned(vec![call("a")]);
    keep.restore("me", Dialect::Gemini, &mut chat);
    let Part::ToolCall(call) = &chat.messages[0].parts[0] else { panic!("the call is gone") };
    assert_eq!(call.seal, Some(Seal::Gemini("g".to_owned())));
}

#[test]
fn the_keep_holds_no_more_than_it_may() {
    let keep = Keep::new(256 * 1024);
    for turn in 0..1000 {
        let long = EventKind::Reasoning { block: 0, text: "x".repeat(4000) };
        let seal = EventKind::Seal { block: 0, seal: Seal::Anthropic("s".to_owned()) };
        let call = EventKind::ToolStart { block: 1, id: format!("call {turn}"), name: "look".to_owned() };
        keep.put("me", Dialect::OpenAiChat, answer(vec![long, seal, call]));
    }
    assert!(keep.turns.weight() <= 256 * 1024 && keep.turns.len() > 10);
}

#[test]
fn a_seal_that_the_upstream_does_not_take_gives_way_too() {
    let keep = Keep::new(1 << 20);
    keep.put("me", Dialect::OpenAiResponses, thinking_between_calls());
    let seal = Seal::OpenAi { id: "rs_1".to_owned(), encrypted: None };
    let shown = Part::Reasoning(Reasoning { text: "First".to_owned(), seal: Some(seal) });
    let mut chat = returned(vec![shown, call("a"), call("b")]);
    keep.restore("me", Dialect::Anthropic, &mut chat);
    assert_eq!(chat.messages[0].parts, [thought("First", "s1"), call("a"), thought("", "s2"), call("b")]);
}
