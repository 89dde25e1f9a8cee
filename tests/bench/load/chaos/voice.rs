//! How an answer stands on the wire, in `OpenAI`'s chat and in Anthropic's dialect.

use serde_json::{Value, json};

/// A dialect that an endpoint answers in and a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// `OpenAI`'s chat.
    Chat,
    /// Anthropic's Messages.
    Messages,
}

/// What a client read of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Its text.
    pub(crate) text: String,
    /// How often it began.
    pub(crate) begins: usize,
    /// How often it ended as its dialect ends.
    pub(crate) ends: usize,
    /// Whether it told of an error.
    pub(crate) error: bool,
}

// === impl Voice ===

impl Voice {
    /// A whole answer.
    pub(crate) fn whole(self, words: &[String]) -> String {
        let text = words.concat();
        let count = words.len();
        match self {
            Self::Chat => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "chat",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": 9 + count},
            }),
            Self::Messages => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 9, "output_tokens": count},
            }),
        }
        .to_string()
    }

    /// The events of a streamed answer: those before the words, one for each word, those behind them.
    pub(crate) fn events(self, words: &[String]) -> (Vec<String>, Vec<String>, Vec<String>) {
        match self {
            Self::Chat => chat_events(words),
            Self::Messages => messages_events(words),
        }
    }

    /// The event of an upstream that is overloaded.
    pub(crate) fn overloaded(self) -> String {
        match self {
            Self::Chat => data(&json!({"error": {"message": "overloaded", "type": "server_error", "code": null}})),
            Self::Messages => {
                named(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
            }
        }
    }

    /// Reads an answer, streamed or whole.
    pub(crate) fn hear(self, stream: bool, body: &[u8]) -> Heard {
        let mut heard = Heard::default();
        if !stream {
            let value: Value = serde_json::from_slice(body).unwrap_or_default();
            heard.error = !value["error"].is_null();
            let text = match self {
                Self::Chat => &value["choices"][0]["message"]["content"],
                Self::Messages => &value["content"][0]["text"],
            };
            if let Some(text) = text.as_str() {
                (heard.text, heard.begins, heard.ends) = (text.to_owned(), 1, 1);
            }
            return heard;
        }
        for line in String::from_utf8_lossy(body).lines().filter_map(|line| line.strip_prefix("data: ")) {
            match self {
                Self::Chat => heard.chat(line),
                Self::Messages => heard.messages(line),
            }
        }
        heard
    }
}

// === impl Heard ===

impl Heard {
    fn chat(&mut self, line: &str) {
        if line == "[DONE]" {
            self.ends += 1;
            return;
        }
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        self.error |= !value["error"].is_null();
        let delta = &value["choices"][0]["delta"];
        self.begins += usize::from(!delta["role"].is_null());
        self.text += delta["content"].as_str().unwrap_or_default();
    }

    fn messages(&mut self, line: &str) {
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        match value["type"].as_str() {
            Some("message_start") => self.begins += 1,
            Some("message_stop") => self.ends += 1,
            Some("error") => self.error = true,
            Some("content_block_delta") => self.text += value["delta"]["text"].as_str().unwrap_or_default(),
            _ => {}
        }
    }
}

fn chat_events(words: &[String]) -> (Vec<String>, Vec<String>, Vec<String>) {
    let chunk = |delta: Value, finish: Value| {
        data(&json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "chat",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }))
    };
    let begin = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    let middle = words.iter().map(|word| chunk(json!({ "content": word }), Value::Null)).collect();
    let end = vec![chunk(json!({}), json!("stop")), "data: [DONE]\n\n".to_owned()];
    (begin, middle, end)
}

fn messages_events(words: &[String]) -> (Vec<String>, Vec<String>, Vec<String>) {
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 9, "output_tokens": 1},
    });
    let begin = vec![
        named(&json!({"type": "message_start", "message": message})),
        named(&json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
    ];
    let delta = |word: &String| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}});
    let middle = words.iter().map(|word| named(&delta(word))).collect();
    let stop = json!({"stop_reason": "end_turn", "stop_sequence": null});
    let end = vec![
        named(&json!({"type": "content_block_stop", "index": 0})),
        named(&json!({"type": "message_delta", "delta": stop, "usage": {"output_tokens": words.len()}})),
        named(&json!({"type": "message_stop"})),
    ];
    (begin, middle, end)
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// An event that has its type for a name.
fn named(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or_default())
}
