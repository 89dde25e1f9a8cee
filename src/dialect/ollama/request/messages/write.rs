//! Writes messages: parts of every kind become Ollama's one text and what stands beside it.

use serde_json::{Map, Value, json};

use super::super::MADE_ID;
use super::super::names::Names;
use crate::dialect::chat::{Chat, Media, Message, Part, Reasoning, Role, Source, Text, ToolCall, ToolResult};
use crate::dialect::loss::Losses;
use crate::dialect::ollama::read::blank;

/// One message as Ollama has it.
#[derive(Default)]
pub(in crate::dialect::ollama::request) struct Said {
    /// Who speaks, in Ollama's word.
    pub role: String,
    /// The texts, to be joined.
    pub texts: Vec<String>,
    /// Thoughts, to be joined.
    pub thinking: Vec<String>,
    /// Pictures in base64.
    pub images: Vec<Value>,
    /// Calls of tools.
    pub calls: Vec<Value>,
    /// Other fields: `tool_name`, `tool_call_id`, and what an Ollama client sent.
    pub rest: Map<String, Value>,
    /// How many texts there were when the last picture came.
    texts_before_image: usize,
}

/// Writes one message's parts, saying what is lost.
struct Writing<'a, 'l> {
    /// The request, for the names of called tools.
    chat: &'a Chat,
    /// The names of fields where it was read.
    names: Names,
    /// What is lost.
    losses: &'l mut Losses,
}

/// All messages. Results of tools stand alone, so one message may become several.
pub(in crate::dialect::ollama::request) fn said(chat: &Chat, losses: &mut Losses) -> Vec<Said> {
    let mut out = Vec::with_capacity(chat.messages.len());
    let mut writing = Writing { chat, names: Names(chat.origin), losses };
    for (at, message) in chat.messages.iter().enumerate() {
        writing.message(message, at, &mut out);
    }
    out
}

// === impl Said ===

impl Said {
    /// Takes the text of the message; Ollama has only one.
    pub(in crate::dialect::ollama::request) fn content(&mut self) -> String {
        match self.texts.as_mut_slice() {
            [one] => std::mem::take(one),
            several => several.join("\n\n"),
        }
    }

    /// The message's JSON.
    pub(in crate::dialect::ollama::request) fn json(mut self) -> Value {
        let mut map = Map::new();
        let content = self.content();
        map.insert("role".to_owned(), Value::String(self.role));
        map.insert("content".to_owned(), Value::String(content));
        if !self.thinking.is_empty() {
            map.insert("thinking".to_owned(), Value::String(self.thinking.join("\n\n")));
        }
        for (key, list) in [("images", self.images), ("tool_calls", self.calls)] {
            if !list.is_empty() {
                map.insert(key.to_owned(), Value::Array(list));
            }
        }
        for (key, value) in self.rest {
            map.insert(key, value);
        }
        Value::Object(map)
    }

    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.thinking.is_empty() && self.images.is_empty() && self.calls.is_empty()
    }
}

// === impl Writing ===

impl Writing<'_, '_> {
    fn message(&mut self, message: &Message, at: usize, out: &mut Vec<Said>) {
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        };
        let mut rest = self.rest(message, at);
        let fresh = || Said { role: role.to_owned(), ..Said::default() };
        let mut said = fresh();
        let mut results = 0;
        for (index, part) in message.parts.iter().enumerate() {
            let Part::ToolResult(result) = part else {
                self.part(part, (at, index), &mut said);
                continue;
            };
            if !said.is_empty() {
                out.push(std::mem::replace(&mut said, fresh()));
            }
            let mut result = self.result(result, (at, index));
            result.rest.append(&mut rest);
            out.push(result);
            results += 1;
        }
        if let Some(Value::String(role)) = rest.remove("role") {
            said.role = role;
        }
        said.rest.append(&mut rest);
        if results == 0 || !said.is_empty() {
            out.push(said);
        }
    }

    /// Fields of the message itself: they go back to Ollama if they came from there.
    fn rest(&mut self, message: &Message, at: usize) -> Map<String, Value> {
        let path = self.names.message(at);
        if self.names.own() {
            let mut rest = message.extra.clone();
            if let Some(name) = &message.name {
                rest.insert("name".to_owned(), Value::String(name.clone()));
            }
            return rest;
        }
        if message.name.is_some() {
            self.losses.dropped(format!("{path}.name"), "Ollama's messages have no name");
        }
        self.unknown(&message.extra, &path);
        Map::new()
    }

    fn part(&mut self, part: &Part, (at, index): (usize, usize), said: &mut Said) {
        let path = || self.names.part(at, index);
        match part {
            Part::Text(text) => self.text(text, &path(), said),
            Part::Image(media) => {
                said.texts_before_image = said.texts.len();
                let path = path();
                said.images.extend(self.image(media, &path));
            }
            Part::Document(media) => self.document(media, &path(), said),
            Part::Audio(_) => self.losses.dropped(path(), "Ollama takes no sound"),
            Part::ToolCall(call) => said.calls.push(self.call(call, &path())),
            Part::Reasoning(thoughts) => self.thoughts(thoughts, &path(), said),
            Part::Refusal(text) => {
                self.losses.approximated(path(), "Ollama has no refusals: written as text");
                said.texts.push(text.clone());
            }
            Part::ToolResult(_) => {}
            Part::Other(_) => self.losses.dropped(path(), "only its own dialect knows this part"),
        }
    }

    fn text(&mut self, text: &Text, path: &str, said: &mut Said) {
        self.cache(text.cache.as_ref(), path);
        if text.citations.as_ref().is_some_and(|it| !blank(it)) {
            self.losses.dropped(format!("{path}.citations"), "Ollama has no citations");
        }
        if text.text.is_empty() {
            return;
        }
        if !said.calls.is_empty() {
            self.losses.approximated(path, "Ollama's text stands before all calls");
        } else if said.texts_before_image > 0 {
            self.losses.approximated(path, "Ollama's pictures stand apart from the text");
        }
        said.texts.push(text.text.clone());
    }

    fn thoughts(&mut self, thoughts: &Reasoning, path: &str, said: &mut Said) {
        if thoughts.seal.is_some() {
            self.losses.dropped(path, "sealed thoughts of another maker");
        }
        if !thoughts.text.is_empty() {
            said.thinking.push(thoughts.text.clone());
        }
    }

    fn call(&mut self, call: &ToolCall, path: &str) -> Value {
        self.cache(call.cache.as_ref(), path);
        if call.seal.is_some() {
            self.losses.dropped(path, "a seal of another maker");
        }
        let arguments = crate::dialect::ollama::arguments(&call.arguments).unwrap_or_else(|raw| {
            self.losses.approximated(format!("{path}.arguments"), "the arguments are no JSON object");
            raw
        });
        let function = json!({"name": call.name, "arguments": arguments});
        if self.made(&call.id) { json!({"function": function}) } else { json!({"id": call.id, "function": function}) }
    }

    fn result(&mut self, result: &ToolResult, (at, index): (usize, usize)) -> Said {
        let path = self.names.part(at, index);
        self.cache(result.cache.as_ref(), &path);
        if result.failed {
            self.losses.dropped(format!("{path}.is_error"), "Ollama cannot say that a call failed");
        }
        let mut said = Said { role: "tool".to_owned(), ..Said::default() };
        for (inner, part) in result.parts.iter().enumerate() {
            let path = format!("{path}.content[{inner}]");
            match part {
                Part::Text(text) => self.text(text, &path, &mut said),
                Part::Image(media) => said.images.extend(self.image(media, &path)),
                Part::Document(media) => self.document(media, &path, &mut said),
                _ => self.losses.dropped(path, "Ollama's results are text and pictures"),
            }
        }
        let name = result.name.as_deref().or_else(|| self.chat.tool_of(&result.id));
        if let Some(name) = name {
            said.rest.insert("tool_name".to_owned(), name.into());
        }
        if !self.made(&result.id) {
            said.rest.insert("tool_call_id".to_owned(), result.id.as_str().into());
        }
        said
    }

    /// Whether reading made this id up because the Ollama client sent none.
    fn made(&self, id: &str) -> bool {
        self.names.own() && id.starts_with(MADE_ID)
    }

    fn image(&mut self, media: &Media, path: &str) -> Option<Value> {
        let Source::Data { base64, .. } = &media.source else {
            self.losses.dropped(path, "Ollama takes pictures only as data");
            return None;
        };
        self.clinging(media, path);
        Some(Value::String(base64.clone()))
    }

    fn document(&mut self, media: &Media, path: &str, said: &mut Said) {
        let Source::Text(text) = &media.source else {
            self.losses.dropped(path, "Ollama takes no documents");
            return;
        };
        self.losses.approximated(path, "Ollama takes no documents: written as text");
        self.clinging(media, path);
        said.texts.push(text.clone());
    }

    /// What clings to a picture or document that is kept.
    fn clinging(&mut self, media: &Media, path: &str) {
        self.cache(media.cache.as_ref(), path);
        if media.title.as_ref().is_some_and(|title| !title.is_empty()) {
            self.losses.dropped(format!("{path}.title"), "Ollama has no titles");
        }
        if media.detail.as_ref().is_some_and(|detail| detail != "auto") {
            self.losses.dropped(format!("{path}.detail"), "Ollama has no detail of pictures");
        }
        self.unknown(&media.extra, path);
    }

    fn cache(&mut self, cache: Option<&Value>, path: &str) {
        if cache.is_some_and(|cache| !blank(cache)) {
            self.losses.dropped(format!("{path}.cache_control"), "Ollama's cache cannot be steered");
        }
    }

    fn unknown(&mut self, extra: &Map<String, Value>, path: &str) {
        for (key, _) in extra.iter().filter(|(_, value)| !blank(value) && **value != Value::Bool(false)) {
            self.losses.dropped(format!("{path}.{key}"), "Ollama does not know it");
        }
    }
}
