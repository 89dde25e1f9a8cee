//! `require`: libraries of the bundle, out of memory, while a generation is loaded and never after.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mlua::{Function, Lua, Table, Value};

use super::host::Host;
use super::place::Spot;
use crate::fault::Fault;

/// What loading has come to.
#[derive(Default)]
pub(super) struct Loading {
    /// Results of libraries, by file. Emptied once all is loaded.
    pub(super) modules: HashMap<String, Value>,
    /// The files that are being evaluated, each required by the one before.
    pub(super) stack: Vec<String>,
    /// Mistakes that do not stop the evaluation.
    pub(super) faults: Vec<Fault>,
    /// Parameters that the file being evaluated has declared.
    pub(super) declared: Option<Vec<super::params::Declared>>,
    /// Names of secrets asked for.
    pub(super) secrets: BTreeSet<String>,
    /// The files as functions, when they count which of their lines run.
    pub(super) chunks: Vec<(String, Function)>,
}

/// Endings that `require` may leave out.
const ENDINGS: [&str; 5] = ["", ".lua", ".luau", "/init.lua", "/init.luau"];

/// How deep tables in a library's result are frozen; deeper ones stay as they are.
const FREEZE_DEPTH: usize = 16;

/// The function `require`.
pub(super) fn require(lua: &Lua, path: &str) -> mlua::Result<Value> {
    let host = Host::of(lua)?;
    if host.frame().is_none_or(|frame| frame.hook.is_some()) {
        return Err(mlua::Error::runtime(
            "E_REQUIRE_LATE: require works only while a file is loaded. Require at the top of the file and use the result in the hook",
        ));
    }
    let from = Spot::here(lua).map(|spot| spot.file).unwrap_or_default();
    let file = resolve(&host, &from, path).map_err(mlua::Error::runtime)?;
    if let Some(module) = host.loading.lock().modules.get(&file) {
        return Ok(module.clone());
    }
    enter(&host, &file)?;
    let result = evaluate(lua, &host, &file);
    host.loading.lock().stack.pop();
    let module = result?;
    host.loading.lock().modules.insert(file, module.clone());
    Ok(module)
}

fn enter(host: &Host, file: &str) -> mlua::Result<()> {
    let mut loading = host.loading.lock();
    if let Some(at) = loading.stack.iter().position(|open| open == file) {
        let mut circle: Vec<&str> = loading.stack.iter().skip(at).map(String::as_str).collect();
        circle.push(file);
        return Err(mlua::Error::runtime(format!("require goes in a circle: {}", circle.join(" -> "))));
    }
    loading.stack.push(file.to_owned());
    Ok(())
}

fn evaluate(lua: &Lua, host: &Arc<Host>, file: &str) -> mlua::Result<Value> {
    let Some(chunk) = host.program.load(lua, file)? else {
        return Err(mlua::Error::runtime(format!("{file} has a syntax error")));
    };
    host.keep(file, &chunk);
    let module: Value = chunk.call(())?;
    match &module {
        Value::Table(table) => freeze(table, FREEZE_DEPTH)?,
        Value::Function(_) => {}
        other => {
            let kind = super::api::kind(other);
            return Err(mlua::Error::runtime(format!("{file} must return a table or a function, not {kind}")));
        }
    }
    Ok(module)
}

/// Makes a table and all tables in it read-only: what libraries share must not become a channel between exchanges.
pub(super) fn freeze(table: &Table, depth: usize) -> mlua::Result<()> {
    if table.is_readonly() || depth == 0 {
        return Ok(());
    }
    table.set_readonly(true);
    table.for_each(|_: Value, value: Value| match value {
        Value::Table(inner) => freeze(&inner, depth - 1),
        _ => Ok(()),
    })
}

/// The file that `path` means in the file `from`.
fn resolve(host: &Host, from: &str, path: &str) -> Result<String, String> {
    let (mut parts, rest): (Vec<&str>, &str) = if let Some(rest) = path.strip_prefix("@bundle/") {
        (Vec::new(), rest)
    } else if path.starts_with("./") || path.starts_with("../") {
        (from.rsplit_once('/').map_or_else(Vec::new, |(folder, _)| folder.split('/').collect()), path)
    } else {
        return Err(format!(
            "require(\"{path}\"): a path starts with ./ or ../ (from this file) or @bundle/ (from the bundle's root)"
        ));
    };
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(|| format!("require(\"{path}\") leaves the bundle"))?),
            part => parts.push(part),
        }
    }
    let base = parts.join("/");
    let found = ENDINGS.iter().map(|ending| format!("{base}{ending}")).find(|file| host.program.has(file));
    found.ok_or_else(|| {
        let names = host.program.files();
        format!(
            "require(\"{path}\"): there is no file {base}.lua{}",
            super::answer::nearest(&format!("{base}.lua"), names)
        )
    })
}
