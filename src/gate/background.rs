//! Runs the periodic work that policies declare: once in the process, never overlapping, until its generation is
//! replaced.

use std::sync::Arc;
use std::time::Duration;

use super::{Gate, Random, sharing};
use crate::policy::BackgroundJob;
use crate::upstream::dial::Dialer;

/// How much a period varies, so that many gates do not all work in the same moment.
const JITTER: f64 = 0.1;

/// Starts the work of the generation that is live now, and what the gate does for other gates.
pub fn start(gate: &Arc<Gate<Dialer>>) {
    sharing::start(gate);
    let live = gate.live.load();
    for job in live.policies.background() {
        tokio::spawn(repeat(Arc::clone(gate), live.number, job));
    }
}

async fn repeat(gate: Arc<Gate<Dialer>>, generation: u64, job: BackgroundJob) {
    loop {
        tokio::time::sleep(varied(job.every, &gate.state.random)).await; // paced: the period that the policy declared
        let live = gate.live.load_full();
        if live.number != generation {
            return;
        }
        // A failure was reported where it happened; the work is tried again after its period.
        let _ = live.policies.run_background(&job).await;
    }
}

/// A period, a little longer or shorter.
fn varied(every: Duration, random: &Random) -> Duration {
    every.mul_f64(1.0 + JITTER * (random.draw() * 2.0 - 1.0))
}
