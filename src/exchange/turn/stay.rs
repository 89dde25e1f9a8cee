//! A stay in a line: how it begins, how it ends, and how it is told again to an exchange that is played.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Waited;
use crate::error::{Error, Fault, Kind};
use crate::exchange::Exchange;
use crate::settings::Priority;
use crate::tape::Tape;
use crate::upstream::queue::{Entry, Place, Queue, Turn};

/// How much earlier than the exchange itself a wait ends, so that the client hears what it waited for.
const EARLIER: Duration = Duration::from_millis(5);

/// What came of a stay in a line, as a tape keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stay {
    pub(super) end: End,
    #[serde(default)]
    waited_ms: u64,
    #[serde(default)]
    position: u64,
    /// In whole seconds.
    #[serde(default)]
    retry_after: u64,
}

/// How a stay in a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// With a place.
    Placed,
    /// There was no room.
    Full,
    /// The time was over.
    Late,
    /// The client left, or the exchange was over.
    Left,
}

/// Somebody who stands in a line, or did.
pub(super) enum Stood {
    /// It is over already.
    Over(Stay, Option<Place>),
    /// It waits.
    Waits(Waiting),
    /// Another exchange did, and this one is told.
    Told(Stay),
}

/// Somebody who waits.
pub(super) struct Waiting {
    queue: Arc<Queue>,
    turn: Turn,
    note: Note,
}

/// What is noted of a stay at its end. When it is dropped before that, the client has left.
struct Note {
    tape: Tape,
    what: String,
    position: u64,
    since: Instant,
    over: bool,
}

/// Enters a line, to wait for `longest` at most.
pub(super) fn stand(x: &Exchange, queue: &Arc<Queue>, what: String, class: Priority, longest: Duration) -> Stood {
    if let Some(stay) = x.tape.told(|| what.clone()) {
        return Stood::Told(stay);
    }
    let own = Instant::now() + longest;
    let until = x.deadline.map_or(own, |deadline| own.min(deadline - EARLIER));
    let (stay, place) = match queue.enter(class, until) {
        Entry::Place(place) => (Stay::of(End::Placed), Some(place)),
        Entry::Full(again) => (Stay { retry_after: seconds(again), ..Stay::of(End::Full) }, None),
        Entry::Waits(turn) => {
            let position = turn.position() as u64;
            let note = Note { tape: x.tape.clone(), what, position, since: Instant::now(), over: false };
            return Stood::Waits(Waiting { queue: Arc::clone(queue), turn, note });
        }
    };
    x.tape.note(|| what, &stay);
    Stood::Over(stay, place)
}

fn seconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

// === impl Stay ===

impl Stay {
    /// One without a wait.
    pub(super) fn of(end: End) -> Self {
        Self { end, waited_ms: 0, position: 0, retry_after: 0 }
    }

    /// How the exchange waited.
    pub(super) fn waited(&self) -> Waited {
        Waited { time: Duration::from_millis(self.waited_ms), position: self.position }
    }

    /// What a client is told that had no turn.
    pub(super) fn refused(&self, code: &'static str, message: &str) -> Error {
        let after = Duration::from_secs(self.retry_after.max(1));
        Error::new(Fault::Gate, Kind::Overloaded, 503, message).with_code(code).with_retry_after(after)
    }
}

// === impl Stood ===

impl Stood {
    /// Where it stands, from 1; 0 when it does not have to wait.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Over(..) => 0,
            Self::Waits(waiting) => waiting.note.position,
            Self::Told(stay) => stay.position,
        }
    }

    /// Waits until it is over. Dropped before that, it leaves the line.
    pub(super) async fn over(self) -> (Stay, Option<Place>) {
        match self {
            Self::Over(stay, place) => (stay, place),
            Self::Told(stay) => {
                if stay.end == End::Left {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(stay.waited_ms)).await; // paced: as long as it was told
                (stay, None)
            }
            Self::Waits(Waiting { queue, mut turn, mut note }) => match turn.come().await {
                Some(place) => (note.end(End::Placed, 0), Some(place)),
                None => (note.end(End::Late, seconds(queue.estimate())), None),
            },
        }
    }
}

// === impl Note ===

impl Note {
    /// Notes how it ended.
    fn end(&mut self, end: End, retry_after: u64) -> Stay {
        self.over = true;
        let waited_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let stay = Stay { end, waited_ms, position: self.position, retry_after };
        self.tape.note(|| self.what.clone(), &stay);
        stay
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if !self.over {
            self.end(End::Left, 0);
        }
    }
}
