//! Reads how an answer may be kept, and for whom.

use mlua::Value;

use super::{Reading, http};
use crate::cache::parts::Parts;
use crate::exchange::decision::{CacheRule, Scope, Stale};
use crate::policy::failure::Failure;

impl Reading<'_> {
    /// What `cache` returned.
    pub(in crate::policy) fn cache(&self, value: &Value) -> Result<Option<CacheRule>, Failure> {
        let table = match value {
            Value::Nil => return Ok(None),
            Value::Table(table) => table,
            other => return Err(self.wrong(other, "nil, { key = { … }, ttl = … } or { http = true }")),
        };
        let fields = self.fields(table, "a cache rule", http::KEYS)?;
        let http = self.http(&fields)?;
        let ttl = match fields.seconds("ttl")? {
            None if http.is_none() => return Err(self.misuse("returned a cache rule without `ttl`")),
            ttl => ttl.unwrap_or_default(),
        };
        let scope = match fields.text("scope")?.as_deref() {
            // What HTTP lets a shared cache keep is for everybody.
            None if http.is_some() => Scope::Shared,
            None | Some("user") => Scope::User,
            Some("shared") => Scope::Shared,
            Some(_) => {
                return Err(self.misuse("returned a cache rule whose `scope` is neither \"user\" nor \"shared\""));
            }
        };
        let keyless = http.is_some() && fields.value("key").is_nil();
        let Parts { named: key, neutral, inputs } = if keyless { Parts::default() } else { fields.parts("key")? };
        Ok(Some(CacheRule {
            key,
            inputs,
            texts: fields.get::<Option<bool>>("texts")?.unwrap_or_default(),
            ttl,
            scope,
            read: fields.get::<Option<bool>>("read")?.unwrap_or(true),
            write: fields.get::<Option<bool>>("write")?.unwrap_or(true),
            http,
            sharing: fields.sharing(neutral)?,
            tags: fields.texts("tags")?,
            stale: self.stale(fields.value("stale"))?,
            decided_by: self.place(),
        }))
    }

    /// How long a stored response may serve after its time.
    fn stale(&self, value: &Value) -> Result<Stale, Failure> {
        let table = match value {
            Value::Nil => return Ok(Stale::default()),
            Value::Table(table) => table,
            other => return Err(self.wrong(other, "a cache rule with `stale = { while_revalidate =, if_error = }`")),
        };
        let fields = self.fields(table, "`stale`", &["while_revalidate", "if_error"])?;
        Ok(Stale {
            while_revalidate: fields.seconds("while_revalidate")?.unwrap_or_default(),
            if_error: fields.seconds("if_error")?.unwrap_or_default(),
        })
    }
}
