//! Which endpoints are left alone, told among gates that share a Redis: what one has found out, the others need not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::gate::Gate;
use crate::state::redis::{News, Redis};
use crate::upstream::dial::Dialer;
use crate::upstream::health::{Change, State};

/// What it is about, among gates, and where open endpoints are posted for gates that come later.
const TOPIC: &str = "health";

/// How long what is posted is remembered, when no gate posts anything more: longer than an endpoint is left alone.
const REMEMBERED: Duration = Duration::from_hours(1);

/// How soon it is tried again to tell what an answer was missing for, though Redis is there.
const AGAIN: Duration = Duration::from_secs(1);

/// What could not be told yet, by what it is about: only how it stands last.
#[derive(Default)]
struct Owed(HashMap<String, Change>);

/// Tells other gates of endpoints that open and close here, and takes over what they tell, until the process ends.
pub(super) async fn share(gate: Arc<Gate<Dialer>>, redis: Arc<Redis>) {
    let (mut own, mut news, mut connections) = (gate.health.changes(), redis.news(), redis.connections());
    // It may be connected already.
    connections.mark_changed();
    let mut owed = Owed::default();
    loop {
        tokio::select! {
            change = own.recv() => match change {
                Ok(change) => owed.tell(&gate, [change]).await,
                // Too many at once: what stands is told, what passed has passed.
                Err(RecvError::Lagged(_)) => owed.tell(&gate, gate.health.standing()).await,
                Err(RecvError::Closed) => return,
            },
            said = news.recv() => match said {
                Ok(said) => heard(&gate, &said),
                Err(RecvError::Lagged(_)) => catch_up(&gate).await,
                Err(RecvError::Closed) => return,
            },
            made = connections.changed() => match made {
                // What was found out meanwhile comes first, so that what others posted before it is not taken for news.
                Ok(()) => {
                    owed.tell(&gate, gate.health.standing()).await;
                    catch_up(&gate).await;
                }
                Err(_) => return,
            },
            () = tokio::time::sleep(AGAIN), if !owed.0.is_empty() => { // paced: it was too slow a moment ago
                owed.tell(&gate, []).await;
            }
        }
    }
}

fn heard(gate: &Gate<Dialer>, said: &News) {
    if said.topic == TOPIC
        && let Ok(change) = serde_json::from_value(said.body.clone())
    {
        gate.health.adopt(&change);
    }
}

/// Takes over what other gates told before this one was connected.
async fn catch_up(gate: &Gate<Dialer>) {
    for posted in gate.shared.posted(TOPIC).await {
        // What is no change was put there by somebody else, or by a gate of another version.
        let Ok(change) = serde_json::from_str(&posted) else { continue };
        if gate.health.is_over(&change) {
            gate.shared.unpost(TOPIC, &name(&change)).await;
        } else {
            gate.health.adopt(&change);
        }
    }
}

/// By what a change is posted.
fn name(change: &Change) -> String {
    format!("{}/{}/{}", change.upstream, change.endpoint, change.model.as_deref().unwrap_or_default())
}

/// Tells all other gates, those that come later too; false when Redis did not take it.
async fn told(gate: &Gate<Dialer>, name: &str, change: &Change) -> bool {
    let body = json!(change);
    let posted = if change.state == State::Open && !gate.health.is_over(change) {
        gate.shared.post(TOPIC, name, &body.to_string(), REMEMBERED).await
    } else {
        gate.shared.unpost(TOPIC, name).await
    };
    posted && gate.shared.publish(TOPIC, body).await
}

// === impl Owed ===

impl Owed {
    /// Tells of changes, and of those that could not be told before.
    async fn tell(&mut self, gate: &Gate<Dialer>, changes: impl IntoIterator<Item = Change>) {
        self.0.extend(changes.into_iter().map(|change| (name(&change), change)));
        // Without it nobody waits for each of them in vain.
        if gate.shared.redis().is_none_or(|redis| !redis.is_up()) {
            return;
        }
        for (name, change) in std::mem::take(&mut self.0) {
            if !told(gate, &name, &change).await {
                self.0.insert(name, change);
            }
        }
    }
}
