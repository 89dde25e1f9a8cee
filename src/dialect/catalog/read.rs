//! Reads one model of each dialect's list. `None` is a model without a name.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Model;

/// OpenAI's model object, with the fields that `OpenRouter`, vLLM, LM Studio and Groq add to it.
pub(super) fn openai(mut model: Map<String, Value>) -> Option<Model> {
    let contexts = ["context_length", "max_model_len", "max_context_length", "context_window"];
    Some(Model {
        id: text(&mut model, "id")?,
        created: model.get("created").and_then(Value::as_i64).filter(|created| *created > 0),
        owner: text(&mut model, "owned_by").or_else(|| text(&mut model, "publisher")),
        family: text(&mut model, "arch"),
        quantization: text(&mut model, "quantization"),
        context: contexts.iter().find_map(|key| count(&model, key)),
        display: text(&mut model, "name"),
        ..Model::default()
    })
}

/// Anthropic's model object.
pub(super) fn anthropic(mut model: Map<String, Value>) -> Option<Model> {
    Some(Model {
        id: text(&mut model, "id")?,
        created: time(&model, "created_at"),
        owner: Some("anthropic".to_owned()),
        context: count(&model, "max_input_tokens"),
        display: text(&mut model, "display_name"),
        ..Model::default()
    })
}

/// Gemini's model object, whose name is a path.
pub(super) fn gemini(mut model: Map<String, Value>) -> Option<Model> {
    let name = text(&mut model, "name")?;
    Some(Model {
        id: name.strip_prefix("models/").unwrap_or(&name).to_owned(),
        owner: Some("google".to_owned()),
        context: count(&model, "inputTokenLimit"),
        display: text(&mut model, "displayName"),
        ..Model::default()
    })
}

/// Ollama's entry of `GET /api/tags`. The owner is the name space, `library` for models without one, as in Ollama's
/// own `GET /v1/models`.
pub(super) fn ollama(mut model: Map<String, Value>) -> Option<Model> {
    let id = text(&mut model, "model").or_else(|| text(&mut model, "name"))?;
    let mut details = match model.remove("details") {
        Some(Value::Object(details)) => details,
        _ => Map::new(),
    };
    let owner = id.rsplit_once('/').map_or("library", |(space, _)| space).to_owned();
    Some(Model {
        created: time(&model, "modified_at"),
        owner: Some(owner),
        size: count(&model, "size"),
        digest: text(&mut model, "digest"),
        format: text(&mut details, "format"),
        family: text(&mut details, "family"),
        parameters: text(&mut details, "parameter_size"),
        quantization: text(&mut details, "quantization_level"),
        context: count(&details, "context_length"),
        display: None,
        id,
    })
}

fn text(map: &mut Map<String, Value>, key: &str) -> Option<String> {
    match map.get_mut(key).map(Value::take) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn count(map: &Map<String, Value>, key: &str) -> Option<u64> {
    map.get(key)?.as_u64().filter(|count| *count > 0)
}

/// A time in RFC 3339; zero and before count as unknown.
fn time(map: &Map<String, Value>, key: &str) -> Option<i64> {
    let time: Timestamp = map.get(key)?.as_str()?.parse().ok()?;
    Some(time.as_second()).filter(|seconds| *seconds > 0)
}
