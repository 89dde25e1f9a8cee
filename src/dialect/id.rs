//! Ids that a dialect demands and another does not have, made so that the same exchange makes the same ids.

use std::collections::VecDeque;

/// Makes ids of one answer from the exchange's own, so that a case replays them.
#[derive(Clone, Debug)]
pub struct Ids {
    /// What all ids of the answer have in common: the hash of the request's id.
    stem: String,
    /// How many were made.
    made: u32,
    /// Ids that exist already, in the order they are wanted again.
    given: VecDeque<String>,
}

// === impl Ids ===

impl Ids {
    /// Ids of the exchange with this id.
    pub fn new(exchange: &str) -> Self {
        let stem = blake3::hash(exchange.as_bytes()).to_hex();
        Self { stem: stem.as_str()[..20].to_owned(), made: 0, given: VecDeque::new() }
    }

    /// Ids that give these first, to the parts of an answer that has them already.
    #[must_use]
    pub fn with_given(mut self, given: Vec<String>) -> Self {
        self.given = given.into();
        self
    }

    /// The next id with a prefix, such as `call_` or `toolu_`: the prefix and 24 characters of `[0-9a-f]`, as makers'
    /// own ids look.
    pub fn next(&mut self, prefix: &str) -> String {
        if let Some(given) = self.given.pop_front() {
            return given;
        }
        let id = format!("{prefix}{}{:04x}", self.stem, self.made);
        self.made += 1;
        id
    }
}
