//! What an attempt owns from the choice of its endpoint to the last byte of its answer, in one place, so that every way
//! it can end gives all of it back.

use crate::exchange::turn::Waited;
use crate::upstream::queue::Place;

/// What an attempt owns until its end.
#[derive(Debug, Default)]
pub struct Held {
    /// Its place before the endpoint, where there is a line: free for the next when the answer has come to its end.
    pub place: Option<Place>,
    /// How it waited for that.
    pub queued: Option<Waited>,
}
