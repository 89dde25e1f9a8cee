//! A certificate that every hook runs wherever it can: each hook, for clients of each dialect, in each situation, found out
//! by running it. A cell that is empty without an excuse, or full in spite of one, is a hole.

mod dialect;
mod excuse;
mod scene;
mod table;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::bundle::Bundle;
use crate::case::Player;
use crate::fault::Fault;
use crate::policy::Hook;
use dialect::Tongue;

/// The settings of the certificate's bundle.
const SETTINGS: &str = include_str!("coverage/settings.toml");

/// Its policy.
const POLICY: &str = include_str!("coverage/every_hook.luau");

/// The name of the policy's file.
const POLICY_FILE: &str = "every_hook.luau";

/// Every hook, for every dialect, in every situation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The cells: by hook, then by situation, then by dialect.
    pub cells: Vec<Cell>,
}

/// One hook for clients of one dialect in one situation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The hook's name.
    pub hook: &'static str,
    /// The situation.
    pub situation: Situation,
    /// The client's dialect, by the name that policies know it by; `other` for an HTTP service of none.
    pub dialect: &'static str,
    /// Whether the hook ran.
    pub ran: bool,
    /// Why it cannot run here, if it cannot.
    pub excuse: Option<&'static str>,
}

/// What befalls a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Situation {
    /// It is answered whole.
    Whole,
    /// Its answer streams.
    Stream,
    /// A stored answer is served.
    Hit,
    /// It shares the answer of an equal call that is on its way.
    Join,
    /// Its first attempt fails, and a second one is made.
    Failover,
    /// Its client leaves before the end.
    Abort,
    /// The gate answers with an error of its own.
    Error,
}

/// What a cell came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The hook ran, as it should.
    Ran,
    /// It does not apply.
    Excused,
    /// It did not run though nothing excuses it.
    Missing,
    /// It ran though it should not be able to: the excuse is wrong.
    Unexpected,
}

// === impl Situation ===

impl Situation {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] =
        [Self::Whole, Self::Stream, Self::Hit, Self::Join, Self::Failover, Self::Abort, Self::Error];

    /// Its name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Stream => "stream",
            Self::Hit => "hit",
            Self::Join => "join",
            Self::Failover => "failover",
            Self::Abort => "abort",
            Self::Error => "error",
        }
    }

    /// What it is.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Whole => "a call that is answered whole",
            Self::Stream => "a call whose answer streams",
            Self::Hit => "a call that a stored answer serves",
            Self::Join => "a call that shares the answer of an equal one on its way",
            Self::Failover => "a call whose first attempt fails and whose second streams",
            Self::Abort => "a call whose client leaves amid the stream",
            Self::Error => "a call that the gate answers with an error of its own",
        }
    }
}

// === impl Cell ===

impl Cell {
    /// What it came to.
    pub fn verdict(&self) -> Verdict {
        match (self.ran, self.excuse) {
            (true, None) => Verdict::Ran,
            (false, Some(_)) => Verdict::Excused,
            (false, None) => Verdict::Missing,
            (true, Some(_)) => Verdict::Unexpected,
        }
    }

    /// What is wrong with it, in a sentence.
    pub fn hole(&self) -> Option<String> {
        let place = format!("{} of {} in {}", self.hook, self.dialect, self.situation.as_str());
        match (self.verdict(), self.excuse) {
            (Verdict::Missing, _) => Some(format!("{place}: it did not run")),
            (Verdict::Unexpected, Some(excuse)) => Some(format!("{place}: it ran, though {excuse}")),
            _ => None,
        }
    }
}

// === impl Certificate ===

impl Certificate {
    /// Plays every call with the certificate's own bundle. Errors only when a call cannot be played.
    pub fn run() -> Result<Self, Vec<Fault>> {
        Self::of(POLICY)
    }

    /// The same with this policy.
    fn of(policy: &str) -> Result<Self, Vec<Fault>> {
        let files = BTreeMap::from([(POLICY_FILE.to_owned(), policy.to_owned())]);
        let bundle = Bundle::new(PathBuf::from("."), SETTINGS.to_owned(), files);
        let player = Player::new(&bundle);
        let (mut places, mut cases) = (Vec::new(), Vec::new());
        for situation in Situation::ALL {
            for tongue in &dialect::ALL {
                let scenes = scene::of(situation, tongue);
                for scene in scenes {
                    cases.push(scene.case(situation, tongue)?);
                    places.push((situation, tongue, scene.shows));
                }
            }
        }
        let mut ran = Vec::new();
        for ((situation, tongue, shows), played) in places.into_iter().zip(player.play_all(&cases)) {
            let hooks = scene::hooks(&played?, shows);
            ran.extend(hooks.into_iter().map(|hook| (situation, tongue.name, hook)));
        }
        Ok(Self { cells: cells(&ran) })
    }

    /// What is wrong with it: one sentence for each hole.
    pub fn holes(&self) -> impl Iterator<Item = String> {
        self.cells.iter().filter_map(Cell::hole)
    }
}

/// The cells, given which hooks ran where.
fn cells(ran: &[(Situation, &str, Hook)]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for hook in Hook::ALL {
        for situation in Situation::ALL {
            cells.extend(dialect::ALL.iter().map(|tongue: &Tongue| Cell {
                hook: hook.name(),
                situation,
                dialect: tongue.name,
                ran: ran.contains(&(situation, tongue.name, hook)),
                excuse: excuse::of(hook, situation, tongue),
            }));
        }
    }
    cells
}
