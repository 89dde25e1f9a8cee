//! Settings of the affinity of `OpenAI`'s Responses to the endpoint that made what they refer to.

use std::time::Duration;

use super::section::{choice, section};

section! {
    /// Requests of `OpenAI`'s Responses go where the answer they follow was made: only that endpoint knows the id in
    /// `previous_response_id`, and only its keys open encrypted reasoning.
    pub struct Affinity {
        /// How long is known where an answer was made.
        remember: Duration = Duration::from_hours(6) => reload;
        /// What becomes of a request whose endpoint is not known any more, is no longer in the settings, or fails just now:
        /// `refuse` tells the client 409; `wait` waits until an endpoint that fails is tried again, else it is 409 too;
        /// `strip` takes out what it refers to, and any endpoint serves it.
        lost: Lost = Lost::Refuse => reload;
        /// How long `wait` waits.
        longest: Duration = Duration::from_secs(30) => reload;
    }
}

choice! {
    /// What becomes of a request that has lost its endpoint.
    pub enum Lost {
        /// The client is told.
        Refuse = "refuse",
        /// It waits for the endpoint.
        Wait = "wait",
        /// What it refers to is taken out.
        Strip = "strip",
    }
}
