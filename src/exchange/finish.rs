//! Settles an exchange once, whatever became of it: log, metrics, `on_log`, and work left for afterwards.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::attempt::held::Held;
use super::wire::Dial;
use super::{AttemptRecord, CacheVerdict, Exchange, Reason};
use crate::dialect::Dialect;
use crate::dialect::event::Usage;
use crate::gate::Gate;
use crate::policy::Hook;
use crate::tape;

/// Logs and counts a finished exchange, then runs what policies left for afterwards without holding the client up.
pub fn settle<D: Dial>(gate: &Gate<D>, mut x: Exchange) {
    // What others wait for is given back before anything else is done, however the exchange ended.
    x.admitted = None;
    x.held = Held::default();
    gate.metrics.exchange(&x);
    gate.canary.finished(&x);
    gate.sink.finished(&x);
    if let Some(taken) = tape::took(&mut x) {
        // A canary's own settings must not empty what the live ones keep.
        gate.tapes.keep(Arc::new(taken), &gate.live.load().settings.record);
    }
    let observed = x.generation.policies.has(Hook::OnLog);
    if observed || x.run.has_work_left() {
        tokio::spawn(async move {
            if observed {
                let summary = summary(&x);
                x.run.on_log(summary).await;
            }
            x.run.run_after().await;
        });
    }
}

/// Everything the access log says of an exchange, by name; secrets do not occur in it.
pub fn summary(x: &Exchange) -> Value {
    let mut line = Map::new();
    line.insert("id".into(), json!(x.id));
    line.insert("client_ip".into(), json!(x.client_ip.to_string()));
    line.insert("method".into(), json!(x.method.as_str()));
    line.insert("target".into(), json!(without_query(&x.target)));
    line.insert("status".into(), json!(x.sent.status));
    line.insert("reason".into(), json!(x.sent.reason.unwrap_or(Reason::Done).as_str()));
    line.insert("ms".into(), json!(millis(x.elapsed())));
    line.insert("head_ms".into(), json!(x.sent.head_after.map(millis)));
    line.insert("bytes".into(), json!(x.sent.bytes));
    line.insert("generation".into(), json!(x.generation.short_hash()));
    line.insert("dialect".into(), json!(x.dialect.map(Dialect::as_str)));
    identity(x, &mut line);
    line.insert("cache".into(), json!(x.cache.verdict.as_str()));
    match x.cache.verdict {
        CacheVerdict::Miss(why) => drop(line.insert("cache_why".into(), json!(why))),
        CacheVerdict::Partial { kept, of } => drop(line.insert("cache_why".into(), json!(format!("{kept}/{of}")))),
        _ => {}
    }
    if x.opening.signs() > 0 {
        line.insert("signs_of_life".into(), json!(x.opening.signs()));
    }
    if let Some(plan) = &x.plan {
        line.insert("route".into(), json!(plan.decided_by.0));
    }
    line.insert("attempts".into(), x.attempts.iter().map(attempt).collect());
    if x.continued() > 0 {
        line.insert("continued".into(), json!(x.continued()));
    }
    if let Some(pin) = x.bond.pin.as_str() {
        line.insert("affinity".into(), json!(pin));
    }
    if let Some(translated) = &x.translated {
        line.insert("losses".into(), translated.told.losses.iter().map(|loss| json!(loss.to_string())).collect());
    }
    if let Some(usage) = x.usage() {
        line.insert("usage".into(), tokens(usage));
    }
    if let Some(error) = &x.sent.error {
        line.insert("error".into(), json!(error.to_string()));
        line.insert("error_kind".into(), json!(error.kind().as_str()));
        line.insert("error_code".into(), json!(error.code()));
    }
    Value::Object(line)
}

/// Tokens used, as logs and `on_log` show them.
pub fn tokens(usage: &Usage) -> Value {
    json!({
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "reasoning": usage.reasoning,
        "estimated": usage.estimated,
    })
}

fn identity(x: &Exchange, line: &mut Map<String, Value>) {
    let fields = [
        ("user", &x.identity.user),
        ("client", &x.identity.client),
        ("session", &x.identity.session),
        ("agent", &x.identity.agent),
        ("evidence", &x.identity.evidence),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            line.insert(name.into(), json!(value));
        }
    }
}

fn attempt(record: &AttemptRecord) -> Value {
    let mut told = json!({
        "upstream": record.upstream,
        "endpoint": record.endpoint,
        "model": record.model,
        "status": record.status,
        "error": record.error.as_ref().map(|error| error.kind().as_str()),
        "ms": millis(record.took),
    });
    if let Some(said) = record.goes_on {
        told["goes_on_after"] = json!(said.text);
    }
    if let Some(queued) = record.queued {
        told["queued_ms"] = json!(millis(queued.time));
        told["queued_at"] = json!(queued.position);
    }
    if record.resent {
        told["resent"] = json!(true);
    }
    told
}

/// Every attempt with how it ended, in one line: `openai/a=503 openai/b=200`. Each request that went out has a word: one
/// that was sent again, because the kept connection was closed, is `openai/a=resent openai/a=200`.
pub fn attempts_line(attempts: &[AttemptRecord]) -> String {
    let mut line = String::new();
    for record in attempts {
        let ended = match (&record.error, record.status) {
            (Some(error), _) => error.kind().as_str().to_owned(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "none".to_owned(),
        };
        for ended in record.resent.then_some("resent").into_iter().chain([&*ended]) {
            let space = if line.is_empty() { "" } else { " " };
            let _ = write!(line, "{space}{}/{}={ended}", record.upstream, record.endpoint);
        }
    }
    line
}

/// How long an exchange waited before endpoints in all; nothing when it never had to.
pub fn queued(attempts: &[AttemptRecord]) -> Option<Duration> {
    let waits = attempts.iter().filter_map(|record| record.queued).filter(|queued| queued.position > 0);
    waits.map(|queued| queued.time).reduce(|all, time| all + time)
}

/// The target without its query, which may carry keys.
pub fn without_query(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

/// Milliseconds with three digits.
#[allow(clippy::cast_precision_loss, reason = "an exchange is shorter than 2^52 microseconds")]
pub fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
