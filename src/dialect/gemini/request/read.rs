//! A request's body and path as a conversation.

use serde_json::Value;

use super::super::spelling::object;
use super::target::Target;
use super::{contents, settings};
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Message, Part, Role};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};

/// Reads a request. Fields within `generationConfig` and `toolConfig` that the model has no place for are kept under
/// their dotted path.
pub(in crate::dialect::gemini) fn read(target: &str, body: Value) -> Result<Chat, Malformed> {
    let Target { model, stream } = Target::read(target);
    let root = Path::Root;
    let mut fields = object(&root, body)?;
    let model = model_name(model, &mut fields)?;
    // Gemini counts in every stream, asked or not.
    let mut chat = Chat { model, stream, stream_usage: stream, origin: Some(Dialect::Gemini), ..Chat::default() };
    if let Some(system) = fields.take("systemInstruction") {
        chat.messages.push(system_message(system, &root.field("systemInstruction"))?);
    }
    let contents = fields.take("contents").ok_or_else(|| fields.missing("contents"))?;
    contents::read(contents, &root.field("contents"), &mut chat.messages)?;
    if let Some(config) = fields.take("generationConfig") {
        settings::read_generation(config, &root.field("generationConfig"), &mut chat)?;
    }
    if let Some(config) = fields.take("toolConfig") {
        settings::read_tool_choice(config, &root.field("toolConfig"), &mut chat)?;
    }
    let path = root.field("tools");
    for (index, tool) in fields.array("tools")?.into_iter().enumerate() {
        settings::read_tool(tool, &path.item(index), &mut chat.tools)?;
    }
    chat.extra.extend(fields.rest());
    Ok(chat)
}

/// The model of the path; a body that names it too says nothing new.
fn model_name(model: String, fields: &mut Fields<'_>) -> Result<String, Malformed> {
    let named = fields.string("model")?;
    if model.is_empty() {
        let named = named.ok_or_else(|| fields.missing("model"))?;
        return Ok(named.strip_prefix("models/").map_or_else(|| named.clone(), str::to_owned));
    }
    Ok(model)
}

/// The system's instruction: a content whose role says nothing, or a mere text.
fn system_message(value: Value, path: &Path<'_>) -> Result<Message, Malformed> {
    if let Value::String(text) = value {
        return Ok(Message::new(Role::System, vec![Part::plain(text)]));
    }
    let mut message = Message::new(Role::System, Vec::new());
    let mut fields = object(path, value)?;
    fields.take("role");
    let parts = match fields.take("parts") {
        Some(Value::Array(parts)) => parts,
        Some(part) => vec![part],
        None => Vec::new(),
    };
    let path = path.field("parts");
    for (index, part) in parts.into_iter().enumerate() {
        contents::read_plain(part, &path.item(index), index, &mut message)?;
    }
    message.extra.extend(fields.rest());
    Ok(message)
}
