//! The best endpoint by what its answers were like: how many there were, how quick, how soon, at what cost.

use std::sync::Arc;

use super::{Candidates, index};
use crate::settings::Balance;
use crate::upstream::Endpoint;

/// Of so many requests one goes anywhere, so that an endpoint that was bad once is seen to be good again.
const EXPLORED: f64 = 0.05;

/// Tokens a second that are as good as can be.
const FASTEST: f32 = 100.0;

/// Seconds to the first event that are as bad as can be.
const SLOWEST: f32 = 10.0;

/// What counts for a figure that is not known: neither good nor bad.
const UNKNOWN: f32 = 0.5;

/// The endpoint with the best score. One that has not answered yet goes first, one request at a time; of equals the one
/// with fewer requests under way, then the first in the settings.
pub(super) fn best<'e>(
    balance: &Balance,
    those: impl Candidates<'e>,
    draw: &mut impl FnMut() -> f64,
) -> Option<&'e Arc<Endpoint>> {
    let new =
        |endpoint: &&'e Arc<Endpoint>| endpoint.vitals().figures().0.is_none() && endpoint.vitals().under_way() == 0;
    if let Some(new) = those.clone().find(new) {
        return Some(new);
    }
    let drawn = draw();
    if drawn < EXPLORED {
        return those.clone().nth(index(drawn / EXPLORED, those.count()));
    }
    let costs = || those.clone().map(|endpoint| endpoint.cost);
    let (least, most) = (costs().min().unwrap_or(0), costs().max().unwrap_or(0));
    let scored = those.map(|endpoint| (score(balance, endpoint, least, most), endpoint));
    let better = |one: (f32, &'e Arc<Endpoint>), other: (f32, &'e Arc<Endpoint>)| {
        let busier = one.1.vitals().under_way() > other.1.vitals().under_way();
        #[allow(clippy::float_cmp, reason = "equals are what is asked for")]
        if other.0 > one.0 || (other.0 == one.0 && busier) { other } else { one }
    };
    scored.reduce(better).map(|(_, endpoint)| endpoint)
}

/// A score: the more, the better.
#[allow(clippy::cast_precision_loss, reason = "weights are small, and costs are compared only")]
fn score(balance: &Balance, endpoint: &Endpoint, least: u32, most: u32) -> f32 {
    let (success, speed, latency) = endpoint.vitals().figures();
    let success = success.unwrap_or(UNKNOWN);
    let speed = speed.map_or(UNKNOWN, |speed| (speed / FASTEST).min(1.0));
    let latency = latency.map_or(UNKNOWN, |latency| (1.0 - latency / SLOWEST).max(0.0));
    let cheap = if most == least { 1.0 } else { (most - endpoint.cost) as f32 / (most - least) as f32 };
    balance.success as f32 * success
        + balance.speed as f32 * speed
        + balance.latency as f32 * latency
        + balance.cost as f32 * cheap
}
