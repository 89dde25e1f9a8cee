//! Proofs of robustness: cases whose upstreams stream are played with the bytes cut at every place and with every mishap
//! after every event, so that nothing depends on where a network happens to cut, and nothing broken passes for whole.

mod cut;

mod heard;

mod mishap;

mod report;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::player::on_all_processors;
use super::{Answer, Case, Mishap, Player};
use crate::bundle::Bundle;
use crate::fault::Fault;
use crate::stream::Wire;
use cut::Cut;

/// What came of the proofs.
#[derive(Debug, Default)]
pub struct Splits {
    /// Cases in which an upstream streams.
    pub cases: usize,
    /// Plays made.
    pub plays: usize,
    /// Places in long streams that were left out.
    pub left_out: usize,
    /// What does not hold, in the order of the cases.
    pub findings: Vec<Finding>,
    /// Cases that cannot be played, with what is wrong.
    pub faulty: Vec<(String, Vec<Fault>)>,
}

/// Something that does not hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// The case's file.
    pub case: String,
    /// The line where the upstream's answer begins in it.
    pub line: usize,
    /// The upstream.
    pub upstream: String,
    /// Where in the answer's body, in bytes from its start; empty when every byte came by itself.
    pub offsets: Vec<RangeInclusive<usize>>,
    /// The bytes around the first of these places, which is marked with `|`.
    pub around: String,
    /// What does not hold there.
    pub trouble: Trouble,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// What the client gets depends on where the bytes were cut.
    Cut {
        /// Whether it takes time between the two parts: what decides is the moment at which events come.
        late: bool,
        /// Which call, counted from 1.
        call: usize,
        /// What the client gets when nothing is cut, where the difference begins.
        whole: String,
        /// What it gets instead.
        cut: String,
    },
    /// A mishap does not end as it must.
    Mishap {
        /// The mishap.
        fault: Mishap,
        /// Which call, counted from 1; those after the case's own are its calls made again.
        call: usize,
        /// What is wrong.
        why: String,
    },
}

/// An answer of a case that streams.
struct Streaming<'c> {
    /// The case.
    case: &'c Case,
    /// Which of its answers.
    at: usize,
    /// The answer.
    answer: &'c Answer,
    /// Its body in one.
    body: Bytes,
    /// How its events stand on the wire, if it has any.
    wire: Option<Wire>,
}

/// One play that is to be made.
enum Trial {
    /// With the answer's bytes cut.
    Cut(Cut),
    /// With a mishap after so many bytes of the answer.
    Mishap(Mishap, usize),
}

/// How a play's outcome is judged: as it is without any trouble.
struct Sound {
    /// The case as it is.
    as_it_is: Vec<heard::Heard>,
    /// The case with its calls made twice.
    twice: mishap::Twice,
}

/// Places that are enough for any stream but those that are long for being long.
pub const MOST_PLACES: usize = 8192;

/// Plays every case in which an upstream streams, in all these ways. A stream is cut at `most_places` at most: of a longer
/// one every second place, or every third. `progress` is told how many plays are done, of how many.
pub fn prove(bundle: &Bundle, cases: &[Case], most_places: usize, progress: &(dyn Fn(usize, usize) + Sync)) -> Splits {
    let player = Player::new(bundle);
    let mut splits = Splits::default();
    let streaming: Vec<Vec<Streaming<'_>>> = cases.iter().map(Streaming::of).collect();
    let wanted: Vec<(usize, &Case)> = cases.iter().enumerate().filter(|(at, _)| !streaming[*at].is_empty()).collect();
    splits.cases = wanted.len();
    let sound = on_all_processors(&wanted, |(_, case)| Sound::of(&player, case));
    let mut trials = Vec::new();
    for ((at, case), sound) in wanted.iter().zip(&sound) {
        match sound {
            Ok(sound) => {
                for answer in streaming.get(*at).into_iter().flatten() {
                    let (all, left_out) = answer.trials(most_places);
                    splits.left_out += left_out;
                    trials.extend(all.into_iter().map(|trial| (answer, trial, sound)));
                }
            }
            Err(faults) => splits.faulty.push((case.file.clone(), faults.clone())),
        }
    }
    splits.plays = trials.len();
    let done = AtomicUsize::new(0);
    let found = on_all_processors(&trials, |(answer, trial, sound)| {
        let found = answer.play(&player, trial, sound);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, trials.len());
        found
    });
    for finding in found.into_iter().flatten() {
        splits.add(finding);
    }
    splits
}

// === impl Splits ===

impl Splits {
    /// Whether everything holds.
    pub fn hold(&self) -> bool {
        self.findings.is_empty() && self.faulty.is_empty()
    }

    /// Adds a finding to one like it, which keeps the first place's words.
    fn add(&mut self, finding: Finding) {
        let like = self.findings.iter_mut().rev().find(|known| known.is_like(&finding));
        let Some(known) = like else { return self.findings.push(finding) };
        for place in finding.offsets {
            match known.offsets.last_mut() {
                Some(last) if *last.end() + 1 == *place.start() => *last = *last.start()..=*place.end(),
                _ => known.offsets.push(place),
            }
        }
    }
}

// === impl Finding ===

impl Finding {
    /// Whether another says the same of another place of the same answer.
    fn is_like(&self, other: &Self) -> bool {
        let alike = match (&self.trouble, &other.trouble) {
            (Trouble::Cut { late, call, .. }, Trouble::Cut { late: other_late, call: other_call, .. }) => {
                late == other_late && call == other_call && self.offsets.is_empty() == other.offsets.is_empty()
            }
            (one, two) => one == two,
        };
        alike && self.case == other.case && self.line == other.line
    }
}

// === impl Streaming ===

impl<'c> Streaming<'c> {
    /// The answers of a case that stream: in events, or in chunks of anything.
    fn of(case: &'c Case) -> Vec<Self> {
        let answers = case.answers.iter().enumerate();
        let streaming = answers.filter_map(|(at, answer)| {
            let head = answer.heads.last().filter(|head| head.status.is_success())?;
            let kind = head.headers.get("content-type").and_then(|kind| kind.to_str().ok());
            let wire = kind.and_then(Wire::of);
            let body: Vec<u8> = answer.body.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
            let streams = wire.is_some() || head.headers.contains_key("transfer-encoding");
            (streams && !body.is_empty()).then(|| Self { case, at, answer, body: Bytes::from(body), wire })
        });
        streaming.collect()
    }

    /// Every play of this answer, and how many places were left out.
    fn trials(&self, most_places: usize) -> (Vec<Trial>, usize) {
        let places = self.body.len().saturating_sub(1);
        let step = places.div_ceil(most_places.max(1)).max(1);
        let mut trials = vec![Trial::Cut(Cut::EveryByte)];
        trials.extend((step..=places).step_by(step).map(|offset| Trial::Cut(Cut::InTwo(offset))));
        let left_out = places + 1 - trials.len();
        trials.extend(mishap::all(self).into_iter().map(|(fault, offset)| Trial::Mishap(fault, offset)));
        (trials, left_out)
    }

    fn play(&self, player: &Player, trial: &Trial, sound: &Sound) -> Option<Finding> {
        match trial {
            Trial::Cut(cut) => {
                let trouble = cut::play(self, player, *cut, &sound.as_it_is)?;
                let offset = match cut {
                    Cut::InTwo(offset) => Some(*offset),
                    Cut::EveryByte => None,
                };
                Some(self.finding(offset, trouble))
            }
            Trial::Mishap(fault, offset) => {
                let trouble = mishap::play(self, player, *fault, *offset, &sound.twice)?;
                Some(self.finding(Some(*offset), trouble))
            }
        }
    }

    fn finding(&self, offset: Option<usize>, trouble: Trouble) -> Finding {
        Finding {
            case: self.case.file.clone(),
            line: self.answer.line,
            upstream: self.answer.upstream.clone(),
            offsets: offset.map(|offset| offset..=offset).into_iter().collect(),
            around: offset.map_or_else(String::new, |offset| heard::around(&self.body, offset, "|")),
            trouble,
        }
    }

    /// The case with another answer in this one's place.
    fn with(&self, answer: Answer) -> Case {
        let mut case = self.case.clone();
        if let Some(place) = case.answers.get_mut(self.at) {
            *place = answer;
        }
        case
    }
}

// === impl Sound ===

impl Sound {
    fn of(player: &Player, case: &Case) -> Result<Self, Vec<Fault>> {
        let as_it_is = heard::all(&player.play(case)?);
        Ok(Self { as_it_is, twice: mishap::Twice::of(&player.play(&mishap::twice(case))?) })
    }
}
