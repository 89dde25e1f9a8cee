//! What a request loses on its way to an upstream, and what it must not lose.

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::dialect::chat::{
    Chat, Format, Function, Media, Message, Part, Reasoning, Role, Source, Text, Thinking, ThinkingMode, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use crate::dialect::codec::Codec;
use crate::dialect::habits::Habits;
use crate::dialect::loss::Losses;
use crate::dialect::openai_chat::OpenAiChat;
use crate::dialect::seal::Seal;

const PLAIN: Habits = Habits {
    cache_control: false,
    reasoning_input: None,
    max_completion_tokens: false,
    developer_role: false,
    stream_options: false,
    json_schema: false,
    tool_choice_required: false,
    parallel_tool_calls: false,
    strict: false,
};

fn read(body: Value) -> Chat {
    OpenAiChat::OPENAI.read_request("/v1/chat/completions", body).unwrap()
}

fn write(chat: &Chat, habits: Habits) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = OpenAiChat { habits }.write_request(chat, &mut losses).body;
    (body, losses.iter().map(|loss| format!("{} {}", loss.path, loss.verdict.as_str())).collect())
}

fn user(parts: Vec<Part>) -> Chat {
    Chat { messages: vec![Message::new(Role::User, parts)], origin: Some(Dialect::Anthropic), ..Chat::default() }
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult(ToolResult { id: id.to_owned(), name: None, parts, failed: false, cache: None })
}

fn picture() -> Part {
    Part::Image(Media::new(Source::Data { media_type: "image/png".to_owned(), base64: "AAAA".to_owned() }))
}

#[test]
fn a_data_url_comes_back_byte_for_byte() {
    for url in ["data:image/png;base64,AA==", "data:image/png;name=a b;base64,Zm9v", "https://x.test/a.png", "data:,hi"]
    {
        let part = json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}});
        let chat = read(json!({"messages": [{"role": "user", "content": [part]}]}));
        let (body, losses) = write(&chat, Habits::OPENAI);
        assert_eq!(body["messages"][0]["content"][0], part);
        assert!(losses.is_empty());
    }
}

#[test]
fn cache_marks_go_only_where_they_are_taken() {
    let mark = json!({"type": "ephemeral"});
    let chat = user(vec![Part::Text(Text { text: "hi".to_owned(), cache: Some(mark.clone()), citations: None })]);
    let (body, losses) = write(&chat, Habits::OPENAI);
    assert_eq!(body["messages"][0]["content"], "hi");
    assert_eq!(losses, ["messages[0].content[0].cache_control dropped"]);
    let (body, losses) = write(&chat, Habits { cache_control: true, ..Habits::OPENAI });
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], mark);
    assert!(losses.is_empty());
}

#[test]
fn thoughts_go_back_only_where_they_are_taken() {
    let thought = Reasoning { text: "hm".to_owned(), seal: Some(Seal::Anthropic("sig".to_owned())) };
    let message = Message::new(Role::Assistant, vec![Part::Reasoning(thought), Part::plain("so")]);
    let chat = Chat { messages: vec![message], origin: Some(Dialect::Anthropic), ..Chat::default() };
    let (body, losses) = write(&chat, Habits::OPENAI);
    assert_eq!(body["messages"][0], json!({"role": "assistant", "content": "so"}));
    assert_eq!(losses, ["messages[0].content[0] dropped"]);
    let (body, losses) = write(&chat, Habits { reasoning_input: Some("reasoning_content"), ..Habits::OPENAI });
    assert_eq!(body["messages"][0]["reasoning_content"], "hm");
    assert_eq!(losses, ["messages[0].content[0].signature dropped"]);
}

#[test]
fn pictures_of_tool_results_are_shown_after_all_results() {
    let mut chat =
        user(vec![result("a", vec![picture()]), result("b", vec![Part::plain("two")]), Part::plain("go on")]);
    chat.messages.insert(0, Message::new(Role::Assistant, Vec::new()));
    let (body, losses) = write(&chat, Habits::OPENAI);
    let roles: Vec<&str> = body["messages"].as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["assistant", "tool", "tool", "user", "user"]);
    assert_eq!(body["messages"][3]["content"][0]["image_url"]["url"], "data:image/png;base64,AAAA");
    assert_eq!(losses, ["messages[1].content[0].content[0] approximated"]);
}

#[test]
fn a_plain_server_gets_the_plain_forms() {
    let mut chat = read(json!({
        "model": "m", "stream": true, "stream_options": {"include_obfuscation": false}, "max_completion_tokens": 9,
        "messages": [{"role": "developer", "content": "be brief"}],
        "tools": [{"type": "function", "function": {"name": "f", "strict": true}}],
        "tool_choice": "required", "parallel_tool_calls": false,
    }));
    chat.format = Some(Format::Schema { name: None, description: None, schema: json!({}), strict: None });
    let (body, losses) = write(&chat, PLAIN);
    assert_eq!(
        body,
        json!({
            "model": "m", "messages": [{"role": "system", "content": "be brief"}], "stream": true, "max_tokens": 9,
            "response_format": {"type": "json_object"},
            "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto",
        })
    );
    assert_eq!(
        losses,
        [
            "stream_options dropped",
            "response_format approximated",
            "tools[0].strict dropped",
            "tool_choice approximated",
            "parallel_tool_calls dropped"
        ]
    );
}

#[test]
fn usage_is_asked_for_whether_the_client_did_or_not() {
    let chat = read(json!({"messages": [], "stream": true}));
    assert!(!chat.stream_usage);
    assert_eq!(write(&chat, Habits::OPENAI).0["stream_options"], json!({"include_usage": true}));
}

#[test]
fn fields_of_other_makers_are_named_as_lost() {
    let mut chat = user(vec![Part::Other(json!({"type": "search_result"})), Part::plain("x")]);
    chat.extra.insert("context_management".to_owned(), json!({"edits": [1]}));
    chat.extra.insert("container".to_owned(), Value::Null);
    chat.sampling.top_k = Some(5.into());
    chat.tools = vec![Tool::Server(json!({"type": "web_search_20250305"}))];
    chat.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = write(&chat, Habits::OPENAI);
    assert_eq!(body, json!({"messages": [{"role": "user", "content": "x"}]}));
    assert_eq!(
        losses,
        [
            "messages[0].content[0] dropped",
            "top_k dropped",
            "tools[0] dropped",
            "tool_choice dropped",
            "context_management dropped"
        ]
    );
}

#[test]
fn unknown_fields_go_back_to_their_own_dialect() {
    let body = json!({
        "messages": [{"role": "user", "content": "x"}], "top_k": 3, "logit_bias": {"1": 2}, "prediction": {"type": "content"},
        "web_search_options": {}, "tool_choice": {"type": "custom", "custom": {"name": "c"}},
    });
    let (written, losses) = write(&read(body.clone()), Habits::OPENAI);
    for name in ["top_k", "logit_bias", "prediction", "web_search_options", "tool_choice"] {
        assert_eq!(written[name], body[name], "{name}");
    }
    assert!(losses.is_empty());
}

#[test]
fn budgets_and_efforts_are_translated_and_said_so() {
    let effort = |thinking: Thinking| {
        let chat = Chat { thinking: Some(thinking), origin: Some(Dialect::Anthropic), ..Chat::default() };
        let (body, losses) = write(&chat, Habits::OPENAI);
        (body["reasoning_effort"].clone(), losses)
    };
    let budget = Thinking { budget: Some(4000), ..Thinking::default() };
    assert_eq!(effort(budget), (json!("medium"), vec!["thinking approximated".to_owned()]));
    let max = Thinking { effort: Some("max".to_owned()), ..Thinking::default() };
    assert_eq!(effort(max), (json!("xhigh"), vec!["thinking.effort approximated".to_owned()]));
    let off = Thinking { mode: ThinkingMode::Off, ..Thinking::default() };
    assert_eq!(effort(off), (Value::Null, vec!["thinking approximated".to_owned()]));
    let same = Thinking { effort: Some("low".to_owned()), ..Thinking::default() };
    assert_eq!(effort(same), (json!("low"), Vec::new()));
}

#[test]
fn allowed_tools_are_read_and_written() {
    let choice = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
        {"type": "function", "function": {"name": "f"}},
    ]}});
    let chat = read(json!({
        "messages": [], "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": choice,
    }));
    assert_eq!(chat.tool_choice, Some(ToolChoice::Allowed { names: vec!["f".to_owned()], required: true }));
    assert_eq!(write(&chat, Habits::OPENAI).0["tool_choice"], choice);
}

#[test]
fn older_functions_become_tools_and_their_results_find_the_call() {
    let chat = read(json!({
        "functions": [{"name": "f", "parameters": {"b": 1, "a": 2}}], "function_call": {"name": "f"},
        "messages": [
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"x\": 1}"}},
            {"role": "function", "name": "f", "content": "done"},
        ],
    }));
    assert_eq!(chat.tool_choice, Some(ToolChoice::Function("f".to_owned())));
    let (body, losses) = write(&chat, Habits::OPENAI);
    assert_eq!(body["messages"][0]["tool_calls"][0]["id"], body["messages"][1]["tool_call_id"]);
    assert_eq!(body["tools"][0]["function"]["parameters"].to_string(), "{\"b\":1,\"a\":2}");
    assert!(body.get("functions").is_none() && losses.is_empty());
}

#[test]
fn a_result_carries_the_name_of_its_call() {
    let chat = read(json!({"messages": [
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "ok"}]},
    ]}));
    let [Part::ToolResult(result)] = chat.messages[1].parts.as_slice() else { panic!("{chat:?}") };
    assert_eq!(result.name.as_deref(), Some("f"));
    let [Part::ToolCall(call)] = chat.messages[0].parts.as_slice() else { panic!("{chat:?}") };
    assert_eq!(call.arguments, "{}");
}

#[test]
fn geminis_seals_go_to_gemini_only() {
    let seal = Some(Seal::Gemini("s".to_owned()));
    let call = ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned(), seal, cache: None };
    let message = Message::new(Role::Assistant, vec![Part::ToolCall(call)]);
    let mut chat = Chat { messages: vec![message], model: "gpt-5".to_owned(), ..Chat::default() };
    let (body, losses) = write(&chat, Habits::OPENAI);
    assert!(body["messages"][0]["tool_calls"][0].get("extra_content").is_none());
    assert_eq!(losses, ["messages[0].content[0].signature dropped"]);
    chat.model = "gemini-3-pro".to_owned();
    let (body, losses) = write(&chat, Habits::OPENAI);
    assert_eq!(body["messages"][0]["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "s");
    assert!(losses.is_empty());
}

#[test]
fn documents_that_cannot_be_carried_are_named() {
    let document = |source| Part::Document(Media::new(source));
    let chat = user(vec![
        document(Source::Url("https://x.test/a.pdf".to_owned())),
        document(Source::Text("plain".to_owned())),
        document(Source::Data { media_type: "application/pdf".to_owned(), base64: "AA".to_owned() }),
    ]);
    let (body, losses) = write(&chat, Habits::OPENAI);
    assert_eq!(body["messages"][0]["content"][0], json!({"type": "text", "text": "plain"}));
    assert_eq!(body["messages"][0]["content"][1]["file"]["filename"], "document.pdf");
    assert_eq!(
        losses,
        [
            "messages[0].content[0] dropped",
            "messages[0].content[1] approximated",
            "messages[0].content[2].title invented"
        ]
    );
}

#[test]
fn what_is_malformed_is_named_with_its_place() {
    let wrong = |body: Value| OpenAiChat::OPENAI.read_request("", body).unwrap_err().to_string();
    assert_eq!(wrong(json!({})), "messages: is required");
    assert_eq!(wrong(json!({"messages": [{"content": "x"}]})), "messages[0].role: is required");
    assert_eq!(
        wrong(json!({"messages": [{"role": "user", "content": [{"type": "text"}]}]})),
        "messages[0].content[0].text: is required"
    );
    assert_eq!(
        wrong(json!({"messages": [], "tools": [{"type": "function", "function": {}}]})),
        "tools[0].function.name: is required"
    );
}

#[test]
fn an_azure_path_names_the_model() {
    let target = "/openai/deployments/mine/chat/completions?api-version=1";
    let chat = OpenAiChat::OPENAI.read_request(target, json!({"messages": []})).unwrap();
    assert_eq!(chat.model, "mine");
}

#[test]
fn a_function_definition_keeps_what_it_has() {
    let schema = json!({"type": "object", "properties": {"z": {}, "a": {}}, "required": ["z"]});
    let function = Function { name: "f".to_owned(), schema: Some(schema.clone()), ..Function::default() };
    let chat = Chat { tools: vec![Tool::Function(function)], ..Chat::default() };
    let (body, _) = write(&chat, Habits::OPENAI);
    assert_eq!(body["tools"][0]["function"]["parameters"].to_string(), schema.to_string());
}

#[test]
fn losses_name_fields_as_a_chat_client_wrote_them() {
    let chat = read(json!({"messages": [{
        "role": "assistant", "reasoning": "hm", "content": "x",
        "tool_calls": [{
            "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "s"}},
        }],
    }]}));
    let (_, losses) = write(&chat, Habits::OPENAI);
    assert_eq!(losses, ["messages[0].reasoning_content dropped", "messages[0].tool_calls[0].signature dropped"]);
}

#[test]
fn losses_are_named_by_the_places_of_the_dialect_that_was_read() {
    let marked = || Part::Text(Text { text: "a".to_owned(), cache: Some(json!({})), citations: None });
    let messages = [Role::System, Role::User].map(|role| Message::new(role, vec![marked()])).to_vec();
    let chat = |origin| Chat { messages: messages.clone(), origin: Some(origin), ..Chat::default() };
    for (origin, system, user) in [
        (Dialect::Anthropic, "system[0]", "messages[0].content[0]"),
        (Dialect::Gemini, "systemInstruction.parts[0]", "contents[0].parts[0]"),
        (Dialect::OllamaChat, "messages[0].content[0]", "messages[1].content[0]"),
    ] {
        let (_, losses) = write(&chat(origin), PLAIN);
        assert_eq!(losses, [system, user].map(|path| format!("{path}.cache_control dropped")));
    }
}
