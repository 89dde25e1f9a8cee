//! Gathers events into the pieces that Ollama's answers are made of: texts at once, calls when they are whole and in the
//! order they began, counts and the reason of the end last.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Call, METRICS};
use crate::dialect::Dialect;
use crate::dialect::codec::Stamp;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::loss::Losses;

/// One piece of an answer.
pub(super) enum Piece {
    /// Text.
    Text(String),
    /// Thoughts.
    Thinking(String),
    /// A whole call.
    Call(Value),
    /// Log probabilities of the text before.
    Logprobs(Vec<Value>),
    /// Pictures that an Ollama model drew.
    Images(Value),
    /// The end: reason, counts and times.
    Last(Map<String, Value>),
    /// The failure that ends it, in words.
    Error(String),
}

/// An answer on its way.
pub(super) struct Turn {
    /// Which call it answers.
    call: Call,
    /// The model's name.
    pub(super) model: String,
    /// When the answer began.
    pub(super) created_at: String,
    /// Calls that were begun and not written, in the order they began.
    calls: VecDeque<ToolCall>,
    /// How many calls were begun.
    begun: u32,
    /// Why it ended.
    stop: Option<Stop>,
    /// The counts that came last.
    usage: Option<Usage>,
    /// Fields of the last line that an Ollama server sent.
    own: Map<String, Value>,
    /// Whether the last piece was given.
    ended: bool,
}

/// A call on its way.
struct ToolCall {
    /// Its block.
    block: u32,
    /// Its place among the calls.
    index: u32,
    /// Its id.
    id: String,
    /// The tool's name.
    name: String,
    /// The arguments so far, as JSON text.
    arguments: String,
    /// Whether the arguments are whole.
    whole: bool,
}

// === impl Turn ===

impl Turn {
    /// An answer that says nothing yet.
    pub(super) fn new(call: Call, stamp: &Stamp) -> Self {
        Self {
            call,
            model: stamp.model.clone(),
            created_at: rfc3339(stamp.created),
            calls: VecDeque::new(),
            begun: 0,
            stop: None,
            usage: None,
            own: Map::new(),
            ended: false,
        }
    }

    /// Takes an event and gives the pieces that it completes.
    pub(super) fn take(&mut self, event: Event, losses: &mut Losses, out: &mut Vec<Piece>) {
        if self.ended {
            return;
        }
        if event.choice > 0 {
            losses.dropped(format!("choices[{}]", event.choice), "Ollama gives one answer");
            return;
        }
        let Some(event) = event.known_to(Dialect::OllamaChat, losses) else { return };
        match event.kind {
            EventKind::Start(start) => self.start(start),
            EventKind::Text { text, .. } if !text.is_empty() => out.push(Piece::Text(text)),
            EventKind::Reasoning { text, .. } if !text.is_empty() => out.push(Piece::Thinking(text)),
            EventKind::Refusal { text, block } if !text.is_empty() => {
                losses.approximated(format!("content[{block}].refusal"), "Ollama has no refusals: written as text");
                out.push(Piece::Text(text));
            }
            EventKind::ToolStart { block, id, name } => self.begin(block, id, name),
            EventKind::ToolArgs { block, json } => {
                if let Some(call) = self.calls.iter_mut().rev().find(|call| call.block == block) {
                    call.arguments.push_str(&json);
                }
            }
            EventKind::BlockStop { block } => {
                if let Some(call) = self.calls.iter_mut().rev().find(|call| call.block == block) {
                    call.whole = true;
                }
                self.ready(losses, out);
            }
            EventKind::Logprobs(mut value) => {
                if let Some(Value::Array(content)) = value.get_mut("content").map(Value::take) {
                    out.push(Piece::Logprobs(content));
                }
            }
            EventKind::Seal { block, .. } => {
                losses.dropped(format!("content[{block}].signature"), "Ollama has no seals");
            }
            EventKind::Citation { block, .. } => {
                losses.dropped(format!("content[{block}].citations"), "Ollama has no citations");
            }
            EventKind::Usage(usage) => self.usage = Some(usage),
            EventKind::Stop(stop) => self.stop = Some(stop),
            EventKind::Raw { value, .. } => self.raw(value, losses, out),
            EventKind::Failed(failure) => {
                self.ended = true;
                out.push(Piece::Error(failure.message));
            }
            EventKind::End => self.end(losses, out),
            EventKind::Text { .. } | EventKind::Reasoning { .. } | EventKind::Refusal { .. } | EventKind::Ping => {}
        }
    }

    fn start(&mut self, start: Start) {
        if let Some(model) = start.model.filter(|model| !model.is_empty()) {
            self.model = model;
        }
        if let Some(created) = start.created.filter(|created| *created > 0) {
            self.created_at = rfc3339(created);
        }
    }

    fn begin(&mut self, block: u32, id: String, name: String) {
        self.calls.push_back(ToolCall { block, index: self.begun, id, name, arguments: String::new(), whole: false });
        self.begun += 1;
    }

    /// Gives the calls that are whole, up to the first that is not.
    fn ready(&mut self, losses: &mut Losses, out: &mut Vec<Piece>) {
        while self.calls.front().is_some_and(|call| call.whole) {
            if let Some(call) = self.calls.pop_front() {
                out.extend(self.tool_call(call, losses));
            }
        }
    }

    fn tool_call(&self, call: ToolCall, losses: &mut Losses) -> Option<Piece> {
        let ToolCall { index, id, name, arguments, .. } = call;
        if self.call == Call::Generate {
            losses.dropped(format!("tool_calls[{index}]"), "Ollama's generate call has no tools");
            return None;
        }
        let arguments = super::arguments(&arguments).unwrap_or_else(|raw| {
            losses.approximated(format!("tool_calls[{index}].arguments"), "the arguments are no JSON object");
            raw
        });
        let function = json!({"index": index, "name": name, "arguments": arguments});
        Some(Piece::Call(json!({"id": id, "function": function})))
    }

    /// Puts back what an Ollama server sent.
    fn raw(&mut self, value: Value, losses: &mut Losses, out: &mut Vec<Piece>) {
        let Value::Object(map) = value else {
            losses.dropped("body", "only its own dialect knows this event");
            return;
        };
        for (key, mut value) in map {
            match key.as_str() {
                "context" if self.call == Call::Generate => {
                    self.own.insert(key, value);
                }
                "remote_model" | "remote_host" => {
                    self.own.insert(key, value);
                }
                "message" if self.call == Call::Chat && value.get("images").is_some() => {
                    if let Some(images) = value.get_mut("images") {
                        out.push(Piece::Images(images.take()));
                    }
                }
                _ => losses.dropped(key, "only its own dialect knows it"),
            }
        }
    }

    fn end(&mut self, losses: &mut Losses, out: &mut Vec<Piece>) {
        for call in std::mem::take(&mut self.calls) {
            out.extend(self.tool_call(call, losses));
        }
        self.ended = true;
        let mut last = Map::new();
        last.insert("done_reason".to_owned(), self.reason(losses).into());
        if let Some(usage) = self.usage.take() {
            metrics(usage, &mut last, losses);
        }
        last.append(&mut self.own);
        out.push(Piece::Last(last));
    }

    /// Ollama's word for the end: it knows few.
    fn reason(&mut self, losses: &mut Losses) -> String {
        let mut near = |why: &'static str| losses.approximated("finish_reason", why);
        match self.stop.take() {
            None | Some(Stop::End | Stop::Tool | Stop::Sequence(None)) => {}
            Some(Stop::Length) => return "length".to_owned(),
            Some(Stop::Sequence(Some(_))) => near("Ollama does not say which stop text it met"),
            Some(Stop::Filter) => near("Ollama has no word for text that was held back"),
            Some(Stop::Refusal) => near("Ollama has no word for a refusal"),
            Some(Stop::Pause) => near("Ollama has no word for a pause"),
            // `done_reason` is any text to Ollama's clients: servers say `load` and words of their own there.
            Some(Stop::Other(word)) => return word,
        }
        "stop".to_owned()
    }
}

/// Writes the counts and times in the server's order; a count of none is left out, as the server does.
fn metrics(mut usage: Usage, last: &mut Map<String, Value>, losses: &mut Losses) {
    for key in METRICS {
        let value = match key {
            "prompt_eval_count" if usage.input > 0 => Some(usage.input.into()),
            "eval_count" if usage.output > 0 => Some(usage.output.into()),
            _ => usage.extra.shift_remove(key),
        };
        if let Some(value) = value {
            last.insert(key.to_owned(), value);
        }
    }
    let details =
        [("cache_read", usage.cache_read), ("cache_write", usage.cache_write), ("reasoning", usage.reasoning)];
    for (name, _) in details.iter().filter(|(_, count)| count.is_some_and(|count| count > 0)) {
        losses.dropped(format!("usage.{name}"), "Ollama counts only tokens read and written");
    }
    for (key, _) in usage.extra.iter().filter(|(_, value)| !super::read::blank(value)) {
        losses.dropped(format!("usage.{key}"), "Ollama does not know it");
    }
}

/// A time as Ollama writes it; one that no calendar has is the epoch.
fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
