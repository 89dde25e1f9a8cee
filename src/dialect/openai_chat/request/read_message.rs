//! Reading the messages of a chat request.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use super::media;
use crate::dialect::chat::{Message, Part, Reasoning, Role, Text, ToolCall, ToolResult};
use crate::dialect::codec::Malformed;
use crate::dialect::openai_chat::{details, gemini};
use crate::dialect::read::{Fields, Path};
use crate::dialect::seal::Seal;

/// What earlier messages said that later ones rely on.
#[derive(Default)]
struct Said {
    /// The tool of each call, by the call's id.
    tools: HashMap<String, String>,
    /// The id made for the last call of a function of the older form, which has no ids, by the function's name.
    functions: HashMap<String, String>,
    /// The ids of the last message's calls that have no result yet.
    open: VecDeque<String>,
}

/// Reads all messages.
pub(super) fn messages(value: Value) -> Result<Vec<Message>, Malformed> {
    let path = Path::Root.field("messages");
    let mut said = Said::default();
    let messages = path.array(value)?.into_iter().enumerate();
    messages.map(|(at, message)| said.message(message, at, &path.item(at))).collect()
}

// === impl Said ===

impl Said {
    fn message(&mut self, value: Value, at: usize, path: &Path<'_>) -> Result<Message, Malformed> {
        let mut fields = path.object(value)?;
        let word = fields.need_string("role")?;
        let role = match word.as_str() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => Role::Tool,
            _ => return Err(path.field("role").malformed("expected system, developer, user, assistant or tool")),
        };
        let mut name = fields.string("name")?;
        let mut parts = match role {
            Role::Tool if word == "function" => vec![self.function_result(&mut fields, name.take())?],
            Role::Tool => vec![self.result(&mut fields, name.as_deref())?],
            Role::Assistant => self.assistant(&mut fields, at)?,
            _ => content(&mut fields)?,
        };
        if let Some(cache) = fields.take("cache_control") {
            cling(&mut parts, cache);
        }
        Ok(Message { role, parts, name, extra: fields.rest() })
    }

    /// The message of a tool. Its name is the call's where the message has none; where it names no call, as Writer's
    /// clients do, the first one without a result is meant.
    fn result(&mut self, fields: &mut Fields<'_>, name: Option<&str>) -> Result<Part, Malformed> {
        let id = fields.string("tool_call_id")?.filter(|id| !id.is_empty());
        let id = id.or_else(|| self.open.front().cloned()).ok_or_else(|| fields.missing("tool_call_id"))?;
        self.open.retain(|open| *open != id);
        let name = name.map(str::to_owned).or_else(|| self.tools.get(&id).cloned());
        Ok(Part::ToolResult(ToolResult { id, name, parts: content(fields)?, failed: false, cache: None }))
    }

    /// The message of a function of the older form, which names the function and not the call.
    fn function_result(&self, fields: &mut Fields<'_>, name: Option<String>) -> Result<Part, Malformed> {
        let name = name.ok_or_else(|| fields.missing("name"))?;
        let id = self.functions.get(&name).cloned().unwrap_or_else(|| format!("call_{name}"));
        Ok(Part::ToolResult(ToolResult { id, name: Some(name), parts: content(fields)?, failed: false, cache: None }))
    }

    fn assistant(&mut self, fields: &mut Fields<'_>, at: usize) -> Result<Vec<Part>, Malformed> {
        let mut parts: Vec<Part> = thoughts(fields)?.into_iter().collect();
        parts.extend(content(fields)?);
        parts.extend(fields.string("refusal")?.map(Part::Refusal));
        let path = fields.path().field("tool_calls");
        self.open.clear();
        for (n, call) in fields.array("tool_calls")?.into_iter().enumerate() {
            parts.push(self.call(call, (at, n), &path.item(n))?);
        }
        let path = fields.path().field("function_call");
        if let Some(call) = fields.object("function_call")? {
            let mut call = Fields::new(call, &path);
            let (id, name) = (format!("call_{at}"), call.need_string("name")?);
            self.functions.insert(name.clone(), id.clone());
            let arguments = arguments(call.take("arguments"));
            parts.push(Part::ToolCall(ToolCall { id, name, arguments, seal: None, cache: None }));
        }
        Ok(parts)
    }

    /// A call; one without an id gets it from where it stands.
    fn call(&mut self, value: Value, (at, n): (usize, usize), path: &Path<'_>) -> Result<Part, Malformed> {
        if value.get("custom").is_some() {
            return Ok(Part::Other(value));
        }
        let mut call = path.object(value)?;
        let id = call.string("id")?.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{at}_{n}"));
        let cache = call.take("cache_control");
        let place = path.field("function");
        let mut function = Fields::new(call.object("function")?.ok_or_else(|| call.missing("function"))?, &place);
        let name = function.need_string("name")?;
        self.tools.insert(id.clone(), name.clone());
        self.open.push_back(id.clone());
        let arguments = arguments(function.take("arguments"));
        let seal = call.get("extra_content").and_then(gemini::signature).map(Seal::Gemini);
        Ok(Part::ToolCall(ToolCall { id, name, arguments, seal, cache }))
    }
}

/// Arguments as JSON text; some clients send the object itself.
pub(in super::super) fn arguments(value: Option<Value>) -> String {
    match value {
        None => "{}".to_owned(),
        Some(Value::String(text)) if text.trim().is_empty() => "{}".to_owned(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

/// Thoughts of an earlier turn, under each of the names in use.
fn thoughts(fields: &mut Fields<'_>) -> Result<Option<Part>, Malformed> {
    let older = fields.string("reasoning")?;
    let text = fields.string("reasoning_content")?.or(older);
    let details = fields.array("reasoning_details")?;
    if text.is_none() && details.is_empty() {
        return Ok(None);
    }
    let text = text.unwrap_or_else(|| details::text(&details));
    let seal = (!details.is_empty()).then_some(Seal::OpenRouter(Value::Array(details)));
    Ok(Some(Part::Reasoning(Reasoning { text, seal })))
}

/// Takes `content`: a text, or parts.
fn content(fields: &mut Fields<'_>) -> Result<Vec<Part>, Malformed> {
    let path = fields.path().field("content");
    match fields.take("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::plain(text)]),
        Some(Value::Array(parts)) => {
            parts.into_iter().enumerate().map(|(at, value)| part(value, &path.item(at))).collect()
        }
        Some(_) => Err(path.malformed("expected a string or an array of parts")),
    }
}

fn part(value: Value, path: &Path<'_>) -> Result<Part, Malformed> {
    match value.get("type").and_then(Value::as_str) {
        Some("text") => {
            let mut fields = path.object(value)?;
            let cache = fields.take("cache_control");
            let citations = fields.take("annotations");
            Ok(Part::Text(Text { text: fields.need_string("text")?, cache, citations }))
        }
        Some("refusal") => Ok(Part::Refusal(path.object(value)?.need_string("refusal")?)),
        Some("thinking") if value.get("thinking").is_some_and(|part| part.is_array() || part.is_string()) => {
            let text = thinking(value.get("thinking").unwrap_or(&Value::Null));
            Ok(Part::Reasoning(Reasoning { text, seal: None }))
        }
        Some(_) => Ok(media::read(value, path)?.unwrap_or_else(Part::Other)),
        None => Err(path.field("type").malformed("is required")),
    }
}

/// The text of Mistral's `thinking` part, whose value is a list of text parts.
pub(in super::super) fn thinking(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// Anthropic's mark on a whole message, which `OpenRouter` takes, stands for one on its last part.
fn cling(parts: &mut [Part], value: Value) {
    match parts.last_mut() {
        Some(Part::Text(Text { cache, .. })) => *cache = Some(value),
        Some(Part::Image(media) | Part::Document(media) | Part::Audio(media)) => media.cache = Some(value),
        Some(Part::ToolCall(call)) => call.cache = Some(value),
        Some(Part::ToolResult(result)) => result.cache = Some(value),
        _ => {}
    }
}
