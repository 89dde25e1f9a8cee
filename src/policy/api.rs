//! What policies can call: the globals, and the types of the objects that hooks are given. `api.d.luau` types it all.

use mlua::{IntoLua, Lua, Table, UserData, Value};

use super::host::Host;
use super::{load, modules, params};

pub(super) mod answer;
pub(super) mod ctx;
pub(super) mod event;
pub(super) mod headers;
pub(super) mod json;
pub(super) mod message;
pub(super) mod parts;
pub(super) mod policy;
pub(super) mod regex;
pub(super) mod request;
pub(super) mod response;
pub(super) mod secret;
pub(super) mod state;
pub(super) mod tools;
pub(super) mod upstream;
pub(super) mod view;

/// Makes every function and every type, before the sandbox is closed: some cannot be made afterwards.
pub(super) fn install(lua: &Lua) -> mlua::Result<()> {
    types(lua)?;
    let draw = lua.create_function(|lua, ()| tools::random(lua))?;
    load::prelude(lua)?.call::<()>(draw.clone())?;
    let globals = lua.globals();
    globals.raw_set("random", draw)?;
    globals.raw_set("policy", lua.create_function(policy::policy)?)?;
    globals.raw_set("params", lua.create_function(|lua, table: Table| params::params(lua, &table))?)?;
    globals.raw_set("param", params::constructors(lua)?)?;
    globals.raw_set("parts", lua.create_function(|lua, options: Table| parts::Reader::new(lua, &options))?)?;
    globals.raw_set("require", lua.create_function(|lua, path: String| modules::require(lua, &path))?)?;
    globals.raw_set("respond", lua.create_function(|lua, table: Table| answer::respond(lua, &table))?)?;
    globals.raw_set("reject", lua.create_function(|lua, table: Table| answer::reject(lua, &table))?)?;
    globals.raw_set("drop", lua.create_userdata(answer::Drop)?)?;
    globals
        .raw_set("secret", lua.create_function(|lua, name: String| secret::Secret::named(&*Host::of(lua)?, &name))?)?;
    globals.raw_set("json", json::table(lua)?)?;
    globals.raw_set("store", lua.create_userdata(state::Namespace::own())?)?;
    globals.raw_set("limit", state::limit(lua)?)?;
    globals.raw_set("upstream", upstream::upstream(lua)?)?;
    globals.raw_set("http", upstream::http(lua)?)?;
    globals.raw_set("regex", regex::table(lua)?)?;
    globals.raw_set("log", tools::log(lua)?)?;
    globals.raw_set("hash", tools::hash(lua)?)?;
    globals.raw_set("clock", tools::clock(lua)?)
}

/// Registers the types whose objects are made later, in hooks.
fn types(lua: &Lua) -> mlua::Result<()> {
    request::register(lua)?;
    response::register(lua)?;
    lua.register_userdata_type::<headers::Headers>(UserData::register)?;
    lua.register_userdata_type::<event::Ev>(UserData::register)?;
    lua.register_userdata_type::<event::ToolOf>(UserData::register)?;
    lua.register_userdata_type::<view::View>(UserData::register)?;
    lua.register_userdata_type::<parts::KeyParts>(UserData::register)?;
    lua.register_userdata_type::<parts::Reader>(UserData::register)?;
    lua.register_userdata_type::<ctx::Ctx>(UserData::register)
}

/// The error for a field that an object does not have: a typo must not read as nil.
pub(super) fn unknown_field(object: &str, known: &[&str], key: &Value) -> mlua::Error {
    let key = key.as_string().map_or_else(|| kind(key).to_owned(), mlua::LuaString::to_string_lossy);
    let near = super::answer::nearest(&key, known);
    mlua::Error::runtime(format!("{object} has no field `{key}`{near}"))
}

/// A table of options, refused when it holds a key that is not known.
pub(super) fn known_keys(table: &Table, what: &str, known: &[&str]) -> mlua::Result<()> {
    table.for_each(|key: Value, _: Value| {
        let name = key.as_string().map(mlua::LuaString::to_string_lossy).unwrap_or_default();
        if known.contains(&name.as_str()) {
            return Ok(());
        }
        let near = super::answer::nearest(&name, known);
        Err(mlua::Error::runtime(format!("{what}: unknown key `{name}`{near}")))
    })
}

/// A number, which mlua hands over in one of two kinds.
#[expect(clippy::cast_precision_loss, reason = "Luau's numbers are doubles to begin with")]
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Integer(whole) => Some(*whole as f64),
        _ => None,
    }
}

/// What a policy's author calls the type of a value.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        value => value.type_name(),
    }
}

/// Seconds given by a policy, as a duration.
pub(super) fn seconds(what: &str, value: Option<f64>) -> mlua::Result<Option<std::time::Duration>> {
    match value {
        None => Ok(None),
        Some(value) => match std::time::Duration::try_from_secs_f64(value) {
            Ok(duration) if value <= 3.2e9 => Ok(Some(duration)),
            _ => Err(mlua::Error::runtime(format!("{what} must be a number of seconds"))),
        },
    }
}

/// `nil, { code =, message = }`: an expected failure.
pub(super) fn failed(lua: &Lua, code: &str, message: &str) -> mlua::Result<(Value, Value)> {
    let error = lua.create_table_from([("code", code), ("message", message)])?;
    Ok((Value::Nil, error.into_lua(lua)?))
}
