//! What status says of an endpoint, and what a gate that starts later is told.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::change::{Change, State};
use super::vitals::Vitals;
use crate::settings::Breaker as Rules;
use crate::upstream::Endpoint;
use crate::upstream::breaker::{Breaker, Standing};

/// What is known of an endpoint, for status. No secret and no header is in it.
pub fn endpoint(endpoint: &Endpoint, rules: &Rules, now: Duration) -> Value {
    let vitals = endpoint.vitals();
    let mut shown = Map::new();
    shown.insert("name".into(), json!(endpoint.name));
    shown.insert("weight".into(), json!(endpoint.weight));
    vitals.show(rules, now, &mut shown);
    Value::Object(shown)
}

// === impl Vitals ===

impl Vitals {
    fn show(&self, rules: &Rules, now: Duration, shown: &mut Map<String, Value>) {
        let (success, speed, _) = self.figures();
        let ago = |at: Duration| now.saturating_sub(at).as_secs();
        let inner = self.inner.lock();
        breaker(&inner.breaker, rules, now, shown);
        shown.insert("under_way".into(), json!(self.under_way()));
        shown.insert("total".into(), json!(inner.total));
        shown.insert("failed".into(), json!(inner.failed));
        if let Some((kind, at)) = inner.last_failure {
            shown.insert("last_error".into(), json!({"kind": kind, "seconds_ago": ago(at)}));
        }
        if let Some(at) = inner.last_success {
            shown.insert("last_success_ago".into(), json!(ago(at)));
        }
        let latency = inner.latency.at(now);
        if latency > 0.0 {
            shown.insert("latency_ms".into(), json!((latency * 1000.0).round()));
        }
        for (name, figure) in [("success", success), ("tokens_per_second", speed)] {
            if let Some(figure) = figure {
                shown.insert(name.into(), json!((f64::from(figure) * 1000.0).round() / 1000.0));
            }
        }
        let rest = inner.learned.rests_until().saturating_sub(now);
        if !rest.is_zero() {
            shown.insert("rests_for".into(), json!(rest.as_secs_f64().ceil()));
        }
        let limits = inner.learned.show(now);
        if limits.as_array().is_some_and(|limits| !limits.is_empty()) {
            shown.insert("limits".into(), limits);
        }
        let models: Map<String, Value> = inner
            .models
            .iter()
            .filter(|(_, of)| !of.is_closed())
            .map(|(name, of)| {
                let mut shown = Map::new();
                breaker(of, rules, now, &mut shown);
                (name.to_owned(), Value::Object(shown))
            })
            .collect();
        if !models.is_empty() {
            shown.insert("models".into(), Value::Object(models));
        }
    }

    /// The changes that brought it where it is, if it is open.
    pub(super) fn standing(&self, now: Duration) -> Vec<Change> {
        let rules = Rules::default();
        let inner = self.inner.lock();
        let own = [(None, &inner.breaker)];
        let models = inner.models.iter().map(|(name, breaker)| (Some(name.to_owned()), breaker));
        let open = own.into_iter().chain(models).filter_map(|(model, breaker)| {
            let Standing::Open { until } = breaker.standing(now, &rules) else { return None };
            Some((model, until, breaker.openings()))
        });
        let (upstream, endpoint) = &self.name;
        open.map(|(model, until, openings)| Change {
            upstream: upstream.clone(),
            endpoint: endpoint.clone(),
            model,
            state: State::Open,
            until: self.moment(until),
            openings,
            at: self.moment(now),
        })
        .collect()
    }
}

fn breaker(breaker: &Breaker, rules: &Rules, now: Duration, shown: &mut Map<String, Value>) {
    let state = match breaker.standing(now, rules) {
        Standing::Closed => State::Closed,
        Standing::HalfOpen { .. } => State::HalfOpen,
        Standing::Open { until } => {
            shown.insert("half_open_in".into(), json!(until.saturating_sub(now).as_secs_f64().ceil()));
            State::Open
        }
    };
    let (attempts, failures) = breaker.counted(now, rules);
    shown.insert("state".into(), json!(state.as_str()));
    shown.insert("consecutive_failures".into(), json!(breaker.consecutive()));
    shown.insert("openings".into(), json!(breaker.openings()));
    shown.insert("lately".into(), json!({"attempts": attempts, "failures": failures}));
}
