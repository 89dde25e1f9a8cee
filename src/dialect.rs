//! The wire formats that clients and upstreams speak: which one a path belongs to.

pub mod anthropic;
pub mod catalog;
pub mod chat;
pub mod codec;
pub mod continuation;
pub mod count;
pub mod embedding;
pub mod error;
pub mod event;
pub mod failure;
pub mod gemini;
pub mod habits;
pub mod id;
pub mod interpreter;
pub mod keep;
pub mod loss;
pub mod matrix;
pub mod meter;
pub mod ollama;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
pub mod read;
pub mod seal;
pub mod servers;
pub mod transcript;
pub mod view;
pub mod way;

pub use error::{error_body, error_events};

use serde::{Deserialize, Serialize};

/// A wire format, by the operation that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// `POST …/chat/completions` of OpenAI and the many servers like it.
    OpenAiChat,
    /// `POST …/completions`, the older form.
    OpenAiCompletions,
    /// `POST …/responses` of OpenAI.
    OpenAiResponses,
    /// `POST …/embeddings` of OpenAI.
    OpenAiEmbeddings,
    /// `GET …/models` of OpenAI. Anthropic's list has the same path: a request for it has the header
    /// `anthropic-version`.
    OpenAiModels,
    /// `POST /v1/messages` of Anthropic.
    Anthropic,
    /// `POST /v1/messages/count_tokens` of Anthropic.
    AnthropicCount,
    /// `POST /api/chat` of Ollama.
    OllamaChat,
    /// `POST /api/generate` of Ollama.
    OllamaGenerate,
    /// `POST /api/embed` of Ollama.
    OllamaEmbed,
    /// `POST /api/embeddings` of Ollama, the older form: one prompt.
    OllamaEmbeddings,
    /// `GET /api/tags` of Ollama: its models.
    OllamaTags,
    /// `POST /api/show` of Ollama: one model.
    OllamaShow,
    /// `GET /api/ps` of Ollama: the models in memory.
    OllamaPs,
    /// `GET /api/version` of Ollama.
    OllamaVersion,
    /// Gemini's `…:generateContent` and `…:streamGenerateContent`.
    Gemini,
    /// Gemini's `…:embedContent` and `…:batchEmbedContents`.
    GeminiEmbed,
    /// `GET /v1beta/models` and `GET /v1beta/models/{model}` of Gemini. `/v1/models` is taken for `OpenAI`'s.
    GeminiModels,
    /// Gemini's `…:countTokens`.
    GeminiCount,
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
            () if let Some(call) = ollama(path) => call,
            () if ends("/embeddings") => Self::OpenAiEmbeddings,
            () if ends("/v1beta/models") => Self::GeminiModels,
            () if ends("/models") => Self::OpenAiModels,
            () => return gemini(path),
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
            // One name, which policies and caches know these calls by.
            Self::OllamaEmbed
            | Self::OllamaEmbeddings
            | Self::OllamaTags
            | Self::OllamaShow
            | Self::OllamaPs
            | Self::OllamaVersion => "ollama",
            Self::Gemini => "gemini",
            Self::GeminiEmbed => "gemini.embed",
            Self::GeminiModels => "gemini.models",
            Self::GeminiCount => "gemini.count_tokens",
        }
    }
}

/// Ollama's own paths besides chat and generate.
fn ollama(path: &str) -> Option<Dialect> {
    let (_, call) = path.rsplit_once("/api/")?;
    Some(match call {
        "embed" => Dialect::OllamaEmbed,
        "embeddings" => Dialect::OllamaEmbeddings,
        "tags" => Dialect::OllamaTags,
        "show" => Dialect::OllamaShow,
        "ps" => Dialect::OllamaPs,
        "version" => Dialect::OllamaVersion,
        _ => return None,
    })
}

/// Gemini's paths: the model and the method stand in the last step.
fn gemini(path: &str) -> Option<Dialect> {
    let (before, last) = path.rsplit_once("/models/")?;
    Some(match last.rsplit_once(':').map(|(_, method)| method) {
        Some("generateContent" | "streamGenerateContent") => Dialect::Gemini,
        Some("embedContent" | "batchEmbedContents") => Dialect::GeminiEmbed,
        Some("countTokens") => Dialect::GeminiCount,
        None if before.ends_with("/v1beta") => Dialect::GeminiModels,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ollama_s_lesser_calls_share_the_name_that_policies_know() {
        for call in ["tags", "show", "ps", "embed", "embeddings", "version"] {
            let dialect = Dialect::of_path(&format!("/api/{call}")).unwrap();
            assert_eq!(dialect.as_str(), "ollama", "{call}");
        }
    }

    #[test]
    fn paths_name_their_dialect() {
        let cases = [
            ("/v1/chat/completions", Some(Dialect::OpenAiChat)),
            ("/openai/deployments/x/chat/completions", Some(Dialect::OpenAiChat)),
            ("/v1/messages", Some(Dialect::Anthropic)),
            ("/v1/messages/count_tokens", Some(Dialect::AnthropicCount)),
            ("/api/chat", Some(Dialect::OllamaChat)),
            ("/api/embeddings", Some(Dialect::OllamaEmbeddings)),
            ("/api/embed", Some(Dialect::OllamaEmbed)),
            ("/api/v0/embeddings", Some(Dialect::OpenAiEmbeddings)),
            ("/v1/embeddings", Some(Dialect::OpenAiEmbeddings)),
            ("/v1beta/models/g:streamGenerateContent", Some(Dialect::Gemini)),
            ("/v1/projects/p/publishers/google/models/g:countTokens", Some(Dialect::GeminiCount)),
            ("/v1beta/models/g:batchEmbedContents", Some(Dialect::GeminiEmbed)),
            ("/v1beta/models/g", Some(Dialect::GeminiModels)),
            ("/v1beta/models", Some(Dialect::GeminiModels)),
            ("/v1beta/models/g:predict", None),
            ("/", None),
            ("/v1/files", None),
        ];
        for (path, dialect) in cases {
            assert_eq!(Dialect::of_path(path), dialect, "{path}");
        }
    }
}
