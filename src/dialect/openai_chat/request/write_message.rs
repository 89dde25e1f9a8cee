//! Writing the messages of a chat request.

use serde_json::{Map, Value, json};

use super::media;
use crate::dialect::Dialect;
use crate::dialect::chat::{Chat, Media, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult};
use crate::dialect::habits::Habits;
use crate::dialect::loss::Losses;
use crate::dialect::openai_chat::gemini;
use crate::dialect::seal::Seal;

/// What writing messages needs to know, and what it holds back.
struct Scribe<'a> {
    /// What the upstream accepts.
    habits: Habits,
    /// The dialect that the request was read from.
    origin: Option<Dialect>,
    /// How many messages stood apart from the others in that dialect: the leading system messages.
    apart: usize,
    /// Whether the model reads Gemini's seals.
    gemini: bool,
    /// What could not be written.
    losses: &'a mut Losses,
    /// The messages written so far.
    written: Vec<Value>,
    /// Pictures and documents of tool results, which follow the results as a message of the user's: a tool's message
    /// takes text only.
    shown: Vec<Value>,
}

/// One message as it grows.
#[derive(Default)]
struct Draft {
    /// Parts of its content.
    content: Vec<Value>,
    /// The calls of tools.
    calls: Vec<Value>,
    /// The texts of thoughts. Empty ones count: `DeepSeek` wants the field with each call of tools.
    thoughts: Option<String>,
    /// `OpenRouter`'s seals on them.
    details: Vec<Value>,
    /// The refusal.
    refusal: Option<String>,
}

/// Writes all messages.
pub(super) fn messages(chat: &Chat, habits: Habits, losses: &mut Losses) -> Vec<Value> {
    let gemini = gemini::reads(&chat.model);
    let origin = chat.origin;
    let apart = match origin {
        Some(Dialect::Anthropic | Dialect::AnthropicCount | Dialect::Gemini) => {
            chat.messages.iter().take_while(|message| message.role == Role::System).count()
        }
        _ => 0,
    };
    let mut scribe = Scribe { habits, origin, apart, gemini, losses, written: Vec::new(), shown: Vec::new() };
    for (at, message) in chat.messages.iter().enumerate() {
        scribe.message(message, at);
    }
    scribe.show();
    scribe.written
}

/// Writes Anthropic's mark where the upstream takes it.
pub(super) fn cache(
    map: &mut Map<String, Value>,
    value: Option<&Value>,
    habits: Habits,
    losses: &mut Losses,
    path: impl FnOnce() -> String,
) {
    let Some(value) = value else { return };
    if habits.cache_control {
        map.insert("cache_control".to_owned(), value.clone());
    } else {
        losses.dropped(path() + ".cache_control", "the upstream caches prompts by itself");
    }
}

// === impl Scribe ===

impl Scribe<'_> {
    fn own(&self) -> bool {
        self.origin == Some(Dialect::OpenAiChat)
    }

    /// Writes one message; tool results among its parts become messages of their own, before it.
    fn message(&mut self, message: &Message, at: usize) {
        let mut draft = Draft::default();
        let only_results = message.parts.iter().all(|part| matches!(part, Part::ToolResult(_)));
        for (n, part) in message.parts.iter().enumerate() {
            if let Part::ToolResult(result) = part {
                self.result(result, only_results.then_some(message), at, n);
            } else {
                let path = self.path(part, &draft, at, n);
                self.part(part, &mut draft, message.role, &path);
            }
        }
        if only_results && (message.role == Role::Tool || !message.parts.is_empty()) {
            return;
        }
        self.show();
        let role = match message.role {
            Role::Developer if self.habits.developer_role => "developer",
            Role::System | Role::Developer => "system",
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        };
        let mut map = Map::from_iter([("role".to_owned(), Value::from(role))]);
        map.extend(message.name.clone().map(|name| ("name".to_owned(), name.into())));
        let thoughts = (draft.thoughts.take(), std::mem::take(&mut draft.details));
        draft.finish(&mut map);
        self.thoughts(&mut map, thoughts);
        self.extras(&mut map, message, at);
        self.written.push(map.into());
    }

    /// Where a part stood: chat messages keep thoughts and calls beside their content.
    fn path(&self, part: &Part, draft: &Draft, at: usize, n: usize) -> String {
        match part {
            Part::Reasoning(_) if self.own() => format!("messages[{at}].reasoning_content"),
            Part::ToolCall(_) if self.own() => format!("messages[{at}].tool_calls[{}]", draft.calls.len()),
            _ => self.part_path(at, n),
        }
    }

    /// Where a message stood in the dialect that it was read from.
    fn message_path(&self, at: usize) -> String {
        match (self.origin, at.checked_sub(self.apart)) {
            (Some(Dialect::Gemini), Some(at)) => format!("contents[{at}]"),
            (Some(Dialect::Gemini), None) => "systemInstruction".to_owned(),
            (Some(Dialect::OpenAiResponses), Some(at)) => format!("input[{at}]"),
            (_, Some(at)) => format!("messages[{at}]"),
            (_, None) => "system".to_owned(),
        }
    }

    /// Where a part of a message stood there.
    fn part_path(&self, at: usize, n: usize) -> String {
        let message = self.message_path(at);
        match self.origin {
            Some(Dialect::Gemini) => format!("{message}.parts[{n}]"),
            _ if at < self.apart => format!("{message}[{n}]"),
            _ => format!("{message}.content[{n}]"),
        }
    }

    fn extras(&mut self, map: &mut Map<String, Value>, message: &Message, at: usize) {
        for (name, value) in &message.extra {
            if self.own() {
                map.insert(name.clone(), value.clone());
            } else if !super::settings::is_nothing(value) {
                let path = self.message_path(at);
                self.losses.dropped(format!("{path}.{name}"), "chat messages have no such field");
            }
        }
    }

    /// Puts thoughts of earlier turns where the upstream takes them.
    fn thoughts(&mut self, map: &mut Map<String, Value>, (text, details): (Option<String>, Vec<Value>)) {
        let Some(field) = self.habits.reasoning_input else { return };
        let text = text.filter(|text| !text.is_empty() || details.is_empty());
        map.extend(text.map(|text| (field.to_owned(), text.into())));
        if !details.is_empty() {
            map.insert("reasoning_details".to_owned(), details.into());
        }
    }

    fn part(&mut self, part: &Part, draft: &mut Draft, role: Role, path: &str) {
        match part {
            Part::Text(text) => draft.content.push(self.text(text, path)),
            Part::Image(media) | Part::Document(media) | Part::Audio(media) => {
                draft.content.extend(self.media(part, media, path));
            }
            Part::ToolCall(call) => draft.calls.push(self.call(call, path)),
            Part::Reasoning(reasoning) => self.reasoning(reasoning, draft, path),
            Part::Refusal(text) if role == Role::Assistant => draft.refusal = Some(text.clone()),
            Part::Refusal(text) => draft.content.push(json!({"type": "text", "text": text})),
            Part::Other(value) if self.own() && value.get("custom").is_some() => draft.calls.push(value.clone()),
            Part::Other(value) if self.own() => draft.content.push(value.clone()),
            Part::Other(_) => self.losses.dropped(path, "a part that only another dialect knows"),
            Part::ToolResult(_) => {}
        }
    }

    fn text(&mut self, text: &Text, path: &str) -> Value {
        let mut map =
            Map::from_iter([("type".to_owned(), "text".into()), ("text".to_owned(), text.text.clone().into())]);
        cache(&mut map, text.cache.as_ref(), self.habits, self.losses, || path.to_owned());
        if text.citations.as_ref().is_some_and(|citations| !super::settings::is_nothing(citations)) {
            self.losses.dropped(format!("{path}.citations"), "chat messages take no citations back");
        }
        map.into()
    }

    fn media(&mut self, part: &Part, media: &Media, path: &str) -> Option<Value> {
        let mut value = match part {
            Part::Image(_) => media::write_image(media, path, self.losses),
            Part::Audio(_) => media::write_audio(media, path, self.losses),
            _ => media::write_document(media, path, self.origin, self.losses),
        }?;
        let own = self.own();
        let map = value.as_object_mut()?;
        cache(map, media.cache.as_ref(), self.habits, self.losses, || path.to_owned());
        let kind = map.get("type")?.as_str()?.to_owned();
        for (name, extra) in &media.extra {
            match map.get_mut(&kind).and_then(Value::as_object_mut) {
                Some(inner) if own => drop(inner.insert(name.clone(), extra.clone())),
                _ if super::settings::is_nothing(extra) => {}
                _ => self.losses.dropped(format!("{path}.{name}"), "chat messages have no such field"),
            }
        }
        Some(value)
    }

    fn call(&mut self, call: &ToolCall, path: &str) -> Value {
        let function = json!({"name": call.name, "arguments": call.arguments});
        let mut map = Map::from_iter([
            ("id".to_owned(), call.id.clone().into()),
            ("type".to_owned(), "function".into()),
            ("function".to_owned(), function),
        ]);
        match &call.seal {
            Some(Seal::Gemini(signature)) if self.gemini => {
                map.insert("extra_content".to_owned(), gemini::extra_content(signature));
            }
            Some(_) => self.losses.dropped(format!("{path}.signature"), "the seal of another maker"),
            None => {}
        }
        cache(&mut map, call.cache.as_ref(), self.habits, self.losses, || path.to_owned());
        map.into()
    }

    fn reasoning(&mut self, reasoning: &Reasoning, draft: &mut Draft, path: &str) {
        if self.habits.reasoning_input.is_none() {
            if reasoning.text.is_empty() && reasoning.seal.is_none() {
                return;
            }
            self.losses.dropped(path, "the upstream takes no thoughts of earlier turns");
            return;
        }
        draft.thoughts.get_or_insert_default().push_str(&reasoning.text);
        match &reasoning.seal {
            Some(Seal::OpenRouter(Value::Array(details))) => draft.details.extend(details.iter().cloned()),
            None => {}
            Some(_) => self.losses.dropped(format!("{path}.signature"), "sealed thoughts of another maker"),
        }
    }

    /// Writes the message of a tool, with what its message says besides where it holds results only.
    fn result(&mut self, result: &ToolResult, message: Option<&Message>, at: usize, n: usize) {
        let path = self.part_path(at, n);
        if result.failed {
            self.losses.dropped(format!("{path}.is_error"), "a tool's message cannot say that the call failed");
        }
        let mut content = Vec::new();
        for (m, part) in result.parts.iter().enumerate() {
            let inner = format!("{path}.content[{m}]");
            match part {
                Part::Text(text) => content.push(self.text(text, &inner)),
                Part::Image(media) | Part::Document(media) | Part::Audio(media) => {
                    let shown = self.media(part, media, &inner);
                    if shown.is_some() {
                        self.losses.approximated(inner, "a tool's message takes text only, so the user shows it");
                    }
                    self.shown.extend(shown);
                }
                Part::Other(value) if self.own() => content.push(value.clone()),
                _ => self.losses.dropped(inner, "a tool's message takes text only"),
            }
        }
        let mut map = Map::from_iter([
            ("role".to_owned(), Value::from("tool")),
            ("tool_call_id".to_owned(), result.id.clone().into()),
            ("content".to_owned(), folded(content).unwrap_or_else(|| "".into())),
        ]);
        cache(&mut map, result.cache.as_ref(), self.habits, self.losses, || path);
        if let Some(message) = message {
            map.extend(message.name.clone().map(|name| ("name".to_owned(), name.into())));
            self.extras(&mut map, message, at);
        }
        self.written.push(map.into());
    }

    /// Writes what the tools showed, once all their results are written.
    fn show(&mut self) {
        if !self.shown.is_empty() {
            let shown = std::mem::take(&mut self.shown);
            self.written.push(json!({"role": "user", "content": shown}));
        }
    }
}

// === impl Draft ===

impl Draft {
    /// Puts the message together. A message of calls alone has no content; any other has some, be it empty.
    fn finish(self, map: &mut Map<String, Value>) {
        let content = folded(self.content);
        let other = !self.calls.is_empty() || self.refusal.is_some();
        map.insert("content".to_owned(), content.unwrap_or_else(|| if other { Value::Null } else { "".into() }));
        map.extend(self.refusal.map(|text| ("refusal".to_owned(), text.into())));
        if !self.calls.is_empty() {
            map.insert("tool_calls".to_owned(), self.calls.into());
        }
    }
}

/// One plain text is a string, which every server takes; none is nothing.
fn folded(mut parts: Vec<Value>) -> Option<Value> {
    match parts.as_mut_slice() {
        [] => None,
        [Value::Object(part)] if part.len() == 2 && part.get("type").is_some_and(|kind| kind == "text") => {
            part.get_mut("text").map(Value::take)
        }
        _ => Some(parts.into()),
    }
}
