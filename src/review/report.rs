//! A review for pipelines and programs: all that differs, in one text or one object.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::acceptance::Standing;
use super::group::{Group, groups};
use super::look::{Compared, Kind, Look};
use super::side::visible;
use crate::case::review::difference;

/// What is told of a look at a bundle.
pub struct Report<'l> {
    look: &'l Look,
    groups: Vec<Group>,
    /// Hooks and lines that no case reaches, each in a line of text.
    unreached: &'l [String],
}

// === impl Report ===

impl<'l> Report<'l> {
    /// Tells of this look; `chosen` says which cases, by name.
    pub fn new(look: &'l Look, unreached: &'l [String], chosen: impl Fn(&str) -> bool) -> Self {
        let groups = groups(look.differing().filter(|case| chosen(&case.name)));
        Self { look, groups, unreached }
    }

    /// Whether this generation may be deployed: nothing differs, and a person accepted it as it is.
    pub fn is_well(&self) -> bool {
        let decided = self.look.differing().chain(self.look.faulty()).next().is_none();
        decided && matches!(self.look.standing, Standing::Accepted(_))
    }

    /// For people who read the output of a pipeline.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for case in self.look.faulty() {
            let _ = writeln!(text, "{}: cannot be played", visible(&case.name));
            for fault in &case.faults {
                let _ = writeln!(text, "{}", visible(&fault.to_string()));
            }
            text.push('\n');
        }
        for group in &self.groups {
            self.write_group(group, &mut text);
        }
        for line in self.unreached {
            let _ = writeln!(text, "no case reaches {}", visible(line));
        }
        let _ = writeln!(text, "{}", self.sum());
        text
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let case = |case: &Compared| {
            json!({
                "name": case.name,
                "about": case.about,
                "outcome": case.kind().as_str(),
                "old": case.old,
                "new": case.new,
                "faults": case.faults,
            })
        };
        let cases: Vec<Value> = self.look.cases.iter().map(case).collect();
        let groups: Vec<Value> = self.groups.iter().map(group_json).collect();
        json!({
            "ok": self.is_well(),
            "generation": self.look.sight.bundle.hash.full(),
            "standing": standing_json(&self.look.standing),
            "groups": groups,
            "cases": cases,
            "unreached": self.unreached,
        })
    }

    fn write_group(&self, group: &Group, text: &mut String) {
        let _ = writeln!(text, "{}", visible(&group.title()));
        for changed in &group.changes {
            let _ = writeln!(text, "  {}", visible(&changed.to_string()));
        }
        if group.cases.len() > 1 {
            let _ = writeln!(text, "  in {}", visible(&group.cases.join(", ")));
        }
        let shown = group.cases.first().and_then(|name| self.look.cases.iter().find(|case| case.name == *name));
        if let Some(case) = shown {
            let (old, new) = (case.old.as_deref().unwrap_or_default(), case.new.as_deref().unwrap_or_default());
            for line in difference(old, new).lines() {
                let _ = writeln!(text, "{}", visible(line));
            }
        }
        text.push('\n');
    }

    /// The last line.
    fn sum(&self) -> String {
        let look = self.look;
        let counts = [
            (look.count(Kind::Differs), if look.count(Kind::Differs) == 1 { "differs" } else { "differ" }),
            (look.count(Kind::New), "without a snapshot"),
            (look.count(Kind::Gone), "snapshots without a case"),
            (look.count(Kind::Faulty), "cannot be played"),
        ];
        let found = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let mut parts: Vec<String> = found.collect();
        if parts.is_empty() {
            parts.push("nothing differs".to_owned());
        }
        let cases = look.cases.len() - look.count(Kind::Gone);
        let noun = if cases == 1 { "case" } else { "cases" };
        let standing = visible(&look.standing.to_string());
        format!("{cases} {noun}: {}; generation {} {standing}", parts.join(", "), look.sight.bundle.hash)
    }
}

fn group_json(group: &Group) -> Value {
    let changes: Vec<Value> =
        group.changes.iter().map(|change| json!({"what": change.what, "values": change.values})).collect();
    json!({"title": group.title(), "changes": changes, "cases": group.cases})
}

fn standing_json(standing: &Standing) -> Value {
    match standing {
        Standing::Accepted(acceptance) => json!({
            "accepted": true,
            "by": acceptance.accepted_by,
            "at": acceptance.accepted_at.to_string(),
            "live": acceptance.live,
        }),
        Standing::Waiting(why) => json!({"accepted": false, "why": why}),
    }
}
