//! Old and new beside each other, in as many columns as there are: only what changed, every character of it.

mod line;

mod row;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use similar::{DiffOp, DiffTag, TextDiff};

pub use line::visible;
use line::{Emphasis, Paint};
use row::Row;

use super::change::opening_at;

/// Unchanged lines around a difference.
const AROUND: usize = 2;

/// Narrower terminals get one column.
const NARROW: usize = 70;

/// More columns than this are not used: lines of such length are hard to read.
const WIDEST: usize = 200;

/// How a difference is shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// How many columns there are.
    pub width: usize,
    /// Whether colours may be used.
    pub colour: bool,
    /// Whether all is shown: unchanged lines too, and nothing left out of long ones.
    pub whole: bool,
}

/// Old and new beside each other; where there is no room for it, below each other. `-` was, `+` is, `~` was otherwise.
pub fn by_side(old: &str, new: &str, look: Look) -> String {
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let diff = TextDiff::from_slices(&old_lines, &new_lines);
    let around = if look.whole { old_lines.len().max(new_lines.len()) } else { AROUND };
    let page = Page { look, column: (look.width.min(WIDEST).saturating_sub(3)) / 2, old: &old_lines, new: &new_lines };
    let mut text = String::new();
    for hunk in diff.grouped_ops(around) {
        page.hunk(&hunk, &mut text);
    }
    text
}

/// A text of which all is new, or all is gone.
pub fn alone(text: &str, mark: char, look: Look) -> String {
    let paint = Paint { colour: look.colour, mark, tone: mark };
    let width = look.width.min(WIDEST).saturating_sub(2);
    let mut shown = String::new();
    for line in text.lines() {
        for row in line::wrapped(&Emphasis::plain(line), width, paint) {
            let _ = writeln!(shown, "{}", row.text.trim_end());
        }
    }
    shown
}

/// What a difference is written from.
struct Page<'t> {
    look: Look,
    /// The width of one of two columns.
    column: usize,
    old: &'t [&'t str],
    new: &'t [&'t str],
}

// === impl Page ===

impl Page<'_> {
    /// Lines that changed, with some around them, below the line that opens the message that they are in.
    fn hunk(&self, ops: &[DiffOp], text: &mut String) {
        let first = ops.first().map_or(0, |op| op.new_range().start);
        let start = if self.new.is_empty() { opening_at(self.old, first) } else { opening_at(self.new, first) };
        let shown = start.filter(|start| self.new.get(first) != Some(start)).map_or_else(String::new, visible);
        let title = line::cut(&format!("\u{b7}\u{b7}\u{b7} {shown}"), self.look.width);
        let _ = writeln!(text, "{}", title.trim_end());
        for op in ops {
            let old = self.old.get(op.old_range()).unwrap_or_default();
            let new = self.new.get(op.new_range()).unwrap_or_default();
            let rows = if op.tag() == DiffTag::Equal { row::same(old) } else { row::changed(old, new) };
            for row in rows {
                self.row(&row, text);
            }
        }
    }

    fn row(&self, row: &Row<'_>, text: &mut String) {
        if self.look.width < NARROW { self.below(row, text) } else { self.beside(row, text) }
    }

    /// The two sides of a row in two columns.
    fn beside(&self, row: &Row<'_>, text: &mut String) {
        let side = |content: Option<(&str, char, &Emphasis)>, changed: char| {
            let Some((line, mark, emphasis)) = content else { return Vec::new() };
            let tone = if mark == ' ' { mark } else { changed };
            let paint = Paint { colour: self.look.colour, mark, tone };
            let mut rows = line::wrapped(&self.shortened(line, emphasis), self.column.saturating_sub(2), paint);
            if mark == ' ' && !self.look.whole {
                line::shorten(&mut rows);
            }
            rows
        };
        let (old, new) = (side(row.left(), '-'), side(row.right(), '+'));
        for index in 0..old.len().max(new.len()) {
            let (left, width) = old.get(index).map_or(("", 0), |row| (row.text.as_str(), row.width));
            let right = new.get(index).map_or("", |row| row.text.as_str());
            let gap = " ".repeat(self.column.saturating_sub(width));
            let _ = writeln!(text, "{}", format!("{left}{gap} \u{2502} {right}").trim_end());
        }
    }

    /// The two sides of a row one below the other.
    fn below(&self, row: &Row<'_>, text: &mut String) {
        let old = row.left().map(|(line, mark, emphasis)| (line, if mark == '~' { '-' } else { mark }, emphasis));
        let new = row.right().map(|(line, mark, emphasis)| (line, if mark == '~' { '+' } else { mark }, emphasis));
        let sides = if row.is_same() { [old, None] } else { [old, new] };
        for (line, mark, emphasis) in sides.into_iter().flatten() {
            let paint = Paint { colour: self.look.colour, mark, tone: mark };
            for row in line::wrapped(&self.shortened(line, emphasis), self.look.width.saturating_sub(2), paint) {
                let _ = writeln!(text, "{}", row.text.trim_end());
            }
        }
    }

    /// What is shown of a line: of a long one that changed in part, what is around the changes.
    fn shortened(&self, line: &str, emphasis: &Emphasis) -> Emphasis {
        if emphasis.is_empty() {
            Emphasis::plain(line)
        } else if self.look.whole {
            emphasis.clone()
        } else {
            emphasis.without_long_stretches()
        }
    }
}
