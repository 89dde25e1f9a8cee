//! The cache keys of past requests: what each is made of, and in what two of them differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::case::Played;

/// How much of a value is shown, in characters.
const GLANCE: usize = 72;

/// How much of what is the same stands before a difference.
const BEFORE: usize = 24;

/// The key of a request, as it may be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keyed {
    /// The exchange's id, or the case's name.
    pub name: String,
    /// Method and target.
    pub request: String,
    /// What the cache did.
    pub cache: String,
    /// For whom an answer is kept; none when no policy made a key.
    pub scope: Option<String>,
    /// The parts, sorted by name.
    pub parts: Vec<Part>,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its text, secrets masked.
    pub value: String,
    /// Tells apart what the mask makes the same.
    pub digest: String,
}

/// A part in which two keys differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name.
    pub part: String,
    /// What it is in the one, from shortly before the difference on; none where it has no such part.
    pub a: Option<String>,
    /// What it is in the other.
    pub b: Option<String>,
}

// === impl Keyed ===

impl Keyed {
    /// The key of a call of a play, counted from 0. `None` when there is no such call.
    pub fn of(name: &str, played: &Played, call: usize) -> Option<Self> {
        let call = played.calls.get(call)?;
        let target = String::from_utf8_lossy(call.call.head.raw_path()).into_owned();
        let key = call.cache.key.as_ref();
        let parts = key.map(crate::cache::Key::parts).unwrap_or_default().iter().map(|(name, value)| Part {
            name: name.clone(),
            value: played.mask.text(value),
            digest: blake3::hash(value.as_bytes()).to_hex()[..16].to_owned(),
        });
        Some(Self {
            name: name.to_owned(),
            request: format!("{} {}", call.call.head.method, played.mask.target(&target)),
            cache: call.cache.verdict.as_str().to_owned(),
            scope: key.map(|key| key.scope().to_owned()),
            parts: parts.collect(),
        })
    }

    /// The parts in which it differs from another, sorted by name. The scope counts as one.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let (ours, theirs) = (self.by_name(), other.by_name());
        let names: std::collections::BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
        let part = |name| difference(name, ours.get(name).copied(), theirs.get(name).copied());
        let scope = (self.scope != other.scope).then(|| Difference {
            part: "scope".to_owned(),
            a: self.scope.clone(),
            b: other.scope.clone(),
        });
        scope.into_iter().chain(names.into_iter().filter_map(part)).collect()
    }

    fn by_name(&self) -> BTreeMap<&str, &Part> {
        self.parts.iter().map(|part| (part.name.as_str(), part)).collect()
    }

    /// The key for people: a line for each part.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}  {}\n", self.name, self.request);
        let Some(scope) = &self.scope else {
            text.push_str("no policy made a key: nothing is kept of it\n");
            return text;
        };
        let _ = writeln!(text, "{:<24} {scope}", "scope");
        for part in &self.parts {
            let _ = writeln!(text, "{:<24} {}", part.name, glance(&part.value, 0));
        }
        text
    }
}

/// What two requests came to, for people.
pub fn compared(a: &Keyed, b: &Keyed) -> String {
    let mut text = format!("A  {}  {}\nB  {}  {}\n\n", a.name, a.request, b.name, b.request);
    for keyed in [a, b].into_iter().filter(|keyed| keyed.scope.is_none()) {
        let _ = writeln!(text, "{}: no policy made a key, so nothing is kept of it", keyed.name);
    }
    if a.scope.is_none() || b.scope.is_none() {
        return text;
    }
    let differences = a.differences(b);
    if differences.is_empty() {
        text.push_str("the keys are equal: one answer serves both\n");
    }
    for Difference { part, a, b } in differences {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "(no such part)".to_owned());
        let _ = writeln!(text, "{part}\n  A  {}\n  B  {}", shown(a), shown(b));
    }
    text
}

/// In what two parts of one name differ, if they do.
fn difference(name: &str, a: Option<&Part>, b: Option<&Part>) -> Option<Difference> {
    if a.map(|part| &part.digest) == b.map(|part| &part.digest) {
        return None;
    }
    let values = (a.map_or("", |part| part.value.as_str()), b.map_or("", |part| part.value.as_str()));
    let same = values.0.chars().zip(values.1.chars()).take_while(|(a, b)| a == b).count();
    let from = if a.is_some() && b.is_some() { same.saturating_sub(BEFORE) } else { 0 };
    let shown = |part: &Part| glance(&part.value, from);
    Some(Difference { part: name.to_owned(), a: a.map(shown), b: b.map(shown) })
}

/// A value in one line, from a character on.
fn glance(value: &str, from: usize) -> String {
    let start = if from > 0 { "…" } else { "" };
    let mut rest = value.chars().skip(from);
    let shown: String = rest.by_ref().take(GLANCE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = if rest.next().is_some() { "…" } else { "" };
    format!("{start}{shown}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(scope: &str, parts: &[(&str, &str)]) -> Keyed {
        let part = |(name, value): &(&str, &str)| Part {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            digest: blake3::hash(value.as_bytes()).to_hex().to_string(),
        };
        Keyed {
            name: "one".to_owned(),
            request: "POST /v1/chat/completions".to_owned(),
            cache: "miss".to_owned(),
            scope: Some(scope.to_owned()),
            parts: parts.iter().map(part).collect(),
        }
    }

    #[test]
    fn a_long_text_is_shown_where_it_differs() {
        let long = "tide ".repeat(100);
        let (one, two) = (format!("\"{long}at six\""), format!("\"{long}at seven\""));
        let differences = keyed("nobody", &[("system[0]", &one)]).differences(&keyed("nobody", &[("system[0]", &two)]));
        let [difference] = differences.as_slice() else { panic!("{differences:?}") };
        assert_eq!(difference.part, "system[0]");
        assert!(difference.a.as_ref().unwrap().ends_with("at six\""), "{difference:?}");
        assert!(difference.b.as_ref().unwrap().starts_with('…'), "{difference:?}");
    }

    #[test]
    fn scope_and_parts_that_one_lacks_are_differences() {
        let a = keyed("user:ada", &[("model", "\"m\""), ("seed", "1")]);
        let b = keyed("user:ben", &[("model", "\"m\"")]);
        let names: Vec<_> = a.differences(&b).into_iter().map(|difference| difference.part).collect();
        assert_eq!(names, ["scope", "seed"]);
        assert!(compared(&a, &a).contains("one answer serves both"));
        assert!(compared(&a, &Keyed { scope: None, ..b }).contains("no policy made a key"));
    }
}
