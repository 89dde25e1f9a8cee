//! One choice of a whole answer, gathered from its events.

use serde_json::{Map, Value, json};

use super::{gemini, head, stop};
use crate::dialect::event::{EventKind, Stop};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

/// Fields of audio that come in pieces.
const PIECES: [&str; 2] = ["data", "transcript"];

/// What the events said of a choice.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// Its index.
    pub(super) index: u32,
    /// Its text.
    text: Option<String>,
    /// Its thoughts.
    thoughts: String,
    /// `OpenRouter`'s seals on them.
    details: Vec<Value>,
    /// Its refusal.
    refusal: Option<String>,
    /// Annotations of its text.
    annotations: Vec<Value>,
    /// Its calls, in the order they began.
    calls: Vec<Call>,
    /// Log probabilities.
    logprobs: Option<Value>,
    /// Fields of the message that only this dialect knows.
    message: Map<String, Value>,
    /// Fields of the choice that only this dialect knows.
    rest: Map<String, Value>,
    /// Why it ended.
    stop: Option<Stop>,
}

/// A call.
#[derive(Debug)]
struct Call {
    /// Its block.
    block: u32,
    /// Its id.
    id: String,
    /// The tool's name.
    name: String,
    /// Its arguments.
    arguments: String,
    /// Gemini's seal on it.
    signature: Option<String>,
}

// === impl Fold ===

impl Fold {
    pub(super) fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    /// Adds an event of this choice.
    pub(super) fn add(&mut self, kind: EventKind, own: bool, losses: &mut Losses) {
        match kind {
            EventKind::Text { text, .. } => match &mut self.text {
                Some(sum) => sum.push_str(&text),
                none => *none = Some(text),
            },
            EventKind::Reasoning { text, .. } => self.thoughts.push_str(&text),
            EventKind::Refusal { text, .. } => self.refusal.get_or_insert_default().push_str(&text),
            EventKind::Seal { seal: Seal::OpenRouter(Value::Array(details)), .. } => self.details.extend(details),
            EventKind::Seal { block, seal } => self.seal(block, &seal, losses),
            EventKind::ToolStart { block, id, name } => {
                self.calls.push(Call { block, id, name, arguments: String::new(), signature: None });
            }
            EventKind::ToolArgs { block, json } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.block == block) {
                    call.arguments.push_str(&json);
                }
            }
            EventKind::Citation { block, value } => match head::annotation(value, own) {
                Some(annotation) => self.annotations.push(annotation),
                None => super::lost_citation(block, losses),
            },
            EventKind::Logprobs(value) => self.logprobs = Some(joined(self.logprobs.take(), value)),
            EventKind::Stop(stop) => self.stop = Some(stop),
            _ => {}
        }
    }

    fn seal(&mut self, block: u32, seal: &Seal, losses: &mut Losses) {
        match (seal, self.calls.iter_mut().find(|call| call.block == block)) {
            (Seal::Gemini(signature), Some(call)) => call.signature = Some(signature.clone()),
            _ => super::lost_seal(block, losses),
        }
    }

    /// Adds the fields of a choice that only this dialect knows.
    pub(super) fn raw(&mut self, choice: Map<String, Value>) {
        for (name, value) in choice {
            match (name.as_str(), value) {
                ("index", _) => {}
                ("delta", Value::Object(delta)) => {
                    for (name, value) in delta {
                        merge(&mut self.message, name, value);
                    }
                }
                (_, value) => drop(self.rest.insert(name, value)),
            }
        }
    }

    /// The choice. `functions` says that the client speaks of functions, which became tools.
    pub(super) fn choice(mut self, own: bool, functions: bool, losses: &mut Losses) -> Value {
        let refused = self.refusal.is_some();
        let settled = self.stop.take().unwrap_or_else(|| stop::settle(None, !self.calls.is_empty(), refused));
        let (mut reason, near) = stop::write(&settled, refused, own);
        if let Some(why) = near {
            losses.approximated("stop_reason", why);
        }
        if functions && reason == "tool_calls" {
            reason = "function_call";
        }
        let (index, logprobs, rest) = (self.index, self.logprobs.take(), std::mem::take(&mut self.rest));
        let message = self.message(functions, losses);
        let mut choice = json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason});
        if let Some(choice) = choice.as_object_mut() {
            choice.extend(rest);
        }
        choice
    }

    fn message(self, functions: bool, losses: &mut Losses) -> Map<String, Value> {
        let silent = !self.calls.is_empty() || self.refusal.is_some() || !self.message.is_empty();
        let text = self.text.map_or_else(|| if silent { Value::Null } else { "".into() }, Value::from);
        let mut message = Map::from_iter([
            ("role".to_owned(), "assistant".into()),
            ("content".to_owned(), text),
            ("refusal".to_owned(), self.refusal.into()),
        ]);
        let mut put = |name: &str, value: Value| drop(message.insert(name.to_owned(), value));
        if !self.thoughts.is_empty() {
            put("reasoning_content", self.thoughts.into());
        }
        if !self.details.is_empty() {
            put("reasoning_details", self.details.into());
        }
        if !self.annotations.is_empty() {
            put("annotations", self.annotations.into());
        }
        let mut calls = self.calls.into_iter();
        if functions {
            if let Some(call) = calls.next() {
                put("function_call", call.function());
            }
            for call in calls {
                losses.dropped(format!("content[{}]", call.block), "a client of functions takes one call");
            }
        } else if calls.len() > 0 {
            put("tool_calls", calls.map(Call::value).collect());
        }
        for (name, value) in self.message {
            merge(&mut message, name, value);
        }
        message
    }
}

// === impl Call ===

impl Call {
    fn function(self) -> Value {
        let arguments = if self.arguments.is_empty() { "{}".to_owned() } else { self.arguments };
        json!({"name": self.name, "arguments": arguments})
    }

    fn value(mut self) -> Value {
        let (id, signature) = (std::mem::take(&mut self.id), self.signature.take());
        let mut call = json!({"id": id, "type": "function", "function": self.function()});
        if let Some(signature) = signature {
            call["extra_content"] = gemini::extra_content(&signature);
        }
        call
    }
}

/// Log probabilities of a text and of its continuation.
fn joined(before: Option<Value>, mut more: Value) -> Value {
    let Some(mut before) = before else { return more };
    for name in ["content", "refusal"] {
        if let Some(Value::Array(more)) = more.get_mut(name).map(Value::take) {
            match before.get_mut(name) {
                Some(Value::Array(items)) => items.extend(more),
                _ => before[name] = more.into(),
            }
        }
    }
    before
}

/// Puts a field into a message; lists and texts of fields that came in pieces grow.
fn merge(message: &mut Map<String, Value>, name: String, value: Value) {
    match (message.get_mut(&name), value) {
        (Some(Value::Array(items)), Value::Array(more)) => more.into_iter().for_each(|item| append(items, item)),
        (Some(Value::Object(fields)), Value::Object(more)) => {
            for (name, value) in more {
                merge(fields, name, value);
            }
        }
        (Some(Value::String(text)), Value::String(more)) if PIECES.contains(&name.as_str()) => text.push_str(&more),
        (_, value) => drop(message.insert(name, value)),
    }
}

/// Adds an item to a list; one that only adds fields to a call, which then has no type, to that call.
fn append(items: &mut Vec<Value>, item: Value) {
    let at = item.get("index").and_then(Value::as_u64).filter(|_| item.get("type").is_none());
    let at = at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < items.len());
    match (at.and_then(|at| items.get_mut(at)).and_then(Value::as_object_mut), item) {
        (Some(call), Value::Object(fields)) => call.extend(fields.into_iter().filter(|(name, _)| name != "index")),
        (_, item) => items.push(item),
    }
}
