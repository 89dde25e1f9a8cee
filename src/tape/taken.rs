//! What is kept of a finished exchange: what came to it from outside, and what became of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Method, Version};

use super::{Ended, Kept, Recorded, Stored, Tape, Taped};
use crate::bundle::Bundle;
use crate::case::{Answer, Call, Case, Mishap, Setup};
use crate::dialect::Dialect;
use crate::error::Kind;
use crate::exchange::decision::{Identity, Plan};
use crate::exchange::{AttemptRecord, CacheVerdict, Exchange, Peer, Reason};
use crate::gate::preview::{self, PREVIEW};
use crate::message::RequestHead;
use crate::policy::{Decision, Trace};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// When, on the clock of the wall.
    pub at: SystemTime,
    /// When, on the gate's own clock.
    pub elapsed: Duration,
    /// The connection.
    pub peer: Peer,
    /// The head, before anything was taken off it.
    pub head: RequestHead,
    /// `Host` or `:authority`.
    pub host: Option<HeaderValue>,
}

/// A finished exchange that can be played again.
#[derive(Debug)]
pub struct Taken {
    /// What it is known by, and what became of it.
    pub facts: Facts,
    /// The bundle that served it.
    pub bundle: Arc<Bundle>,
    /// Whether it was a preview, whose answers say so.
    pub preview: bool,
    /// What came to it from outside.
    pub case: Case,
    /// When it began, on the gate's own clock.
    pub elapsed: Duration,
    /// The stored answer that it found, and by which question.
    pub stored: Option<Stored>,
    /// What it found kept as HTTP says, likewise.
    pub kept: Option<Kept>,
    /// Bytes that it takes in memory, roughly.
    pub weight: usize,
}

/// What became of an exchange, as far as playing it again can show the same.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its id.
    pub id: String,
    /// When it began.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The method.
    pub method: Method,
    /// The target, query included.
    pub target: String,
    /// The dialect that the path speaks.
    pub dialect: Option<Dialect>,
    /// The generation that served it.
    pub generation: String,
    /// Who called.
    pub identity: Identity,
    /// Each hook that ran.
    pub trace: Trace,
    /// Where it was to go.
    pub plan: Option<Plan>,
    /// What the cache did.
    pub cache: CacheVerdict,
    /// What was tried.
    pub attempts: Vec<AttemptRecord>,
    /// The status that the client got.
    pub status: Option<u16>,
    /// Why it ended.
    pub reason: Reason,
    /// What went wrong.
    pub error: Option<String>,
    /// What the client got, as one number.
    pub answer: u64,
}

/// Takes an exchange off its tape at its end. `None` when nothing was recorded, or not all of it.
pub fn took(x: &mut Exchange) -> Option<Taken> {
    let mut recorded = x.tape.finish()?;
    let arrived = recorded.arrived.as_ref()?;
    let bundle = Arc::clone(x.generation.bundle.as_ref()?);
    if recorded.overfull {
        return None;
    }
    let facts = Facts::of(x, arrived.at, recorded.answer.finish());
    let weight = recorded.weight() + facts.weight() + size_of::<Taken>();
    let elapsed = arrived.elapsed;
    let kept = recorded.kept.take();
    let (case, stored) = case(&facts, recorded)?;
    let preview = preview::is_marked(&x.generation);
    Some(Taken { facts, bundle, preview, case, elapsed, stored, kept, weight })
}

/// A case of what was recorded, and the stored answer that no case can hold.
fn case(facts: &Facts, mut recorded: Recorded) -> Option<(Case, Option<Stored>)> {
    let arrived = recorded.arrived.take()?;
    let mut head = arrived.head;
    // It says which generation is to answer, to this gate and for an hour: it is none of the request's.
    head.remove_header(PREVIEW);
    if let Some(host) = arrived.host.filter(|_| !head.headers.contains_key("host")) {
        head.insert_header("Host", host).ok()?;
    }
    head.set_version(arrived.peer.version);
    let stays = rounding(&recorded);
    let call = Call {
        line: 0,
        after: Duration::ZERO,
        leaves: recorded.left.map(|left| left + stays),
        takes: recorded.left.map(|_| recorded.took),
        beside: false,
        tls: arrived.peer.tls,
        head,
        body: std::mem::take(&mut recorded.body),
    };
    let setup = Setup {
        clock: facts.at,
        client: arrived.peer.ip,
        id: Some(facts.id.clone()),
        reads: std::mem::take(&mut recorded.reads),
        ..Setup::default()
    };
    let gone = facts.reason == Reason::ClientGone;
    let answers = recorded.wires.into_iter().map(|taped| answer(taped, gone)).collect();
    let case = Case { file: format!("{}.http", facts.id), about: facts.about(), setup, calls: vec![call], answers };
    Some((case, recorded.stored))
}

/// How much longer a client stays that has taken all that it took: timers, which count whole milliseconds, may bring a
/// little later what was there already when it left.
fn rounding(recorded: &Recorded) -> Duration {
    let pieces = recorded.wires.iter().map(|taped| 1 + taped.body.len()).sum::<usize>() + recorded.body.len();
    Duration::from_millis(1 + pieces as u64)
}

/// What a connection answered, as a case tells it; `gone`: to a client that left.
fn answer(taped: Taped, gone: bool) -> Answer {
    Answer {
        line: 0,
        fault: mishap(&taped, gone),
        upstream: taped.upstream,
        endpoint: Some(taped.endpoint),
        slow: taped.slow,
        early: taped.early,
        reused: taped.reused,
        heads: taped.heads,
        body: taped.body,
        trailers: taped.trailers,
    }
}

/// What went wrong on a connection, in the words of a case. An answer of which nobody wanted more ends well, as far as
/// it came: what another generation would have read of it nobody knows.
fn mishap(taped: &Taped, gone: bool) -> Option<Mishap> {
    match taped.ended {
        Ended::Done => None,
        Ended::Open if !gone && !taped.heads.is_empty() => None,
        Ended::Connecting => Some(Mishap::Unreachable),
        Ended::Open | Ended::Waiting => Some(Mishap::Stall),
        Ended::Failed(Kind::Tls) => Some(Mishap::Tls),
        Ended::Failed(Kind::Connect) => Some(Mishap::Refuse),
        Ended::Failed(Kind::Garbage) => Some(Mishap::Garbage),
        Ended::Failed(_) if taped.heads.is_empty() => Some(Mishap::Reset),
        Ended::Failed(_) => Some(Mishap::Cut),
    }
}

// === impl Tape ===

impl Tape {
    /// Notes a request as it arrived.
    pub fn arrived(&self, arrived: impl FnOnce() -> Arrived) {
        if let Some((_, recorded)) = self.recorded() {
            recorded.lock().arrived = Some(arrived());
        }
    }
}

// === impl Facts ===

impl Facts {
    fn of(x: &mut Exchange, at: SystemTime, answer: u64) -> Self {
        Self {
            id: x.id.clone(),
            at,
            took: x.elapsed(),
            method: x.method.clone(),
            target: x.target.clone(),
            dialect: x.dialect,
            generation: x.generation.hash.clone(),
            identity: x.identity.clone(),
            trace: x.run.take_trace(),
            plan: x.plan.clone(),
            cache: x.cache.verdict.clone(),
            attempts: x.attempts.clone(),
            status: x.sent.status,
            reason: x.sent.reason.unwrap_or(Reason::Done),
            error: x.sent.error.as_ref().map(ToString::to_string),
            answer,
        }
    }

    /// How many bytes it holds beside itself, roughly.
    fn weight(&self) -> usize {
        let attempts = self.attempts.len() * size_of::<AttemptRecord>();
        let texts = self.id.len() + self.target.len() + self.generation.len();
        self.trace.len() * size_of::<Decision>() + attempts + texts
    }

    /// The exchange in a sentence, for the top of a case.
    fn about(&self) -> String {
        let who = self.identity.client.as_deref().unwrap_or("a client");
        let path = self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path);
        let by = self.attempts.last().map_or_else(String::new, |last| format!(" by {}", last.upstream));
        let ended = match (self.status, self.reason) {
            (Some(status), Reason::Done) => format!("answered {status}{by}"),
            (Some(status), reason) => format!("answered {status}{by}, then {}", reason.as_str()),
            (None, reason) => format!("not answered: {}", reason.as_str()),
        };
        format!("Recorded from {who}: {} {path}, {ended} in {} ms.", self.method, self.took.as_millis())
    }
}

// === impl Arrived ===

impl Arrived {
    /// Whether it came by HTTP/2, whose requests have no version of their own in a case.
    pub fn is_h2(&self) -> bool {
        self.peer.version == Version::HTTP_2
    }
}
