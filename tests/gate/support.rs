//! What the tests of the running gate share: gates, services that do what a test tells them, clients that keep every byte.

pub(crate) mod bundle;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod second;
pub(crate) mod service;
pub(crate) mod talk;
pub(crate) mod wire;

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything that a test waits for should take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until something holds; false when it does not in time.
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(3)); // paced: between two looks at what another thread or process does
    }
    false
}
