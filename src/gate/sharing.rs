//! What gates that share a Redis tell each other, and hear.

mod health;

use std::sync::Arc;

use super::Gate;
use crate::cache::Pick;
use crate::upstream::dial::Dialer;

/// Keeps the shared Redis connected, writes to it what is to be shared, and follows what other gates say; once for a gate.
pub fn start(gate: &Arc<Gate<Dialer>>) {
    let Some(redis) = gate.shared.redis().filter(|redis| redis.begin()) else { return };
    let (following, writing) = (Arc::clone(gate), Arc::clone(gate));
    let listening = Arc::clone(redis);
    tokio::spawn(async move {
        let too = |pick: &Pick| following.flights.part(pick);
        following.cache.follow_purges(&listening, too).await;
    });
    tokio::spawn(async move { writing.cache.write_common().await });
    tokio::spawn(health::share(Arc::clone(gate), Arc::clone(redis)));
    tokio::spawn(Arc::clone(redis).keep());
}
