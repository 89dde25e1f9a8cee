//! Cache keys: readable parts, so that a snapshot can show them and a miss can be explained, and a hash over them.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::parts::{INPUT, text_of};
use crate::exchange::decision::{CacheRule, Scope};

/// What starts the names of the parts that the gate adds, so that no part of a policy can stand for one of them.
const GATE: &str = "gate.";

/// The part that tells the policies which decide what is sent and returned.
pub const FINGERPRINT: &str = "gate.policies";

/// The part that tells which upstream is to answer, or answered.
pub const UPSTREAM: &str = "gate.upstream";

/// The part that holds the model, of those that [`super::parts`] makes.
const MODEL: &str = "model";

/// The parts that hold what is embedded, by their names here and in the dialects.
const INPUTS: [&str; 5] = [INPUT, "inputs", "prompt", "content", "requests"];

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
    /// The upstream that the plan asks first.
    pub upstream: &'a str,
    /// The model that the plan asks for in place of the client's.
    pub model: Option<&'a str>,
}

/// What an answer is stored under. Keys are equal when their parts and scope are, not only their hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Names and canonical JSON texts, sorted by name. They hold all that was asked, so that nobody copies them.
    #[serde(serialize_with = "write_parts", deserialize_with = "read_parts")]
    parts: Arc<Vec<(String, String)>>,
    /// For whom: `shared`, `nobody` for exchanges without a user, or `user:` and the name.
    scope: String,
    /// BLAKE3 over scope and parts.
    hash: [u8; 32],
}

// === impl Key ===

impl Key {
    /// The key of a request: these parts and the gate's own. `policies` is the fingerprint of the policies that decide
    /// what is sent and returned, so that an answer made under other policies is never found.
    pub fn new(
        mut parts: Vec<(String, String)>,
        rule: &CacheRule,
        user: Option<&str>,
        policies: &str,
        form: &Form<'_>,
    ) -> Self {
        parts.retain(|(name, _)| !name.starts_with(GATE));
        let mut own = |name: &str, value: Value| parts.push((format!("{GATE}{name}"), text_of(&value)));
        own("dialect", form.dialect.map_or(Value::Null, Value::from));
        own("method", form.method.into());
        own("path", form.path.into());
        own("policies", policies.into());
        own("upstream", form.upstream.into());
        if let Some(stream) = form.stream {
            own("stream", stream.into());
        }
        if let Some(model) = form.model {
            own("model", model.into());
            // What the client calls it says nothing more.
            parts.retain(|(name, _)| !(rule.sharing.any_dialect && name == MODEL));
        }
        let scope = match (rule.scope, user) {
            (Scope::Shared, _) => "shared".to_owned(),
            (Scope::User, None) => "nobody".to_owned(),
            (Scope::User, Some(user)) => format!("user:{user}"),
        };
        Self::of(parts, scope)
    }

    fn of(mut parts: Vec<(String, String)>, scope: String) -> Self {
        parts.sort_unstable();
        let hash = hash(&scope, &parts.iter());
        Self { parts: Arc::new(parts), scope, hash }
    }

    /// The key of one text of a batch: the same, but for what is embedded, and in no words of a dialect. `text` is as
    /// [`super::parts::of_input`] writes it, `base64` how the client wants its numbers.
    #[must_use]
    pub fn of_text(&self, text: &str, base64: bool) -> Self {
        let whole = ["dialect", "method", "path", "stream"];
        let is_whole = |name: &str| name.strip_prefix(GATE).is_some_and(|name| whole.contains(&name));
        // Beside what the gate reads there may be a prompt of another meaning, which makes another vector.
        let read = self.parts.iter().any(|(name, _)| name == INPUT);
        let is_input = |name: &str| if read { name == INPUT } else { INPUTS.contains(&name) };
        let mut parts: Vec<_> =
            self.parts.iter().filter(|(name, _)| !is_input(name) && !is_whole(name)).cloned().collect();
        parts.push((INPUT.to_owned(), text.to_owned()));
        parts.push((format!("{GATE}base64"), base64.to_string()));
        Self::of(parts, self.scope.clone())
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
        let asked = self.parts.iter().filter(|(name, _)| name != FINGERPRINT && name != UPSTREAM);
        blake3::Hash::from_bytes(hash(&self.scope, &asked)).to_hex().to_string()
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        let text: usize = self.parts.iter().map(|(name, value)| name.len() + value.len()).sum();
        size_of::<Self>() + self.scope.len() + text + self.parts.len() * size_of::<(String, String)>()
    }
}

fn write_parts<S: Serializer>(parts: &Arc<Vec<(String, String)>>, serializer: S) -> Result<S::Ok, S::Error> {
    parts.as_slice().serialize(serializer)
}

fn read_parts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Vec<(String, String)>>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::new)
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

/// Hashes every text with its length before it, so that no two lists of texts run together into the same bytes. They are
/// put together first: many bytes at once are hashed several times faster than few.
fn hash<'p>(scope: &str, parts: &(impl Iterator<Item = &'p (String, String)> + Clone)) -> [u8; 32] {
    let texts =
        || std::iter::once(scope).chain(parts.clone().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    let mut bytes = Vec::with_capacity(texts().map(|text| text.len() + size_of::<u64>()).sum());
    for text in texts() {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    *blake3::hash(&bytes).as_bytes()
}

#[cfg(test)]
mod tests;
