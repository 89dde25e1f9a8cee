//! Requests of Ollama clients, read and written back.

use super::*;
use crate::dialect::chat::{Format, Part, Role, Source, ThinkingMode, ToolChoice};

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn read(body: Value) -> Chat {
    OllamaChat.read_request("/api/chat", body).unwrap()
}

#[test]
fn a_request_that_does_not_say_streams() {
    let body = json!({"model": "m", "messages": [user("hi")]});
    assert!(read(body.clone()).stream);
    assert_eq!(round(&OllamaChat, body)["stream"], true);
    assert!(!read(json!({"model": "m", "stream": false})).stream);
}

#[test]
fn everything_a_chat_request_can_say_comes_back() {
    let body = json!({
        "model": "qwen3:8b", "stream": false, "think": "high", "keep_alive": "5m", "truncate": false,
        "logprobs": true, "top_logprobs": 3,
        "format": {"type": "object", "properties": {"z": {}, "a": {}}},
        "options": {
            "num_predict": 64, "temperature": 0.2, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "seed": 7,
            "frequency_penalty": 0.5, "presence_penalty": 1, "stop": ["END"], "num_ctx": 8192, "repeat_penalty": 1.1,
        },
        "tools": [
            {"type": "function", "function": {
                "name": "f", "description": "does f",
                "parameters": {"type": "object", "required": ["y"], "properties": {"y": {"type": "string"}}},
                "cost": 3,
            }, "items": 1},
            {"type": "web_search", "depth": 2},
        ],
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "what is it", "images": ["iVBORw0KGgoAAA", "Zm9v"], "mood": "calm"},
            {"role": "assistant", "content": "let me see", "thinking": "hm", "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": {"y": "1", "x": [2.50]}}},
            ]},
            {"role": "tool", "content": "nothing", "tool_name": "f", "tool_call_id": "c1"},
            {"role": "control", "content": "thinking"},
        ],
    });
    let back = round(&OllamaChat, body.clone());
    assert_eq!(back, body);
    assert_eq!(back["format"].to_string(), body["format"].to_string(), "the order of keys is kept");
}

#[test]
fn everything_a_generate_request_can_say_comes_back() {
    let body = json!({
        "model": "m", "stream": true, "prompt": "def f(", "suffix": "return x", "system": "code only",
        "template": "{{ .Prompt }}", "raw": true, "context": [1, 2, 3], "images": ["/9j/AA"], "keep_alive": 0,
        "format": "json", "think": false, "options": {"num_predict": -1, "seed": 1},
    });
    assert_eq!(round(&OllamaGenerate, body.clone()), body);
}

#[test]
fn fields_that_say_nothing_ask_for_nothing() {
    let chat = read(json!({
        "model": "m", "messages": [], "tools": null, "format": "", "options": {"stop": [], "seed": null},
        "keep_alive": null, "think": null, "stream": null,
    }));
    let plain =
        Chat { model: "m".to_owned(), origin: chat.origin, stream: true, stream_usage: true, ..Chat::default() };
    assert_eq!(chat, plain);
}

#[test]
fn a_generate_request_is_a_system_text_and_a_message() {
    let body = json!({"model": "m", "system": "s", "prompt": "p", "raw": false, "template": ""});
    let chat = OllamaGenerate.read_request("", body).unwrap();
    let said: Vec<_> = chat.messages.iter().map(|message| (message.role, message.text())).collect();
    assert_eq!(said, [(Role::System, "s".to_owned()), (Role::User, "p".to_owned())]);
    assert!(chat.extra.is_empty());
}

#[test]
fn an_unlimited_num_predict_is_no_limit_of_tokens() {
    let chat = read(json!({"model": "m", "options": {"num_predict": -1}}));
    assert_eq!(chat.sampling.max_tokens, None);
    assert_eq!(chat.extra["options"], json!({"num_predict": -1}));
}

#[test]
fn think_is_a_truth_value_or_a_level() {
    let think = |value: Value| read(json!({"model": "m", "think": value})).thinking.unwrap();
    assert_eq!(think(json!(true)).mode, ThinkingMode::On);
    assert_eq!(think(json!(false)).mode, ThinkingMode::Off);
    assert_eq!(think(json!("low")).effort.as_deref(), Some("low"));
}

#[test]
fn the_kind_of_a_picture_is_told_by_its_first_bytes() {
    let images = ["iVBORw0KGgoAAA", "/9j/4AAQ", "R0lGODlh", "UklGRgAA", "Zm9v"];
    let chat = read(json!({"model": "m", "messages": [{"role": "user", "images": images}]}));
    let kinds = chat.messages[0].parts.iter().map(|part| match part {
        Part::Image(media) => match &media.source {
            Source::Data { media_type, .. } => media_type.as_str(),
            _ => "no data",
        },
        _ => "no picture",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["image/png", "image/jpeg", "image/gif", "image/webp", ""]);
}

#[test]
fn results_without_an_id_find_the_oldest_open_call_of_their_tool() {
    let call = |name: &str| json!({"function": {"name": name, "arguments": {}}});
    let body = json!({"model": "m", "messages": [
        {"role": "assistant", "tool_calls": [call("a"), call("b"), call("a")]},
        {"role": "tool", "content": "1", "tool_name": "b"},
        {"role": "tool", "content": "2", "tool_name": "a"},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "4", "tool_name": "c"},
    ]});
    let chat = read(body.clone());
    let calls = chat.messages[0].parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.id.clone()),
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    let results = chat.messages[1..].iter().map(|message| match &message.parts[0] {
        Part::ToolResult(result) => (result.id.clone(), result.name.clone().unwrap()),
        other => panic!("{other:?}"),
    });
    let results: Vec<_> = results.collect();
    let named = |id: &String, name: &str| (id.clone(), name.to_owned());
    assert_eq!(results[..3], [named(&calls[1], "b"), named(&calls[0], "a"), named(&calls[2], "a")]);
    assert!(!calls.contains(&results[3].0), "a result of no call has an id of its own");
    let back = round(&OllamaChat, body);
    assert_eq!(back["messages"][0]["tool_calls"][0].get("id"), None, "made ids do not go to Ollama");
    assert_eq!(back["messages"][1].get("tool_call_id"), None);
}

#[test]
fn a_call_without_arguments_has_empty_braces() {
    let body = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]});
    let Part::ToolCall(call) = &read(body).messages[0].parts[0] else { panic!("no call") };
    assert_eq!(call.arguments, "{}");
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    let cases = [
        (json!([]), "body"),
        (json!({"messages": []}), "model"),
        (json!({"model": "m", "messages": {}}), "messages"),
        (json!({"model": "m", "messages": [{"content": "x"}]}), "messages[0].role"),
        (json!({"model": "m", "messages": [{"role": "user", "content": [1]}]}), "messages[0].content"),
        (json!({"model": "m", "messages": [{"role": "user", "images": [1]}]}), "messages[0].images[0]"),
        (json!({"model": "m", "messages": [{"role": "user", "tool_calls": [1]}]}), "messages[0].tool_calls[0]"),
        (json!({"model": "m", "stream": "yes"}), "stream"),
        (json!({"model": "m", "think": 1}), "think"),
        (json!({"model": "m", "options": 1}), "options"),
        (json!({"model": "m", "options": {"stop": [1]}}), "options.stop"),
        (json!({"model": "m", "tools": [{"function": 1}]}), "tools[0].function"),
    ];
    for (body, path) in cases {
        assert_eq!(OllamaChat.read_request("", body).unwrap_err().path, path);
    }
}

#[test]
fn a_generate_request_can_go_to_the_chat_call() {
    let body = json!({"model": "m", "prompt": "p", "suffix": "s", "keep_alive": "1m", "options": {"num_ctx": 9}});
    let chat = OllamaGenerate.read_request("", body).unwrap();
    let mut losses = Losses::default();
    let out = OllamaChat.write_request(&chat, &mut losses);
    assert_eq!(told(&losses), ["suffix dropped"]);
    assert_eq!(out.body["messages"], json!([user("p")]));
    assert_eq!((&out.body["keep_alive"], &out.body["options"]["num_ctx"]), (&json!("1m"), &json!(9)));
}

#[test]
fn a_chat_request_of_one_message_is_a_prompt() {
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "s"}, user("p")]});
    let mut losses = Losses::default();
    let out = OllamaGenerate.write_request(&read(body), &mut losses);
    assert_eq!((out.body["system"].as_str(), out.body["prompt"].as_str()), (Some("s"), Some("p")));
    assert!(losses.is_empty());
}

#[test]
fn a_conversation_becomes_a_transcript_and_says_so() {
    let call = json!({"function": {"name": "f", "arguments": {}}});
    let body = json!({"model": "m", "tools": [{"function": {"name": "f"}}], "messages": [
        user("a"),
        {"role": "assistant", "content": "b", "thinking": "t", "tool_calls": [call]},
        {"role": "tool", "content": "c", "tool_name": "f"},
    ]});
    let mut losses = Losses::default();
    let out = OllamaGenerate.write_request(&read(body), &mut losses);
    assert_eq!(out.body["prompt"], "User: a\n\nAssistant: b\n\nTool: c\n\nAssistant:");
    let lost = ["messages approximated", "messages[1] dropped", "messages[1].tool_calls dropped", "tools dropped"];
    assert_eq!(told(&losses), lost);
}

#[test]
fn a_format_that_is_neither_json_nor_a_schema_comes_back() {
    let chat = read(json!({"model": "m", "format": "yaml"}));
    assert_eq!(chat.format, Some(Format::Other(json!("yaml"))));
    assert_eq!(round(&OllamaChat, json!({"model": "m", "format": "yaml"}))["format"], "yaml");
}

#[test]
fn an_ollama_request_has_no_tool_choice() {
    assert_eq!(read(json!({"model": "m"})).tool_choice, None::<ToolChoice>);
}
