//! Answers of Gemini, whole or chunk by chunk, as events. A whole answer is one chunk, so both give the same events.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{logprobs, stop, usage};
use crate::dialect::Dialect;
use crate::dialect::codec::{Malformed, Reader};
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Usage};
use crate::dialect::failure::Failure;
use crate::dialect::id::Ids;
use crate::dialect::seal::Seal;
use crate::stream;

mod part;
#[cfg(test)]
mod tests;

/// Reads the chunks of one answer. Usage grows from chunk to chunk; only the last one is passed on, with the chunk that
/// ends a candidate, or at the end of the stream.
pub(super) struct Answer {
    /// Ids for calls that have none.
    ids: Ids,
    /// Top-level fields as the first chunk had them; `None` before it.
    head: Option<Map<String, Value>>,
    /// What is known of each candidate.
    candidates: BTreeMap<u32, Candidate>,
    /// The last usage, when it was not passed on yet.
    usage: Option<Usage>,
    /// The usage that was passed on.
    told: Option<Usage>,
    /// Whether the answer failed or was ended; nothing follows.
    over: bool,
}

/// What is known of one candidate.
#[derive(Default)]
struct Candidate {
    /// The number of the next block.
    next: u32,
    /// The block that is open.
    open: Option<Open>,
    /// Whether it called a tool.
    calls: bool,
    /// Whether its finish reason came.
    stopped: bool,
}

/// The block that pieces are added to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Open {
    /// Its number.
    block: u32,
    /// Whether it holds thoughts.
    thought: bool,
}

/// The events of one candidate, as they are made.
struct Out<'a> {
    /// The candidate's index.
    choice: u32,
    /// Where they go.
    events: &'a mut Vec<Event>,
}

/// Fields of a candidate that cite sources for its text.
pub(super) const CITATIONS: [&str; 3] = ["citationMetadata", "groundingMetadata", "urlContextMetadata"];

// === impl Out ===

impl Out<'_> {
    fn push(&mut self, kind: EventKind) {
        self.events.push(Event { choice: self.choice, kind });
    }

    /// Something that only Gemini knows, in the shape of a chunk with nothing else in it.
    fn raw(&mut self, candidate: Map<String, Value>) {
        let mut chunk = Map::new();
        chunk.insert("candidates".to_owned(), Value::Array(vec![Value::Object(candidate)]));
        self.push(EventKind::Raw { from: Dialect::Gemini, value: Value::Object(chunk) });
    }
}

// === impl Answer ===

impl Answer {
    /// An answer of which nothing was read.
    pub(super) fn new(ids: Ids) -> Self {
        Self { ids, head: None, candidates: BTreeMap::new(), usage: None, told: None, over: false }
    }

    /// Reads a whole answer: one object, or the array that a stream is without `alt=sse`. `ids` are left
    /// where the answer's own stand.
    pub(super) fn whole(mut self, body: Value, ids: &mut Ids) -> Result<Vec<Event>, Malformed> {
        let mut events = Vec::new();
        let chunks = match body {
            Value::Array(chunks) if !chunks.is_empty() => chunks,
            body => vec![body],
        };
        for chunk in chunks {
            let Value::Object(chunk) = chunk else { return Err(Malformed::at("", "expected an object")) };
            let known = ["candidates", "promptFeedback", "usageMetadata", "error"];
            if !known.iter().any(|name| chunk.contains_key(*name)) {
                return Err(Malformed::at("candidates", "is required"));
            }
            self.chunk(chunk, &mut events);
        }
        if self.candidates.is_empty() {
            self.candidates.insert(0, Candidate::default());
        }
        for (&choice, candidate) in &mut self.candidates {
            let unsaid = Value::from("FINISH_REASON_UNSPECIFIED");
            if !self.over && !candidate.stopped {
                candidate.stop(&unsaid, &mut Out { choice, events: &mut events });
            }
        }
        self.end(&mut events);
        *ids = self.ids;
        Ok(events)
    }

    fn chunk(&mut self, mut chunk: Map<String, Value>, events: &mut Vec<Event>) {
        if self.over {
            return;
        }
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return self.fail(error::read_value(200, &Value::Object(chunk)), events);
        }
        let candidates = chunk.shift_remove("candidates");
        if let Some(Value::Object(fields)) = chunk.shift_remove("usageMetadata") {
            self.usage = usage::read(fields).or(self.usage.take());
        }
        let blocked = chunk.get("promptFeedback").is_some_and(|feedback| feedback.get("blockReason").is_some());
        self.head(chunk, events);
        let mut stopped = false;
        if let Some(Value::Array(candidates)) = candidates {
            for (position, candidate) in candidates.into_iter().enumerate() {
                stopped |= self.candidate(position, candidate, events);
            }
        }
        if blocked && self.candidates.is_empty() {
            let candidate = self.candidates.entry(0).or_default();
            candidate.stopped = true;
            events.push(Event::first(EventKind::Stop(crate::dialect::event::Stop::Filter)));
            stopped = true;
        }
        if stopped {
            self.tell_usage(events);
        }
    }

    /// Reads what stands beside the candidates: the start, or what changed since.
    fn head(&mut self, mut fields: Map<String, Value>, events: &mut Vec<Event>) {
        if let Some(head) = &mut self.head {
            fields.retain(|name, value| head.get(name) != Some(value));
            for (name, value) in fields {
                if !matches!(name.as_str(), "responseId" | "modelVersion" | "createTime") {
                    events.push(Event::first(EventKind::Raw {
                        from: Dialect::Gemini,
                        value: json!({"candidates": [], &name: &value}),
                    }));
                }
                head.insert(name, value);
            }
            return;
        }
        self.head = Some(fields.clone());
        let mut text = |name: &str| match fields.shift_remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (id, model) = (text("responseId"), text("modelVersion"));
        let created = fields.get("createTime").and_then(Value::as_str).and_then(|time| time.parse().ok());
        let created = created.map(jiff::Timestamp::as_second);
        events.push(Event::first(EventKind::Start(Start {
            id,
            model,
            created,
            extra: fields,
            from: Some(Dialect::Gemini),
        })));
    }

    /// Reads one candidate of a chunk. Returns whether it ended.
    fn candidate(&mut self, position: usize, candidate: Value, events: &mut Vec<Event>) -> bool {
        let Value::Object(mut fields) = candidate else { return false };
        let index = fields.shift_remove("index").and_then(|index| index.as_u64());
        let choice = index.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::try_from(position).unwrap_or(0));
        let state = self.candidates.entry(choice).or_default();
        let mut out = Out { choice, events };
        if state.stopped {
            return false;
        }
        let reason = fields.shift_remove("finishReason").filter(|reason| !reason.is_null());
        let parts = fields.shift_remove("content").and_then(|mut content| Some(content.get_mut("parts")?.take()));
        if let Some(Value::Array(parts)) = parts {
            for part in parts {
                state.part(part, &mut self.ids, &mut out);
            }
        }
        state.rest(fields, &mut out);
        if let Some(reason) = &reason {
            state.stop(reason, &mut out);
        }
        reason.is_some()
    }

    fn tell_usage(&mut self, events: &mut Vec<Event>) {
        if let Some(usage) = self.usage.take().filter(|usage| self.told.as_ref() != Some(usage)) {
            self.told = Some(usage.clone());
            events.push(Event::first(EventKind::Usage(usage)));
        }
    }

    /// Ends the answer: well if every candidate that began came to its end.
    fn end(&mut self, events: &mut Vec<Event>) {
        if self.over {
            return;
        }
        self.tell_usage(events);
        if self.candidates.is_empty() || self.candidates.values().any(|candidate| !candidate.stopped) {
            return self.fail(Failure::cut(), events);
        }
        self.over = true;
        events.push(Event::first(EventKind::End));
    }

    fn fail(&mut self, failure: Failure, events: &mut Vec<Event>) {
        self.over = true;
        self.tell_usage(events);
        events.push(Event::first(EventKind::Failed(failure)));
    }
}

impl Reader for Answer {
    fn read(&mut self, event: &stream::Event) -> Vec<Event> {
        let mut events = Vec::new();
        if self.over {
            return events;
        }
        let failed = || event.name() == Some("error") || stream::look(event).error;
        if event.data().trim_ascii().is_empty() {
            if failed() {
                self.fail(error::read_event(event), &mut events);
            }
            return events;
        }
        match serde_json::from_slice(event.data()) {
            Ok(Value::Object(chunk)) if event.name() == Some("error") && !chunk.contains_key("error") => {
                self.fail(error::read_value(200, &Value::Object(chunk)), &mut events);
            }
            Ok(Value::Object(chunk)) => self.chunk(chunk, &mut events),
            Ok(Value::Array(chunks)) => {
                let chunks = chunks.into_iter().filter_map(|chunk| match chunk {
                    Value::Object(chunk) => Some(chunk),
                    _ => None,
                });
                chunks.for_each(|chunk| self.chunk(chunk, &mut events));
            }
            Ok(other) if failed() => self.fail(error::read_value(200, &other), &mut events),
            Ok(other) => events.push(Event::first(EventKind::Raw { from: Dialect::Gemini, value: other })),
            Err(_) if event.data().trim_ascii() == b"[DONE]" => {}
            Err(_) => self.fail(Failure::garbage(), &mut events),
        }
        events
    }

    fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.end(&mut events);
        events
    }
}

// === impl Candidate ===

impl Candidate {
    /// Reads what stands beside a candidate's content.
    fn rest(&mut self, mut fields: Map<String, Value>, out: &mut Out<'_>) {
        fields.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()));
        let text = self.open.filter(|open| !open.thought);
        for name in CITATIONS {
            let Some((block, value)) = text.and_then(|open| Some((open.block, fields.shift_remove(name)?))) else {
                continue;
            };
            out.push(EventKind::Citation { block, value: json!({name: value}) });
        }
        if let Some(result) = fields.shift_remove("logprobsResult") {
            out.push(EventKind::Logprobs(logprobs::read(&result)));
        }
        if !fields.is_empty() {
            out.raw(fields);
        }
    }

    /// The block for text, or for thoughts: the open one, or a new one after it.
    fn block(&mut self, thought: bool, out: &mut Out<'_>) -> u32 {
        match self.open {
            Some(open) if open.thought == thought => open.block,
            _ => {
                self.close(out);
                let block = self.number();
                self.open = Some(Open { block, thought });
                block
            }
        }
    }

    fn number(&mut self) -> u32 {
        let number = self.next;
        self.next += 1;
        number
    }

    fn close(&mut self, out: &mut Out<'_>) {
        if let Some(open) = self.open.take() {
            out.push(EventKind::BlockStop { block: open.block });
        }
    }

    /// A block that is nothing but the seal of the text after it, or of none.
    fn seal(&mut self, seal: Seal, out: &mut Out<'_>) {
        self.close(out);
        let block = self.number();
        out.push(EventKind::Seal { block, seal });
        out.push(EventKind::BlockStop { block });
    }

    fn stop(&mut self, reason: &Value, out: &mut Out<'_>) {
        self.close(out);
        self.stopped = true;
        let (stop, word) = stop::read(reason, self.calls);
        if let Some(word) = word {
            out.raw(Map::from_iter([("finishReason".to_owned(), Value::String(word))]));
        }
        out.push(EventKind::Stop(stop));
    }
}
