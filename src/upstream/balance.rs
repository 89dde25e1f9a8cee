//! Chooses the next endpoint of an upstream among those that are fit, by the strategy that its owner chose.

mod hash;

mod score;

#[cfg(test)]
mod tests;

pub use hash::key_of;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::health::{Ask, Fitness};
use super::{Endpoint, Upstream};
use crate::settings::By;

/// Endpoints of an upstream that are looked at; settings with more are refused.
pub const MOST_ENDPOINTS: usize = 256;

/// What was found among the endpoints that may be tried.
#[derive(Debug)]
pub struct Found<'e> {
    /// The one to try.
    pub fit: Option<&'e Arc<Endpoint>>,
    /// Of those that are open, the one that reopens soonest, and when.
    pub open: Option<(&'e Arc<Endpoint>, Duration)>,
    /// How many there were to choose from, open ones too.
    pub left: usize,
}

/// How gladly an endpoint is chosen; the least wins. Those of one rank are the strategy's to choose from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It has to prove itself, and the next request does that.
    Trial,
    Fit,
    Reserve,
    Spared,
    SparedReserve,
    /// It may not be tried at all.
    Out,
}

/// Endpoints to choose from, as often as a strategy has to look.
trait Candidates<'e>: Iterator<Item = &'e Arc<Endpoint>> + Clone {}

impl<'e, I: Iterator<Item = &'e Arc<Endpoint>> + Clone> Candidates<'e> for I {}

/// Chooses among the endpoints of an upstream those that are not `excluded`. `key` is what `hash` goes by; `draw` gives
/// numbers in `0.0..1.0`, and is asked only when there is a choice.
pub fn choose<'e>(
    upstream: &'e Upstream,
    ask: &Ask<'_>,
    key: Option<u64>,
    excluded: impl Fn(&Endpoint) -> bool,
    mut draw: impl FnMut() -> f64,
) -> Found<'e> {
    let (rules, headroom) = (&upstream.breaker, upstream.balance.headroom);
    let sticky = upstream.balance.by == By::Hash && key.is_some();
    let mut ranks = [Rank::Out; MOST_ENDPOINTS];
    let mut found = Found { fit: None, open: None, left: 0 };
    let (mut best, mut first, mut many) = (Rank::Out, None, false);
    for (endpoint, rank) in upstream.endpoints.iter().zip(&mut ranks).filter(|(endpoint, _)| !excluded(endpoint)) {
        found.left += 1;
        let fitness = match endpoint.vitals().fitness(rules, headroom, ask) {
            Fitness::Fit | Fitness::Trial if is_full(upstream, endpoint) => Fitness::Spared,
            fitness => fitness,
        };
        *rank = match (fitness, endpoint.weight) {
            (Fitness::Open(until), _) => {
                found.open = Some((endpoint, until)).into_iter().chain(found.open).min_by_key(|(_, until)| *until);
                continue;
            }
            (Fitness::Spared, 0) => Rank::SparedReserve,
            (Fitness::Spared, _) => Rank::Spared,
            (Fitness::Fit | Fitness::Trial, 0) => Rank::Reserve,
            (Fitness::Trial, _) if !sticky => Rank::Trial,
            (Fitness::Fit | Fitness::Trial, _) => Rank::Fit,
        };
        many = *rank == best || (many && *rank > best);
        if *rank < best {
            (best, first) = (*rank, Some(endpoint));
        }
    }
    if !many {
        found.fit = first;
        return found;
    }
    let those = upstream.endpoints.iter().zip(&ranks).filter(|(_, rank)| **rank == best).map(|(endpoint, _)| endpoint);
    found.fit = match (upstream.balance.by, key) {
        (By::Hash, Some(key)) => hash::nearest(those, key),
        (By::Weighted | By::Hash, _) => weighted(those, &mut draw),
        (By::RoundRobin, _) => in_turn(upstream, those),
        (By::LeastBusy, _) => least_busy(those, &mut draw),
        (By::Latency, _) => sooner(those, ask.now, &mut draw),
        (By::Score, _) => score::best(&upstream.balance, those, &mut draw),
    };
    found
}

/// Whether a request would wait before an endpoint that has a line.
fn is_full(upstream: &Upstream, endpoint: &Endpoint) -> bool {
    upstream.queue.as_ref().is_some_and(|rule| endpoint.vitals().under_way() >= rule.limits.at_once)
}

/// The share of an endpoint among others of its rank; among those in reserve all have the same.
fn share(endpoint: &Endpoint) -> u64 {
    u64::from(endpoint.weight.max(1))
}

/// A draw by weight.
fn weighted<'e>(mut those: impl Candidates<'e>, draw: &mut impl FnMut() -> f64) -> Option<&'e Arc<Endpoint>> {
    let total = those.clone().map(|endpoint| share(endpoint)).sum();
    let mut mark = scale(draw(), total);
    those.find(|endpoint| {
        let hit = mark < share(endpoint);
        mark = mark.saturating_sub(share(endpoint));
        hit
    })
}

/// Smooth weighted round-robin, as nginx has it: each gets its weight on credit, the one with the most pays for all.
fn in_turn<'e>(upstream: &Upstream, those: impl Candidates<'e>) -> Option<&'e Arc<Endpoint>> {
    let _turns = upstream.pool().turns();
    let (mut best, mut most, mut total) = (None, i64::MIN, 0);
    for endpoint in those {
        let share = i64::from(endpoint.weight.max(1));
        let credit = endpoint.vitals().credit.fetch_add(share, Ordering::Relaxed) + share;
        total += share;
        if credit > most {
            (best, most) = (Some(endpoint), credit);
        }
    }
    if let Some(best) = best {
        best.vitals().credit.fetch_sub(total, Ordering::Relaxed);
    }
    best
}

/// The one with the fewest requests under way for its weight; a draw among equals.
fn least_busy<'e>(mut those: impl Candidates<'e>, draw: &mut impl FnMut() -> f64) -> Option<&'e Arc<Endpoint>> {
    let load =
        |endpoint: &Endpoint| (f64::from(endpoint.vitals().under_way()) + 1.0) / f64::from(endpoint.weight.max(1));
    let least = those.clone().map(|endpoint| load(endpoint)).fold(f64::MAX, f64::min);
    // Others count too, and may have made all busier since.
    let mut equal = those.clone().filter(|endpoint| load(endpoint) <= least);
    let count = equal.clone().count();
    if count == 0 { those.next() } else { equal.nth(index(draw(), count)) }
}

/// The better of two drawn ones (Mitzenmacher 2001), by what one more request costs there: so many follow the quickest,
/// but never all of them.
fn sooner<'e>(
    mut those: impl Candidates<'e>,
    now: Duration,
    draw: &mut impl FnMut() -> f64,
) -> Option<&'e Arc<Endpoint>> {
    let count = those.clone().count();
    let one = index(draw(), count);
    let other = (one + 1 + index(draw(), count - 1)) % count;
    let load = |endpoint: &Endpoint| endpoint.vitals().load(now) / f64::from(endpoint.weight.max(1));
    let (one, other) = (those.clone().nth(one)?, those.nth(other)?);
    Some(if load(other) < load(one) { other } else { one })
}

/// Scales a draw to `0..total`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "weights are far below 2^52 and the draw is below 1"
)]
fn scale(draw: f64, total: u64) -> u64 {
    ((draw.clamp(0.0, 1.0) * total as f64) as u64).min(total.saturating_sub(1))
}

/// Scales a draw to a place among so many.
#[allow(clippy::cast_possible_truncation, reason = "it is below a count of endpoints")]
fn index(draw: f64, count: usize) -> usize {
    scale(draw, count as u64) as usize
}
