//! Asks a person about each group of equal differences, and keeps what was decided until there is nothing left to ask.

mod edit;

mod screen;

mod show;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

pub use screen::{Screen, Tty};

use super::acceptance::Standing;
use super::group::{Group, groups};
use super::look::{Compared, Look};
use crate::fault::Fault;

/// What is asked about next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// A case that cannot be played.
    Faulty(Box<Compared>),
    /// Cases in which the same things changed.
    Group(Group),
}

/// What a person says to a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Accepted,
    Rejected,
    Skipped,
}

/// What a person says to all there is.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided {
    /// The names of the cases that were accepted.
    pub accepted: BTreeSet<String>,
    /// How many were rejected.
    pub rejected: usize,
    /// How many were skipped, or never asked about.
    pub skipped: usize,
    /// Whether an edit was accepted that no case shows.
    pub unseen: bool,
}

/// One review at a terminal.
pub struct Session<'s> {
    screen: &'s mut dyn Screen,
    /// Plays the cases again.
    play: &'s mut dyn FnMut() -> Result<Look, Vec<Fault>>,
    look: Look,
    /// Only cases whose name contains this are asked about.
    only: Option<String>,
    items: Vec<Item>,
    /// What was said, with the case as it was then: one that changed is asked about again.
    decisions: BTreeMap<String, (Compared, Decision)>,
    left: bool,
}

// === impl Session ===

impl<'s> Session<'s> {
    /// Begins a review of this look; `play` looks again after an edit.
    pub fn new(
        screen: &'s mut dyn Screen,
        look: Look,
        only: Option<String>,
        play: &'s mut dyn FnMut() -> Result<Look, Vec<Fault>>,
    ) -> Self {
        let mut session = Self { screen, play, look, only, items: Vec::new(), decisions: BTreeMap::new(), left: false };
        session.collect();
        session
    }

    /// Asks until nothing is left, or the person leaves. Returns the look that the decisions are about.
    pub fn run(mut self) -> io::Result<(Look, Decided)> {
        let mut unseen = false;
        while !self.left {
            if let Some((index, item)) = self.next() {
                self.show(index, &item)?;
                self.ask(&item)?;
            } else {
                unseen = self.is_unseen() && self.confirm()?;
                break;
            }
        }
        let count =
            |decision: Decision| self.look.differing().filter(|case| self.decision(case) == Some(decision)).count();
        let accepted = self.look.differing().filter(|case| self.decision(case) == Some(Decision::Accepted));
        let accepted: BTreeSet<String> = accepted.map(|case| case.name.clone()).collect();
        let rejected = count(Decision::Rejected);
        let open = self.look.differing().count() + self.look.faulty().count();
        let skipped = open - accepted.len() - rejected;
        Ok((self.look, Decided { accepted, rejected, skipped, unseen }))
    }

    /// Finds what there is to ask about.
    fn collect(&mut self) {
        let chosen = |case: &&Compared| self.only.as_ref().is_none_or(|only| case.name.contains(only));
        let faulty = self.look.faulty().filter(chosen).map(|case| Item::Faulty(Box::new(case.clone())));
        let groups = groups(self.look.differing().filter(chosen)).into_iter().map(Item::Group);
        self.items = faulty.chain(groups).collect();
    }

    /// The first item with a case that nothing was said about.
    fn next(&self) -> Option<(usize, Item)> {
        let is_open = |item: &Item| self.cases(item).iter().any(|case| self.decision(case).is_none());
        self.items.iter().enumerate().find(|(_, item)| is_open(item)).map(|(index, item)| (index, item.clone()))
    }

    /// The cases of an item.
    fn cases(&self, item: &Item) -> Vec<&Compared> {
        let named = |name: &String| self.look.cases.iter().find(|case| case.name == *name);
        match item {
            Item::Faulty(case) => named(&case.name).into_iter().collect(),
            Item::Group(group) => group.cases.iter().filter_map(named).collect(),
        }
    }

    fn decision(&self, case: &Compared) -> Option<Decision> {
        let (known, decision) = self.decisions.get(&case.name)?;
        (known == case).then_some(*decision)
    }

    fn decide(&mut self, item: &Item, decision: Decision) {
        let cases: Vec<Compared> = self.cases(item).into_iter().cloned().collect();
        for case in cases {
            self.decisions.insert(case.name.clone(), (case, decision));
        }
    }

    /// Asks for a key until one of them decides.
    fn ask(&mut self, item: &Item) -> io::Result<()> {
        let faulty = matches!(item, Item::Faulty(_));
        loop {
            self.screen.say(show::keys(faulty))?;
            let key = self.screen.key()?;
            let known = ['a', 'r', 's', 'e', 'd', 'A', 'q', '?'].contains(&key);
            self.screen.say(&if known { format!(" {key}\n") } else { "\n".to_owned() })?;
            if self.obey(key, item)? {
                return Ok(());
            }
        }
    }

    /// Does what a key says; true when it is answered.
    fn obey(&mut self, key: char, item: &Item) -> io::Result<bool> {
        match key {
            'a' if matches!(item, Item::Faulty(_)) => {
                self.screen.say("It cannot be accepted before it can be played: e opens it.\n")?;
                return Ok(false);
            }
            'a' => self.decide(item, Decision::Accepted),
            'r' => self.decide(item, Decision::Rejected),
            's' => self.decide(item, Decision::Skipped),
            'A' => self.accept_all(),
            'q' => self.left = true,
            'e' => return self.edit(item),
            'd' => {
                self.details(item)?;
                return Ok(false);
            }
            '?' => {
                self.screen.say(show::HELP)?;
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Accepts every group that nothing was said about; what cannot be played is left.
    fn accept_all(&mut self) {
        for item in self.items.clone() {
            let open = self.cases(&item).iter().any(|case| self.decision(case).is_none());
            if open {
                let faulty = matches!(item, Item::Faulty(_));
                self.decide(&item, if faulty { Decision::Skipped } else { Decision::Accepted });
            }
        }
    }

    /// Whether there is an edit that no case shows, and nobody has accepted it yet.
    fn is_unseen(&self) -> bool {
        let shown = self.look.differing().next().is_some() || self.look.faulty().next().is_some();
        !shown && matches!(self.look.standing, Standing::Waiting(_))
    }

    /// Asks whether such an edit is accepted.
    fn confirm(&mut self) -> io::Result<bool> {
        let text = show::unseen(&self.look);
        self.screen.say(&text)?;
        loop {
            self.screen.say("a accept  q leave >")?;
            let key = self.screen.key()?;
            self.screen.say(&format!(" {}\n", if ['a', 'q'].contains(&key) { key } else { ' ' }))?;
            match key {
                'a' => return Ok(true),
                'q' => return Ok(false),
                _ => {}
            }
        }
    }
}
