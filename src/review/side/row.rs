//! Puts changed lines beside those that they were.

use std::collections::BTreeSet;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::line::Emphasis;

/// Lines are taken for the same one, changed, when this share of their words is common.
const ALIKE: f64 = 0.5;

/// One line on each side.
pub(super) enum Row<'t> {
    /// The same on both.
    Same(&'t str),
    /// Only on the old side.
    Gone(&'t str),
    /// Only on the new one.
    Added(&'t str),
    /// On both, changed: with what changed in them.
    Changed(&'t str, &'t str, Emphasis, Emphasis),
}

/// One side of a row: the line, its mark, and what is emphasised; empty where nothing is.
type Side<'r> = (&'r str, char, &'r Emphasis);

const NOTHING: &Emphasis = &Emphasis::EMPTY;

/// Rows of lines that did not change.
pub(super) fn same<'t>(lines: &[&'t str]) -> Vec<Row<'t>> {
    lines.iter().map(|line| Row::Same(line)).collect()
}

/// Rows of lines that were replaced: those that are alike beside each other, in their order.
pub(super) fn changed<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Row<'t>> {
    let mut rows = Vec::new();
    let mut rest = new.iter();
    for line in old {
        let ahead = rest.as_slice();
        match ahead.iter().position(|candidate| alike(line, candidate)) {
            Some(index) => {
                rows.extend(rest.by_ref().take(index).map(|line| Row::Added(line)));
                if let Some(now) = rest.next() {
                    let (before, after) = emphasised(line, now);
                    rows.push(Row::Changed(line, now, before, after));
                }
            }
            None => rows.push(Row::Gone(line)),
        }
    }
    rows.extend(rest.map(|line| Row::Added(line)));
    rows
}

/// Whether a line is another one, changed.
fn alike(old: &str, new: &str) -> bool {
    let name = |line: &str| {
        let name = line.split([':', '=']).next().unwrap_or_default();
        (name.len() < line.len() && !name.trim().is_empty()).then(|| name.to_owned())
    };
    if let (Some(old), Some(new)) = (name(old), name(new))
        && old == new
    {
        return true;
    }
    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) =
        (words(old).into_iter().collect(), words(new).into_iter().collect());
    let common = old.intersection(&new).filter(|word| !word.trim().is_empty()).count();
    let most = old.len().max(new.len()).max(1);
    #[allow(clippy::cast_precision_loss, reason = "lines have few words")]
    let share = common as f64 / most as f64;
    share >= ALIKE
}

/// Two lines with what changed in them.
fn emphasised(old: &str, new: &str) -> (Emphasis, Emphasis) {
    let (old, new) = (words(old), words(new));
    let (mut before, mut after) = (Emphasis::EMPTY, Emphasis::EMPTY);
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        let changed = op.tag() != DiffTag::Equal;
        before.push(&old.get(op.old_range()).unwrap_or_default().concat(), changed);
        after.push(&new.get(op.new_range()).unwrap_or_default().concat(), changed);
    }
    (before, after)
}

/// The words of a line and what is between them, character by character.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let end = if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}

// === impl Row ===

impl Row<'_> {
    /// The old side.
    pub(super) fn left(&self) -> Option<Side<'_>> {
        match self {
            Self::Same(line) => Some((line, ' ', NOTHING)),
            Self::Gone(line) => Some((line, '-', NOTHING)),
            Self::Added(_) => None,
            Self::Changed(line, _, emphasis, _) => Some((line, '~', emphasis)),
        }
    }

    /// The new side.
    pub(super) fn right(&self) -> Option<Side<'_>> {
        match self {
            Self::Same(line) => Some((line, ' ', NOTHING)),
            Self::Added(line) => Some((line, '+', NOTHING)),
            Self::Gone(_) => None,
            Self::Changed(_, line, _, emphasis) => Some((line, '~', emphasis)),
        }
    }

    /// Whether the two sides are the same.
    pub(super) fn is_same(&self) -> bool {
        matches!(self, Self::Same(_))
    }
}
