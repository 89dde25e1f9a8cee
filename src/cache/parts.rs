//! A request as named parts, from which a cache key is made: everything that makes its answer what it is, each by a name
//! that a person can read. A chat has the same parts whichever dialect asks it; a field that nobody knows is a part too.

mod chat;
mod embed;
mod media;
#[cfg(test)]
mod tests;
mod unread;

use std::fmt::Write as _;

use regex::bytes::Regex;
use serde_json::{Map, Number, Value};

use super::key::canonical;
use crate::dialect::Dialect;
use crate::dialect::embedding::{Embed, Input};
use crate::dialect::habits::Habits;
use crate::dialect::way;
use crate::json::exact;

/// The name of the part that is embedded.
pub const INPUT: &str = "input";

/// What clients call the key that they put into a query.
const SECRETS: [&str; 5] = ["key", "api_key", "api-key", "token", "access_token"];

/// Named parts of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Names and texts, in the order of the request: strings as they are between quotes, everything else as JSON.
    pub named: Vec<(String, String)>,
    /// Whether they are in no dialect's words, and say everything: then method, path and dialect add nothing.
    pub neutral: bool,
}

/// What is to become of some parts.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Names of parts that are left out; a name stands for the parts below it too, as `metadata` for `metadata.user`.
    pub ignore: Vec<String>,
    /// Changes of texts, in their order.
    pub normalise: Vec<Normal>,
}

/// A change of texts before they are compared.
#[derive(Clone, Debug)]
pub struct Normal {
    /// The name of the part, or of what it is below.
    pub part: String,
    /// What is replaced in it.
    pub pattern: Regex,
    /// By what. A text of which nothing is left is no part.
    pub with: String,
}

/// Parts in the making.
struct Making<'c> {
    choice: &'c Choice,
    named: Vec<(String, String)>,
    /// Whether a part is in words that mean something in one dialect only.
    own: bool,
}

/// The parts of a request with a JSON body. `None` when the body is no JSON object, or one that readers may differ over:
/// then two requests could look like one.
pub fn of(dialect: Option<Dialect>, target: &str, body: &[u8], choice: &Choice) -> Option<Parts> {
    let value = exact::read(body).filter(Value::is_object)?;
    let read = dialect.and_then(|dialect| known(dialect, target, value, choice));
    read.or_else(|| match exact::read(body)? {
        Value::Object(body) => Some(fields(body, choice)),
        _ => None,
    })
}

/// The parts of an operation that the gate can read.
fn known(dialect: Dialect, target: &str, body: Value, choice: &Choice) -> Option<Parts> {
    let mut making = Making { choice, named: Vec::new(), own: false };
    match dialect {
        Dialect::OpenAiEmbeddings | Dialect::OllamaEmbed | Dialect::OllamaEmbeddings | Dialect::GeminiEmbed => {
            embed::parts(Embed::read(dialect, target, body).ok()?, &mut making);
            Some(Parts { named: making.named, neutral: false })
        }
        _ => {
            let codec = way::codec(dialect, target, Habits::OPENAI)?;
            let unread = unread::unread(&body);
            if !unread.is_empty() {
                making.own = true;
                making.put("unread", unread);
            }
            chat::parts(codec.read_request(target, body).ok()?, dialect, &mut making);
            making.own |= chat::continues(dialect);
            if making.own {
                making.put("dialect", Value::from(dialect.as_str()));
            }
            making.place(dialect, target);
            Some(Parts { named: making.named, neutral: true })
        }
    }
}

/// The fields of a body as they are.
fn fields(body: Map<String, Value>, choice: &Choice) -> Parts {
    let mut making = Making { choice, named: Vec::new(), own: false };
    for (name, value) in body {
        making.field(&name, value);
    }
    Parts { named: making.named, neutral: false }
}

/// The text of a value in a key: strings as they are between quotes, everything else as JSON with sorted names. A number
/// that is whole is written without a point: 1 and 1.0 ask for the same.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => number_text(number),
        other => canonical(other),
    }
}

/// The text of one input of a call for embeddings.
pub fn of_input(input: &Input) -> String {
    text_of(&embed::told(input))
}

/// A string as a part: nothing in it is escaped, since it ends where the part does.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    quoted.push_str(text);
    quoted.push('"');
    quoted
}

/// The string that a part holds, if it is one.
pub fn unquoted(part: &str) -> Option<&str> {
    part.strip_prefix('"')?.strip_suffix('"')
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < LARGE => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// From here on a float does not tell whole numbers apart.
const LARGE: f64 = 9_007_199_254_740_992.0;

// === impl Choice ===

impl Choice {
    /// Whether a part of this name is left out.
    pub fn ignores(&self, name: &str) -> bool {
        self.ignore.iter().any(|ignored| concerns(ignored, name))
    }

    /// A text as it is compared; `None` when it is as it came.
    fn normal(&self, name: &str, text: &str) -> Option<String> {
        let mut changed: Option<Vec<u8>> = None;
        for rule in self.normalise.iter().filter(|rule| concerns(&rule.part, name)) {
            let now = changed.as_deref().unwrap_or(text.as_bytes());
            if let std::borrow::Cow::Owned(replaced) = rule.pattern.replace_all(now, rule.with.as_bytes()) {
                changed = Some(replaced);
            }
        }
        changed.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether what is said of `rule` is said of the part `name`: of itself, or of something that it is below.
fn concerns(rule: &str, name: &str) -> bool {
    name.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
}

// === impl Making ===

impl Making<'_> {
    /// A part of a name that is the gate's own.
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        if !self.choice.ignores(name) {
            self.named.push((name.to_owned(), text_of(&value.into())));
        }
    }

    /// The same, if there is a value.
    fn maybe<V: Into<Value>>(&mut self, name: &str, value: Option<V>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A part that is text. Says whether anything is left of it.
    fn text(&mut self, name: String, text: &str) -> bool {
        let normal = self.choice.normal(&name, text);
        if normal.as_ref().is_some_and(String::is_empty) {
            return false;
        }
        if !self.choice.ignores(&name) {
            self.named.push((name, quoted(normal.as_deref().unwrap_or(text))));
        }
        true
    }

    /// A field by its own name, as its dialect has it. One that is null says nothing.
    fn field(&mut self, name: &str, mut value: Value) {
        let name = if plain(name) { name.to_owned() } else { Value::from(name).to_string() };
        if value.is_null() || self.choice.ignores(&name) {
            return;
        }
        if let Some(fields) = value.as_object_mut().filter(|fields| !fields.is_empty()) {
            fields.retain(|field, _| !self.choice.ignores(&format!("{name}.{field}")));
            if fields.is_empty() {
                return;
            }
        }
        self.own = true;
        match value {
            Value::String(text) => {
                self.text(name, &text);
            }
            value => self.named.push((name, text_of(&value))),
        }
    }

    /// Fields that only their dialect knows, below a part.
    fn below(&mut self, name: &str, fields: Map<String, Value>) {
        for (field, value) in fields {
            let mut below = name.to_owned();
            let _ = if plain(&field) { write!(below, ".{field}") } else { write!(below, ".{}", Value::from(field)) };
            if !value.is_null() && !self.choice.ignores(&below) {
                self.own = true;
                self.named.push((below, text_of(&value)));
            }
        }
    }

    /// Where the request goes, when it is not where all of its dialect go: a prefix may name a deployment.
    fn place(&mut self, dialect: Dialect, target: &str) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let prefix = chat::prefix(dialect, path);
        if !matches!(prefix, Some("" | "/v1" | "/v1beta")) {
            self.put("path", path);
        }
        let said: Vec<String> = query.split('&').filter_map(said).collect();
        if !said.is_empty() {
            self.put("query", said.join("&"));
        }
    }
}

/// What a query says of the question: `alt` says how it is answered. A key, which says who asks, is not shown.
fn said(pair: &str) -> Option<String> {
    match pair.split_once('=').unwrap_or((pair, "")) {
        ("" | "alt", _) => None,
        (name, secret) if SECRETS.contains(&name) => {
            Some(format!("{name}={}", blake3::hash(secret.as_bytes()).to_hex()))
        }
        _ => Some(pair.to_owned()),
    }
}

/// Whether a field's name can be told from the names that the gate makes.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
