//! Events as an answer of Gemini: chunks of a stream, in SSE or in one JSON array, or a whole answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::lane::Lane;
use super::{logprobs, reader, stop, usage};
use crate::dialect::Dialect;
use crate::dialect::codec::{Stamp, Writer};
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::loss::Losses;
use crate::stream::{self, Wire};

#[cfg(test)]
mod tests;

/// Writes one answer.
pub(super) struct Chunks {
    /// Whether chunks are elements of a JSON array.
    array: bool,
    /// Whether text leaves piece by piece, as in a stream.
    live: bool,
    /// What is left to say of an answer whose start does not say it.
    stamp: Stamp,
    /// Fields that stand in every chunk: the model's name, the answer's id, its time.
    base: Option<Map<String, Value>>,
    /// Top-level fields of Gemini's own, for the last chunk.
    beside: Map<String, Value>,
    /// The candidates, by index.
    lanes: BTreeMap<u32, Lane>,
    /// The last usage.
    usage: Option<Usage>,
    /// How much of it was sent.
    sent: Sent,
}

/// How much of an answer was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// Nothing.
    Nothing,
    /// Some chunks.
    Some,
    /// The last chunk.
    All,
}

/// Top-level fields that Gemini writes beside those that the model has names for.
const BESIDE: [&str; 3] = ["createTime", "promptFeedback", "modelStatus"];

// === impl Chunks ===

impl Chunks {
    /// A writer of a stream.
    pub(super) fn stream(array: bool, stamp: Stamp) -> Self {
        Self {
            array,
            live: true,
            stamp,
            base: None,
            beside: Map::new(),
            lanes: BTreeMap::new(),
            usage: None,
            sent: Sent::Nothing,
        }
    }

    /// Writes a whole answer.
    pub(super) fn whole(events: Vec<Event>, stamp: &Stamp, losses: &mut Losses) -> Value {
        let mut writer = Self { live: false, ..Self::stream(false, stamp.clone()) };
        let mut parts: BTreeMap<u32, Vec<Value>> = BTreeMap::new();
        for event in events {
            let Some(event) = event.known_to(Dialect::Gemini, losses) else { continue };
            match event.kind {
                EventKind::Failed(failure) => return error::within(Dialect::Gemini, &failure),
                EventKind::End => break,
                kind => writer.take(event.choice, kind, parts.entry(event.choice).or_default(), losses),
            }
        }
        let candidates = writer.last_candidates(parts, losses);
        writer.body(candidates, losses)
    }

    /// Takes an event; parts of its candidate that are ready are added to `out`.
    fn take(&mut self, choice: u32, kind: EventKind, out: &mut Vec<Value>, losses: &mut Losses) {
        match kind {
            EventKind::Start(start) => self.start(start, losses),
            EventKind::Usage(usage) => self.usage = Some(usage),
            EventKind::Stop(stop) => self.stop(choice, &stop, losses),
            EventKind::Citation { value, .. } => self.citation(choice, value, losses),
            EventKind::Logprobs(value) => self.logprobs(choice, &value),
            EventKind::Raw { value, .. } => self.raw(choice, value, out, losses),
            EventKind::Ping | EventKind::End | EventKind::Failed(_) => {}
            kind => {
                let live = self.live;
                self.lane(choice).take(kind, live, out, losses);
            }
        }
    }

    fn lane(&mut self, choice: u32) -> &mut Lane {
        self.lanes.entry(choice).or_default()
    }

    fn start(&mut self, start: Start, losses: &mut Losses) {
        if self.base.is_some() {
            return;
        }
        let Start { id, model, created, extra, .. } = start;
        let mut time =
            created.and_then(|created| jiff::Timestamp::from_second(created).ok()).map(|time| time.to_string());
        for (name, value) in extra {
            match (name.as_str(), value) {
                ("createTime", Value::String(text)) => time = Some(text),
                (known, value) if BESIDE.contains(&known) => {
                    self.beside.insert(name, value);
                }
                (_, Value::Null) => {}
                _ => losses.dropped(name, "Gemini's answers have no such field"),
            }
        }
        let mut base = Map::new();
        base.insert("modelVersion".to_owned(), Value::String(model.unwrap_or_else(|| self.stamp.model.clone())));
        base.extend(time.map(|time| ("createTime".to_owned(), Value::String(time))));
        let id = id.unwrap_or_else(|| self.stamp.ids.next(""));
        base.insert("responseId".to_owned(), Value::String(id));
        self.base = Some(base);
    }

    fn stop(&mut self, choice: u32, stop: &Stop, losses: &mut Losses) {
        let lane = self.lane(choice);
        if lane.reason.is_some() {
            return;
        }
        lane.reason = Some(stop::write(stop).to_owned());
        if let Some(why) = stop::approximated(stop) {
            losses.approximated("finish_reason", why);
        }
    }

    fn citation(&mut self, choice: u32, value: Value, losses: &mut Losses) {
        match value {
            Value::Object(fields) if fields.keys().all(|name| reader::CITATIONS.contains(&name.as_str())) => {
                self.lane(choice).beside.extend(fields);
            }
            _ => losses.dropped("citations", "the citation is not in Gemini's form"),
        }
    }

    fn logprobs(&mut self, choice: u32, value: &Value) {
        let result = logprobs::write(value);
        let beside = &mut self.lane(choice).beside;
        match beside.get_mut("logprobsResult") {
            Some(so_far) => logprobs::append(so_far, result),
            None => {
                beside.insert("logprobsResult".to_owned(), result);
            }
        }
    }

    /// Takes what Gemini's reader did not understand: a chunk with nothing else in it.
    fn raw(&mut self, choice: u32, value: Value, out: &mut Vec<Value>, losses: &mut Losses) {
        let Value::Object(mut chunk) = value else {
            return losses.dropped("stream", "an event that Gemini does not have");
        };
        let Some(Value::Array(candidates)) = chunk.shift_remove("candidates") else {
            let kind = chunk.get("type").and_then(Value::as_str).unwrap_or("stream").to_owned();
            return losses.dropped(kind, "an event that Gemini does not have");
        };
        self.beside.extend(chunk);
        for candidate in candidates {
            let Value::Object(mut fields) = candidate else { continue };
            if let Some(Value::String(reason)) = fields.shift_remove("finishReason") {
                self.lane(choice).reason = Some(reason);
            }
            let live = self.live;
            let content = fields.shift_remove("content").and_then(|mut content| Some(content.get_mut("parts")?.take()));
            if let Some(Value::Array(parts)) = content {
                for part in parts {
                    self.lane(choice).part(part, live, out, losses);
                }
            }
            self.lane(choice).beside.extend(fields);
        }
    }

    /// The candidates of the last chunk, or of a whole answer with the parts that it has so far.
    fn last_candidates(&mut self, mut parts: BTreeMap<u32, Vec<Value>>, losses: &mut Losses) -> Vec<Value> {
        if self.lanes.is_empty() {
            self.lanes.insert(0, Lane::default());
        }
        let blocked = self.beside.get("promptFeedback").is_some_and(|feedback| feedback.get("blockReason").is_some());
        let mut candidates = Vec::with_capacity(self.lanes.len());
        for (choice, mut lane) in std::mem::take(&mut self.lanes) {
            let mut parts = parts.remove(&choice).unwrap_or_default();
            lane.end(self.live, &mut parts, losses);
            if blocked && !lane.spoke {
                continue;
            }
            let reason = lane.reason.unwrap_or_else(|| "STOP".to_owned());
            let mut candidate = Map::new();
            if !parts.is_empty() || !self.live {
                candidate.insert("content".to_owned(), content(parts));
            }
            candidate.insert("finishReason".to_owned(), Value::String(reason));
            candidate.insert("index".to_owned(), Value::from(choice));
            candidate.extend(lane.beside);
            candidates.push(Value::Object(candidate));
        }
        candidates
    }

    /// The last chunk, or a whole answer.
    fn body(&mut self, candidates: Vec<Value>, losses: &mut Losses) -> Value {
        let mut body = Map::new();
        if !candidates.is_empty() {
            body.insert("candidates".to_owned(), Value::Array(candidates));
        }
        body.extend(std::mem::take(&mut self.beside));
        if let Some(usage) = self.usage.take() {
            body.insert("usageMetadata".to_owned(), usage::write(usage, losses));
        }
        self.start(Start::default(), losses);
        body.extend(self.base.clone().unwrap_or_default());
        Value::Object(body)
    }

    fn chunk(&mut self, choice: u32, parts: Vec<Value>, losses: &mut Losses) -> stream::Event {
        self.start(Start::default(), losses);
        let mut candidate = Map::new();
        candidate.insert("content".to_owned(), content(parts));
        candidate.insert("index".to_owned(), Value::from(choice));
        let mut body = Map::new();
        body.insert("candidates".to_owned(), Value::Array(vec![Value::Object(candidate)]));
        body.extend(self.base.clone().unwrap_or_default());
        self.event(&Value::Object(body))
    }

    fn event(&mut self, body: &Value) -> stream::Event {
        let first = std::mem::replace(&mut self.sent, Sent::Some) == Sent::Nothing;
        if self.array {
            let before = if first { "[" } else { ",\r\n" };
            stream::Event::parse(Wire::JsonArray, Bytes::from(format!("{before}{body}")))
        } else {
            stream::Event::new(Wire::Sse, None, Bytes::from(body.to_string()))
        }
    }

    /// The last chunk and, of an array, its end.
    fn last(&mut self, body: &Value) -> Vec<stream::Event> {
        let mut events = vec![self.event(body)];
        self.sent = Sent::All;
        if self.array {
            events.push(stream::Event::parse(Wire::JsonArray, Bytes::from_static(b"\n]")));
        }
        events
    }
}

/// What the model says in a candidate.
fn content(parts: Vec<Value>) -> Value {
    let mut content = Map::new();
    content.insert("parts".to_owned(), Value::Array(parts));
    content.insert("role".to_owned(), Value::from("model"));
    Value::Object(content)
}

impl Writer for Chunks {
    fn write(&mut self, event: Event, losses: &mut Losses) -> Vec<stream::Event> {
        if self.sent == Sent::All {
            return Vec::new();
        }
        let Some(event) = event.known_to(Dialect::Gemini, losses) else { return Vec::new() };
        match event.kind {
            EventKind::Failed(failure) => self.last(&error::within(Dialect::Gemini, &failure)),
            EventKind::End => {
                let candidates = self.last_candidates(BTreeMap::new(), losses);
                let body = self.body(candidates, losses);
                self.last(&body)
            }
            kind => {
                let mut parts = Vec::new();
                self.take(event.choice, kind, &mut parts, losses);
                if parts.is_empty() {
                    return Vec::new();
                }
                vec![self.chunk(event.choice, parts, losses)]
            }
        }
    }
}
