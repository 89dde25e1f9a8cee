//! The deadline for a whole head, which the engine does not have: it only limits each read.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// The deadline of one head at a time.
#[derive(Debug)]
pub(super) struct Deadline {
    /// How long a head may take.
    limit: Duration,
    /// Whether the first head of the connection is still awaited, which runs the deadline before its first byte.
    accepted: bool,
    /// When the head being waited for must be complete; `None` while nobody waits for one.
    due: Option<Instant>,
    /// The timer, made only when a head does not come in one piece.
    timer: Option<Pin<Box<Sleep>>>,
}

// === impl Deadline ===

impl Deadline {
    /// A deadline that runs from now, for a connection just accepted.
    pub(super) fn started(limit: Duration) -> Self {
        Self { limit, accepted: true, due: Some(Instant::now() + limit), timer: None }
    }

    /// A deadline that does not run.
    pub(super) fn stopped(limit: Duration) -> Self {
        Self { limit, accepted: false, due: None, timer: None }
    }

    /// Sees to it that the deadline runs while a head has `begun`, and before the first, but not between messages.
    pub(super) fn mind(&mut self, begun: bool) {
        if !begun && !self.accepted {
            self.stop();
        } else if self.due.is_none() {
            self.due = Some(Instant::now() + self.limit);
        }
    }

    /// Stops the deadline and lets go of its timer.
    pub(super) fn stop(&mut self) {
        self.accepted = false;
        self.due = None;
        self.timer = None;
    }

    /// `Ready` once a running deadline has passed.
    pub(super) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        self.timer.get_or_insert_with(|| Box::pin(sleep_until(due))).as_mut().poll(cx)
    }
}
