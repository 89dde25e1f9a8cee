//! Upstreams of each dialect: their answers have the shapes that the real ones have.

use serde_json::{Value, json};

use super::scenes::{Scene, Stop};
use crate::support::service::{Service, chunked, json as json_answer, say};

/// An upstream's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Up {
    /// `OpenAI`'s chat.
    Chat,
    /// `OpenAI`'s Responses.
    Responses,
    /// Anthropic's.
    Anthropic,
    /// Ollama's.
    Ollama,
    /// Gemini's.
    Gemini,
}

/// All of them.
pub(super) const UPS: [Up; 5] = [Up::Chat, Up::Responses, Up::Anthropic, Up::Ollama, Up::Gemini];

// === impl Up ===

impl Up {
    /// Its name in settings.
    pub(super) fn setting(self) -> &'static str {
        match self {
            Self::Chat => "openai-chat",
            Self::Responses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
            Self::Gemini => "gemini",
        }
    }

    /// An upstream that plays the scene that the request's `x-scene` names; with `x-form`, whole or streamed whatever
    /// it was asked for.
    pub(super) fn start(self) -> Service {
        Service::start(move |heard, stream| {
            let scene = Scene::named(heard.header("x-scene").unwrap());
            let streams = heard.header("x-form").map_or_else(|| self.asked(heard).stream, |form| form == "stream");
            say(stream, if streams { self.streamed(&scene, heard.number) } else { json_answer(&self.whole(&scene)) })
        })
    }

    /// Its word for the end of an answer.
    fn word(self, stop: Stop) -> &'static str {
        match (self, stop) {
            (Self::Chat | Self::Ollama, Stop::End) | (Self::Ollama, Stop::Tool) => "stop",
            (Self::Chat | Self::Ollama, Stop::Length) => "length",
            (Self::Chat, Stop::Tool) => "tool_calls",
            (Self::Responses, Stop::Length) => "incomplete",
            (Self::Responses, _) => "completed",
            (Self::Anthropic, Stop::End) => "end_turn",
            (Self::Anthropic, Stop::Length) => "max_tokens",
            (Self::Anthropic, Stop::Tool) => "tool_use",
            (Self::Gemini, Stop::Length) => "MAX_TOKENS",
            (Self::Gemini, _) => "STOP",
        }
    }

    /// Its body of a whole answer.
    pub(super) fn whole(self, scene: &Scene) -> String {
        let word = self.word(scene.stop);
        let answer = match self {
            Self::Chat => {
                let calls = scene.calls.iter().enumerate().map(|(at, call)| {
                    json!({"id": format!("call_{at}"), "type": "function", "function": {"name": call.name, "arguments": call.all()}})
                });
                let mut message =
                    json!({"role": "assistant", "content": scene.all(), "refusal": null, "annotations": []});
                if !scene.calls.is_empty() {
                    message["tool_calls"] = calls.collect();
                }
                json!({
                    "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "the-model",
                    "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": word}],
                    "usage": chat_usage(scene), "service_tier": "default", "system_fingerprint": "fp_1",
                })
            }
            Self::Responses => responses(scene, word),
            Self::Anthropic => {
                let text = (!scene.text.is_empty()).then(|| json!({"type": "text", "text": scene.all()}));
                let calls = scene.calls.iter().enumerate().map(|(at, call)| {
                    json!({"type": "tool_use", "id": format!("toolu_{at}"), "name": call.name, "input": object(&call.all())})
                });
                json!({
                    "id": "msg_1", "type": "message", "role": "assistant", "model": "the-model",
                    "content": text.into_iter().chain(calls).collect::<Vec<_>>(),
                    "stop_reason": word, "stop_sequence": null, "usage": anthropic_usage(scene, scene.output),
                })
            }
            Self::Ollama => ollama_last(scene, word, scene.all(), true),
            Self::Gemini => gemini(scene, &scene.all(), true, Some(word)),
        };
        answer.to_string()
    }

    /// Its stream, whose pieces are cut by `number`.
    pub(super) fn streamed(self, scene: &Scene, number: usize) -> Vec<u8> {
        let kind = if self == Self::Ollama { "application/x-ndjson" } else { "text/event-stream; charset=utf-8" };
        chunked(kind, self.stream(scene).as_bytes().chunks(7 + number % 90))
    }

    /// The text of its stream.
    pub(super) fn stream(self, scene: &Scene) -> String {
        let word = self.word(scene.stop);
        match self {
            Self::Chat => chat_stream(scene, word),
            Self::Responses => responses_stream(scene, word),
            Self::Anthropic => anthropic_stream(scene, word),
            Self::Ollama => {
                let lines = scene.text.iter().map(|piece| {
                    json!({"model": "the-model", "created_at": "2025-01-02T03:04:05.678Z",
                           "message": {"role": "assistant", "content": piece}, "done": false})
                });
                let mut text: String = lines.map(|line| format!("{line}\n")).collect();
                if !scene.calls.is_empty() {
                    text = format!("{text}{}\n", ollama_calls(scene));
                }
                text + &format!("{}\n", ollama_last(scene, word, String::new(), false))
            }
            Self::Gemini => {
                let mut chunks: Vec<Value> = scene.text.iter().map(|piece| gemini(scene, piece, false, None)).collect();
                chunks.push(gemini(scene, "", true, Some(word)));
                chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect()
            }
        }
    }
}

fn object(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn named(value: &Value) -> String {
    format!("event: {}\n{}", value["type"].as_str().unwrap(), event(value))
}

fn chat_usage(scene: &Scene) -> Value {
    json!({
        "prompt_tokens": scene.input, "completion_tokens": scene.output, "total_tokens": scene.input + scene.output,
        "prompt_tokens_details": {"cached_tokens": scene.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

fn chat_stream(scene: &Scene, word: &str) -> String {
    let chunk = |delta: Value, finish: Value| {
        event(&json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "the-model",
            "service_tier": "default", "system_fingerprint": "fp_1",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
            "usage": null, "obfuscation": "x7Ab",
        }))
    };
    let mut text = chunk(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    for piece in scene.text {
        text += &chunk(json!({"content": piece}), Value::Null);
    }
    for (index, call) in scene.calls.iter().enumerate() {
        let begin = json!({"index": index, "id": format!("call_{index}"), "type": "function",
                           "function": {"name": call.name, "arguments": ""}});
        text += &chunk(json!({"tool_calls": [begin]}), Value::Null);
        for piece in call.arguments {
            text += &chunk(json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}), Value::Null);
        }
    }
    text += &chunk(json!({}), json!(word));
    text += &event(&json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "the-model",
        "choices": [], "usage": chat_usage(scene),
    }));
    text + "data: [DONE]\n\n"
}

fn responses_usage(scene: &Scene) -> Value {
    json!({
        "input_tokens": scene.input, "input_tokens_details": {"cached_tokens": scene.cached},
        "output_tokens": scene.output, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": scene.input + scene.output,
    })
}

fn responses_message(text: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
           "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": text}]})
}

fn responses_call(at: usize, name: &str, arguments: &str) -> Value {
    json!({"id": format!("fc_{at}"), "type": "function_call", "status": "completed", "arguments": arguments,
           "call_id": format!("call_{at}"), "name": name})
}

fn responses(scene: &Scene, word: &str) -> Value {
    let message = (!scene.text.is_empty()).then(|| responses_message(&scene.all()));
    let calls = scene.calls.iter().enumerate().map(|(at, call)| responses_call(at, call.name, &call.all()));
    let why = if word == "incomplete" { json!({"reason": "max_output_tokens"}) } else { Value::Null };
    json!({
        "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": word, "background": false,
        "error": null, "incomplete_details": why, "instructions": null, "max_output_tokens": 100, "model": "the-model",
        "output": message.into_iter().chain(calls).collect::<Vec<_>>(),
        "parallel_tool_calls": true, "store": false, "temperature": 1.0, "tool_choice": "auto", "top_p": 1.0,
        "usage": responses_usage(scene), "metadata": {},
    })
}

fn responses_stream(scene: &Scene, word: &str) -> String {
    let mut events = Vec::new();
    let mut begun = responses(scene, "in_progress");
    (begun["output"], begun["usage"]) = (json!([]), Value::Null);
    events.push(json!({"type": "response.created", "response": begun}));
    events.push(json!({"type": "response.in_progress", "response": begun}));
    let mut index = 0;
    if !scene.text.is_empty() {
        let at = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0});
        let with = |kind: &str, field: &str, value: Value| {
            let mut event = at.clone();
            (event["type"], event[field]) = (json!(kind), value);
            event
        };
        let empty =
            json!({"id": "msg_1", "type": "message", "status": "in_progress", "content": [], "role": "assistant"});
        let part = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
        events.push(json!({"type": "response.output_item.added", "output_index": 0, "item": empty}));
        events.push(with("response.content_part.added", "part", part("")));
        events.extend(scene.text.iter().map(|piece| with("response.output_text.delta", "delta", json!(piece))));
        events.push(with("response.output_text.done", "text", json!(scene.all())));
        events.push(with("response.content_part.done", "part", part(&scene.all())));
        events.push(
            json!({"type": "response.output_item.done", "output_index": 0, "item": responses_message(&scene.all())}),
        );
        index = 1;
    }
    for (at, call) in scene.calls.iter().enumerate() {
        let (place, id) = (index + at, format!("fc_{at}"));
        let mut item = responses_call(at, call.name, "");
        item["status"] = json!("in_progress");
        events.push(json!({"type": "response.output_item.added", "output_index": place, "item": item}));
        for piece in call.arguments {
            events.push(json!({"type": "response.function_call_arguments.delta", "item_id": id, "output_index": place, "delta": piece}));
        }
        events.push(json!({"type": "response.function_call_arguments.done", "item_id": id, "output_index": place, "arguments": call.all()}));
        let done = responses_call(at, call.name, &call.all());
        events.push(json!({"type": "response.output_item.done", "output_index": place, "item": done}));
    }
    events.push(json!({"type": format!("response.{word}"), "response": responses(scene, word)}));
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        event["sequence_number"] = json!(number);
        named(&event)
    });
    numbered.collect()
}

fn anthropic_usage(scene: &Scene, output: u64) -> Value {
    json!({
        "input_tokens": scene.input - scene.cached, "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": scene.cached, "output_tokens": output, "service_tier": "standard",
    })
}

fn anthropic_stream(scene: &Scene, word: &str) -> String {
    let mut text = named(&json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "the-model", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": anthropic_usage(scene, 1)}}));
    let mut index = 0;
    let mut block = |begin: Value, deltas: Vec<Value>| {
        let mut said = named(&json!({"type": "content_block_start", "index": index, "content_block": begin}));
        if index == 0 {
            said += "event: ping\ndata: {\"type\": \"ping\"}\n\n";
        }
        for delta in deltas {
            said += &named(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        said += &named(&json!({"type": "content_block_stop", "index": index}));
        index += 1;
        said
    };
    if !scene.text.is_empty() {
        let deltas = scene.text.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect();
        text += &block(json!({"type": "text", "text": ""}), deltas);
    }
    for (at, call) in scene.calls.iter().enumerate() {
        let begin = json!({"type": "tool_use", "id": format!("toolu_{at}"), "name": call.name, "input": {}});
        let pieces = std::iter::once(&"").chain(call.arguments);
        text += &block(begin, pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect());
    }
    text += &named(&json!({"type": "message_delta", "delta": {"stop_reason": word, "stop_sequence": null},
                           "usage": anthropic_usage(scene, scene.output)}));
    text + &named(&json!({"type": "message_stop"}))
}

fn ollama_calls(scene: &Scene) -> Value {
    let calls = scene.calls.iter().enumerate().map(
        |(index, call)| json!({"function": {"index": index, "name": call.name, "arguments": object(&call.all())}}),
    );
    json!({"model": "the-model", "created_at": "2025-01-02T03:04:05.678Z", "done": false,
           "message": {"role": "assistant", "content": "", "tool_calls": calls.collect::<Vec<_>>()}})
}

fn ollama_last(scene: &Scene, word: &str, text: String, calls: bool) -> Value {
    let mut answer = ollama_calls(scene);
    if !calls || scene.calls.is_empty() {
        answer["message"].as_object_mut().unwrap().remove("tool_calls");
    }
    answer["message"]["content"] = Value::String(text);
    let more = json!({"done": true, "done_reason": word, "total_duration": 900_000_000, "load_duration": 100_000,
                      "prompt_eval_count": scene.input, "prompt_eval_duration": 200_000_000,
                      "eval_count": scene.output, "eval_duration": 600_000_000});
    for (name, value) in more.as_object().unwrap() {
        answer[name] = value.clone();
    }
    answer
}

fn gemini(scene: &Scene, text: &str, calls: bool, word: Option<&str>) -> Value {
    let mut parts = Vec::new();
    if !text.is_empty() {
        parts.push(json!({"text": text}));
    }
    if calls {
        parts.extend(
            scene.calls.iter().map(|call| json!({"functionCall": {"name": call.name, "args": object(&call.all())}})),
        );
    }
    if parts.is_empty() {
        parts.push(json!({"text": ""}));
    }
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(word) = word {
        candidate["finishReason"] = json!(word);
    }
    let mut usage = json!({"promptTokenCount": scene.input, "candidatesTokenCount": scene.output,
                           "totalTokenCount": scene.input + scene.output});
    if scene.cached > 0 {
        usage["cachedContentTokenCount"] = json!(scene.cached);
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "the-model", "responseId": "r-1"})
}
