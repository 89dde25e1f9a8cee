//! The dialects and features that the matrix runs, read from the data beside this file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::body;
use crate::dialect::Dialect;
use crate::dialect::chat::Chat;
use crate::dialect::codec::Malformed;
use crate::dialect::habits::Habits;
use crate::dialect::interpreter::Interpreter;

/// The dialects of the matrix, by their names in settings.
pub const NAMES: [&str; 5] = ["openai-chat", "openai-responses", "anthropic", "ollama", "gemini"];

/// The time of every request, in seconds since 1970.
const CREATED: i64 = 1_750_000_000;

/// The exchange's id, from which ids are made.
const EXCHANGE: &str = "matrix";

/// One dialect, as a client's and as an upstream's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Side {
    /// Its name in settings.
    pub name: String,
    /// A model that its upstreams serve: what is possible may depend on it.
    pub model: String,
    /// The path of a request.
    pub target: String,
    /// The path of a request for a stream, where that is another.
    pub stream_target: Option<String>,
    /// A request for a whole answer that uses nothing special.
    pub ask: Value,
    /// What makes it one for a stream.
    pub stream: Value,
    /// What gives it two tools.
    pub tool: Value,
    /// An answer with nothing special.
    pub answer: Value,
}

/// One feature, in the words of each dialect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feature {
    /// Its name, for people.
    pub name: String,
    /// Whether it means nothing without tools.
    #[serde(default)]
    pub tool: bool,
    /// What makes a plain request or answer use it (a merge patch, RFC 7396), by dialect.
    pub asks: BTreeMap<String, Value>,
    /// What the other side then holds, by dialect, where that is not the same; in a list, one of these.
    #[serde(default)]
    pub finds: BTreeMap<String, Value>,
}

/// All dialects.
pub(super) fn all() -> Result<Vec<Side>, serde_json::Error> {
    serde_json::from_str(include_str!("sides.json"))
}

/// The features of requests.
pub(super) fn requests() -> Result<Vec<Feature>, serde_json::Error> {
    serde_json::from_str(include_str!("requests.json"))
}

/// The features of answers.
pub(super) fn answers() -> Result<Vec<Feature>, serde_json::Error> {
    serde_json::from_str(include_str!("answers.json"))
}

// === impl Side ===

impl Side {
    /// Its name, for as long as the program runs.
    pub(super) fn known(&self) -> &'static str {
        NAMES.into_iter().find(|name| *name == self.name).unwrap_or("unknown")
    }

    /// Its dialect, which its path names.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        Dialect::of_path(self.target.split('?').next()?)
    }

    /// The path of a request.
    pub(super) fn target(&self, stream: bool) -> &str {
        self.stream_target.as_deref().filter(|_| stream).unwrap_or(&self.target)
    }

    /// A plain request for a stream, or not.
    pub(super) fn plain(&self, stream: bool) -> Value {
        let mut body = self.ask.clone();
        if stream {
            body::merge(&mut body, &self.stream);
        }
        body
    }

    /// A client's request on its way to an upstream.
    pub(super) fn between(
        &self,
        upstream: &Self,
        stream: bool,
        body: &Value,
    ) -> Result<(Interpreter, Chat), Malformed> {
        let strange = || Malformed::at("", "not a chat");
        let (client, to) = self.dialect().zip(upstream.dialect()).ok_or_else(strange)?;
        let target = self.target(stream);
        let mut chat = Interpreter::read(client, target, body.to_string().as_bytes())?;
        let asked = chat.clone();
        chat.model.clone_from(&upstream.model);
        let made = Interpreter::new(client, to, target, Habits::OPENAI, asked, EXCHANGE, CREATED);
        Ok((made.ok_or_else(strange)?, chat))
    }
}

// === impl Feature ===

impl Feature {
    /// Whether a body of this dialect holds the feature.
    pub(super) fn is_in(&self, body: &Value, side: &Side) -> bool {
        match self.finds.get(&side.name).or_else(|| self.asks.get(&side.name)) {
            Some(Value::Array(any)) => any.iter().any(|pattern| body::holds(body, pattern)),
            Some(pattern) => body::holds(body, pattern),
            None => false,
        }
    }
}
