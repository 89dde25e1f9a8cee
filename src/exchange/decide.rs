//! Asks the policies: who is calling, may it pass, where does it go, may a stored response serve.

use std::sync::Arc;

use super::decision::{Answer, CacheRule, Identity, Place, Plan, PlannedAttempt, Route};
use super::opening::asks_for_stream;
use super::receive::with_body;
use super::wire::{Client, Dial};
use super::{CacheVerdict, Exchange};
use crate::cache::{Entry, Form, Key};
use crate::dialect::Dialect;
use crate::error::{Error, Kind};
use crate::gate::Gate;
use crate::message::RequestHead;
use crate::policy::Hook;

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

/// Asks `cache`, and looks for a stored response. The key is made here, from the request as the policies left it
/// before any attempt: look-up and storing use the same one.
pub async fn cache<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: &Plan,
) -> Result<Option<Arc<Entry>>, Error> {
    if !x.generation.policies.has(Hook::Cache) {
        return Ok(None);
    }
    let limits = &x.generation.settings.limits;
    let hook = x.run.cache();
    let Some(rule) = with_body(client, &x.request, None, limits, &mut x.intake, hook).await?? else {
        return Ok(None);
    };
    let key = key(x, &rule, plan);
    let found = if rule.read { x.tape.stored(|| key.question(), || gate.cache.get(&key)) } else { None };
    x.cache.verdict = match (&found, rule.read) {
        (Some(_), _) => CacheVerdict::Hit,
        (None, true) => CacheVerdict::Miss("not stored yet"),
        (None, false) => CacheVerdict::Miss("not to be read"),
    };
    x.cache.key = Some(key);
    x.cache.rule = Some(rule);
    Ok(found)
}

/// What identifies the stored response: the rule's parts, and what the gate always adds.
fn key(x: &Exchange, rule: &CacheRule, plan: &Plan) -> Key {
    let mut request = x.request.lock();
    let path = request.head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let method = request.head.method.clone();
    let stream = asks_for_stream(&mut request, x.generation.settings.limits.json());
    let intended = plan.attempts.first().map_or("", |attempt| attempt.upstream.as_str());
    let fingerprint = format!("{} {intended}", x.generation.hash);
    let model = plan.attempts.first().and_then(|attempt| attempt.model.as_deref());
    let dialect = x.dialect.map(Dialect::as_str);
    let form = Form { method: method.as_str(), path: &path, dialect, stream, model };
    let user = holder(x.identity.user.as_deref(), &request.head);
    Key::new(rule, user.as_deref(), &fingerprint, &form)
}

/// For whom an answer may be kept: the user, and the key that the client showed. Clients that nobody told apart, but
/// that come with keys of their own, do not read each other's answers.
pub(super) fn holder(user: Option<&str>, head: &RequestHead) -> Option<String> {
    let mut shown = blake3::Hasher::new();
    let mut any = false;
    for name in CREDENTIALS {
        for value in head.headers.get_all(name) {
            any = true;
            shown.update(name.as_bytes()).update(value.as_bytes());
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
