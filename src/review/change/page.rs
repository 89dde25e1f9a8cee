//! Reads a snapshot's text: which call, which message and which part of it each line belongs to.

/// A line that is not blank, with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    /// The line, without the spaces before it.
    pub(super) text: &'t str,
    /// The call, counted from 1.
    pub(super) call: usize,
    /// What it is about.
    pub(super) section: Section<'t>,
    /// Tells this section from others of the same kind.
    pub(super) instance: usize,
    /// Its part in the section.
    pub(super) part: Part<'t>,
}

/// What lines are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Section<'t> {
    /// A call as a whole: what was decided, how it ended.
    Call,
    /// What an upstream is sent, and what came of it.
    Upstream(&'t str),
    /// What the client gets.
    Client,
}

/// The part of a line in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'t> {
    /// The line that opens the section.
    Opening,
    /// A line of the gate's own, by its first word.
    Word(&'t str),
    /// A part of the cache's key.
    Key(&'t str),
    /// A request line or a status line.
    First,
    /// A header.
    Header(&'t str),
    /// A line of a body.
    Body,
}

/// The word for what came of an attempt.
pub(super) const OUTCOME: &str = "=";

/// Where a reader of lines stands.
struct Reader<'t> {
    lines: Vec<Line<'t>>,
    call: usize,
    instance: usize,
    section: Section<'t>,
    /// What an indented line is.
    inside: Inside,
}

/// What an indented line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A part of the cache's key.
    Keys,
    /// The first line of a message.
    First,
    /// One of its headers.
    Headers,
    /// What comes after them.
    Body,
}

/// The lines of a snapshot that are not blank.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut reader = Reader { lines: Vec::new(), call: 1, instance: 0, section: Section::Call, inside: Inside::Keys };
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(inside) => reader.indented(inside),
            None if line.is_empty() => reader.blank(),
            None => reader.own(line),
        }
    }
    reader.lines
}

/// The line that opens the message in which the line with this index is, or the call's.
pub fn opening_at<'t>(lines: &[&'t str], index: usize) -> Option<&'t str> {
    let before = lines.get(..=index)?;
    let inside = before.last().is_some_and(|line| line.is_empty() || line.starts_with(' '));
    let opens = |line: &&&str| {
        let message = line.starts_with("< ") || line.starts_with("= to the client");
        line.starts_with("> ") || inside && message
    };
    before.iter().rev().find(opens).copied()
}

// === impl Reader ===

impl<'t> Reader<'t> {
    fn push(&mut self, text: &'t str, part: Part<'t>) {
        let (call, section, instance) = (self.call.max(1), self.section, self.instance);
        self.lines.push(Line { text, call, section, instance, part });
    }

    /// A line of the gate's own.
    fn own(&mut self, line: &'t str) {
        let word = line.split([' ', ':']).next().unwrap_or_default();
        let upstream = line.strip_prefix("< upstream ");
        let opened = match (word, upstream) {
            (">", _) => {
                self.call = self.lines.iter().filter(|line| opens_call(line)).count() + 1;
                Some((Section::Call, Inside::Keys))
            }
            (_, Some(name)) => {
                let name = name.split(['/', ' ', ',']).next().unwrap_or_default();
                Some((Section::Upstream(name), Inside::First))
            }
            _ if line.starts_with("= to the client") => Some((Section::Client, Inside::First)),
            _ => None,
        };
        if let Some((section, inside)) = opened {
            (self.section, self.inside) = (section, inside);
            self.instance += 1;
            self.push(line, Part::Opening);
        } else {
            if word != OUTCOME && self.section != Section::Call {
                self.section = Section::Call;
                self.instance += 1;
            }
            self.inside = Inside::Keys;
            self.push(line, Part::Word(word));
        }
    }

    fn indented(&mut self, line: &'t str) {
        let part = match self.inside {
            Inside::Keys => Part::Key(line.split_once(" = ").map_or(line, |(name, _)| name)),
            Inside::First => {
                self.inside = Inside::Headers;
                Part::First
            }
            Inside::Headers => Part::Header(line.split_once(':').map_or(line, |(name, _)| name)),
            Inside::Body => Part::Body,
        };
        self.push(line, part);
    }

    fn blank(&mut self) {
        if self.inside == Inside::Headers {
            let interim = self.section == Section::Client
                && self
                    .lines
                    .iter()
                    .rev()
                    .find(|line| line.part == Part::First)
                    .is_some_and(|line| is_interim(line.text));
            self.inside = if interim { Inside::First } else { Inside::Body };
        }
    }
}

fn opens_call(line: &Line<'_>) -> bool {
    line.part == Part::Opening && line.section == Section::Call
}

/// Whether a status line is followed by another.
fn is_interim(line: &str) -> bool {
    line.split(' ').nth(1).is_some_and(|status| status.len() == 3 && status.starts_with('1') && status != "101")
}
