//! Which endpoints are left alone, told among gates that share a Redis: what one has found out, the others need not.

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

/// Tells other gates of endpoints that open and close here.
pub(super) async fn tell(gate: Arc<Gate<Dialer>>) {
    let mut changes = gate.health.changes();
    loop {
        match changes.recv().await {
            Ok(change) => told(&gate, &change).await,
            Err(RecvError::Closed) => return,
            // Too many at once: what stands is told, what passed has passed.
            Err(RecvError::Lagged(_)) => {
                for change in gate.health.standing() {
                    told(&gate, &change).await;
                }
            }
        }
    }
}

async fn told(gate: &Gate<Dialer>, change: &Change) {
    let name = format!("{}/{}/{}", change.upstream, change.endpoint, change.model.as_deref().unwrap_or_default());
    let body = json!(change);
    gate.shared.publish(TOPIC, body.clone()).await;
    if change.state == State::Open {
        gate.shared.post(TOPIC, &name, &body.to_string(), REMEMBERED).await;
    } else {
        gate.shared.unpost(TOPIC, &name).await;
    }
}

/// Takes over what other gates tell, and what they told before this one was connected.
pub(super) async fn hear(gate: Arc<Gate<Dialer>>, redis: Arc<Redis>) {
    let (mut news, mut connections) = (redis.news(), redis.connections());
    // It may be connected already.
    connections.mark_changed();
    loop {
        tokio::select! {
            made = connections.changed() => match made {
                Ok(()) => catch_up(&gate).await,
                Err(_) => return,
            },
            said = news.recv() => match said {
                Ok(said) => heard(&gate, &said),
                Err(RecvError::Closed) => return,
                Err(RecvError::Lagged(_)) => catch_up(&gate).await,
            },
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

async fn catch_up(gate: &Gate<Dialer>) {
    for posted in gate.shared.posted(TOPIC).await {
        // What is no change was put there by somebody else, or by a gate of another version.
        if let Ok(change) = serde_json::from_str(&posted) {
            gate.health.adopt(&change);
        }
    }
}
