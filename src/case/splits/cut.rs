//! The bytes of an answer cut in two at any place, or come one by one: what the client gets must be the same.

use std::time::Duration;

use super::heard::{self, Heard};
use super::{Streaming, Trouble};
use crate::case::script::APART;
use crate::case::{Answer, Case, Piece, Player};

/// How the bytes are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// In two, after so many bytes.
    InTwo(usize),
    /// Every byte comes by itself.
    EveryByte,
}

/// Between the two parts: the shortest time that the virtual clock knows.
const LATER: Duration = Duration::from_millis(1);

/// Plays the case with the answer cut; says what came out differently. First the second part comes a moment later, as it
/// does on a network. When that makes a difference, it is looked whether it is the moment or the cut that makes it.
pub(super) fn play(streaming: &Streaming<'_>, player: &Player, cut: Cut, whole: &[Heard]) -> Option<Trouble> {
    let differs = |pause: Duration| first_difference(player, &cut_case(streaming, cut, pause), whole);
    match cut {
        Cut::EveryByte => differs(APART).map(|difference| difference.into_trouble(false)),
        Cut::InTwo(_) => {
            let late = differs(LATER)?;
            Some(match differs(APART) {
                Some(at_once) => at_once.into_trouble(false),
                None => late.into_trouble(true),
            })
        }
    }
}

/// Where two plays differ first.
struct Difference {
    call: usize,
    whole: String,
    cut: String,
}

// === impl Difference ===

impl Difference {
    fn into_trouble(self, late: bool) -> Trouble {
        Trouble::Cut { late, call: self.call, whole: self.whole, cut: self.cut }
    }
}

fn first_difference(player: &Player, case: &Case, whole: &[Heard]) -> Option<Difference> {
    let outcome = match super::mishap::safely(player, case) {
        Ok(outcome) => outcome,
        Err(why) => return Some(Difference { call: 1, whole: "the case is played".to_owned(), cut: why }),
    };
    whole.iter().zip(heard::all(&outcome)).enumerate().find_map(|(at, (whole, cut))| {
        let (whole, cut) = whole.difference(&cut)?;
        Some(Difference { call: at + 1, whole: outcome.mask.text(&whole), cut: outcome.mask.text(&cut) })
    })
}

/// The case with the answer cut, and this pause where it was.
pub(super) fn cut_case(streaming: &Streaming<'_>, cut: Cut, pause: Duration) -> Case {
    let mut body = Vec::with_capacity(streaming.answer.body.len() + 1);
    let mut before = 0;
    for piece in &streaming.answer.body {
        let end = before + piece.bytes.len();
        match cut {
            Cut::InTwo(offset) if before == offset && piece.pause.is_zero() => {
                body.push(Piece { pause, bytes: piece.bytes.clone() });
            }
            Cut::InTwo(offset) if before < offset && offset < end => {
                let at = offset - before;
                body.push(Piece { pause: piece.pause, bytes: piece.bytes.slice(..at) });
                body.push(Piece { pause, bytes: piece.bytes.slice(at..) });
            }
            Cut::InTwo(_) => body.push(piece.clone()),
            Cut::EveryByte => {
                let bytes = (0..piece.bytes.len()).map(|at| piece.bytes.slice(at..=at)).enumerate();
                body.extend(bytes.map(|(at, bytes)| match at {
                    0 if !piece.pause.is_zero() => Piece { pause: piece.pause, bytes },
                    _ => Piece { pause, bytes },
                }));
            }
        }
        before = end;
    }
    streaming.with(Answer { body, ..streaming.answer.clone() })
}
