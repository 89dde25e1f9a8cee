//! What an upstream was asked, read from its own dialect.

use serde_json::Value;

use super::upstreams::Up;
use crate::support::service::Heard;

/// What an upstream was asked, in no dialect's words.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// The model.
    pub(super) model: String,
    /// The instructions.
    pub(super) system: String,
    /// The person's words.
    pub(super) user: String,
    /// The tools' names.
    pub(super) tools: Vec<String>,
    /// The limit of tokens.
    pub(super) most: u64,
    /// Whether a stream is wanted.
    pub(super) stream: bool,
}

// === impl Up ===

impl Up {
    /// What it was asked.
    pub(super) fn asked(self, heard: &Heard) -> Asked {
        let body = heard.json();
        let texts = |value: &Value, role: &str| -> String {
            let messages = value.as_array().into_iter().flatten().filter(|message| message["role"] == role);
            messages.map(|message| text_of(&message["content"])).collect()
        };
        let names = |list: &Value, at: &str| -> Vec<String> {
            let names = list.as_array().into_iter().flatten().map(|tool| tool.pointer(at).unwrap());
            names.map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let path = heard.target().split('?').next().unwrap();
        let stream = body["stream"] == true;
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        match self {
            Self::Chat => {
                assert_eq!(path, "/v1/chat/completions");
                let (system, user) = (texts(&body["messages"], "system"), texts(&body["messages"], "user"));
                let most = body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64()).unwrap();
                Asked { model, system, user, tools: names(&body["tools"], "/function/name"), most, stream }
            }
            Self::Responses => {
                assert_eq!(path, "/v1/responses");
                let written = text_of(&body["instructions"]);
                let system = written + &texts(&body["input"], "system") + &texts(&body["input"], "developer");
                let user =
                    if body["input"].is_string() { text_of(&body["input"]) } else { texts(&body["input"], "user") };
                let most = body["max_output_tokens"].as_u64().unwrap();
                Asked { model, system, user, tools: names(&body["tools"], "/name"), most, stream }
            }
            Self::Anthropic => {
                assert_eq!(path, "/v1/messages");
                assert!(heard.header("anthropic-version").is_some(), "{}", heard.head);
                let (system, user) = (text_of(&body["system"]), texts(&body["messages"], "user"));
                let most = body["max_tokens"].as_u64().unwrap();
                Asked { model, system, user, tools: names(&body["tools"], "/name"), most, stream }
            }
            Self::Ollama => {
                assert_eq!(path, "/api/chat");
                let (system, user) = (texts(&body["messages"], "system"), texts(&body["messages"], "user"));
                let most = body["options"]["num_predict"].as_u64().unwrap();
                // Ollama streams unless it is told not to.
                let stream = body["stream"] != false;
                Asked { model, system, user, tools: names(&body["tools"], "/function/name"), most, stream }
            }
            Self::Gemini => {
                let (model, method) = path.strip_prefix("/v1beta/models/").unwrap().split_once(':').unwrap();
                let stream = method == "streamGenerateContent";
                assert_eq!(heard.target().contains("alt=sse"), stream, "{}", heard.target());
                let user =
                    body["contents"].as_array().unwrap().iter().map(|content| text_of(&content["parts"])).collect();
                let tools = names(&body["tools"][0]["functionDeclarations"], "/name");
                let most = body["generationConfig"]["maxOutputTokens"].as_u64().unwrap();
                let system = text_of(&body["systemInstruction"]["parts"]);
                Asked { model: model.to_owned(), system, user, tools, most, stream }
            }
        }
    }
}

/// The text of a content, whatever its form.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
