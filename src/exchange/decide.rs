//! Asks the policies: who is calling, may it pass, where does it go, may a stored response serve.

use std::sync::Arc;

use super::decision::{Answer, CacheRule, Identity, Place, Plan, PlannedAttempt, Route};
use super::receive::{buffer, with_body};
use super::storing::Means;
use super::wire::{Client, Dial};
use super::{CacheVerdict, Exchange, form};
use crate::cache::{Following, Form, Key, Role};
use crate::dialect::{Dialect, way};
use crate::error::{Error, Kind};
use crate::gate::Gate;
use crate::message::RequestHead;
use crate::policy::Hook;
use crate::tape::Recalled;

/// Asks `identify`; without an answer the caller is nobody in particular.
pub async fn identify<C: Client>(client: &mut C, x: &mut Exchange) -> Result<(), Error> {
    if !x.generation.policies.has(Hook::Identify) {
        return Ok(());
    }
    let limits = &x.generation.settings.limits;
    let hook = x.run.identify();
    let answer = with_body(client, &x.request, None, limits, &mut x.intake, hook).await??;
    x.identity =
        answer.unwrap_or_else(|| Identity { evidence: Some("no rule matched".to_owned()), ..Identity::default() });
    x.run.set_identity(x.identity.clone());
    Ok(())
}

/// Runs `on_request`: edits, or an answer made there.
pub async fn on_request<C: Client>(client: &mut C, x: &mut Exchange) -> Result<Option<Answer>, Error> {
    if !x.generation.policies.has(Hook::OnRequest) {
        return Ok(None);
    }
    let limits = &x.generation.settings.limits;
    let hook = x.run.on_request();
    let answer = with_body(client, &x.request, None, limits, &mut x.intake, hook).await??;
    Ok(answer)
}

/// Serves a local endpoint of a policy, if one matches.
pub async fn endpoint<C: Client>(client: &mut C, x: &mut Exchange) -> Result<Option<Answer>, Error> {
    if !x.generation.policies.has(Hook::Endpoints) {
        return Ok(None);
    }
    let matched = {
        let request = x.request.lock();
        x.generation.policies.match_endpoint(request.head.method.as_str(), request.head.uri.path())
    };
    let Some(matched) = matched else {
        return Ok(None);
    };
    let limits = &x.generation.settings.limits;
    let hook = x.run.endpoint(matched);
    let answer = with_body(client, &x.request, None, limits, &mut x.intake, hook).await??;
    Ok(answer)
}

/// Asks `route`. Without an answer the request goes to the default upstream, if there is one.
pub async fn route<C: Client>(client: &mut C, x: &mut Exchange) -> Result<Route, Error> {
    if x.generation.policies.has(Hook::Route) {
        let limits = &x.generation.settings.limits;
        let hook = x.run.route();
        let answer = with_body(client, &x.request, None, limits, &mut x.intake, hook).await??;
        if let Some(route) = answer {
            return checked(x, route);
        }
    }
    let Some(upstream) = x.generation.upstreams.default() else {
        return Err(Error::client(Kind::NoRoute, 404, "no policy knows where this request should go"));
    };
    Ok(Route::Plan(Plan {
        attempts: vec![PlannedAttempt { upstream: upstream.name.clone(), ..PlannedAttempt::default() }],
        decided_by: Place("default".to_owned()),
        pinned: false,
    }))
}

/// A plan may only name upstreams that exist.
fn checked(x: &Exchange, route: Route) -> Result<Route, Error> {
    if let Route::Plan(plan) = &route {
        let unknown = plan.attempts.iter().find(|attempt| x.generation.upstreams.get(&attempt.upstream).is_none());
        if let Some(attempt) = unknown {
            let message = format!("{}: there is no upstream `{}`", plan.decided_by.0, attempt.upstream);
            return Err(Error::new(
                crate::error::Fault::Policy,
                Kind::PolicyError,
                500,
                "a policy chose an upstream that does not exist",
            )
            .with_detail(message));
        }
    }
    Ok(route)
}

/// An answer that was made for another exchange.
pub enum Found {
    /// It is stored, or was heard when the exchange was recorded.
    Recalled(Recalled),
    /// Another exchange waits for it, or hears it, at present.
    Joins(Following),
}

/// Asks `cache`, and looks for a stored response. The key is made here, from the request as the policies left it
/// before any attempt: look-up and storing use the same one.
pub async fn cache<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: &Plan,
) -> Result<Option<Found>, Error> {
    if !x.generation.policies.has(Hook::Cache) {
        return Ok(None);
    }
    let limits = &x.generation.settings.limits;
    let hook = x.run.cache();
    let Some(mut rule) = with_body(client, &x.request, None, limits, &mut x.intake, hook).await?? else {
        return Ok(None);
    };
    if rule.http.is_some() {
        x.cache.rule = Some(rule);
        return Ok(None);
    }
    if x.dialect.is_some_and(way::is_chat) {
        // Its body says in which form it is to be answered, whether the policy has read it or not.
        buffer(client, &x.request, &x.generation.settings.limits, &mut x.intake).await?;
    }
    let parts = std::mem::take(&mut rule.key);
    let key = key(x, parts, &rule, plan);
    // What is kept text by text is kept apart from whole answers.
    let whole = !x.is_split(&rule);
    if rule.write && whole {
        let (clock, limit) = (gate.clock, gate.cache.entry_limit());
        x.cache.store = Some(Means { clock, limit, followers: Arc::default() });
    }
    x.cache.verdict = CacheVerdict::Miss(if rule.read { "not stored yet" } else { "not to be read" });
    let found = if rule.read && whole { find(gate, x, &rule, &key).await } else { None };
    x.cache.key = Some(key);
    x.cache.rule = Some(rule);
    Ok(found)
}

/// Looks for a stored answer, then for a call under way; where there is neither, others may join this one.
async fn find<D: Dial>(gate: &Gate<D>, x: &mut Exchange, rule: &CacheRule, key: &Key) -> Option<Found> {
    let stored = gate.cache.find(key, rule.stale.longest());
    if let Some(recalled) = x.tape.stored(|| key.question(), stored).await
        && let Some(recalled) = serves(gate, x, rule, recalled)
    {
        return Some(Found::Recalled(recalled));
    }
    if !rule.write || !rule.sharing.join || x.tape.is_bound() {
        return None;
    }
    match gate.flights.enter(key) {
        Role::Follows(following) => return Some(Found::Joins(following)),
        // Who led before may have stored its answer a moment ago.
        Role::Leads(_)
            if x.cache.spare.is_none()
                && let Some(entry) = gate.cache.peek(key) =>
        {
            x.tape.heard(|| key.question(), || Recalled::Stored(Arc::clone(&entry)));
            x.cache.verdict = CacheVerdict::Hit;
            return Some(Found::Recalled(Recalled::Stored(entry)));
        }
        other => x.cache.leads(other),
    }
    None
}

/// Whether what was found serves: at once, while its time lasts or a new one is fetched; or later, when the upstreams
/// fail.
fn serves<D: Dial>(gate: &Gate<D>, x: &mut Exchange, rule: &CacheRule, recalled: Recalled) -> Option<Recalled> {
    let over = match &recalled {
        Recalled::Stored(entry) if !rule.stale.longest().is_zero() => {
            let over = || (!entry.is_fresh(&gate.clock)).then(|| entry.stale_for(&gate.clock));
            x.tape.ask(|| "stale".to_owned(), over)
        }
        _ => None,
    };
    match (over, recalled) {
        (Some(over), Recalled::Stored(entry)) if over >= rule.stale.while_revalidate => {
            x.cache.verdict = CacheVerdict::Miss("too old");
            x.cache.spare = Some(entry).filter(|_| over < rule.stale.if_error);
            None
        }
        (over, recalled) => {
            x.cache.again = over.is_some();
            x.cache.verdict = if x.cache.again { CacheVerdict::Stale } else { CacheVerdict::Hit };
            Some(recalled)
        }
    }
}

/// What identifies the stored response: the rule's `parts`, and what the gate always adds.
fn key(x: &mut Exchange, parts: Vec<(String, String)>, rule: &CacheRule, plan: &Plan) -> Key {
    let limits = x.generation.settings.limits.json();
    let mut request = x.request.lock();
    let path = request.head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let method = request.head.method.clone();
    let asked = form::Asked::of(&mut request, limits);
    let first = plan.attempts.first();
    let intended = first.map_or("", |attempt| attempt.upstream.as_str());
    let user = holder(x.identity.user.as_deref(), &request.head);
    let model = first.and_then(|attempt| attempt.model.as_deref());
    let chat = x.dialect.filter(|dialect| way::is_chat(*dialect));
    x.cache.wire = chat.and_then(|dialect| way::wire(dialect, &x.target, asked.stream));
    let any = rule.sharing.any_dialect;
    let own = x.dialect.filter(|_| chat.is_none() || !any).map(Dialect::as_str);
    let form = match chat {
        None => {
            let stream = Some(asked.stream == Some(true));
            Form { method: method.as_str(), path: &path, dialect: own, stream, upstream: intended, model }
        }
        Some(dialect) => Form {
            method: method.as_str(),
            path: &form::path(dialect, &path, any),
            dialect: own,
            stream: None,
            upstream: intended,
            // A path may name it, which is no part of the key in any dialect.
            model: model.or(asked.model.as_deref().filter(|_| any)).or(form::model(&path).filter(|_| any)),
        },
    };
    Key::new(parts, rule, user.as_deref(), &x.generation.hash, &form)
}

/// For whom an answer may be kept: the user, and the key that the client showed. Clients that nobody told apart, but
/// that come with keys of their own, do not read each other's answers.
pub(in crate::exchange) fn holder(user: Option<&str>, head: &RequestHead) -> Option<String> {
    let mut shown = blake3::Hasher::new();
    let mut any = false;
    for name in CREDENTIALS {
        for value in head.headers.get_all(name) {
            any = true;
            let length = value.len() as u64;
            shown.update(name.as_bytes()).update(&length.to_le_bytes()).update(value.as_bytes());
        }
    }
    match (user, any) {
        (user, false) => user.map(str::to_owned),
        (user, true) => {
            let key = shown.finalize().to_hex();
            Some(format!("{} with key {}", user.unwrap_or("nobody"), key.get(..16).unwrap_or_default()))
        }
    }
}

/// Headers that say with whose rights a call is made.
const CREDENTIALS: [&str; 5] = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];
