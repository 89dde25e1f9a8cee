//! Writes the lists of models of OpenAI, Anthropic and Gemini.

use serde_json::{Value, json};

use super::{Model, rfc3339};

/// OpenAI's list ("List models"). The context is named as `OpenRouter` names it, where it is known.
pub(super) fn openai(models: &[Model]) -> Value {
    let entry = |model: &Model| {
        let mut entry = json!({
            "id": model.id, "object": "model",
            "created": model.created.unwrap_or_default(),
            "owned_by": model.owner.as_deref().unwrap_or_default(),
        });
        if let Some(context) = model.context {
            entry["context_length"] = context.into();
        }
        entry
    };
    json!({"object": "list", "data": models.iter().map(entry).collect::<Vec<_>>()})
}

/// Anthropic's list ("List Models"), as one page. An unknown time is the epoch there by the documentation.
pub(super) fn anthropic(models: &[Model]) -> Value {
    let entry = |model: &Model| {
        let mut entry = json!({
            "type": "model", "id": model.id,
            "display_name": model.display.as_deref().unwrap_or(&model.id),
            "created_at": rfc3339(model.created),
        });
        if let Some(context) = model.context {
            entry["max_input_tokens"] = context.into();
        }
        entry
    };
    json!({
        "data": models.iter().map(entry).collect::<Vec<_>>(),
        "has_more": false,
        "first_id": models.first().map(|model| model.id.as_str()),
        "last_id": models.last().map(|model| model.id.as_str()),
    })
}

/// Gemini's list (`models.list`), as one page.
pub(super) fn gemini(models: &[Model]) -> Value {
    let entry = |model: &Model| {
        let mut entry = json!({
            "name": format!("models/{}", model.id),
            "version": "",
            "displayName": model.display.as_deref().unwrap_or(&model.id),
            "description": "",
            "supportedGenerationMethods": ["generateContent"],
        });
        if let Some(context) = model.context {
            entry["inputTokenLimit"] = context.into();
        }
        entry
    };
    json!({"models": models.iter().map(entry).collect::<Vec<_>>()})
}
