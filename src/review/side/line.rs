//! One line on a terminal: wrapped rather than cut, with nothing in it that a terminal would obey or not show.

use std::fmt::Write as _;

use console::{Style, measure_text_width};

/// Unchanged stretches of a changed line that are longer than this are left out in part.
const STRETCH: usize = 100;

/// How much of both ends of such a stretch is shown.
const END: usize = 30;

/// Unchanged lines take no more rows than this.
const ROWS: usize = 2;

/// A line in parts, with whether each of them changed. Empty where no part is told from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Emphasis(Vec<(String, bool)>);

/// How a line is shown.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    pub(super) colour: bool,
    /// What stands before it: `-`, `+`, `~` or a space.
    pub(super) mark: char,
    /// What it is, which is its colour: `-`, `+` or a space.
    pub(super) tone: char,
}

/// One row of a wrapped line, its mark before it.
pub(super) struct Wrapped {
    /// What is printed, colours included.
    pub(super) text: String,
    /// How many columns that takes.
    pub(super) width: usize,
}

/// The text with every character that a terminal would obey, or not show, written out: a difference must be seen, and
/// no file may write to the terminal of who reviews it.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            _ if is_hidden(c) => _ = write!(shown, "{}", c.escape_unicode()),
            _ => shown.push(c),
        }
    }
    shown
}

/// Whether a character takes no room or turns the direction of writing.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The start of a text that has room in this many columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    console::truncate_str(text, width, "\u{2026}").into_owned()
}

/// A line in rows of at most this many columns, marks not counted. Rows after the first begin with an arrow.
pub(super) fn wrapped(line: &Emphasis, width: usize, paint: Paint) -> Vec<Wrapped> {
    let width = width.max(2);
    let mut rows: Vec<(Emphasis, usize)> = vec![(Emphasis::EMPTY, 0)];
    for (text, changed) in &line.0 {
        for c in visible(text).chars() {
            let wide = columns(c);
            if rows.last().is_some_and(|(_, used)| used + wide > width) {
                rows.push((Emphasis::EMPTY, 0));
            }
            if let Some((row, used)) = rows.last_mut() {
                row.push(c.encode_utf8(&mut [0; 4]), *changed);
                *used += wide;
            }
        }
    }
    let painted = rows.iter().enumerate().map(|(index, (row, used))| {
        let arrow = if index == 0 { ' ' } else { '\u{21b3}' };
        Wrapped { text: paint.row(arrow, row), width: used + 2 }
    });
    painted.collect()
}

/// Cuts an unchanged line to a few rows.
pub(super) fn shorten(rows: &mut Vec<Wrapped>) {
    if rows.len() > ROWS {
        rows.truncate(ROWS);
        rows.extend([Wrapped { text: "  \u{2026}".to_owned(), width: 3 }]);
    }
}

fn columns(c: char) -> usize {
    if c.is_ascii() { 1 } else { measure_text_width(c.encode_utf8(&mut [0; 4])) }
}

// === impl Emphasis ===

impl Emphasis {
    /// No parts.
    pub(super) const EMPTY: Self = Self(Vec::new());

    /// A line of which no part is told from others.
    pub(super) fn plain(line: &str) -> Self {
        Self(vec![(line.to_owned(), false)])
    }

    /// Whether there are no parts.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds text; what is alike is one part.
    pub(super) fn push(&mut self, text: &str, changed: bool) {
        match self.0.last_mut() {
            Some((part, same)) if *same == changed => part.push_str(text),
            _ if text.is_empty() => {}
            _ => self.0.push((text.to_owned(), changed)),
        }
    }

    /// The line with long unchanged parts shown by their ends.
    pub(super) fn without_long_stretches(&self) -> Self {
        let last = self.0.len().saturating_sub(1);
        let parts = self.0.iter().enumerate().map(|(index, (text, changed))| {
            let length = text.chars().count();
            if *changed || length <= STRETCH {
                return (text.clone(), *changed);
            }
            let start: String = text.chars().take(END).collect();
            let end: String = text.chars().skip(length - END).collect();
            let end = if index == last { String::new() } else { end };
            (format!("{start}\u{2026}{end}"), false)
        });
        Self(parts.collect())
    }
}

// === impl Paint ===

impl Paint {
    /// A row with its mark.
    fn row(self, arrow: char, row: &Emphasis) -> String {
        let mut text = self.style(false).apply_to(format!("{}{arrow}", self.mark)).to_string();
        for (part, changed) in &row.0 {
            let _ = write!(text, "{}", self.style(*changed).apply_to(part));
        }
        text
    }

    fn style(self, emphasised: bool) -> Style {
        let style = Style::new().force_styling(self.colour);
        let style = match self.tone {
            '-' => style.red(),
            '+' => style.green(),
            _ => return if self.colour { style.dim() } else { style },
        };
        if emphasised { style.bold().reverse() } else { style }
    }
}
