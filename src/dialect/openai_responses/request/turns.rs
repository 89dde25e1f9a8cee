//! The input of a request, item by item, as messages: the items of one turn of the model are one message, and so are
//! the results of its calls.

use serde_json::{Map, Value};

use super::super::leftover;
use super::content;
use crate::dialect::chat::{Message, Part, Reasoning, Role, ToolCall, ToolResult};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};
use crate::dialect::seal::Seal;

/// The messages so far.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// In order.
    messages: Vec<Message>,
}

// === impl Turns ===

impl Turns {
    /// The request's `instructions`.
    pub(super) fn instructions(&mut self, text: String) {
        let mut message = Message::new(Role::System, vec![Part::plain(text)]);
        message.extra.insert(leftover::INSTRUCTIONS.to_owned(), Value::Null);
        self.messages.push(message);
    }

    /// The request's `input`: a text of the user's, or items.
    pub(super) fn input(&mut self, input: Value, path: &Path<'_>) -> Result<(), Malformed> {
        match input {
            Value::String(text) => self.messages.push(Message::new(Role::User, vec![Part::plain(text)])),
            Value::Array(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    self.item(item, &path.item(index))?;
                }
            }
            _ => return Err(path.malformed("expected a string or an array")),
        }
        Ok(())
    }

    /// All messages.
    pub(super) fn finish(self) -> Vec<Message> {
        self.messages
    }

    fn item(&mut self, item: Value, path: &Path<'_>) -> Result<(), Malformed> {
        let kind = item.get("type").and_then(Value::as_str);
        match kind {
            None if item.get("role").is_some() => self.message(path.object(item)?),
            Some("message") => self.message(path.object(item)?),
            Some("function_call") => self.call(path.object(item)?),
            Some("function_call_output") => self.result(path.object(item)?),
            Some("reasoning") => self.reasoning(path.object(item)?),
            kind => {
                let role = if kind.is_some_and(is_clients) { Role::User } else { Role::Assistant };
                if !item.is_object() {
                    return Err(path.malformed("expected an object"));
                }
                self.turn(role, true).parts.push(Part::Other(item));
                Ok(())
            }
        }
    }

    /// The message that parts of a role join: the last one, else a new one.
    fn turn(&mut self, role: Role, join: bool) -> &mut Message {
        let joins = |last: &Message| join && last.role == role && role != Role::User;
        if !self.messages.last().is_some_and(joins) {
            self.messages.push(Message::new(role, Vec::new()));
        }
        let last = self.messages.len() - 1;
        &mut self.messages[last]
    }

    fn message(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        let role = match fields.need_string("role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => return Err(fields.path().field("role").malformed("expected user, assistant, system or developer")),
        };
        let path = fields.path().field("content");
        let content = fields.take("content");
        let rest = rest(fields);
        let message = self.turn(role, role == Role::Assistant);
        let first = message.parts.len();
        let joins = matches!(message.parts.last(), Some(Part::Text(_) | Part::Refusal(_)));
        let nested = if role == Role::Assistant { ".content" } else { "" };
        for (part, left) in content::read(content, &path)? {
            let at = leftover::part_path(message.parts.len());
            if matches!(part, Part::Other(_)) {
                leftover::mark(&mut message.extra, &at, leftover::PART);
            }
            leftover::keep(&mut message.extra, &format!("{at}{nested}"), left);
            message.parts.push(part);
        }
        if role != Role::Assistant {
            message.extra.extend(rest);
        } else if message.parts.len() > first {
            let at = leftover::part_path(first);
            if joins {
                leftover::mark(&mut message.extra, &at, leftover::MESSAGE);
            }
            leftover::keep(&mut message.extra, &at, rest);
        }
        Ok(())
    }

    fn call(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        let arguments = fields.string("arguments")?.filter(|text| !text.is_empty());
        let call = ToolCall {
            id: fields.need_string("call_id")?,
            name: fields.need_string("name")?,
            arguments: arguments.unwrap_or_else(|| "{}".to_owned()),
            seal: None,
            cache: None,
        };
        self.add(Role::Assistant, Part::ToolCall(call), rest(fields));
        Ok(())
    }

    fn result(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        let id = fields.need_string("call_id")?;
        let path = fields.path().field("output");
        let output = content::read(fields.take("output"), &path)?;
        let mut left = rest(fields);
        let mut parts = Vec::with_capacity(output.len());
        for (part, fields) in output {
            leftover::keep(&mut left, &format!("output[{}]", parts.len()), fields);
            parts.push(part);
        }
        let name = None;
        self.add(Role::Tool, Part::ToolResult(ToolResult { id, name, parts, failed: false, cache: None }), left);
        Ok(())
    }

    fn reasoning(&mut self, mut fields: Fields<'_>) -> Result<(), Malformed> {
        let (id, encrypted) = (fields.string("id")?, fields.string("encrypted_content")?);
        let summary = texts(fields.array("summary")?);
        let content = fields.array("content")?;
        let mut left = rest(fields);
        let mut reasoning = Reasoning { text: summary.unwrap_or_default(), seal: None };
        if !content.is_empty() {
            if reasoning.text.is_empty() {
                reasoning.text = texts(content).unwrap_or_default();
                left.insert(leftover::CONTENT.to_owned(), Value::Null);
            } else {
                left.insert(leftover::CONTENT.to_owned(), Value::Array(content));
            }
        }
        if id.is_some() || encrypted.is_some() {
            reasoning.seal = Some(Seal::OpenAi { id: id.unwrap_or_default(), encrypted });
        }
        self.add(Role::Assistant, Part::Reasoning(reasoning), left);
        Ok(())
    }

    /// Adds an item that is one part, with the fields that the model has no place for.
    fn add(&mut self, role: Role, part: Part, left: Map<String, Value>) {
        let message = self.turn(role, true);
        let at = leftover::part_path(message.parts.len());
        leftover::keep(&mut message.extra, &at, left);
        message.parts.push(part);
    }
}

/// What is left of an item but for its type, its id and status, which the API reference says are the upstream's to
/// fill in.
fn rest(mut fields: Fields<'_>) -> Map<String, Value> {
    for name in ["type", "id", "status"] {
        fields.take(name);
    }
    fields.rest()
}

/// Whether the client, and not the model, wrote an item of a type that the model has no place for.
fn is_clients(kind: &str) -> bool {
    kind.ends_with("_call_output") || kind == "mcp_approval_response"
}

/// The texts of a reasoning item's parts, each a paragraph.
fn texts(parts: Vec<Value>) -> Option<String> {
    let mut parts = parts.into_iter().filter_map(|mut part| match part.get_mut("text").map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    });
    let first = parts.next()?;
    Some(parts.fold(first, |all, next| all + "\n\n" + &next))
}
