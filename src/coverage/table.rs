//! Shows the certificate: as a table that fits a terminal, with what is excused and why, and in Markdown.

use std::fmt::Write;

use super::{Cell, Certificate, Situation, Verdict};

/// The width of a terminal.
const WIDE: usize = 80;

/// One line of the table: a hook, and for each situation a sign for each dialect.
struct Line<'c> {
    hook: &'static str,
    signs: Vec<String>,
    cells: &'c [Cell],
}

/// Cells that one sentence excuses.
struct Excused {
    why: &'static str,
    /// The situations, and the hooks in each.
    of: Vec<(Situation, Vec<&'static str>)>,
}

// === impl Certificate ===

impl Certificate {
    /// For people: the table, why cells are excused, and the holes.
    pub fn text(&self) -> String {
        let dialects = self.dialects();
        let mut text = wrapped(&format!("In each cell a sign for each dialect: {}.", dialects.join(", ")), 0);
        text.push_str(&wrapped(&format!("{}.", legend("")), 0));
        let lines = self.lines();
        let first = lines.iter().map(|line| line.hook.len()).max().unwrap_or_default();
        let _ = write!(text, "\n{:first$}", "");
        for situation in Situation::ALL {
            let _ = write!(text, " {:wide$}", situation.as_str(), wide = dialects.len());
        }
        text.truncate(text.trim_end_matches(' ').len());
        for line in &lines {
            let _ = write!(text, "\n{:first$} {}", line.hook, line.signs.join(" "));
        }
        text.push_str("\n\n");
        for situation in Situation::ALL {
            let _ = writeln!(text, "{:8} {}", situation.as_str(), situation.meaning());
        }
        text.push_str("\nIt does not apply:\n");
        for excused in self.excused() {
            text.push_str(&wrapped(&format!("- {}: {}", excused.cells(), excused.why), 2));
        }
        text + "\n" + &self.sum()
    }

    /// The same in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("A sign for each dialect: {}.\n{}.\n\n", self.dialects().join(", "), legend("`"));
        let heads: Vec<&str> = Situation::ALL.map(Situation::as_str).to_vec();
        let _ = writeln!(text, "| hook | {} |\n| ---{} |", heads.join(" | "), " | ---".repeat(heads.len()));
        for line in self.lines() {
            let _ = writeln!(text, "| `{}` | `{}` |", line.hook, line.signs.join("` | `"));
        }
        text.push('\n');
        for situation in Situation::ALL {
            let _ = writeln!(text, "- *{}*: {}", situation.as_str(), situation.meaning());
        }
        text.push_str("\nIt does not apply:\n\n");
        for excused in self.excused() {
            let _ = writeln!(text, "- {}: {}", excused.cells(), excused.why);
        }
        text + "\n" + &self.sum()
    }

    /// The holes, then how many cells of each kind there are.
    fn sum(&self) -> String {
        let mut text = String::new();
        text.extend(self.holes().flat_map(|hole| ["hole: ".to_owned(), hole, "\n".to_owned()]));
        let count = |verdict| self.cells.iter().filter(|cell| cell.verdict() == verdict).count();
        let holes = count(Verdict::Missing) + count(Verdict::Unexpected);
        let (ran, excused) = (count(Verdict::Ran), count(Verdict::Excused));
        let _ = writeln!(text, "{} cells: {ran} ran, {excused} do not apply, {holes} holes", self.cells.len());
        text
    }

    fn dialects(&self) -> Vec<&'static str> {
        self.first().iter().map(|cell| cell.dialect).collect()
    }

    /// The cells of the first hook in the first situation.
    fn first(&self) -> &[Cell] {
        self.cells.chunk_by(alike).next().unwrap_or_default()
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let by_hook = self.cells.chunk_by(|one, other| one.hook == other.hook);
        let lines = by_hook.filter_map(|cells| {
            let signs = cells.chunk_by(alike).map(|cells| cells.iter().map(|cell| cell.verdict().sign()).collect());
            Some(Line { hook: cells.first()?.hook, signs: signs.collect(), cells })
        });
        lines.collect()
    }

    /// Every excuse with where it holds, in the order of the table.
    fn excused(&self) -> Vec<Excused> {
        let mut all: Vec<Excused> = Vec::new();
        for cell in self.lines().iter().flat_map(|line| line.cells) {
            let Some(why) = cell.excuse else { continue };
            let place = all.iter().position(|known| known.why == why).unwrap_or_else(|| {
                all.push(Excused { why, of: Vec::new() });
                all.len() - 1
            });
            if let Some(excused) = all.get_mut(place) {
                excused.add(cell);
            }
        }
        all
    }
}

/// Whether two cells are of one hook in one situation.
fn alike(one: &Cell, other: &Cell) -> bool {
    one.hook == other.hook && one.situation == other.situation
}

// === impl Excused ===

impl Excused {
    fn add(&mut self, cell: &Cell) {
        match self.of.iter_mut().find(|(situation, _)| *situation == cell.situation) {
            Some((_, hooks)) if hooks.contains(&cell.hook) => {}
            Some((_, hooks)) => hooks.push(cell.hook),
            None => self.of.push((cell.situation, vec![cell.hook])),
        }
    }

    /// Which cells in words: `failover in whole, stream`.
    fn cells(&self) -> String {
        let mut parts: Vec<(String, Vec<&str>)> = Vec::new();
        for (situation, hooks) in &self.of {
            let hooks = if hooks.len() > 6 { "all others".to_owned() } else { hooks.join(", ") };
            match parts.iter_mut().find(|(known, _)| *known == hooks) {
                Some((_, situations)) => situations.push(situation.as_str()),
                None => parts.push((hooks, vec![situation.as_str()])),
            }
        }
        let situations =
            |all: &[&str]| if all.len() == Situation::ALL.len() { "all".to_owned() } else { all.join(", ") };
        let parts = parts.iter().map(|(hooks, all)| format!("{hooks} in {}", situations(all)));
        parts.collect::<Vec<_>>().join("; ")
    }
}

// === impl Verdict ===

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Ran, Self::Excused, Self::Missing, Self::Unexpected];

    /// The sign that stands for it in the table.
    pub fn sign(self) -> char {
        match self {
            Self::Ran => '✓',
            Self::Excused => '·',
            Self::Missing => '!',
            Self::Unexpected => '?',
        }
    }

    /// What it says.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ran => "it ran",
            Self::Excused => "it does not apply",
            Self::Missing => "it did not run",
            Self::Unexpected => "it ran though it should not apply",
        }
    }
}

/// What the signs mean.
fn legend(quote: &str) -> String {
    Verdict::ALL.map(|verdict| format!("{quote}{}{quote} {}", verdict.sign(), verdict.meaning())).join("; ")
}

/// A text in lines of a terminal, those after the first indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut wide = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if wide > 0 && wide + 1 + length > WIDE {
            let _ = write!(lines, "\n{:indent$}", "");
            wide = indent;
        } else if wide > 0 {
            lines.push(' ');
            wide += 1;
        }
        lines.push_str(word);
        wide += length;
    }
    lines + "\n"
}
