//! `ctx`: what a hook knows of its exchange beyond the message, and what it keeps between hooks.

use std::sync::Arc;

use mlua::{Function, Lua, MetaMethod, Table, UserData, UserDataFields, UserDataMethods, Value};
use tokio::time::Instant;

use super::tools::now;
use super::unknown_field;
use crate::dialect::Dialect;
use crate::exchange::decision::Identity;
use crate::policy::run::RunState;

/// The context of one policy in one exchange, or in background work.
pub(in crate::policy) struct Ctx {
    /// The exchange; `None` in background work.
    run: Option<Arc<RunState>>,
    mount: usize,
}

/// The fields and methods.
pub(in crate::policy) const FIELDS: [&str; 14] = [
    "id",
    "user",
    "client",
    "session",
    "agent",
    "evidence",
    "vars",
    "shared",
    "now",
    "generation",
    "dialect",
    "client_ip",
    "remaining",
    "after_response",
];

/// Pieces of work that one exchange can leave for after its response.
const MOST_WORK: usize = 16;

// === impl Ctx ===

impl Ctx {
    /// The context of a policy.
    pub(in crate::policy) fn new(run: Option<&Arc<RunState>>, mount: usize) -> Self {
        Self { run: run.cloned(), mount }
    }

    fn identity(&self, field: impl Fn(&Identity) -> &Option<String>) -> Option<String> {
        self.run.as_ref().and_then(|run| field(&run.identity.lock()).clone())
    }

    fn vars(&self, lua: &Lua) -> mlua::Result<Table> {
        match &self.run {
            Some(run) => run.vars(lua, self.mount),
            None => lua.create_table(),
        }
    }

    fn shared(&self, lua: &Lua) -> mlua::Result<Table> {
        let Some(run) = &self.run else { return lua.create_table() };
        let mut shared = run.shared.lock();
        match &*shared {
            Some(table) => Ok(table.clone()),
            None => Ok(shared.insert(lua.create_table()?).clone()),
        }
    }

    fn after_response(&self, work: Function) -> mlua::Result<()> {
        let Some(run) = &self.run else {
            return Err(mlua::Error::runtime("ctx:after_response(): background work has no response"));
        };
        let mut after = run.after.lock();
        if after.len() >= MOST_WORK {
            return Err(mlua::Error::runtime(format!("ctx:after_response(): at most {MOST_WORK} for one exchange")));
        }
        after.push((self.mount, work));
        Ok(())
    }

    /// Seconds until the exchange's deadline; infinite without one.
    fn remaining(&self) -> f64 {
        let Some((run, deadline)) = self.run.as_ref().and_then(|run| Some((run, run.facts.deadline?))) else {
            return f64::INFINITY;
        };
        let left = || deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        run.facts.tape.ask(|| "ctx.remaining".to_owned(), left)
    }
}

impl UserData for Ctx {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("id", |_, this| Ok(this.run.as_ref().map(|run| run.facts.id.clone())));
        fields.add_field_method_get("user", |_, this| Ok(this.identity(|identity| &identity.user)));
        fields.add_field_method_get("client", |_, this| Ok(this.identity(|identity| &identity.client)));
        fields.add_field_method_get("session", |_, this| Ok(this.identity(|identity| &identity.session)));
        fields.add_field_method_get("agent", |_, this| Ok(this.identity(|identity| &identity.agent)));
        fields.add_field_method_get("evidence", |_, this| Ok(this.identity(|identity| &identity.evidence)));
        fields.add_field_method_get("vars", |lua, this| this.vars(lua));
        fields.add_field_method_get("shared", |lua, this| this.shared(lua));
        fields.add_field_method_get("now", |lua, _| now(lua, "ctx.now"));
        fields.add_field_method_get("generation", |_, this| {
            Ok(this.run.as_ref().map(|run| run.facts.generation.clone()))
        });
        fields.add_field_method_get("dialect", |_, this| {
            Ok(this.run.as_ref().and_then(|run| run.facts.dialect).map(Dialect::as_str))
        });
        fields.add_field_method_get("client_ip", |_, this| {
            Ok(this.run.as_ref().map(|run| run.facts.client_ip.to_string()))
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("remaining", |_, this, ()| Ok(this.remaining()));
        methods.add_method("after_response", |_, this, work: Function| this.after_response(work));
        methods.add_meta_method(MetaMethod::Index, |_, _, key: Value| -> mlua::Result<()> {
            Err(unknown_field("ctx", &FIELDS, &key))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("ctx"));
    }
}
