//! Reads what hooks return. A key nobody knows is an error: a policy that says `stauts` must not be taken to have said nothing.

mod cache;

mod http;

mod route;

mod sharing;

use std::time::Duration;

use bytes::Bytes;
use mlua::{FromLua, Lua, Table, Value};

use super::api::answer::Respond;
use super::api::json::encode;
use super::api::parts::{KeyParts, text};
use super::api::{kind, number};
use super::failure::Failure;
use super::place::Spot;
use crate::cache::parts::Parts;
use crate::exchange::decision::{Answer, Commit, Failover, Identity, Place};

/// A hook's answer on its way to plain data.
pub(super) struct Reading<'a> {
    /// The VM it came from.
    pub(super) lua: &'a Lua,
    /// The hook's name.
    pub(super) hook: &'static str,
    /// Where the hook starts: a returned table has no line of its own.
    pub(super) spot: &'a Spot,
}

/// An event that a hook made.
pub(super) enum Made {
    /// Its name and data.
    Data(Option<String>, Bytes),
    /// A copy of the event that the hook was given, with this text.
    Text(String),
    /// A copy of the event that the hook was given, with these thoughts.
    Reasoning(String),
}

/// A table of an answer, with all its keys known.
struct Fields<'a> {
    reading: &'a Reading<'a>,
    /// What was given, by name.
    values: Vec<(&'static str, Value)>,
    what: &'static str,
}

/// The longest wait or lifetime that an answer can name, in seconds: a hundred years.
const LONGEST: f64 = 3.2e9;

/// `; did you mean …?` when something known is close to what was written, else nothing.
pub(super) fn nearest<I: IntoIterator<Item = S>, S: AsRef<str>>(written: &str, known: I) -> String {
    let near = |name: &S| {
        let distance = strsim::damerau_levenshtein(written, name.as_ref());
        (distance <= 1 + name.as_ref().len() / 3).then_some(distance)
    };
    let best = known.into_iter().filter_map(|name| Some((near(&name)?, name))).min_by_key(|(distance, _)| *distance);
    best.map_or_else(String::new, |(_, name)| format!("; did you mean `{}`?", name.as_ref()))
}

// === impl Reading ===

impl Reading<'_> {
    /// Where the decision was made.
    pub(super) fn place(&self) -> Place {
        Place(self.spot.to_string())
    }

    /// The failure of a hook that returned something wrong.
    pub(super) fn misuse(&self, message: impl std::fmt::Display) -> Failure {
        Failure::misuse(Some(self.spot.clone()), format!("{} {message}", self.hook))
    }

    fn wrong(&self, value: &Value, expected: &str) -> Failure {
        self.misuse(format_args!("must return {expected}, not {}", kind(value)))
    }

    fn fields<'a>(&'a self, table: &Table, what: &'static str, known: &[&'static str]) -> Result<Fields<'a>, Failure> {
        let mut values = Vec::with_capacity(known.len());
        let mut stranger = None;
        let walked = table.for_each(|key: Value, value: Value| {
            let text = key.as_string().map(mlua::LuaString::as_bytes);
            let name = text.and_then(|text| known.iter().find(|name| name.as_bytes() == &*text));
            match name {
                Some(name) => values.push((*name, value)),
                None => stranger = Some(key),
            }
            Ok(())
        });
        walked.map_err(|error| Failure::from_lua(&error))?;
        match stranger {
            None => Ok(Fields { reading: self, values, what }),
            Some(Value::String(key)) => {
                let key = key.to_string_lossy();
                let near = nearest(&key, known);
                Err(self.misuse(format_args!("returned {what} with the unknown key `{key}`{near}")))
            }
            Some(_) => Err(self.misuse(format_args!("returned {what} with a key that is no name"))),
        }
    }

    /// What `identify` returned.
    pub(super) fn identity(&self, value: &Value) -> Result<Option<Identity>, Failure> {
        let table = match value {
            Value::Nil => return Ok(None),
            Value::Table(table) => table,
            other => return Err(self.wrong(other, "nil or { user =, client =, session =, agent =, evidence = }")),
        };
        let fields = self.fields(table, "an identity", &["user", "client", "session", "agent", "evidence"])?;
        Ok(Some(Identity {
            user: fields.text("user")?,
            client: fields.text("client")?,
            session: fields.text("session")?,
            agent: fields.text("agent")?,
            evidence: fields.text("evidence")?,
        }))
    }

    /// What a hook returned that can only answer with `respond { … }`.
    pub(super) fn answer(&self, value: &Value) -> Result<Option<Answer>, Failure> {
        match value {
            Value::Nil => Ok(None),
            other => self.respond(other).map(Some).ok_or_else(|| self.wrong(other, "nil or respond { … }")),
        }
    }

    /// What a hook returned that answers nothing.
    pub(super) fn nothing(&self, value: &Value) -> Result<(), Failure> {
        if value.is_nil() { Ok(()) } else { Err(self.wrong(value, "nothing")) }
    }

    /// What `respond { … }` made.
    fn respond(&self, value: &Value) -> Option<Answer> {
        let data = value.as_userdata()?.borrow::<Respond>().ok()?;
        let mut answer = data.0.clone();
        if answer.made_by.0.is_empty() {
            answer.made_by = self.place();
        }
        Some(answer)
    }

    /// What `commit` returned.
    pub(super) fn commit(&self, value: &Value) -> Result<Option<Commit>, Failure> {
        const WORDS: [(&str, Commit); 3] = [("go", Commit::Go), ("wait", Commit::Wait), ("fail", Commit::Fail)];
        let word = match value {
            Value::Nil => return Ok(None),
            Value::String(word) => word.to_string_lossy(),
            other => return Err(self.wrong(other, "nil, \"go\", \"wait\" or \"fail\"")),
        };
        let known = WORDS.iter().find(|(known, _)| *known == word).map(|(_, commit)| Some(*commit));
        known.ok_or_else(|| {
            let near = nearest(&word, WORDS.map(|(known, _)| known));
            self.misuse(format_args!("returned \"{word}\"{near}"))
        })
    }

    /// What `failover` returned.
    pub(super) fn failover(&self, value: &Value) -> Result<Option<Failover>, Failure> {
        let table = match value {
            Value::Nil => return Ok(None),
            Value::Table(table) => table,
            other => return Err(self.wrong(other, "nil or { retry =, upstream =, after = }")),
        };
        let fields = self.fields(table, "a decision", &["retry", "upstream", "after"])?;
        let Some(retry) = fields.get::<Option<bool>>("retry")? else {
            return Err(self.misuse("returned a decision without `retry`"));
        };
        Ok(Some(Failover {
            retry,
            upstream: fields.text("upstream")?,
            after: fields.seconds("after")?.unwrap_or_default(),
            decided_by: self.place(),
        }))
    }

    /// One item of what `on_event` or `on_stream_end` returned.
    pub(super) fn event(&self, item: Value) -> Result<Made, Failure> {
        let Value::Table(table) = item else {
            return Err(self.misuse(format_args!("returned a list with {} in it, not events", kind(&item))));
        };
        let fields = self.fields(&table, "an event", &["event", "data", "json", "text", "reasoning"])?;
        let (name, json) = (fields.text("event")?, fields.get::<Value>("json")?);
        match (fields.text("data")?, json.is_nil(), fields.text("text")?, fields.text("reasoning")?) {
            (Some(data), true, None, None) => Ok(Made::Data(name, Bytes::from(data))),
            (None, false, None, None) => {
                encode(self.lua, &json).map(|data| Made::Data(name, data)).map_err(|error| Failure::from_lua(&error))
            }
            (None, true, Some(text), None) if name.is_none() => Ok(Made::Text(text)),
            (None, true, None, Some(text)) if name.is_none() => Ok(Made::Reasoning(text)),
            _ => Err(self.misuse("returned an event that needs one of `data`, `json`, `text` and `reasoning`")),
        }
    }

    /// The list that `on_event` or `on_stream_end` returned.
    pub(super) fn list(&self, value: &Value) -> Result<Vec<Value>, Failure> {
        let Value::Table(table) = value else {
            return Err(self.wrong(value, "nil, drop or a list of events"));
        };
        if table.raw_len() == 0 && !table.is_empty() {
            return Err(self.misuse("must return a list of events: { { json = … } }"));
        }
        table.sequence_values().collect::<mlua::Result<_>>().map_err(|error| Failure::from_lua(&error))
    }
}

// === impl Fields ===

impl Fields<'_> {
    fn wrong(&self, key: &str, expected: &str) -> Failure {
        self.reading.misuse(format_args!("returned {} whose `{key}` is not {expected}", self.what))
    }

    fn value(&self, key: &str) -> &Value {
        self.values.iter().find(|(name, _)| *name == key).map_or(&Value::Nil, |(_, value)| value)
    }

    fn get<T: FromLua>(&self, key: &str) -> Result<T, Failure> {
        T::from_lua(self.value(key).clone(), self.reading.lua).map_err(|_| self.wrong(key, "of the right type"))
    }

    /// A text. A number is not taken for one.
    fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.value(key) {
            Value::Nil => Ok(None),
            Value::String(text) => match text.to_str() {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(self.wrong(key, "valid UTF-8")),
            },
            _ => Err(self.wrong(key, "a string")),
        }
    }

    /// A list of texts.
    fn texts(&self, key: &str) -> Result<Vec<String>, Failure> {
        let Value::Table(table) = self.value(key) else {
            return if self.value(key).is_nil() { Ok(Vec::new()) } else { Err(self.wrong(key, "a list of strings")) };
        };
        let texts = table.sequence_values::<String>().collect::<mlua::Result<Vec<_>>>();
        texts.map_err(|_| self.wrong(key, "a list of strings"))
    }

    /// A table.
    fn table(&self, key: &str) -> Result<Option<&Table>, Failure> {
        match self.value(key) {
            Value::Nil => Ok(None),
            Value::Table(table) => Ok(Some(table)),
            _ => Err(self.wrong(key, "a table")),
        }
    }

    /// A whole number from 1.
    fn count(&self, key: &str) -> Result<Option<usize>, Failure> {
        match self.value(key) {
            Value::Nil => Ok(None),
            _ => match self.get::<usize>(key) {
                Ok(count) if count > 0 => Ok(Some(count)),
                _ => Err(self.wrong(key, "a whole number from 1")),
            },
        }
    }

    /// A time in seconds.
    fn seconds(&self, key: &str) -> Result<Option<Duration>, Failure> {
        match self.value(key) {
            Value::Nil => Ok(None),
            value => match number(value) {
                Some(seconds) if (0.0..=LONGEST).contains(&seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
                _ => Err(self.wrong(key, "a number of seconds")),
            },
        }
    }

    /// Named parts as texts: of a table, or those of the request.
    fn parts(&self, key: &str) -> Result<Parts, Failure> {
        let table = match self.value(key) {
            Value::Table(table) => table,
            Value::UserData(data) => {
                let mut parts = data.borrow_mut::<KeyParts>().map_err(|_| self.wrong(key, "a table of named parts"))?;
                return Ok(std::mem::take(&mut parts.0));
            }
            _ => return Err(self.wrong(key, "a table of named parts, such as req:parts() makes")),
        };
        let mut parts = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let (name, value) = pair.map_err(|error| Failure::from_lua(&error))?;
            let name = match &name {
                Value::String(name) => name.to_string_lossy(),
                other => number(other).map(|index| format!("{index}")).unwrap_or_default(),
            };
            let text = text(self.reading.lua, &value).map_err(|error| Failure::from_lua(&error))?;
            parts.push((name, text));
        }
        parts.sort();
        Ok(Parts { named: parts, ..Parts::default() })
    }
}
