//! `parts { … }` and `req:parts()`: what a request asks for as named parts, which a policy adds to, takes from, and returns as
//! a key.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName};
use mlua::{Lua, MetaMethod, MultiValue, Table, UserData, UserDataMethods, Value};

use super::json::{canonical, encode, from_lua};
use super::{known_keys, regex};
use crate::cache::bypass::{Bypass, bypass};
use crate::cache::parts::{self, Choice, Normal, unquoted};
use crate::dialect::Dialect;
use crate::json::{Doc, Item};
use crate::message::Request;
use crate::policy::host::Host;

/// The parts of a request, as a policy holds them.
pub(in crate::policy) struct KeyParts(pub(in crate::policy) parts::Parts);

// === impl KeyParts ===

impl KeyParts {
    fn at(&self, name: &str) -> Option<usize> {
        self.0.named.iter().position(|(known, _)| known == name)
    }

    fn set(&mut self, lua: &Lua, name: &str, value: &Value) -> mlua::Result<()> {
        let at = self.at(name);
        if value.is_nil() {
            at.map(|at| self.0.named.remove(at));
            return Ok(());
        }
        let text = text(lua, value)?;
        match at.and_then(|at| self.0.named.get_mut(at)) {
            Some((_, known)) => *known = text,
            None => self.0.named.push((name.to_owned(), text)),
        }
        Ok(())
    }
}

impl UserData for KeyParts {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, this, name: String| {
            let value = this.at(&name).and_then(|at| this.0.named.get(at)).map(|(_, value)| value.as_str());
            Ok(value.map(|value| unquoted(value).unwrap_or(value).to_owned()))
        });
        methods.add_meta_method_mut(MetaMethod::NewIndex, |lua, this, (name, value): (String, Value)| {
            this.set(lua, &name, &value)
        });
        methods.add_meta_method(MetaMethod::Len, |_, this, ()| Ok(this.0.named.len()));
        methods.add_meta_method(MetaMethod::Iter, |lua, this, ()| {
            let mut named = this.0.named.clone().into_iter();
            let step = lua.create_function_mut(move |_, _: MultiValue| {
                let next = named.next();
                Ok(next.map(|(name, value)| (name, unquoted(&value).map(str::to_owned).unwrap_or(value))).unzip())
            })?;
            Ok(Value::Function(step))
        });
    }
}

/// A value as the text of a part.
pub(in crate::policy) fn text(lua: &Lua, value: &Value) -> mlua::Result<String> {
    match value {
        Value::String(text) => Ok(parts::quoted(&text.to_str()?)),
        Value::Table(_) | Value::UserData(_) => Ok(canonical(&encode(lua, value)?)),
        value => Ok(parts::text_of(&from_lua(lua, value)?)),
    }
}

/// How requests are read into parts: made once by `parts { … }`, since most of it is the same for every request.
#[derive(Default)]
pub(in crate::policy) struct Reader {
    choice: Choice,
    /// Headers that are parts too, each with the value that says no more than its absence.
    headers: Vec<(HeaderName, Option<String>)>,
}

impl UserData for Reader {}

// === impl Reader ===

impl Reader {
    /// Reads the options of `parts { … }`.
    pub(super) fn new(lua: &Lua, options: &Table) -> mlua::Result<Self> {
        known_keys(options, "parts", &["ignore", "normalise", "headers", "usual"])?;
        let ignore = options.get::<Option<Vec<String>>>("ignore")?.unwrap_or_default();
        let rules = options.get::<Option<Vec<Table>>>("normalise")?.unwrap_or_default();
        let normalise = rules.iter().map(|rule| normal(lua, rule)).collect::<mlua::Result<_>>()?;
        let usual = options.get::<Option<HashMap<String, String>>>("usual")?.unwrap_or_default();
        let mut headers = Vec::new();
        for name in options.get::<Option<Vec<String>>>("headers")?.unwrap_or_default() {
            let header = HeaderName::from_bytes(name.as_bytes());
            let header = header.map_err(|_| mlua::Error::runtime(format!("`{name}` is not a valid header name")))?;
            headers.push((header, usual.get(&name).cloned()));
        }
        Ok(Self { choice: Choice { ignore, normalise }, headers })
    }

    /// Adds the headers that say something: all values of each, in their order.
    fn add_headers(&self, named: &mut Vec<(String, String)>, all: &HeaderMap) {
        for (name, usual) in &self.headers {
            let mut values = all.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
            let Some(first) = values.next() else { continue };
            let text = values.fold(first.into_owned(), |text, value| text + ", " + &value);
            if usual.as_ref() != Some(&text) {
                named.push((format!("header {name}"), parts::quoted(&text)));
            }
        }
    }
}

/// The parts of a request whose body is here; nil when it is no JSON object.
pub(super) fn of(lua: &Lua, dialect: Option<Dialect>, request: &Request, reader: &Reader) -> mlua::Result<Value> {
    let target = request.head.uri.path_and_query().map_or("/", |target| target.as_str());
    let body = request.body.bytes().unwrap_or_default();
    let Some(mut parts) = parts::of(dialect, target, &body, &reader.choice) else { return Ok(Value::Nil) };
    reader.add_headers(&mut parts.named, &request.head.headers);
    lua.create_userdata(KeyParts(parts)).map(Value::UserData)
}

fn normal(lua: &Lua, rule: &Table) -> mlua::Result<Normal> {
    known_keys(rule, "a rule of `normalise`", &["part", "pattern", "with"])?;
    Ok(Normal {
        part: rule.get("part")?,
        pattern: regex::compiled(lua, &rule.get::<String>("pattern")?)?,
        with: rule.get::<Option<String>>("with")?.unwrap_or_default(),
    })
}

/// What the client says about the cache: whether a stored answer may serve, and whether this one may be stored.
pub(super) fn wishes(lua: &Lua, request: &mut Request) -> mlua::Result<(bool, bool)> {
    let Request { head, body } = request;
    let limits = Host::of(lua)?.limits.json;
    let mut doc = body.json(limits).ok();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let Bypass { read, write } = bypass(header, |path| doc.as_mut().is_some_and(|doc| is_true(doc, path)));
    Ok((read, write))
}

/// Whether `true` stands at a path.
fn is_true(doc: &mut Doc, path: &[&str]) -> bool {
    let Some((last, before)) = path.split_last() else { return false };
    let Ok(Item::Object(mut node)) = doc.root() else { return false };
    for name in before {
        match doc.get(node, name) {
            Ok(Some(Item::Object(below))) => node = below,
            _ => return false,
        }
    }
    matches!(doc.get(node, last), Ok(Some(Item::Bool(true))))
}
