//! An attempt's hold on the endpoint that it is made at: what it brings back is what the endpoint is judged by.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::vitals::{Ask, Entry, Rest, Verdict};
use crate::clock::Clock;
use crate::error::{Error, Fault, Kind};
use crate::settings::WhenAllOpen;
use crate::upstream::{Endpoint, Upstream, balance, learned, retry_after};

/// An attempt under way at an endpoint. Dropped without a verdict it says nothing: the client left, or another attempt
/// was faster; a half-open endpoint has its place free again.
#[derive(Debug)]
pub struct Ticket {
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    /// What was given out for it; taken when it is brought back.
    entry: Option<Entry>,
    clock: Clock,
    began: Duration,
    /// When its answer began.
    heard: Option<Duration>,
}

/// How much of a whole answer's time may pass after its head; what takes longer is taken for a stream.
const AT_ONCE: Duration = Duration::from_millis(50);

// === impl Ticket ===

impl Ticket {
    /// Begins an attempt; `None` when nobody may, unless it is `forced`.
    pub fn take(
        upstream: &Arc<Upstream>,
        endpoint: &Arc<Endpoint>,
        ask: &Ask<'_>,
        clock: Clock,
        forced: bool,
    ) -> Option<Self> {
        let entry = endpoint.vitals().enter(&upstream.breaker, ask, forced)?;
        let (upstream, endpoint) = (Arc::clone(upstream), Arc::clone(endpoint));
        Some(Self { upstream, endpoint, entry: Some(entry), clock, began: ask.now, heard: None })
    }

    /// An endpoint for a request that has one try only, and leave for it.
    pub fn single(
        upstream: &Arc<Upstream>,
        clock: Clock,
        excluded: impl Fn(&Endpoint) -> bool,
        draw: impl FnMut() -> f64,
    ) -> Option<(Arc<Endpoint>, Self)> {
        let ask = Ask { now: clock.elapsed(), ..Ask::default() };
        let found = balance::choose(upstream, &ask, None, excluded, draw);
        let open = found.open.filter(|_| upstream.breaker.when_all_open == WhenAllOpen::Try);
        let endpoint = found.fit.or(open.map(|(endpoint, _)| endpoint))?;
        // Whoever was a moment sooner may have the last place of a half-open one: that is no reason to fail.
        let ticket = Self::take(upstream, endpoint, &ask, clock, true)?;
        Some((Arc::clone(endpoint), ticket))
    }

    /// Counts the endpoint's time from so long `ago`.
    pub fn began(&mut self, ago: Duration) {
        self.began = self.clock.elapsed().saturating_sub(ago);
    }

    /// Notes that the answer has begun. `shared` says whether its limits are the endpoint's own and not those of a
    /// client's key.
    pub fn heard(&mut self, status: u16, headers: &HeaderMap, shared: impl FnOnce() -> bool) {
        let now = self.clock.elapsed();
        self.heard = Some(now);
        let vitals = self.endpoint.vitals();
        if status < 400 {
            vitals.heard(now, now.saturating_sub(self.began));
        }
        let refused = matches!(status, 429 | 503 | 529);
        if (refused || learned::tells(headers)) && shared() {
            let wall = self.clock.wall();
            let wait = if refused { retry_after::of(headers, wall) } else { None };
            let wanted = status == 429 || status == 529 || wait.is_some();
            let rest = if wanted { Rest::Wanted(wait) } else { Rest::No };
            vitals.learn(now, wall, headers, rest);
        }
    }

    /// Ends an attempt that was answered to its end, with so many tokens.
    pub fn served(self, tokens: Option<u64>) {
        let now = self.clock.elapsed();
        if let (Some(heard), Some(slow)) = (self.heard, self.upstream.breaker.slow)
            && heard.saturating_sub(self.began) > slow
        {
            return self.settle(Verdict::Failed { kind: "slow", unreachable: false });
        }
        let speed = tokens.and_then(|tokens| speed(tokens, self.speaking(now)));
        self.settle(Verdict::Served(speed));
    }

    /// Ends an attempt that was answered with a status that says something bad; others are kept.
    pub fn judged(self, status: u16) -> Option<Self> {
        let verdict = match status {
            429 | 529 => Verdict::Refused,
            // What an upstream cannot do at all says nothing about how it is.
            501 | 505 => return Some(self),
            408 | 500..=599 => Verdict::Failed { kind: "status", unreachable: false },
            _ => return Some(self),
        };
        self.settle(verdict);
        None
    }

    /// Ends an attempt that failed. What is not the upstream's fault says nothing about it.
    pub fn failed(self, error: &Error) {
        let telling = matches!(
            error.kind(),
            Kind::Connect | Kind::Tls | Kind::Reset | Kind::Timeout | Kind::Garbage | Kind::StreamError
        );
        if error.fault() == Fault::Upstream && telling {
            self.settle(Verdict::failed(error.kind()));
        }
    }

    /// Ends an attempt.
    pub fn settle(mut self, verdict: Verdict) {
        self.leave(Some(verdict));
    }

    /// How long it spoke: a whole answer was made before its head, a stream after it.
    fn speaking(&self, now: Duration) -> Duration {
        let after = self.heard.map(|heard| now.saturating_sub(heard)).filter(|after| *after > AT_ONCE);
        after.unwrap_or(now.saturating_sub(self.began))
    }

    fn leave(&mut self, verdict: Option<Verdict>) {
        if let Some(entry) = self.entry.take() {
            self.endpoint.vitals().leave(&self.upstream.breaker, entry, self.clock.elapsed(), verdict);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave(None);
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "three digits of it are enough")]
fn speed(tokens: u64, time: Duration) -> Option<f32> {
    (tokens > 0 && !time.is_zero()).then(|| (tokens as f64 / time.as_secs_f64()) as f32)
}
