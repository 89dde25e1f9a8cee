//! Small things: `log`, `hash`, `clock` and random numbers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlua::{Lua, LuaString, Table, Value};
use serde_json::{Map, Value as Json};

use super::json::from_lua;
use crate::policy::host::Host;
use crate::policy::services::{LogLevel, LogLine};

/// The longest message of a log line, in bytes.
const LONGEST_MESSAGE: usize = 8 * 1024;

/// The table `log`.
pub(super) fn log(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for level in [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error] {
        let function = lua.create_function(move |lua, (message, fields): (LuaString, Option<Table>)| {
            say(lua, level, &message, fields.as_ref())
        })?;
        table.raw_set(level.as_str(), function)?;
    }
    Ok(table)
}

fn say(lua: &Lua, level: LogLevel, message: &LuaString, fields: Option<&Table>) -> mlua::Result<()> {
    let host = Host::of(lua)?;
    let mut message = message.to_string_lossy();
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    let mut given = Map::new();
    for pair in fields.into_iter().flat_map(Table::pairs::<String, Value>) {
        let (name, value) = pair?;
        given.insert(name, field(lua, &value)?);
    }
    given.sort_keys();
    host.services("log")?.log(LogLine {
        level,
        policy: host.policy(),
        request_id: host.run().map(|run| run.facts.id.clone()),
        message,
        fields: given,
    });
    Ok(())
}

/// A field's value. What is not data, such as a secret, is written as it prints itself.
fn field(lua: &Lua, value: &Value) -> mlua::Result<Json> {
    match from_lua(lua, value) {
        Ok(json) => Ok(json),
        Err(_) => value.to_string().map(Json::String),
    }
}

/// The table `hash`.
pub(super) fn hash(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let blake3 = lua.create_function(|_, text: LuaString| Ok(blake3::hash(&text.as_bytes()).to_hex().to_string()))?;
    table.raw_set("blake3", blake3)?;
    Ok(table)
}

/// The table `clock`.
pub(super) fn clock(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("now", lua.create_function(|lua, ()| now(lua, "clock.now"))?)?;
    table.raw_set(
        "monotonic",
        lua.create_function(|lua, ()| {
            let host = Host::of(lua)?;
            let clock = host.services("clock.monotonic")?.clock();
            Ok(host.ask(|| "clock.monotonic".to_owned(), || clock.elapsed().as_secs_f64()))
        })?,
    )?;
    table.raw_set(
        "parse_http_date",
        lua.create_function(|_, text: LuaString| {
            let date = httpdate::parse_http_date(&text.to_string_lossy()).ok();
            Ok(date
                .and_then(|date: SystemTime| date.duration_since(UNIX_EPOCH).ok())
                .map(|since: Duration| since.as_secs_f64()))
        })?,
    )?;
    Ok(table)
}

/// Wall time in seconds since 1970.
pub(super) fn now(lua: &Lua, what: &str) -> mlua::Result<f64> {
    let host = Host::of(lua)?;
    let clock = host.services(what)?.clock();
    Ok(host.ask(|| "clock.now".to_owned(), || clock.unix_seconds()))
}

/// A number from 0 to below 1, out of the exchange's own sequence: a case that is played again draws the same ones.
pub(super) fn random(lua: &Lua) -> mlua::Result<f64> {
    let host = Host::of(lua)?;
    let services = host.services("random")?;
    let Some(run) = host.run() else {
        return Ok(fastrand::Rng::with_seed(services.seed()).f64());
    };
    let seed = || run.facts.tape.ask(|| "seed".to_owned(), || services.seed());
    let mut random = run.random.lock();
    Ok(random.get_or_insert_with(|| fastrand::Rng::with_seed(seed())).f64())
}
