//! What a group looks like: what changed, in which cases, and the first of them, old and new.

use std::fmt::Write as _;
use std::io;

use super::super::group::Group;
use super::super::look::{Compared, Look};
use super::super::side::{self, visible};
use super::{Item, Session};

/// What the keys do.
pub(super) const HELP: &str = "
  a   accept these cases: what the gate does now is what it should do
  r   reject them: the generation is not accepted until they change
  s   decide later
  e   open the case or a policy in the editor ($VISUAL, $EDITOR), then play everything again
  d   show each of these cases whole
  A   accept everything that is left
  q   leave; what was accepted until then is written, and the rest is asked about next time
  ^C  leave; nothing is written

  - was   + is   ~ changed in part; long stretches that did not change are left out, except with d
";

/// The line that asks for a key.
pub(super) fn keys(faulty: bool) -> &'static str {
    if faulty {
        "e edit  s skip  q leave  ? help >"
    } else {
        "a accept  r reject  s skip  e edit  d details  A accept all  q leave  ? help >"
    }
}

/// What is said when no case shows an edit.
pub(super) fn unseen(look: &Look) -> String {
    let hash = look.sight.bundle.hash;
    let cases = match look.cases.len() {
        0 => "There is no case that could show a difference".to_owned(),
        1 => "The case does what its snapshot says".to_owned(),
        cases => format!("All {cases} cases do what their snapshots say"),
    };
    format!("{cases}. Generation {hash} is {}.\n", visible(&look.standing.to_string()))
}

/// Text in lines of at most this width, broken between words; all but the first are moved in.
fn folded(text: &str, width: usize, indent: &str) -> String {
    let text = visible(text);
    let words = text.trim_start_matches(' ');
    let start = text.len() - words.len();
    let (mut lines, mut used) = (" ".repeat(start), start);
    for (index, word) in words.split(' ').enumerate() {
        let wide = console::measure_text_width(word);
        if index > 0 && used + 1 + wide > width {
            let _ = write!(lines, "\n{indent}");
            used = indent.len();
        } else if index > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += wide;
    }
    lines.push('\n');
    lines
}

// === impl Session ===

impl Session<'_> {
    /// Shows the item with this index.
    pub(super) fn show(&mut self, index: usize, item: &Item) -> io::Result<()> {
        let place = format!("\u{2500}\u{2500} {} of {} ", index + 1, self.items.len());
        let width = self.screen.width();
        let rule = "\u{2500}".repeat(width.saturating_sub(console::measure_text_width(&place)));
        let shown = match item {
            Item::Faulty(case) => self.faulty(case),
            Item::Group(group) => self.group(group),
        };
        self.screen.say(&format!("\n{place}{rule}\n{shown}\n"))
    }

    /// Shows each case of an item whole.
    pub(super) fn details(&mut self, item: &Item) -> io::Result<()> {
        let shown: Vec<String> = self.cases(item).into_iter().map(|case| self.case(case, true)).collect();
        for (index, text) in shown.iter().enumerate() {
            self.screen.say(&format!("\n{text}\n"))?;
            if index + 1 < shown.len() {
                self.screen.say(&format!("{} of {}; any key for the next, q enough >", index + 1, shown.len()))?;
                let key = self.screen.key()?;
                self.screen.say("\n")?;
                if key == 'q' {
                    break;
                }
            }
        }
        Ok(())
    }

    fn faulty(&self, case: &Compared) -> String {
        let mut text = folded(&format!("{}: cannot be played", case.name), self.screen.width(), "  ");
        for fault in &case.faults {
            text.push_str(&folded(&format!("  {fault}"), self.screen.width(), "    "));
        }
        text
    }

    /// What changed, in which cases, and the first of them.
    fn group(&self, group: &Group) -> String {
        let width = self.screen.width();
        let mut text = folded(&group.title(), width, "  ");
        match group.changes.as_slice() {
            [only] if only.values.is_empty() => {}
            [only] => text.push_str(&folded(&format!("  {}", only.examples()), width, "  ")),
            changes => {
                for changed in changes {
                    text.push_str(&folded(&format!("  {changed}"), width, "    "));
                }
            }
        }
        if group.cases.len() > 1 {
            text.push_str(&folded(&format!("  in {}", group.names()), width, "    "));
        }
        let first = group.cases.first().and_then(|name| self.look.cases.iter().find(|case| case.name == *name));
        if let Some(case) = first {
            text.push('\n');
            text.push_str(&self.case(case, false));
        }
        text
    }

    /// One case: its story, then old and new.
    fn case(&self, case: &Compared, whole: bool) -> String {
        let (width, colour) = (self.screen.width(), self.screen.colour());
        let story = if case.about.is_empty() { case.name.clone() } else { format!("{}: {}", case.name, case.about) };
        let look = side::Look { width, colour, whole };
        let shown = match (&case.old, &case.new) {
            (Some(old), Some(new)) => side::by_side(old, new, look),
            (None, Some(new)) => side::alone(new, '+', look),
            (Some(old), None) => side::alone(old, '-', look),
            (None, None) => String::new(),
        };
        format!("{}{shown}", folded(&story, width, "  "))
    }
}
