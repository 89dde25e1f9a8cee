//! Writing a request's input: messages as items.

use serde_json::{Map, Value, json};

use super::super::leftover::{self, Leftovers};
use super::content::{Content, Voice};
use super::settings::{self, Home};
use crate::dialect::chat::{Chat, Message, Part, Reasoning, Role, ToolCall, ToolResult};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

/// Writes a request's body.
///
/// System messages become items, not `instructions`: there they keep their order, their roles and their blocks, and a
/// request that was read with `instructions` gets them back by their mark.
pub(in super::super) fn write(chat: &Chat, losses: &mut Losses) -> Value {
    let origin = Home::of(chat);
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(chat.model.as_str()));
    let mut items = Items { origin: &origin, done: Vec::with_capacity(chat.messages.len()), losses };
    for (index, message) in chat.messages.iter().enumerate() {
        match instructions(&origin, index, message) {
            Some(text) => {
                body.insert("instructions".to_owned(), Value::from(text));
            }
            None => items.message(index, message),
        }
    }
    let items = items.done;
    body.insert("input".to_owned(), Value::Array(items));
    settings::write(chat, &origin, &mut body, losses);
    Value::Object(body)
}

/// What a request asks beside its input, for the response object, which repeats it.
pub(in super::super) fn settings(chat: &Chat) -> Map<String, Value> {
    let origin = Home::of(chat);
    let mut asked = Map::new();
    if let Some(text) = chat.messages.first().and_then(|first| instructions(&origin, 0, first)) {
        asked.insert("instructions".to_owned(), Value::from(text));
    }
    settings::write(chat, &origin, &mut asked, &mut Losses::default());
    asked
}

/// The request's own `instructions`, which only its first message can be.
fn instructions(origin: &Home, index: usize, message: &Message) -> Option<String> {
    let marked = message.extra.get(leftover::INSTRUCTIONS).is_some_and(Value::is_null);
    (origin.own && index == 0 && marked).then(|| message.text())
}

/// The items so far.
struct Items<'a, 'l> {
    /// Where the request came from.
    origin: &'a Home,
    /// In order.
    done: Vec<Value>,
    /// What finds no place among them.
    losses: &'l mut Losses,
}

/// A message on its way to items.
struct Open<'a> {
    /// What this dialect kept of it.
    content: Content<'a>,
    /// Its role's name.
    role: &'static str,
    /// What its texts are.
    voice: Voice,
    /// The parts of the message item that is not yet written.
    parts: Vec<Value>,
    /// The fields of that item that the model has no place for.
    fields: Map<String, Value>,
}

// === impl Items ===

impl Items<'_, '_> {
    fn message(&mut self, index: usize, message: &Message) {
        let left = if self.origin.own { Leftovers::of(&message.extra) } else { Leftovers::default() };
        self.unplaced(index, message);
        let (role, voice) = match message.role {
            Role::System => ("system", Voice::Input),
            Role::Developer => ("developer", Voice::Input),
            Role::User | Role::Tool => ("user", Voice::Input),
            Role::Assistant => ("assistant", Voice::Output),
        };
        let content = Content { own: self.origin.own, files: self.origin.files, left: &left };
        let mut open = Open { content, role, voice, parts: Vec::new(), fields: Map::new() };
        for (number, part) in message.parts.iter().enumerate() {
            self.part(&mut open, number, part, &self.origin.part_path(index, number));
        }
        if message.parts.is_empty() && voice == Voice::Input {
            self.done.push(json!({"type": "message", "role": role, "content": ""}));
        }
        self.close(&mut open);
    }

    /// Reports what a message has beside its parts and is not put back with them.
    fn unplaced(&mut self, index: usize, message: &Message) {
        if message.name.is_some() {
            self.losses.dropped(self.origin.message_path(index) + ".name", "messages have no name");
        }
        if self.origin.own {
            return;
        }
        for (name, _) in message.extra.iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("{}.{name}", self.origin.message_path(index));
            self.losses.dropped(path, "not a field of the Responses API");
        }
    }

    fn part(&mut self, open: &mut Open<'_>, number: usize, part: &Part, path: &str) {
        let kept = leftover::part_path(number);
        if open.content.is_content(part, &kept) {
            return self.text(open, part, &kept, path);
        }
        self.close(open);
        let item = match part {
            Part::ToolCall(call) => Some(self.call(call, path)),
            Part::ToolResult(result) => Some(self.result(&open.content, result, &kept, path)),
            Part::Reasoning(reasoning) => self.reasoning(&open.content, reasoning, &kept, path),
            Part::Other(item) if self.origin.own => return self.done.push(item.clone()),
            _ => {
                self.losses.dropped(path, "a part that only its own dialect knows");
                None
            }
        };
        if let Some(Value::Object(mut item)) = item {
            open.content.left.put_back(&kept, &mut item);
            self.done.push(Value::Object(item));
        }
    }

    /// Adds a part to the message item that is open. The fields of an item of the model's stand with its first part,
    /// those of the part itself below it.
    fn text(&mut self, open: &mut Open<'_>, part: &Part, kept: &str, path: &str) {
        let nested = format!("{kept}.content");
        let own_path = if open.voice == Voice::Output { nested.as_str() } else { kept };
        if open.voice == Voice::Output && (open.content.left.any(kept) || open.content.marked(kept, leftover::MESSAGE))
        {
            self.close(open);
            open.content.left.put_back(kept, &mut open.fields);
        }
        let written = open.content.part(part, open.voice, own_path, path, self.losses);
        open.parts.extend(written);
    }

    /// Writes the message item that is open, if there is one.
    fn close(&mut self, open: &mut Open<'_>) {
        let parts = std::mem::take(&mut open.parts);
        let fields = std::mem::take(&mut open.fields);
        if parts.is_empty() {
            return;
        }
        let mut item = Map::new();
        item.insert("type".to_owned(), Value::from("message"));
        item.insert("role".to_owned(), Value::from(open.role));
        item.insert("content".to_owned(), content(parts));
        item.extend(fields);
        if open.voice == Voice::Input {
            open.content.left.put_back("", &mut item);
        }
        self.done.push(Value::Object(item));
    }

    fn call(&mut self, call: &ToolCall, path: &str) -> Value {
        if call.seal.is_some() {
            self.losses.dropped(format!("{path}.seal"), "a seal of another maker");
        }
        self.uncached(call.cache.as_ref(), path);
        json!({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments})
    }

    fn result(&mut self, content: &Content<'_>, result: &ToolResult, kept: &str, path: &str) -> Value {
        if result.failed {
            self.losses.dropped(format!("{path}.is_error"), "an output does not say that its call failed");
        }
        self.uncached(result.cache.as_ref(), path);
        let output = content.output(&result.parts, kept, path, self.losses);
        json!({"type": "function_call_output", "call_id": result.id, "output": output})
    }

    fn uncached(&mut self, cache: Option<&Value>, path: &str) {
        if cache.is_some() {
            self.losses.dropped(format!("{path}.cache_control"), "the Responses API caches prompts by itself");
        }
    }

    /// Writes thoughts that their maker can trust. To a request of another dialect's the answer is not stored, so a
    /// bare id would name nothing.
    fn reasoning(&mut self, content: &Content<'_>, thoughts: &Reasoning, kept: &str, path: &str) -> Option<Value> {
        let (id, encrypted) = match &thoughts.seal {
            Some(Seal::OpenAi { id, encrypted }) if self.origin.own || encrypted.is_some() => {
                (Some(id.as_str()).filter(|id| !id.is_empty()), encrypted.as_deref())
            }
            None if self.origin.own => (None, None),
            Some(Seal::OpenAi { .. }) | None => {
                self.losses.dropped(path, "thoughts without a seal");
                return None;
            }
            Some(_) => {
                self.losses.dropped(path, "sealed thoughts of another maker");
                return None;
            }
        };
        let mut item = Map::new();
        item.insert("type".to_owned(), Value::from("reasoning"));
        item.extend(id.map(|id| ("id".to_owned(), Value::from(id))));
        let text = |kind: &str| match thoughts.text.as_str() {
            "" => json!([]),
            text => json!([{"type": kind, "text": text}]),
        };
        if content.marked(kept, leftover::CONTENT) {
            item.insert("summary".to_owned(), json!([]));
            item.insert("content".to_owned(), text("reasoning_text"));
        } else {
            item.insert("summary".to_owned(), text("summary_text"));
        }
        item.extend(encrypted.map(|sealed| ("encrypted_content".to_owned(), Value::from(sealed))));
        Some(Value::Object(item))
    }
}

/// A message's content: one bare input text as a string, as most clients write it; else parts.
fn content(mut parts: Vec<Value>) -> Value {
    if let [Value::Object(only)] = parts.as_mut_slice()
        && only.len() == 2
        && only.get("type").is_some_and(|kind| kind == "input_text")
        && let Some(text) = only.get_mut("text")
    {
        return text.take();
    }
    Value::Array(parts)
}
