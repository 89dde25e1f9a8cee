//! The small calls of Ollama's API that its clients make before they talk: which models there are, what they can do,
//! and whether the server is new enough.

use serde_json::{Map, Value, json};

use super::{Model, rfc3339};

/// The version that [`version`] tells. Clients refuse servers that are too old for tools: GitHub Copilot in VS Code
/// asks for 0.6.4 at least (microsoft/vscode-copilot-release#8461).
pub const VERSION: &str = "0.12.11";

/// The context that [`show`] tells for a model of unknown context. GitHub Copilot in VS Code takes the same figure
/// when a server says nothing.
pub const DEFAULT_CONTEXT: u64 = 32_768;

/// `GET /api/tags`: the list of models.
pub fn tags(models: &[Model]) -> Value {
    let entry = |model: &Model| {
        json!({
            "name": model.id, "model": model.id,
            "modified_at": rfc3339(model.created),
            "size": model.size.unwrap_or_default(),
            "digest": model.digest.as_deref().unwrap_or_default(),
            "details": details(model),
        })
    };
    json!({"models": models.iter().map(entry).collect::<Vec<_>>()})
}

/// `GET /api/ps`: the models in this machine's memory. Behind the gate there are none.
pub fn ps() -> Value {
    json!({"models": []})
}

/// `GET /api/version`.
pub fn version() -> Value {
    json!({"version": VERSION})
}

/// `POST /api/show` for a name of the list, with or without Ollama's `:latest`; `None` for a name that is not in it.
/// Every model is said to complete and to call tools, since lists do not say which can: clients hide others.
pub fn show(name: &str, models: &[Model]) -> Option<Value> {
    let exact = models.iter().find(|model| model.id == name);
    let model = exact.or_else(|| models.iter().find(|model| bare(&model.id) == bare(name)))?;
    let architecture = model.family.as_deref().unwrap_or("unknown");
    let mut info = Map::new();
    info.insert("general.architecture".to_owned(), architecture.into());
    info.insert("general.basename".to_owned(), model.display.as_deref().unwrap_or(&model.id).into());
    let context = model.context.unwrap_or(DEFAULT_CONTEXT);
    info.insert(format!("{architecture}.context_length"), context.into());
    Some(json!({
        "modelfile": "", "parameters": "", "template": "",
        "details": details(model),
        "model_info": info,
        "capabilities": ["completion", "tools"],
        "modified_at": rfc3339(model.created),
    }))
}

/// A name without the tag that Ollama takes for granted.
fn bare(name: &str) -> &str {
    name.strip_suffix(":latest").unwrap_or(name)
}

fn details(model: &Model) -> Value {
    let family = model.family.as_deref();
    json!({
        "parent_model": "",
        "format": model.format.as_deref().unwrap_or_default(),
        "family": family.unwrap_or_default(),
        "families": family.into_iter().collect::<Vec<_>>(),
        "parameter_size": model.parameters.as_deref().unwrap_or_default(),
        "quantization_level": model.quantization.as_deref().unwrap_or_default(),
    })
}
