//! Reads what a cache rule says of HTTP's own rules.

use super::{Fields, Reading};
use crate::cache::http::Rule;
use crate::policy::failure::Failure;

/// What a cache rule may say.
pub(super) const KEYS: &[&str] = &[
    "key",
    "ttl",
    "scope",
    "read",
    "write",
    "texts",
    "join",
    "pace",
    "fill",
    "dialects",
    "tags",
    "stale",
    "http",
    "heuristic",
    "surrogate",
];

/// What HTTP says itself, or has no meaning there.
const OTHERS: [&str; 7] = ["ttl", "texts", "join", "pace", "fill", "dialects", "stale"];

impl Reading<'_> {
    /// What a policy says of caching by RFC 9111; `None` when it does not want it.
    pub(super) fn http(&self, fields: &Fields<'_>) -> Result<Option<Rule>, Failure> {
        let said = |key| fields.get::<Option<bool>>(key);
        let (heuristic, surrogate) = (said("heuristic")?, said("surrogate")?);
        if said("http")?.unwrap_or_default() {
            if let Some(key) = OTHERS.into_iter().find(|key| !fields.value(key).is_nil()) {
                return Err(
                    self.misuse(format_args!("returned a cache rule with `http` and `{key}`: HTTP says it itself"))
                );
            }
            let (heuristic, surrogate) = (heuristic.unwrap_or(true), surrogate.unwrap_or(true));
            return Ok(Some(Rule { heuristic, surrogate }));
        }
        match heuristic.or(surrogate) {
            None => Ok(None),
            Some(_) => Err(self.misuse("returned a cache rule with `heuristic` or `surrogate` and without `http`")),
        }
    }
}
