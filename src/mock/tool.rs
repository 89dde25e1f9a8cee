//! Decides which tools an answer calls, and with which arguments.

use serde_json::{Value, json};

use super::ask::Ask;
use super::said::Said;
use super::sample::sample;

/// A call of one of the tools that the client offered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToolCall {
    /// The tool's name.
    pub(super) name: String,
    /// A JSON object that fits the tool's schema.
    pub(super) arguments: String,
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

/// Where the dialects put a tool's schema.
const SCHEMAS: [&str; 3] = ["parameters", "input_schema", "parametersJsonSchema"];

// === impl ToolCall ===

impl ToolCall {
    /// The calls that answer a request: none after a tool's result; one when a tool is required or the user's text,
    /// which is then the last message, has the word "tool" in it; two when it has the word "parallel". The first
    /// tools offered are called, or the named one; the only one is called twice.
    pub(super) fn wanted(ask: &Ask, said: &Said) -> Vec<Self> {
        let named = match Choice::of(ask) {
            Choice::Must(name) => name,
            Choice::Free if said.last && (said.text.contains("tool") || said.text.contains("parallel")) => None,
            Choice::Free | Choice::Never => return Vec::new(),
        };
        if !said.results.is_empty() {
            return Vec::new();
        }
        let offered = offered(ask).into_iter().filter_map(called);
        let called: Vec<Self> = offered.filter(|call| named.as_ref().is_none_or(|name| *name == call.name)).collect();
        let count = if said.text.contains("parallel") && allows_several(ask) { 2 } else { 1 };
        called.iter().cycle().take(if called.is_empty() { 0 } else { count }).cloned().collect()
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

    /// The arguments as a tree, for dialects that send them so.
    pub(super) fn arguments(&self) -> Value {
        serde_json::from_str(&self.arguments).unwrap_or_else(|_| json!({}))
    }
}

/// The id of the call with this index in the answer with this id.
pub(super) fn nth(id: &str, index: usize) -> String {
    if index == 0 { id.to_owned() } else { format!("{id}_{index}") }
}

/// The declarations: one by one, under `function` in `OpenAI` chat and Ollama, several to one tool in Gemini.
fn offered(ask: &Ask) -> Vec<&Value> {
    let tools = ask.list("/tools").unwrap_or_default().iter();
    tools
        .flat_map(|tool| match tool.get("functionDeclarations").and_then(Value::as_array) {
            Some(declarations) => declarations.iter().collect(),
            None => vec![tool.get("function").unwrap_or(tool)],
        })
        .collect()
}

/// The call of a declared tool; those that the upstream itself runs have no schema.
fn called(tool: &Value) -> Option<ToolCall> {
    let name = tool.get("name").and_then(Value::as_str).filter(|_| !is_hosted(tool))?;
    let schema = SCHEMAS.iter().find_map(|field| tool.get(*field));
    let arguments = schema.filter(|schema| schema.get("properties").is_some()).map_or_else(|| json!({}), sample);
    Some(ToolCall { name: name.to_owned(), arguments: arguments.to_string() })
}

/// Tools of the upstream's own say so by a type that a client's tool never has.
fn is_hosted(tool: &Value) -> bool {
    let kind = tool.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind != "function" && kind != "custom")
}

fn allows_several(ask: &Ask) -> bool {
    ask.get("/parallel_tool_calls") != Some(&Value::Bool(false))
        && !ask.is_set("/tool_choice/disable_parallel_tool_use")
}

// === impl Choice ===

impl Choice {
    /// `OpenAI` and Ollama: `"required"`, `"none"`, `{"type":"function","function":{"name":…}}`, in Responses with the
    /// name beside the type. Anthropic: `{"type":"any"}`, `{"type":"none"}`, `{"type":"tool","name":…}`. Gemini: a mode
    /// and the names allowed.
    fn of(ask: &Ask) -> Self {
        const GEMINI: &str = "/toolConfig/functionCallingConfig";
        let mode = ask.text(&format!("{GEMINI}/mode"));
        let kind = ask.text("/tool_choice").or_else(|| ask.text("/tool_choice/type")).or(mode);
        match kind {
            Some("none" | "NONE") => Self::Never,
            Some("required" | "any") => Self::Must(None),
            Some("tool" | "function") => {
                let name = ask.text("/tool_choice/name").or_else(|| ask.text("/tool_choice/function/name"));
                Self::Must(name.map(str::to_owned))
            }
            Some("ANY") => Self::Must(ask.text(&format!("{GEMINI}/allowedFunctionNames/0")).map(str::to_owned)),
            _ => Self::Free,
        }
    }
}
