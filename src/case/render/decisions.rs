//! Writes what was decided: who is calling, where it goes, what the cache does, what comes after a failure, the end.

use std::fmt::Write as _;

use super::super::play::PlayedCall;
use super::{Page, time};
use crate::cache::key::{FINGERPRINT, UPSTREAM};
use crate::dialect::event::Usage;
use crate::exchange::CacheVerdict;
use crate::exchange::decision::{Place, PlannedAttempt, Scope};

/// Longer parts of a cache key are cut.
const LONGEST_PART: usize = 160;

/// Parts of a cache key that are not shown: what changes whenever a policy does, since a snapshot says what a change does
/// and not that it was made; and the upstream, which stands in the plan.
const HIDDEN: [&str; 2] = [FINGERPRINT, UPSTREAM];

/// The part of a cache key that holds the request's path and query.
const PATH: &str = "gate.path";

/// The hook whose answers stand with the attempts that it judged.
const FAILOVER: &str = "failover";

/// What was decided before the first attempt.
pub(super) fn before(page: &mut Page<'_>, call: &PlayedCall) {
    identity(page, call);
    hooks(page, call);
    if let Some(plan) = &call.plan {
        let attempts: Vec<String> = plan.attempts.iter().map(planned).collect();
        page.line(&format!("plan: {}", attempts.join(", then ")));
    }
    cache(page, call);
}

/// How the call ended, and what was said about it.
pub(super) fn after(page: &mut Page<'_>, call: &PlayedCall) {
    let reason = call.sent.reason.map_or("nobody said why", crate::exchange::Reason::as_str);
    match &call.sent.error {
        Some(error) => page.line(&format!("ended: {reason} ({}: {error})", error.kind().as_str())),
        None => page.line(&format!("ended: {reason}")),
    }
    if !call.unsent.is_empty() {
        page.line(&format!("too late for the head: {}", call.unsent.join(", ")));
    }
    for loss in &call.losses {
        page.line(&format!("loss: {loss}"));
    }
    if let Some(usage) = &call.usage {
        page.line(&format!("usage: {}", tokens(usage)));
    }
    for line in &call.heard.lines {
        let mut text = format!("log: {} {}: {}", line.level.as_str(), line.policy, line.message);
        if !line.fields.is_empty() {
            let _ = write!(text, " {}", serde_json::Value::Object(line.fields.clone()));
        }
        page.line(&text);
    }
    for report in &call.heard.reports {
        let place = match (&report.file, report.line) {
            (Some(file), Some(line)) => format!(" ({file}:{line})"),
            (Some(file), None) => format!(" ({file})"),
            _ => String::new(),
        };
        page.line(&format!("failed: {} of {}: {}{place}", report.hook, report.policy, report.message));
    }
}

/// Tokens used: what was read and written, and how much of it came cheaper or was not shown.
fn tokens(usage: &Usage) -> String {
    let parts = |parts: [(Option<u64>, &str); 2]| {
        let said: Vec<String> = parts.iter().filter_map(|(count, of)| Some(format!("{} {of}", (*count)?))).collect();
        if said.is_empty() { String::new() } else { format!(" ({})", said.join(", ")) }
    };
    let read = parts([(usage.cache_read, "from a cache"), (usage.cache_write, "into a cache")]);
    let written = parts([(usage.reasoning, "of thoughts"), (None, "")]);
    let estimated = if usage.estimated { ", estimated" } else { "" };
    format!("{} tokens read{read}, {} written{written}{estimated}", usage.input, usage.output)
}

/// What `failover` said after an attempt; empty when it was not asked.
pub(super) fn turn(call: &PlayedCall, index: usize) -> String {
    let failed = |index: usize| {
        let attempt = call.attempts.get(index);
        attempt.is_some_and(|attempt| {
            !attempt.beside && (attempt.error.is_some() || attempt.status.is_none_or(|status| status >= 400))
        })
    };
    if !failed(index) {
        return String::new();
    }
    let mut asked = call.decisions.iter().filter(|decision| decision.hook == FAILOVER && decision.answered);
    let earlier = (0..index).filter(|earlier| failed(*earlier)).count();
    let place = asked.nth(earlier).map_or_else(String::new, |decision| format!(" ({})", file(&decision.place)));
    match call.attempts.get(index + 1) {
        Some(next) if next.waited.is_zero() => format!("; on at once{place}"),
        Some(next) => format!("; on in {}{place}", time(next.waited)),
        None if place.is_empty() => String::new(),
        None => format!("; no further attempt{place}"),
    }
}

fn identity(page: &mut Page<'_>, call: &PlayedCall) {
    let identity = &call.identity;
    let known = identity.known();
    if known.is_empty() && identity.evidence.is_none() {
        return;
    }
    let mut text = format!("identity: {}", known.join(", "));
    if let Some(evidence) = &identity.evidence {
        let _ = write!(text, " by {evidence}");
    }
    page.line(&text);
}

/// The hooks that answered, in order, with their places; those of `failover` stand with the attempts.
fn hooks(page: &mut Page<'_>, call: &PlayedCall) {
    let answered = call
        .decisions
        .iter()
        .filter(|decision| (decision.answered || decision.failed) && decision.hook != FAILOVER)
        .map(|decision| {
            let failed = if decision.failed { "failed " } else { "" };
            format!("{failed}{} {}", decision.hook, file(&decision.place))
        });
    let answered: Vec<String> = answered.collect();
    if !answered.is_empty() {
        page.line(&format!("hooks: {}", answered.join(", ")));
    }
}

/// The file of a place. Lines move with every edit, and a snapshot that shows them says nothing about what changed.
fn file(place: &Place) -> &str {
    place.0.split_once(':').map_or(&place.0, |(file, _)| file)
}

/// A planned attempt in a few words.
fn planned(attempt: &PlannedAttempt) -> String {
    let mut text = attempt.upstream.clone();
    if let Some(endpoint) = &attempt.endpoint {
        let _ = write!(text, "/{endpoint}");
    }
    if let Some(model) = &attempt.model {
        let _ = write!(text, " as {model}");
    }
    if let Some(timeout) = attempt.timeout {
        let _ = write!(text, " within {}", time(timeout));
    }
    if attempt.continue_cut.is_some() {
        text.push_str(" (may go on elsewhere)");
    }
    if let Some(hedge) = attempt.hedge {
        let _ = write!(text, ", and another beside it after {}", time(hedge.after));
    }
    if attempt.silent {
        text.push_str(" in silence");
    }
    if let Some(priority) = attempt.priority {
        let _ = write!(text, " at {} priority", priority.as_str());
    }
    text
}

/// Whether a part says nothing to a reader: what every key has, and what of the gate's own parts is empty.
fn is_hidden(name: &str, value: &str) -> bool {
    HIDDEN.contains(&name) || (name.starts_with("gate.") && matches!(value, "null" | "\"\""))
}

/// A part in one line: what is no character in a text is escaped.
fn shown_part(value: &str) -> String {
    value.chars().fold(String::with_capacity(value.len()), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

fn cache(page: &mut Page<'_>, call: &PlayedCall) {
    let (Some(rule), Some(key)) = (&call.cache.rule, &call.cache.key) else {
        return;
    };
    let verdict = match &call.cache.verdict {
        CacheVerdict::Miss(why) => format!("miss, {why}"),
        CacheVerdict::Partial { kept, of } => format!("partial, {kept}/{of}"),
        verdict => verdict.as_str().to_owned(),
    };
    let scope = match rule.scope {
        Scope::User => key.scope(),
        Scope::Shared => "everybody",
    };
    let how = if rule.http.is_some() { "as HTTP says".to_owned() } else { time(rule.ttl) };
    page.line(&format!("cache: {verdict}; {how} for {scope}"));
    for (name, value) in key.parts().iter().filter(|(name, value)| !is_hidden(name, value)) {
        let value = &shown_part(value);
        let end = value.floor_char_boundary(LONGEST_PART);
        let shown = value.get(..end).unwrap_or_default();
        let shown =
            if name == PATH { format!("\"{}\"", page.mask.target(shown.trim_matches('"'))) } else { shown.to_owned() };
        let more = if end < value.len() { "\u{2026}" } else { "" };
        page.indented(&format!("{name} = {shown}{more}"));
    }
}
