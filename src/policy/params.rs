//! `params { … }`: what a policy lets its owner set, checked against what the settings give.

use mlua::{AnyUserData, FromLua, Lua, MetaMethod, Table, UserData, UserDataMethods, Value};
use serde_json::Value as Json;

use super::answer::nearest;
use super::api::json::{from_lua, to_lua};
use super::api::secret::Secret;
use super::host::Host;
use super::modules::freeze;
use super::source::Mount;
use crate::fault::Fault;

/// A parameter as its file declared it, for `status` and documentation.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// Its name.
    pub(super) name: String,
    /// Its type, in one word.
    pub(super) kind: &'static str,
    /// What it is for.
    pub(super) doc: Option<String>,
}

/// What `param.string(…)` and its like return.
#[derive(Clone)]
pub(super) struct Spec {
    kind: Kind,
    /// The value when the settings give none; without it the parameter is required.
    default: Option<Json>,
    /// The smallest and largest number.
    range: (Option<f64>, Option<f64>),
    /// The texts that are allowed; empty for all.
    values: Vec<String>,
    doc: Option<String>,
}

/// The types of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    List,
    Table,
    Secret,
}

/// The settings' file, in faults.
const SETTINGS: &str = "tidegate.toml";

/// Options of `param.…(default, options)`.
const OPTIONS: [&str; 4] = ["min", "max", "values", "doc"];

impl UserData for Spec {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(format!("param.{}", this.kind.name())));
    }
}

// === impl Kind ===

impl Kind {
    const ALL: [Self; 7] =
        [Self::String, Self::Integer, Self::Number, Self::Boolean, Self::List, Self::Table, Self::Secret];

    fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Table => "table",
            Self::Secret => "secret",
        }
    }

    fn accepts(self, value: &Json) -> bool {
        match self {
            Self::String | Self::Secret => value.is_string(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Table => value.is_object() || value.is_array(),
        }
    }
}

// === impl Spec ===

impl Spec {
    fn read(lua: &Lua, kind: Kind, default: &Value, options: Option<&Table>) -> mlua::Result<Self> {
        let mut spec = Self { kind, default: None, range: (None, None), values: Vec::new(), doc: None };
        if let Some(options) = options {
            for pair in options.pairs::<String, Value>() {
                let (name, _) = pair?;
                if !OPTIONS.contains(&name.as_str()) {
                    let near = nearest(&name, OPTIONS);
                    return Err(mlua::Error::runtime(format!("param.{}: unknown option `{name}`{near}", kind.name())));
                }
            }
            spec.range = (options.raw_get("min")?, options.raw_get("max")?);
            spec.values = options.raw_get::<Option<Vec<String>>>("values")?.unwrap_or_default();
            spec.doc = options.raw_get("doc")?;
        }
        if !default.is_nil() {
            let mut value = from_lua(lua, default)?;
            if kind == Kind::List && value.as_object().is_some_and(serde_json::Map::is_empty) {
                value = Json::Array(Vec::new());
            }
            spec.check(&value)
                .map_err(|why| mlua::Error::runtime(format!("param.{}: the default {why}", kind.name())))?;
            spec.default = Some(value);
        }
        Ok(spec)
    }

    /// What is wrong with a value, as the end of a sentence.
    fn check(&self, value: &Json) -> Result<(), String> {
        if !self.kind.accepts(value) {
            return Err(format!("must be of type {}, not {}", self.kind.name(), type_of(value)));
        }
        let (min, max) = self.range;
        if let Some(number) = value.as_f64() {
            if let Some(min) = min.filter(|min| number < *min) {
                return Err(format!("must be at least {min}"));
            }
            if let Some(max) = max.filter(|max| number > *max) {
                return Err(format!("must be at most {max}"));
            }
        }
        if let Some(text) =
            value.as_str().filter(|text| !self.values.is_empty() && !self.values.iter().any(|v| v == text))
        {
            return Err(format!("must be one of {}{}", self.values.join(", "), nearest(text, &self.values)));
        }
        Ok(())
    }
}

fn type_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "list",
        Json::Object(_) => "table",
    }
}

/// The table `param`.
pub(super) fn constructors(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for kind in Kind::ALL {
        let make = lua.create_function(move |lua, (default, options): (Value, Option<Table>)| {
            Spec::read(lua, kind, &default, options.as_ref())
        })?;
        table.raw_set(kind.name(), make)?;
    }
    Ok(table)
}

/// The function `params`: the configured values of the mount that is being loaded, frozen.
pub(super) fn params(lua: &Lua, declared: &Table) -> mlua::Result<Table> {
    let host = Host::of(lua)?;
    let frame = host.frame().filter(|frame| frame.hook.is_none());
    let in_policy = host.loading.lock().stack.len() == 1;
    let Some(mount) = frame.filter(|_| in_policy).and_then(|frame| host.program.mounts.get(frame.mount)) else {
        return Err(mlua::Error::runtime("params { … } belongs at the top level of a policy"));
    };
    let mut faults = Vec::new();
    let mut names = Vec::new();
    let values = lua.create_table()?;
    for pair in declared.pairs::<String, AnyUserData>() {
        let (name, spec) =
            pair.map_err(|_| mlua::Error::runtime("params { name = param.string(…), … } takes names and param.…"))?;
        let spec = spec.borrow::<Spec>()?.clone();
        let given = mount.params.get(&name);
        match value_of(&name, &spec, given) {
            Ok(value) => values.raw_set(name.as_str(), lua_value(lua, &host, &spec, &value)?)?,
            Err(why) => faults.push(format!("policy `{}`: {why}", mount.name)),
        }
        names.push(Declared { name, kind: spec.kind.name(), doc: spec.doc });
    }
    for name in mount.params.keys().filter(|name| !names.iter().any(|known| known.name == **name)) {
        host.loading.lock().faults.push(unknown(mount, name, &names));
    }
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let mut loading = host.loading.lock();
    loading.declared = Some(names);
    loading.faults.extend(faults.into_iter().map(|message| fault(mount.line, message)));
    drop(loading);
    freeze(&values, 16)?;
    Ok(values)
}

/// A parameter that the settings give and the file does not declare.
pub(super) fn unknown(mount: &Mount, name: &str, known: &[Declared]) -> Fault {
    let near = nearest(name, known.iter().map(|known| known.name.as_str()));
    fault(mount.line, format!("policy `{}`: {} has no parameter `{name}`{near}", mount.name, mount.file))
}

/// A mistake in the settings.
pub(super) fn fault(line: usize, message: String) -> Fault {
    Fault { file: SETTINGS.to_owned(), line: Some(line), column: None, message }
}

fn value_of(name: &str, spec: &Spec, given: Option<&Json>) -> Result<Json, String> {
    match (given, &spec.default) {
        (Some(value), _) => {
            spec.check(value).map_err(|why| format!("the parameter `{name}` {why}"))?;
            Ok(value.clone())
        }
        (None, Some(default)) => Ok(default.clone()),
        (None, None) => Err(format!("the parameter `{name}` ({}) is required", spec.kind.name())),
    }
}

fn lua_value(lua: &Lua, host: &Host, spec: &Spec, value: &Json) -> mlua::Result<Value> {
    match (spec.kind, value.as_str()) {
        (Kind::Secret, Some(name)) => {
            Value::from_lua(Value::UserData(lua.create_userdata(Secret::named(host, name)?)?), lua)
        }
        _ => to_lua(lua, value),
    }
}
