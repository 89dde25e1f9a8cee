//! Lists of models: what each dialect says of the models that it serves, read into one form and written in any other,
//! so that a client finds the models of every upstream in the list that it knows how to ask for.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Dialect;
use super::codec::Malformed;

pub mod ollama;
mod read;
#[cfg(test)]
mod tests;
mod write;

/// A model as lists show it; what a list does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The name that requests use.
    pub id: String,
    /// When it was made or last changed, in seconds since 1970.
    pub created: Option<i64>,
    /// Who made it or offers it.
    pub owner: Option<String>,
    /// Its size in bytes (Ollama).
    pub size: Option<u64>,
    /// The hash of its files (Ollama).
    pub digest: Option<String>,
    /// The form of its files, such as `gguf` (Ollama).
    pub format: Option<String>,
    /// Its architecture, such as `llama` (Ollama, LM Studio).
    pub family: Option<String>,
    /// How many parameters it has, as people write it: `8.0B` (Ollama).
    pub parameters: Option<String>,
    /// How its weights are rounded: `Q4_K_M` (Ollama, LM Studio).
    pub quantization: Option<String>,
    /// How many tokens it can hold at once.
    pub context: Option<u64>,
    /// Its name for people.
    pub display: Option<String>,
}

/// Reads a dialect's list of models: OpenAI's `GET /v1/models` and the lists of servers like it, Anthropic's
/// `GET /v1/models`, Gemini's `GET /v1beta/models`, Ollama's `GET /api/tags`. Fails where the list is no list or a
/// model has no name.
pub fn read(dialect: Dialect, body: Value) -> Result<Vec<Model>, Malformed> {
    match dialect {
        Dialect::GeminiModels => models(body, "models", read::gemini),
        Dialect::Anthropic => models(body, "data", read::anthropic),
        Dialect::OllamaTags => models(body, "models", read::ollama),
        _ => models(body, "data", read::openai),
    }
}

/// Writes a dialect's list of models. What the dialect demands and is not known is zero or empty, never made up.
pub fn write(dialect: Dialect, models: &[Model]) -> Value {
    match dialect {
        Dialect::GeminiModels => write::gemini(models),
        Dialect::Anthropic => write::anthropic(models),
        Dialect::OllamaTags => ollama::tags(models),
        _ => write::openai(models),
    }
}

/// The models of the list under a key. Some servers send the bare array, others `null` for an empty one.
fn models(body: Value, key: &str, read: impl Fn(Map<String, Value>) -> Option<Model>) -> Result<Vec<Model>, Malformed> {
    let list = match body {
        Value::Object(mut map) => map.remove(key),
        other => Some(other),
    };
    let list = match list {
        Some(Value::Array(list)) => list,
        Some(Value::Null) => Vec::new(),
        _ => return Err(Malformed::at(key, "expected an array")),
    };
    let models = list.into_iter().enumerate().map(|(at, model)| match model {
        Value::Object(model) => {
            read(model).ok_or_else(|| Malformed::at(format!("{key}[{at}]"), "expected the name of a model"))
        }
        _ => Err(Malformed::at(format!("{key}[{at}]"), "expected an object")),
    });
    models.collect()
}

/// A time in RFC 3339; the epoch where none is known, as Anthropic's API documents it.
fn rfc3339(seconds: Option<i64>) -> String {
    Timestamp::from_second(seconds.unwrap_or_default()).unwrap_or_default().to_string()
}
