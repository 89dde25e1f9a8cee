//! The errors of the dialects: their shapes, and the words that each has for what went wrong.

use serde_json::{Value, json};

use super::reply::{Dialect, Reply};

/// What an answer fails with on request, each in the dialect's own words; `status` is for all others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Failure {
    /// The key is wrong.
    Auth,
    /// The key may not do this.
    Permission,
    /// There is no such model.
    NotFound,
    /// The request is not valid.
    Invalid,
    /// The request is longer than the model's context.
    ContextLength,
    /// A content policy forbids it.
    ContentPolicy,
    /// Too many requests.
    RateLimit,
    /// The account is used up.
    Quota,
    /// There is no room now.
    Overloaded,
}

/// One error before its dialect gives it a shape.
struct Words<'a> {
    /// The status; inside a stream the one that fits.
    status: u16,
    /// The type in `OpenAI`'s and Anthropic's dialects, the status in Gemini's.
    kind: &'static str,
    /// `OpenAI`'s code, Gemini's reason.
    code: Option<&'static str>,
    /// What a person reads.
    message: &'a str,
}

/// The names of [`Failure`]s, as the fault `error` takes them.
const NAMES: [(&str, Failure); 9] = [
    ("auth", Failure::Auth),
    ("permission", Failure::Permission),
    ("not-found", Failure::NotFound),
    ("invalid", Failure::Invalid),
    ("context-length", Failure::ContextLength),
    ("content-policy", Failure::ContentPolicy),
    ("rate-limit", Failure::RateLimit),
    ("quota", Failure::Quota),
    ("overloaded", Failure::Overloaded),
];

// === impl Failure ===

impl Failure {
    /// The failure with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, failure)| *failure)
    }

    /// Whether the answer tells when to come again.
    pub(super) fn passes(self) -> bool {
        matches!(self, Self::RateLimit | Self::Overloaded)
    }

    /// `OpenAI`'s words ("Error codes", API reference).
    fn openai(self, dialect: Dialect) -> Words<'static> {
        let invalid = "invalid_request_error";
        let too_long = if dialect == Dialect::Responses {
            "Your input exceeds the context window of this model. Please adjust your input and try again."
        } else {
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages."
        };
        let (status, kind, code, message) = match self {
            Self::Auth => (401, invalid, Some("invalid_api_key"), "Incorrect API key provided: mock."),
            Self::Permission => (403, invalid, Some("model_not_allowed"), "The key may not use this model."),
            Self::NotFound => (404, invalid, Some("model_not_found"), "The model `gone` does not exist."),
            Self::Invalid => (400, invalid, None, "Invalid value for a field of the request."),
            Self::ContextLength => (400, invalid, Some("context_length_exceeded"), too_long),
            Self::ContentPolicy => (400, invalid, Some("content_policy_violation"), "The safety system said no."),
            Self::RateLimit => (429, "requests", Some("rate_limit_exceeded"), "Rate limit reached for requests."),
            Self::Quota => (429, "insufficient_quota", Some("insufficient_quota"), "You exceeded your current quota."),
            Self::Overloaded => (503, "server_error", None, "The server is overloaded. Please try again."),
        };
        Words { status, kind, code, message }
    }

    /// Anthropic's words ("Errors", API documentation).
    fn anthropic(self) -> Words<'static> {
        let (status, message) = match self {
            Self::Auth => (401, "invalid x-api-key"),
            Self::Permission => (403, "Your API key does not have permission to use the specified resource."),
            Self::NotFound => (404, "model: gone"),
            Self::Invalid => (400, "messages: Field required"),
            Self::ContextLength => (400, "prompt is too long: 9000 tokens > 8192 maximum"),
            Self::ContentPolicy => (400, "Output blocked by content filtering policy"),
            Self::RateLimit => (429, "This request would exceed your account's rate limit. Please try again later."),
            Self::Quota => (400, "Your credit balance is too low to access the Anthropic API."),
            Self::Overloaded => (529, "Overloaded"),
        };
        Words { status, kind: anthropic_kind(status), code: None, message }
    }

    /// Gemini's words ("Troubleshooting", Gemini API); a wrong key is a 400 with a reason there.
    fn gemini(self) -> Words<'static> {
        let (status, code, message) = match self {
            Self::Auth => (400, Some("API_KEY_INVALID"), "API key not valid. Please pass a valid API key."),
            Self::Permission => (403, None, "The caller does not have permission."),
            Self::NotFound => {
                (404, None, "models/gone is not found for API version v1beta, or is not supported for generateContent.")
            }
            Self::Invalid => (400, None, "Invalid value at 'contents'."),
            Self::ContextLength => {
                (400, None, "The input token count (9000) exceeds the maximum number of tokens allowed (8192).")
            }
            Self::ContentPolicy => (400, None, "The prompt was blocked by the content safety policy."),
            Self::RateLimit => (429, None, "Resource has been exhausted (e.g. check rate limits)."),
            Self::Quota => (429, None, "You exceeded your current quota, please check your plan and billing details."),
            Self::Overloaded => (503, None, "The model is overloaded. Please try again later."),
        };
        Words { status, kind: gemini_kind(status), code, message }
    }

    /// Ollama's words, as its server and its cloud say them.
    fn ollama(self) -> Words<'static> {
        let (status, message) = match self {
            Self::Auth => (401, "unauthorized"),
            Self::Permission => (403, "forbidden"),
            Self::NotFound => (404, "model 'gone' not found"),
            Self::Invalid => (400, "invalid options"),
            Self::ContextLength => (400, "the input length exceeds the context length"),
            Self::ContentPolicy => (400, "the request was blocked by the content policy"),
            Self::RateLimit => (429, "too many requests"),
            Self::Quota => (402, "you have reached your usage limit, please upgrade to continue"),
            Self::Overloaded => (503, "server busy, please try again. maximum pending requests exceeded"),
        };
        Words { status, kind: "", code: None, message }
    }
}

// === impl Dialect ===

impl Dialect {
    /// An error with this status. `id` names the request where the shape has room for it.
    pub(super) fn error(self, status: u16, message: &str, id: &str) -> Reply {
        Reply::error(status, &self.shape(&self.words(status, message), id))
    }

    /// An error of this kind.
    pub(super) fn failure(self, failure: Failure, id: &str) -> Reply {
        let words = match self {
            Self::OpenAi | Self::Responses => failure.openai(self),
            Self::Anthropic => failure.anthropic(),
            Self::Gemini => failure.gemini(),
            Self::Ollama => failure.ollama(),
        };
        Reply::error(words.status, &self.shape(&words, id))
    }

    /// The data of the event with this `number` that ends a stream with an error.
    pub(super) fn error_event(self, number: usize, message: &str) -> Value {
        match self {
            Self::Responses => json!({
                "type": "error", "code": "server_error", "message": message, "param": null, "sequence_number": number,
            }),
            Self::Anthropic => self.shape(&self.words(529, message), ""),
            Self::OpenAi | Self::Gemini | Self::Ollama => self.shape(&self.words(500, message), ""),
        }
    }

    fn words(self, status: u16, message: &str) -> Words<'_> {
        let (kind, code) = match self {
            Self::OpenAi | Self::Responses => openai_kind(status),
            Self::Anthropic => (anthropic_kind(status), None),
            Self::Gemini => (gemini_kind(status), None),
            Self::Ollama => ("", None),
        };
        Words { status, kind, code, message }
    }

    fn shape(self, words: &Words<'_>, id: &str) -> Value {
        let Words { status, kind, code, message } = *words;
        match self {
            Self::OpenAi | Self::Responses => {
                json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
            }
            Self::Anthropic => json!({
                "type": "error", "error": { "type": kind, "message": message }, "request_id": format!("req_mock{id}"),
            }),
            Self::Gemini => {
                let mut error = json!({ "code": status, "message": message, "status": kind });
                if let Some(reason) = code {
                    error["details"] = json!([{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
                    }]);
                }
                json!({ "error": error })
            }
            Self::Ollama => json!({ "error": message }),
        }
    }
}

/// Type and code (platform.openai.com, "Error codes").
fn openai_kind(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        404 => ("invalid_request_error", Some("not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    }
}

/// The type (docs.anthropic.com, "Errors").
fn anthropic_kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

/// The status in words (google.rpc.Code, as HTTP maps it).
fn gemini_kind(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
