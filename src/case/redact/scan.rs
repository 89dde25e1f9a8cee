//! Goes through a text and replaces what has to be: secrets and personal data wherever they stand, words where the text
//! is somebody's. What comes out has as many characters as what went in, each of the same length.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::patterns;
use super::stand_in::Mint;
use super::tables::{ID_WORDS, SCHEMES};
use super::{Kind, Text};

/// What is replaced in a text besides what is always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Nothing: it is structure.
    Structure,
    /// Its words, unless texts are kept: it is what somebody wrote.
    Words,
    /// Its words but those that ids begin with: it says whose something is.
    Id,
    /// Words that were part of an id or a credential elsewhere.
    Seen,
}

/// What is known while one case is gone through.
pub(super) struct Scan<'r> {
    pub(super) mint: &'r Mint,
    pub(super) text: Text,
    /// Credentials that no shape tells, longest first.
    pub(super) secrets: Vec<String>,
    /// Names from home paths.
    pub(super) names: BTreeSet<String>,
    /// Words of ids and credentials.
    pub(super) seen: RefCell<BTreeSet<String>>,
    /// Words and their stand-ins so far: texts say the same words again and again.
    pub(super) made: RefCell<HashMap<String, String>>,
    /// Credentials that were replaced so far.
    pub(super) credentials: RefCell<BTreeSet<String>>,
    /// What was replaced so far.
    pub(super) counts: RefCell<BTreeMap<Kind, usize>>,
}

/// Shorter words stay: there is nothing to choose for them.
const SHORTEST_SEEN: usize = 3;

// === impl Scan ===

impl Scan<'_> {
    /// The text as it may be kept.
    pub(super) fn text(&self, text: &str, depth: Depth) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
            if !c.is_alphanumeric() {
                out.push(c);
                at += c.len_utf8();
                continue;
            }
            if let Some(found) = patterns::at(self, text, at) {
                self.count(found.kind, text.get(at..found.end).unwrap_or_default(), &found.text);
                out.push_str(&found.text);
                at = found.end;
                continue;
            }
            let end = run_end(text, at);
            let run = text.get(at..end).unwrap_or_default();
            out.push_str(&self.word(run, text.get(end..).unwrap_or_default(), depth));
            at = end;
        }
        out
    }

    /// A word as it may be kept; `rest` is what follows it.
    fn word(&self, run: &str, rest: &str, depth: Depth) -> String {
        let replaced = match depth {
            Depth::Structure => false,
            Depth::Words if self.text == Text::Kept => self.names.contains(run),
            Depth::Words => !(rest.starts_with("://") && SCHEMES.contains(&run)),
            Depth::Id => !ID_WORDS.contains(&run),
            Depth::Seen => self.seen.borrow().contains(run),
        };
        if !replaced {
            return run.to_owned();
        }
        let known = self.made.borrow().get(run).cloned();
        let made = known.unwrap_or_else(|| self.mint.mint(run));
        self.made.borrow_mut().entry(run.to_owned()).or_insert_with(|| made.clone());
        if depth == Depth::Id {
            self.see(run);
        }
        self.count(if depth == Depth::Words { Kind::Text } else { Kind::Id }, run, &made);
        made
    }

    /// A credential as it may be kept: how it begins stays, where that is known.
    pub(super) fn secret(&self, value: &str) -> String {
        let made = patterns::credential(self, value);
        self.count(Kind::Secret, value, &made);
        made
    }

    /// Keeps words in mind, by which the words of reads are told.
    pub(super) fn see(&self, text: &str) {
        let runs = text.split(|c: char| !c.is_alphanumeric()).filter(|run| run.chars().count() >= SHORTEST_SEEN);
        self.seen.borrow_mut().extend(runs.map(str::to_owned));
    }

    pub(super) fn count(&self, kind: Kind, before: &str, after: &str) {
        if matches!(kind, Kind::Secret | Kind::Cookie) {
            self.credentials.borrow_mut().insert(before.to_owned());
        }
        if before != after {
            *self.counts.borrow_mut().entry(kind).or_default() += 1;
        }
    }
}

/// Where the letters and digits that begin at `at` end.
pub(super) fn run_end(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    rest.find(|c: char| !c.is_alphanumeric()).map_or(text.len(), |end| at + end)
}
