//! What clients make of streams. Each event has its place: one that stands elsewhere fails the test.

use serde_json::{Value, json};

use super::clients::{self, Client, Heard, text, tokens};
use super::scenes::Stop;
use crate::support::talk::Said;

// === impl Client ===

impl Client {
    /// What it makes of a stream.
    pub(super) fn hear_stream(self, said: &Said) -> Heard {
        assert!(said.whole, "{}", said.text());
        assert!(said.header("content-type").unwrap().starts_with(self.stream_type()), "{}", said.head);
        let body = said.text();
        match self {
            Self::Chat => chat(&body, "chat.completion.chunk"),
            Self::Completions => chat(&body, "text_completion"),
            Self::Responses => responses(&body),
            Self::Anthropic => anthropic(&body),
            Self::Ollama | Self::Generate => ollama(&body),
            Self::Gemini => {
                clients::gemini(&events(&body).into_iter().map(|(_, data)| json_of(&data)).collect::<Vec<_>>())
            }
            Self::GeminiArray => {
                let array: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
                clients::gemini(array.as_array().unwrap())
            }
        }
    }
}

/// The events of a text: names and data.
pub(super) fn events(body: &str) -> Vec<(String, String)> {
    let body = body.replace("\r\n", "\n");
    assert!(body.is_empty() || body.ends_with("\n\n"), "the last event is whole: {body:?}");
    let blocks = body.split("\n\n").filter(|block| !block.is_empty());
    let field = |block: &str, name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()).collect::<Vec<_>>().join("\n")
    };
    blocks.map(|block| (field(block, "event:"), field(block, "data:"))).collect()
}

fn json_of(data: &str) -> Value {
    serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data:?}"))
}

fn chat(body: &str, object: &str) -> Heard {
    let mut all = events(body);
    assert_eq!(all.pop(), Some((String::new(), "[DONE]".to_owned())), "{body}");
    let chunks: Vec<Value> = all.iter().map(|(_, data)| json_of(data)).collect();
    let mut heard = Heard { model: text(&chunks[0]["model"]), ..Heard::default() };
    let mut ids: Vec<String> = Vec::new();
    for (at, chunk) in chunks.iter().enumerate() {
        assert_eq!((&chunk["object"], &chunk["id"]), (&json!(object), &chunks[0]["id"]), "{body}");
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            assert_eq!(at, chunks.len() - 1, "usage stands last: {body}");
            assert_eq!(chunk["choices"], json!([]));
            heard.usage = tokens(usage, "prompt_tokens", "completion_tokens");
            heard.cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64();
            continue;
        }
        let choice = &chunk["choices"][0];
        assert!(heard.stop.is_none(), "nothing comes after the reason: {body}");
        if object == "text_completion" {
            heard.text += choice["text"].as_str().unwrap();
        } else {
            assert_eq!(at == 0, choice["delta"]["role"] == "assistant", "{body}");
            heard.text += choice["delta"]["content"].as_str().unwrap_or_default();
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                if let Some(name) = call["function"]["name"].as_str() {
                    assert_eq!((index, &call["type"]), (heard.calls.len(), &json!("function")), "{body}");
                    heard.calls.push((name.to_owned(), String::new()));
                    ids.push(text(&call["id"]));
                }
                heard.calls[index].1 += call["function"]["arguments"].as_str().unwrap_or_default();
            }
        }
        if !choice["finish_reason"].is_null() {
            heard.stop = Some(clients::chat_stop(&choice["finish_reason"]));
        }
    }
    assert!(ids.iter().enumerate().all(|(at, id)| !id.is_empty() && !ids[..at].contains(id)), "{ids:?}");
    heard
}

/// A stream of Responses says everything several times, which must agree. Items begin in order, and may overlap.
fn responses(body: &str) -> Heard {
    let all = events(body);
    let mut items: Vec<Value> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    for (number, (name, data)) in all.iter().enumerate() {
        let event = json_of(data);
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(number)), "{body}");
        assert_eq!(number == 0, name == "response.created", "{body}");
        let at = event["output_index"].as_u64().map_or(0, |at| usize::try_from(at).unwrap());
        assert!(name == "response.output_item.added" || at == 0 || items[at].is_null(), "a whole item goes on: {body}");
        match name.as_str() {
            "response.created" | "response.in_progress" => assert_eq!(event["response"]["status"], "in_progress"),
            "response.output_item.added" => {
                assert_eq!(at, items.len(), "{body}");
                items.push(Value::Null);
                said.push(String::new());
            }
            "response.content_part.added" | "response.content_part.done" => {}
            "response.output_text.delta" | "response.function_call_arguments.delta" => {
                said[at] += event["delta"].as_str().unwrap();
            }
            "response.output_text.done" => assert_eq!(event["text"], said[at], "{body}"),
            "response.function_call_arguments.done" => {
                assert!(event["arguments"] == said[at] || said[at].is_empty() && event["arguments"] == "{}", "{body}");
            }
            "response.output_item.done" => items[at] = event["item"].clone(),
            "response.completed" | "response.incomplete" => {
                assert_eq!(number, all.len() - 1, "{body}");
                assert_eq!(event["response"]["output"], Value::Array(items), "{body}");
                return clients::response(&event["response"]);
            }
            other => panic!("an event {other}"),
        }
    }
    panic!("no end: {body}")
}

fn anthropic(body: &str) -> Heard {
    let all = events(body);
    let mut heard = Heard::default();
    let mut open: Option<Value> = None;
    let mut blocks = 0;
    for (at, (name, data)) in all.iter().enumerate() {
        let event = json_of(data);
        assert_eq!(&event["type"], name, "{body}");
        assert_eq!((at == 0, at == all.len() - 1), (name == "message_start", name == "message_stop"), "{body}");
        match name.as_str() {
            "message_start" => {
                heard.model = text(&event["message"]["model"]);
                assert_eq!(event["message"]["content"], json!([]), "{body}");
                assert!(event["message"]["usage"]["input_tokens"].is_u64(), "{body}");
            }
            "content_block_start" => {
                assert!(open.is_none() && event["index"] == blocks, "{body}");
                let block = event["content_block"].clone();
                if block["type"] == "tool_use" {
                    assert_eq!(block["input"], json!({}), "{body}");
                    heard.calls.push((text(&block["name"]), String::new()));
                }
                open = Some(block);
            }
            "content_block_delta" => {
                let delta = &event["delta"];
                assert_eq!(event["index"], blocks, "{body}");
                match (open.as_ref().unwrap()["type"].as_str(), delta["type"].as_str()) {
                    (Some("text"), Some("text_delta")) => heard.text += delta["text"].as_str().unwrap(),
                    (Some("tool_use"), Some("input_json_delta")) => {
                        heard.calls.last_mut().unwrap().1 += delta["partial_json"].as_str().unwrap();
                    }
                    other => panic!("{other:?} in {body}"),
                }
            }
            "content_block_stop" => {
                assert!(open.take().is_some() && event["index"] == blocks, "{body}");
                blocks += 1;
            }
            "message_delta" => {
                assert!(open.is_none() && heard.stop.is_none(), "{body}");
                heard.stop = Some(clients::anthropic_stop(&event["delta"]["stop_reason"]));
                (heard.usage, heard.cached) = clients::anthropic_usage(&event["usage"]);
            }
            "message_stop" | "ping" => {}
            other => panic!("an event {other}"),
        }
    }
    for (_, arguments) in heard.calls.iter_mut().filter(|(_, arguments)| arguments.is_empty()) {
        "{}".clone_into(arguments);
    }
    heard
}

fn ollama(body: &str) -> Heard {
    let lines: Vec<Value> = body.lines().map(json_of).collect();
    let (last, before) = lines.split_last().unwrap();
    let mut heard = Heard::default();
    for line in before {
        assert_eq!(line["done"], false, "{body}");
        let message = &line["message"];
        heard.text += &text(if message.is_null() { &line["response"] } else { &message["content"] });
        heard.calls.extend(clients::ollama_calls(message));
    }
    let end = clients::ollama(last);
    heard.text += &end.text;
    heard.calls.extend(end.calls);
    let stop = if heard.calls.is_empty() { end.stop } else { Some(Stop::Tool) };
    Heard { stop, usage: end.usage, model: end.model, ..heard }
}
