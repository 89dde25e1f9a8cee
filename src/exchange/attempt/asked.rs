//! What of a request an endpoint is chosen by: its model, its size, and the key that keeps it at the same endpoint.

use std::time::Duration;

use blake3::Hasher;

use crate::error::Error;
use crate::exchange::decision::{Plan, PlannedAttempt};
use crate::exchange::wire::{Client, Dial};
use crate::exchange::{Exchange, heads, receive};
use crate::gate::Gate;
use crate::json::{Doc, Item, JsonError, NodeId};
use crate::message::Body;
use crate::settings::{By, Sticky};
use crate::upstream::health::{Ask, Fitness};
use crate::upstream::{Upstream, balance};

/// Bytes of a request that are about one token.
const TOKEN: u64 = 4;

/// Where dialects have what comes before the conversation, and so first in a prompt cache.
const BEFORE: [&str; 6] = ["instructions", "tools", "functions", "systemInstruction", "system_instruction", "system"];

/// Where dialects have the conversation.
const CONVERSATION: [&str; 4] = ["messages", "input", "contents", "prompt"];

/// How a line begins that Claude Code puts first into `system`; it differs from call to call.
const BILLING: &str = "x-anthropic-billing-header";

/// Bytes of a model's name. What is longer is none, and would be kept for as long as the endpoint is.
const LONGEST_MODEL: usize = 256;

/// Messages that are looked through for the first of the user.
const MOST_MESSAGES: usize = 16;

/// What of a request an endpoint is chosen by.
pub(super) struct Asked {
    /// The gate's time.
    pub(super) now: Duration,
    /// The key that keeps it at the same endpoint, where that is wanted.
    pub(super) key: Option<u64>,
    model: Option<String>,
    tokens: u64,
}

/// Reads the body into memory where an endpoint is chosen by it.
pub(super) async fn ready<C: Client>(client: &mut C, x: &mut Exchange, plan: &Plan) -> Result<(), Error> {
    let by_body = |planned: &PlannedAttempt| {
        let upstream = x.generation.upstreams.get(&planned.upstream);
        upstream.is_some_and(|upstream| needs_body(upstream, planned))
    };
    if x.dialect.is_none() || !plan.attempts.iter().any(by_body) {
        return Ok(());
    }
    let limits = &x.generation.settings.limits;
    let declared = heads::content_length(&x.request.lock().head.headers);
    // A body that is too large for memory is passed on all the same, to whichever endpoint.
    if declared.is_none_or(|length| length > limits.body as u64) {
        return Ok(());
    }
    Box::pin(receive::buffer(client, &x.request, limits, &mut x.intake)).await
}

fn needs_body(upstream: &Upstream, planned: &PlannedAttempt) -> bool {
    let sticky = upstream.balance.by == By::Hash && upstream.balance.key == Sticky::Prompt && planned.key.is_none();
    (sticky && upstream.endpoints.len() > 1) || (tells_models_apart(upstream) && planned.model.is_none())
}

fn tells_models_apart(upstream: &Upstream) -> bool {
    upstream.breaker.on && upstream.breaker.per_model
}

/// How long the one endpoint that a planned attempt names is to be left alone yet; `None` when it may be asked, or is not
/// there.
pub(in crate::exchange) fn left_alone<D: Dial>(
    gate: &Gate<D>,
    x: &Exchange,
    planned: &PlannedAttempt,
) -> Option<Duration> {
    let upstream = x.generation.upstreams.get(&planned.upstream)?;
    let endpoint = upstream.endpoints.iter().find(|it| planned.endpoint.as_ref() == Some(&it.name))?;
    let asked = Asked::of(gate, x, planned, upstream);
    match endpoint.vitals().fitness(&upstream.breaker, upstream.balance.headroom, &asked.ask()) {
        Fitness::Open(until) => Some(until.saturating_sub(asked.now)),
        Fitness::Fit | Fitness::Trial | Fitness::Spared => None,
    }
}

// === impl Asked ===

impl Asked {
    /// What counts for one upstream.
    pub(super) fn of<D: Dial>(gate: &Gate<D>, x: &Exchange, planned: &PlannedAttempt, upstream: &Upstream) -> Self {
        let sticky = upstream.balance.by == By::Hash && upstream.endpoints.len() > 1;
        let tokens = heads::content_length(&x.request.lock().head.headers).unwrap_or(0) / TOKEN;
        Self {
            now: gate.clock.elapsed(),
            key: if sticky { key(x, planned, &upstream.balance.key) } else { None },
            model: if tells_models_apart(upstream) {
                planned.model.clone().or_else(|| model(x)).filter(|model| model.len() <= LONGEST_MODEL)
            } else {
                None
            },
            tokens,
        }
    }

    /// The question to an endpoint.
    pub(super) fn ask(&self) -> Ask<'_> {
        Ask { model: self.model.as_deref(), tokens: self.tokens, now: self.now }
    }
}

/// The key that keeps a request at the same endpoint; `None` when it has none, and goes anywhere.
fn key(x: &Exchange, planned: &PlannedAttempt, sticky: &Sticky) -> Option<u64> {
    if let Some(key) = &planned.key {
        return Some(balance::key_of(key.as_bytes()));
    }
    let of = |text: &String| balance::key_of(text.as_bytes());
    let address = || balance::key_of(x.client_ip.to_string().as_bytes());
    let user = || x.identity.user.as_ref().map(of);
    match sticky {
        Sticky::User => Some(user().unwrap_or_else(address)),
        Sticky::Session => Some(x.identity.session.as_ref().map(of).or_else(user).unwrap_or_else(address)),
        Sticky::Header(name) => x.request.lock().head.headers.get(name).map(|value| balance::key_of(value.as_bytes())),
        Sticky::Prompt => read(x, prompt),
    }
}

/// The model that the request names.
fn model(x: &Exchange) -> Option<String> {
    let in_path = || {
        let path = x.target.split(['?', ':']).next()?;
        path.rsplit_once("/models/").map(|(_, name)| name.to_owned())
    };
    let in_body = read(x, |doc, root| match doc.get(root, "model")? {
        Some(Item::String(model)) => Ok(Some(model.into_owned())),
        _ => Ok(None),
    });
    in_body.or_else(in_path)
}

/// Reads something out of a body that is an object; what cannot be read is not there.
fn read<T>(x: &Exchange, read: impl FnOnce(&mut Doc, NodeId) -> Result<Option<T>, JsonError>) -> Option<T> {
    let mut request = x.request.lock();
    if matches!(request.body, Body::Empty | Body::Unread | Body::Streamed | Body::Failed(_)) {
        return None;
    }
    let doc = request.body.json(x.generation.settings.limits.json()).ok()?;
    let Ok(Item::Object(root)) = doc.root() else { return None };
    read(doc, root).ok().flatten()
}

/// A number of what stands first in a request and stays the same from turn to turn.
fn prompt(doc: &mut Doc, root: NodeId) -> Result<Option<u64>, JsonError> {
    let mut hasher = Hasher::new();
    for name in BEFORE {
        hear(doc, root, name, &mut hasher)?;
    }
    for name in CONVERSATION {
        match held(doc.get(root, name)?) {
            Held::Text(text) => drop(hasher.update(text.as_bytes())),
            Held::Node(list) => first_message(doc, list, &mut hasher)?,
            Held::Nothing => {}
        }
    }
    let heard = hasher.count() > 0;
    let number = hasher.finalize().as_bytes().iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte));
    Ok(heard.then_some(number))
}

/// What a value is, as far as it is read here.
enum Held {
    Text(String),
    Node(NodeId),
    Nothing,
}

fn held(item: Option<Item<'_>>) -> Held {
    match item {
        Some(Item::String(text)) => Held::Text(text.into_owned()),
        Some(Item::Object(node) | Item::Array(node)) => Held::Node(node),
        _ => Held::Nothing,
    }
}

/// Takes in what stands under a key; of a list that is text in pieces, the texts.
fn hear(doc: &mut Doc, node: NodeId, name: &str, hasher: &mut Hasher) -> Result<(), JsonError> {
    match held(doc.get(node, name)?) {
        Held::Text(text) => drop(hasher.update(text.as_bytes())),
        Held::Node(list) if name == "tools" || name == "functions" => drop(hasher.update(&doc.bytes_of(list)?)),
        Held::Node(list) => texts(doc, list, hasher)?,
        Held::Nothing => {}
    }
    Ok(())
}

/// Takes in the texts of a list of pieces. Marks on them may move from turn to turn.
fn texts(doc: &mut Doc, list: NodeId, hasher: &mut Hasher) -> Result<(), JsonError> {
    if let Held::Node(parts) = held(doc.get(list, "parts")?) {
        return texts(doc, parts, hasher);
    }
    for at in 0..doc.len(list)? {
        let Held::Node(piece) = held(doc.at(list, at)?) else { continue };
        match held(doc.get(piece, "text")?) {
            Held::Text(text) if text.starts_with(BILLING) => {}
            Held::Text(text) => drop(hasher.update(text.as_bytes())),
            _ => {}
        }
    }
    Ok(())
}

/// Takes in all messages up to the first of the user.
fn first_message(doc: &mut Doc, list: NodeId, hasher: &mut Hasher) -> Result<(), JsonError> {
    for at in 0..doc.len(list)?.min(MOST_MESSAGES) {
        match held(doc.at(list, at)?) {
            Held::Text(text) => drop(hasher.update(text.as_bytes())),
            Held::Node(message) => {
                hear(doc, message, "content", hasher)?;
                hear(doc, message, "parts", hasher)?;
                if matches!(doc.get(message, "role")?, Some(Item::String(role)) if role == "user") {
                    return Ok(());
                }
            }
            Held::Nothing => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::json::Limits;

    fn number(body: &Value) -> Option<u64> {
        let mut doc = Doc::parse(Bytes::from(body.to_string()), Limits::default()).unwrap();
        let Ok(Item::Object(root)) = doc.root() else { panic!("no object") };
        prompt(&mut doc, root).unwrap()
    }

    #[test]
    fn a_conversation_that_goes_on_stays_the_same_and_another_is_not() {
        let turn = |first: &str, more: &[&str]| {
            let mut messages =
                vec![json!({"role": "system", "content": "s"}), json!({"role": "user", "content": first})];
            messages.extend(more.iter().map(|text| json!({"role": "user", "content": text})));
            json!({"model": "m", "messages": messages, "temperature": more.len()})
        };
        assert_eq!(number(&turn("a", &[])), number(&turn("a", &["b", "c"])));
        assert_ne!(number(&turn("a", &[])), number(&turn("b", &[])));
    }

    #[test]
    fn marks_and_accounts_that_move_do_not_matter() {
        let body = |account: &str, mark: Value| {
            let system = json!([{"type": "text", "text": format!("x-anthropic-billing-header: {account}")}, {"type": "text", "text": "You are"}]);
            let first = json!([{"type": "text", "text": "hello", "cache_control": mark}]);
            json!({"system": system, "tools": [{"name": "t"}], "messages": [{"role": "user", "content": first}]})
        };
        assert_eq!(number(&body("1", json!(null))), number(&body("2", json!({"type": "ephemeral"}))));
    }

    #[test]
    fn every_dialect_has_a_prompt() {
        let bodies = [
            json!({"input": "a"}),
            json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}),
            json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}),
            json!({"prompt": "a"}),
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}),
        ];
        for body in bodies {
            assert_eq!(number(&body), number(&json!({"prompt": "a"})), "{body}");
        }
        assert_eq!(number(&json!({"model": "m"})), None);
        assert_ne!(number(&json!({"instructions": "i", "input": "a"})), number(&json!({"input": "a"})));
    }
}
