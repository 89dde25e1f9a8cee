//! Reading output items, piece by piece or whole. A stream says everything several times over, and some servers say
//! only the last of it; what was said once is not said again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::object;
use super::ITEM_FIELDS;
use crate::dialect::Dialect;
use crate::dialect::event::{Event, EventKind};
use crate::dialect::id::Ids;
use crate::dialect::seal::Seal;

/// The items of one answer.
#[derive(Debug)]
pub(in super::super) struct Items {
    /// Those that were begun, by their `output_index`.
    by_index: BTreeMap<u64, Item>,
    /// The number of the next block.
    next_block: u32,
    /// Whether there was a function call.
    called: bool,
    /// Whether there was a refusal.
    refused: bool,
    /// Ids for calls that have none.
    ids: Ids,
}

/// An item that was begun.
#[derive(Debug)]
enum Item {
    /// A message.
    Message(Message),
    /// A function call.
    Call {
        /// Its block.
        block: u32,
        /// Whether its arguments were said.
        said: bool,
    },
    /// Thoughts.
    Reasoning {
        /// Their block.
        block: u32,
        /// The part that was said last: whether it is of the summary, and its number.
        last: Option<(bool, u64)>,
    },
    /// An item that only this dialect knows, to be passed on once it is whole.
    Other,
    /// Nothing more is to be said of it.
    Done,
}

/// A message that was begun.
#[derive(Debug, Default)]
struct Message {
    /// Its parts, by their `content_index`.
    parts: BTreeMap<u64, Part>,
    /// Fields that the model has no place for, until its first part is begun.
    fields: Map<String, Value>,
}

/// A part of a message.
#[derive(Debug)]
struct Part {
    /// Its block.
    block: u32,
    /// Whether its text was said.
    said: bool,
    /// Whether its log probabilities were.
    logprobs: bool,
    /// How many of its annotations were.
    cited: usize,
    /// Whether it was said that it is whole.
    closed: bool,
}

/// What a part of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Speech {
    /// `output_text`.
    Text,
    /// `refusal`.
    Refusal,
}

// === impl Items ===

impl Items {
    /// No items yet.
    pub(in super::super) fn new(ids: Ids) -> Self {
        Self { by_index: BTreeMap::new(), next_block: 0, called: false, refused: false, ids }
    }

    /// Whether no item was begun.
    pub(super) fn is_new(&self) -> bool {
        self.by_index.is_empty()
    }

    /// Whether there was a function call.
    pub(super) fn called(&self) -> bool {
        self.called
    }

    /// Whether there was a refusal.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// The ids that are left.
    pub(super) fn into_ids(self) -> Ids {
        self.ids
    }

    /// Whether the item at an index is one that is passed on once it is whole.
    pub(in super::super) fn is_other(&self, index: u64) -> bool {
        matches!(self.by_index.get(&index), Some(Item::Other | Item::Done))
    }

    /// An item begins.
    pub(in super::super) fn added(&mut self, index: u64, item: &Value, events: &mut Vec<Event>) {
        if self.by_index.contains_key(&index) {
            return;
        }
        let begun = match item.get("type").and_then(Value::as_str) {
            Some("message") => {
                Item::Message(Message { fields: fields(item, &["role", "content"]), ..Message::default() })
            }
            Some("function_call") => self.call(item, events),
            Some("reasoning") => Item::Reasoning { block: self.block(), last: None },
            _ => Item::Other,
        };
        self.by_index.insert(index, begun);
    }

    fn call(&mut self, item: &Value, events: &mut Vec<Event>) -> Item {
        let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let block = self.block();
        said_fields(fields(item, &["call_id", "name", "arguments"]), block, events);
        let id = text("call_id").map_or_else(|| self.ids.next("call_"), str::to_owned);
        let name = text("name").unwrap_or_default().to_owned();
        say(events, EventKind::ToolStart { block, id, name });
        self.called = true;
        Item::Call { block, said: false }
    }

    fn block(&mut self) -> u32 {
        let block = self.next_block;
        self.next_block += 1;
        block
    }

    /// A part of a message, begun if it is new; `None` where the item is no message.
    fn part(&mut self, index: u64, number: u64, speech: Speech, events: &mut Vec<Event>) -> Option<&mut Part> {
        let item = self.by_index.entry(index).or_insert_with(|| Item::Message(Message::default()));
        let Item::Message(message) = item else { return None };
        if !message.parts.contains_key(&number) {
            let block = self.next_block;
            self.next_block += 1;
            self.refused |= speech == Speech::Refusal;
            said_fields(std::mem::take(&mut message.fields), block, events);
            let part = Part { block, said: false, logprobs: false, cited: 0, closed: false };
            message.parts.insert(number, part);
        }
        message.parts.get_mut(&number).filter(|part| !part.closed)
    }

    /// A piece of a message's part.
    pub(in super::super) fn speak(
        &mut self,
        (index, number): (u64, u64),
        speech: Speech,
        text: String,
        events: &mut Vec<Event>,
    ) {
        let Some(part) = self.part(index, number, speech, events) else { return };
        part.said = true;
        let block = part.block;
        say(
            events,
            match speech {
                Speech::Text => EventKind::Text { block, text },
                Speech::Refusal => EventKind::Refusal { block, text },
            },
        );
    }

    /// The whole text of a message's part, of which pieces may have come.
    pub(in super::super) fn spoken(
        &mut self,
        place: (u64, u64),
        speech: Speech,
        text: String,
        events: &mut Vec<Event>,
    ) {
        if self.part(place.0, place.1, speech, events).is_some_and(|part| !part.said) {
            self.speak(place, speech, text, events);
        }
    }

    /// Log probabilities of a piece, or of the whole part if none came with its pieces.
    pub(in super::super) fn logprobs(
        &mut self,
        (index, number): (u64, u64),
        list: Value,
        whole: bool,
        events: &mut Vec<Event>,
    ) {
        let any = list.as_array().is_some_and(|list| !list.is_empty());
        let part = self.part(index, number, Speech::Text, events).filter(|part| any && !(whole && part.logprobs));
        if let Some(part) = part {
            part.logprobs = true;
            say(events, EventKind::Logprobs(object([("content", list)])));
        }
    }

    /// An annotation of a message's part.
    pub(in super::super) fn annotate(&mut self, place: (u64, u64), value: Value, events: &mut Vec<Event>) {
        if let Some(part) = self.part(place.0, place.1, Speech::Text, events) {
            part.cited += 1;
            say(events, EventKind::Citation { block: part.block, value });
        }
    }

    /// A message's part is whole.
    pub(in super::super) fn part_done(&mut self, place: (u64, u64), mut value: Value, events: &mut Vec<Event>) {
        let speech = match value.get("type").and_then(Value::as_str) {
            Some("output_text" | "text") => Speech::Text,
            Some("refusal") => Speech::Refusal,
            _ => return,
        };
        let field = if speech == Speech::Text { "text" } else { "refusal" };
        self.spoken(place, speech, take_text(&mut value, field), events);
        if let Some(list) = value.get_mut("logprobs").map(Value::take) {
            self.logprobs(place, list, true, events);
        }
        let cited = self.part(place.0, place.1, speech, events).map_or(0, |part| part.cited);
        if let Some(Value::Array(list)) = value.get_mut("annotations").map(Value::take) {
            for annotation in list.into_iter().skip(cited) {
                self.annotate(place, annotation, events);
            }
        }
        if let Some(part) = self.part(place.0, place.1, speech, events) {
            part.closed = true;
            say(events, EventKind::BlockStop { block: part.block });
        }
    }

    /// Arguments of a call: a piece, or all of them, of which pieces may have come.
    pub(in super::super) fn arguments(&mut self, index: u64, json: String, whole: bool, events: &mut Vec<Event>) {
        if let Some(Item::Call { block, said }) = self.by_index.get_mut(&index)
            && !(whole && *said)
        {
            // A whole of nothing is as good as not said: the item may still say it.
            *said |= !whole || !json.is_empty();
            if !json.is_empty() {
                say(events, EventKind::ToolArgs { block: *block, json });
            }
        }
    }

    /// Thoughts: a piece of a part, or the whole of it, of which pieces may have come. Parts are paragraphs.
    pub(in super::super) fn think(
        &mut self,
        index: u64,
        part: (bool, u64),
        text: String,
        whole: bool,
        events: &mut Vec<Event>,
    ) {
        if !self.by_index.contains_key(&index) {
            let block = self.block();
            self.by_index.insert(index, Item::Reasoning { block, last: None });
        }
        let Some(Item::Reasoning { block, last }) = self.by_index.get_mut(&index) else { return };
        if whole && *last == Some(part) {
            return;
        }
        let new = last.replace(part).is_some_and(|last| last != part);
        let text = if new { format!("\n\n{text}") } else { text };
        say(events, EventKind::Reasoning { block: *block, text });
    }

    /// An item is whole: says what of it was not said yet.
    pub(in super::super) fn done(&mut self, index: u64, mut item: Value, events: &mut Vec<Event>) {
        self.added(index, &item, events);
        match self.by_index.get(&index) {
            Some(Item::Message(_)) => {
                let content = item.get_mut("content").map(Value::take);
                for (number, part) in list(content).into_iter().enumerate() {
                    self.part_done((index, number as u64), part, events);
                }
            }
            Some(Item::Call { .. }) => {
                let arguments = take_text(&mut item, "arguments");
                self.arguments(index, arguments, true, events);
            }
            Some(Item::Reasoning { block, last }) => {
                let (block, silent) = (*block, last.is_none());
                for (name, summary) in [("content", false), ("summary", true)].into_iter().filter(|_| silent) {
                    for (number, mut part) in list(item.get_mut(name).map(Value::take)).into_iter().enumerate() {
                        let text = take_text(&mut part, "text");
                        self.think(index, (summary, number as u64), text, true, events);
                    }
                }
                seal(item, block, events);
            }
            Some(Item::Other) => say(events, EventKind::Raw { from: Dialect::OpenAiResponses, value: item }),
            Some(Item::Done) | None => return,
        }
        self.close_item(index, events);
    }

    /// Ends every block that is open.
    pub(in super::super) fn close(&mut self, events: &mut Vec<Event>) {
        let open: Vec<u64> = self.by_index.keys().copied().collect();
        for index in open {
            self.close_item(index, events);
        }
    }

    fn close_item(&mut self, index: u64, events: &mut Vec<Event>) {
        match self.by_index.insert(index, Item::Done) {
            Some(Item::Message(message)) => {
                for part in message.parts.into_values().filter(|part| !part.closed) {
                    say(events, EventKind::BlockStop { block: part.block });
                }
            }
            Some(Item::Call { block, .. } | Item::Reasoning { block, .. }) => {
                say(events, EventKind::BlockStop { block });
            }
            Some(Item::Other | Item::Done) | None => {}
        }
    }
}

fn say(events: &mut Vec<Event>, kind: EventKind) {
    events.push(Event::first(kind));
}

/// Says those fields of an item that the model has no place for.
fn said_fields(fields: Map<String, Value>, block: u32, events: &mut Vec<Event>) {
    if fields.is_empty() {
        return;
    }
    let mut raw = Map::new();
    raw.insert("type".to_owned(), Value::from(ITEM_FIELDS));
    raw.insert("block".to_owned(), Value::from(block));
    raw.extend(fields);
    say(events, EventKind::Raw { from: Dialect::OpenAiResponses, value: Value::Object(raw) });
}

/// The fields of an item but for those that are known.
fn fields(item: &Value, known: &[&str]) -> Map<String, Value> {
    let all = item.as_object().into_iter().flatten();
    let left = all.filter(|(name, value)| {
        !value.is_null() && !["type", "id", "status"].contains(&name.as_str()) && !known.contains(&name.as_str())
    });
    left.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Says the seal of a reasoning item, which is its id where no encrypted thoughts were asked for.
fn seal(mut item: Value, block: u32, events: &mut Vec<Event>) {
    let id = take_text(&mut item, "id");
    let encrypted = Some(take_text(&mut item, "encrypted_content")).filter(|text| !text.is_empty());
    if !id.is_empty() || encrypted.is_some() {
        say(events, EventKind::Seal { block, seal: Seal::OpenAi { id, encrypted } });
    }
}

fn take_text(value: &mut Value, name: &str) -> String {
    match value.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}
