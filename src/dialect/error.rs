//! Errors between dialects: an upstream's, whatever its shape, becomes a [`Failure`], and a failure becomes what the
//! client's own SDK raises as the exception its author expects.

use bytes::Bytes;
use serde_json::Value;

use super::Dialect;
use super::failure::Failure;
use crate::error::Error;
use crate::stream::{Event, Wire};

mod kind;
mod said;
mod scrub;
mod shape;
#[cfg(test)]
mod tests;

use said::Said;
pub use said::retry_after;
pub use scrub::scrub;

/// The families whose errors have a shape of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// `{"error": {message, type, param, code}}`.
    OpenAi,
    /// The same, but for the event in a stream.
    OpenAiResponses,
    /// `{"type": "error", "error": {type, message}, "request_id"}`.
    Anthropic,
    /// `{"error": "text"}`.
    Ollama,
    /// `{"error": {code, message, status}}`.
    Gemini,
}

// === impl Family ===

impl Family {
    fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAiResponses => Self::OpenAiResponses,
            Dialect::Anthropic | Dialect::AnthropicCount => Self::Anthropic,
            Dialect::OllamaChat
            | Dialect::OllamaGenerate
            | Dialect::OllamaEmbed
            | Dialect::OllamaEmbeddings
            | Dialect::OllamaTags
            | Dialect::OllamaShow
            | Dialect::OllamaPs
            | Dialect::OllamaVersion => Self::Ollama,
            Dialect::Gemini | Dialect::GeminiEmbed | Dialect::GeminiModels | Dialect::GeminiCount => Self::Gemini,
            Dialect::OpenAiChat | Dialect::OpenAiCompletions | Dialect::OpenAiEmbeddings | Dialect::OpenAiModels => {
                Self::OpenAi
            }
        }
    }
}

/// Reads the body of a response that is an error. Servers speak each other's shapes, so every shape is tried whatever
/// the dialect; a body in none gives a short sentence that names the one expected, and never the body itself.
pub fn read(dialect: Dialect, status: u16, body: &[u8]) -> Failure {
    let body = body.trim_ascii();
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return read_value(status, &value);
    }
    match std::str::from_utf8(body) {
        Ok(text) if !text.is_empty() && !text.starts_with('<') && !text.contains('\0') => {
            failure(status, &Said::of_text(text))
        }
        _ => {
            let what = if body.is_empty() { "nothing" } else { "a page" };
            let expected = dialect.as_str();
            let text = format!("the upstream answered {status} with {what} where an error of {expected} was expected");
            failure(status, &Said::of_text(&text))
        }
    }
}

/// Reads what an event says that ends a stream with a failure, whatever its dialect and shape: JSON, a text, or a line
/// `error: …`, which is no field of server-sent events but is llama.cpp's way to fail.
pub fn read_event(event: &Event) -> Failure {
    let raw = event.to_bytes();
    let data = if event.has_data() {
        event.data()
    } else {
        let mut lines = raw.split(|byte| matches!(byte, b'\n' | b'\r'));
        lines.find_map(|line| line.strip_prefix(b"error:")).unwrap_or_default()
    };
    match serde_json::from_slice(data) {
        Ok(value) => read_value(200, &value),
        Err(_) if data.is_empty() => read_value(200, &Value::Null),
        Err(_) => failure(200, &Said::of_text(&String::from_utf8_lossy(data))),
    }
}

/// Reads an error that is JSON already: of a whole body, or from within an answer, where `status` is that of the
/// response (200) and the one that fits is found.
pub fn read_value(status: u16, value: &Value) -> Failure {
    failure(status, &Said::of(value))
}

fn failure(status: u16, said: &Said<'_>) -> Failure {
    let stated = Some(status).filter(|status| *status >= 400).or(said.number);
    let kind = kind::of(stated, said);
    Failure {
        status: kind::status(kind, stated),
        kind,
        message: scrub(&said.message).into_owned(),
        code: said.code().map(|code| scrub(code).into_owned()),
        param: said.param.as_deref().map(|param| scrub(param).into_owned()),
    }
}

/// The status and body by which a client of this dialect learns of a failure. The status is the one that its SDK
/// raises the fitting exception by: an `OpenAI` client never sees 529, an Anthropic one sees it for every upstream
/// without room.
pub fn write(dialect: Dialect, failure: &Failure, request_id: &str) -> (u16, Value) {
    let family = Family::of(dialect);
    (shape::status(family, failure), shape::body(family, failure, Some(request_id)))
}

/// A failure's words in a dialect, within an answer that is already under way.
pub fn within(dialect: Dialect, failure: &Failure) -> Value {
    shape::body(Family::of(dialect), failure, None)
}

/// The events that end a stream after a failure, in the client's dialect (Anthropic and `OpenAI`'s Responses document
/// an `error` event; Ollama a line with `error`; `OpenAI`'s chat clients read an `error` object in a chunk).
pub fn event(dialect: Dialect, wire: Wire, failure: &Failure, request_id: &str) -> Vec<Event> {
    let family = Family::of(dialect);
    let body = match family {
        Family::OpenAiResponses => shape::flat(failure),
        _ => shape::body(family, failure, Some(request_id)),
    };
    let name = match family {
        Family::Anthropic | Family::OpenAiResponses => Some("error"),
        _ => None,
    };
    vec![Event::new(wire, name, Bytes::from(body.to_string()))]
}

/// The body of an error response in a dialect; of no dialect, in `OpenAI`'s, which most clients read.
pub fn error_body(dialect: Option<Dialect>, error: &Error, request_id: &str) -> Vec<u8> {
    let (_, body) = write(dialect.unwrap_or(Dialect::OpenAiChat), &Failure::from(error), request_id);
    body.to_string().into_bytes()
}

/// The events that end a stream after an error of the gate's, as [`event`] writes them.
pub fn error_events(dialect: Option<Dialect>, wire: Wire, error: &Error, request_id: &str) -> Vec<Event> {
    event(dialect.unwrap_or(Dialect::OpenAiChat), wire, &Failure::from(error), request_id)
}

// === impl Failure ===

impl From<&Error> for Failure {
    /// The gate's own errors: the status says what they mean, the code is theirs.
    fn from(error: &Error) -> Self {
        Self {
            status: error.status(),
            kind: kind::by_status(error.status()),
            message: error.message().to_owned(),
            code: Some(error.code().to_owned()),
            param: None,
        }
    }
}
