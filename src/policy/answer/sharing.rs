//! Reads how a cache rule wants an answer to serve more than one call.

use mlua::Value;

use super::Fields;
use crate::exchange::decision::{Pace, Sharing};
use crate::policy::api::number;
use crate::policy::failure::Failure;

/// How many events a second a stored stream may be told at.
const RATES: std::ops::RangeInclusive<f64> = 0.01..=1e6;

// === impl Fields ===

impl Fields<'_> {
    /// How an answer serves more than one call; `neutral` says that its key is in no dialect's words.
    pub(super) fn sharing(&self, neutral: bool) -> Result<Sharing, Failure> {
        let pace = match self.value("pace") {
            Value::Nil => Pace::Instant,
            Value::String(word) if *word == "instant" => Pace::Instant,
            Value::String(word) if *word == "recorded" => Pace::Recorded,
            value => match number(value) {
                Some(rate) if RATES.contains(&rate) => Pace::Rate(rate),
                _ => return Err(self.wrong("pace", "\"instant\", \"recorded\" or a number of events a second")),
            },
        };
        let outlive = match self.text("fill")?.as_deref() {
            None | Some("wanted") => false,
            Some("finish") => true,
            Some(_) => return Err(self.wrong("fill", "\"wanted\" or \"finish\"")),
        };
        let any_dialect = match self.text("dialects")?.as_deref() {
            None => neutral,
            Some("own") => false,
            Some("any") => true,
            Some(_) => return Err(self.wrong("dialects", "\"own\" or \"any\"")),
        };
        Ok(Sharing { join: self.get::<Option<bool>>("join")?.unwrap_or(true), pace, outlive, any_dialect })
    }
}
