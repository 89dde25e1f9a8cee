//! Answers that policies make: `respond { … }`, `reject { … }` and `drop`.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use mlua::{Lua, MetaMethod, Table, UserData, UserDataMethods, Value};

use super::json::encode;
use super::{headers, known_keys};
use crate::error::{Error, Kind};
use crate::exchange::decision::{Answer, Place};
use crate::policy::failure::Raised;
use crate::policy::place::Spot;

/// What `respond { … }` returns.
pub(in crate::policy) struct Respond(pub(in crate::policy) Answer);

/// What `on_event` returns to leave an event out.
pub(in crate::policy) struct Drop;

impl UserData for Respond {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(format!("respond {}", this.0.status)));
    }
}

impl UserData for Drop {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok("drop"));
    }
}

/// The function `respond`.
pub(super) fn respond(lua: &Lua, table: &Table) -> mlua::Result<Respond> {
    known_keys(table, "respond", &["status", "headers", "json", "text"])?;
    let status = status("respond", table, 200)?;
    let mut headers = headers(table.raw_get::<Option<Table>>("headers")?.as_ref())?;
    let json: Value = table.raw_get("json")?;
    let text: Option<mlua::LuaString> = table.raw_get("text")?;
    let (body, kind) = match (text, json.is_nil()) {
        (Some(_), false) => return Err(mlua::Error::runtime("respond: either `json` or `text`, not both")),
        (Some(text), true) => (Bytes::copy_from_slice(&text.as_bytes()), "text/plain; charset=utf-8"),
        (None, false) => (encode(lua, &json)?, "application/json"),
        (None, true) => (Bytes::new(), ""),
    };
    if !kind.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.insert(0, ("content-type".to_owned(), kind.to_owned()));
    }
    let made_by = Place(Spot::here(lua).map(|spot| spot.to_string()).unwrap_or_default());
    Ok(Respond(Answer { status, headers, body, made_by }))
}

/// The function `reject`: raises an error that the client is told in its own dialect.
pub(super) fn reject(lua: &Lua, table: &Table) -> mlua::Result<()> {
    known_keys(table, "reject", &["status", "code", "message"])?;
    let status = status("reject", table, 403)?;
    if status < 400 {
        return Err(mlua::Error::runtime("reject: the status must be 400 to 599"));
    }
    let message = table.raw_get::<Option<String>>("message")?.unwrap_or_else(|| "the request was rejected".to_owned());
    let code = table.raw_get::<Option<String>>("code")?.unwrap_or_else(|| "rejected".to_owned());
    let place = Spot::here(lua).map(|spot| format!(" at {spot}")).unwrap_or_default();
    let error = Error::client(Kind::Rejected, status, message).with_detail(format!("{code}{place}")).with_code(code);
    Err(Raised::Told(error).into())
}

fn status(what: &str, table: &Table, default: u16) -> mlua::Result<u16> {
    let wrong = || mlua::Error::runtime(format!("{what}: the status must be a whole number from 200 to 599"));
    let status = table.raw_get::<Option<u16>>("status").map_err(|_| wrong())?.unwrap_or(default);
    if (200..600).contains(&status) { Ok(status) } else { Err(wrong()) }
}

/// Headers as a table: a name with one value or a list of them. Sorted by name, as Lua's tables have no order.
fn headers(table: Option<&Table>) -> mlua::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for pair in table.into_iter().flat_map(Table::pairs::<String, Value>) {
        let (name, value) = pair?;
        let values: Vec<Value> = match value {
            Value::Table(list) => list.sequence_values().collect::<mlua::Result<_>>()?,
            one => vec![one],
        };
        for value in values {
            headers.push(header(&name, &value)?);
        }
    }
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(headers)
}

fn header(name: &str, value: &Value) -> mlua::Result<(String, String)> {
    headers::refuse_framing(name, false)?;
    let text = match value {
        Value::String(text) => text.to_str()?.to_owned(),
        Value::Number(_) | Value::Integer(_) => value.to_string()?,
        other => {
            return Err(mlua::Error::runtime(format!(
                "header {name}: the value must be a string, not {}",
                super::kind(other)
            )));
        }
    };
    if HeaderName::from_bytes(name.as_bytes()).is_err() || HeaderValue::from_str(&text).is_err() {
        return Err(mlua::Error::runtime(format!("header {name}: not a valid header")));
    }
    Ok((name.to_owned(), text))
}
