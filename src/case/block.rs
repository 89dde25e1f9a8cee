//! Cuts a case file into its preamble and blocks: the part of the format that knows lines, not messages.

use crate::fault::Fault;

/// A case file, cut up.
pub(super) struct Blocks<'a> {
    /// What stands before the first block.
    pub(super) preamble: Vec<Line<'a>>,
    /// The blocks in the order of the file.
    pub(super) blocks: Vec<Block<'a>>,
}

/// One block: its opening line and what follows it.
pub(super) struct Block<'a> {
    /// Its opening line, counted from 1.
    pub(super) line: usize,
    /// Whose message it is.
    pub(super) side: Side,
    /// The words after that, as `name` or `name=value`.
    pub(super) words: Vec<(&'a str, Option<&'a str>)>,
    /// The message.
    pub(super) lines: Vec<Line<'a>>,
}

/// Whose message a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The client's request.
    Client,
    /// An upstream's answer.
    Upstream,
}

/// A line of the file.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// With its line end, if it has one.
    pub(super) text: &'a str,
}

/// Cuts up a file; mistakes in opening lines go to `faults`.
pub(super) fn cut<'a>(file: &str, text: &'a str, faults: &mut Vec<Fault>) -> Blocks<'a> {
    let mut preamble = Vec::new();
    let mut blocks: Vec<Block<'a>> = Vec::new();
    for (index, text) in text.split_inclusive('\n').enumerate() {
        let line = Line { number: index + 1, text };
        match open(line) {
            Some(Ok(block)) => blocks.push(block),
            Some(Err(why)) => faults.push(Fault::at(file, line.number, 1, why)),
            None => match blocks.last_mut() {
                Some(block) => block.lines.push(line),
                None => preamble.push(line),
            },
        }
    }
    Blocks { preamble, blocks }
}

/// Reads an opening line. `None`: it opens nothing and belongs to the block it stands in.
fn open(line: Line<'_>) -> Option<Result<Block<'_>, &'static str>> {
    let mut words = line.bare().split_whitespace();
    let mark = words.next().filter(|_| line.text.starts_with(['>', '<']))?;
    let side = match (mark, words.next()) {
        (">", Some("client")) => Side::Client,
        ("<", Some("upstream")) => Side::Upstream,
        (">" | "<", _) => return Some(Err(OPENERS)),
        _ => return None,
    };
    let pairs = words.map(|word| match word.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (word, None),
    });
    Some(Ok(Block { line: line.number, side, words: pairs.collect(), lines: Vec::new() }))
}

/// What is said of an opening line that opens nothing.
const OPENERS: &str =
    "a block opens with `> client` or `< upstream NAME`; a line of a body that begins like one takes a `\\` before it";

// === impl Line ===

impl<'a> Line<'a> {
    /// The line without its line end.
    pub(super) fn bare(&self) -> &'a str {
        self.text.trim_end_matches(['\r', '\n'])
    }

    /// Whether nothing stands in it.
    pub(super) fn is_blank(&self) -> bool {
        self.bare().is_empty()
    }

    /// What the line means in a body: a leading `\` before a character with a meaning is not part of it.
    pub(super) fn unescaped(&self) -> &'a str {
        match self.text.strip_prefix('\\') {
            Some(rest) if rest.starts_with(['>', '<', '~', '\\']) => rest,
            _ => self.text,
        }
    }
}
