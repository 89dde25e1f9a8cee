//! Messages of `/api/chat`: one text, pictures beside it, calls and thoughts beside that.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::MADE_ID;
use crate::dialect::chat::{Media, Message, Part, Reasoning, Role, Source, ToolCall, ToolResult};
use crate::dialect::codec::Malformed;
use crate::dialect::ollama::read::{blank, list, object, text};

mod write;

pub(super) use write::{Said, said};

/// Reads messages in order, so that results without an id find their call.
#[derive(Default)]
pub(super) struct Reading {
    /// How many ids were made.
    made: usize,
    /// Id and tool of the calls that have no result yet, oldest first.
    pending: VecDeque<(String, String)>,
}

/// The fields of one message.
#[derive(Default)]
struct Fields {
    /// Who speaks.
    role: String,
    /// What is said.
    content: String,
    /// What is thought.
    thinking: String,
    /// Pictures.
    images: Vec<Part>,
    /// Calls of tools.
    calls: Vec<Value>,
    /// The speaker's name; in results of older clients the tool's.
    name: Option<String>,
    /// The tool that a result is of.
    tool_name: Option<String>,
    /// The call that a result is of.
    tool_call_id: Option<String>,
    /// Everything else.
    extra: Map<String, Value>,
}

// === impl Reading ===

impl Reading {
    /// Reads the message at a place of the list.
    pub(super) fn message(&mut self, value: Value, at: usize) -> Result<Message, Malformed> {
        let mut fields = Fields::read(value, at)?;
        let role = role(&mut fields, at)?;
        let calls = std::mem::take(&mut fields.calls).into_iter().enumerate();
        let calls = calls.map(|(index, call)| self.call(call, at, index)).collect::<Result<Vec<_>, _>>()?;
        if role == Role::Tool {
            return Ok(self.result(fields, calls));
        }
        for (key, value) in [("tool_name", fields.tool_name), ("tool_call_id", fields.tool_call_id)] {
            if let Some(value) = value {
                fields.extra.insert(key.to_owned(), Value::String(value));
            }
        }
        let mut parts = Vec::new();
        if !fields.thinking.is_empty() {
            parts.push(Part::Reasoning(Reasoning { text: fields.thinking, seal: None }));
        }
        parts.append(&mut fields.images);
        if !fields.content.is_empty() {
            parts.push(Part::plain(fields.content));
        }
        parts.extend(calls);
        Ok(Message { role, parts, name: fields.name, extra: fields.extra })
    }

    fn call(&mut self, value: Value, at: usize, index: usize) -> Result<Part, Malformed> {
        let path = || format!("messages[{at}].tool_calls[{index}]");
        let mut call = object(value).map_err(|wrong| wrong.at(path()))?;
        let id = text(call.remove("id").unwrap_or_default()).map_err(|wrong| wrong.at(path() + ".id"))?;
        let function = call.remove("function").unwrap_or_default();
        let mut function = object(function).map_err(|wrong| wrong.at(path() + ".function"))?;
        let name = text(function.remove("name").unwrap_or_default());
        let name = name.map_err(|wrong| wrong.at(path() + ".function.name"))?;
        let arguments = match function.remove("arguments").unwrap_or_default() {
            Value::String(text) if !text.is_empty() => text,
            value if blank(&value) => "{}".to_owned(),
            value => value.to_string(),
        };
        let id = if id.is_empty() { self.made_id() } else { id };
        self.pending.push_back((id.clone(), name.clone()));
        Ok(Part::ToolCall(ToolCall { id, name, arguments, seal: None, cache: None }))
    }

    /// A message of [`Role::Tool`]: results, and calls only if a client put some there.
    fn result(&mut self, fields: Fields, calls: Vec<Part>) -> Message {
        let (tool, speaker) = match fields.tool_name {
            Some(tool) => (Some(tool), fields.name),
            None => (fields.name, None),
        };
        let (id, name) = self.answered(fields.tool_call_id, tool);
        let mut parts = fields.images;
        if !fields.content.is_empty() {
            parts.push(Part::plain(fields.content));
        }
        let result = Part::ToolResult(ToolResult { id, name, parts, failed: false, cache: None });
        let parts = std::iter::once(result).chain(calls).collect();
        Message { role: Role::Tool, parts, name: speaker, extra: fields.extra }
    }

    /// Id and tool of the call that a result answers: the one it names, else the oldest of its tool without a result.
    fn answered(&mut self, id: Option<String>, name: Option<String>) -> (String, Option<String>) {
        let found = self.pending.iter().position(|(call, tool)| match (&id, &name) {
            (Some(id), _) => id == call,
            (None, Some(name)) => name == tool,
            (None, None) => true,
        });
        let call = found.and_then(|at| self.pending.remove(at));
        let (call, tool) = call.map_or((None, None), |(call, tool)| (Some(call), Some(tool)));
        (id.or(call).unwrap_or_else(|| self.made_id()), name.or(tool))
    }

    fn made_id(&mut self) -> String {
        let id = format!("{MADE_ID}{}", self.made);
        self.made += 1;
        id
    }
}

// === impl Fields ===

impl Fields {
    fn read(value: Value, at: usize) -> Result<Self, Malformed> {
        let mut fields = Self::default();
        for (key, value) in object(value).map_err(|wrong| wrong.at(format!("messages[{at}]")))? {
            let place = || format!("messages[{at}].{key}");
            let said = |value| text(value).map_err(|wrong| wrong.at(place()));
            match key.as_str() {
                "role" => fields.role = said(value)?,
                "content" => fields.content = said(value)?,
                "thinking" => fields.thinking = said(value)?,
                "images" => fields.images = images(value, place)?,
                "tool_calls" => fields.calls = list(value).map_err(|wrong| wrong.at(place()))?,
                _ if blank(&value) => {}
                "name" => fields.name = Some(said(value)?),
                "tool_name" => fields.tool_name = Some(said(value)?),
                "tool_call_id" => fields.tool_call_id = Some(said(value)?),
                _ => {
                    fields.extra.insert(key, value);
                }
            }
        }
        Ok(fields)
    }
}

/// The role. Some models know more roles (Granite's `control`): those stand as system messages whose `extra` says so.
fn role(fields: &mut Fields, at: usize) -> Result<Role, Malformed> {
    Ok(match fields.role.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        "developer" => Role::Developer,
        "tool" => Role::Tool,
        "" => return Err(Malformed::at(format!("messages[{at}].role"), "expected a role")),
        _ => {
            fields.extra.insert("role".to_owned(), Value::String(std::mem::take(&mut fields.role)));
            Role::System
        }
    })
}

/// Pictures in base64, whose kind is told by their first bytes since Ollama does not say it.
pub(super) fn images(value: Value, place: impl Fn() -> String) -> Result<Vec<Part>, Malformed> {
    let list = list(value).map_err(|wrong| wrong.at(place()))?;
    let media = |(at, it)| {
        let base64 = text(it).map_err(|wrong| wrong.at(format!("{}[{at}]", place())))?;
        let media_type = media_type(&base64).to_owned();
        Ok(Part::Image(Media::new(Source::Data { media_type, base64 })))
    };
    list.into_iter().enumerate().map(media).collect()
}

/// The media type of a picture by the base64 of its file signature; empty when unknown.
fn media_type(base64: &str) -> &'static str {
    const SIGNATURES: [(&str, &str); 4] =
        [("iVBORw0KGgo", "image/png"), ("/9j/", "image/jpeg"), ("R0lGOD", "image/gif"), ("UklGR", "image/webp")];
    SIGNATURES.iter().find(|(start, _)| base64.starts_with(start)).map_or("", |(_, kind)| kind)
}
