//! Writes a request's body.

use serde_json::{Map, Value, json};

use super::model::Model;
use super::parts::{Scribe, asked};
use super::paths::Paths;
use super::turns::Turns;
use super::{sampling, thinking, tools};
use crate::dialect::Dialect;
use crate::dialect::chat::Chat;
use crate::dialect::codec::Outgoing;
use crate::dialect::loss::Losses;

/// Writes a request of `/v1/messages`; one that was read as a question for the count of its tokens stays that.
pub(in super::super) fn write(chat: &Chat, losses: &mut Losses) -> Outgoing {
    let same = matches!(chat.origin, Some(Dialect::Anthropic | Dialect::AnthropicCount));
    let scribe = &mut Scribe { same, paths: Paths(chat.origin), losses };
    let model = Model::named(&chat.model);
    let mut turns = Turns::of(&chat.messages, scribe);
    let mut plan = thinking::plan(chat, model, scribe);
    if !same && plan.budget.is_some() && turns.tool_turn_without_thoughts() {
        scribe.losses.dropped(scribe.paths.setting("thinking"), "the last tool call has no thoughts of Anthropic's");
        plan = thinking::Plan::default();
    }
    let mut body = Map::new();
    if !chat.model.is_empty() {
        body.insert("model".to_owned(), json!(chat.model));
    }
    if let Some(limit) = sampling::max_tokens(chat.sampling.max_tokens.as_ref(), plan.budget, scribe) {
        body.insert("max_tokens".to_owned(), Value::Number(limit));
    }
    turns.system.extend(thinking::json_line(chat, scribe));
    if let Some(system) = turns.system() {
        body.insert("system".to_owned(), system);
    }
    tools::write(chat, plan.thinks && !same, &mut body, scribe);
    sampling::write(&chat.sampling, &plan, model, &mut body, scribe);
    thinking::write(chat, plan, &mut body, scribe);
    if let Some(user) = &chat.user {
        body.insert("metadata".to_owned(), json!({"user_id": user}));
    }
    if chat.stream {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    extras(chat, &mut body, scribe);
    body.insert("messages".to_owned(), turns.messages());
    Outgoing { target: target(chat).to_owned(), body: Value::Object(body) }
}

fn target(chat: &Chat) -> &'static str {
    if chat.origin == Some(Dialect::AnthropicCount) { "/v1/messages/count_tokens" } else { "/v1/messages" }
}

/// Puts back what only this dialect knows, field by field where the field is written for other reasons too; of other
/// dialects, says that it is gone.
fn extras(chat: &Chat, body: &mut Map<String, Value>, scribe: &mut Scribe<'_>) {
    for (name, value) in &chat.extra {
        if !scribe.same {
            if asked(value) {
                scribe.losses.dropped(name.as_str(), "only its own dialect knows it");
            }
            continue;
        }
        match (body.get_mut(name), value) {
            (Some(Value::Object(written)), Value::Object(fields)) => {
                for (name, value) in fields {
                    written.entry(name.as_str()).or_insert_with(|| value.clone());
                }
            }
            (Some(_), _) => {}
            (None, _) => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
}
