//! Requests: what becomes of them on the way to the model and from other dialects.

use serde_json::{Value, json};

use super::{read, write};
use crate::dialect::Dialect;
use crate::dialect::chat::{
    Chat, Function, Media, Message, Part, Reasoning, Role, Source, Text, Thinking, ThinkingMode, Tool, ToolChoice,
    ToolResult,
};
use crate::dialect::loss::{Losses, Verdict};
use crate::dialect::seal::Seal;

fn read_input(input: &Value) -> Chat {
    read(json!({"model": "m", "input": input})).unwrap()
}

/// Writes a request of another dialect's: its body, and its losses.
fn from(origin: Dialect, chat: Chat) -> (Value, Vec<(String, Verdict)>) {
    let mut losses = Losses::default();
    let body = write(&Chat { model: "m".to_owned(), origin: Some(origin), ..chat }, &mut losses);
    (body, losses.iter().map(|loss| (loss.path.clone(), loss.verdict)).collect())
}

fn said(role: Role, parts: Vec<Part>) -> Chat {
    Chat { messages: vec![Message::new(role, parts)], ..Chat::default() }
}

fn dropped(path: &str) -> (String, Verdict) {
    (path.to_owned(), Verdict::Dropped)
}

/// Reads a request and writes it in its own dialect, which must lose nothing.
fn again(body: &Value) -> Value {
    let mut losses = Losses::default();
    let written = write(&read(body.clone()).unwrap(), &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    written
}

#[test]
fn the_items_of_one_turn_are_one_message_and_so_are_its_results() {
    let chat = read_input(&json!([
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "e",
            "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
        {"type": "function_call", "call_id": "c1", "name": "a", "arguments": "{ }"},
        {"type": "function_call", "call_id": "c2", "name": "b", "arguments": ""},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        {"role": "user", "content": "thanks"},
    ]));
    let roles: Vec<Role> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool, Role::User]);
    let [Part::Reasoning(thoughts), Part::Text(_), Part::ToolCall(first), Part::ToolCall(second)] =
        chat.messages[1].parts.as_slice()
    else {
        panic!("{:?}", chat.messages[1].parts)
    };
    let seal = Seal::OpenAi { id: "rs_1".to_owned(), encrypted: Some("e".to_owned()) };
    assert_eq!(thoughts, &Reasoning { text: "hm".to_owned(), seal: Some(seal) });
    assert_eq!((first.arguments.as_str(), second.arguments.as_str()), ("{ }", "{}"));
    assert_eq!(chat.messages[2].parts.len(), 2);
}

#[test]
fn fields_of_items_and_parts_come_back_where_they_were() {
    let body = json!({"model": "m", "instructions": "be kind", "input": [
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw==", "detail": "low"},
            {"type": "input_image", "file_id": "file-1", "detail": "auto"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "computer_screenshot", "image_url": "https://example.com/s.png"},
        ]},
        {"type": "message", "role": "assistant", "phase": "commentary",
            "content": [{"type": "output_text", "text": "b"}]},
        {"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": "c", "annotations": [{"type": "file_path", "file_id": "f", "index": 0}]},
            {"type": "output_text", "text": "d", "news": 1},
            {"type": "refusal", "refusal": "e"},
        ], "phase": "final_answer"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "f"}]},
        {"type": "function_call", "call_id": "c1", "name": "n", "arguments": "{}", "namespace": "s"},
        {"type": "function_call_output", "call_id": "c1", "output": [
            {"type": "input_text", "text": "g", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "y"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "item_reference", "id": "msg_9"},
    ]});
    assert_eq!(again(&body), body);
}

#[test]
fn settings_come_back_as_they_were() {
    let body = json!({
        "model": "m", "input": [{"type": "message", "role": "developer", "content": "x"}], "stream": true,
        "text": {"verbosity": "low",
            "format": {"type": "json_schema", "name": "n", "schema": {"z": 1, "a": 2}, "strict": true}},
        "reasoning": {"effort": "high", "summary": "auto", "context": "all_turns"},
        "tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"},
                "strict": false, "defer_loading": true},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        "parallel_tool_calls": false, "temperature": 0.5, "top_p": 0.9, "top_logprobs": 2, "max_output_tokens": 8,
        "include": ["file_search_call.results", "message.output_text.logprobs"],
        "user": "u", "store": true, "metadata": {"a": "b"}, "previous_response_id": "resp_1",
        "stream_options": {"include_obfuscation": false}, "some.thing": 1,
    });
    assert_eq!(again(&body), body);
    let choice = json!({"type": "mcp", "server_label": "s"});
    let hosted = json!({"model": "m", "input": [], "tools": [{"type": "mcp"}], "tool_choice": choice});
    assert_eq!(again(&hosted), hosted);
}

#[test]
fn a_body_that_is_wrong_says_where() {
    let cases = [
        (json!([]), ""),
        (json!({"input": "x"}), "model"),
        (json!({"model": "m", "input": 5}), "input"),
        (json!({"model": "m", "input": [5]}), "input[0]"),
        (json!({"model": "m", "input": [{"role": "robot", "content": ""}]}), "input[0].role"),
        (json!({"model": "m", "input": [{"role": "user", "content": [{"text": "x"}]}]}), "input[0].content[0].type"),
        (json!({"model": "m", "input": [{"type": "function_call", "name": "n"}]}), "input[0].call_id"),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
            "input[0].content[0]",
        ),
        (json!({"model": "m", "tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"model": "m", "text": {"format": {"type": "json_schema"}}}), "text.format.schema"),
        (json!({"model": "m", "stream": "yes"}), "stream"),
    ];
    for (body, path) in cases {
        assert_eq!(read(body.clone()).unwrap_err().path, path, "{body}");
    }
}

#[test]
fn the_end_of_a_stream_brings_its_usage_to_every_client() {
    assert!(read(json!({"model": "m", "stream": true})).unwrap().stream_usage);
}

#[test]
fn a_request_of_another_dialect_is_not_stored_and_gets_its_sealed_thoughts() {
    let thinking = Some(Thinking { budget: Some(4000), show: Some("summarized".to_owned()), ..Thinking::default() });
    let (body, losses) = from(Dialect::Anthropic, Chat { thinking, ..Chat::default() });
    assert_eq!(body["store"], false);
    assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(body["reasoning"], json!({"effort": "medium", "summary": "auto"}));
    assert_eq!(losses, [("thinking.budget_tokens".to_owned(), Verdict::Approximated)]);
    let off = Some(Thinking { mode: ThinkingMode::Off, ..Thinking::default() });
    let (body, _) = from(Dialect::Anthropic, Chat { thinking: off, ..Chat::default() });
    assert_eq!((body.get("include"), &body["reasoning"]), (None, &json!({"effort": "none"})));
}

#[test]
fn a_function_of_another_dialect_is_not_made_strict() {
    let tool = Tool::Function(Function { name: "f".to_owned(), ..Function::default() });
    let (body, losses) = from(Dialect::OpenAiChat, Chat { tools: vec![tool], ..Chat::default() });
    let parameters = json!({"type": "object", "properties": {}});
    assert_eq!(body["tools"], json!([{"type": "function", "name": "f", "parameters": parameters, "strict": false}]));
    assert!(losses.is_empty());
}

#[test]
fn thoughts_go_only_to_their_maker() {
    let thoughts = |seal| Part::Reasoning(Reasoning { text: "hm".to_owned(), seal });
    let own = Seal::OpenAi { id: "rs_1".to_owned(), encrypted: Some("e".to_owned()) };
    let bare = Seal::OpenAi { id: "rs_1".to_owned(), encrypted: None };
    let parts = vec![
        thoughts(Some(own)),
        thoughts(Some(Seal::Anthropic("s".to_owned()))),
        thoughts(None),
        thoughts(Some(bare)),
    ];
    let (body, losses) = from(Dialect::Anthropic, said(Role::Assistant, parts));
    let summary = json!([{"type": "summary_text", "text": "hm"}]);
    assert_eq!(
        body["input"],
        json!([{"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "e"}])
    );
    assert_eq!(losses, ["[1]", "[2]", "[3]"].map(|part| dropped(&format!("messages[0].content{part}"))));
}

#[test]
fn what_has_no_place_is_a_loss_with_its_path() {
    let mut chat = Chat {
        messages: vec![
            Message::new(Role::System, vec![Part::plain("s")]),
            Message::new(
                Role::User,
                vec![Part::Text(Text {
                    text: "a".to_owned(),
                    cache: Some(json!({"type": "ephemeral"})),
                    citations: None,
                })],
            ),
            Message::new(
                Role::Tool,
                vec![Part::ToolResult(ToolResult {
                    id: "c".to_owned(),
                    name: None,
                    parts: vec![Part::plain("x"), Part::Image(Media::new(Source::File("file_1".to_owned())))],
                    failed: true,
                    cache: None,
                })],
            ),
        ],
        tools: vec![Tool::Server(json!({"type": "bash_20250124", "name": "bash"}))],
        tool_choice: Some(ToolChoice::Required),
        ..Chat::default()
    };
    chat.sampling.top_k = Some(5.into());
    chat.sampling.stop = vec!["END".to_owned()];
    chat.sampling.n = Some(2.into());
    chat.sampling.max_tokens = Some(1.into());
    chat.user = Some("u".repeat(65));
    chat.extra.insert("container".to_owned(), json!("c"));
    chat.extra.insert("nothing".to_owned(), json!([]));
    let (body, losses) = from(Dialect::Anthropic, chat);
    assert_eq!(body["input"][0], json!({"type": "message", "role": "system", "content": "s"}));
    assert_eq!(body["input"][2]["output"], json!([{"type": "input_text", "text": "x"}]));
    assert_eq!(body["max_output_tokens"], 16);
    let expected = [
        dropped("messages[0].content[0].cache_control"),
        dropped("messages[1].content[0].is_error"),
        dropped("messages[1].content[0].content[1]"),
        dropped("tools[0]"),
        dropped("tool_choice"),
        ("max_tokens".to_owned(), Verdict::Approximated),
        dropped("top_k"),
        dropped("stop_sequences"),
        ("n".to_owned(), Verdict::Approximated),
        dropped("metadata.user_id"),
        dropped("container"),
    ];
    assert_eq!(losses, expected);
}

#[test]
fn chat_completions_share_some_fields_with_responses() {
    let mut chat = Chat::default();
    chat.extra.insert("verbosity".to_owned(), json!("low"));
    chat.extra.insert("metadata".to_owned(), json!({"a": "b"}));
    chat.extra.insert("logit_bias".to_owned(), json!({"1": 2}));
    chat.sampling.logprobs = Some(true);
    let (body, losses) = from(Dialect::OpenAiChat, chat);
    assert_eq!(body["text"], json!({"verbosity": "low"}));
    assert_eq!(body["metadata"], json!({"a": "b"}));
    assert_eq!(body["include"], json!(["message.output_text.logprobs"]));
    assert_eq!(losses, [dropped("logit_bias")]);
}

#[test]
fn media_of_other_dialects_find_a_form() {
    let image = Media::new(Source::Data { media_type: String::new(), base64: "/9j/4AAQ".to_owned() });
    let data = Source::Data { media_type: "application/pdf".to_owned(), base64: "JVBERi0=".to_owned() };
    let text = Media { title: Some("T".to_owned()), ..Media::new(Source::Text("body".to_owned())) };
    let parts = vec![Part::Image(image), Part::Document(Media::new(data)), Part::Document(text)];
    let (body, losses) = from(Dialect::OllamaChat, said(Role::User, parts));
    assert_eq!(
        body["input"][0]["content"],
        json!([
            {"type": "input_image", "image_url": "data:image/jpeg;base64,/9j/4AAQ"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "document.pdf"},
            {"type": "input_text", "text": "T\n\nbody"},
        ])
    );
    let verdicts: Vec<Verdict> = losses.into_iter().map(|(_, verdict)| verdict).collect();
    assert_eq!(verdicts, [Verdict::Invented, Verdict::Approximated]);
}
