//! Requests of other dialects are written within what Anthropic takes, and every change is reported.

use serde_json::{Map, Value, json};

use super::pairs;
use crate::dialect::Dialect;
use crate::dialect::anthropic::Anthropic;
use crate::dialect::chat::{
    Chat, Format, Function, Media, Message, Part, Reasoning, Role, Sampling, Source, Text, Thinking, ThinkingMode,
    Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::codec::Codec;
use crate::dialect::loss::Verdict::{Approximated, Dropped, Invented};
use crate::dialect::loss::{Losses, Verdict};
use crate::dialect::seal::Seal;

/// A request as it came from `OpenAI`'s chat dialect, with a limit so that none is invented.
fn chat(model: &str, messages: Vec<Message>) -> Chat {
    let sampling = Sampling { max_tokens: Some(100.into()), ..Sampling::default() };
    Chat { model: model.to_owned(), messages, sampling, origin: Some(Dialect::OpenAiChat), ..Chat::default() }
}

fn asks(model: &str) -> Chat {
    chat(model, vec![says(Role::User, "Moin")])
}

fn says(role: Role, text: &str) -> Message {
    Message::new(role, vec![Part::plain(text)])
}

fn call(id: &str, arguments: &str) -> Part {
    let (id, arguments) = (id.to_owned(), arguments.to_owned());
    Part::ToolCall(ToolCall { id, name: "tide".to_owned(), arguments, seal: None, cache: None })
}

fn result(id: &str, text: &str) -> Message {
    let parts = vec![Part::plain(text)];
    let result = ToolResult { id: id.to_owned(), name: None, parts, failed: false, cache: None };
    Message::new(Role::Tool, vec![Part::ToolResult(result)])
}

fn number(value: f64) -> Option<serde_json::Number> {
    serde_json::Number::from_f64(value)
}

/// Writes a request and asserts its losses.
fn write(chat: &Chat, expected: &[(&str, Verdict)]) -> Value {
    let mut losses = Losses::default();
    let out = Anthropic.write_request(chat, &mut losses);
    assert_eq!(pairs(&losses), expected);
    out.body
}

#[test]
fn a_limit_is_invented_where_none_is_given() {
    let mut chat = asks("claude-sonnet-4-5");
    chat.sampling.max_tokens = None;
    let body = write(&chat, &[("max_tokens", Invented)]);
    let messages = json!([{"role": "user", "content": "Moin"}]);
    assert_eq!(body, json!({"model": "claude-sonnet-4-5", "max_tokens": 4096, "messages": messages}));
}

#[test]
fn turns_alternate_and_results_come_first() {
    let messages = vec![
        says(Role::System, "Be short."),
        says(Role::User, "High tide?"),
        Message::new(Role::Assistant, vec![call("a", "{\"port\":\"Husum\"}"), call("b", "")]),
        says(Role::User, "Hurry."),
        result("a", "6:12"),
        result("b", ""),
        says(Role::Assistant, "At six."),
        says(Role::Assistant, "Or so."),
        says(Role::User, "Thanks"),
    ];
    let body = write(&chat("claude-sonnet-4-5", messages), &[]);
    assert_eq!(body["system"], "Be short.");
    let expected = json!([
        {"role": "user", "content": "High tide?"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "a", "name": "tide", "input": {"port": "Husum"}},
            {"type": "tool_use", "id": "b", "name": "tide", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "6:12"},
            {"type": "tool_result", "tool_use_id": "b"},
            {"type": "text", "text": "Hurry."},
        ]},
        {"role": "assistant", "content": [{"type": "text", "text": "At six."}, {"type": "text", "text": "Or so."}]},
        {"role": "user", "content": "Thanks"},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn late_instructions_join_the_system_field() {
    let messages = vec![says(Role::User, "a"), says(Role::Developer, "Be kind."), says(Role::Assistant, "b ")];
    let expected = [("messages[1]", Approximated), ("messages[2].content", Approximated)];
    let body = write(&chat("claude-sonnet-4-5", messages), &expected);
    assert_eq!(body["system"], "Be kind.");
    assert_eq!(body["messages"][1]["content"], "b");
}

#[test]
fn a_conversation_that_the_model_begins_gets_an_opening() {
    let body = write(&chat("claude-sonnet-4-5", vec![says(Role::Assistant, "Moin")]), &[("messages[0]", Invented)]);
    assert_eq!(body["messages"][0], json!({"role": "user", "content": "Continue."}));
}

#[test]
fn ids_of_calls_are_made_to_fit_the_same_in_call_and_result() {
    let assistant = Message::new(Role::Assistant, vec![call("functions.tide:0", "{}"), call("functions.tide.0", "{}")]);
    let messages = vec![says(Role::User, "a"), assistant, result("functions.tide:0", "x")];
    let expected = [
        ("messages[1].content[0].id", Approximated),
        ("messages[1].content[1].id", Approximated),
        ("messages[2].content[0].id", Approximated),
    ];
    let body = write(&chat("claude-sonnet-4-5", messages), &expected);
    let id = body["messages"][1]["content"][0]["id"].as_str().unwrap();
    assert!(id.starts_with("functions_tide_0_") && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], id);
    assert_ne!(body["messages"][1]["content"][1]["id"], id);
}

#[test]
fn arguments_that_are_no_object_stand_in_one() {
    let assistant = Message::new(Role::Assistant, vec![call("a", "[1]")]);
    let messages = vec![says(Role::User, "a"), assistant, result("a", "x")];
    let body = write(&chat("claude-sonnet-4-5", messages), &[("messages[1].content[0].arguments", Approximated)]);
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"_raw": "[1]"}));
}

#[test]
fn thoughts_of_other_makers_are_dropped_and_sealed_ones_kept() {
    let thoughts = |text: &str, seal| Part::Reasoning(Reasoning { text: text.to_owned(), seal });
    let assistant = Message::new(
        Role::Assistant,
        vec![
            thoughts("mine", Some(Seal::Anthropic("sig".to_owned()))),
            thoughts("open", None),
            thoughts("theirs", Some(Seal::Gemini("g".to_owned()))),
            Part::plain("b"),
        ],
    );
    let expected = [("messages[1].content[1]", Dropped), ("messages[1].content[2]", Dropped)];
    let messages = vec![says(Role::User, "a"), assistant, says(Role::User, "c")];
    let body = write(&chat("claude-sonnet-4-5", messages), &expected);
    let expected = json!([
        {"type": "thinking", "thinking": "mine", "signature": "sig"}, {"type": "text", "text": "b"},
    ]);
    assert_eq!(body["messages"][1]["content"], expected);
}

#[test]
fn an_effort_is_a_budget_for_older_models_and_raises_the_limit() {
    let mut chat = asks("claude-sonnet-4-5-20250929");
    chat.thinking = Some(Thinking { effort: Some("low".to_owned()), ..Thinking::default() });
    chat.sampling.temperature = number(0.5);
    chat.sampling.top_k = Some(5.into());
    chat.sampling.top_p = number(0.97);
    chat.tools = vec![Tool::Function(Function { name: "tide".to_owned(), ..Function::default() })];
    chat.tool_choice = Some(ToolChoice::Required);
    let expected = [
        ("reasoning_effort", Approximated),
        ("max_tokens", Approximated),
        ("tool_choice", Approximated),
        ("temperature", Dropped),
        ("top_k", Dropped),
    ];
    let body = write(&chat, &expected);
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 2048}));
    assert_eq!((&body["max_tokens"], &body["top_p"]), (&json!(2148), &json!(0.97)));
    assert_eq!(body["tool_choice"], json!({"type": "auto"}));
    assert_eq!(body["tools"][0]["input_schema"], json!({"type": "object", "properties": {}}));
}

#[test]
fn an_effort_stays_one_for_models_that_adapt() {
    let cases = [
        ("claude-opus-4-6", Some("high"), None, "high", vec![]),
        ("claude-opus-4-6", Some("xhigh"), None, "high", vec![("reasoning_effort", Approximated)]),
        ("claude-opus-4-7", Some("xhigh"), None, "xhigh", vec![]),
        ("claude-sonnet-5", Some("minimal"), None, "low", vec![("reasoning_effort", Approximated)]),
        ("claude-sonnet-5", None, Some(5000), "medium", vec![("reasoning_effort", Approximated)]),
    ];
    for (model, effort, budget, written, expected) in cases {
        let mut chat = asks(model);
        let effort = effort.map(str::to_owned);
        chat.thinking = Some(Thinking { effort, budget, show: Some("auto".to_owned()), ..Thinking::default() });
        let body = write(&chat, &expected);
        assert_eq!(body["output_config"], json!({"effort": written}), "{model}");
        assert_eq!(body["thinking"], json!({"type": "adaptive", "display": "summarized"}), "{model}");
    }
}

#[test]
fn no_thinking_is_no_thinking() {
    let off = Thinking { mode: ThinkingMode::Off, ..Thinking::default() };
    for thinking in [off, Thinking { effort: Some("none".to_owned()), ..Thinking::default() }] {
        let body = write(&Chat { thinking: Some(thinking), ..asks("claude-sonnet-4-5") }, &[]);
        assert_eq!(body["thinking"], json!({"type": "disabled"}));
    }
}

#[test]
fn a_tool_turn_of_another_maker_cannot_be_gone_on_with_in_thought() {
    let assistant = Message::new(Role::Assistant, vec![call("a", "{}")]);
    let mut chat = chat("claude-sonnet-4-5", vec![says(Role::User, "a"), assistant, result("a", "x")]);
    chat.thinking = Some(Thinking { budget: Some(2000), ..Thinking::default() });
    let body = write(&chat, &[("reasoning_effort", Dropped)]);
    assert_eq!((&body["thinking"], &body["max_tokens"]), (&Value::Null, &json!(100)));
}

#[test]
fn settings_beyond_the_range_are_brought_into_it() {
    let mut chat = asks("claude-sonnet-4-5");
    chat.sampling = Sampling {
        temperature: number(1.7),
        top_p: number(0.5),
        seed: Some(7.into()),
        frequency_penalty: number(0.0),
        presence_penalty: number(0.5),
        logprobs: Some(true),
        n: Some(2.into()),
        stop: vec!["\n".to_owned(), "END".to_owned()],
        ..chat.sampling
    };
    let expected = [
        ("temperature", Approximated),
        ("top_p", Dropped),
        ("stop", Dropped),
        ("seed", Dropped),
        ("presence_penalty", Dropped),
        ("logprobs", Dropped),
        ("n", Approximated),
    ];
    let body = write(&chat, &expected);
    assert_eq!((&body["temperature"], &body["stop_sequences"]), (&json!(1), &json!(["END"])));
    chat.model = "claude-opus-4-7".to_owned();
    chat.sampling = Sampling { max_tokens: Some(9.into()), temperature: number(0.2), ..Sampling::default() };
    assert_eq!(write(&chat, &[("temperature", Dropped)])["temperature"], Value::Null);
}

#[test]
fn losses_are_named_in_the_words_of_the_dialect_that_was_read() {
    let mut chat = asks("claude-sonnet-4-5");
    chat.sampling.seed = Some(7.into());
    chat.messages.push(Message::new(Role::User, vec![Part::Audio(Media::new(Source::File("f".to_owned())))]));
    chat.origin = Some(Dialect::Gemini);
    write(&chat, &[("contents[1].parts[0]", Dropped), ("generationConfig.seed", Dropped)]);
    chat.origin = Some(Dialect::OllamaChat);
    write(&chat, &[("messages[1].content[0]", Dropped), ("options.seed", Dropped)]);
}

#[test]
fn pictures_and_documents_are_written_where_they_can_be() {
    let data = |kind: &str, base64: &str| Source::Data { media_type: kind.to_owned(), base64: base64.to_owned() };
    let image = |source| Part::Image(Media::new(source));
    let document = |source| Part::Document(Media { title: Some("T".to_owned()), ..Media::new(source) });
    let parts = vec![
        image(Source::Url("data:image/png;base64,iVBORw".to_owned())),
        image(Source::Url("https://a.example/b.png".to_owned())),
        image(data("", "/9j/4AA")),
        image(Source::File("file-1".to_owned())),
        image(Source::Url("gs://bucket/x.png".to_owned())),
        document(data("application/pdf", "JVBE")),
        document(data("text/csv", "YTti")),
        document(data("application/zip", "UEsD")),
    ];
    let expected = [
        ("messages[0].content[2]", Invented),
        ("messages[0].content[3]", Dropped),
        ("messages[0].content[4]", Dropped),
        ("messages[0].content[7]", Dropped),
    ];
    let body = write(&chat("claude-sonnet-4-5", vec![Message::new(Role::User, parts)]), &expected);
    let expected = json!([
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw"}},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4AA"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}, "title": "T"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a;b"}, "title": "T"},
    ]);
    assert_eq!(body["messages"][0]["content"], expected);
}

#[test]
fn a_wish_for_json_is_an_instruction_and_a_schema_a_format() {
    let body = write(&Chat { format: Some(Format::Json), ..asks("claude-x") }, &[("response_format", Approximated)]);
    assert!(body["system"].as_str().unwrap().contains("JSON"));
    let schema = json!({"type": "object", "z": 1, "a": 2});
    let (name, strict) = (Some("answer".to_owned()), Some(true));
    let format = Some(Format::Schema { name, description: None, schema: schema.clone(), strict });
    let body = write(&Chat { format, ..asks("claude-x") }, &[("response_format.name", Dropped)]);
    assert_eq!(
        body["output_config"]["format"].to_string(),
        json!({"type": "json_schema", "schema": schema}).to_string()
    );
}

#[test]
fn only_allowed_tools_are_sent() {
    let tool = |name: &str| {
        let schema = Some(json!({"properties": {}}));
        Tool::Function(Function { name: name.to_owned(), schema, strict: Some(false), ..Function::default() })
    };
    let mut chat = asks("claude-x");
    chat.tools = vec![tool("a"), tool("b"), Tool::Server(json!({"type": "web_search"}))];
    chat.tool_choice = Some(ToolChoice::Allowed { names: vec!["b".to_owned()], required: true });
    chat.parallel_tools = Some(false);
    let body = write(&chat, &[("tools[2]", Dropped), ("tool_choice", Approximated)]);
    assert_eq!(body["tools"], json!([{"name": "b", "input_schema": {"type": "object", "properties": {}}}]));
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "b", "disable_parallel_tool_use": true}));
}

#[test]
fn everything_that_only_another_dialect_knows_is_reported() {
    let fields = |names: &[&str]| -> Map<String, Value> {
        names.iter().map(|name| ((*name).to_owned(), json!(1))).chain([("unset".to_owned(), Value::Null)]).collect()
    };
    let text = Text { text: "a".to_owned(), cache: Some(json!({"type": "ephemeral"})), citations: Some(json!([1])) };
    let parts = vec![Part::Text(text), Part::Other(json!({"type": "x"})), Part::plain("")];
    let user = Message { role: Role::User, parts, name: Some("Ole".to_owned()), extra: fields(&["audio"]) };
    let refusal = Message::new(Role::Assistant, vec![Part::Refusal("No.".to_owned())]);
    let mut chat = chat("claude-x", vec![user, refusal, says(Role::User, "c")]);
    chat.extra = fields(&["logit_bias"]);
    chat.user = Some("u".to_owned());
    let expected = [
        ("messages[0].content[0].annotations", Dropped),
        ("messages[0].content[1]", Dropped),
        ("messages[0].name", Dropped),
        ("messages[0].audio", Dropped),
        ("messages[1].content[0]", Approximated),
        ("logit_bias", Dropped),
    ];
    let body = write(&chat, &expected);
    let content = json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]);
    assert_eq!((&body["messages"][0]["content"], &body["metadata"]), (&content, &json!({"user_id": "u"})));
}
