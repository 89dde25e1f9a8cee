//! Tells a past exchange step by step: each hook with file and line, what it answered and changed, each attempt with
//! what was sent that the client had not said, and what came back.

mod answer;

use std::fmt::Write as _;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};

use super::aspects::{Aspects, Change, route};
use super::truth;
use crate::case::{Played, PlayedCall, render, wires};
use crate::exchange::AttemptRecord;
use crate::policy::Decision;
use crate::tape::{Facts, Taken};

/// The most edits of one attempt that are told.
const MOST: usize = 20;

/// How much of a body that changed is shown, in bytes.
const GLANCE: usize = 60;

/// A past exchange, played again.
pub struct Explanation {
    /// What happened.
    pub facts: Facts,
    /// The hooks that ran then.
    then: Vec<Decision>,
    /// The play.
    played: Played,
    /// In what the play differs from what happened.
    pub differences: Vec<String>,
    /// What another generation would do, when that was asked.
    pub other: Option<Other>,
}

/// What another generation would do.
pub struct Other {
    /// Which.
    pub generation: String,
    /// Which parts differ.
    pub changes: Vec<Change>,
    /// The difference of the two plays as text, line by line.
    pub difference: String,
}

// === impl Explanation ===

impl Explanation {
    /// Explains an exchange by its play, on the generation that served it.
    pub fn new(taken: &Taken, played: Played) -> Self {
        let differences = truth::differences(&taken.facts, &played);
        let then = taken.facts.trace.told();
        Self { facts: taken.facts.clone(), then, played, differences, other: None }
    }

    /// Adds what another generation would do.
    #[must_use]
    pub fn with(mut self, generation: &str, played: &Played) -> Self {
        let (old, new) = (Aspects::of(&self.played), Aspects::of(played));
        let mask = |text: &str| self.played.mask.text(text);
        let changes = old.changes(&new).into_iter();
        let changes = changes.map(|change| Change { old: mask(&change.old), new: mask(&change.new), ..change });
        self.other = Some(Other {
            generation: generation.to_owned(),
            changes: changes.collect(),
            difference: crate::case::review::difference(&render(&self.played), &render(played)),
        });
        self
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = self.header();
        if let Some(call) = self.played.calls.first() {
            self.steps(&mut text, call);
        }
        self.verdict(&mut text);
        if let Some(other) = &self.other {
            other.write(&mut text);
        }
        text
    }

    /// For programs: one object.
    pub fn to_json(&self) -> Value {
        let facts = &self.facts;
        let call = self.played.calls.first();
        let decisions = call.map(|call| call.decisions.as_slice()).unwrap_or_default();
        json!({
            "id": facts.id,
            "at": httpdate::fmt_http_date(facts.at),
            "ms": millis(facts.took),
            "request": format!("{} {}", facts.method, self.played.mask.target(&facts.target)),
            "generation": facts.generation,
            "status": facts.status,
            "reason": facts.reason.as_str(),
            "hooks": decisions.iter().enumerate().map(|(at, step)| self.hook_json(at, step)).collect::<Vec<_>>(),
            "plan": facts.plan.as_ref().map(|plan| route(Some(plan))),
            "attempts": facts.attempts.iter().enumerate().map(|(at, attempt)| self.attempt_json(at, attempt)).collect::<Vec<_>>(),
            "answer": call.map(|call| self.answered(call)),
            "snapshot": render(&self.played),
            "true": self.differences.is_empty(),
            "differences": self.masked(&self.differences),
            "other": self.other.as_ref().map(Other::to_json),
        })
    }

    /// Texts as they may be shown.
    fn masked(&self, texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| self.played.mask.text(text)).collect()
    }

    fn hook_json(&self, at: usize, step: &Decision) -> Value {
        let edits = self.masked(&step.edits);
        json!({
            "hook": step.hook, "policy": step.policy, "place": step.place.0, "micros": self.micros(at, step),
            "answered": step.answered, "failed": step.failed, "edits": edits,
        })
    }

    fn attempt_json(&self, at: usize, attempt: &AttemptRecord) -> Value {
        json!({
            "upstream": attempt.upstream, "endpoint": attempt.endpoint, "model": attempt.model,
            "status": attempt.status, "error": attempt.error.as_ref().map(|error| self.played.mask.text(&error.to_string())),
            "ms": millis(attempt.took), "waited_ms": millis(attempt.waited), "goes_on": attempt.goes_on.is_some(), "changed": self.sent(at),
        })
    }

    /// The exchange in two lines.
    fn header(&self) -> String {
        let facts = &self.facts;
        let target = self.played.mask.target(&facts.target);
        let status = facts.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let at = jiff::Timestamp::try_from(facts.at).map_or_else(|_| String::new(), |at| format!("{at:.3}"));
        format!(
            "{}  {at}  generation {}\n{} {target}: {status} after {}\n\n",
            facts.id,
            facts.generation,
            facts.method,
            time(facts.took)
        )
    }

    fn steps(&self, text: &mut String, call: &PlayedCall) {
        let identity = &call.identity;
        let who = identity.known();
        let evidence = identity.evidence.as_ref().map_or_else(String::new, |evidence| format!(" by {evidence}"));
        if !who.is_empty() {
            let _ = writeln!(text, "identity  {}{evidence}", self.played.mask.text(&who.join(", ")));
        }
        let _ = writeln!(text, "plan      {}", route(call.plan.as_ref()));
        let _ = writeln!(text, "cache     {}\n", call.cache.verdict.as_str());
        for (at, step) in call.decisions.iter().enumerate() {
            self.step(text, at, step);
        }
        for (at, attempt) in self.facts.attempts.iter().enumerate() {
            self.attempt(text, at, attempt);
        }
        let answered = self.answered(call);
        if !answered.is_empty() {
            let _ = writeln!(text, "\nanswer     what the client got otherwise than it was sent");
        }
        for change in answered {
            let _ = writeln!(text, "            {change}");
        }
    }

    fn step(&self, text: &mut String, at: usize, step: &Decision) {
        let outcome = match (step.failed, step.answered) {
            (true, _) => "failed",
            (false, true) => "answered",
            (false, false) => "",
        };
        let line = format!("{:<11} {:<28} {:>6} µs  {outcome}", step.hook, step.place.0, self.micros(at, step));
        let _ = writeln!(text, "{}", line.trim_end());
        for edit in self.masked(&step.edits) {
            let _ = writeln!(text, "            {edit}");
        }
    }

    /// How long a hook ran when it happened; the play's own time tells of the play.
    fn micros(&self, at: usize, step: &Decision) -> u64 {
        let then = self.then.get(at).filter(|then| then.hook == step.hook && then.place == step.place);
        then.map_or(step.micros, |then| then.micros)
    }

    fn attempt(&self, text: &mut String, at: usize, attempt: &AttemptRecord) {
        let outcome = match (&attempt.error, attempt.status) {
            (Some(error), Some(status)) => format!("{status}, then {}", self.played.mask.text(&error.to_string())),
            (Some(error), None) => self.played.mask.text(&error.to_string()),
            (None, Some(status)) => status.to_string(),
            (None, None) => "nothing".to_owned(),
        };
        let outcome = self.played.mask.text(&outcome);
        let dialect = attempt.dialect.map_or_else(String::new, |dialect| format!(" in {}", dialect.as_str()));
        let waited = Some(attempt.waited).filter(|waited| !waited.is_zero());
        let waited = waited.map_or_else(String::new, |waited| format!(" (after a wait of {})", time(waited)));
        let queued = attempt.queued.filter(|queued| queued.position > 0);
        let queued =
            queued.map_or_else(String::new, |it| format!(" ({} in line, from place {})", time(it.time), it.position));
        let _ = writeln!(
            text,
            "\nattempt {}  {}/{}{dialect}{waited}{queued}: {outcome} after {}",
            at + 1,
            attempt.upstream,
            attempt.endpoint,
            time(attempt.took)
        );
        for change in self.sent(at) {
            let _ = writeln!(text, "            {change}");
        }
    }

    /// What an attempt was sent that the client had not said, and the other way round.
    fn sent(&self, at: usize) -> Vec<String> {
        let Some(call) = self.played.calls.first() else { return Vec::new() };
        let owners = wires::attempts(call);
        let mut own = owners.iter().zip(&call.wires).filter(|(owner, _)| **owner == Some(at));
        // The last one is what came through: those before were sent on kept connections that were closed.
        let Some((wire, head)) = own.next_back().and_then(|(_, wire)| Some((wire, wire.head.as_ref()?))) else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        let (from, to) = (&call.call.head, head);
        let (asked, target) = (String::from_utf8_lossy(from.raw_path()), String::from_utf8_lossy(to.raw_path()));
        if asked != target {
            changes.push(format!("target {} → {}", self.played.mask.target(&asked), self.played.mask.target(&target)));
        }
        self.header_changes(&from.headers, &to.headers, &mut changes);
        let body: Vec<u8> = call.call.body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
        if body != wire.body {
            changes.push(self.body_change(&body, &wire.body));
        }
        if changes.len() > MOST {
            let more = changes.len() - MOST;
            changes.truncate(MOST);
            changes.push(format!("and {more} changes more"));
        }
        changes
    }

    fn header_changes(&self, from: &HeaderMap, to: &HeaderMap, changes: &mut Vec<String>) {
        let shown = |name: &str, headers: &HeaderMap| {
            let values =
                headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            self.played.mask.header(name, &values.collect::<Vec<_>>().join(", "))
        };
        let mut names: Vec<&str> = from.keys().chain(to.keys()).map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let same = from.get_all(name).iter().eq(to.get_all(name).iter());
            match (from.contains_key(name), to.contains_key(name)) {
                _ if same => {}
                (false, _) => changes.push(format!("header {name} added: {}", shown(name, to))),
                (_, false) => changes.push(format!("header {name} removed: {}", shown(name, from))),
                _ => changes.push(format!("header {name}: {} → {}", shown(name, from), shown(name, to))),
            }
        }
    }

    /// How a body that was sent differs from the one that came. Secrets are hidden before anything is cut.
    fn body_change(&self, from: &[u8], to: &[u8]) -> String {
        let (start, end) = common(from, to);
        let masked = |body: &[u8]| self.played.mask.text(&String::from_utf8_lossy(body));
        let (old, new) = (masked(from), masked(to));
        let (shown_start, shown_end) = common(old.as_bytes(), new.as_bytes());
        format!(
            "body at byte {start}: {} → {} ({} bytes → {} bytes, the first {start} and the last {end} unchanged)",
            middle(&old, shown_start, shown_end),
            middle(&new, shown_start, shown_end),
            from.len(),
            to.len()
        )
    }

    fn verdict(&self, text: &mut String) {
        let _ = writeln!(text, "\nended     {}", self.facts.reason.as_str());
        if let Some(error) = &self.facts.error {
            let _ = writeln!(text, "          {}", self.played.mask.text(error));
        }
        if self.differences.is_empty() {
            let _ = writeln!(text, "played again on the same generation: the same");
        } else {
            let _ = writeln!(text, "played again on the same generation, it differs: take the above with care");
            for difference in self.masked(&self.differences) {
                let _ = writeln!(text, "          {difference}");
            }
        }
    }
}

/// How many bytes are the same at the beginning and at the end.
fn common(from: &[u8], to: &[u8]) -> (usize, usize) {
    let start = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let rest = from.len().min(to.len()) - start;
    let end = from.iter().rev().zip(to.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    (start, end)
}

/// What is neither of the beginning nor of the end, cut to a glance.
fn middle(text: &str, start: usize, end: usize) -> String {
    let changed = text.as_bytes().get(start..text.len() - end).unwrap_or_default();
    let changed = String::from_utf8_lossy(changed);
    let cut = changed.floor_char_boundary(GLANCE);
    let more = if cut < changed.len() { "…" } else { "" };
    format!("`{}{more}`", changed.get(..cut).unwrap_or_default())
}

// === impl Other ===

impl Other {
    fn write(&self, text: &mut String) {
        if self.changes.is_empty() && self.difference.is_empty() {
            let _ = writeln!(text, "\nwith {}: the same", self.generation);
            return;
        }
        let _ = writeln!(text, "\nwith {}:", self.generation);
        for change in &self.changes {
            let _ = writeln!(text, "  {:<15} {}", change.aspect.as_str(), change.told());
        }
        let _ = write!(text, "\n{}", self.difference);
    }

    fn to_json(&self) -> Value {
        let changes = self.changes.iter();
        let changes =
            changes.map(|change| json!({"aspect": change.aspect.as_str(), "old": change.old, "new": change.new}));
        json!({
            "generation": self.generation,
            "changes": changes.collect::<Vec<_>>(),
            "difference": self.difference,
        })
    }
}

fn millis(duration: Duration) -> f64 {
    crate::exchange::finish::millis(duration)
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} ms", millis(duration))
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
