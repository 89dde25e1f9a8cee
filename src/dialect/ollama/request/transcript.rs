//! Fits a conversation into the one prompt of `/api/generate`.

use serde_json::{Map, Value};

use super::messages::Said;
use super::names::Names;
use crate::dialect::loss::Losses;

/// Writes `system`, `prompt` and `images`. A single message of the user is the prompt as it is; several become a
/// transcript that ends with the turn of the assistant.
pub(super) fn transcript(said: Vec<Said>, names: Names, losses: &mut Losses, body: &mut Map<String, Value>) {
    let (mut system, turns): (Vec<Said>, Vec<Said>) = said.into_iter().partition(|it| it.role == "system");
    if !system.is_empty() {
        let texts: Vec<String> = system.iter_mut().map(Said::content).collect();
        body.insert("system".to_owned(), Value::String(texts.join("\n\n")));
    }
    let plain = turns.iter().all(|it| it.role == "user") && turns.len() < 2;
    if !plain {
        losses.approximated(names.messages(), "Ollama's generate call has one prompt: written as a transcript");
    }
    let (mut prompt, mut images) = (String::new(), Vec::new());
    for (at, mut turn) in turns.into_iter().enumerate() {
        images.append(&mut turn.images);
        if !turn.thinking.is_empty() {
            losses.dropped(names.message(at), "Ollama's generate call takes no thoughts");
        }
        if !turn.calls.is_empty() {
            losses.dropped(format!("{}.tool_calls", names.message(at)), "Ollama's generate call has no tools");
        }
        for key in turn.rest.keys().filter(|key| !matches!(key.as_str(), "tool_name" | "tool_call_id")) {
            losses.dropped(format!("{}.{key}", names.message(at)), "Ollama's generate call has no messages");
        }
        if plain {
            prompt = turn.content();
        } else if !turn.texts.is_empty() {
            prompt.extend([speaker(&turn.role), ": ", &turn.content(), "\n\n"]);
        }
    }
    if !plain {
        prompt.push_str("Assistant:");
    }
    body.insert("prompt".to_owned(), Value::String(prompt));
    if !images.is_empty() {
        body.insert("images".to_owned(), Value::Array(images));
    }
}

fn speaker(role: &str) -> &'static str {
    match role {
        "assistant" => "Assistant",
        "tool" => "Tool",
        _ => "User",
    }
}
