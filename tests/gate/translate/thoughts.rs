//! Sealed thoughts of Anthropic's: they come back verbatim to their maker though the client's dialect has no room for
//! them, and to nobody else.

use serde_json::{Value, json};

use super::gate;
use crate::support::bundle::Bundled;
use crate::support::service::{Heard, Service, chunked, json as json_answer, say};
use crate::support::talk::Talk;

const CHAT: &str = "/v1/chat/completions";

/// A seal that no re-encoding must touch.
const SIGNATURE: &str = "EqQBCkgIARABGAIiQL8+/==x\u{e9}";

/// The thoughts.
const THOUGHTS: &str = "The user wants Z\u{fc}rich.\n\n\"Let me look.\"";

/// What Anthropic answers first, then the text that ends the turn.
fn upstream(streams: bool) -> Service {
    Service::start(move |heard, out| {
        let done = heard.text().contains("tool_result");
        let content = if done {
            json!([{"type": "text", "text": "It rains."}])
        } else {
            json!([
                {"type": "thinking", "thinking": THOUGHTS, "signature": SIGNATURE},
                {"type": "redacted_thinking", "data": "b3Bh+cXVl/Q=="},
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "toolu_7", "name": "weather", "input": {"city": "Z\u{fc}rich"}},
            ])
        };
        if streams {
            say(out, chunked("text/event-stream", stream(&content).as_bytes().chunks(11)))
        } else {
            say(out, json_answer(&whole(&content)))
        }
    })
}

fn whole(content: &Value) -> String {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
           "stop_reason": "tool_use", "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 6}})
    .to_string()
}

/// The same as events: texts in two pieces, the seal in one at the end of its block.
fn stream(content: &Value) -> String {
    let event = |value: &Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap());
    let mut text =
        event(&json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude", "content": [], "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}}));
    for (index, block) in content.as_array().unwrap().iter().enumerate() {
        let kind = block["type"].as_str().unwrap();
        let pieces = |field: &str, delta: &str, all: &str| -> Vec<Value> {
            let middle = all.char_indices().nth(all.chars().count() / 2).map_or(0, |(at, _)| at);
            let (one, two) = all.split_at(middle);
            [one, two].map(|piece| json!({"type": delta, field: piece})).to_vec()
        };
        let said = |field: &str| block[field].as_str().unwrap();
        let (begin, deltas) = match kind {
            "thinking" => {
                let mut deltas = pieces("thinking", "thinking_delta", said("thinking"));
                deltas.push(json!({"type": "signature_delta", "signature": said("signature")}));
                (json!({"type": kind, "thinking": "", "signature": ""}), deltas)
            }
            "text" => (json!({"type": kind, "text": ""}), pieces("text", "text_delta", said("text"))),
            "tool_use" => {
                let arguments = block["input"].to_string();
                let begin = json!({"type": kind, "id": block["id"], "name": block["name"], "input": {}});
                (begin, pieces("partial_json", "input_json_delta", &arguments))
            }
            _ => (block.clone(), Vec::new()),
        };
        text += &event(&json!({"type": "content_block_start", "index": index, "content_block": begin}));
        for delta in deltas {
            text += &event(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        text += &event(&json!({"type": "content_block_stop", "index": index}));
    }
    text += &event(
        &json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 6}}),
    );
    text + &event(&json!({"type": "message_stop"}))
}

/// The client's first turn.
fn first(stream: bool) -> Value {
    json!({"model": "claude", "max_tokens": 4000, "stream": stream, "reasoning_effort": "high",
           "messages": [{"role": "user", "content": "weather?"}],
           "tools": [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]})
}

/// Its second: what an SDK makes of the first answer, and the tool's result.
fn second(stream: bool) -> Value {
    let mut body = first(stream);
    let call = json!({"id": "toolu_7", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Z\u{fc}rich\"}"}});
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": "Looking.", "tool_calls": [call]}));
    messages.push(json!({"role": "tool", "tool_call_id": "toolu_7", "content": "rain"}));
    body
}

/// The parts of the assistant's turn as the upstream was sent it.
fn sent(heard: &Heard) -> Vec<Value> {
    let body = heard.json();
    let turn =
        body["messages"].as_array().unwrap().iter().find(|message| message["role"] == "assistant").unwrap().clone();
    turn["content"].as_array().unwrap_or_else(|| panic!("{turn}")).clone()
}

fn kinds(parts: &[Value]) -> Vec<&str> {
    parts.iter().map(|part| part["type"].as_str().unwrap()).collect()
}

fn with_key(key: &str) -> [(&str, &str); 1] {
    [("Authorization", key)]
}

fn played(gate: &Bundled, stream: bool) -> Talk {
    let mut talk = gate.talk();
    let said = talk.post(CHAT, &with_key("Bearer anna"), &first(stream).to_string());
    assert_eq!((said.status, said.whole), (200, true), "{}", said.text());
    assert!(
        !said.text().contains("EqQBCkg") && !said.text().contains("b3Bh"),
        "a client cannot carry it: {}",
        said.text()
    );
    talk
}

#[test]
fn thoughts_come_back_verbatim_with_the_tool_s_result() {
    for stream in [false, true] {
        let upstream = upstream(stream);
        let gate = gate("anthropic", &upstream, "");
        let mut talk = played(&gate, stream);
        let said = talk.post(CHAT, &with_key("Bearer anna"), &second(stream).to_string());
        assert_eq!(said.status, 200, "{}", said.text());
        let parts = sent(&upstream.heard()[1]);
        assert_eq!(kinds(&parts), ["thinking", "redacted_thinking", "text", "tool_use"], "{parts:?}");
        assert_eq!(parts[0], json!({"type": "thinking", "thinking": THOUGHTS, "signature": SIGNATURE}));
        assert_eq!(parts[1], json!({"type": "redacted_thinking", "data": "b3Bh+cXVl/Q=="}));
        assert_eq!(parts[3]["input"], json!({"city": "Z\u{fc}rich"}));
    }
}

#[test]
fn nobody_else_s_turn_finds_them() {
    for stream in [false, true] {
        let upstream = upstream(stream);
        let gate = gate("anthropic", &upstream, "");
        let mut talk = played(&gate, stream);
        for key in ["Bearer ben", ""] {
            talk.post(CHAT, &with_key(key), &second(stream).to_string());
            let parts = sent(upstream.heard().last().unwrap());
            assert_eq!(kinds(&parts), ["text", "tool_use"], "{key}: {parts:?}");
        }
    }
}

#[test]
fn another_maker_s_upstream_is_not_sent_them() {
    let anthropic = upstream(true);
    let gemini = Service::saying(json_answer("{}"));
    let settings = format!(
        "[upstreams.a]\nurl = \"{}\"\ndialect = \"anthropic\"\n[upstreams.g]\nurl = \"{}\"\ndialect = \"gemini\"\n[[policies]]\nfile = \"p.lua\"\n",
        anthropic.url(),
        gemini.url()
    );
    let lua =
        "return policy { api = 1, route = function(req) return { upstream = req.headers:get(\"x-to\") or \"a\" } end }";
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    let mut talk = played(&gate, true);
    talk.post(CHAT, &[("Authorization", "Bearer anna"), ("X-To", "g")], &second(false).to_string());
    let heard = gemini.heard()[0].text();
    assert!(!heard.contains("EqQBCkg") && !heard.contains("b3Bh"), "{heard}");
}

#[test]
fn a_turn_without_calls_is_found_by_its_text_at_once() {
    let upstream = Service::start(|_, out| {
        let all = stream(
            &json!([{"type": "thinking", "thinking": THOUGHTS, "signature": SIGNATURE}, {"type": "text", "text": "Hello."}]),
        );
        say(out, chunked("text/event-stream", [all]))
    });
    let gate = gate("anthropic", &upstream, "");
    let said = gate.talk().post(CHAT, &with_key("Bearer anna"), &first(true).to_string());
    assert!(said.text().contains("Hel"), "{}", said.text());
    let mut again = first(false);
    again["messages"].as_array_mut().unwrap().push(json!({"role": "assistant", "content": "Hello."}));
    again["messages"].as_array_mut().unwrap().push(json!({"role": "user", "content": "and now?"}));
    gate.talk().post(CHAT, &with_key("Bearer anna"), &again.to_string());
    let parts = sent(&upstream.heard()[1]);
    assert_eq!(kinds(&parts), ["thinking", "text"], "{parts:?}");
}
