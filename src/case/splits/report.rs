//! What the proofs came to, for people and for programs.

use std::fmt::Write;
use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::{Finding, Splits, Trouble};
use crate::case::Mishap;

// === impl Splits ===

impl Splits {
    /// For people: every finding, then the sum.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (case, faults) in &self.faulty {
            let _ = writeln!(text, "{case}: cannot be played");
            for fault in faults {
                let _ = writeln!(text, "{fault}");
            }
        }
        text.extend(self.findings.iter().map(Finding::to_text));
        if self.left_out > 0 {
            let _ = writeln!(text, "{} places in long streams were not cut", self.left_out);
        }
        if self.cases == 0 {
            return text + "no case streams: there is nothing to cut\n";
        }
        let cases = if self.cases == 1 { "1 case streams" } else { &format!("{} cases stream", self.cases) };
        let verdict = match self.findings.len() {
            0 if !self.faulty.is_empty() => "nothing found in those that can be played".to_owned(),
            0 => "nothing depends on cuts, and no mishap passes for an end".to_owned(),
            1 => "1 finding".to_owned(),
            many => format!("{many} findings"),
        };
        let _ = writeln!(text, "{cases}; {} plays: {verdict}", self.plays);
        text
    }

    /// For programs: one object.
    pub fn to_json(&self) -> String {
        let faulty = self.faulty.iter().map(|(case, faults)| json!({"case": case, "faults": faults}));
        let report = json!({
            "hold": self.hold(),
            "cases": self.cases,
            "plays": self.plays,
            "left_out": self.left_out,
            "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
            "faulty": faulty.collect::<Vec<_>>(),
        });
        format!("{report}\n")
    }
}

// === impl Finding ===

impl Finding {
    fn to_text(&self) -> String {
        let mut text = format!("{}:{}: the answer of {}", self.case, self.line, self.upstream);
        let places = places(&self.offsets);
        match &self.trouble {
            Trouble::Cut { late, call, whole, cut } => {
                let how = match (self.offsets.is_empty(), late) {
                    (true, _) => ", byte by byte: what the client gets depends on how it is cut".to_owned(),
                    (false, false) => format!(", cut at {places}: what the client gets depends on the cut"),
                    (false, true) => format!(", cut at {places}: what the client gets depends on when events come"),
                };
                let _ = writeln!(text, "{how}");
                if !self.around.is_empty() {
                    let _ = writeln!(text, "  cut:      {}", self.around);
                }
                let _ = writeln!(text, "  call {call}\n  whole:    {whole}\n  got:      {cut}");
            }
            Trouble::Mishap { fault, call, why } => {
                let _ = writeln!(text, ", {} at {places}: {why}", word(*fault));
                let _ = writeln!(text, "  at:       {}\n  call {call}", self.around);
            }
        }
        text
    }

    fn to_json(&self) -> Value {
        let offsets: Vec<[usize; 2]> = self.offsets.iter().map(|range| [*range.start(), *range.end()]).collect();
        let trouble = match &self.trouble {
            Trouble::Cut { late, call, whole, cut } => {
                json!({"kind": "cut", "late": late, "call": call, "whole": whole, "got": cut})
            }
            Trouble::Mishap { fault, call, why } => {
                json!({"kind": "mishap", "fault": word(*fault), "call": call, "why": why})
            }
        };
        json!({
            "case": self.case,
            "line": self.line,
            "upstream": self.upstream,
            "offsets": offsets,
            "around": self.around,
            "trouble": trouble,
        })
    }
}

/// Places in words: `52-101, 140`.
fn places(offsets: &[RangeInclusive<usize>]) -> String {
    let words = offsets.iter().map(|range| match (range.start(), range.end()) {
        (start, end) if start == end => start.to_string(),
        (start, end) => format!("{start}-{end}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A mishap's word in a case.
fn word(fault: Mishap) -> &'static str {
    Mishap::WORDS.iter().find(|(_, mishap)| *mishap == fault).map_or("", |(word, _)| *word)
}
