//! The body of a request of any dialect, read by pointers and only as far as the answer depends on it.

use serde_json::Value;

use super::route::Refusal;

/// What a client asks a model for.
pub(super) struct Ask {
    /// The model's name as the client wrote it; any is served.
    pub(super) model: String,
    /// The whole body: a JSON object.
    body: Value,
}

// === impl Ask ===

impl Ask {
    /// Reads a body that names its model itself.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut ask = Self { model: String::new(), body: object(body)? };
        match ask.get("/model") {
            None => return Err(Refusal::missing("model")),
            Some(Value::String(model)) if !model.is_empty() => ask.model = model.clone(),
            Some(_) => return Err(Refusal::new(400, "The field `model` must be a name.")),
        }
        Ok(ask)
    }

    /// Reads a body of Gemini, whose model is named by the path.
    pub(super) fn read_gemini(model: String, body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self { model, body: in_camel_case(object(body)?) })
    }

    /// What stands at a JSON pointer (RFC 6901), unless it is null.
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.body.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The text there, when it is one.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer)?.as_str()
    }

    /// The list there, when it is one.
    pub(super) fn list(&self, pointer: &str) -> Option<&[Value]> {
        self.get(pointer)?.as_array().map(Vec::as_slice)
    }

    /// The whole number there, when it is one.
    pub(super) fn number(&self, pointer: &str) -> Option<usize> {
        usize::try_from(self.get(pointer)?.as_u64()?).ok()
    }

    /// Whether `true` stands there.
    pub(super) fn is_set(&self, pointer: &str) -> bool {
        self.get(pointer) == Some(&Value::Bool(true))
    }

    /// What the dialect requires at the field `name`.
    pub(super) fn required(&self, name: &str) -> Result<&Value, Refusal> {
        self.body.get(name).filter(|value| !value.is_null()).ok_or_else(|| Refusal::missing(name))
    }

    /// The conversation that the dialect requires at the field `name`.
    pub(super) fn turns(&self, name: &str) -> Result<&[Value], Refusal> {
        let turns = self.required(name)?.as_array();
        turns.map(Vec::as_slice).ok_or_else(|| Refusal::new(400, format!("The field `{name}` must be a list.")))
    }
}

fn object(body: &[u8]) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(400, format!("The body is not the JSON expected here: {error}.")))?;
    if body.is_object() { Ok(body) } else { Err(Refusal::new(400, "The body must be a JSON object.")) }
}

/// Fields that hold what is the client's own: names in it are left as they are.
const FREE: [&str; 6] =
    ["args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"];

/// The body with the names that JSON has for Gemini's fields. Those of the protocol buffers are taken as well, and
/// Google's own Python client mixes the two ("JSON Mapping", Protocol Buffers).
fn in_camel_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let renamed = fields.into_iter().map(|(name, value)| {
                let name = camel_case(&name);
                let value = if FREE.contains(&name.as_str()) { value } else { in_camel_case(value) };
                (name, value)
            });
            Value::Object(renamed.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(in_camel_case).collect()),
        other => other,
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// A text, or the texts of a list, one by one.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// The things to embed: each text or token list of a list, else the one thing given.
pub(super) fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) if list.iter().all(|item| item.is_string() || item.is_array()) => list.iter().collect(),
        _ => vec![value],
    }
}
