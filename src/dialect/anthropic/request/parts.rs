//! Writes the parts of messages as content blocks.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::blocks::{is_of_block, rest_of};
use super::media;
use super::paths::Paths;
use crate::dialect::chat::{Part, Reasoning, Role, Text, ToolCall, ToolResult};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

/// What the writing of every part needs.
pub(super) struct Scribe<'a> {
    /// Whether the request was read from this dialect: what only this dialect knows is then put back.
    pub(super) same: bool,
    /// How losses are named.
    pub(super) paths: Paths,
    /// The losses so far.
    pub(super) losses: &'a mut Losses,
}

/// Where a part stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// How it is named.
    paths: Paths,
    /// The index of its message.
    message: usize,
    /// Its index in the message.
    part: usize,
    /// Its index in the tool result that is that part.
    inner: Option<usize>,
}

// === impl Scribe ===

impl Scribe<'_> {
    /// Writes a part, with those fields of its block back that only this dialect knows; none when nothing is left.
    pub(super) fn part(&mut self, role: Role, place: Place, part: &Part, rest: &Map<String, Value>) -> Option<Value> {
        let mut block = match part {
            Part::Text(text) => self.text(place, text)?,
            Part::Image(media) if role != Role::Assistant => media::image(self, place, media)?,
            Part::Document(media) if role != Role::Assistant => media::document(self, place, media)?,
            Part::Image(_) | Part::Document(_) => {
                return self.drop(place, "the model's own turns hold no pictures and documents");
            }
            Part::Audio(_) => return self.drop(place, "no sound is understood"),
            Part::ToolCall(call) => self.tool_use(place, call),
            Part::ToolResult(result) => self.tool_result(place, result, rest),
            Part::Reasoning(thoughts) => self.thinking(place, thoughts)?,
            Part::Refusal(text) => {
                self.losses.approximated(place.path(), "a refusal is plain text here");
                self.text(place, &Text { text: text.clone(), ..Text::default() })?
            }
            Part::Other(block) if self.same => block.clone(),
            Part::Other(_) => return self.drop(place, "only its own dialect knows it"),
        };
        if let Value::Object(block) = &mut block {
            let own = rest.iter().filter(|(name, _)| !is_of_block(name));
            block.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        }
        Some(block)
    }

    fn drop(&mut self, place: Place, why: &'static str) -> Option<Value> {
        self.losses.dropped(place.path(), why);
        None
    }

    /// Writes text. Anthropic refuses blocks of nothing but blanks.
    fn text(&mut self, place: Place, text: &Text) -> Option<Value> {
        if text.text.trim().is_empty() {
            return if text.text.is_empty() { None } else { self.drop(place, "blank text is refused") };
        }
        let mut block = object("text");
        block.insert("text".to_owned(), json!(text.text));
        cache(&mut block, text.cache.as_ref());
        match &text.citations {
            Some(citations) if self.same => {
                block.insert("citations".to_owned(), citations.clone());
            }
            Some(citations) if asked(citations) => {
                self.losses.dropped(place.field("annotations"), "citations of another maker");
            }
            _ => {}
        }
        Some(Value::Object(block))
    }

    fn tool_use(&mut self, place: Place, call: &ToolCall) -> Value {
        let mut block = object("tool_use");
        block.insert("id".to_owned(), self.id(place, &call.id));
        block.insert("name".to_owned(), json!(call.name));
        block.insert("input".to_owned(), self.input(place, &call.arguments));
        cache(&mut block, call.cache.as_ref());
        if call.seal.is_some() {
            self.losses.dropped(place.field("seal"), "another maker's seal on a call");
        }
        Value::Object(block)
    }

    /// Arguments must be an object here. What is none stands whole in a field of one, so that the model still sees it.
    fn input(&mut self, place: Place, arguments: &str) -> Value {
        if arguments.trim().is_empty() {
            return json!({});
        }
        if let Ok(Value::Object(input)) = serde_json::from_str(arguments) {
            return Value::Object(input);
        }
        self.losses.approximated(place.field("arguments"), "arguments that are no JSON object stand in `_raw`");
        json!({"_raw": arguments})
    }

    fn tool_result(&mut self, place: Place, result: &ToolResult, rests: &Map<String, Value>) -> Value {
        let mut block = object("tool_result");
        block.insert("tool_use_id".to_owned(), self.id(place, &result.id));
        let mut blocks = Vec::with_capacity(result.parts.len());
        for (index, part) in result.parts.iter().enumerate() {
            let place = Place { inner: Some(index), ..place };
            blocks.extend(self.part(Role::Tool, place, part, &rest_of(rests, index)));
        }
        if !blocks.is_empty() {
            block.insert("content".to_owned(), content(blocks));
        }
        if result.failed {
            block.insert("is_error".to_owned(), Value::Bool(true));
        }
        cache(&mut block, result.cache.as_ref());
        Value::Object(block)
    }

    /// Writes thoughts that Anthropic sealed; it refuses all others.
    fn thinking(&mut self, place: Place, thoughts: &Reasoning) -> Option<Value> {
        match &thoughts.seal {
            Some(Seal::Anthropic(signature)) => {
                Some(json!({"type": "thinking", "thinking": thoughts.text, "signature": signature}))
            }
            Some(Seal::AnthropicRedacted(data)) => Some(json!({"type": "redacted_thinking", "data": data})),
            Some(_) => self.drop(place, "sealed thoughts of another maker"),
            None if thoughts.text.is_empty() => None,
            None => self.drop(place, "thoughts without Anthropic's signature are refused"),
        }
    }

    /// An id as Anthropic takes it.
    fn id(&mut self, place: Place, id: &str) -> Value {
        let clean = clean_id(id);
        if matches!(clean, Cow::Owned(_)) {
            self.losses.approximated(place.field("id"), "ids of calls are of letters, digits, _ and -");
        }
        Value::String(clean.into_owned())
    }

    /// Puts back the fields that only this dialect knows, or says that they are gone.
    pub(super) fn extras(&mut self, block: &mut Map<String, Value>, place: Place, extra: &Map<String, Value>) {
        for (name, value) in extra {
            if self.same {
                block.insert(name.clone(), value.clone());
            } else if asked(value) {
                self.losses.dropped(place.field(name), "only its own dialect knows it");
            }
        }
    }
}

// === impl Place ===

impl Place {
    /// A part of a message.
    pub(super) fn new(paths: Paths, message: usize, part: usize) -> Self {
        Self { paths, message, part, inner: None }
    }

    /// Its path.
    pub(super) fn path(self) -> String {
        let part = self.paths.part(self.message, self.part);
        self.inner.map_or_else(|| part.clone(), |inner| format!("{part}.content[{inner}]"))
    }

    /// The path of a field of it.
    pub(super) fn field(self, name: &str) -> String {
        format!("{}.{name}", self.path())
    }
}

/// Writes a cache mark.
pub(super) fn cache(block: &mut Map<String, Value>, cache: Option<&Value>) {
    if let Some(cache) = cache {
        block.insert("cache_control".to_owned(), cache.clone());
    }
}

/// Whether a value asks for anything: defaults do not.
pub(super) fn asked(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Blocks as content: one plain text as the string that Anthropic takes for it.
pub(super) fn content(mut blocks: Vec<Value>) -> Value {
    match blocks.as_mut_slice() {
        [Value::Object(block)] if block.len() == 2 && block["type"] == "text" => block["text"].take(),
        _ => Value::Array(blocks),
    }
}

/// An id of Anthropic's alphabet: any other id with its strange characters replaced, and a hash so that two ids stay
/// two. The same id always gives the same, so that a result still finds its call.
fn clean_id(id: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.chars().all(fits) {
        return Cow::Borrowed(id);
    }
    let clean: String = id.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let hash = blake3::hash(id.as_bytes()).to_hex();
    Cow::Owned(format!("{clean}_{}", hash.get(..8).unwrap_or_default()))
}

fn object(kind: &str) -> Map<String, Value> {
    let mut block = Map::new();
    block.insert("type".to_owned(), json!(kind));
    block
}
