//! Requests of other dialects, written for Ollama: what becomes of what it has no room for.

use super::*;
use crate::dialect::Dialect;
use crate::dialect::chat::{
    Format, Function, Media, Message, Part, Reasoning, Role, Sampling, Source, Text, Thinking, ThinkingMode, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::seal::Seal;

fn chat(origin: Dialect) -> Chat {
    Chat { model: "llama3".to_owned(), origin: Some(origin), ..Chat::default() }
}

fn said(origin: Dialect, messages: Vec<Message>) -> Chat {
    Chat { messages, ..chat(origin) }
}

fn write(chat: &Chat) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let out = OllamaChat.write_request(chat, &mut losses);
    (out.body, told(&losses))
}

fn function(name: &str) -> Tool {
    Tool::Function(Function { name: name.to_owned(), ..Function::default() })
}

fn picture(source: Source) -> Part {
    Part::Image(Media::new(source))
}

fn data() -> Source {
    Source::Data { media_type: "image/png".to_owned(), base64: "AAAA".to_owned() }
}

#[test]
fn a_plain_request_loses_nothing() {
    let sampling = Sampling {
        max_tokens: Some(9.into()),
        top_k: Some(3.into()),
        stop: vec!["x".to_owned()],
        n: Some(1.into()),
        logprobs: Some(false),
        ..Sampling::default()
    };
    let messages = vec![
        Message::new(Role::Developer, vec![Part::plain("s")]),
        Message::new(Role::User, vec![Part::plain("a"), Part::plain("b")]),
    ];
    let mut chat = Chat { sampling, parallel_tools: Some(true), ..said(Dialect::OpenAiChat, messages) };
    chat.tool_choice = Some(ToolChoice::Auto);
    chat.extra.insert("store".to_owned(), false.into());
    chat.extra.insert("metadata".to_owned(), json!({}));
    let (body, losses) = write(&chat);
    assert_eq!(losses, Vec::<String>::new());
    let expected = json!({
        "model": "llama3", "stream": false,
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a\n\nb"}],
        "options": {"num_predict": 9, "top_k": 3, "stop": ["x"]},
    });
    assert_eq!(body, expected);
}

#[test]
fn settings_without_a_place_are_named() {
    let mut chat = chat(Dialect::OpenAiChat);
    chat.sampling.n = Some(2.into());
    chat.user = Some("u".to_owned());
    chat.parallel_tools = Some(false);
    chat.extra.insert("logit_bias".to_owned(), json!({"1": 2}));
    chat.extra.insert("options".to_owned(), json!({"num_ctx": 2}));
    chat.format = Some(Format::Other(json!({"type": "grammar"})));
    let (body, losses) = write(&chat);
    let lost = [
        "response_format.json_schema dropped",
        "n approximated",
        "user dropped",
        "parallel_tool_calls dropped",
        "logit_bias dropped",
        "options dropped",
    ];
    assert_eq!(losses, lost);
    assert_eq!(body.get("options"), None, "only Ollama's clients set Ollama's options");
}

#[test]
fn a_schema_is_written_without_its_label() {
    let schema = json!({"type": "object"});
    let format = |name: Option<&str>| Format::Schema {
        name: name.map(str::to_owned),
        description: None,
        schema: schema.clone(),
        strict: Some(true),
    };
    let (body, losses) = write(&Chat { format: Some(format(Some("x"))), ..chat(Dialect::OpenAiResponses) });
    assert_eq!((&body["format"], losses), (&schema, vec!["text.format.name dropped".to_owned()]));
    let (_, losses) = write(&Chat { format: Some(format(None)), ..chat(Dialect::Anthropic) });
    assert!(losses.is_empty());
}

#[test]
fn a_tool_choice_is_said_by_the_tools_that_are_offered() {
    let offered = |choice| {
        let tools = vec![function("a"), function("b")];
        let (body, losses) = write(&Chat { tools, tool_choice: Some(choice), ..chat(Dialect::Anthropic) });
        (body["tools"].as_array().map_or(0, Vec::len), losses)
    };
    assert_eq!(offered(ToolChoice::Auto), (2, vec![]));
    assert_eq!(offered(ToolChoice::None), (0, vec!["tool_choice approximated".to_owned()]));
    assert_eq!(offered(ToolChoice::Required), (2, vec!["tool_choice dropped".to_owned()]));
    let one = (1, vec!["tool_choice approximated".to_owned()]);
    assert_eq!(offered(ToolChoice::Function("b".to_owned())), one);
    assert_eq!(offered(ToolChoice::Allowed { names: vec!["a".to_owned()], required: false }), one);
}

#[test]
fn what_clings_to_a_tool_is_named() {
    let mut one = Function { name: "a".to_owned(), strict: Some(true), ..Function::default() };
    one.cache = Some(json!({"type": "ephemeral"}));
    one.extra.insert("defer_loading".to_owned(), true.into());
    let tools = vec![Tool::Server(json!({"type": "web_search"})), Tool::Function(one)];
    let (body, losses) = write(&Chat { tools, ..chat(Dialect::Anthropic) });
    let lost = ["tools[0] dropped", "tools[1].cache_control dropped", "tools[1].strict dropped"];
    assert_eq!(losses[..3], lost);
    assert_eq!(losses[3..], ["tools[1].defer_loading dropped"]);
    assert_eq!(body["tools"], json!([{"type": "function", "function": {"name": "a"}}]));
}

#[test]
fn thinking_is_a_level_only_for_models_that_take_levels() {
    let think = |model: &str, thinking: Thinking| {
        let chat = Chat { model: model.to_owned(), thinking: Some(thinking), ..chat(Dialect::OpenAiChat) };
        let (body, losses) = write(&chat);
        (body["think"].clone(), losses)
    };
    let effort = |effort: &str| Thinking { effort: Some(effort.to_owned()), ..Thinking::default() };
    let near = vec!["reasoning_effort approximated".to_owned()];
    assert_eq!(think("gpt-oss:20b", effort("medium")), (json!("medium"), vec![]));
    assert_eq!(think("me/gpt-oss", effort("minimal")), (json!("low"), near.clone()));
    assert_eq!(think("gpt-oss", effort("xhigh")), (json!("high"), near.clone()));
    assert_eq!(think("qwen3", effort("high")), (json!(true), near));
    assert_eq!(think("qwen3", effort("none")), (json!(false), vec![]));
    let off = Thinking { mode: ThinkingMode::Off, ..Thinking::default() };
    assert_eq!(think("qwen3", off), (json!(false), vec![]));
}

#[test]
fn a_budget_of_thoughts_cannot_be_kept() {
    let thinking = Thinking {
        mode: ThinkingMode::Adaptive,
        budget: Some(99),
        show: Some("omitted".to_owned()),
        ..Thinking::default()
    };
    let (body, losses) = write(&Chat { thinking: Some(thinking), ..chat(Dialect::Anthropic) });
    assert_eq!(body["think"], true);
    let lost = ["thinking.budget_tokens dropped", "thinking.display dropped", "thinking approximated"];
    assert_eq!(losses, lost);
}

#[test]
fn pictures_go_as_data_or_not_at_all() {
    let parts = vec![
        Part::plain("look"),
        picture(data()),
        picture(Source::Url("https://example.org/a.png".to_owned())),
        Part::Audio(Media::new(data())),
        Part::Document(Media::new(data())),
        Part::Document(Media::new(Source::Text("plain".to_owned()))),
    ];
    let (body, losses) = write(&said(Dialect::Anthropic, vec![Message::new(Role::User, parts)]));
    assert_eq!(body["messages"][0], json!({"role": "user", "content": "look\n\nplain", "images": ["AAAA"]}));
    let lost = [
        "messages[0].content[2] dropped",
        "messages[0].content[3] dropped",
        "messages[0].content[4] dropped",
        "messages[0].content[5] approximated",
    ];
    assert_eq!(losses, lost);
}

#[test]
fn what_clings_to_parts_is_named() {
    let cache = Some(json!({"type": "ephemeral"}));
    let text = Text { text: "t".to_owned(), cache: cache.clone(), citations: Some(json!([{"x": 1}])) };
    let mut media = Media { title: Some("a".to_owned()), detail: Some("high".to_owned()), cache, ..Media::new(data()) };
    media.extra.insert("shape".to_owned(), 1.into());
    let mut message = Message::new(Role::User, vec![Part::Text(text), Part::Image(media), Part::Other(json!({}))]);
    message.name = Some("ann".to_owned());
    message.extra.insert("weight".to_owned(), 1.into());
    let (_, losses) = write(&said(Dialect::Gemini, vec![message]));
    let lost = [
        "contents[0].name dropped",
        "contents[0].weight dropped",
        "contents[0].parts[0].cache_control dropped",
        "contents[0].parts[0].citations dropped",
        "contents[0].parts[1].cache_control dropped",
        "contents[0].parts[1].title dropped",
        "contents[0].parts[1].detail dropped",
        "contents[0].parts[1].shape dropped",
        "contents[0].parts[2] dropped",
    ];
    assert_eq!(losses, lost);
}

#[test]
fn calls_and_results_stand_in_messages_of_their_own() {
    let call = ToolCall {
        id: "t1".to_owned(),
        name: "f".to_owned(),
        arguments: "{\"b\":1}".to_owned(),
        seal: None,
        cache: None,
    };
    let broken = ToolCall { id: "t2".to_owned(), arguments: "{b".to_owned(), ..call.clone() };
    let result = |id: &str, failed| ToolResult {
        id: id.to_owned(),
        name: None,
        parts: vec![Part::plain("r"), picture(data())],
        failed,
        cache: None,
    };
    let thoughts = Reasoning { text: "hm".to_owned(), seal: Some(Seal::Anthropic("s".to_owned())) };
    let messages = vec![
        Message::new(Role::Assistant, vec![Part::Reasoning(thoughts), Part::ToolCall(call), Part::ToolCall(broken)]),
        Message::new(
            Role::User,
            vec![Part::ToolResult(result("t1", false)), Part::ToolResult(result("t2", true)), Part::plain("go on")],
        ),
    ];
    let (body, losses) = write(&said(Dialect::Anthropic, messages));
    let call = |id: &str, arguments: Value| json!({"id": id, "function": {"name": "f", "arguments": arguments}});
    let result =
        |id: &str| json!({"role": "tool", "content": "r", "images": ["AAAA"], "tool_name": "f", "tool_call_id": id});
    let expected = json!([
        {"role": "assistant", "content": "", "thinking": "hm",
         "tool_calls": [call("t1", json!({"b": 1})), call("t2", json!({"_raw": "{b"}))]},
        result("t1"), result("t2"),
        {"role": "user", "content": "go on"},
    ]);
    assert_eq!(body["messages"], expected);
    let lost = [
        "messages[0].content[0] dropped",
        "messages[0].content[2].arguments approximated",
        "messages[1].content[1].is_error dropped",
    ];
    assert_eq!(losses, lost);
}

#[test]
fn text_that_moves_is_named() {
    let call =
        ToolCall { id: "t".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned(), seal: None, cache: None };
    let messages = vec![
        Message::new(Role::User, vec![Part::plain("a"), picture(data()), Part::plain("b")]),
        Message::new(Role::Assistant, vec![Part::ToolCall(call), Part::plain("after"), Part::Refusal("no".to_owned())]),
        Message::new(Role::User, vec![picture(data()), Part::plain("b")]),
    ];
    let (_, losses) = write(&said(Dialect::OpenAiResponses, messages));
    let lost =
        ["input[0].content[2] approximated", "input[1].content[1] approximated", "input[1].content[2] approximated"];
    assert_eq!(losses, lost);
}
