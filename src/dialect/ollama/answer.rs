//! Reads answers: a whole one is a single line, a stream is many, and both calls differ only in where the text stands.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::read::blank;
use crate::dialect::Dialect;
use crate::dialect::codec::{Malformed, Reader};
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::failure::Failure;
use crate::dialect::id::Ids;
use crate::stream;

/// Reads lines one after the other.
pub(super) struct LineReader {
    /// Ids for calls without one.
    ids: Ids,
    /// Whether the start was told.
    started: bool,
    /// How many blocks were begun.
    blocks: u32,
    /// The block of text or thoughts that is open.
    open: Option<(u32, Kind)>,
    /// Whether a tool was called.
    called: bool,
    /// Whether the answer ended or failed.
    ended: bool,
    /// Fields without a place in the model that were told already; Ollama repeats some on every line.
    told: Vec<String>,
}

/// What an open block holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Text.
    Text,
    /// Thoughts.
    Reasoning,
}

/// What one line says.
#[derive(Default)]
struct Line {
    /// The model that answers.
    model: Option<String>,
    /// When, in seconds since 1970.
    created: Option<i64>,
    /// Text: `message.content` or `response`.
    text: String,
    /// Thoughts.
    thinking: String,
    /// Calls of tools.
    calls: Vec<Value>,
    /// Log probabilities of the text.
    logprobs: Vec<Value>,
    /// Whether it is the last.
    done: bool,
    /// Why the answer ended.
    reason: Option<String>,
    /// Counts and times.
    usage: Option<Usage>,
    /// The tokens of the conversation (generate), which only the same model can read.
    context: Option<Value>,
    /// Other fields of the message.
    message: Map<String, Value>,
    /// Other fields of the line.
    rest: Map<String, Value>,
}

/// Reads a whole answer: one line that is the last, whether it says so or not.
pub(super) fn whole(body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
    let Value::Object(mut line) = body else {
        return Err(Malformed::at("body", "expected an object"));
    };
    if !["message", "response", "done", "error"].iter().any(|name| line.contains_key(*name)) {
        return Err(Malformed::at("message", "is required"));
    }
    let mut reader = LineReader::new(ids.clone());
    let mut out = Vec::new();
    line.insert("done".to_owned(), true.into());
    reader.line(line, &mut out);
    *ids = reader.ids;
    Ok(out)
}

// === impl LineReader ===

impl LineReader {
    /// A reader at the start of an answer.
    pub(super) fn new(ids: Ids) -> Self {
        Self { ids, started: false, blocks: 0, open: None, called: false, ended: false, told: Vec::new() }
    }

    fn line(&mut self, line: Map<String, Value>, out: &mut Vec<Event>) {
        if line.get("error").is_some_and(|error| !error.is_null()) {
            return self.fail(error::read_value(200, &Value::Object(line)), out);
        }
        let mut line = Line::read(line);
        self.start(line.model.take(), line.created, out);
        self.rest(&mut line, out);
        self.text(Kind::Reasoning, line.thinking, out);
        self.text(Kind::Text, line.text, out);
        if !line.logprobs.is_empty() {
            push(out, EventKind::Logprobs(json!({"content": line.logprobs})));
        }
        for call in line.calls {
            self.call(call, out);
        }
        if line.done {
            if let Some(context) = line.context {
                push(out, raw(json!({"context": context})));
            }
            self.end(line.reason.as_deref(), line.usage, out);
        }
    }

    fn start(&mut self, model: Option<String>, created: Option<i64>, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            push(out, EventKind::Start(Start { model, created, ..Start::default() }));
        }
    }

    /// Fields that only Ollama knows, each once.
    fn rest(&mut self, line: &mut Line, out: &mut Vec<Event>) {
        if !line.message.is_empty() {
            push(out, raw(json!({"message": std::mem::take(&mut line.message)})));
        }
        for (key, value) in std::mem::take(&mut line.rest) {
            if !self.told.contains(&key) {
                push(out, raw(json!({key.as_str(): value})));
                self.told.push(key);
            }
        }
    }

    fn text(&mut self, kind: Kind, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let block = match self.open {
            Some((block, open)) if open == kind => block,
            _ => {
                self.close(out);
                let block = self.begin();
                self.open = Some((block, kind));
                block
            }
        };
        push(
            out,
            match kind {
                Kind::Text => EventKind::Text { block, text },
                Kind::Reasoning => EventKind::Reasoning { block, text },
            },
        );
    }

    fn call(&mut self, mut call: Value, out: &mut Vec<Event>) {
        self.close(out);
        let id = match call.get_mut("id").map(Value::take) {
            Some(Value::String(id)) if !id.is_empty() => id,
            _ => self.ids.next("call_"),
        };
        let mut field = |key| call.get_mut("function").and_then(|it| it.get_mut(key)).map(Value::take);
        let name = match field("name") {
            Some(Value::String(name)) => name,
            _ => String::new(),
        };
        let json = match field("arguments") {
            Some(Value::String(text)) if !text.is_empty() => text,
            Some(value) if !blank(&value) => value.to_string(),
            _ => "{}".to_owned(),
        };
        let block = self.begin();
        self.called = true;
        push(out, EventKind::ToolStart { block, id, name });
        push(out, EventKind::ToolArgs { block, json });
        push(out, EventKind::BlockStop { block });
    }

    /// Ends the answer, unless it ended or failed before.
    fn end(&mut self, reason: Option<&str>, usage: Option<Usage>, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.close(out);
        if let Some(usage) = usage {
            push(out, EventKind::Usage(usage));
        }
        // Ollama says `stop` also when it calls tools.
        let stop = match reason {
            None | Some("" | "stop") if self.called => Stop::Tool,
            None | Some("" | "stop") => Stop::End,
            Some("length") => Stop::Length,
            Some(other) => Stop::Other(other.to_owned()),
        };
        push(out, EventKind::Stop(stop));
        push(out, EventKind::End);
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.ended = true;
        push(out, EventKind::Failed(failure));
    }

    fn begin(&mut self) -> u32 {
        self.blocks += 1;
        self.blocks - 1
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((block, _)) = self.open.take() {
            push(out, EventKind::BlockStop { block });
        }
    }
}

impl Reader for LineReader {
    fn read(&mut self, event: &stream::Event) -> Vec<Event> {
        let mut out = Vec::new();
        if self.ended || event.data().trim_ascii().is_empty() {
            return out;
        }
        match serde_json::from_slice(event.data()) {
            Ok(Value::Object(line)) => self.line(line, &mut out),
            Ok(other) => {
                self.start(None, None, &mut out);
                push(&mut out, raw(other));
            }
            Err(_) => self.fail(Failure::garbage(), &mut out),
        }
        out
    }

    fn finish(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        if !self.ended {
            self.fail(Failure::cut(), &mut out);
        }
        out
    }
}

// === impl Line ===

impl Line {
    fn read(map: Map<String, Value>) -> Self {
        let mut line = Self::default();
        for (key, value) in map {
            match (key.as_str(), value) {
                ("model", Value::String(model)) => line.model = Some(model),
                ("created_at", Value::String(time)) => line.created = time.parse().ok().map(Timestamp::as_second),
                ("message", Value::Object(message)) => line.message(message),
                ("response", Value::String(text)) => line.text = text,
                ("thinking", Value::String(text)) => line.thinking = text,
                ("tool_calls", Value::Array(calls)) => line.calls = calls,
                ("logprobs", Value::Array(list)) => line.logprobs = list,
                ("done", Value::Bool(done)) => line.done = done,
                ("done_reason", Value::String(reason)) => line.reason = Some(reason),
                ("context", context) => line.context = Some(context).filter(|it| !blank(it)),
                (_, Value::Number(number)) if super::METRICS.contains(&key.as_str()) => {
                    line.metric(key, number.into());
                }
                (_, value) if blank(&value) => {}
                (_, value) => {
                    line.rest.insert(key, value);
                }
            }
        }
        line
    }

    fn message(&mut self, message: Map<String, Value>) {
        for (key, value) in message {
            match (key.as_str(), value) {
                ("role", _) => {}
                ("content", Value::String(text)) => self.text = text,
                ("thinking", Value::String(text)) => self.thinking = text,
                ("tool_calls", Value::Array(calls)) => self.calls = calls,
                (_, value) if blank(&value) => {}
                (_, value) => {
                    self.message.insert(key, value);
                }
            }
        }
    }

    /// A count or a time. The count of the prompt is left out when the server had all of it in its cache.
    fn metric(&mut self, key: String, value: Value) {
        let usage = self.usage.get_or_insert_default();
        usage.from = Some(Dialect::OllamaChat);
        match (key.as_str(), value.as_u64()) {
            ("prompt_eval_count", Some(count)) => usage.input = count,
            ("eval_count", Some(count)) => usage.output = count,
            _ => {
                usage.extra.insert(key, value);
            }
        }
    }
}

/// Something that only Ollama knows.
fn raw(value: Value) -> EventKind {
    EventKind::Raw { from: Dialect::OllamaChat, value }
}

fn push(out: &mut Vec<Event>, kind: EventKind) {
    out.push(Event::first(kind));
}
