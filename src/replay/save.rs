//! Makes a case of an exchange that is on tape: redacted, as small as it can be and still play the same, and pinned by
//! what the gate does with it now.

use std::sync::Arc;
use std::time::Duration;

use super::aspects::{self, Aspect, Aspects};
use super::files::Files;
use crate::cache::Entry;
use crate::case::recording::Recording;
use crate::case::redact::{Redaction, Report};
use crate::case::script::ANY;
use crate::case::{Answer, Case, Piece, Played, Player, read, render, write};
use crate::fault::Fault;
use crate::message::ResponseHead;
use crate::tape::Taken;

/// A case that can be written to a file.
pub struct Saved {
    /// Its name below the folder of cases, such as `recorded/claude-code-messages-7f3a91`: by whom, what, and the
    /// beginning of the id, or of a hash of an id that the gate did not make.
    pub name: String,
    /// The case.
    pub case: Case,
    /// Its text.
    pub text: String,
    /// What it shows.
    pub about: String,
    /// What the gate does with it: the text of its snapshot.
    pub snapshot: String,
    /// What was replaced, when anything was to be.
    pub redacted: Option<Report>,
    /// In what it plays otherwise than the exchange did.
    pub differences: Vec<String>,
}

// === impl Saved ===

impl Saved {
    /// What is written of it into a bundle.
    pub fn files(&self) -> Files<'_> {
        Files { name: &self.name, case: &self.text, about: &self.about, snapshot: &self.snapshot }
    }
}

/// Makes a case of an exchange. `on` plays the bundle that it is to be pinned by. It computes for a while.
pub fn save(taken: &Taken, on: &Player, redaction: Option<&Redaction>) -> Result<Saved, Vec<Fault>> {
    let who = taken.facts.identity.client.as_deref();
    pinned(&taken.facts.id, who, &whole(taken), on, redaction)
}

/// Makes a case of a recording, in the same way.
pub fn save_recording(recording: &Recording, on: &Player, redaction: Option<&Redaction>) -> Result<Saved, Vec<Fault>> {
    pinned(&recording.id, None, &recording.case, on, redaction)
}

/// Makes a case small, redacts it, and plays what is left.
fn pinned(
    id: &str,
    who: Option<&str>,
    whole: &Case,
    on: &Player,
    redaction: Option<&Redaction>,
) -> Result<Saved, Vec<Fault>> {
    let mut case = pruned(whole.clone(), on)?;
    let redacted = redaction.map(|redaction| redaction.case(&mut case));
    let name = name(id, who, &case);
    let file = format!("cases/{name}.http");
    let text = write::write(&case);
    // What is pinned is what the file says, with its times in whole milliseconds.
    let played = on.play(&read::read(&file, &text)?)?;
    let differences = differences(&on.play(whole)?, &played);
    Ok(Saved { name, text, about: case.about.clone(), snapshot: render(&played), redacted, differences, case })
}

/// Everything of an exchange as a case. An answer from the cache has the call before it that brought it there.
pub fn whole(taken: &Taken) -> Case {
    let mut case = taken.case.clone();
    if let Some(entry) = taken.stored.as_ref().and_then(|(_, recalled)| recalled.entry())
        && let (Some(call), Some(answer)) = (case.calls.first().cloned(), stored(entry))
    {
        let age = taken.facts.at.duration_since(entry.stored_at).unwrap_or_default();
        case.calls.push(call);
        if let Some(second) = case.calls.last_mut() {
            second.after = age;
        }
        if let Some(first) = case.calls.first_mut() {
            (first.leaves, first.takes) = (None, None);
        }
        case.answers.insert(0, answer);
        case.setup.clock = case.setup.clock.checked_sub(age).unwrap_or(case.setup.clock);
        case.setup.reads.extend(case.setup.reads.clone());
    }
    case
}

/// A stored answer as an upstream gave it; which one, the cache does not know.
fn stored(entry: &Arc<Entry>) -> Option<Answer> {
    let mut head = ResponseHead::build(entry.status, Some(entry.headers.len())).ok()?;
    for (name, value) in &entry.headers {
        head.append_header(name.clone(), value.as_ref()).ok()?;
    }
    let mut before = Duration::ZERO;
    let pieces = entry.chunks.iter().zip(&entry.times).map(|(bytes, at)| {
        let pause = at.saturating_sub(before);
        before = *at;
        Piece { pause, bytes: bytes.clone() }
    });
    let body: Vec<Piece> = pieces.collect();
    let length = body.iter().map(|piece| piece.bytes.len()).sum::<usize>();
    head.insert_header("Content-Length", length).ok()?;
    Some(Answer {
        line: 0,
        upstream: ANY.to_owned(),
        endpoint: None,
        fault: None,
        slow: Duration::ZERO,
        early: false,
        reused: false,
        heads: vec![head],
        body,
        trailers: None,
    })
}

/// The case without what it need not be told: whatever kind of answer from outside makes no difference.
fn pruned(mut case: Case, player: &Player) -> Result<Case, Vec<Fault>> {
    let told = Aspects::of(&player.play(&case)?);
    let kind = |what: &str| what.split(' ').next().unwrap_or_default().to_owned();
    let mut kinds: Vec<String> = case.setup.reads.iter().map(|read| kind(&read.what)).collect();
    kinds.sort();
    kinds.dedup();
    for unneeded in kinds {
        let mut less = case.clone();
        less.setup.reads.retain(|read| kind(&read.what) != unneeded);
        if Aspects::of(&player.play(&less)?) == told {
            case = less;
        }
    }
    Ok(case)
}

/// In what two plays differ that redaction must not touch: where it goes, what serves, how it ends. How long the answer
/// is may differ, where its coding was undone.
fn differences(before: &Played, after: &Played) -> Vec<String> {
    let told = |played: &Played| {
        let aspects = Aspects::of(played);
        let part = |aspect| aspects.part(aspect).map(|part| part.told.clone()).unwrap_or_default();
        let verdicts = played.calls.iter().map(|call| call.cache.verdict.as_str()).collect::<Vec<_>>().join(", ");
        [
            ("route", part(Aspect::Route)),
            ("cache", verdicts),
            ("attempts", part(Aspect::Attempts)),
            ("answer", played.calls.iter().map(aspects::ended).collect::<Vec<_>>().join("; ")),
        ]
    };
    let pairs = told(before).into_iter().zip(told(after));
    let differing = pairs.filter(|((_, before), (_, after))| before != after);
    differing.map(|((what, before), (_, after))| format!("{what}: {before} → {after}")).collect()
}

/// A name that says who called what: `recorded/pycharm-chat-completions-7f3a91`. The path is the case's, in which
/// nobody is named any more; the digits are of the whole id, for ids of one caller often begin alike.
fn name(id: &str, who: Option<&str>, case: &Case) -> String {
    let target = case.calls.first().map(|call| String::from_utf8_lossy(call.head.raw_path()).into_owned());
    let target = target.unwrap_or_default();
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let mut steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
    steps.retain(|step| !matches!(*step, "v1" | "v1beta" | "api" | "openai"));
    let who = who.unwrap_or("client");
    let plain = |text: &str| {
        let chars = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        let text: String = chars.collect();
        text.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    };
    let last_steps = steps.iter().rev().take(2).rev().copied().collect::<Vec<_>>().join("-");
    let mut name = format!("{}-{}", plain(who), plain(&last_steps));
    name.truncate(name.floor_char_boundary(60));
    format!("recorded/{}-{}", name.trim_matches('-'), digits(id))
}

/// Six digits for an id: its first ones where it is a number of the gate's own making, else those of its hash.
fn digits(id: &str) -> String {
    let own = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let digits = if own { id.to_owned() } else { blake3::hash(id.as_bytes()).to_hex().to_string() };
    digits.get(..6).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_begin_alike_have_other_digits() {
        assert_eq!(digits("7f3a91000000000000000000000000ff"), "7f3a91");
        assert_ne!(digits("req_011CSHoE1"), digits("req_011CSHoE2"));
        assert_eq!(digits("..").len(), 6);
    }
}
