//! A canary: another generation serves a share of the users in the same gate, always the same ones, and the share goes
//! back to the live one by itself when figures say so.

pub mod abort;
mod figures;
mod offenders;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::abort::Abort;
use self::figures::{Figures, Sample};
use self::offenders::Offenders;
use super::services::HookErrors;
use crate::bundle::Hash;
use crate::exchange::decision::Identity;
use crate::exchange::finish::millis;
use crate::exchange::{Exchange, Reason};
use crate::generation::Generation;

/// How many of them are remembered over several canaries.
const REMEMBERED: usize = 100;

/// The place for one canary at a time.
#[derive(Default)]
pub struct Seat {
    running: ArcSwapOption<Canary>,
    past: Mutex<Past>,
}

/// What is left of canaries that ended.
#[derive(Default)]
struct Past {
    /// How the last one ended, as status shows it.
    last: Option<Value>,
    /// The ids of exchanges that offended, the oldest first.
    offended: Vec<String>,
    /// How many of them were taken to be saved.
    taken: usize,
}

/// What is asked of a canary.
#[derive(Clone, Debug)]
pub struct Order {
    /// How many hundredths of the identities it serves.
    pub percent: f64,
    /// What makes an identity.
    pub by: By,
    /// After how long it is to be looked at.
    pub time: Option<Duration>,
    /// When it ends by itself.
    pub abort: Option<Abort>,
}

/// What tells those who are served by the canary from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The user.
    #[default]
    User,
    /// The session.
    Session,
    /// The client tool.
    Client,
    /// The client's address.
    Ip,
}

/// A generation that serves a share.
pub struct Canary {
    /// The generation.
    pub generation: Arc<Generation>,
    /// Its hash.
    pub hash: Hash,
    order: Order,
    /// Chooses who is served, so that nobody can choose to be.
    key: [u8; 32],
    /// When it began.
    since: SystemTime,
    began: Instant,
    /// The generation that serves the others.
    live: u64,
    /// Counts the failures of the live generation's hooks, and how many there were at first.
    live_errors: (Arc<HookErrors>, u64),
    /// What it did.
    mine: Figures,
    /// What the live generation did in the same time.
    others: Figures,
    offenders: Mutex<Offenders>,
    /// Whether it was said that its time is over.
    over: AtomicBool,
}

// === impl Seat ===

impl Seat {
    /// Whether a canary runs.
    pub fn is_running(&self) -> bool {
        self.running.load().is_some()
    }

    /// The canary that runs.
    pub fn running(&self) -> Option<Arc<Canary>> {
        self.running.load_full()
    }

    /// Puts a canary on the seat, in place of any other.
    pub fn start(self: &Arc<Self>, canary: Canary) -> Arc<Canary> {
        let canary = Arc::new(canary);
        let (seat, mine) = (Arc::downgrade(self), Arc::downgrade(&canary));
        canary.generation.hook_errors.listen(move |report| {
            if let (Some(seat), Some(canary)) = (seat.upgrade(), mine.upgrade()) {
                canary.offenders.lock().hook_failed(report.request_id.as_deref());
                seat.check(&canary);
            }
        });
        self.end("another canary began");
        self.running.store(Some(Arc::clone(&canary)));
        canary
    }

    /// The generation that serves an exchange of which nothing but the identity is known, if it is not the live one.
    pub fn chosen(&self, x: &Exchange) -> Option<Arc<Generation>> {
        let running = self.running.load();
        let canary = running.as_ref().filter(|canary| canary.live == x.generation.number)?;
        canary.takes(&x.identity, x.client_ip).then(|| Arc::clone(&canary.generation))
    }

    /// Counts an exchange that ended.
    pub fn finished(&self, x: &Exchange) {
        if let Some(canary) = &*self.running.load() {
            canary.finished(x);
        }
    }

    /// Ends a canary whose conditions hold; whether it runs on.
    pub fn check(&self, canary: &Arc<Canary>) -> bool {
        if !self.is(canary) {
            return false;
        }
        let (mine, others) = canary.samples();
        let Some(met) = canary.order.abort.as_ref().and_then(|abort| abort.met(&mine, &others)) else {
            return true;
        };
        let offended = canary.offenders.lock().of(&met);
        let why = format!("aborted: {}", met.figures);
        if self.leave(canary, &why, &offended) {
            tracing::warn!(hash = %canary.hash, figures = met.figures, ids = offended.join(" "), "canary aborted");
            self.offended(offended);
        }
        false
    }

    /// Whether this canary runs.
    pub fn is(&self, canary: &Arc<Canary>) -> bool {
        self.running.load().as_ref().is_some_and(|running| Arc::ptr_eq(running, canary))
    }

    /// Ends the canary that runs; whether one did.
    pub fn end(&self, why: &str) -> bool {
        let Some(canary) = self.running() else { return false };
        let ended = self.leave(&canary, why, &[]);
        if ended {
            tracing::info!(hash = %canary.hash, why, "canary ended");
        }
        ended
    }

    /// Remembers exchanges that made a canary end, so that they can be looked at.
    pub fn offended(&self, ids: Vec<String>) {
        let mut past = self.past.lock();
        past.offended.extend(ids);
        let old = past.offended.len().saturating_sub(REMEMBERED);
        past.offended.drain(..old);
        past.taken = past.taken.saturating_sub(old);
    }

    /// Takes the ids of exchanges that made canaries end and that nobody has taken, the oldest first.
    pub fn take_offenders(&self) -> Vec<String> {
        let mut past = self.past.lock();
        let taken = past.taken.min(past.offended.len());
        past.taken = past.offended.len();
        past.offended.get(taken..).map(<[String]>::to_vec).unwrap_or_default()
    }

    /// The ids of exchanges that made canaries end, the oldest first.
    pub fn offenders(&self) -> Vec<String> {
        self.past.lock().offended.clone()
    }

    /// What runs and how the last one ended, for status.
    pub fn show(&self) -> Option<Value> {
        let running = self.running().map(|canary| canary.show());
        let past = self.past.lock();
        if running.is_none() && past.last.is_none() {
            return None;
        }
        Some(json!({"running": running, "last": past.last, "offended": past.offended}))
    }

    /// Takes a canary from the seat, unless it is gone already.
    fn leave(&self, canary: &Arc<Canary>, why: &str, offended: &[String]) -> bool {
        let before = self.running.compare_and_swap(canary, None);
        if !before.as_ref().is_some_and(|before| Arc::ptr_eq(before, canary)) {
            return false;
        }
        let mut last = canary.show();
        last["ended"] = json!(httpdate::fmt_http_date(SystemTime::now()));
        last["why"] = json!(why);
        last["offended"] = json!(offended);
        self.past.lock().last = Some(last);
        true
    }
}

// === impl By ===

impl By {
    /// The words for it.
    pub const WORDS: [&str; 4] = ["user", "session", "client", "ip"];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Session => "session",
            Self::Client => "client",
            Self::Ip => "ip",
        }
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::User, Self::Session, Self::Client, Self::Ip]
            .into_iter()
            .find(|by| by.as_str() == word)
            .ok_or_else(|| format!("`{word}` is not one of {}", Self::WORDS.join(", ")))
    }
}

// === impl Canary ===

impl Canary {
    /// A canary beside `live`. It must be built for this purpose alone: its hooks' failures end it.
    pub fn new(generation: Arc<Generation>, hash: Hash, order: Order, live: &Generation, key: &[u8; 32]) -> Self {
        // Others are chosen for another generation, the same ones for a larger share.
        let key = *blake3::keyed_hash(key, format!("tidegate canary {}", hash.full()).as_bytes()).as_bytes();
        Self {
            generation,
            hash,
            order,
            key,
            since: SystemTime::now(),
            began: Instant::now(),
            live: live.number,
            live_errors: (Arc::clone(&live.hook_errors), live.hook_errors.count()),
            mine: Figures::default(),
            others: Figures::default(),
            offenders: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    /// Says once that its time is over.
    pub fn look_at_time(&self) {
        if self.is_over() && !self.over.swap(true, Ordering::Relaxed) {
            tracing::info!(
                hash = %self.hash,
                "the canary's time is over: it keeps its share until `tidegate promote {}` or `--stop`", self.hash
            );
        }
    }

    fn is_over(&self) -> bool {
        self.order.time.is_some_and(|time| self.began.elapsed() >= time)
    }

    /// Whether it serves whoever this is: who is unknown is told by the address.
    fn takes(&self, identity: &Identity, ip: IpAddr) -> bool {
        let known = match self.order.by {
            By::User => identity.user.as_deref(),
            By::Session => identity.session.as_deref(),
            By::Client => identity.client.as_deref(),
            By::Ip => None,
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        match known {
            Some(known) => hasher.update(b"known ").update(known.as_bytes()),
            None => hasher.update(b"address ").update(ip.to_canonical().to_string().as_bytes()),
        };
        let digest = hasher.finalize();
        let mut number = [0; 4];
        for (to, from) in number.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        f64::from(u32::from_le_bytes(number)) / (f64::from(u32::MAX) + 1.0) * 100.0 < self.order.percent
    }

    fn finished(&self, x: &Exchange) {
        if x.sent.reason == Some(Reason::Upgraded) {
            return;
        }
        let failed = x.sent.status.is_some_and(|status| status >= 500) || x.sent.reason == Some(Reason::UpstreamError);
        let took = x.elapsed();
        if Arc::ptr_eq(&x.generation, &self.generation) {
            self.mine.add(failed, took, x.sent.head_after);
            self.offenders.lock().note(x, failed, took);
        } else if x.generation.number == self.live && x.started >= self.began {
            self.others.add(failed, took, x.sent.head_after);
        }
    }

    /// Its figures, and those of the live generation in the same time.
    fn samples(&self) -> (Sample, Sample) {
        let (errors, before) = &self.live_errors;
        let others = errors.count().saturating_sub(*before);
        (self.mine.sample(self.generation.hook_errors.count()), self.others.sample(others))
    }

    fn show(&self) -> Value {
        let (mine, others) = self.samples();
        let over = self.is_over();
        json!({
            "hash": self.hash,
            "percent": self.order.percent,
            "by": self.order.by.as_str(),
            "since": httpdate::fmt_http_date(self.since),
            "for_seconds": self.order.time.map(|time| time.as_secs()),
            "time_over": over.then_some("it keeps its share until it is promoted or stopped"),
            "abort": self.order.abort.as_ref().map(ToString::to_string),
            "canary": shown(&mine),
            "live": shown(&others),
        })
    }
}

/// Figures as status shows them.
fn shown(sample: &Sample) -> Value {
    json!({
        "exchanges": sample.exchanges,
        "policy_errors": sample.policy_errors,
        "errors": sample.errors,
        "p50_ms": sample.p50.map(millis),
        "p99_ms": sample.p99.map(millis),
        "first_ms": sample.first.map(millis),
    })
}
