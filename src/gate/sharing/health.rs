//! Which endpoints are left alone, told among gates that share a Redis: what one has found out, the others need not.
//!
//! Each change is said to all gates that are there and posted for those that come later or were away, closings too. Of two
//! changes of one endpoint the later one counts, whoever tells it and in whichever order they come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::gate::Gate;
use crate::state::redis::Redis;
use crate::upstream::dial::Dialer;
use crate::upstream::health::Change;

/// What it is about, among gates, and where changes are posted.
const TOPIC: &str = "health";

/// How long a change is remembered: longer than an endpoint is left alone for.
const REMEMBERED: Duration = Duration::from_hours(1);

/// How soon it is tried again to tell what an answer was missing for, though Redis is there.
const AGAIN: Duration = Duration::from_secs(1);

/// So many changes are remembered before old ones are looked for: models of endpoints are named by clients.
const MOST: usize = 10_000;

/// What this gate and others found out.
struct Gossip {
    gate: Arc<Gate<Dialer>>,
    /// The last change of each endpoint, or of a model of it.
    last: HashMap<String, Change>,
    /// The names of those that could not be told yet.
    owed: HashSet<String>,
}

/// Tells other gates of endpoints that open and close here, and takes over what they tell, until the process ends.
pub(super) async fn share(gate: Arc<Gate<Dialer>>, redis: Arc<Redis>) {
    let (mut own, mut news, mut connections) = (gate.health.changes(), redis.news(), redis.connections());
    // It may be connected already.
    connections.mark_changed();
    let mut gossip = Gossip { gate, last: HashMap::new(), owed: HashSet::new() };
    loop {
        tokio::select! {
            // What was found out here is known before what others say of it is judged.
            biased;
            change = own.recv() => match change {
                Ok(change) => gossip.tell([change]).await,
                // Too many at once: what stands is told, what passed has passed.
                Err(RecvError::Lagged(_)) => gossip.tell(gossip.gate.health.standing()).await,
                Err(RecvError::Closed) => return,
            },
            said = news.recv() => match said {
                Ok(said) if said.topic == TOPIC => {
                    // What is no change was said by a gate of another version.
                    if let Ok(change) = serde_json::from_value(said.body.clone()) {
                        gossip.hear(change);
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => gossip.catch_up().await,
                Err(RecvError::Closed) => return,
            },
            made = connections.changed() => match made {
                Ok(()) => gossip.catch_up().await,
                Err(_) => return,
            },
            () = tokio::time::sleep(AGAIN), if !gossip.owed.is_empty() => { // paced: it was too slow a moment ago
                gossip.tell_owed().await;
            }
        }
    }
}

/// By what a change is known again.
fn name(change: &Change) -> String {
    format!("{}/{}/{}", change.upstream, change.endpoint, change.model.as_deref().unwrap_or_default())
}

// === impl Gossip ===

impl Gossip {
    /// Tells of changes of this gate's own.
    async fn tell(&mut self, changes: impl IntoIterator<Item = Change>) {
        if self.last.len() > MOST {
            self.forget_old();
        }
        for change in changes {
            let name = name(&change);
            self.owed.insert(name.clone());
            self.last.insert(name, change);
        }
        self.tell_owed().await;
    }

    /// Tells what was not told yet.
    async fn tell_owed(&mut self) {
        // Without a Redis nobody waits for each of them in vain.
        if self.gate.shared.redis().is_none_or(|redis| !redis.is_up()) {
            return;
        }
        for name in std::mem::take(&mut self.owed) {
            let Some(change) = self.last.get(&name) else { continue };
            let (body, shared) = (json!(change), &self.gate.shared);
            let posted = shared.post(TOPIC, &name, &body.to_string(), REMEMBERED).await;
            if !posted || !shared.publish(TOPIC, body).await {
                self.owed.insert(name);
            }
        }
    }

    /// Takes over what another gate tells, if it is news.
    fn hear(&mut self, change: Change) {
        let (name, change) = (name(&change), self.gate.health.dated(change));
        // Within a millisecond the one that comes later is the later one.
        let news = |last: &Change| last.at < change.at || (last.at == change.at && *last != change);
        if self.last.get(&name).is_none_or(news) {
            self.gate.health.adopt(&change);
            self.owed.remove(&name);
            self.last.insert(name, change);
        }
    }

    /// Redis is there again: takes over what others posted while this gate was away, and tells what they lack.
    async fn catch_up(&mut self) {
        let mut posted = HashMap::new();
        for text in self.gate.shared.posted(TOPIC).await {
            // What is no change was put there by somebody else, or by a gate of another version.
            let Ok(change) = serde_json::from_str::<Change>(&text) else { continue };
            if self.gate.health.is_past(&change, REMEMBERED) {
                self.gate.shared.unpost(TOPIC, &name(&change)).await;
            } else {
                posted.insert(name(&change), change.at);
                self.hear(change);
            }
        }
        self.forget_old();
        let lacked = self.last.iter().filter(|(name, last)| posted.get(*name).is_none_or(|at| *at < last.at));
        self.owed.extend(lacked.map(|(name, _)| name.clone()));
        self.tell_owed().await;
    }
    fn forget_old(&mut self) {
        let health = &self.gate.health;
        self.last.retain(|_, last| !health.is_past(last, REMEMBERED));
    }
}
