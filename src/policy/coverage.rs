//! Which lines of policies ran, so that lines which no case reaches can be named.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::hook::Hook;
use super::place::Spot;
use super::vm::Vm;

/// Which lines ran, by file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered(BTreeMap<String, Lines>);

/// The lines of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines(BTreeMap<usize, Line>);

/// A line that holds code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whether any of its code ran.
    pub ran: bool,
    /// The hook in whose function it stands, by its name.
    pub hook: Option<&'static str>,
}

// === impl Covered ===

impl Covered {
    /// Takes in what ran elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (file, lines) in &other.0 {
            let own = self.0.entry(file.clone()).or_default();
            lines.0.iter().for_each(|(number, line)| own.add(*number, *line));
        }
    }

    /// The lines of a file; `None` when it was never loaded.
    pub fn of(&self, file: &str) -> Option<&Lines> {
        self.0.get(file)
    }
}

// === impl Lines ===

impl Lines {
    /// The lines that hold code, in their order, counted from 1.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Line)> {
        self.0.iter().map(|(number, line)| (*number, *line))
    }

    fn add(&mut self, number: usize, line: Line) {
        match self.0.entry(number) {
            Entry::Vacant(place) => {
                place.insert(line);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.ran |= line.ran;
                known.hook = known.hook.or(line.hook);
            }
        }
    }
}

// === impl Vm: lines ===

impl Vm {
    /// Which lines ran in this VM. Functions are told outermost first, each followed by those within it.
    pub(super) fn covered(&self) -> Covered {
        let starts = self.starts();
        let mut covered = Covered::default();
        for (file, chunk) in &self.chunks {
            let lines = covered.0.entry(file.clone()).or_default();
            let mut inside: Option<(i32, &'static str)> = None;
            chunk.coverage(|function| {
                inside = inside.filter(|(depth, _)| function.depth > *depth);
                if inside.is_none() {
                    let line = usize::try_from(function.line_defined).unwrap_or_default();
                    let hook = starts.iter().find(|(spot, _)| spot.line == line && spot.file == *file);
                    // A file as a whole starts at its first line too, and is no hook.
                    inside = hook.filter(|_| function.depth > 0).map(|(_, hook)| (function.depth, *hook));
                }
                let hook = inside.map(|(_, hook)| hook);
                for (number, hits) in function.hits.iter().enumerate() {
                    if *hits >= 0 {
                        lines.add(number, Line { ran: *hits > 0, hook });
                    }
                }
            });
        }
        covered
    }

    /// Where the functions of hooks start.
    fn starts(&self) -> Vec<(&Spot, &'static str)> {
        let mut starts = Vec::new();
        for definition in self.policies.iter().map(|policy| &policy.definition) {
            for hook in Hook::ALL {
                starts.extend(definition.hooks[hook.index()].as_ref().map(|spot| (spot, hook.name())));
            }
            starts.extend(definition.endpoints.iter().map(|(_, spot)| (spot, Hook::Endpoints.name())));
            starts.extend(definition.background.iter().map(|(_, _, spot)| (spot, Hook::Background.name())));
        }
        starts
    }
}
