//! `regex`: the regex crate's patterns, whose running time is linear in the text, compiled once for each VM.

use std::collections::HashMap;

use mlua::{Lua, MultiValue, Table, Value};
use regex::bytes::{Regex, RegexBuilder};

use crate::policy::host::Host;

/// Compiled patterns by their text.
#[derive(Default)]
pub(in crate::policy) struct Patterns(HashMap<Box<str>, Regex>);

/// Patterns kept; past that all are forgotten, since a policy that makes patterns without end keeps none for long.
const KEPT: usize = 256;

/// Bytes that a compiled pattern may take.
const SIZE: usize = 1024 * 1024;

// === impl Patterns ===

impl Patterns {
    fn get(&mut self, pattern: &str) -> mlua::Result<Regex> {
        if let Some(regex) = self.0.get(pattern) {
            return Ok(regex.clone());
        }
        let built = RegexBuilder::new(pattern).size_limit(SIZE).dfa_size_limit(SIZE).build();
        let regex = built.map_err(|error| mlua::Error::runtime(format!("regex: {error}")))?;
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert(pattern.into(), regex.clone());
        Ok(regex)
    }
}

/// A pattern that is compiled once.
pub(super) fn compiled(lua: &Lua, pattern: &str) -> mlua::Result<Regex> {
    Host::of(lua)?.patterns.lock().get(pattern)
}

/// The table `regex`. Text comes before pattern, as in `string.find`.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "match",
        lua.create_function(|lua, (text, pattern): (mlua::LuaString, String)| {
            Ok(compiled(lua, &pattern)?.is_match(&text.as_bytes()))
        })?,
    )?;
    table.raw_set(
        "find",
        lua.create_function(|lua, (text, pattern): (mlua::LuaString, String)| {
            let found = compiled(lua, &pattern)?.find(&text.as_bytes()).map(|found| (found.start() + 1, found.end()));
            Ok(found.map_or((None, None), |(start, end)| (Some(start), Some(end))))
        })?,
    )?;
    table.raw_set(
        "captures",
        lua.create_function(|lua, (text, pattern): (mlua::LuaString, String)| captures(lua, &text, &pattern))?,
    )?;
    table.raw_set(
        "replace",
        lua.create_function(|lua, (text, pattern, with): (mlua::LuaString, String, mlua::LuaString)| {
            let regex = compiled(lua, &pattern)?;
            let replaced = regex.replace_all(&text.as_bytes(), &*with.as_bytes()).into_owned();
            lua.create_string(replaced)
        })?,
    )?;
    Ok(table)
}

/// The groups of the first match: by number, and those with a name by name too; nil without a match.
fn captures(lua: &Lua, text: &mlua::LuaString, pattern: &str) -> mlua::Result<MultiValue> {
    let regex = compiled(lua, pattern)?;
    let text = text.as_bytes();
    let Some(found) = regex.captures(&text) else {
        return Ok([Value::Nil].into_iter().collect());
    };
    let table = lua.create_table()?;
    for (index, name) in regex.capture_names().enumerate() {
        let Some(group) = found.get(index) else { continue };
        let value = lua.create_string(group.as_bytes())?;
        if let Some(name) = name {
            table.raw_set(name, value.clone())?;
        }
        table.raw_set(index, value)?;
    }
    Ok([Value::Table(table)].into_iter().collect())
}
