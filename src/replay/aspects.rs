//! What a play came to, in parts that two plays of one exchange can be compared by.

use std::fmt::Write as _;

use crate::case::{Got, Played, PlayedCall};
use crate::exchange::CacheVerdict;
use crate::exchange::decision::Plan;
use crate::tape::Digest;

/// A part of what an exchange came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Who is calling.
    Identity,
    /// Where it goes.
    Route,
    /// By what a stored answer is found, and whether one serves.
    CacheKey,
    /// What upstreams are sent.
    Upstream,
    /// How many attempts are made, and how they end.
    Attempts,
    /// What the client gets.
    Answer,
}

/// What a play came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aspects {
    /// Each part: in words, and as bytes that must be the same.
    parts: Vec<(Aspect, Part)>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In a few words.
    pub told: String,
    /// A hash over all of it.
    pub hash: blake3::Hash,
    /// Whether it can be known: an upstream that nobody recorded answers nothing.
    pub known: bool,
}

/// A part that differs between two plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which part.
    pub aspect: Aspect,
    /// What it was, in a few words.
    pub old: String,
    /// What it is; the same words when only bytes differ that the words do not show.
    pub new: String,
}

// === impl Change ===

impl Change {
    /// What changed, in a line.
    pub fn told(&self) -> String {
        self.aspect.change(&self.old, &self.new)
    }
}

// === impl Aspect ===

impl Aspect {
    /// All parts, in the order of an exchange.
    pub const ALL: [Self; 6] =
        [Self::Identity, Self::Route, Self::CacheKey, Self::Upstream, Self::Attempts, Self::Answer];

    /// A change of this part in a line, from what it was and what it is.
    pub fn change(self, old: &str, new: &str) -> String {
        match self {
            _ if old != new => format!("{old} → {new}"),
            Self::CacheKey => format!("another key ({new})"),
            _ => format!("other bytes ({new})"),
        }
    }

    /// The part in a word or two.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Route => "route",
            Self::CacheKey => "cache key",
            Self::Upstream => "upstream bytes",
            Self::Attempts => "attempts",
            Self::Answer => "answer",
        }
    }
}

// === impl Aspects ===

impl Aspects {
    /// What a play came to.
    pub fn of(played: &Played) -> Self {
        let mut all: Vec<(Aspect, Vec<Part>)> = Aspect::ALL.iter().map(|aspect| (*aspect, Vec::new())).collect();
        for call in &played.calls {
            for (aspect, parts) in &mut all {
                parts.push(part(*aspect, call));
            }
        }
        Self { parts: all.into_iter().map(|(aspect, parts)| (aspect, joined(&parts))).collect() }
    }

    /// One part.
    pub fn part(&self, aspect: Aspect) -> Option<&Part> {
        self.parts.iter().find(|(known, _)| *known == aspect).map(|(_, part)| part)
    }

    /// In what another play differs from this one. What cannot be known of either is left out.
    pub fn changes(&self, new: &Self) -> Vec<Change> {
        let pairs = self.parts.iter().zip(&new.parts);
        let differing = pairs.filter(|((_, old), (_, new))| old.known && new.known && old.hash != new.hash);
        differing
            .map(|((aspect, old), (_, new))| Change { aspect: *aspect, old: old.told.clone(), new: new.told.clone() })
            .collect()
    }
}

/// A part over all calls of a case.
fn joined(parts: &[Part]) -> Part {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.hash.as_bytes());
    }
    let told = parts.iter().map(|part| part.told.as_str()).collect::<Vec<_>>().join("; ");
    Part { told, hash: hasher.finalize(), known: parts.iter().all(|part| part.known) }
}

fn part(aspect: Aspect, call: &PlayedCall) -> Part {
    match aspect {
        Aspect::Identity => words(identity(call), true),
        Aspect::Route => words(route(call.plan.as_ref()), true),
        Aspect::CacheKey => cache(call),
        Aspect::Upstream => upstream(call),
        Aspect::Attempts => words(attempts(call), answered(call)),
        Aspect::Answer => answer(call),
    }
}

/// A part that its words say whole.
fn words(told: String, known: bool) -> Part {
    Part { hash: blake3::hash(told.as_bytes()), told, known }
}

fn identity(call: &PlayedCall) -> String {
    let known = call.identity.known();
    if known.is_empty() { "nobody".to_owned() } else { known.join(", ") }
}

/// A plan in a few words: `openai as gpt-4o, then anthropic`.
pub fn route(plan: Option<&Plan>) -> String {
    let Some(plan) = plan else { return "answered by a policy".to_owned() };
    let attempts = plan.attempts.iter().map(|attempt| {
        let mut text = attempt.upstream.clone();
        if let Some(endpoint) = &attempt.endpoint {
            let _ = write!(text, "/{endpoint}");
        }
        if let Some(model) = &attempt.model {
            let _ = write!(text, " as {model}");
        }
        text
    });
    attempts.collect::<Vec<_>>().join(", then ")
}

fn cache(call: &PlayedCall) -> Part {
    let Some(key) = &call.cache.key else { return words("not cached".to_owned(), true) };
    let told = match &call.cache.verdict {
        CacheVerdict::Hit => "hit",
        CacheVerdict::Stale => "stale",
        CacheVerdict::Partial { .. } => "partial",
        _ => "not stored yet",
    };
    Part { hash: blake3::hash(key.question().as_bytes()), told: told.to_owned(), known: true }
}

/// What the first upstreams were sent, as far as what they answer is known: after that it could be anything.
fn upstream(call: &PlayedCall) -> Part {
    let mut hasher = blake3::Hasher::new();
    let mut count = 0_usize;
    for wire in &call.wires {
        if let Some(head) = &wire.head {
            hasher.update(wire.upstream.as_bytes()).update(b"/").update(wire.endpoint.as_bytes());
            hasher.update(head.method.as_str().as_bytes()).update(head.raw_path());
            for (name, value) in head.headers.iter().filter(|(_, value)| value.as_bytes() != call.id.as_bytes()) {
                hasher.update(name.as_str().as_bytes()).update(value.as_bytes());
            }
            hasher.update(&wire.body);
            count += 1;
        }
        if wire.line.is_none() {
            break;
        }
    }
    let requests = if count == 1 { "request" } else { "requests" };
    Part { told: format!("{count} {requests}"), hash: hasher.finalize(), known: true }
}

/// Whether every upstream that was asked has an answer that was recorded.
fn answered(call: &PlayedCall) -> bool {
    call.wires.iter().all(|wire| wire.line.is_some())
}

fn attempts(call: &PlayedCall) -> String {
    let ended = call.attempts.iter().map(|attempt| {
        let outcome = match (&attempt.error, attempt.status) {
            (Some(error), _) => error.kind().as_str().to_owned(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "nothing".to_owned(),
        };
        format!("{}/{} {outcome}", attempt.upstream, attempt.endpoint)
    });
    let ended: Vec<String> = ended.collect();
    if ended.is_empty() { "none".to_owned() } else { ended.join(", ") }
}

fn answer(call: &PlayedCall) -> Part {
    let (digest, status, bytes) = got(&call.got);
    let told = format!("{}, {bytes} bytes, {}", status_of(status), reason(call));
    Part { told, hash: blake3::hash(&digest.finish().to_le_bytes()), known: answered(call) }
}

/// How a call ended for its client, but for how much it got: `200, done`.
pub(super) fn ended(call: &PlayedCall) -> String {
    format!("{}, {}", status_of(got(&call.got).1), reason(call))
}

fn status_of(status: Option<u16>) -> String {
    status.map_or_else(|| "nothing".to_owned(), |status| status.to_string())
}

fn reason(call: &PlayedCall) -> &'static str {
    call.sent.reason.map_or("done", crate::exchange::Reason::as_str)
}

/// What the client got: as one number, its status, its bytes of body.
pub(super) fn got(got: &[Got]) -> (Digest, Option<u16>, usize) {
    let (mut digest, mut status, mut bytes) = (Digest::default(), None, 0);
    for got in got {
        match got {
            Got::Head(_, head) => {
                digest.head(head);
                status = Some(head.status.as_u16());
            }
            Got::Piece(_, piece) => {
                digest.piece(piece);
                bytes += piece.len();
            }
            Got::BrokenOff(_) => digest.broken_off(),
            Got::Continue | Got::Trailers(_) => {}
        }
    }
    (digest, status, bytes)
}

#[cfg(test)]
mod tests {
    use super::Aspect;

    #[test]
    fn what_only_bytes_tell_apart_is_counted_as_one_change() {
        assert_eq!(Aspect::Route.change("openai", "anthropic"), "openai → anthropic");
        assert_eq!(Aspect::CacheKey.change("hit", "hit"), "another key (hit)");
        assert_eq!(Aspect::Upstream.change("1 request", "1 request"), "other bytes (1 request)");
    }
}
