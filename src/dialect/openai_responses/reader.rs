//! Reading a stream of the Responses API.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::answer::items::{Items, Speech};
use super::answer::{self, Last};
use crate::dialect::Dialect;
use crate::dialect::codec::Reader;
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start};
use crate::dialect::failure::Failure;
use crate::dialect::id::Ids;
use crate::stream;

/// Reads one stream.
#[derive(Debug)]
pub(super) struct StreamReader {
    /// What of its items was said.
    items: Items,
    /// Whether the start was said.
    started: bool,
    /// Whether the end, or a failure, was said.
    ended: bool,
}

/// The fields of those events that come often.
#[derive(Deserialize)]
struct Head<'a> {
    /// What the event says. Missing in errors of some servers.
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    /// The item.
    #[serde(default)]
    output_index: Option<u64>,
    /// The part of a message, or of a reasoning item's content.
    #[serde(default)]
    content_index: Option<u64>,
    /// The part of a reasoning item's summary.
    #[serde(default)]
    summary_index: Option<u64>,
    /// The piece.
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    /// The log probabilities of the piece.
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

// === impl StreamReader ===

impl StreamReader {
    /// A reader at the start of a stream.
    pub(super) fn new(ids: Ids) -> Self {
        Self { items: Items::new(ids), started: false, ended: false }
    }

    /// Reads an event's data.
    fn data(&mut self, name: Option<&str>, data: &[u8], events: &mut Vec<Event>) {
        if let Ok(head) = serde_json::from_slice::<Head<'_>>(data)
            && self.delta(&head, events)
        {
            return;
        }
        match serde_json::from_slice::<Value>(data) {
            Ok(Value::Object(event)) => self.event(name, event, events),
            Ok(other) => events.push(Event::first(EventKind::Raw { from: Dialect::OpenAiResponses, value: other })),
            Err(_) => {
                self.ended = true;
                events.push(Event::first(EventKind::Failed(Failure::garbage())));
            }
        }
    }

    /// Reads a piece of text, thoughts or arguments; says whether the event was one.
    fn delta(&mut self, head: &Head<'_>, events: &mut Vec<Event>) -> bool {
        let Some(Ok(text)) = head.delta.map(|delta| serde_json::from_str::<String>(delta.get())) else { return false };
        let [index, content, summary] =
            [head.output_index, head.content_index, head.summary_index].map(Option::unwrap_or_default);
        let place = (index, content);
        match &*head.kind {
            "response.output_text.delta" => {
                self.start(Start::default, events);
                self.items.speak(place, Speech::Text, text, events);
                if let Some(list) = head.logprobs.filter(|list| list.get().len() > "[]".len())
                    && let Ok(list) = serde_json::from_str(list.get())
                {
                    self.items.logprobs(place, list, false, events);
                }
            }
            "response.function_call_arguments.delta" => {
                self.start(Start::default, events);
                self.items.arguments(index, text, false, events);
            }
            "response.reasoning_summary_text.delta" => {
                self.start(Start::default, events);
                self.items.think(index, (true, summary), text, false, events);
            }
            "response.reasoning_text.delta" => {
                self.start(Start::default, events);
                self.items.think(index, (false, content), text, false, events);
            }
            "response.refusal.delta" => {
                self.start(Start::default, events);
                self.items.speak(place, Speech::Refusal, text, events);
            }
            _ => return false,
        }
        true
    }

    /// Reads an event that comes seldom.
    fn event(&mut self, name: Option<&str>, mut event: Map<String, Value>, events: &mut Vec<Event>) {
        let kind = take_text(&mut event, "type").unwrap_or_default();
        let kind = if kind.is_empty() { name.unwrap_or_default() } else { &kind };
        let failed = event.get("error").is_some_and(|error| !error.is_null()) && !event.contains_key("response");
        match kind {
            _ if kind == "error" || name == Some("error") || failed && !kind.starts_with("response.") => {
                self.fail(error::read_value(200, &Value::Object(event)), events);
            }
            "keepalive" | "ping" => events.push(Event::first(EventKind::Ping)),
            "response.created" | "response.in_progress" | "response.queued" => {
                let response = take_map(&mut event, "response");
                self.start(|| answer::start(response), events);
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.last(kind, take_map(&mut event, "response"), events);
            }
            _ => {
                self.start(Start::default, events);
                self.piece(kind, event, events);
            }
        }
    }

    /// Reads an event about an item.
    fn piece(&mut self, kind: &str, mut event: Map<String, Value>, events: &mut Vec<Event>) {
        let number = |name: &str| event.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (index, summary) = (number("output_index"), number("summary_index"));
        let place = (index, number("content_index"));
        let mut take = |name: &str| event.get_mut(name).map(Value::take).unwrap_or_default();
        let mut text = |name: &str| match take(name) {
            Value::String(text) => text,
            _ => String::new(),
        };
        let items = &mut self.items;
        match kind {
            "response.output_item.added" => items.added(index, &take("item"), events),
            "response.output_item.done" => items.done(index, take("item"), events),
            "response.content_part.done" => items.part_done(place, take("part"), events),
            "response.output_text.annotation.added" => items.annotate(place, take("annotation"), events),
            "response.output_text.done" => items.spoken(place, Speech::Text, text("text"), events),
            "response.refusal.done" => items.spoken(place, Speech::Refusal, text("refusal"), events),
            "response.function_call_arguments.done" => items.arguments(index, text("arguments"), true, events),
            "response.reasoning_summary_text.done" => items.think(index, (true, summary), text("text"), true, events),
            "response.reasoning_text.done" => items.think(index, (false, place.1), text("text"), true, events),
            "response.content_part.added"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done" => {}
            // The item itself says it all once it is whole.
            _ if items.is_other(index) && event.contains_key("output_index") => {}
            _ => {
                event.shift_insert(0, "type".to_owned(), Value::from(kind));
                events
                    .push(Event::first(EventKind::Raw { from: Dialect::OpenAiResponses, value: Value::Object(event) }));
            }
        }
    }

    /// The answer is whole, or failed.
    fn last(&mut self, kind: &str, mut response: Map<String, Value>, events: &mut Vec<Event>) {
        let status = kind.trim_start_matches("response.");
        response.entry("status").or_insert_with(|| Value::from(status));
        let last = Last::take(&mut response);
        self.start(|| answer::start(response), events);
        self.ended = true;
        last.read(&mut self.items, events);
    }

    fn start(&mut self, start: impl FnOnce() -> Start, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            events.push(Event::first(EventKind::Start(start())));
        }
    }

    fn fail(&mut self, failure: Failure, events: &mut Vec<Event>) {
        self.ended = true;
        self.items.close(events);
        events.push(Event::first(EventKind::Failed(failure)));
    }

    /// A block without data: a comment that keeps the connection warm, or a line `error: …`, which is no field of the
    /// standard but is how llama.cpp ends a stream that failed.
    fn without_data(&mut self, event: &stream::Event, events: &mut Vec<Event>) {
        if stream::look(event).error {
            self.fail(error::read_event(event), events);
        } else {
            events.push(Event::first(EventKind::Ping));
        }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, event: &stream::Event) -> Vec<Event> {
        let mut events = Vec::new();
        let data = event.data().trim_ascii();
        if self.ended {
            return events;
        }
        if data.is_empty() {
            self.without_data(event, &mut events);
        } else if data != b"[DONE]" {
            self.data(event.name(), data, &mut events);
        }
        events
    }

    fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if !std::mem::replace(&mut self.ended, true) {
            self.items.close(&mut events);
            events.push(Event::first(EventKind::Failed(Failure::cut())));
        }
        events
    }
}

fn take_text(map: &mut Map<String, Value>, name: &str) -> Option<String> {
    match map.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn take_map(map: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match map.get_mut(name).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
