//! `store` and `limit`: state that outlives exchanges and generations.

use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, MetaMethod, Table, UserData, UserDataFields, UserDataMethods, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::json::{from_lua, to_lua};
use super::{known_keys, seconds};
use crate::policy::host::Host;
use crate::policy::services::Services;
use crate::state::{Rate, Refused, Store};

/// A namespace of the store.
pub(super) struct Namespace {
    /// The name that policies share it by; `None` for each policy's own.
    shared: Option<String>,
}

/// A value's place in the store, for one call of a policy.
struct At {
    host: Arc<Host>,
    services: Arc<dyn Services>,
    namespace: String,
    key: String,
}

/// The methods, for `api.d.luau`.
#[cfg(test)]
pub(in crate::policy) const METHODS: [&str; 7] = ["get", "set", "add", "incr", "cas", "delete", "shared"];

// === impl Namespace ===

impl Namespace {
    /// The running policy's own namespace.
    pub(super) fn own() -> Self {
        Self { shared: None }
    }

    fn named(&self, host: &Host) -> String {
        match &self.shared {
            Some(name) => format!("shared:{name}"),
            None => format!("policy:{}", host.policy()),
        }
    }
}

// === impl At ===

impl At {
    fn new(lua: &Lua, namespace: &Namespace, key: String) -> mlua::Result<Self> {
        let host = Host::of(lua)?;
        let services = Arc::clone(host.services("store")?);
        Ok(Self { namespace: namespace.named(&host), key, host, services })
    }

    /// Does something to the value; what comes of it is on the exchange's tape.
    fn ask<T: Serialize + DeserializeOwned>(&self, what: &str, act: impl FnOnce(&Store, &str, &str) -> T) -> T {
        let name = || format!("store.{what} {} {}", self.namespace, self.key);
        self.host.ask(name, || act(self.services.store(), &self.namespace, &self.key))
    }
}

/// `false, "full"` for a refusal, in place of the result.
fn told<T: Into<Value>>(result: Result<T, Refused>) -> (Value, Option<&'static str>) {
    match result {
        Ok(value) => (value.into(), None),
        Err(refused) => (Value::Boolean(false), Some(refused.as_str())),
    }
}

impl UserData for Namespace {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_function_get("shared", |lua, _| {
            lua.create_function(|_, name: String| Ok(Self { shared: Some(name) }))
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("get", |lua, this, key: String| {
            let at = At::new(lua, this, key)?;
            let value = at.ask("get", Store::get);
            value.map_or(Ok(Value::Nil), |value| to_lua(lua, &value))
        });
        methods.add_method("set", |lua, this, (key, value, ttl): (String, Value, Option<f64>)| {
            let (at, ttl) = (At::new(lua, this, key)?, seconds("ttl", ttl)?);
            if value.is_nil() {
                at.ask("delete", Store::delete);
                return Ok((Value::Boolean(true), None));
            }
            let value = from_lua(lua, &value)?;
            let set = at.ask("set", |store, ns, key| store.set(ns, key, value, ttl));
            Ok(told(set.map(|()| Value::Boolean(true))))
        });
        methods.add_method("add", |lua, this, (key, value, ttl): (String, Value, Option<f64>)| {
            let (at, ttl, value) = (At::new(lua, this, key)?, seconds("ttl", ttl)?, from_lua(lua, &value)?);
            Ok(told(at.ask("add", |store, ns, key| store.add(ns, key, value, ttl)).map(Value::Boolean)))
        });
        methods.add_method("incr", |lua, this, (key, by, ttl): (String, Option<f64>, Option<f64>)| {
            let (at, ttl) = (At::new(lua, this, key)?, seconds("ttl", ttl)?);
            let sum = at.ask("incr", |store, ns, key| store.incr(ns, key, by.unwrap_or(1.0), ttl));
            Ok(match sum {
                Ok(sum) => (Value::Number(sum), None),
                Err(refused) => (Value::Nil, Some(refused.as_str())),
            })
        });
        methods.add_method("cas", |lua, this, (key, old, new, ttl): (String, Value, Value, Option<f64>)| {
            let (at, ttl) = (At::new(lua, this, key)?, seconds("ttl", ttl)?);
            let plain = |value: &Value| if value.is_nil() { Ok(None) } else { from_lua(lua, value).map(Some) };
            let (old, new) = (plain(&old)?, plain(&new)?);
            let set = at.ask("cas", |store, ns, key| store.cas(ns, key, old.as_ref(), new, ttl));
            Ok(told(set.map(Value::Boolean)))
        });
        methods
            .add_method("delete", |lua, this, key: String| Ok(At::new(lua, this, key)?.ask("delete", Store::delete)));
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("store"));
    }
}

/// The table `limit`.
pub(super) fn limit(lua: &Lua) -> mlua::Result<Table> {
    let take = lua.create_function(|lua, (key, options): (String, Table)| {
        known_keys(&options, "limit.take", &["rate", "per", "burst", "cost"])?;
        let number = |name: &str| options.raw_get::<Option<f64>>(name);
        let (Some(rate), Some(per)) = (number("rate")?, seconds("per", number("per")?)?) else {
            return Err(mlua::Error::runtime(
                "limit.take(key, { rate =, per = seconds, burst =, cost = }): rate and per are needed",
            ));
        };
        let (burst, cost) = (number("burst")?.unwrap_or(rate), number("cost")?.unwrap_or(1.0));
        if !(rate > 0.0 && burst > 0.0 && cost >= 0.0) || per == Duration::ZERO {
            return Err(mlua::Error::runtime("limit.take: rate, per and burst must be above 0, and cost not below"));
        }
        let host = Host::of(lua)?;
        let services: &Arc<dyn Services> = host.services("limit.take")?;
        let key = format!("{}:{key}", host.policy());
        let rate = Rate { rate, per, burst, cost };
        let taken = host.ask(|| format!("limit.take {key} {cost}"), || services.limiter().take(&key, rate));
        let result = lua.create_table_with_capacity(0, 3)?;
        result.raw_set("ok", taken.ok)?;
        result.raw_set("remaining", taken.remaining)?;
        result.raw_set("retry_after", taken.retry_after.as_secs_f64())?;
        Ok(result)
    })?;
    let table = lua.create_table()?;
    table.raw_set("take", take)?;
    Ok(table)
}
