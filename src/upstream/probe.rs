//! Looks after endpoints without a client's request, where the settings ask for it: what was dead and lives again serves
//! again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::dial::Dialer;
use super::{Endpoint, Upstream};
use crate::gate::{Gate, services};
use crate::policy::CallRequest;
use crate::settings::Probe;
use crate::tape::Tape;

/// The longest pause between two looks at who is due: a generation with probes may have gone live.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The shortest pause, whatever the settings say.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// An endpoint that showed a sign of life while it has to prove itself is looked at again after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// How much the time between two probes varies, so that many gates do not all ask in the same moment.
const JITTER: f64 = 0.1;

/// Looks after the endpoints of whatever generation serves, until the gate is gone.
pub fn start(gate: &Arc<Gate<Dialer>>) {
    tokio::spawn(look_after(Arc::downgrade(gate)));
}

async fn look_after(gate: Weak<Gate<Dialer>>) {
    loop {
        let Some(pause) = gate.upgrade().map(|gate| round(&gate)) else { return };
        tokio::time::sleep(pause).await; // paced: until an endpoint may be due
    }
}

/// Asks each endpoint that is due. Returns how long nobody else is.
fn round(gate: &Arc<Gate<Dialer>>) -> Duration {
    let (now, live) = (gate.clock.elapsed(), gate.live.load_full());
    let mut pause = LONGEST_PAUSE;
    for upstream in live.upstreams.iter() {
        let Some(probe) = &upstream.probe else { continue };
        pause = pause.min(probe.every / 4);
        for endpoint in &upstream.endpoints {
            let every = probe.every.mul_f64(1.0 + JITTER * (gate.state.random.draw() * 2.0 - 1.0));
            if endpoint.vitals().is_due(now, every) {
                tokio::spawn(one(Arc::clone(gate), Arc::clone(upstream), Arc::clone(endpoint)));
            }
        }
    }
    pause.max(SHORTEST_PAUSE)
}

/// Asks one endpoint and takes into account what it says.
async fn one(gate: Arc<Gate<Dialer>>, upstream: Arc<Upstream>, endpoint: Arc<Endpoint>) {
    let Some(probe) = &upstream.probe else { return };
    let request = CallRequest {
        method: "GET".to_owned(),
        path: probe.path.clone(),
        headers: vec![("user-agent".to_owned(), "tidegate-probe".to_owned())],
        body: Bytes::new(),
        tape: Tape::default(),
    };
    let asking = services::exchange(gate.dial.clone(), Arc::clone(&upstream), Arc::clone(&endpoint), request);
    let answer = tokio::time::timeout(probe.timeout, asking).await;
    let alive = matches!(answer, Ok(Ok(answer)) if is_expected(probe, answer.status));
    let (vitals, now) = (endpoint.vitals(), gate.clock.elapsed());
    vitals.probed(&upstream.breaker, now, alive);
    if alive {
        vitals.probe_again(now + AGAIN.min(probe.every));
    }
}

fn is_expected(probe: &Probe, status: u16) -> bool {
    probe.expect.map_or((200..400).contains(&status), |expected| expected == u32::from(status))
}
