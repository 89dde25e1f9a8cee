//! What an exchange took from outside itself, in order, so that it can be played again as it was.

use serde_json::Value;

/// Something that was asked for outside the exchange, and the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// What was asked: the function and its arguments, such as `store.get policy:quota alice`.
    pub what: String,
    /// The answer.
    pub value: Value,
}
