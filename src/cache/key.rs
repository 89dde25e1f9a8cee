//! Cache keys: readable parts, so that a snapshot can show them and a miss can be explained, and a hash over them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exchange::decision::{CacheRule, Scope};

/// What starts the names of the parts that the gate adds, so that no part of a policy can stand for one of them.
const GATE: &str = "gate.";

/// The part that tells the policies which decide what is sent and returned.
pub const FINGERPRINT: &str = "gate.policies";

/// The outer form of a request: two requests that differ in it never share an answer, whatever a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form<'a> {
    /// The method.
    pub method: &'a str,
    /// The path that the client asked for, with its query. Of a chat only what does not say in which form it is
    /// answered.
    pub path: &'a str,
    /// The dialect of the client, if it speaks one, and only that may be served.
    pub dialect: Option<&'a str>,
    /// Whether the client wants a stream of events; `None` for a chat, whose answer serves in either form.
    pub stream: Option<bool>,
    /// The model that the plan asks for in place of the client's.
    pub model: Option<&'a str>,
}

/// What an answer is stored under. Keys are equal when their parts and scope are, not only their hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Names and canonical JSON texts, sorted by name.
    parts: Vec<(String, String)>,
    /// For whom: `shared`, `nobody` for exchanges without a user, or `user:` and the name.
    scope: String,
    /// BLAKE3 over scope and parts.
    hash: [u8; 32],
}

// === impl Key ===

impl Key {
    /// The key of a request. `policies` is the fingerprint of the policies that decide what is sent and returned, so
    /// that an answer made under other policies is never found.
    pub fn new(rule: &CacheRule, user: Option<&str>, policies: &str, form: &Form<'_>) -> Self {
        let mut parts = rule.key.clone();
        let own = [
            ("dialect", form.dialect.map_or(Value::Null, Value::from)),
            ("method", Value::from(form.method)),
            ("path", Value::from(form.path)),
            ("policies", Value::from(policies)),
        ];
        parts.retain(|(name, _)| !name.starts_with(GATE));
        parts.extend(own.map(|(name, value)| (format!("{GATE}{name}"), value.to_string())));
        parts.extend(form.stream.map(|stream| (format!("{GATE}stream"), Value::from(stream).to_string())));
        parts.extend(form.model.map(|model| (format!("{GATE}model"), Value::from(model).to_string())));
        parts.sort_unstable();
        let scope = match (rule.scope, user) {
            (Scope::Shared, _) => "shared".to_owned(),
            (Scope::User, None) => "nobody".to_owned(),
            (Scope::User, Some(user)) => format!("user:{user}"),
        };
        let hash = hash(&scope, &parts);
        Self { parts, scope, hash }
    }

    /// The parts, sorted by name; the gate's own start with `gate.`.
    pub fn parts(&self) -> &[(String, String)] {
        &self.parts
    }

    /// For whom the answer may serve.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The hash.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The hash as 64 hexadecimal digits.
    pub fn hash_hex(&self) -> String {
        blake3::Hash::from_bytes(self.hash).to_hex().to_string()
    }

    /// What was asked, whichever policies ask: a hash over everything but their fingerprint.
    pub fn question(&self) -> String {
        let asked: Vec<_> = self.parts.iter().filter(|(name, _)| name != FINGERPRINT).cloned().collect();
        blake3::Hash::from_bytes(hash(&self.scope, &asked)).to_hex().to_string()
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        let text: usize = self.parts.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + self.scope.len() + text + self.parts.len() * size_of::<(String, String)>()
    }
}

/// The names of the parts in which two keys differ, sorted; `scope` among them when that differs.
pub fn differs(a: &Key, b: &Key) -> Vec<String> {
    let lacks = |other: &Key, part: &(String, String)| !other.parts.contains(part);
    let ours = a.parts.iter().filter(|part| lacks(b, part));
    let theirs = b.parts.iter().filter(|part| lacks(a, part));
    let mut names: Vec<String> = ours.chain(theirs).map(|(name, _)| name.clone()).collect();
    if a.scope != b.scope {
        names.push("scope".to_owned());
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The JSON text of a value with the members of every object sorted by name and no spaces, so that equal values have
/// equal texts. Numbers are written as the value holds them: 1 and 1.0 stay two texts.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(index, text);
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                separate(index, text);
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        _ => text.push_str(&value.to_string()),
    }
}

/// A comma before all but the first.
fn separate(index: usize, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

/// Hashes every text with its length before it, so that no two lists of texts run together into the same bytes.
fn hash(scope: &str, parts: &[(String, String)]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let texts = parts.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for text in std::iter::once(scope).chain(texts) {
        hasher.update(&text.len().to_le_bytes());
        hasher.update(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests;
