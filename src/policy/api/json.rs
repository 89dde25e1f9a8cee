//! `json`: JSON in and out of Lua values. Tables are written with sorted keys, views byte for byte.

use std::sync::Arc;

use bytes::Bytes;
use mlua::{Lua, LuaSerdeExt, LuaString, Table, Value};
use parking_lot::Mutex;
use serde_json::Value as Json;

use super::view::{Source, View, place, scalar};
use super::{failed, number};
use crate::json::{Doc, Fragment, Item, MAX_DEPTH, validate};
use crate::policy::host::Host;

/// The longest text that a value may become: views can stand in a table more than once.
const LONGEST: usize = 32 * 1024 * 1024;

/// The table `json`.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("null", Value::NULL)?;
    table.raw_set("encode", lua.create_function(|lua, value: Value| lua.create_string(encode(lua, &value)?))?)?;
    table.raw_set("decode", lua.create_function(|lua, text: LuaString| decode(lua, &text))?)?;
    table.raw_set("copy", lua.create_function(|lua, value: Value| copy(lua, &value, 0))?)?;
    table.raw_set("keys", lua.create_function(|_, value: Value| view(&value, "json.keys", View::keys))?)?;
    table.raw_set(
        "append",
        lua.create_function(|lua, (array, value): (Value, Value)| {
            view(&array, "json.append", |view| view.insert(lua, None, &value))
        })?,
    )?;
    table.raw_set(
        "insert",
        lua.create_function(|lua, (array, index, value): (Value, f64, Value)| {
            view(&array, "json.insert", |view| view.insert(lua, Some(index_of(index)?), &value))
        })?,
    )?;
    table.raw_set(
        "remove",
        lua.create_function(|lua, (array, index): (Value, Option<f64>)| {
            view(&array, "json.remove", |view| view.remove(lua, index.map(index_of).transpose()?))
        })?,
    )?;
    table.raw_set(
        "digits",
        lua.create_function(|_, (object, key): (Value, String)| {
            view(&object, "json.digits", |view| view.digits(&key))
        })?,
    )?;
    table.raw_set("is_null", lua.create_function(|_, (value, key): (Value, Value)| is_null(&value, &key))?)?;
    table.raw_set("is_array", lua.create_function(|lua, value: Value| Ok(is_array(lua, &value)))?)?;
    table.raw_set("array", lua.create_function(|lua, items: Option<Table>| array(lua, items))?)?;
    Ok(table)
}

fn index_of(index: f64) -> mlua::Result<usize> {
    place(index).ok_or_else(|| mlua::Error::runtime("an index into JSON is a whole number from 1"))
}

fn view<R>(value: &Value, what: &str, use_it: impl FnOnce(&View) -> mlua::Result<R>) -> mlua::Result<R> {
    let data = value.as_userdata().and_then(|data| data.borrow::<View>().ok());
    let Some(view) = data else {
        let kind = super::kind(value);
        return Err(mlua::Error::runtime(format!("{what} takes a JSON view, such as req:json() returns, not {kind}")));
    };
    use_it(&view)
}

/// A table that is written as an array, even when it is empty.
fn array(lua: &Lua, items: Option<Table>) -> mlua::Result<Table> {
    let items = match items {
        Some(items) => items,
        None => lua.create_table()?,
    };
    items.set_metatable(Some(lua.array_metatable()))?;
    Ok(items)
}

fn is_array(lua: &Lua, value: &Value) -> bool {
    match value {
        Value::UserData(data) => data.borrow::<View>().is_ok_and(|view| view.array),
        Value::Table(table) => {
            table.raw_len() > 0 || table.metatable().is_some_and(|meta| meta == lua.array_metatable())
        }
        _ => false,
    }
}

/// Whether a value, or the key of a view, is JSON's null: plain reading cannot tell it from nothing.
fn is_null(value: &Value, key: &Value) -> mlua::Result<bool> {
    match (value, key) {
        (Value::UserData(data), Value::String(key)) if data.is::<View>() => {
            data.borrow::<View>()?.has_null(&key.to_str()?)
        }
        (Value::UserData(data), index) if data.is::<View>() => match number(index).and_then(place) {
            Some(index) => data.borrow::<View>()?.has_null_at(index),
            None => Ok(false),
        },
        _ => Ok(value.is_null()),
    }
}

/// `json.decode`: a view, or a plain value; `nil` and why when the text is not JSON.
fn decode(lua: &Lua, text: &LuaString) -> mlua::Result<(Value, Value)> {
    let bytes = Bytes::copy_from_slice(&text.as_bytes());
    let limits = Host::of(lua)?.limits.json;
    let parsed = validate(&bytes, limits).and_then(|()| Doc::parse(bytes, limits));
    let doc = match parsed {
        Ok(doc) => doc,
        Err(error) => return failed(lua, "bad_json", &error.to_string()),
    };
    let (node, array) = match doc.root() {
        Ok(Item::Object(node)) => (node, false),
        Ok(Item::Array(node)) => (node, true),
        Ok(item) => return Ok((scalar(lua, item)?, Value::Nil)),
        Err(error) => return failed(lua, "bad_json", &error.to_string()),
    };
    let source = Source::Own(Arc::new(Mutex::new(doc)));
    let view = lua.create_any_userdata(View { source, node, array })?;
    Ok((Value::UserData(view), Value::Nil))
}

/// A view as tables, for policies that want to walk or change them freely. Nulls become `json.null`.
fn copy(lua: &Lua, value: &Value, depth: usize) -> mlua::Result<Value> {
    let Value::UserData(data) = value else { return Ok(value.clone()) };
    let Ok(view) = data.borrow::<View>() else { return Ok(value.clone()) };
    if depth > MAX_DEPTH {
        return Err(mlua::Error::runtime("json.copy: nested too deep"));
    }
    let table = lua.create_table()?;
    if view.array {
        for index in 1..=view.len()? {
            let item = view.at(lua, f64::from(u32::try_from(index).unwrap_or(u32::MAX)))?;
            table.raw_set(index, if item.is_nil() { Value::NULL } else { copy(lua, &item, depth + 1)? })?;
        }
        return array(lua, Some(table)).map(Value::Table);
    }
    for key in view.keys()? {
        let item = view.get(lua, &key)?;
        table.raw_set(key, if item.is_nil() { Value::NULL } else { copy(lua, &item, depth + 1)? })?;
    }
    Ok(Value::Table(table))
}

/// A value to splice into a document.
pub(super) fn fragment(lua: &Lua, value: &Value) -> mlua::Result<Fragment> {
    let wrong = |error: crate::json::JsonError| mlua::Error::runtime(format!("JSON: {error}"));
    match value {
        Value::Boolean(value) => Ok(Fragment::from(*value)),
        Value::Integer(value) => Ok(Fragment::from(*value)),
        Value::Number(value) => Fragment::try_from(*value).map_err(wrong),
        Value::String(text) => Ok(Fragment::from(&*text.to_str()?)),
        value if value.is_null() => Ok(Fragment::null()),
        value => Fragment::parse(&encode(lua, value)?).map_err(wrong),
    }
}

/// A value as JSON text.
pub(in crate::policy) fn encode(lua: &Lua, value: &Value) -> mlua::Result<Bytes> {
    let mut out = Vec::new();
    write(lua, value, &mut out, 0)?;
    Ok(Bytes::from(out))
}

fn write(lua: &Lua, value: &Value, out: &mut Vec<u8>, depth: usize) -> mlua::Result<()> {
    if depth > MAX_DEPTH || out.len() > LONGEST {
        return Err(mlua::Error::runtime("JSON: nested too deep, or too large (a table that holds itself?)"));
    }
    match value {
        Value::Table(table) if is_array(lua, value) => write_array(lua, table, out, depth),
        Value::Table(table) => write_object(lua, table, out, depth),
        Value::UserData(data) if data.is::<View>() => {
            out.extend_from_slice(&data.borrow::<View>()?.bytes()?);
            Ok(())
        }
        Value::Nil
        | Value::Boolean(_)
        | Value::Integer(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::LightUserData(_) => {
            let scalar = if value.is_nil() { Fragment::null() } else { scalar_fragment(value)? };
            out.extend_from_slice(scalar.bytes());
            Ok(())
        }
        other => Err(mlua::Error::runtime(format!("a {} cannot be written as JSON", super::kind(other)))),
    }
}

fn scalar_fragment(value: &Value) -> mlua::Result<Fragment> {
    match value {
        Value::Boolean(value) => Ok(Fragment::from(*value)),
        Value::Integer(value) => Ok(Fragment::from(*value)),
        Value::Number(value) => {
            Fragment::try_from(*value).map_err(|error| mlua::Error::runtime(format!("JSON: {error}")))
        }
        Value::String(text) => Ok(Fragment::from(&*text.to_str()?)),
        _ => Ok(Fragment::null()),
    }
}

fn write_array(lua: &Lua, table: &Table, out: &mut Vec<u8>, depth: usize) -> mlua::Result<()> {
    let mut entries = 0;
    table.for_each(|_: Value, _: Value| {
        entries += 1;
        Ok(())
    })?;
    if entries != table.raw_len() {
        return Err(mlua::Error::runtime(
            "a table with a list and with names, or with holes, cannot be written as JSON",
        ));
    }
    out.push(b'[');
    for index in 1..=table.raw_len() {
        if index > 1 {
            out.push(b',');
        }
        write(lua, &table.raw_get(index)?, out, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}

fn write_object(lua: &Lua, table: &Table, out: &mut Vec<u8>, depth: usize) -> mlua::Result<()> {
    let mut entries: Vec<(String, Value)> = Vec::new();
    table.for_each(|key: Value, value: Value| {
        let Value::String(key) = key else {
            return Err(mlua::Error::runtime("keys of a JSON object are strings"));
        };
        entries.push((key.to_str()?.to_owned(), value));
        Ok(())
    })?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    out.push(b'{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(Fragment::from(key.as_str()).bytes());
        out.push(b':');
        write(lua, value, out, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

/// A Lua value as plain data, for what leaves the VM.
pub(in crate::policy) fn from_lua(lua: &Lua, value: &Value) -> mlua::Result<Json> {
    serde_json::from_slice(&encode(lua, value)?).map_err(|error| mlua::Error::runtime(format!("JSON: {error}")))
}

/// Plain data as a Lua value; null becomes nil, and in a list `json.null`.
pub(in crate::policy) fn to_lua(lua: &Lua, value: &Json) -> mlua::Result<Value> {
    match value {
        Json::Null => Ok(Value::Nil),
        Json::Bool(value) => Ok(Value::Boolean(*value)),
        Json::Number(number) => Ok(Value::Number(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => lua.create_string(text).map(Value::String),
        Json::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(if item.is_null() { Value::NULL } else { to_lua(lua, item)? })?;
            }
            array(lua, Some(table)).map(Value::Table)
        }
        Json::Object(members) => {
            let table = lua.create_table_with_capacity(0, members.len())?;
            for (name, member) in members {
                table.raw_set(name.as_str(), to_lua(lua, member)?)?;
            }
            Ok(Value::Table(table))
        }
    }
}

/// JSON with the keys of objects sorted, so that two ways to write the same request are one cache key. What serde cannot
/// read, such as 1e400, stays as it is written.
pub(in crate::policy) fn canonical(text: &Bytes) -> String {
    match serde_json::from_slice::<Json>(text) {
        Ok(mut value) => {
            value.sort_all_objects();
            value.to_string()
        }
        Err(_) => String::from_utf8_lossy(text).into_owned(),
    }
}
