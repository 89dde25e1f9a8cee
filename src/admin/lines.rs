//! The lines that requests wait in, for status and metrics: before the gate, and before endpoints.

use serde_json::{Map, Value, json};

use crate::gate::Gate;
use crate::upstream::dial::Dialer;
use crate::upstream::queue::Busy;

/// The names of the classes, the highest first.
const CLASSES: [&str; 4] = ["critical", "high", "normal", "low"];

/// The lines before the endpoints of what is live, with the names of upstream and endpoint.
fn queues(gate: &Gate<Dialer>) -> Vec<(String, String, Busy)> {
    let live = gate.live.load();
    let mut queues = Vec::new();
    for upstream in live.upstreams.iter() {
        let Some(rule) = &upstream.queue else { continue };
        for endpoint in &upstream.endpoints {
            let idle = Busy { at_once: rule.limits.at_once, ..Busy::default() };
            let busy = gate.queues.busy(upstream, endpoint).unwrap_or(idle);
            queues.push((upstream.name.clone(), endpoint.name.clone(), busy));
        }
    }
    queues
}

/// Adds the lines that there are to the status.
pub(super) fn show(gate: &Gate<Dialer>, status: &mut Map<String, Value>) {
    let limit = gate.live.load().settings.limits.exchanges;
    if limit > 0 {
        let busy = gate.admission.busy();
        status.insert("exchanges".into(), json!({"running": busy.running, "at_once": limit, "waiting": busy.waits()}));
    }
    let queues = queues(gate).into_iter().map(|(upstream, endpoint, busy)| {
        let waiting: Map<String, Value> =
            CLASSES.iter().zip(busy.waiting).map(|(class, length)| ((*class).to_owned(), json!(length))).collect();
        json!({"upstream": upstream, "endpoint": endpoint, "running": busy.running, "at_once": busy.at_once, "waiting": waiting})
    });
    let queues: Vec<Value> = queues.collect();
    if !queues.is_empty() {
        status.insert("queues".into(), json!(queues));
    }
}

/// Tells the metrics how long the lines are now.
pub(super) fn measure(gate: &Gate<Dialer>) {
    gate.metrics.admission(&gate.admission.busy());
    gate.metrics.queues(queues(gate).into_iter());
}
