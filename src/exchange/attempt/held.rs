//! What an attempt owns from the choice of its endpoint to the last byte of its answer, in one place, so that every way
//! it can end gives all of it back.

use std::time::Duration;

use super::Committed;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exchange::turn::Waited;
use crate::exchange::wire::Connection;
use crate::upstream::health::Ticket;
use crate::upstream::is_key;
use crate::upstream::queue::Place;

/// What an attempt owns until its end.
#[derive(Debug, Default)]
pub struct Held {
    /// What its endpoint is judged by.
    pub ticket: Option<Ticket>,
    /// Its place before the endpoint, where there is a line: free for the next when the answer has come to its end.
    pub place: Option<Place>,
    /// How it waited for that.
    pub queued: Option<Waited>,
    /// Whether its request was sent a second time.
    pub resent: bool,
}

// === impl Held ===

impl Held {
    /// What an attempt owns that has leave to be made.
    pub(super) fn of(ticket: Ticket) -> Self {
        Self { ticket: Some(ticket), ..Self::default() }
    }

    /// Counts the time from now: the attempt waits no longer for anything but its endpoint.
    pub(super) fn begins(&mut self) {
        if let Some(ticket) = &mut self.ticket {
            ticket.began(Duration::ZERO);
        }
    }

    /// Tells the endpoint's judge how the attempt went up to the commit point. An answer that may be passed on is judged
    /// at its end.
    pub(super) fn judge<N: Connection>(&mut self, x: &Exchange, result: &Result<Committed<N>, Error>) {
        let Some(ticket) = &mut self.ticket else { return };
        match result {
            Ok(response) => {
                // Without a key of its own, an endpoint's limits are those of the client that was asked for.
                let shared = || {
                    let by_client = || x.request.lock().head.headers.keys().any(|name| is_key(name.as_str()));
                    response.endpoint.has_key() || !by_client()
                };
                if let Some(asked) = response.asked {
                    ticket.began(asked.elapsed());
                }
                ticket.heard(response.status, &response.head.headers, shared);
                match &response.early_error {
                    Some(error) => self.failed(error),
                    None => self.ticket = self.ticket.take().and_then(|ticket| ticket.judged(response.status)),
                }
            }
            Err(error) => self.failed(error),
        }
    }

    /// Ends the attempt with an error.
    pub fn failed(&mut self, error: &Error) {
        if let Some(ticket) = self.ticket.take() {
            ticket.failed(error);
        }
    }

    /// Ends the attempt with an answer that was passed on to its end, of so many tokens.
    pub fn served(&mut self, tokens: Option<u64>) {
        if let Some(ticket) = self.ticket.take() {
            ticket.served(tokens);
        }
    }
}
