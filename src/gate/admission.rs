//! How many exchanges the gate serves at once, over all listeners: the others wait, and beyond that are turned away.

use std::sync::Arc;
use std::time::Duration;

use crate::settings;
use crate::upstream::queue::line::Limits;
use crate::upstream::queue::{Busy, Queue};

/// The line before the gate.
#[derive(Debug)]
pub struct Admission {
    queue: Arc<Queue>,
}

// === impl Admission ===

impl Admission {
    /// The line with the limits of a generation that has some; 0 is one that has no say where others have.
    pub fn queue(&self, limits: &settings::Limits, generation: u64) -> Arc<Queue> {
        // All are alike: whoever came first is served first.
        let limits = Limits { at_once: limits.exchanges, waiting: limits.exchanges_waiting, ageing: Duration::ZERO };
        self.queue.limit(limits, generation);
        Arc::clone(&self.queue)
    }

    /// Gives the line the limits of a generation that goes live: who waits has them too.
    pub fn went_live(&self, limits: &settings::Limits, generation: u64) {
        if limits.exchanges > 0 {
            drop(self.queue(limits, generation));
        }
    }

    /// How busy the gate is, by its own limit.
    pub fn busy(&self) -> Busy {
        self.queue.busy()
    }
}

impl Default for Admission {
    fn default() -> Self {
        let none = Limits { at_once: 0, waiting: 0, ageing: Duration::ZERO };
        Self { queue: Arc::new(Queue::new(none)) }
    }
}
