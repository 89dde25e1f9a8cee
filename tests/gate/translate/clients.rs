//! Clients of each dialect: how they ask, and what they make of an answer. They are strict, as official SDKs are.

use serde_json::{Map, Value, json};

use super::scenes::Stop;
use crate::support::talk::Said;

/// A client's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// `OpenAI`'s chat.
    Chat,
    /// `OpenAI`'s older form.
    Completions,
    /// `OpenAI`'s Responses.
    Responses,
    /// Anthropic's.
    Anthropic,
    /// Ollama's chat.
    Ollama,
    /// Ollama's older form.
    Generate,
    /// Gemini's, with server-sent events.
    Gemini,
    /// Gemini's, with streams as one array.
    GeminiArray,
}

/// All of them.
pub(super) const CLIENTS: [Client; 8] = [
    Client::Chat,
    Client::Completions,
    Client::Responses,
    Client::Anthropic,
    Client::Ollama,
    Client::Generate,
    Client::Gemini,
    Client::GeminiArray,
];

/// What a client heard, in no dialect's words.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// The text.
    pub(super) text: String,
    /// Names and arguments of calls.
    pub(super) calls: Vec<(String, String)>,
    /// Why it ended.
    pub(super) stop: Option<Stop>,
    /// Tokens read and written.
    pub(super) usage: (u64, u64),
    /// Of those read: from a cache, where the dialect has it.
    pub(super) cached: Option<u64>,
    /// The model's name.
    pub(super) model: String,
}

// === impl Client ===

impl Client {
    /// Whether its dialect has tools.
    pub(super) fn has_tools(self) -> bool {
        !matches!(self, Self::Completions | Self::Generate)
    }

    /// Where it asks.
    pub(super) fn path(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Self::Chat, _) => "/v1/chat/completions",
            (Self::Completions, _) => "/v1/completions",
            (Self::Responses, _) => "/v1/responses",
            (Self::Anthropic, _) => "/v1/messages?beta=true",
            (Self::Ollama, _) => "/api/chat",
            (Self::Generate, _) => "/api/generate",
            (Self::Gemini | Self::GeminiArray, false) => "/v1beta/models/a-model:generateContent",
            (Self::Gemini, true) => "/v1beta/models/a-model:streamGenerateContent?alt=sse",
            (Self::GeminiArray, true) => "/v1beta/models/a-model:streamGenerateContent",
        }
    }

    /// What it asks: always the same.
    pub(super) fn body(self, stream: bool) -> String {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let system = "be brief";
        let user = "how is the weather in Z\u{fc}rich?";
        let function = |name: &str| json!({"name": name, "description": "looks", "parameters": schema});
        let tools = |wrap: &dyn Fn(Value) -> Value| ["weather", "now"].map(|name| wrap(function(name)));
        let mut body = match self {
            Self::Chat => json!({
                "model": "a-model", "max_tokens": 100, "stream": stream,
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
                "tools": tools(&|function| json!({"type": "function", "function": function})),
            }),
            Self::Completions => json!({"model": "a-model", "max_tokens": 100, "stream": stream, "prompt": user}),
            Self::Responses => json!({
                "model": "a-model", "max_output_tokens": 100, "stream": stream, "instructions": system,
                "input": [{"role": "user", "content": [{"type": "input_text", "text": user}]}],
                "tools": tools(&|mut function| { function["type"] = json!("function"); function }),
            }),
            Self::Anthropic => json!({
                "model": "a-model", "max_tokens": 100, "stream": stream, "system": [{"type": "text", "text": system}],
                "messages": [{"role": "user", "content": user}],
                "tools": tools(&|function| json!({"name": function["name"], "description": "looks", "input_schema": schema})),
            }),
            Self::Ollama => json!({
                "model": "a-model", "stream": stream, "options": {"num_predict": 100},
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
                "tools": tools(&|function| json!({"type": "function", "function": function})),
            }),
            Self::Generate => json!({
                "model": "a-model", "stream": stream, "options": {"num_predict": 100}, "system": system, "prompt": user,
            }),
            Self::Gemini | Self::GeminiArray => json!({
                "contents": [{"role": "user", "parts": [{"text": user}]}],
                "systemInstruction": {"parts": [{"text": system}]},
                "generationConfig": {"maxOutputTokens": 100},
                "tools": [{"functionDeclarations": tools(&|function| function)}],
            }),
        };
        if stream && matches!(self, Self::Chat | Self::Completions) {
            body["stream_options"] = json!({"include_usage": true});
        }
        body.to_string()
    }

    /// The media type of its streams.
    pub(super) fn stream_type(self) -> &'static str {
        match self {
            Self::Ollama | Self::Generate => "application/x-ndjson",
            Self::GeminiArray => "application/json",
            _ => "text/event-stream",
        }
    }

    /// What it makes of a whole answer.
    pub(super) fn hear(self, said: &Said) -> Heard {
        assert!(said.header("content-type").unwrap().starts_with("application/json"), "{}", said.head);
        let answer = said.json();
        match self {
            Self::Chat => chat(&answer),
            Self::Completions => completion(&answer),
            Self::Responses => response(&answer),
            Self::Anthropic => message(&answer),
            Self::Ollama | Self::Generate => ollama(&answer),
            Self::Gemini | Self::GeminiArray => gemini(std::slice::from_ref(&answer)),
        }
    }
}

/// Tokens read and written.
pub(super) fn tokens(usage: &Value, read: &str, written: &str) -> (u64, u64) {
    let count = |name: &str| usage[name].as_u64().unwrap_or_else(|| panic!("no {name} in {usage}"));
    (count(read), count(written))
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `OpenAI`'s word for an end.
pub(super) fn chat_stop(word: &Value) -> Stop {
    match word.as_str() {
        Some("stop") => Stop::End,
        Some("length") => Stop::Length,
        Some("tool_calls") => Stop::Tool,
        other => panic!("finish_reason {other:?}"),
    }
}

fn chat(answer: &Value) -> Heard {
    assert_eq!(answer["object"], "chat.completion");
    assert!(answer["id"].is_string() && answer["created"].is_i64(), "{answer}");
    let message = &answer["choices"][0]["message"];
    assert_eq!(message["role"], "assistant");
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| {
        assert_eq!(call["type"], "function");
        assert!(call["id"].as_str().is_some_and(|id| !id.is_empty()), "{call}");
        (text(&call["function"]["name"]), text(&call["function"]["arguments"]))
    });
    Heard {
        text: text(&message["content"]),
        calls: calls.collect(),
        stop: Some(chat_stop(&answer["choices"][0]["finish_reason"])),
        usage: tokens(&answer["usage"], "prompt_tokens", "completion_tokens"),
        cached: answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64(),
        model: text(&answer["model"]),
    }
}

fn completion(answer: &Value) -> Heard {
    assert_eq!(answer["object"], "text_completion");
    Heard {
        text: text(&answer["choices"][0]["text"]),
        stop: Some(chat_stop(&answer["choices"][0]["finish_reason"])),
        usage: tokens(&answer["usage"], "prompt_tokens", "completion_tokens"),
        model: text(&answer["model"]),
        ..Heard::default()
    }
}

pub(super) fn response(answer: &Value) -> Heard {
    assert_eq!(answer["object"], "response");
    for field in ["id", "created_at", "parallel_tool_calls", "tool_choice", "tools"] {
        assert!(!answer[field].is_null(), "the SDK needs {field}: {answer}");
    }
    let (mut said, mut calls) = (String::new(), Vec::new());
    for item in answer["output"].as_array().unwrap() {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().unwrap() {
                    assert_eq!(part["type"], "output_text");
                    assert!(part["annotations"].is_array(), "{part}");
                    said += part["text"].as_str().unwrap();
                }
            }
            Some("function_call") => {
                assert!(item["call_id"].is_string() && item["id"].is_string(), "{item}");
                calls.push((text(&item["name"]), text(&item["arguments"])));
            }
            other => panic!("an item of type {other:?}"),
        }
    }
    let stop = match answer["status"].as_str() {
        Some("completed") if calls.is_empty() => Stop::End,
        Some("completed") => Stop::Tool,
        Some("incomplete") if answer["incomplete_details"]["reason"] == "max_output_tokens" => Stop::Length,
        _ => panic!("{answer}"),
    };
    Heard {
        text: said,
        calls,
        stop: Some(stop),
        usage: tokens(&answer["usage"], "input_tokens", "output_tokens"),
        cached: answer["usage"]["input_tokens_details"]["cached_tokens"].as_u64(),
        model: text(&answer["model"]),
    }
}

/// Anthropic's word for an end.
pub(super) fn anthropic_stop(word: &Value) -> Stop {
    match word.as_str() {
        Some("end_turn") => Stop::End,
        Some("max_tokens") => Stop::Length,
        Some("tool_use") => Stop::Tool,
        other => panic!("stop_reason {other:?}"),
    }
}

/// Anthropic counts tokens of a cache apart.
pub(super) fn anthropic_usage(usage: &Value) -> ((u64, u64), Option<u64>) {
    let (input, output) = tokens(usage, "input_tokens", "output_tokens");
    let cached = usage["cache_read_input_tokens"].as_u64();
    let written = usage["cache_creation_input_tokens"].as_u64().unwrap_or_default();
    ((input + cached.unwrap_or_default() + written, output), cached)
}

fn message(answer: &Value) -> Heard {
    assert_eq!((&answer["type"], &answer["role"]), (&json!("message"), &json!("assistant")));
    let mut heard = Heard { stop: Some(anthropic_stop(&answer["stop_reason"])), ..Heard::default() };
    for block in answer["content"].as_array().unwrap() {
        match block["type"].as_str() {
            Some("text") => heard.text += block["text"].as_str().unwrap(),
            Some("tool_use") => {
                assert!(block["input"].is_object() && block["id"].is_string(), "{block}");
                heard.calls.push((text(&block["name"]), block["input"].to_string()));
            }
            other => panic!("a block of type {other:?}"),
        }
    }
    (heard.usage, heard.cached) = anthropic_usage(&answer["usage"]);
    Heard { model: text(&answer["model"]), ..heard }
}

/// A whole answer of Ollama's, or the last line of its stream.
pub(super) fn ollama(answer: &Value) -> Heard {
    assert_eq!(answer["done"], true);
    let message = &answer["message"];
    let calls: Vec<_> = ollama_calls(message).collect();
    let stop = match answer["done_reason"].as_str() {
        Some("length") => Stop::Length,
        Some("stop") => Stop::End,
        other => panic!("done_reason {other:?}"),
    };
    Heard {
        text: text(if message.is_null() { &answer["response"] } else { &message["content"] }),
        stop: Some(if calls.is_empty() { stop } else { Stop::Tool }),
        calls,
        usage: tokens(answer, "prompt_eval_count", "eval_count"),
        cached: None,
        model: text(&answer["model"]),
    }
}

/// The calls of a message of Ollama's.
pub(super) fn ollama_calls(message: &Value) -> impl Iterator<Item = (String, String)> {
    message["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let arguments = &call["function"]["arguments"];
        assert!(arguments.is_object(), "{call}");
        (text(&call["function"]["name"]), arguments.to_string())
    })
}

/// The chunks of an answer of Gemini's, or the only one.
pub(super) fn gemini(chunks: &[Value]) -> Heard {
    let mut heard = Heard::default();
    let mut word = Value::Null;
    for chunk in chunks {
        let candidate = &chunk["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            heard.text += part["text"].as_str().unwrap_or_default();
            if let Some(call) = part["functionCall"].as_object() {
                let none = json!({});
                heard.calls.push((text(&call["name"]), call.get("args").unwrap_or(&none).to_string()));
            }
        }
        if !candidate["finishReason"].is_null() {
            assert_eq!(word, Value::Null, "one reason");
            word = candidate["finishReason"].clone();
        }
    }
    let last = chunks.last().map_or(&Map::new(), |chunk| chunk.as_object().unwrap()).clone();
    let usage = &last["usageMetadata"];
    heard.stop = match word.as_str() {
        Some("STOP") if heard.calls.is_empty() => Some(Stop::End),
        Some("STOP") => Some(Stop::Tool),
        Some("MAX_TOKENS") => Some(Stop::Length),
        other => panic!("finishReason {other:?} in {chunks:?}"),
    };
    let (input, output) = tokens(usage, "promptTokenCount", "candidatesTokenCount");
    assert_eq!(usage["totalTokenCount"], input + output);
    Heard {
        usage: (input, output),
        cached: usage["cachedContentTokenCount"].as_u64(),
        model: text(&last["modelVersion"]),
        ..heard
    }
}
