//! Decides whether an answer calls a tool, and with which arguments.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::ask::{Ask, Said};

/// A call of one of the tools that the client offered.
pub(super) struct ToolCall {
    /// The tool's name.
    pub(super) name: String,
    /// A JSON object that fits the tool's schema.
    pub(super) arguments: String,
}

/// A tool as any dialect declares it.
#[derive(Deserialize)]
struct Tool {
    /// Where `OpenAI` chat and Ollama put the rest.
    function: Option<Box<Tool>>,
    /// What the model calls it by; tools that the upstream itself runs may have none.
    name: Option<String>,
    /// The schema of the arguments in `OpenAI`'s dialects and Ollama's.
    parameters: Option<Value>,
    /// The same in Anthropic's.
    input_schema: Option<Value>,
}

/// What the client wants of its tools.
enum Choice {
    /// Never call one.
    Never,
    /// Call one when the user asks for it.
    Free,
    /// Call one, and the named one when there is a name.
    Must(Option<String>),
}

/// How long the fragments of arguments are in a stream, in characters.
const FRAGMENT: usize = 8;

// === impl ToolCall ===

impl ToolCall {
    /// The call that answers a request: always when a tool is required, else when the user's message is the last one
    /// and has the word "tool" in it, so that a client which sends the tool's result gets a text.
    pub(super) fn wanted(ask: &Ask<'_>, said: &Said) -> Option<Self> {
        let offered = ask.tools.as_ref()?;
        let name = match Choice::read(ask.tool_choice) {
            Choice::Must(name) => name,
            Choice::Free if said.last && said.text.contains("tool") => None,
            Choice::Free | Choice::Never => return None,
        };
        offered.iter().find_map(|raw| Tool::read(raw)?.called(name.as_deref()))
    }

    /// The arguments in the fragments that a stream sends them in.
    pub(super) fn fragments(&self) -> impl Iterator<Item = &str> {
        let mut rest = self.arguments.as_str();
        std::iter::from_fn(move || {
            let end = rest.char_indices().nth(FRAGMENT).map_or(rest.len(), |(at, _)| at);
            let (fragment, left) = rest.split_at(end);
            rest = left;
            Some(fragment).filter(|fragment| !fragment.is_empty())
        })
    }
}

// === impl Tool ===

impl Tool {
    fn read(raw: &RawValue) -> Option<Self> {
        let tool: Self = serde_json::from_str(raw.get()).ok()?;
        Some(match tool.function {
            Some(function) => *function,
            None => tool,
        })
    }

    /// The call of this tool, when it is the one wanted.
    fn called(self, wanted: Option<&str>) -> Option<ToolCall> {
        let name = self.name.filter(|name| wanted.is_none_or(|wanted| wanted == name))?;
        let schema = self.parameters.or(self.input_schema).unwrap_or_default();
        Some(ToolCall { name, arguments: sample(&schema).to_string() })
    }
}

/// An object with a value for every property that the schema names.
fn sample(schema: &Value) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return json!({}) };
    let values = properties.iter().map(|(name, property)| (name.clone(), sample_value(name, property)));
    Value::Object(values.collect::<Map<_, _>>())
}

/// The simplest value that fits a property's schema; a text is the property's own name.
fn sample_value(name: &str, schema: &Value) -> Value {
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => sample(schema),
        Some("null") => Value::Null,
        _ => json!(name),
    }
}

// === impl Choice ===

impl Choice {
    /// `OpenAI` and Ollama: `"required"`, `"none"`, `{"type":"function","function":{"name":…}}`, in Responses with the
    /// name beside the type. Anthropic: `{"type":"any"}`, `{"type":"none"}`, `{"type":"tool","name":…}`.
    fn read(raw: Option<&RawValue>) -> Self {
        let choice: Value = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let kind = choice.as_str().or_else(|| choice.get("type").and_then(Value::as_str));
        match kind {
            Some("none") => Self::Never,
            Some("required" | "any") => Self::Must(None),
            Some("tool" | "function") => {
                let name = choice.get("name").or_else(|| choice.get("function")?.get("name"));
                Self::Must(name.and_then(Value::as_str).map(str::to_owned))
            }
            _ => Self::Free,
        }
    }
}
