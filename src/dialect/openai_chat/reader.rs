//! Reading chat streams, and whole answers as streams of one chunk.

use serde_json::{Map, Value};

use super::choice::Choice;
use super::{stop, usage};
use crate::dialect::Dialect;
use crate::dialect::codec::{Malformed, Reader};
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Usage};
use crate::dialect::failure::Failure;
use crate::dialect::id::Ids;
use crate::dialect::read::{Fields, Path};
use crate::stream;

/// Random padding against the guessing of lengths, which says nothing (`OpenAI`'s, Mistral's).
const PADDING: [&str; 2] = ["obfuscation", "p"];

/// The reader of a chat stream.
#[derive(Debug)]
pub(in crate::dialect) struct ChatReader {
    /// For calls without ids.
    ids: Ids,
    /// What the answer says of itself, until its start is told.
    start: Start,
    /// Whether the start was told.
    started: bool,
    /// Further top-level fields as they last came, so that only news is passed on.
    seen: Map<String, Value>,
    /// The choices, in the order they came.
    choices: Vec<Choice>,
    /// The last usage.
    usage: Option<Usage>,
    /// Whether the end was told.
    done: bool,
    /// Brings chunks to the chat dialect's shape.
    adapt: fn(Value) -> Value,
}

// === impl ChatReader ===

impl ChatReader {
    pub(in crate::dialect) fn new(ids: Ids) -> Self {
        Self::adapted(ids, |chunk| chunk)
    }

    /// A reader of a dialect whose chunks this function brings to the chat dialect's shape.
    pub(in crate::dialect) fn adapted(ids: Ids, adapt: fn(Value) -> Value) -> Self {
        Self {
            ids,
            start: Start::default(),
            started: false,
            seen: Map::new(),
            choices: Vec::new(),
            usage: None,
            done: false,
            adapt,
        }
    }

    /// Reads a chunk, or a whole answer.
    fn chunk(&mut self, chunk: Value, out: &mut Vec<Event>) {
        if fails(&chunk) {
            return self.fail(error::read_value(200, &chunk), out);
        }
        let Value::Object(map) = chunk else {
            return out.push(Event::first(EventKind::Raw { from: Dialect::OpenAiChat, value: chunk }));
        };
        let mut chunk = Fields::new(map, &Path::Root);
        self.head(&mut chunk);
        let choices = match chunk.take("choices") {
            Some(Value::Array(choices)) => choices,
            _ => Vec::new(),
        };
        if let Some(usage) = chunk.take("usage").and_then(usage::read) {
            self.usage = Some(usage);
        }
        let news = self.news(chunk.rest());
        if self.started {
            if !news.is_empty() {
                out.push(Event::first(EventKind::Raw { from: Dialect::OpenAiChat, value: news.into() }));
            }
        } else {
            self.start.extra.extend(news);
            if !choices.is_empty() {
                self.tell_start(out);
            }
        }
        for choice in choices {
            if !self.done {
                self.choice(choice, out);
            }
        }
    }

    /// Ends the answer, as its dialect does or because the wire ended after all was said.
    fn end(&mut self, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        if !self.started && (self.start.id.is_some() || self.usage.is_some()) {
            self.tell_start(out);
        }
        out.extend(self.usage.take().map(|usage| Event::first(EventKind::Usage(usage))));
        for choice in &mut self.choices {
            choice.finish(out);
        }
        out.push(Event::first(EventKind::End));
    }

    /// Takes what the answer says of itself. Azure's first chunk has it all, but empty.
    fn head(&mut self, chunk: &mut Fields<'_>) {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (id, model) = (text(chunk.string_if("id")), text(chunk.string_if("model")));
        let created = chunk.take("created").as_ref().and_then(seconds).filter(|at| *at != 0);
        chunk.take("object");
        for name in PADDING {
            chunk.take(name);
        }
        if !self.started {
            self.start.id = self.start.id.take().or(id);
            self.start.model = self.start.model.take().or(model);
            self.start.created = self.start.created.or(created);
        }
    }

    fn tell_start(&mut self, out: &mut Vec<Event>) {
        self.started = true;
        let mut start = std::mem::take(&mut self.start);
        start.from = Some(Dialect::OpenAiChat);
        out.push(Event::first(EventKind::Start(start)));
    }

    /// What was not so before.
    fn news(&mut self, mut fields: Map<String, Value>) -> Map<String, Value> {
        fields.retain(|name, value| self.seen.get(name) != Some(value));
        for (name, value) in &fields {
            self.seen.insert(name.clone(), value.clone());
        }
        fields
    }

    fn choice(&mut self, value: Value, out: &mut Vec<Event>) {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return self.fail(error::read_value(200, error), out);
        }
        let Value::Object(map) = value else { return };
        let mut fields = Fields::new(map, &Path::Root);
        let index = fields.take("index").and_then(|index| index.as_u64()).and_then(|index| u32::try_from(index).ok());
        let at = self.at(index.unwrap_or(0));
        let choice = &mut self.choices[at];
        // A cumulative message stands beside the delta in some streams, and the other way round in some whole answers:
        // either says all that the other does.
        let (delta, message) = (fields.take("delta"), fields.take("message"));
        let said = match (delta, message) {
            (Some(Value::Object(delta)), _) if choice.spoke || delta.get("content").is_some_and(full) => Some(delta),
            (_, Some(Value::Object(message))) if !choice.spoke => Some(message),
            (Some(Value::Object(delta)), _) => Some(delta),
            _ => None,
        };
        if let Some(said) = said {
            choice.delta(Fields::new(said, &Path::Root), &mut self.ids, out);
        }
        // The older completions have another shape, which only they know.
        if fields
            .get("logprobs")
            .is_some_and(|value| ["content", "refusal"].iter().any(|name| value.get(name).is_some()))
            && let Some(logprobs) = fields.take("logprobs").filter(|value| value.get("content").is_some_and(full))
        {
            out.push(Event { choice: choice.index, kind: EventKind::Logprobs(logprobs) });
        }
        if let Some(stop) = fields.take("finish_reason").as_ref().and_then(stop::read) {
            choice.stop = Some(stop);
        }
        let mut rest = fields.rest();
        rest.retain(|_, value| full(value));
        if !rest.is_empty() {
            choice.raw_choice(rest, out);
        }
    }

    /// Where the choice of this index is kept.
    fn at(&mut self, index: u32) -> usize {
        self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice::new(index));
            self.choices.len() - 1
        })
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.done = true;
        out.extend(self.usage.take().map(|usage| Event::first(EventKind::Usage(usage))));
        out.push(Event::first(EventKind::Failed(failure)));
    }

    /// Reads an event without data: a comment is a sign of life, but a line `error:`, which is no field of server-sent
    /// events, is llama.cpp's way to fail.
    fn without_data(&mut self, event: &stream::Event, out: &mut Vec<Event>) {
        if stream::look(event).error {
            self.fail(error::read_event(event), out);
        } else if event.to_bytes().starts_with(b":") {
            out.push(Event::first(EventKind::Ping));
        }
    }
}

impl Reader for ChatReader {
    fn read(&mut self, event: &stream::Event) -> Vec<Event> {
        let mut out = Vec::new();
        if self.done {
            return out;
        }
        let data = event.data().trim_ascii();
        if data.is_empty() {
            self.without_data(event, &mut out);
        } else if data == b"[DONE]" {
            self.end(&mut out);
        } else {
            match serde_json::from_slice::<Value>(data) {
                Ok(error) if event.name() == Some("error") => self.fail(error::read_value(200, &error), &mut out),
                Ok(chunk) => self.chunk((self.adapt)(chunk), &mut out),
                Err(_) => self.fail(Failure::garbage(), &mut out),
            }
        }
        out
    }

    fn finish(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        if self.done {
            return out;
        }
        if !self.choices.is_empty() && self.choices.iter().all(|choice| choice.stop.is_some()) {
            self.end(&mut out);
        } else {
            self.fail(Failure::cut(), &mut out);
        }
        out
    }
}

/// Reads a whole answer, which is a stream of one chunk.
pub(in crate::dialect) fn whole(body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
    let error = body.get("error").is_some_and(|error| !error.is_null());
    if !error && !body.get("choices").is_some_and(Value::is_array) {
        return Err(Malformed::at("choices", "expected an array"));
    }
    let mut reader = ChatReader::new(ids.clone());
    let mut events = Vec::new();
    reader.chunk(body, &mut events);
    reader.end(&mut events);
    *ids = reader.ids;
    Ok(events)
}

/// A time, which Writer gives as text.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether a value says something.
fn full(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// Whether a chunk, or a whole answer, tells of a failure: `{"error": …}`, vLLM's `{"object": "error", …}`,
/// `{"detail": …}`.
fn fails(chunk: &Value) -> bool {
    let says = |name: &str| chunk.get(name).and_then(Value::as_str) == Some("error");
    let has = |name: &str| chunk.get(name).is_some_and(|value| !value.is_null());
    has("error")
        || says("object")
        || says("type")
        || chunk.get("choices").is_none() && (chunk.get("detail").is_some() || chunk.get("message").is_some())
}
