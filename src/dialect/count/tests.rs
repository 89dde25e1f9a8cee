//! The estimate against words whose tokens are known, and against what makers counted.

use serde_json::{Value, json};

use super::{IMAGE, estimate, estimate_text};
use crate::dialect::chat::{Chat, Function, Media, Message, Part, Role, Source, Tool, ToolCall};

fn plain(text: &str) -> Chat {
    Chat { messages: vec![Message::new(Role::User, vec![Part::plain(text)])], ..Chat::default() }
}

#[test]
fn prose_is_about_four_bytes_a_token() {
    let prose = "The gate stands between the client and the model, and it counts what passes through. ".repeat(20);
    let tokens_of_100_bytes = estimate_text(&prose) * 100 / prose.len() as u64;
    assert!((18..29).contains(&tokens_of_100_bytes), "{tokens_of_100_bytes}");
}

#[test]
fn cjk_is_about_one_token_a_character() {
    assert_eq!(estimate_text("你好世界"), 4);
    assert_eq!(estimate_text("こんにちは"), 5);
}

#[test]
fn numbers_and_code_are_denser_than_prose() {
    let density = |text: &str| estimate_text(text) * 100 / text.len() as u64;
    let prose = density("a sentence of some simple words that anyone could read aloud");
    assert!(density("3141592653 5897932384 6264338327 9502884197") > prose);
    assert!(density("let x = {a: [1, 2], b: f(y)?.z()}; // ok") > prose);
}

#[test]
fn nothing_costs_nothing() {
    assert_eq!(estimate_text(""), 0);
    assert_eq!(estimate_text(" "), 0);
    assert_eq!(estimate_text("a"), 1);
}

#[test]
fn a_picture_costs_what_makers_say() {
    let mut media = Media::new(Source::Url("u".into()));
    let chat = |media: &Media| Chat {
        messages: vec![Message::new(Role::User, vec![Part::Image(media.clone())])],
        ..Chat::default()
    };
    assert!(estimate(&chat(&media)) >= IMAGE);
    media.detail = Some("low".into());
    assert!(estimate(&chat(&media)) < 100);
}

#[test]
fn tools_calls_and_more_words_cost_more() {
    let mut chat = plain("what is the weather");
    let words = estimate(&chat);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    chat.tools.push(Tool::Function(Function { name: "weather".into(), schema: Some(schema), ..Function::default() }));
    let with_tool = estimate(&chat);
    assert!(with_tool > words + 20);
    let call = ToolCall {
        id: "c".into(),
        name: "weather".into(),
        arguments: r#"{"city":"Bern"}"#.into(),
        seal: None,
        cache: None,
    };
    chat.messages.push(Message::new(Role::Assistant, vec![Part::ToolCall(call)]));
    assert!(estimate(&chat) > with_tool + 8);
}

/// Whatever of a recorded body is words, as a chat: enough for a count, in the words of three dialects at once.
fn read(body: &Value) -> Option<Chat> {
    let mut chat = Chat { model: body["model"].as_str()?.to_owned(), ..Chat::default() };
    let system = body.get("system").map(|system| json!({"role": "system", "content": system}));
    for message in system.iter().chain(body["messages"].as_array()?) {
        let mut parts = Vec::new();
        match &message["content"] {
            Value::String(text) => parts.push(Part::plain(text)),
            Value::Array(items) => parts.extend(items.iter().map(block)),
            _ => {}
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let arguments = &call["function"]["arguments"];
            let arguments = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
            let name = call["function"]["name"].as_str().unwrap_or_default().to_owned();
            parts.push(Part::ToolCall(ToolCall { id: String::new(), name, arguments, seal: None, cache: None }));
        }
        chat.messages.push(Message::new(Role::User, parts));
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        let function = tool.get("function").unwrap_or(tool);
        chat.tools.push(Tool::Function(Function {
            name: function["name"].as_str().unwrap_or_default().to_owned(),
            description: function["description"].as_str().map(str::to_owned),
            schema: function.get("parameters").or(function.get("input_schema")).cloned(),
            ..Function::default()
        }));
    }
    Some(chat)
}

fn block(item: &Value) -> Part {
    match item["type"].as_str() {
        Some("text") => Part::plain(item["text"].as_str().unwrap_or_default()),
        Some("image_url" | "image") => Part::Image(Media::new(Source::Url(String::new()))),
        _ => Part::Other(item.clone()),
    }
}

/// The tokens of the prompt that the maker counted, wherever it says so; the last time counts.
fn counted(answer: &str) -> Option<u64> {
    let number = |name: &str| {
        let at = answer.rfind(name)? + name.len();
        let rest = answer[at..].trim_start_matches([' ', ':']);
        rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse::<u64>().ok()
    };
    let anthropic = || {
        let cached = |name| number(name).unwrap_or(0);
        Some(
            number("\"input_tokens\"")?
                + cached("\"cache_read_input_tokens\"")
                + cached("\"cache_creation_input_tokens\""),
        )
    };
    number("\"prompt_tokens\"").or_else(|| number("\"prompt_eval_count\"")).or_else(anthropic)
}

#[test]
fn the_estimate_is_near_what_makers_counted() {
    let Ok(file) = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl"))
    else {
        eprintln!("skipped: no recorded traffic here");
        return;
    };
    let mut ratios = Vec::new();
    let chats = ["openai.chat", "anthropic.messages", "ollama.chat"];
    for line in file.lines().filter(|line| chats.iter().any(|api| line.contains(&format!("\"api\": \"{api}\"")))) {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let Some(chat) = read(&exchange["request"]["body_json"]) else { continue };
        let Some(counted) = exchange["response"]["body_text"].as_str().and_then(counted).filter(|n| *n > 0) else {
            continue;
        };
        ratios.push(estimate(&chat) * 100 / counted);
    }
    ratios.sort_unstable();
    let median = ratios[ratios.len() / 2];
    eprintln!("estimates: median {median} % of what was counted, in {} exchanges", ratios.len());
    assert!(ratios.len() > 150, "{}", ratios.len());
    assert!((60..=160).contains(&median), "{median} %");
}
