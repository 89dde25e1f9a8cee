//! The turns of a conversation, as messages.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value};

use super::super::spelling::object;
use super::{media, result};
use crate::dialect::chat::{Message, Part, Reasoning, Role, ToolCall};
use crate::dialect::codec::Malformed;
use crate::dialect::read::{Fields, Path};
use crate::dialect::seal::Seal;

/// Ids for calls that have none, and the results that belong to them by name and order.
#[derive(Default)]
struct Calls {
    /// The calls that have no result yet, by the tool's name.
    waiting: HashMap<String, VecDeque<String>>,
}

/// Reads `contents`. A turn of the user that holds results is split into messages of tools and of the user.
pub(super) fn read(contents: Value, path: &Path<'_>, messages: &mut Vec<Message>) -> Result<(), Malformed> {
    let contents = match contents {
        Value::Array(contents) => contents,
        one @ Value::Object(_) => vec![one],
        _ => return Err(path.malformed("expected an array")),
    };
    let mut calls = Calls::default();
    for (index, content) in contents.into_iter().enumerate() {
        turn(content, index, &path.item(index), &mut calls, messages)?;
    }
    Ok(())
}

fn turn(
    content: Value,
    index: usize,
    path: &Path<'_>,
    calls: &mut Calls,
    messages: &mut Vec<Message>,
) -> Result<(), Malformed> {
    let mut fields = object(path, content)?;
    let role = match fields.string("role")?.as_deref() {
        None | Some("user" | "function" | "tool" | "") => Role::User,
        Some("model" | "assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => return Err(path.field("role").malformed("expected user or model")),
    };
    let mut message = Message::new(role, Vec::new());
    let parts = match fields.take("parts") {
        Some(Value::Array(parts)) => parts,
        Some(one @ Value::Object(_)) => vec![one],
        Some(_) => return Err(path.field("parts").malformed("expected an array")),
        None => Vec::new(),
    };
    message.extra.extend(fields.rest());
    let path = path.field("parts");
    for (position, part) in parts.into_iter().enumerate() {
        let path = path.item(position);
        let mut fields = object(&path, part)?;
        if let Some(response) = fields.take("functionResponse") {
            switch(Role::Tool, &mut message, messages);
            let here = path.field("functionResponse");
            let part = result::read(response, &here, position, &mut message, |id, name| calls.answer(id, name))?;
            message.parts.push(part);
        } else if let Some(call) = fields.take("functionCall") {
            switch(role, &mut message, messages);
            let place = (index, position);
            read_call(call, &path.field("functionCall"), place, &mut fields, calls, &mut message)?;
        } else {
            switch(role, &mut message, messages);
            part_of(fields, position, &mut message)?;
            continue;
        }
        keep(fields.rest(), position, &mut message);
    }
    if !message.parts.is_empty() || !message.extra.is_empty() {
        messages.push(message);
    }
    Ok(())
}

/// Goes on with a message of this role: the same one, or a new one.
fn switch(role: Role, message: &mut Message, messages: &mut Vec<Message>) {
    if message.role == role {
        return;
    }
    let done = std::mem::replace(message, Message::new(role, Vec::new()));
    if done.parts.is_empty() {
        message.extra = done.extra;
    } else {
        messages.push(done);
    }
}

/// Reads a part that is no call and no result.
pub(super) fn read_plain(
    part: Value,
    path: &Path<'_>,
    position: usize,
    message: &mut Message,
) -> Result<(), Malformed> {
    part_of(object(path, part)?, position, message)
}

fn part_of(mut fields: Fields<'_>, position: usize, message: &mut Message) -> Result<(), Malformed> {
    if let Some(part) = media::read(&mut fields)? {
        let part = match part {
            media::Found::Media(make, mut media) => {
                media.extra.extend(fields.rest());
                make(media)
            }
            media::Found::Other(name, value) => {
                let mut whole = fields.rest();
                whole.insert(name.to_owned(), value);
                Part::Other(Value::Object(whole))
            }
        };
        message.parts.push(part);
        return Ok(());
    }
    let Some(text) = fields.string("text")? else {
        let rest = fields.rest();
        if !rest.is_empty() {
            message.parts.push(Part::Other(Value::Object(rest)));
        }
        return Ok(());
    };
    let seal = fields.string("thoughtSignature")?.map(Seal::Gemini);
    if fields.boolean("thought")? == Some(true) {
        message.parts.push(Part::Reasoning(Reasoning { text, seal }));
    } else {
        let sealed = seal.is_some();
        message.parts.extend(seal.map(|seal| Part::Reasoning(Reasoning { text: String::new(), seal: Some(seal) })));
        if !(sealed && text.is_empty()) {
            message.parts.push(Part::plain(text));
        }
    }
    keep(fields.rest(), position, message);
    Ok(())
}

fn read_call(
    call: Value,
    path: &Path<'_>,
    (turn, position): (usize, usize),
    part: &mut Fields<'_>,
    calls: &mut Calls,
    message: &mut Message,
) -> Result<(), Malformed> {
    let mut fields = object(path, call)?;
    let name = fields.need_string("name")?;
    let id = fields.string("id")?.filter(|id| !id.is_empty()).unwrap_or_else(|| made_id(turn, position));
    let arguments = fields.object("args")?.unwrap_or_default();
    let arguments = Value::Object(arguments).to_string();
    let seal = part.string("thoughtSignature")?.map(Seal::Gemini);
    calls.waiting.entry(name.clone()).or_default().push_back(id.clone());
    message.parts.push(Part::ToolCall(ToolCall { id, name, arguments, seal, cache: None }));
    keep(fields.rest(), position, message);
    Ok(())
}

/// Keeps fields of a part that has no place for them, under their path.
pub(super) fn keep(fields: Map<String, Value>, position: usize, message: &mut Message) {
    for (name, value) in fields {
        message.extra.insert(format!("parts[{position}].{name}"), value);
    }
}

/// The id of a call that has none: where it stands.
fn made_id(turn: usize, position: usize) -> String {
    format!("call_{turn}_{position}")
}

/// Whether an id is one of [`made_id`], which Gemini never saw.
pub(super) fn is_made(id: &str) -> bool {
    let place = id.strip_prefix("call_").and_then(|place| place.split_once('_'));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    place.is_some_and(|(turn, position)| number(turn) && number(position))
}

// === impl Calls ===

impl Calls {
    /// The id of the call that a result answers: its own, or that of the eldest call of the tool without a result.
    fn answer(&mut self, id: Option<String>, name: &str) -> String {
        let waiting = self.waiting.entry(name.to_owned()).or_default();
        match id {
            Some(id) => {
                waiting.retain(|waiting| *waiting != id);
                id
            }
            None => waiting.pop_front().unwrap_or_else(|| format!("call_{name}")),
        }
    }
}
