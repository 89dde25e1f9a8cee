//! Mishaps after every event of a stream: whatever befalls it, its client knows, and nothing of it passes for whole.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use http::Method;
use serde::de::IgnoredAny;

use super::heard::{self, Heard};
use super::{Streaming, Trouble};
use crate::case::client::Got;
use crate::case::play::{Played, PlayedCall};
use crate::case::{Answer, Case, Mishap, Player};
use crate::dialect::Dialect;
use crate::exchange::Reason;
use crate::stream::{Sight, Splitter, Wire, look};

/// A case whose calls were made twice, without a mishap.
pub(super) struct Twice {
    /// What clients got.
    heard: Vec<Heard>,
    /// Whether each call was answered to its end.
    done: Vec<bool>,
    /// The failures of hooks: policy, hook, what was said.
    failures: Vec<(String, &'static str, String)>,
}

// === impl Twice ===

impl Twice {
    /// What came of the play.
    pub(super) fn of(played: &Played) -> Self {
        Self {
            heard: heard::all(played),
            done: played.calls.iter().map(is_done).collect(),
            failures: played.calls.iter().flat_map(failures).collect(),
        }
    }
}

/// The case with all its calls made once more behind them, by clients that stay.
pub(super) fn twice(case: &Case) -> Case {
    let mut twice = case.clone();
    let again = case.calls.iter().cloned().map(|mut call| {
        (call.after, call.leaves, call.takes) = (Duration::ZERO, None, None);
        call
    });
    twice.calls.extend(again);
    twice
}

/// Every mishap and where in the body it comes: before the head there is one place, then one after each event.
pub(super) fn all(streaming: &Streaming<'_>) -> Vec<(Mishap, usize)> {
    let mut places = vec![0];
    match streaming.wire {
        Some(wire) => {
            let mut splitter = Splitter::new(wire, usize::MAX);
            splitter.push(streaming.body.clone());
            let mut end = 0;
            while let Ok(Some(event)) = splitter.next() {
                end += event.to_bytes().len();
                places.push(end);
            }
        }
        None => places.extend(streaming.answer.body.iter().scan(0, |end, piece| {
            *end += piece.bytes.len();
            Some(*end)
        })),
    }
    places.dedup();
    // With a declared length, nothing can happen behind the last byte.
    let declared = streaming.answer.heads.last().is_some_and(|head| head.headers.contains_key("content-length"));
    places.retain(|place| !declared || *place < streaming.body.len());
    let mut all = Vec::new();
    for (_, mishap) in Mishap::WORDS {
        match mishap {
            Mishap::Refuse | Mishap::Unreachable | Mishap::Tls | Mishap::Reset => all.push((mishap, 0)),
            Mishap::Stall | Mishap::Cut | Mishap::Garbage => all.extend(places.iter().map(|place| (mishap, *place))),
        }
    }
    all
}

/// Plays the case with a mishap, and its calls again behind it; says what does not hold.
pub(super) fn play(
    streaming: &Streaming<'_>,
    player: &Player,
    fault: Mishap,
    offset: usize,
    sound: &Twice,
) -> Option<Trouble> {
    let trouble = |call: usize, why: String| Trouble::Mishap { fault, call, why };
    let outcome = match safely(player, &twice(&streaming.with(struck(streaming.answer, fault, offset)))) {
        Ok(outcome) => outcome,
        Err(why) => return Some(trouble(1, why)),
    };
    let all = heard::all(&outcome);
    for (at, (call, got)) in outcome.calls.iter().zip(&all).enumerate() {
        let why = ended(call)
            .or_else(|| new_failure(call, sound))
            .or_else(|| kept(&outcome, &all, at, sound))
            .or_else(|| readable(call, got, sound.heard.get(at)));
        if let Some(why) = why {
            return Some(trouble(at + 1, outcome.mask.text(&why)));
        }
    }
    None
}

/// Plays a case; a panic, or a fault of the case, in words.
pub(super) fn safely(player: &Player, case: &Case) -> Result<Played, String> {
    match catch_unwind(AssertUnwindSafe(|| player.play(case))) {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(faults)) => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        Err(_) => Err("the gate panicked".to_owned()),
    }
}

/// The answer with a mishap after so many bytes of its body.
fn struck(answer: &Answer, fault: Mishap, offset: usize) -> Answer {
    let mut struck = Answer { fault: Some(fault), body: Vec::new(), ..answer.clone() };
    if matches!(fault, Mishap::Refuse | Mishap::Unreachable | Mishap::Tls | Mishap::Reset) {
        struck.heads.clear();
        return struck;
    }
    let mut left = offset;
    for piece in &answer.body {
        let mut piece = piece.clone();
        piece.bytes.truncate(left);
        left -= piece.bytes.len();
        if !piece.bytes.is_empty() {
            struck.body.push(piece);
        }
    }
    struck
}

fn is_done(call: &PlayedCall) -> bool {
    call.sent.reason == Some(Reason::Done)
}

fn failures(call: &PlayedCall) -> impl Iterator<Item = (String, &'static str, String)> {
    call.heard.reports.iter().map(|report| (report.policy.clone(), report.hook, report.message.clone()))
}

/// Every exchange says why it ended.
fn ended(call: &PlayedCall) -> Option<String> {
    call.sent.reason.is_none().then(|| "the exchange ended without a reason".to_owned())
}

/// No policy fails that does not fail without the mishap.
fn new_failure(call: &PlayedCall, sound: &Twice) -> Option<String> {
    let (policy, hook, message) = failures(call).find(|failure| !sound.failures.contains(failure))?;
    Some(format!("the policy {policy} fails in {hook}: {message}"))
}

/// What the client got can be read to its end, and at its end the client knows whether it is whole.
fn readable(call: &PlayedCall, got: &Heard, sound: Option<&Heard>) -> Option<String> {
    let head = call.got.iter().rev().find_map(|one| match one {
        Got::Head(_, head) => Some(head),
        _ => None,
    });
    let Some(head) = head else {
        let gone = call.sent.reason == Some(Reason::ClientGone);
        return (!got.broken && !gone).then(|| "the client got nothing, and waits for ever".to_owned());
    };
    let said = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let wire = said("content-type").and_then(Wire::of).filter(|_| said("content-encoding").is_none());
    let whole = got.broken || sound.is_some_and(|sound| sound == got);
    let Some(wire) = wire else {
        let declared = said("content-length").and_then(|length| length.parse::<usize>().ok());
        let bodied = call.call.head.method != Method::HEAD;
        let short = bodied && declared.is_some_and(|length| length != got.body.len());
        return (short && !whole).then(|| "the body is not as long as its head says".to_owned());
    };
    let speaks = Dialect::of_path(call.call.head.uri.path()).is_some();
    match events(wire, got) {
        Err(_) if !speaks => None,
        Err(why) => Some(why),
        Ok(seen) if whole || seen.terminal || seen.error || !speaks => None,
        Ok(_) => Some("the client's stream ends without an end, an error or a break".to_owned()),
    }
}

/// What the events of a stream say together; an error when they cannot be read.
fn events(wire: Wire, heard: &Heard) -> Result<Sight, String> {
    let mut seen = Sight::default();
    let mut splitter = Splitter::new(wire, usize::MAX);
    splitter.push(heard.body.clone());
    while let Ok(Some(event)) = splitter.next() {
        seen.add(look(&event));
        let data = event.data().trim_ascii();
        let json = || serde_json::from_slice::<IgnoredAny>(data).is_ok();
        if event.has_data() && data != b"[DONE]" && !json() {
            return Err(format!("an event of the client's stream is not JSON: {}", heard::around(data, 0, "")));
        }
    }
    match splitter.finish() {
        Some(rest) if !rest.trim_ascii().is_empty() => {
            Err(format!("the client's stream ends within an event: {}", heard::around(&rest, rest.len(), "")))
        }
        _ => Ok(seen),
    }
}

/// A call made again is not answered from memory when its first answer was cut, unless with one that some call got whole.
fn kept(played: &Played, heard: &[Heard], at: usize, sound: &Twice) -> Option<String> {
    let first = at.checked_sub(played.calls.len() / 2)?;
    let (before, again) = (played.calls.get(first)?, played.calls.get(at)?);
    let from_memory = is_done(again) && again.attempts.is_empty();
    if is_done(before) || !from_memory || sound.done.get(first) != Some(&true) {
        return None;
    }
    let body = &heard.get(at)?.body;
    let mut earlier = played.calls.iter().zip(heard).take(at);
    let whole = sound.heard.get(first).is_some_and(|sound| sound.body == *body)
        || earlier.any(|(call, heard)| is_done(call) && heard.body == *body);
    (!whole).then(|| "an answer that was cut was kept, and served for whole".to_owned())
}
