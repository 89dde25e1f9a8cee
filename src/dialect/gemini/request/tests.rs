use serde_json::{Value, json};

use super::*;
use crate::dialect::Dialect;
use crate::dialect::chat::{
    Chat, Format, Function, Media, Message, Part, Reasoning, Role, Source, Text, Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

const TARGET: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

fn read_body(body: Value) -> Chat {
    read(TARGET, body).expect("a request")
}

/// The body that a chat is written as, and its losses.
fn written(chat: &Chat) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = write(chat, &mut losses).body;
    (body, losses.iter().map(|loss| format!("{} {}", loss.path, loss.verdict.as_str())).collect())
}

fn chat(messages: Vec<Message>) -> Chat {
    Chat { model: "gemini-2.5-flash".to_owned(), messages, origin: Some(Dialect::OpenAiChat), ..Chat::default() }
}

fn call(id: &str, name: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), "{\"n\":1}".to_owned());
    Part::ToolCall(ToolCall { id, name, arguments, seal: None, cache: None })
}

fn result(id: &str, text: &str) -> Message {
    let parts = vec![Part::plain(text)];
    let result = ToolResult { id: id.to_owned(), name: None, parts, failed: false, cache: None };
    Message::new(Role::Tool, vec![Part::ToolResult(result)])
}

fn user(text: &str) -> Message {
    Message::new(Role::User, vec![Part::plain(text)])
}

#[test]
fn results_find_their_calls_by_name_in_order() {
    let chat = read_body(json!({"contents": [
        {"role": "model", "parts": [
            {"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g"}},
            {"function_call": {"name": "f", "args": {"x": 1}}, "thought_signature": "s"},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"result": "1"}}},
            {"functionResponse": {"name": "f", "response": {"error": "2"}}},
            {"functionResponse": {"name": "g", "response": {"a": 3}}},
            {"text": "go on"},
        ]},
    ]}));
    let roles: Vec<Role> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Assistant, Role::Tool, Role::User]);
    let results: Vec<(&str, String, bool)> = chat.messages[1]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => (result.id.as_str(), result.parts[0].text().unwrap().to_owned(), result.failed),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [("call_0_0", "1", false), ("call_0_2", "2", true), ("call_0_1", "{\"a\":3}", false)];
    assert_eq!(results, expected.map(|(id, text, failed)| (id, text.to_owned(), failed)));
    let Part::ToolCall(last) = &chat.messages[0].parts[2] else { panic!("no call") };
    assert_eq!((last.arguments.as_str(), &last.seal), ("{\"x\":1}", &Some(Seal::Gemini("s".to_owned()))));
}

#[test]
fn what_the_model_has_no_place_for_comes_back() {
    let body = json!({
        "contents": [{"role": "user", "parts": [
            {"text": "hi"},
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "mediaResolution": {"level": "X"}},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.example/v"}, "videoMetadata": {"fps": 1}},
            {"fileData": {"mimeType": "image/png", "fileUri": "gs://b/c"}},
            {"executableCode": {"code": "1"}, "thoughtSignature": "s"},
        ]}],
        "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}],
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"], "streamFunctionCallArguments": true},
            "retrievalConfig": {"languageCode": "de"},
        },
        "generationConfig": {"topK": 3.0, "responseModalities": ["TEXT"], "thinkingConfig": {"odd": 1}},
        "cachedContent": "cachedContents/1",
        "labels": {"a": "b"},
    });
    let chat = read_body(body.clone());
    let (out, losses) = written(&chat);
    assert_eq!(losses, Vec::<String>::new());
    assert_eq!(out, body);
    let elsewhere = Chat { origin: Some(Dialect::OpenAiChat), ..chat };
    let (_, losses) = written(&elsewhere);
    for path in ["generationConfig.responseModalities", "labels", "toolConfig.retrievalConfig", "tools[1].behavior"] {
        assert!(losses.contains(&format!("{path} dropped")), "{path}: {losses:?}");
    }
}

#[test]
fn a_seal_of_a_text_comes_back_to_it() {
    let body = json!({"contents": [{"role": "model", "parts": [
        {"text": "a", "thoughtSignature": "s"}, {"text": "t", "thought": true}, {"text": "", "thoughtSignature": "u"},
    ]}]});
    assert_eq!(written(&read_body(body.clone())).0, body);
}

#[test]
fn instructions_stand_apart_and_turns_alternate() {
    let system = |text: &str| Message::new(Role::System, vec![Part::plain(text)]);
    let (body, losses) = written(&chat(vec![system("a"), user("b"), user("c"), system("d")]));
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "a"}, {"text": "d"}]}));
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": "b"}, {"text": "c"}]}]));
    assert_eq!(losses, ["messages[3] approximated"]);
    let (body, losses) = written(&chat(vec![system("a")]));
    assert_eq!(body["contents"], json!([{"role": "user", "parts": [{"text": "a"}]}]));
    assert_eq!(losses, ["messages[0] approximated"]);
}

#[test]
fn results_stand_in_the_order_of_their_calls_and_without_ids() {
    let calls = Message::new(Role::Assistant, vec![call("a", "f"), call("b", "f")]);
    let (body, losses) = written(&chat(vec![user("go"), calls, result("b", "[2]"), result("a", "{\"r\":1}")]));
    let expected = json!([
        {"functionResponse": {"name": "f", "response": {"r": 1}}},
        {"functionResponse": {"name": "f", "response": {"result": "[2]"}}},
    ]);
    assert_eq!(body["contents"][2]["parts"], expected);
    assert_eq!(body["contents"][1]["parts"][0], json!({"functionCall": {"name": "f", "args": {"n": 1}}}));
    assert_eq!(losses, Vec::<String>::new());
}

#[test]
fn a_picture_in_a_result_stands_after_it_but_for_gemini_3() {
    let data = Source::Data { media_type: "image/png".to_owned(), base64: "AA==".to_owned() };
    let mut message = result("a", "seen");
    if let Part::ToolResult(result) = &mut message.parts[0] {
        result.parts.push(Part::Image(Media::new(data)));
    }
    let mut chat = chat(vec![Message::new(Role::Assistant, vec![call("a", "f")]), message]);
    let (body, losses) = written(&chat);
    assert_eq!(body["contents"][1]["parts"][1]["inlineData"]["data"], "AA==");
    assert_eq!(losses, ["messages[1].content[0] approximated"]);
    chat.model = "gemini-3-flash".to_owned();
    let (body, _) = written(&chat);
    assert_eq!(body["contents"][1]["parts"][0]["functionResponse"]["parts"][0]["inlineData"]["data"], "AA==");
}

#[test]
fn gemini_3_gets_a_signature_for_the_first_call_of_a_turn_that_has_none() {
    let calls = Message::new(Role::Assistant, vec![call("a", "f"), call("b", "f")]);
    let mut chat = chat(vec![calls]);
    assert!(!written(&chat).0.to_string().contains("thoughtSignature"));
    chat.model = "models/gemini-3-pro-preview".to_owned();
    let (body, losses) = written(&chat);
    let parts = &body["contents"][0]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[1].get("thoughtSignature"), None);
    assert_eq!(losses, ["messages[0].content[0].thoughtSignature invented"]);
}

#[test]
fn media_by_address_needs_a_type_that_shows() {
    let image = |url: &str| Part::Image(Media::new(Source::Url(url.to_owned())));
    let message = Message::new(Role::User, vec![image("https://a.example/x.PNG?y=1"), image("https://a.example/x")]);
    let (body, losses) = written(&chat(vec![message]));
    let file = json!({"mimeType": "image/png", "fileUri": "https://a.example/x.PNG?y=1"});
    assert_eq!(body["contents"][0]["parts"], json!([{"fileData": file}]));
    assert_eq!(losses, ["messages[0].content[0] approximated", "messages[0].content[1] dropped"]);
}

#[test]
fn what_gemini_cannot_have_is_named_where_it_stood() {
    let cached = Text { text: "a".to_owned(), cache: Some(json!({"type": "ephemeral"})), citations: None };
    let thoughts = Reasoning { text: "hm".to_owned(), seal: Some(Seal::Anthropic("s".to_owned())) };
    let mut chat = chat(vec![
        Message::new(Role::User, vec![Part::Text(cached)]),
        Message::new(Role::Assistant, vec![Part::Reasoning(thoughts), Part::Refusal("no".to_owned())]),
    ]);
    chat.user = Some("u".to_owned());
    chat.parallel_tools = Some(false);
    chat.sampling.stop = (0..6).map(|stop| stop.to_string()).collect();
    chat.sampling.min_p = serde_json::from_str("0.1").ok();
    chat.tools = vec![
        Tool::Function(Function { name: "f".to_owned(), strict: Some(true), ..Function::default() }),
        Tool::Server(json!({"type": "web_search"})),
    ];
    chat.format =
        Some(Format::Schema { name: Some("n".to_owned()), description: None, schema: json!({}), strict: Some(true) });
    chat.extra = [("logit_bias".to_owned(), json!({"1": 2})), ("store".to_owned(), json!(false))].into_iter().collect();
    let (body, losses) = written(&chat);
    let expected = [
        "messages[0].content[0].cache_control dropped",
        "messages[1].content[0].signature dropped",
        "messages[1].content[1] approximated",
        "tools[0].strict dropped",
        "tools[1] dropped",
        "min_p dropped",
        "stop approximated",
        "response_format.json_schema.name dropped",
        "parallel_tool_calls dropped",
        "user dropped",
        "logit_bias dropped",
    ];
    assert_eq!(losses, expected);
    assert_eq!(body["generationConfig"]["stopSequences"].as_array().map(Vec::len), Some(5));
}

#[test]
fn choices_of_tools_come_back() {
    for choice in [
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Function("f".to_owned()),
        ToolChoice::Allowed { names: vec!["f".to_owned(), "g".to_owned()], required: true },
        ToolChoice::Allowed { names: vec!["f".to_owned()], required: false },
    ] {
        let mut chat = chat(vec![user("a")]);
        chat.tool_choice = Some(choice);
        assert_eq!(read_body(written(&chat).0).tool_choice, chat.tool_choice);
    }
}

#[test]
fn a_stream_is_asked_for_as_events_and_read_from_the_path() {
    let chat = read("/v1/x/models/gemini-2.5-pro:streamGenerateContent", json!({"contents": []})).unwrap();
    assert!(chat.stream && chat.stream_usage);
    let out = write(&chat, &mut Losses::default());
    assert_eq!(out.target, "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
}

#[test]
fn a_body_that_is_no_request_says_where_it_is_wrong() {
    for (body, path) in [
        (json!([]), ""),
        (json!({}), "contents"),
        (json!({"contents": [{"role": "robot", "parts": []}]}), "contents[0].role"),
        (json!({"contents": [{"parts": [{"text": 1}]}]}), "contents[0].parts[0].text"),
        (json!({"contents": [{"parts": [{"functionCall": {}}]}]}), "contents[0].parts[0].functionCall.name"),
        (json!({"contents": [], "generation_config": {"top_k": "x"}}), "generationConfig.topK"),
    ] {
        assert_eq!(read(TARGET, body).unwrap_err().path, path);
    }
}
