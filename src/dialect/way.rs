//! What a client's operation becomes at an upstream that may not know it.

use serde_json::{Value, json};

use super::Dialect;
use super::codec::Codec;
use super::gemini::Gemini;
use super::habits::Habits;
use super::openai_chat::OpenAiChat;
use super::servers::Server;
use super::{anthropic, catalog, ollama, openai_completions, openai_responses};
use crate::stream::Wire;

/// How an operation reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The server knows it: bytes pass untouched.
    Untouched,
    /// A chat, asked in this dialect.
    Chat(Dialect),
    /// Embeddings, asked in this dialect.
    Embed(Dialect),
    /// A list of models, asked in this dialect.
    Catalog(Dialect),
    /// The gate answers itself: what is asked concerns the server that the client takes the gate for.
    Here,
    /// The server has nothing like it; why, for the client.
    Never(&'static str),
}

// === impl Way ===

impl Way {
    /// The way of a client's operation to a server.
    pub fn to(server: &Server, operation: Dialect) -> Self {
        if server.speaks(operation) {
            return Self::Untouched;
        }
        match operation {
            Dialect::OpenAiEmbeddings | Dialect::OllamaEmbed | Dialect::OllamaEmbeddings | Dialect::GeminiEmbed => {
                match embeddings(server) {
                    Some(dialect) => Self::Embed(dialect),
                    None => Self::Never("this upstream has no embeddings"),
                }
            }
            Dialect::OpenAiModels | Dialect::OllamaTags | Dialect::OllamaShow | Dialect::GeminiModels => {
                Self::Catalog(list(server))
            }
            Dialect::OllamaPs | Dialect::OllamaVersion | Dialect::AnthropicCount | Dialect::GeminiCount => Self::Here,
            Dialect::OpenAiChat
            | Dialect::OpenAiCompletions
            | Dialect::OpenAiResponses
            | Dialect::Anthropic
            | Dialect::OllamaChat
            | Dialect::OllamaGenerate
            | Dialect::Gemini => Self::Chat(server.chat),
        }
    }

    /// The dialect that it is translated to.
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Chat(dialect) | Self::Embed(dialect) | Self::Catalog(dialect) => Some(dialect),
            Self::Untouched | Self::Here | Self::Never(_) => None,
        }
    }
}

/// In which dialect a server is asked for embeddings.
fn embeddings(server: &Server) -> Option<Dialect> {
    match server.chat {
        Dialect::Anthropic => None,
        Dialect::Gemini => Some(Dialect::GeminiEmbed),
        Dialect::OllamaChat => Some(Dialect::OllamaEmbed),
        _ => Some(Dialect::OpenAiEmbeddings),
    }
}

/// In which dialect a server lists its models. Anthropic's list is called by its chat's name, see [`catalog`].
pub fn list(server: &Server) -> Dialect {
    match server.chat {
        Dialect::Anthropic => Dialect::Anthropic,
        Dialect::Gemini => Dialect::GeminiModels,
        Dialect::OllamaChat => Dialect::OllamaTags,
        _ => Dialect::OpenAiModels,
    }
}

/// The path at which a list of models is asked for.
pub fn list_target(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::GeminiModels => "/v1beta/models?pageSize=1000",
        Dialect::OllamaTags => "/api/tags",
        Dialect::Anthropic => "/v1/models?limit=1000",
        _ => "/v1/models",
    }
}

/// The codec of a dialect that carries chats; `None` for other operations. `target` is the client's path and query,
/// which say how Gemini streams; `habits` are the upstream's.
pub fn codec(dialect: Dialect, target: &str, habits: Habits) -> Option<Box<dyn Codec>> {
    Some(match dialect {
        Dialect::OpenAiChat => Box::new(OpenAiChat { habits }),
        Dialect::OpenAiCompletions => Box::new(openai_completions::OpenAiCompletions),
        Dialect::OpenAiResponses => Box::new(openai_responses::OpenAiResponses),
        Dialect::Anthropic | Dialect::AnthropicCount => Box::new(anthropic::Anthropic),
        Dialect::OllamaChat => Box::new(ollama::OllamaChat),
        Dialect::OllamaGenerate => Box::new(ollama::OllamaGenerate),
        Dialect::Gemini | Dialect::GeminiCount => Box::new(Gemini::for_target(target)),
        _ => return None,
    })
}

/// Whether an operation is a chat, which has a [`codec`] for its answers.
pub fn is_chat(dialect: Dialect) -> bool {
    use Dialect::{Anthropic, Gemini, OllamaChat, OllamaGenerate, OpenAiChat, OpenAiCompletions, OpenAiResponses};
    let chats = [OpenAiChat, OpenAiCompletions, OpenAiResponses, Anthropic, OllamaChat, OllamaGenerate, Gemini];
    chats.contains(&dialect)
}

/// How the events of a chat's answer stand on the client's wire; `None`: it wants its answer whole. `target` is its path
/// and query, `stream` what its body says under that name.
pub fn wire(dialect: Dialect, target: &str, stream: Option<bool>) -> Option<Wire> {
    match dialect {
        // Ollama's API streams unless told not to.
        Dialect::OllamaChat | Dialect::OllamaGenerate => (stream != Some(false)).then_some(Wire::Ndjson),
        Dialect::Gemini => {
            let path = target.split('?').next().unwrap_or_default().trim_end_matches('/');
            let events = if Gemini::for_target(target).array { Wire::JsonArray } else { Wire::Sse };
            path.ends_with(":streamGenerateContent").then_some(events)
        }
        _ => (stream == Some(true)).then_some(Wire::Sse),
    }
}

/// Whether what one dialect alone knows is known to the other too: both are forms of one maker's API.
pub fn kin(one: Dialect, other: Dialect) -> bool {
    let maker = |dialect| match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiCompletions => 0,
        Dialect::OpenAiResponses => 1,
        Dialect::Anthropic => 2,
        Dialect::OllamaChat | Dialect::OllamaGenerate => 3,
        _ => 4,
    };
    maker(one) == maker(other)
}

/// What the gate answers itself; `tokens` is its estimate for the request.
pub fn here(operation: Dialect, tokens: u64) -> Value {
    match operation {
        Dialect::OllamaPs => catalog::ollama::ps(),
        Dialect::OllamaVersion => catalog::ollama::version(),
        Dialect::GeminiCount => json!({"totalTokens": tokens}),
        _ => json!({"input_tokens": tokens}),
    }
}
