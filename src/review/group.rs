//! Makes equal differences one: cases in which the same things changed are shown, and accepted, together.

use std::collections::BTreeMap;
use std::fmt;

use super::change::{self, Change};
use super::look::{Compared, Kind};

/// How many values, and how many names of cases, are told.
const TOLD: usize = 3;

/// Longer values are cut where they are told as examples.
const LONGEST: usize = 90;

/// Cases in which the same things changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What changed.
    pub changes: Vec<Changed>,
    /// The names of the cases, sorted.
    pub cases: Vec<String>,
}

/// A change that every case of a group has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What changed.
    pub what: String,
    /// The values, the most frequent first, with how often each is there.
    pub values: Vec<(String, usize)>,
}

/// The groups of these cases, the largest first. A case without a snapshot is its own group: there is nothing that it
/// could have in common with another.
pub fn groups<'c>(cases: impl Iterator<Item = &'c Compared>) -> Vec<Group> {
    let mut found: BTreeMap<Vec<String>, (Vec<String>, Vec<Change>)> = BTreeMap::new();
    for case in cases {
        let changes = changes_of(case);
        let mut key: Vec<String> = changes.iter().map(|change| change.what.clone()).collect();
        if case.kind() == Kind::New {
            key.push(case.name.clone());
        }
        key.sort();
        key.dedup();
        let (names, all) = found.entry(key).or_default();
        names.push(case.name.clone());
        all.extend(changes);
    }
    let mut groups: Vec<Group> =
        found.into_values().map(|(cases, changes)| Group { changes: together(changes), cases }).collect();
    groups.sort_by(|a, b| b.cases.len().cmp(&a.cases.len()).then_with(|| a.cases.cmp(&b.cases)));
    groups
}

/// What changed in one case.
fn changes_of(case: &Compared) -> Vec<Change> {
    let as_a_whole = |what: &str| vec![Change { call: 1, what: what.to_owned(), value: None }];
    match (&case.old, &case.new) {
        (Some(old), Some(new)) => change::changes(old, new),
        (None, _) => as_a_whole("new, without a snapshot"),
        (Some(_), None) => as_a_whole("a snapshot without a case, which will be removed"),
    }
}

/// Each kind of change once, with its values.
fn together(changes: Vec<Change>) -> Vec<Changed> {
    let mut together: Vec<Changed> = Vec::new();
    for change in changes {
        let known = together.iter().position(|known| known.what == change.what);
        let index = known.unwrap_or_else(|| {
            together.push(Changed { what: change.what, values: Vec::new() });
            together.len() - 1
        });
        if let (Some(changed), Some(value)) = (together.get_mut(index), change.value) {
            match changed.values.iter_mut().find(|(known, _)| *known == value) {
                Some((_, count)) => *count += 1,
                None => changed.values.push((value, 1)),
            }
        }
    }
    for changed in &mut together {
        changed.values.sort_by(|(_, a), (_, b)| b.cmp(a));
    }
    together
}

// === impl Group ===

impl Group {
    /// The group in a line.
    pub fn title(&self) -> String {
        let count = match self.cases.as_slice() {
            [name] => name.clone(),
            cases => format!("{} cases", cases.len()),
        };
        let first = self.changes.first().map_or("", |changed| changed.what.as_str());
        match self.changes.len() {
            0 | 1 => format!("{count}: {first}"),
            2 => format!("{count}: {first}, and 1 change more"),
            more => format!("{count}: {first}, and {} changes more", more - 1),
        }
    }

    /// The names of its cases, as many as are read at a glance.
    pub fn names(&self) -> String {
        some(&self.cases)
    }
}

// === impl Changed ===

impl Changed {
    /// Its values, as many as are read at a glance; empty when it has none.
    pub fn examples(&self) -> String {
        let mut values: Vec<String> = self.values.iter().map(|(value, _)| cut(value)).collect();
        values.dedup();
        some(&values)
    }
}

/// The first of some words, and how many more there are.
fn some(words: &[String]) -> String {
    match words.get(TOLD..) {
        Some(more) if more.len() > 1 => {
            format!("{} and {} more", words.get(..TOLD).unwrap_or_default().join(", "), more.len())
        }
        _ => words.join(", "),
    }
}

impl fmt::Display for Changed {
    /// What changed, with examples.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.values.is_empty() { Ok(()) } else { write!(f, ": {}", self.examples()) }
    }
}

fn cut(value: &str) -> String {
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    let start: String = value.chars().take(LONGEST - 1).collect();
    format!("{start}\u{2026}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, old: Option<&str>, new: Option<&str>) -> Compared {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Compared { name: name.to_owned(), about: String::new(), old: text(old), new: text(new), faults: Vec::new() }
    }

    fn sent(header: &str) -> String {
        format!("> client: GET /\n< upstream sea/one\n    GET / HTTP/1.1\n    Host: a\n{header}= 200\nended: done")
    }

    #[test]
    fn two_hundred_differences_are_a_handful() {
        let mut cases = Vec::new();
        for number in 0..200 {
            let header = match number % 3 {
                0 => format!("    x-user: user{number}\n"),
                1 => "    x-user: grace\n".to_owned(),
                _ => "    x-team: sea\n".to_owned(),
            };
            cases.push(case(&format!("c/{number:03}"), Some(&sent("")), Some(&sent(&header))));
        }
        let groups = groups(cases.iter());
        let titles: Vec<String> = groups.iter().map(Group::title).collect();
        assert_eq!(
            titles,
            [
                "134 cases: header x-user added to what upstream sea is sent",
                "66 cases: header x-team added to what upstream sea is sent"
            ]
        );
        assert_eq!(groups[0].changes[0].examples(), "grace, user0, user3 and 65 more");
        assert_eq!(groups[0].names(), "c/000, c/001, c/003 and 131 more");
    }

    #[test]
    fn a_case_without_a_snapshot_stands_alone_and_strays_together() {
        let cases = [
            case("new/a", None, Some("x")),
            case("new/b", None, Some("x")),
            case("a", Some("x"), None),
            case("b", Some("y"), None),
        ];
        let titles: Vec<String> = groups(cases.iter()).iter().map(Group::title).collect();
        assert_eq!(
            titles,
            [
                "2 cases: a snapshot without a case, which will be removed",
                "new/a: new, without a snapshot",
                "new/b: new, without a snapshot"
            ]
        );
    }
}
