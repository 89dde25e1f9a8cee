//! One choice of an answer on its way into events: which blocks are open, and which calls were begun.

use serde_json::{Map, Value, json};

use super::{details, gemini, stop};
use crate::dialect::Dialect;
use crate::dialect::event::{Event, EventKind, Stop};
use crate::dialect::id::Ids;
use crate::dialect::read::Fields;
use crate::dialect::seal::Seal;

/// One choice while it is read. A whole message is read as one delta, so that a stream and a whole answer give the same
/// events.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Choice {
    /// Its index on the wire.
    pub(super) index: u32,
    /// The number of the next block.
    next: u32,
    /// The block of text, thoughts or refusal that is open.
    open: Option<(Kind, u32)>,
    /// The last block of text, which citations belong to.
    text: Option<u32>,
    /// The calls, in the order they began.
    calls: Vec<Call>,
    /// `OpenRouter`'s details of the thoughts that are open.
    details: Vec<Value>,
    /// Whether thoughts came as plain text, which details then only repeat.
    plain: bool,
    /// Whether anything was said, so that a cumulative message says nothing new.
    pub(super) spoke: bool,
    /// Whether a call was seen that only this dialect knows.
    called: bool,
    /// Whether the model declined.
    refused: bool,
    /// Why it ended, once the wire said so.
    pub(super) stop: Option<Stop>,
}

/// What kind of block is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
}

/// A tool call while it is read.
#[derive(Debug)]
struct Call {
    /// Its index on the wire, where there is one.
    index: Option<u64>,
    /// Its id on the wire, empty where there is none.
    id: String,
    /// Its block.
    block: u32,
}

// === impl Choice ===

impl Choice {
    pub(super) fn new(index: u32) -> Self {
        Self {
            index,
            next: 0,
            open: None,
            text: None,
            calls: Vec::new(),
            details: Vec::new(),
            plain: false,
            spoke: false,
            called: false,
            refused: false,
            stop: None,
        }
    }

    /// Reads a delta, or a whole message.
    pub(super) fn delta(&mut self, mut delta: Fields<'_>, ids: &mut Ids, out: &mut Vec<Event>) {
        delta.take("role");
        self.thoughts(&mut delta, out);
        match delta.take("content") {
            Some(Value::String(text)) => self.say(Kind::Text, text, out),
            Some(Value::Array(parts)) => parts.iter().for_each(|part| self.part(part, out)),
            Some(other) => self.raw(Map::from_iter([("content".to_owned(), other)]), out),
            None => {}
        }
        if let Some(text) = delta.string_if("refusal") {
            self.refused |= !text.is_empty();
            self.say(Kind::Refusal, text, out);
        }
        if let Some(Value::Array(annotations)) = delta.take("annotations") {
            for annotation in annotations {
                self.cite(annotation, out);
            }
        }
        if let Some(Value::Array(calls)) = delta.take("tool_calls") {
            for call in calls {
                self.call(call, ids, out);
            }
        }
        if let Some(call @ Value::Object(_)) = delta.take("function_call") {
            self.call(json!({"index": 0, "function": call}), ids, out);
        }
        let rest = delta.rest();
        if !rest.is_empty() {
            self.raw(rest, out);
        }
    }

    /// Passes on fields of a delta that only this dialect knows.
    fn raw(&self, delta: Map<String, Value>, out: &mut Vec<Event>) {
        self.raw_choice(Map::from_iter([("delta".to_owned(), delta.into())]), out);
    }

    /// Passes on fields of a choice that only this dialect knows, as a chunk of it.
    pub(super) fn raw_choice(&self, fields: Map<String, Value>, out: &mut Vec<Event>) {
        let mut choice = Map::from_iter([("index".to_owned(), Value::from(self.index))]);
        choice.extend(fields);
        self.emit(EventKind::Raw { from: Dialect::OpenAiChat, value: json!({"choices": [choice]}) }, out);
    }

    /// Ends all blocks and says why the choice ended.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        self.close(out);
        for call in &self.calls {
            self.emit(EventKind::BlockStop { block: call.block }, out);
        }
        let called = self.called || !self.calls.is_empty();
        let stop = stop::settle(self.stop.take(), called, self.refused);
        self.emit(EventKind::Stop(stop), out);
    }

    fn emit(&self, kind: EventKind, out: &mut Vec<Event>) {
        out.push(Event { choice: self.index, kind });
    }

    /// Says a piece in a block of its kind; an empty piece begins none.
    fn say(&mut self, kind: Kind, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let block = self.enter(kind, out);
        self.emit(
            match kind {
                Kind::Text => EventKind::Text { block, text },
                Kind::Reasoning => EventKind::Reasoning { block, text },
                Kind::Refusal => EventKind::Refusal { block, text },
            },
            out,
        );
    }

    /// The open block of a kind, begun if need be.
    fn enter(&mut self, kind: Kind, out: &mut Vec<Event>) -> u32 {
        self.spoke = true;
        match self.open {
            Some((open, block)) if open == kind => return block,
            _ => self.close(out),
        }
        let block = self.begin();
        self.open = Some((kind, block));
        if kind == Kind::Text {
            self.text = Some(block);
        }
        block
    }

    fn begin(&mut self) -> u32 {
        let block = self.next;
        self.next += 1;
        block
    }

    /// Ends the open block of text, thoughts or refusal; thoughts with their seal.
    fn close(&mut self, out: &mut Vec<Event>) {
        let Some((_, block)) = self.open.take() else { return };
        if !self.details.is_empty() {
            let seal = Seal::OpenRouter(Value::Array(std::mem::take(&mut self.details)));
            self.emit(EventKind::Seal { block, seal }, out);
        }
        self.emit(EventKind::BlockStop { block }, out);
    }

    /// Takes thoughts under each of the names in use. Details repeat the text, and seal it.
    fn thoughts(&mut self, delta: &mut Fields<'_>, out: &mut Vec<Event>) {
        let older = delta.string_if("reasoning");
        let text = delta.string_if("reasoning_content").filter(|text| !text.is_empty()).or(older);
        let details = match delta.take("reasoning_details") {
            Some(Value::Array(details)) => details,
            _ => Vec::new(),
        };
        self.plain |= text.as_ref().is_some_and(|text| !text.is_empty());
        let text = if self.plain { text.unwrap_or_default() } else { details::text(&details) };
        self.say(Kind::Reasoning, text, out);
        if !details.is_empty() {
            self.enter(Kind::Reasoning, out);
            details::add(&mut self.details, details);
        }
    }

    /// Reads one part of a content that is a list, as Mistral's is.
    fn part(&mut self, part: &Value, out: &mut Vec<Event>) {
        let text = |name: &str| part.get(name).and_then(Value::as_str).map(str::to_owned);
        match text("type").as_deref() {
            Some("text") => self.say(Kind::Text, text("text").unwrap_or_default(), out),
            Some("refusal") => self.say(Kind::Refusal, text("refusal").unwrap_or_default(), out),
            Some("thinking") => {
                let thought = part.get("thinking").map(super::request::thinking).unwrap_or_default();
                self.say(Kind::Reasoning, thought, out);
            }
            _ => self.raw(Map::from_iter([("content".to_owned(), json!([part]))]), out),
        }
    }

    /// Passes on an annotation, with the text it is about where there is one.
    fn cite(&mut self, value: Value, out: &mut Vec<Event>) {
        match self.text {
            Some(block) => self.emit(EventKind::Citation { block, value }, out),
            None => self.raw(Map::from_iter([("annotations".to_owned(), json!([value]))]), out),
        }
    }

    /// Reads a fragment of a call, or a whole one.
    fn call(&mut self, call: Value, ids: &mut Ids, out: &mut Vec<Event>) {
        let Value::Object(mut call) = call else { return };
        let index = call.get("index").and_then(Value::as_u64);
        let Some(Value::Object(mut function)) = call.shift_remove("function") else {
            self.called |= call.contains_key("custom");
            self.raw(Map::from_iter([("tool_calls".to_owned(), json!([call]))]), out);
            return;
        };
        let word = |value: Option<Value>| match value {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let (id, name) = (word(call.shift_remove("id")), word(function.shift_remove("name")));
        let json = match function.shift_remove("arguments") {
            Some(Value::String(json)) => json,
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        };
        let block = match self.known(index, &id, &name) {
            Some(block) => block,
            // Snowflake writes a call of nothing into each message.
            None if id.is_empty() && name.is_empty() && json.is_empty() => return,
            None => {
                self.close(out);
                self.begin_call(index, id, name, ids, out)
            }
        };
        if !json.is_empty() {
            self.emit(EventKind::ToolArgs { block, json }, out);
        }
        self.call_rest(block, call, out);
    }

    /// Passes on what else a call says: the seal that Gemini's endpoint for this dialect puts on it, and fields that only
    /// their server knows.
    fn call_rest(&self, block: u32, mut call: Map<String, Value>, out: &mut Vec<Event>) {
        call.shift_remove("type");
        if let Some(signature) = call.get("extra_content").and_then(gemini::signature) {
            self.emit(EventKind::Seal { block, seal: Seal::Gemini(signature) }, out);
            call.shift_remove("extra_content");
        }
        call.shift_remove("index");
        call.retain(|_, value| !says_nothing(value));
        if let Some(at) = self.calls.iter().position(|call| call.block == block).filter(|_| !call.is_empty()) {
            call.insert("index".to_owned(), at.into());
            self.raw(Map::from_iter([("tool_calls".to_owned(), json!([call]))]), out);
        }
    }

    /// The block of the call that a fragment continues. Some servers repeat id and name with each fragment, some give
    /// all calls the index 0, and some leave the index out.
    fn known(&self, index: Option<u64>, id: &str, name: &str) -> Option<u32> {
        let other = |call: &Call| !id.is_empty() && !call.id.is_empty() && call.id != id;
        let call = match index {
            Some(_) => self.calls.iter().rev().find(|call| call.index == index)?,
            None if id.is_empty() && name.is_empty() => self.calls.last()?,
            None => return self.calls.iter().find(|call| !id.is_empty() && call.id == id).map(|call| call.block),
        };
        (name.is_empty() || !other(call)).then_some(call.block)
    }

    fn begin_call(&mut self, index: Option<u64>, id: String, name: String, ids: &mut Ids, out: &mut Vec<Event>) -> u32 {
        self.spoke = true;
        let block = self.begin();
        self.calls.push(Call { index, id: id.clone(), block });
        let id = if id.is_empty() { ids.next("call_") } else { id };
        self.emit(EventKind::ToolStart { block, id, name }, out);
        block
    }
}

/// Whether a value holds no word and no number, however deep.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(says_nothing),
        Value::Object(map) => map.values().all(says_nothing),
        _ => false,
    }
}
