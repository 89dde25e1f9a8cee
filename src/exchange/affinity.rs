//! Sends a request of `OpenAI`'s Responses where what it refers to was made.

mod away;

pub mod scribe;

use serde::{Deserialize, Serialize};

use super::decision::Plan;
use super::wire::{Client, Dial};
use super::{Exchange, receive};
use crate::dialect::Dialect;
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::settings::Lost;
use crate::upstream::affinity::{Affinity, Home, Mark, Refers, Rule, strip};
use scribe::Scribe;

/// What binds an exchange to one endpoint.
#[derive(Default)]
pub struct Bond {
    /// What was done about what the request refers to.
    pub pin: Pin,
    /// Notes where the answer was made, when that may be asked for.
    pub scribe: Option<Box<Scribe>>,
}

/// What was done about what a request refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pin {
    /// It refers to nothing, or nobody looked.
    #[default]
    None,
    /// It goes where that was made.
    Home,
    /// It was taken out.
    Stripped,
}

/// What is known of where a request belongs, as a tape keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    /// All it refers to was made there.
    At(Home),
    /// Of something it refers to nobody knows.
    Unknown,
    /// It refers to things that were made in different places.
    Apart,
}

/// What the client is told when its request has lost its endpoint: by the answer's id, and by reasoning.
struct Loss {
    follows: &'static str,
    sealed: &'static str,
}

const UNKNOWN: Loss = Loss {
    follows: "unknown previous_response_id: where it was made is not known, or not any more",
    sealed: "unknown encrypted_content: where it was made is not known, or not any more",
};

const GONE: Loss = Loss {
    follows: "the previous_response_id was made by an endpoint that is not available",
    sealed: "the encrypted_content was made by an endpoint that is not available",
};

/// Keeps a plan to the endpoint that made what the request refers to.
pub(super) async fn pin<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: Plan,
) -> Result<Plan, Error> {
    match rule(x, &plan) {
        None => Ok(plan),
        // Boxed: few exchanges come here, and all would carry room for it.
        Some(rule) => Box::pin(follow(gate, client, x, plan, rule)).await,
    }
}

/// The rule of the plan's first upstream that has one, for requests that may refer to something.
fn rule(x: &Exchange, plan: &Plan) -> Option<Rule> {
    match x.dialect {
        Some(Dialect::OpenAiResponses) => {}
        None if answer_named(x.request.lock().head.uri.path()).is_some() => {}
        _ => return None,
    }
    plan.attempts.iter().find_map(|attempt| x.generation.upstreams.get(&attempt.upstream)?.affinity)
}

/// The answer that a path is about, such as `/v1/responses/resp_1/input_items`.
fn answer_named(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/responses/")?;
    rest.split('/').next().filter(|id| !id.is_empty())
}

async fn follow<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: Plan,
    rule: Rule,
) -> Result<Plan, Error> {
    let refers = refers(client, x).await?;
    let marks = refers.marks();
    if marks.is_empty() {
        return Ok(plan);
    }
    let known = find(&gate.affinity, &marks).await;
    match x.tape.ask(|| "affinity".to_owned(), || known) {
        Found::At(home) => match kept_to(x, &plan, &home) {
            Some(pinned) => {
                if let Some(left) = away::still(gate, client, x, &plan, &pinned, rule).await? {
                    return lost(x, plan, rule, &refers, &GONE).map_err(|error| error.with_retry_after(left));
                }
                x.bond.pin = Pin::Home;
                x.plan = Some(pinned.clone());
                Ok(pinned)
            }
            None => lost(x, plan, rule, &refers, &GONE),
        },
        // There is nothing to choose, and the upstream knows best what it made.
        Found::Unknown if x.dialect.is_none() || choices(x, &plan) < 2 => Ok(plan),
        Found::Unknown => lost(x, plan, rule, &refers, &UNKNOWN),
        Found::Apart => {
            let message = "items with encrypted_content of different endpoints cannot be sent to one of them";
            Err(conflict("affinity_mixed", message))
        }
    }
}

/// What a request refers to: by its body, or by its path.
async fn refers<C: Client>(client: &mut C, x: &mut Exchange) -> Result<Refers, Error> {
    if x.dialect.is_none() {
        let id = answer_named(x.request.lock().head.uri.path()).map(str::to_owned);
        return Ok(Refers { previous_response_id: id, ..Refers::default() });
    }
    receive::buffer(client, &x.request, &x.generation.settings.limits, &mut x.intake).await?;
    let body = x.request.lock().body.bytes().unwrap_or_default();
    Ok(Refers::of(&body))
}

/// Looks for the one place where all of it was made.
async fn find(affinity: &Affinity, marks: &[Mark]) -> Found {
    let mut only = None;
    for mark in marks {
        match (affinity.get(mark).await, &only) {
            (None, _) => return Found::Unknown,
            (Some(home), Some(other)) if home != *other => return Found::Apart,
            (home, _) => only = home,
        }
    }
    only.map_or(Found::Unknown, |home| Found::At(Home::clone(&home)))
}

/// The plan with nothing in it but that endpoint; `None` when the plan does not lead there, or it is in no settings.
fn kept_to(x: &Exchange, plan: &Plan, home: &Home) -> Option<Plan> {
    let upstream = x.generation.upstreams.get(&home.upstream)?;
    upstream.endpoints.iter().find(|endpoint| endpoint.name == home.endpoint)?;
    let allows = |endpoint: &Option<String>| endpoint.as_ref().is_none_or(|wanted| *wanted == home.endpoint);
    let attempt = plan.attempts.iter().find(|it| it.upstream == home.upstream && allows(&it.endpoint))?;
    let mut attempt = attempt.clone();
    attempt.endpoint = Some(home.endpoint.clone());
    Some(Plan { attempts: vec![attempt], decided_by: plan.decided_by.clone(), pinned: true })
}

/// How many endpoints a plan leads to.
fn choices(x: &Exchange, plan: &Plan) -> usize {
    let mut endpoints: Vec<(&str, &str)> = Vec::new();
    for attempt in &plan.attempts {
        let Some(upstream) = x.generation.upstreams.get(&attempt.upstream) else { continue };
        let wanted =
            upstream.endpoints.iter().filter(|it| attempt.endpoint.as_ref().is_none_or(|name| *name == it.name));
        endpoints.extend(wanted.map(|endpoint| (upstream.name.as_str(), endpoint.name.as_str())));
    }
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints.len()
}

/// A request whose endpoint is not known or not there: what becomes of it is the owner's choice.
fn lost(x: &mut Exchange, plan: Plan, rule: Rule, refers: &Refers, loss: &Loss) -> Result<Plan, Error> {
    // From a path nothing can be taken out.
    if rule.lost != Lost::Strip || x.dialect.is_none() {
        let message = if refers.follows() { loss.follows } else { loss.sealed };
        return Err(conflict("affinity_lost", message));
    }
    let limits = x.generation.settings.limits.json();
    let unreadable = |error| Error::client(Kind::BadRequest, 400, format!("the request body is not JSON: {error}"));
    {
        let mut request = x.request.lock();
        let doc = request.body.json(limits).map_err(unreadable)?;
        strip(doc).map_err(unreadable)?;
    }
    x.bond.pin = Pin::Stripped;
    Ok(plan)
}

/// The client is told what it can do nothing about but begin anew.
fn conflict(code: &str, message: &str) -> Error {
    Error::new(Fault::Client, Kind::Rejected, 409, message).with_code(code)
}

// === impl Pin ===

impl Pin {
    /// What was done in one word; nothing for nothing.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Home => Some("home"),
            Self::Stripped => Some("stripped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_answer_that_it_is_about() {
        let cases = [
            ("/v1/responses/resp_1", Some("resp_1")),
            ("/openai/v1/responses/resp_1/cancel", Some("resp_1")),
            ("/v1/responses", None),
            ("/v1/responses/", None),
            ("/v1/chat/completions", None),
        ];
        for (path, id) in cases {
            assert_eq!(answer_named(path), id, "{path}");
        }
    }
}
