//! Writes how words are chosen and how many, within what Anthropic takes.

use serde_json::{Map, Number, Value};

use super::model::Model;
use super::parts::Scribe;
use super::thinking::Plan;
use crate::dialect::chat::Sampling;

/// The limit where none is given: Anthropic demands one, and all its models take this.
const MAX_TOKENS: u64 = 4096;

/// Writes the limit of tokens. A budget for thinking must fit under it.
pub(super) fn max_tokens(asked: Option<&Number>, budget: Option<u64>, scribe: &mut Scribe<'_>) -> Option<Number> {
    let path = scribe.paths.setting("max_tokens");
    if scribe.same {
        return asked.cloned();
    }
    let asked = asked.and_then(whole).filter(|asked| *asked > 0);
    match (asked, budget) {
        (Some(asked), Some(budget)) if budget >= asked => {
            scribe.losses.approximated(path, "raised by the budget for thinking");
            Some(budget.saturating_add(asked).into())
        }
        (Some(asked), _) => Some(asked.into()),
        (None, budget) => {
            let limit = budget.unwrap_or_default().saturating_add(MAX_TOKENS);
            scribe.losses.invented("max_tokens", format!("a limit is demanded: {limit}"));
            Some(limit.into())
        }
    }
}

/// A count, also one that was written with a point.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64().filter(|float| (0.0..1e15).contains(float))?;
        Some(float as u64)
    })
}

/// Writes all other settings of choosing words.
pub(super) fn write(
    sampling: &Sampling,
    plan: &Plan,
    model: Model,
    body: &mut Map<String, Value>,
    scribe: &mut Scribe<'_>,
) {
    let mut put = |name: &str, number: Option<Number>| {
        if let Some(number) = number {
            body.insert(name.to_owned(), Value::Number(number));
        }
    };
    if scribe.same {
        put("temperature", sampling.temperature.clone());
        put("top_p", sampling.top_p.clone());
        put("top_k", sampling.top_k.clone());
    } else {
        let temperature = temperature(sampling, plan, model, scribe);
        put("top_p", top_p(sampling, plan, model, temperature.is_some(), scribe));
        put("top_k", top_k(sampling, plan, model, scribe));
        put("temperature", temperature);
    }
    let stops: Vec<Value> = stops(sampling, scribe);
    if !stops.is_empty() {
        body.insert("stop_sequences".to_owned(), Value::Array(stops));
    }
    drop_others(sampling, scribe);
}

/// Anthropic's range ends at 1, and thinking allows nothing but 1.
fn temperature(sampling: &Sampling, plan: &Plan, model: Model, scribe: &mut Scribe<'_>) -> Option<Number> {
    let asked = sampling.temperature.as_ref()?;
    let path = scribe.paths.setting("temperature");
    let is_one = asked.as_f64().is_some_and(|asked| (asked - 1.0).abs() < f64::EPSILON);
    if model.samples_itself() || plan.thinks {
        if !is_one {
            scribe.losses.dropped(path, fixed(model));
        }
        return None;
    }
    if asked.as_f64().is_some_and(|asked| asked > 1.0) {
        scribe.losses.approximated(path, "the highest temperature is 1");
        return Some(1.into());
    }
    Some(asked.clone())
}

/// Thinking allows no less than 0.95, and newer models take it only without a temperature.
fn top_p(sampling: &Sampling, plan: &Plan, model: Model, tempered: bool, scribe: &mut Scribe<'_>) -> Option<Number> {
    let asked = sampling.top_p.as_ref()?;
    let value = asked.as_f64().unwrap_or(1.0);
    let why = if model.samples_itself() || (plan.thinks && value < 0.95) {
        fixed(model)
    } else if tempered && model.takes_one_of_temperature_and_top_p() {
        "the model takes a temperature or top_p, not both"
    } else {
        return Some(asked.clone());
    };
    if value < 1.0 {
        scribe.losses.dropped(scribe.paths.setting("top_p"), why);
    }
    None
}

fn top_k(sampling: &Sampling, plan: &Plan, model: Model, scribe: &mut Scribe<'_>) -> Option<Number> {
    let asked = sampling.top_k.as_ref().filter(|asked| asked.as_u64() != Some(0))?;
    if model.samples_itself() || plan.thinks {
        scribe.losses.dropped(scribe.paths.setting("top_k"), fixed(model));
        return None;
    }
    Some(asked.clone())
}

fn fixed(model: Model) -> &'static str {
    if model.samples_itself() { "the model takes no such setting" } else { "a thinking model takes no such setting" }
}

/// The texts that end the answer; Anthropic refuses those of nothing but blanks.
fn stops(sampling: &Sampling, scribe: &mut Scribe<'_>) -> Vec<Value> {
    let mut stops = Vec::with_capacity(sampling.stop.len());
    for stop in &sampling.stop {
        if scribe.same || !stop.trim().is_empty() {
            stops.push(Value::String(stop.clone()));
        } else {
            scribe.losses.dropped(scribe.paths.setting("stop"), "blank stop texts are refused");
        }
    }
    stops
}

/// Settings that Anthropic does not have.
fn drop_others(sampling: &Sampling, scribe: &mut Scribe<'_>) {
    let is_set = |number: &Option<Number>| number.as_ref().is_some_and(|number| number.as_f64() != Some(0.0));
    let dropped = [
        ("min_p", is_set(&sampling.min_p)),
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", is_set(&sampling.frequency_penalty)),
        ("presence_penalty", is_set(&sampling.presence_penalty)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", is_set(&sampling.top_logprobs)),
    ];
    for (name, _) in dropped.into_iter().filter(|(_, asked)| *asked) {
        scribe.losses.dropped(scribe.paths.setting(name), "there is no such setting");
    }
    if sampling.n.as_ref().and_then(Number::as_u64).is_some_and(|n| n > 1) {
        scribe.losses.approximated(scribe.paths.setting("n"), "there is one answer");
    }
}
