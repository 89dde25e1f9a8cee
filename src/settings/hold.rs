//! Settings of the commit point: how long an answer is held back so that it can still be replaced by another.

use std::num::NonZeroU32;
use std::time::Duration;

use super::limits::at_least_one;
use super::section::{choice, section};

section! {
    /// How much of an answer is held back until it is known to be one: until then a failure goes on to `failover` and the
    /// client has heard nothing of it.
    pub struct Hold {
        /// What a stream must have said.
        until: HoldUntil = HoldUntil::Event => reload;
        /// The longest time that a stream which has begun to speak, or an answer of one piece, is held; then it goes out.
        time: Duration = Duration::from_secs(5) => reload;
        /// The most that is held of an answer; then it goes out.
        bytes: usize = 64 << 10 => reload;
    }
}

section! {
    /// A second attempt beside one that is slow to answer. The first answer wins, the other attempt is cancelled.
    pub struct Hedge {
        /// How long there is no sign of an answer before another endpoint is asked too; never unless written. Only for
        /// calls of LLM APIs and methods that may be repeated.
        after: Option<Duration> = None => reload;
        /// How many attempts may be begun beside the first.
        most: NonZeroU32 = at_least_one(1) => reload;
    }
}

choice! {
    /// What a stream must have said before it reaches the client.
    pub enum HoldUntil {
        /// Anything of the answer, thoughts included.
        Event = "event",
        /// A text that shows, or a tool call.
        Text = "text",
    }
}
