//! The servers that speak these dialects, as they really are: one table of facts, so that none stands in the code of a
//! codec.

use std::borrow::Cow;
use std::fmt::Write;

use super::Dialect;
use super::habits::Habits;

mod handing;

#[cfg(test)]
mod tests;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name in settings.
    pub name: &'static str,
    /// The dialect in which a chat of any other is asked of it.
    pub chat: Dialect,
    /// The operations that it understands itself, so that they pass untouched.
    pub native: &'static [Dialect],
    /// Where its operations lie.
    pub paths: Paths,
    /// How it is shown a key.
    pub auth: Auth,
    /// What it honours of `OpenAI`'s chat dialect. What a server takes and ignores counts as not honoured: the loss is
    /// then told instead of silent.
    pub habits: Habits,
}

/// Where a server's operations lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paths {
    /// Where the dialect itself has them.
    Own,
    /// Those of `OpenAI`'s kind under this prefix, in place of `/v1`.
    Under(&'static str),
    /// Under `/v1`, and once more under `/api/v0` with statistics (LM Studio's own API).
    LmStudio,
    /// Under `/openai/v1`, or with an API version those of one model under its deployment (Azure `OpenAI`).
    Azure,
}

/// How a key is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// `authorization: Bearer …`.
    Bearer,
    /// `x-api-key: …` (Anthropic).
    XApiKey,
    /// `api-key: …` (Azure).
    ApiKey,
    /// `x-goog-api-key: …` (Google).
    Goog,
    /// Not at all.
    None,
}

/// Everything of `OpenAI`'s.
const ALL: &[Dialect] = &[
    Dialect::OpenAiChat,
    Dialect::OpenAiCompletions,
    Dialect::OpenAiResponses,
    Dialect::OpenAiEmbeddings,
    Dialect::OpenAiModels,
];

/// The same without Responses.
const NO_RESPONSES: &[Dialect] =
    &[Dialect::OpenAiChat, Dialect::OpenAiCompletions, Dialect::OpenAiEmbeddings, Dialect::OpenAiModels];

/// Chat and Responses.
const CHAT_RESPONSES: &[Dialect] = &[Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::OpenAiModels];

/// Chat and completions.
const CHAT_COMPLETIONS: &[Dialect] = &[Dialect::OpenAiChat, Dialect::OpenAiCompletions, Dialect::OpenAiModels];

/// What most servers other than `OpenAI` have in common: the older name of the limit, no role `developer`.
const COMMON: Habits = Habits { max_completion_tokens: false, developer_role: false, ..Habits::OPENAI };

/// `OpenAI`'s paths, a bearer key, chat in `OpenAI`'s words.
const LIKE_OPENAI: Server = Server {
    name: "openai",
    chat: Dialect::OpenAiChat,
    native: ALL,
    paths: Paths::Under("/v1"),
    auth: Auth::Bearer,
    habits: Habits::OPENAI,
};

/// All of them. Paths and kinds of keys are those of each maker's API reference. Habits change from month to month: one
/// that is set here and no longer honoured costs a refused request, one that is not set a loss too many.
static SERVERS: [Server; 20] = [
    LIKE_OPENAI,
    // A server of which nothing is known but that it speaks OpenAI's chat dialect.
    Server {
        name: "openai-chat",
        native: &[Dialect::OpenAiChat, Dialect::OpenAiModels],
        habits: COMMON,
        ..LIKE_OPENAI
    },
    // OpenAI's Responses alone, so that chats are asked in it.
    Server {
        name: "openai-responses",
        chat: Dialect::OpenAiResponses,
        native: &[Dialect::OpenAiResponses, Dialect::OpenAiModels],
        ..LIKE_OPENAI
    },
    Server {
        name: "anthropic",
        chat: Dialect::Anthropic,
        native: &[Dialect::Anthropic, Dialect::AnthropicCount],
        paths: Paths::Own,
        auth: Auth::XApiKey,
        ..LIKE_OPENAI
    },
    // Its `/v1` takes no choice of a tool and repeats ids (`chatcmpl-7`); thoughts come as `reasoning`. A key is for
    // its cloud only.
    Server {
        name: "ollama",
        chat: Dialect::OllamaChat,
        native: &[
            Dialect::OllamaChat,
            Dialect::OllamaGenerate,
            Dialect::OllamaEmbed,
            Dialect::OllamaEmbeddings,
            Dialect::OllamaTags,
            Dialect::OllamaShow,
            Dialect::OllamaPs,
            Dialect::OllamaVersion,
            Dialect::OpenAiChat,
            Dialect::OpenAiCompletions,
            Dialect::OpenAiEmbeddings,
            Dialect::OpenAiModels,
        ],
        habits: Habits {
            reasoning_input: Some("reasoning"),
            tool_choice_required: false,
            parallel_tool_calls: false,
            strict: false,
            ..COMMON
        },
        ..LIKE_OPENAI
    },
    Server {
        name: "gemini",
        chat: Dialect::Gemini,
        native: &[Dialect::Gemini, Dialect::GeminiEmbed, Dialect::GeminiModels, Dialect::GeminiCount],
        paths: Paths::Own,
        auth: Auth::Goog,
        ..LIKE_OPENAI
    },
    // The first chunk of a stream is empty but for what its filters found.
    Server { name: "azure", paths: Paths::Azure, auth: Auth::ApiKey, ..LIKE_OPENAI },
    // Usage comes three times a stream, also as `x_groq.usage`; an error within a stream as `event: error`.
    Server {
        name: "groq",
        native: CHAT_RESPONSES,
        paths: Paths::Under("/openai/v1"),
        habits: Habits { max_completion_tokens: true, ..COMMON },
        ..LIKE_OPENAI
    },
    // Unknown fields are refused (422, a list of `detail`); a stream ends with its usage unasked.
    Server {
        name: "mistral",
        native: &[Dialect::OpenAiChat, Dialect::OpenAiEmbeddings, Dialect::OpenAiModels],
        habits: Habits { stream_options: false, ..COMMON },
        ..LIKE_OPENAI
    },
    // Thoughts of a turn with tools must come back. `strict` holds under another base path only.
    Server {
        name: "deepseek",
        native: CHAT_RESPONSES,
        paths: Paths::Under(""),
        habits: Habits {
            reasoning_input: Some("reasoning_content"),
            json_schema: false,
            parallel_tool_calls: false,
            strict: false,
            ..COMMON
        },
        ..LIKE_OPENAI
    },
    // Comments keep a stream warm, blanks a whole answer; an error may come in a chunk, before `[DONE]`. It translates
    // for every maker and takes what each takes.
    Server {
        name: "openrouter",
        native: &[
            Dialect::OpenAiChat,
            Dialect::OpenAiCompletions,
            Dialect::OpenAiResponses,
            Dialect::OpenAiEmbeddings,
            Dialect::OpenAiModels,
            Dialect::Anthropic,
        ],
        paths: Paths::Under("/api/v1"),
        habits: Habits { cache_control: true, reasoning_input: Some("reasoning"), developer_role: true, ..COMMON },
        ..LIKE_OPENAI
    },
    // A stream ends with its usage unasked.
    Server {
        name: "together",
        native: NO_RESPONSES,
        habits: Habits { stream_options: false, parallel_tool_calls: false, strict: false, ..COMMON },
        ..LIKE_OPENAI
    },
    // A wrong key is a 400 whose `error` is a text.
    Server {
        name: "xai",
        native: CHAT_RESPONSES,
        habits: Habits { max_completion_tokens: true, ..COMMON },
        ..LIKE_OPENAI
    },
    // Each chunk has usage and the text so far; there is no `[DONE]`. It calls no tools.
    Server {
        name: "perplexity",
        native: &[Dialect::OpenAiChat],
        paths: Paths::Under(""),
        habits: Habits { tool_choice_required: false, parallel_tool_calls: false, strict: false, ..COMMON },
        ..LIKE_OPENAI
    },
    // Errors have their fields at the top and a number for a code. Roles go to the model's template, which seldom
    // knows `developer`.
    Server {
        name: "vllm",
        habits: Habits { reasoning_input: Some("reasoning_content"), max_completion_tokens: true, ..COMMON },
        ..LIKE_OPENAI
    },
    // Adds `timings`; an error within a stream is a line `error: {…}`, which is no field of server-sent events.
    Server {
        name: "llama.cpp",
        native: NO_RESPONSES,
        habits: Habits { reasoning_input: Some("reasoning_content"), ..COMMON },
        ..LIKE_OPENAI
    },
    // A `tool_choice` that names a tool is refused.
    Server {
        name: "lmstudio",
        paths: Paths::LmStudio,
        habits: Habits { tool_choice_required: false, parallel_tool_calls: false, strict: false, ..COMMON },
        ..LIKE_OPENAI
    },
    // What `mlx_lm.server` does not know it ignores: forms of answers, choices of tools.
    Server {
        name: "mlx",
        native: CHAT_COMPLETIONS,
        auth: Auth::None,
        habits: Habits {
            json_schema: false,
            tool_choice_required: false,
            parallel_tool_calls: false,
            strict: false,
            ..COMMON
        },
        ..LIKE_OPENAI
    },
    // A stream ends with its usage unasked.
    Server {
        name: "fireworks",
        paths: Paths::Under("/inference/v1"),
        habits: Habits { reasoning_input: Some("reasoning_content"), stream_options: false, strict: false, ..COMMON },
        ..LIKE_OPENAI
    },
    Server {
        name: "cerebras",
        native: CHAT_COMPLETIONS,
        habits: Habits {
            reasoning_input: Some("reasoning"),
            max_completion_tokens: true,
            parallel_tool_calls: false,
            ..COMMON
        },
        ..LIKE_OPENAI
    },
];

/// The names of all servers.
pub fn names() -> impl Iterator<Item = &'static str> {
    SERVERS.iter().map(|server| server.name)
}

// === impl Server ===

impl Server {
    /// The server of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SERVERS.iter().find(|server| server.name == name)
    }

    /// Whether an operation passes untouched.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        self.native.contains(&dialect)
    }

    /// The path and query at which the server has an operation, from those of a codec or a client. `model` and
    /// `api_version` are of use to Azure only.
    pub fn target<'a>(&self, target: &'a str, model: &str, api_version: Option<&str>) -> Cow<'a, str> {
        let (path, query) = target.split_once('?').map_or((target, ""), |(path, query)| (path, query));
        let Some(operation) = Dialect::of_path(path).and_then(operation) else { return Cow::Borrowed(target) };
        let mut moved = match (self.paths, api_version) {
            (Paths::Own, _) => return Cow::Borrowed(target),
            (Paths::LmStudio, _) if path.starts_with("/api/v0/") => return Cow::Borrowed(target),
            (Paths::LmStudio, _) => format!("/v1/{operation}"),
            (Paths::Under(prefix), _) => format!("{prefix}/{operation}"),
            (Paths::Azure, None) => format!("/openai/v1/{operation}"),
            (Paths::Azure, Some(_)) if deployed(operation) => {
                format!("/openai/deployments/{}/{operation}", segment(model))
            }
            (Paths::Azure, Some(_)) => format!("/openai/{operation}"),
        };
        let version = api_version.filter(|_| self.paths == Paths::Azure).map(|version| ("api-version", version));
        let mut mark = '?';
        if !query.is_empty() {
            moved.push(mark);
            moved.push_str(query);
            mark = '&';
        }
        if let Some((name, version)) = version.filter(|(name, _)| !query.contains(name)) {
            // Writing to a String cannot fail.
            let _ = write!(moved, "{mark}{name}={}", segment(version));
        }
        Cow::Owned(moved)
    }
}

// === impl Auth ===

impl Auth {
    /// The header that shows a key: its name in lower case, its value.
    pub fn header(self, key: &str) -> Option<(&'static str, String)> {
        match self {
            Self::Bearer => Some(("authorization", format!("Bearer {key}"))),
            Self::XApiKey => Some(("x-api-key", key.to_owned())),
            Self::ApiKey => Some(("api-key", key.to_owned())),
            Self::Goog => Some(("x-goog-api-key", key.to_owned())),
            Self::None => None,
        }
    }
}

/// The last steps of an operation's path, of those whose first steps differ from server to server.
fn operation(dialect: Dialect) -> Option<&'static str> {
    Some(match dialect {
        Dialect::OpenAiChat => "chat/completions",
        Dialect::OpenAiCompletions => "completions",
        Dialect::OpenAiResponses => "responses",
        Dialect::OpenAiEmbeddings => "embeddings",
        Dialect::OpenAiModels => "models",
        Dialect::Anthropic => "messages",
        Dialect::AnthropicCount => "messages/count_tokens",
        _ => return None,
    })
}

/// Whether Azure has an operation once for every deployment.
fn deployed(operation: &str) -> bool {
    ["chat/completions", "completions", "embeddings"].contains(&operation)
}

/// A text as one step of a path or one value of a query: a client chooses the model's name, and must not choose the
/// path by it. Dots alone would be a step up.
pub(super) fn segment(text: &str) -> Cow<'_, str> {
    let dots = text.bytes().all(|byte| byte == b'.');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && !dots);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Cow::Owned(out)
}
