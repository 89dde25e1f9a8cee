//! The wire formats that clients and upstreams speak: which one a path belongs to, and its shape of an error.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::stream::{Event, Wire};

pub mod chat;
pub mod codec;
pub mod event;
pub mod failure;
pub mod id;
pub mod loss;
pub mod seal;
pub mod view;

/// A wire format, by the operation that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `POST …/chat/completions` of OpenAI and the many servers like it.
    OpenAiChat,
    /// `POST …/completions`, the older form.
    OpenAiCompletions,
    /// `POST …/responses` of OpenAI.
    OpenAiResponses,
    /// `POST …/embeddings` of OpenAI.
    OpenAiEmbeddings,
    /// `GET …/models` of OpenAI.
    OpenAiModels,
    /// `POST /v1/messages` of Anthropic.
    Anthropic,
    /// `POST /v1/messages/count_tokens` of Anthropic.
    AnthropicCount,
    /// `POST /api/chat` of Ollama.
    OllamaChat,
    /// `POST /api/generate` of Ollama.
    OllamaGenerate,
    /// Ollama's other calls: tags, show, embed, version.
    Ollama,
    /// Gemini's `…:generateContent` and `…:streamGenerateContent`.
    Gemini,
}

/// The families whose errors have a shape of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    OpenAi,
    OpenAiResponses,
    Anthropic,
    Ollama,
    Gemini,
}

// === impl Dialect ===

impl Dialect {
    /// The dialect of a request path; `None` for paths of no LLM API. A prefix before the known part is allowed:
    /// gateways and Azure put one there.
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let ends = |suffix: &str| path.ends_with(suffix);
        Some(match () {
            () if ends("/chat/completions") => Self::OpenAiChat,
            () if ends("/v1/messages") => Self::Anthropic,
            () if ends("/messages/count_tokens") => Self::AnthropicCount,
            () if ends("/responses") => Self::OpenAiResponses,
            () if ends("/completions") => Self::OpenAiCompletions,
            () if ends("/api/chat") => Self::OllamaChat,
            () if ends("/api/generate") => Self::OllamaGenerate,
            () if ollama(path) => Self::Ollama,
            () if ends("/embeddings") => Self::OpenAiEmbeddings,
            () if ends("/models") => Self::OpenAiModels,
            () if path.contains(":generateContent") || path.contains(":streamGenerateContent") => Self::Gemini,
            () => return None,
        })
    }

    /// The dialect's name, as policies and logs show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai.chat",
            Self::OpenAiCompletions => "openai.completions",
            Self::OpenAiResponses => "openai.responses",
            Self::OpenAiEmbeddings => "openai.embeddings",
            Self::OpenAiModels => "openai.models",
            Self::Anthropic => "anthropic.messages",
            Self::AnthropicCount => "anthropic.count_tokens",
            Self::OllamaChat => "ollama.chat",
            Self::OllamaGenerate => "ollama.generate",
            Self::Ollama => "ollama",
            Self::Gemini => "gemini",
        }
    }

    fn family(self) -> Family {
        match self {
            Self::OpenAiResponses => Family::OpenAiResponses,
            Self::Anthropic | Self::AnthropicCount => Family::Anthropic,
            Self::OllamaChat | Self::OllamaGenerate | Self::Ollama => Family::Ollama,
            Self::Gemini => Family::Gemini,
            _ => Family::OpenAi,
        }
    }
}

/// Ollama's own paths besides chat and generate.
fn ollama(path: &str) -> bool {
    const CALLS: [&str; 6] = ["tags", "show", "ps", "embed", "embeddings", "version"];
    path.rsplit_once("/api/").is_some_and(|(_, call)| CALLS.contains(&call))
}

/// The body of an error response in a dialect; of no dialect, in OpenAI's, which most clients read.
pub fn error_body(dialect: Option<Dialect>, error: &Error, request_id: &str) -> Vec<u8> {
    let family = dialect.map_or(Family::OpenAi, Dialect::family);
    shape(family, error, request_id).to_string().into_bytes()
}

/// The events that end a stream after an error, in the client's dialect (Anthropic and OpenAI document an `error`
/// event; Ollama a line with `error`; OpenAI chat clients read an `error` object in a chunk).
pub fn error_events(dialect: Option<Dialect>, wire: Wire, error: &Error, request_id: &str) -> Vec<Event> {
    let family = dialect.map_or(Family::OpenAi, Dialect::family);
    let body = match family {
        Family::OpenAiResponses => json!({
            "type": "error", "code": error.code(), "message": error.message(), "param": null,
        }),
        _ => shape(family, error, request_id),
    };
    let name = match family {
        Family::Anthropic | Family::OpenAiResponses => Some("error"),
        _ => None,
    };
    vec![Event::new(wire, name, Bytes::from(body.to_string()))]
}

fn shape(family: Family, error: &Error, request_id: &str) -> Value {
    let message = error.message();
    match family {
        Family::OpenAi | Family::OpenAiResponses => json!({"error": {
            "message": message, "type": openai_type(error), "param": null,
            "code": error.code(), "request_id": request_id,
        }}),
        Family::Anthropic => json!({
            "type": "error",
            "error": {"type": anthropic_type(error), "message": message},
            "request_id": request_id,
        }),
        Family::Ollama => json!({"error": message}),
        Family::Gemini => json!({"error": {
            "code": error.status(), "message": message, "status": gemini_status(error),
        }}),
    }
}

/// The `type` that OpenAI's SDKs know, by status.
fn openai_type(error: &Error) -> &'static str {
    match error.status() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ if error.kind() == Kind::PolicyError => "policy_error",
        _ => "server_error",
    }
}

/// The `error.type` that Anthropic documents, by status.
fn anthropic_type(error: &Error) -> &'static str {
    match error.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    }
}

/// The canonical status name of Google APIs, by status.
fn gemini_status(error: &Error) -> &'static str {
    match error.status() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        504 => "DEADLINE_EXCEEDED",
        502 | 503 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_dialect() {
        let cases = [
            ("/v1/chat/completions", Some(Dialect::OpenAiChat)),
            ("/openai/deployments/x/chat/completions", Some(Dialect::OpenAiChat)),
            ("/v1/messages", Some(Dialect::Anthropic)),
            ("/v1/messages/count_tokens", Some(Dialect::AnthropicCount)),
            ("/api/chat", Some(Dialect::OllamaChat)),
            ("/api/embeddings", Some(Dialect::Ollama)),
            ("/v1/embeddings", Some(Dialect::OpenAiEmbeddings)),
            ("/v1beta/models/g:streamGenerateContent", Some(Dialect::Gemini)),
            ("/", None),
            ("/v1/files", None),
        ];
        for (path, dialect) in cases {
            assert_eq!(Dialect::of_path(path), dialect, "{path}");
        }
    }

    #[test]
    fn an_error_has_the_shape_of_its_dialect() {
        let error = Error::upstream(Kind::Timeout, "too slow");
        let anthropic: Value = serde_json::from_slice(&error_body(Some(Dialect::Anthropic), &error, "r1")).unwrap();
        assert_eq!(anthropic["error"]["type"], "timeout_error");
        assert_eq!(anthropic["request_id"], "r1");
        let openai: Value = serde_json::from_slice(&error_body(None, &error, "r1")).unwrap();
        assert_eq!(openai["error"]["code"], "timeout");
    }
}
