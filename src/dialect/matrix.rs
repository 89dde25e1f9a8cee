//! What survives a translation between two dialects, found out by running it, so that no table has to be believed.
//!
//! Each feature is data: a small request, or answer, that uses just it, in the words of each dialect that has it. The
//! same data says what the other side has to hold in the end.

mod answer;
mod ask;
mod body;
mod cut;
mod join;
mod side;
mod table;

#[cfg(test)]
mod tests;

use serde::Serialize;

use super::loss::{self, Losses};
use side::{Feature, Side};

pub use side::NAMES;

/// Every feature between every two dialects.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// The rows, those of requests first.
    pub rows: Vec<Row>,
}

/// One feature.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Which way it goes.
    pub way: Way,
    /// Its name.
    pub feature: String,
    /// What becomes of it, by client and then by upstream.
    pub cells: Vec<Cell>,
}

/// Which way a feature goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the client to the upstream.
    Request,
    /// From the upstream to the client, in one piece.
    Answer,
    /// The same, event by event.
    Stream,
}

/// What becomes of a feature between two dialects.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The client's dialect, by its name in settings.
    pub client: &'static str,
    /// The upstream's.
    pub upstream: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The losses that were told, or what is wrong.
    pub reasons: Vec<String>,
}

/// What becomes of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both speak one dialect: bytes pass untouched.
    Same,
    /// It arrives.
    Carried,
    /// The gate keeps it and puts it back when the conversation goes on.
    Kept,
    /// Something near arrives, or most of it, and the loss is told.
    Approximated,
    /// The other dialect demands what was not said: the gate makes it up, and tells.
    Invented,
    /// It does not arrive, and the loss is told.
    Dropped,
    /// The dialect that it would come from does not have it.
    Absent,
    /// It does not arrive and nobody was told: a fault of the gate.
    Lost,
}

/// Which dialects are wanted.
#[derive(Clone, Debug, Default)]
pub struct Only {
    /// The client's; all unless named.
    pub client: Option<String>,
    /// The upstream's; all unless named.
    pub upstream: Option<String>,
}

// === impl Matrix ===

impl Matrix {
    /// Runs every translation that is wanted. Errors when the data of the features is not well formed, which a test
    /// rules out.
    pub fn run(only: &Only) -> Result<Self, serde_json::Error> {
        let sides = side::all()?;
        let mut rows = Vec::new();
        for feature in side::requests()? {
            rows.push(row(Way::Request, &feature, &sides, only, ask::cell));
        }
        for feature in side::answers()? {
            rows.push(row(Way::Answer, &feature, &sides, only, answer::whole));
            rows.push(row(Way::Stream, &feature, &sides, only, answer::streamed));
        }
        Ok(Self { rows })
    }
}

// === impl Verdict ===

impl Verdict {
    /// Every verdict that a table may show.
    pub const ALL: [Self; 8] = [
        Self::Same,
        Self::Carried,
        Self::Kept,
        Self::Approximated,
        Self::Invented,
        Self::Dropped,
        Self::Absent,
        Self::Lost,
    ];

    /// The sign that stands for it in a table.
    pub fn sign(self) -> char {
        match self {
            Self::Same => '=',
            Self::Carried => '✓',
            Self::Kept => 'k',
            Self::Approximated => '~',
            Self::Invented => 'i',
            Self::Dropped => '✗',
            Self::Absent => '·',
            Self::Lost => 'L',
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Carried => "carried",
            Self::Kept => "kept",
            Self::Approximated => "approximated",
            Self::Invented => "invented",
            Self::Dropped => "dropped",
            Self::Absent => "absent",
            Self::Lost => "LOST",
        }
    }

    /// What it says, for the legend.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Same => "one dialect, passes untouched",
            Self::Carried => "arrives",
            Self::Kept => "the gate keeps it for the next turn",
            Self::Approximated => "most of it or something near arrives",
            Self::Invented => "made up, because it is demanded",
            Self::Dropped => "does not arrive",
            Self::Absent => "not in the dialect that it would come from",
            Self::Lost => "does not arrive and is not told: a bug",
        }
    }

    /// The worst of what was told; without losses, whether the feature was found on the other side. What is found there
    /// although something of it was dropped is near.
    fn of(losses: &Losses, found: bool) -> Self {
        let has = |verdict| losses.iter().any(|loss| loss.verdict == verdict);
        match () {
            () if has(loss::Verdict::Dropped) && !found => Self::Dropped,
            () if has(loss::Verdict::Dropped) || has(loss::Verdict::Approximated) => Self::Approximated,
            () if has(loss::Verdict::Invented) => Self::Invented,
            () if found => Self::Carried,
            () => Self::Lost,
        }
    }
}

/// What became of a feature, and why.
type Outcome = (Verdict, Vec<String>);

fn row(way: Way, feature: &Feature, sides: &[Side], only: &Only, run: fn(&Feature, &Side, &Side) -> Outcome) -> Row {
    let wanted = |name: &Option<String>, side: &Side| name.as_ref().is_none_or(|name| *name == side.name);
    let mut cells = Vec::new();
    for client in sides.iter().filter(|side| wanted(&only.client, side)) {
        for upstream in sides.iter().filter(|side| wanted(&only.upstream, side)) {
            let from = if way == Way::Request { client } else { upstream };
            let (verdict, reasons) = match () {
                () if !feature.asks.contains_key(&from.name) => (Verdict::Absent, Vec::new()),
                () if client.name == upstream.name => (Verdict::Same, Vec::new()),
                () => run(feature, client, upstream),
            };
            cells.push(Cell { client: client.known(), upstream: upstream.known(), verdict, reasons });
        }
    }
    Row { way, feature: feature.name.clone(), cells }
}
