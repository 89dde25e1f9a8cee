//! Writing a message item: its parts grow, and it is whole when all of them are.

use serde_json::{Map, Value};

use super::super::super::object;
use super::super::out::{Body, Out};

/// A message that grows.
#[derive(Debug)]
pub(super) struct Message {
    /// The item's id.
    id: String,
    /// Its parts.
    parts: Vec<Part>,
    /// Whether no part joins any more.
    left: bool,
    /// Fields that the model has no place for.
    fields: Map<String, Value>,
}

/// A part of a message.
#[derive(Debug)]
struct Part {
    /// Whether it is a refusal.
    refusal: bool,
    /// The text so far.
    text: String,
    /// Its annotations.
    annotations: Vec<Value>,
    /// Its log probabilities.
    logprobs: Vec<Value>,
    /// The part when it is whole.
    whole: Option<Value>,
}

// === impl Message ===

impl Message {
    /// A message without parts.
    pub(super) fn new(id: String, fields: Map<String, Value>) -> Self {
        Self { id, parts: Vec::new(), left: false, fields }
    }

    /// The item with these parts.
    pub(super) fn item(&self, status: &str, content: Vec<Value>) -> Value {
        let mut item = Map::new();
        let mut put = |name: &str, value: Value| {
            item.insert(name.to_owned(), value);
        };
        put("id", Value::from(self.id.as_str()));
        put("type", Value::from("message"));
        put("status", Value::from(status));
        put("content", Value::Array(content));
        put("role", Value::from("assistant"));
        item.extend(self.fields.clone());
        Value::Object(item)
    }

    /// Whether a part takes more of a kind.
    pub(super) fn is_open(&self, part: usize, refusal: bool) -> bool {
        self.parts.get(part).is_some_and(|part| part.whole.is_none() && part.refusal == refusal)
    }

    /// Whether a part of it is a refusal.
    pub(super) fn refuses(&self) -> bool {
        self.parts.iter().any(|part| part.refusal)
    }

    /// Begins a part and says its number.
    pub(super) fn begin(&mut self, index: usize, refusal: bool, out: &mut Out) -> usize {
        let number = self.parts.len();
        let mut part =
            Part { refusal, text: String::new(), annotations: Vec::new(), logprobs: Vec::new(), whole: None };
        let empty = part.take();
        out.emit("response.content_part.added", Body { part: Some(&empty), ..body(&self.id, index, number) });
        self.parts.push(part);
        number
    }

    /// A piece of a part, with log probabilities that came before it.
    pub(super) fn speak(&mut self, index: usize, number: usize, text: &str, logprobs: Vec<Value>, out: &mut Out) {
        let Some(part) = self.parts.get_mut(number) else { return };
        part.text.push_str(text);
        if text.is_empty() && logprobs.is_empty() {
            return;
        }
        let body = Body { delta: Some(text), ..body(&self.id, index, number) };
        if part.refusal {
            out.emit("response.refusal.delta", body);
        } else {
            out.emit("response.output_text.delta", Body { logprobs: Some(&logprobs), ..body });
            part.logprobs.extend(logprobs);
        }
    }

    /// Log probabilities of the last part; given back when it takes none. They come in an event of their own, since the
    /// text that they belong to is already out.
    pub(super) fn logprobs(&mut self, index: usize, list: Vec<Value>, out: &mut Out) -> Vec<Value> {
        let number = self.parts.len().saturating_sub(1);
        if !self.is_open(number, false) {
            return list;
        }
        self.speak(index, number, "", list, out);
        Vec::new()
    }

    /// An annotation of a part.
    pub(super) fn cite(&mut self, index: usize, number: usize, annotation: Value, out: &mut Out) {
        let Some(part) = self.parts.get_mut(number) else { return };
        let body = Body {
            annotation_index: Some(part.annotations.len()),
            annotation: Some(&annotation),
            ..body(&self.id, index, number)
        };
        out.emit("response.output_text.annotation.added", body);
        part.annotations.push(annotation);
    }

    /// A part is whole. Says whether the message is, too.
    pub(super) fn stop(&mut self, index: usize, number: usize, out: &mut Out) -> bool {
        let Some(part) = self.parts.get_mut(number).filter(|part| part.whole.is_none()) else { return false };
        let body = || body(&self.id, index, number);
        if part.refusal {
            out.emit("response.refusal.done", Body { refusal: Some(&part.text), ..body() });
        } else {
            let logprobs = Some(part.logprobs.as_slice());
            out.emit("response.output_text.done", Body { text: Some(&part.text), logprobs, ..body() });
        }
        let whole = part.take();
        out.emit("response.content_part.done", Body { part: Some(&whole), ..body() });
        part.whole = Some(whole);
        self.left && self.is_whole()
    }

    /// No part joins any more. Says whether the message is whole.
    pub(super) fn leave(&mut self) -> bool {
        self.left = true;
        self.is_whole()
    }

    fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.whole.is_some())
    }

    /// Ends every part that is open and gives the item.
    pub(super) fn end(mut self, index: usize, status: &str, out: &mut Out) -> Value {
        for number in 0..self.parts.len() {
            self.stop(index, number, out);
        }
        let content = std::mem::take(&mut self.parts).into_iter().filter_map(|part| part.whole).collect();
        self.item(status, content)
    }
}

// === impl Part ===

impl Part {
    /// The part as it stands, of which what it holds is taken.
    fn take(&mut self) -> Value {
        let text = Value::String(std::mem::take(&mut self.text));
        if self.refusal {
            return object([("type", Value::from("refusal")), ("refusal", text)]);
        }
        let lists = [&mut self.annotations, &mut self.logprobs].map(|list| Value::Array(std::mem::take(list)));
        let [annotations, logprobs] = lists;
        let kind = Value::from("output_text");
        object([("type", kind), ("annotations", annotations), ("logprobs", logprobs), ("text", text)])
    }
}

/// An event about a part.
fn body(id: &str, index: usize, number: usize) -> Body<'_> {
    Body { item_id: Some(id), output_index: Some(index), content_index: Some(number), ..Body::default() }
}
