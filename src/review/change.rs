//! What differs between two snapshots of a case, in phrases that are the same wherever the same thing changed.

mod json;

mod page;

mod phrase;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use similar::{Algorithm, DiffOp, capture_diff_slices};

pub use page::opening_at;
use page::{Line, Part, Section};

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The call of the case in which it did, counted from 1.
    pub call: usize,
    /// What changed, without what may differ from case to case.
    pub what: String,
    /// The value it has now, or what it was and what it is.
    pub value: Option<String>,
}

/// Lines that are in one of two snapshots only.
struct Unequal<'t> {
    /// Lines of the old one.
    old: Vec<Line<'t>>,
    /// Lines of the new one.
    new: Vec<Line<'t>>,
}

/// What differs between two snapshots, in the order of the new one. Empty only when they are the same.
pub fn changes(old: &str, new: &str) -> Vec<Change> {
    let mut unequal = unequal(&page::lines(old), &page::lines(new));
    let mut changes = unequal.other_messages();
    changes.extend(unequal.pairs());
    changes.extend(unequal.whole_sections());
    changes.extend(unequal.old.iter().map(|line| change(line, phrase::removed(line))));
    changes.extend(unequal.new.iter().map(|line| change(line, phrase::added(line))));
    if changes.is_empty() && old != new {
        changes.push(Change { call: 1, what: "blank lines changed".to_owned(), value: None });
    }
    changes.sort_by_key(|change| (phrase::weight(&change.what), change.call));
    changes
}

fn change(line: &Line<'_>, (what, value): (String, Option<String>)) -> Change {
    Change { call: line.call, what, value }
}

/// The lines that the two have not in common; blank ones only separate.
fn unequal<'t>(old: &[Line<'t>], new: &[Line<'t>]) -> Unequal<'t> {
    let keys = |lines: &[Line<'t>]| -> Vec<(Section<'t>, &'t str)> {
        lines.iter().map(|line| (line.section, line.text)).collect()
    };
    let mut unequal = Unequal { old: Vec::new(), new: Vec::new() };
    for op in capture_diff_slices(Algorithm::Myers, &keys(old), &keys(new)) {
        if !matches!(op, DiffOp::Equal { .. }) {
            unequal.old.extend(old.get(op.old_range()).unwrap_or_default());
            unequal.new.extend(new.get(op.new_range()).unwrap_or_default());
        }
    }
    unequal
}

// === impl Unequal ===

impl<'t> Unequal<'t> {
    /// Takes out what is in messages that are others altogether: their headers and bodies have nothing in common. Their
    /// first lines stay.
    fn other_messages(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let firsts = |lines: &[Line<'t>]| -> Vec<Line<'t>> {
            lines.iter().filter(|line| line.part == Part::First).copied().collect()
        };
        let (olds, mut news) = (firsts(&self.old), firsts(&self.new));
        for old in olds {
            let same = |new: &Line<'t>| new.call == old.call && new.section == old.section;
            let Some(index) = news.iter().position(same) else { continue };
            let new = news.remove(index);
            if !phrase::is_another(&old, &new) {
                continue;
            }
            let body = self.new.iter().find(|line| line.instance == new.instance && line.part == Part::Body);
            changes.extend(body.map(|line| change(line, phrase::another_body(line))));
            self.old.retain(|line| line.instance != old.instance || line.part == Part::First);
            self.new.retain(|line| line.instance != new.instance || line.part == Part::First);
        }
        changes
    }

    /// Takes out the lines that say something else about the same thing.
    fn pairs(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut alone = Vec::new();
        for old in std::mem::take(&mut self.old) {
            let same = |new: &&Line<'t>| new.section == old.section && new.part == old.part;
            let here = |new: &Line<'t>| new.call == old.call && same(&new);
            match self.new.iter().position(here) {
                Some(index) => {
                    let new = self.new.remove(index);
                    changes.extend(phrase::changed(&old, &new).into_iter().map(|phrase| change(&new, phrase)));
                }
                None => alone.push(old),
            }
        }
        self.old = alone;
        changes
    }

    /// Takes out sections that are new or gone from their opening line on: what is in them is no change of its own.
    fn whole_sections(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        let sides = [
            (&mut self.old, phrase::removed as fn(&Line<'t>) -> (String, Option<String>)),
            (&mut self.new, phrase::added as fn(&Line<'t>) -> (String, Option<String>)),
        ];
        for (lines, told) in sides {
            let calls: BTreeSet<usize> = opened(lines, Section::Call);
            let sections: BTreeSet<usize> =
                lines.iter().filter(|line| line.part == Part::Opening).map(|line| line.instance).collect();
            for line in std::mem::take(lines) {
                let within_call = calls.contains(&line.call);
                let opens = line.part == Part::Opening;
                if opens && (line.section == Section::Call || !within_call) {
                    changes.push(change(&line, told(&line)));
                } else if !within_call && !sections.contains(&line.instance) {
                    lines.push(line);
                }
            }
        }
        changes
    }
}

/// The calls whose opening line is among these.
fn opened(lines: &[Line<'_>], section: Section<'_>) -> BTreeSet<usize> {
    let opens = |line: &&Line<'_>| line.part == Part::Opening && line.section == section;
    lines.iter().filter(opens).map(|line| line.call).collect()
}
