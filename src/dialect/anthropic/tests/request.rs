//! Requests are read into the model, with their strange corners.

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::dialect::anthropic::Anthropic;
use crate::dialect::chat::{Chat, Format, Part, Role, Source, Thinking, ThinkingMode, Tool, ToolChoice};
use crate::dialect::codec::{Codec, Malformed};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

fn read(body: Value) -> Result<Chat, Malformed> {
    Anthropic.read_request("/v1/messages?beta=true", body)
}

/// Asserts that a request comes back as it was.
fn assert_survives(body: &Value) -> Chat {
    let chat = read(body.clone()).unwrap();
    let mut losses = Losses::default();
    let out = Anthropic.write_request(&chat, &mut losses);
    assert!(losses.is_empty(), "{losses:?}");
    assert_eq!(out.body, *body);
    assert_eq!(out.target, "/v1/messages");
    chat
}

#[test]
fn settings_have_their_places() {
    let chat = assert_survives(&json!({
        "model": "claude-x", "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "stream": true,
        "stop_sequences": ["END"], "metadata": {"user_id": "u-1", "team": "t"}, "service_tier": "auto",
        "tools": [
            {"name": "tide", "description": "d", "input_schema": {"type": "object", "b": 1, "a": 2}, "strict": true,
                "cache_control": {"type": "ephemeral"}, "defer_loading": true},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "tool_choice": {"type": "tool", "name": "tide", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized", "later": 1},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "messages": [{"role": "user", "content": "Moin"}],
    }));
    assert_eq!(chat.user.as_deref(), Some("u-1"));
    assert_eq!(chat.tool_choice, Some(ToolChoice::Function("tide".to_owned())));
    assert_eq!(chat.parallel_tools, Some(false));
    assert!(matches!(chat.tools.as_slice(), [Tool::Function(_), Tool::Server(_)]));
    assert!(matches!(chat.format, Some(Format::Schema { .. })));
    let thinking = Thinking {
        mode: ThinkingMode::On,
        effort: Some("high".to_owned()),
        budget: Some(2000),
        show: Some("summarized".to_owned()),
    };
    assert_eq!(chat.thinking, Some(thinking));
}

#[test]
fn tool_results_are_messages_of_their_own_role() {
    let chat = assert_survives(&json!({
        "model": "claude-x", "max_tokens": 9, "system": [
            {"type": "text", "text": "One.", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "Two."},
        ],
        "messages": [
            {"role": "user", "content": "When is high tide?"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "dark"},
                {"type": "tool_use", "id": "toolu_1", "name": "tide", "input": {"b": 1, "a": [2]}, "caller": {"type": "c"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true, "content": [
                    {"type": "text", "text": "storm", "later": 1},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ]},
                {"type": "text", "text": "And now?"},
            ]},
        ],
    }));
    let roles: Vec<Role> = chat.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::User]);
    let [Part::Reasoning(open), Part::Reasoning(dark), Part::ToolCall(call)] = chat.messages[2].parts.as_slice() else {
        panic!("{:?}", chat.messages[2].parts)
    };
    assert_eq!(open.seal, Some(Seal::Anthropic("sig".to_owned())));
    assert_eq!(dark.seal, Some(Seal::AnthropicRedacted("dark".to_owned())));
    assert_eq!(call.arguments, "{\"b\":1,\"a\":[2]}");
    assert_eq!(chat.messages[2].extra["content[2].caller"], json!({"type": "c"}));
    let [Part::ToolResult(result)] = chat.messages[3].parts.as_slice() else { panic!("{:?}", chat.messages[3].parts) };
    assert!(result.failed && matches!(result.parts.as_slice(), [Part::Text(_), Part::Image(_)]));
}

#[test]
fn documents_of_all_sources_survive() {
    let document = |source: Value| {
        json!({"type": "document", "source": source, "title": "T", "context": "c",
        "citations": {"enabled": true}})
    };
    let chat =
        assert_survives(&json!({"model": "claude-x", "max_tokens": 9, "messages": [{"role": "user", "content": [
            document(json!({"type": "base64", "media_type": "application/pdf", "data": "JVBE"})),
            document(json!({"type": "text", "media_type": "text/plain", "data": "plain"})),
            document(json!({"type": "url", "url": "https://a.example/b.pdf"})),
            document(json!({"type": "file", "file_id": "file_1"})),
            document(json!({"type": "content", "content": [{"type": "text", "text": "x"}]})),
            {"type": "container_upload", "file_id": "file_2"},
        ]}]}));
    let sources: Vec<bool> = chat.messages[0].parts.iter().map(|part| matches!(part, Part::Document(_))).collect();
    assert_eq!(sources, [true, true, true, true, false, false]);
    let Part::Document(media) = &chat.messages[0].parts[1] else { panic!() };
    assert_eq!((&media.source, media.title.as_deref()), (&Source::Text("plain".to_owned()), Some("T")));
}

#[test]
fn instructions_within_the_conversation_stay_where_they_are() {
    assert_survives(&json!({"model": "claude-x", "max_tokens": 9, "system": "First.", "messages": [
        {"role": "user", "content": "a"}, {"role": "system", "content": "New rules."}, {"role": "assistant", "content": "b"},
    ]}));
}

#[test]
fn an_effort_alone_is_no_thinking_field() {
    assert_survives(&json!({"model": "claude-x", "max_tokens": 9, "output_config": {"effort": "low"},
        "messages": [{"role": "user", "content": "a"}]}));
}

#[test]
fn types_from_the_future_pass() {
    assert_survives(&json!({"model": "claude-x", "max_tokens": 9, "thinking": {"type": "dreaming", "depth": 2},
        "tool_choice": {"type": "most", "of": 3}, "brand_new": {"a": 1}, "tools": [{"type": "x_20990101", "name": "x"}],
        "messages": [{"role": "user", "content": [{"type": "hologram", "data": "h"}]}]}));
}

#[test]
fn an_empty_signature_seals_nothing() {
    let body = json!({"messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "from elsewhere", "signature": ""}]}]});
    let chat = read(body).unwrap();
    let Part::Reasoning(thoughts) = &chat.messages[0].parts[0] else { panic!() };
    assert_eq!((thoughts.text.as_str(), &thoughts.seal), ("from elsewhere", &None));
}

#[test]
fn a_question_for_the_count_stays_one() {
    let body = json!({"model": "claude-x", "messages": [{"role": "user", "content": "a"}]});
    let chat = Anthropic.read_request("/v1/messages/count_tokens?beta=true", body.clone()).unwrap();
    assert_eq!(chat.origin, Some(Dialect::AnthropicCount));
    let out = Anthropic.write_request(&chat, &mut Losses::default());
    assert_eq!((out.target.as_str(), out.body), ("/v1/messages/count_tokens", body));
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    let cases = [
        (json!([]), ""),
        (json!({}), "messages"),
        (json!({"messages": "hi"}), "messages"),
        (json!({"messages": ["hi"]}), "messages[0]"),
        (json!({"messages": [{"role": "captain", "content": "a"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": [{"text": "a"}]}]}), "messages[0].content[0]"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}),
            "messages[0].content[0].text",
        ),
        (json!({"messages": [], "tools": [{"description": "d"}]}), "tools[0].name"),
        (json!({"messages": [], "stop_sequences": [1]}), "stop_sequences[0]"),
        (json!({"messages": [], "thinking": {"type": "enabled", "budget_tokens": -1}}), "thinking.budget_tokens"),
    ];
    for (body, path) in cases {
        assert_eq!(read(body.clone()).unwrap_err().path, path, "{body}");
    }
}
