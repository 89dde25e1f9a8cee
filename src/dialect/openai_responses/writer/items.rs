//! Writing output items: each is begun, grows and is ended under its own `output_index`, so items may alternate.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::citation;
use super::out::{Body, Out};
use crate::dialect::id::Ids;
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;
use message::Message;

mod message;

/// The items of one response.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// In order; the place is the `output_index`.
    slots: Vec<Slot>,
    /// Where a block that is open stands: its item and, in a message, its part.
    blocks: BTreeMap<u32, (usize, usize)>,
    /// The message that the next text joins.
    message: Option<usize>,
    /// Fields of the item that begins with this block, which the model has no place for.
    fields: Option<(u32, Map<String, Value>)>,
    /// Log probabilities that came before their text.
    logprobs: Vec<Value>,
}

/// An item.
#[derive(Debug)]
enum Slot {
    /// A message that grows.
    Message(Message),
    /// A call that grows.
    Call(Call),
    /// Thoughts that grow.
    Thoughts(Thoughts),
    /// An item that is whole.
    Done(Value),
}

/// A call that grows.
#[derive(Debug)]
struct Call {
    /// The item's id.
    id: String,
    /// The id that the result names.
    result_id: String,
    /// What is called.
    name: String,
    /// The arguments so far.
    arguments: String,
    /// Fields that the model has no place for.
    fields: Map<String, Value>,
}

/// Thoughts that grow.
#[derive(Debug)]
struct Thoughts {
    /// The item's id, until its seal says its own.
    id: String,
    /// The text so far.
    text: String,
    /// Whether the summary's part was begun.
    begun: bool,
    /// What proves to `OpenAI` that they are its own.
    encrypted: Option<String>,
    /// The id under which `OpenAI` knows them.
    sealed_id: Option<String>,
}

// === impl Items ===

impl Items {
    /// A piece of text or of a refusal.
    pub(super) fn speak(&mut self, block: u32, text: &str, refusal: bool, ids: &mut Ids, out: &mut Out) {
        let (index, part) = self.part(block, refusal, ids, out);
        let early = if refusal { Vec::new() } else { std::mem::take(&mut self.logprobs) };
        if let Some(message) = self.message_at(index) {
            message.speak(index, part, text, early, out);
        }
    }

    /// The item and part of a block's text, begun unless they were.
    fn part(&mut self, block: u32, refusal: bool, ids: &mut Ids, out: &mut Out) -> (usize, usize) {
        match self.blocks.get(&block).copied() {
            Some((index, part)) if self.message_at(index).is_some_and(|m| m.is_open(part, refusal)) => (index, part),
            _ => {
                self.stop(block, out);
                let index = self.open_message(block, ids, out);
                let part = self.message_at(index).map_or(0, |message| message.begin(index, refusal, out));
                self.blocks.insert(block, (index, part));
                (index, part)
            }
        }
    }

    /// Whether the model declined in words.
    pub(super) fn refused(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Message(message) if message.refuses()))
    }

    /// The message that a text joins: the last one, unless another item came since.
    fn open_message(&mut self, block: u32, ids: &mut Ids, out: &mut Out) -> usize {
        if let Some(index) = self.message.filter(|_| self.fields.is_none()) {
            return index;
        }
        self.leave_message(out);
        let index = self.slots.len();
        let message = Message::new(ids.next("msg_"), self.take_fields(block));
        let item = message.item("in_progress", Vec::new());
        out.emit(
            "response.output_item.added",
            Body { output_index: Some(index), item: Some(&item), ..Body::default() },
        );
        self.slots.push(Slot::Message(message));
        self.message = Some(index);
        index
    }

    fn message_at(&mut self, index: usize) -> Option<&mut Message> {
        match self.slots.get_mut(index) {
            Some(Slot::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// Another item begins, so the message that was open takes no more parts. It ends now, or with its last part.
    fn leave_message(&mut self, out: &mut Out) {
        if let Some(index) = self.message.take()
            && self.message_at(index).is_some_and(Message::leave)
        {
            self.end(index, "completed", out);
        }
    }

    /// A piece of thoughts.
    pub(super) fn think(&mut self, block: u32, text: &str, ids: &mut Ids, out: &mut Out) {
        let index = self.thoughts(block, ids, out);
        let Some(Slot::Thoughts(thoughts)) = self.slots.get_mut(index) else { return };
        if text.is_empty() {
            return;
        }
        let body = || Body {
            item_id: Some(&thoughts.id),
            output_index: Some(index),
            summary_index: Some(0),
            ..Body::default()
        };
        if !thoughts.begun {
            let part = json!({"type": "summary_text", "text": ""});
            out.emit("response.reasoning_summary_part.added", Body { part: Some(&part), ..body() });
        }
        out.emit("response.reasoning_summary_text.delta", Body { delta: Some(text), ..body() });
        thoughts.begun = true;
        thoughts.text.push_str(text);
    }

    /// The item of a block of thoughts, begun if it is new.
    fn thoughts(&mut self, block: u32, ids: &mut Ids, out: &mut Out) -> usize {
        if let Some(&(index, _)) = self.blocks.get(&block) {
            if matches!(self.slots.get(index), Some(Slot::Thoughts(_))) {
                return index;
            }
            self.stop(block, out);
        }
        self.leave_message(out);
        let id = ids.next("rs_");
        let thoughts = Thoughts { id, text: String::new(), begun: false, encrypted: None, sealed_id: None };
        self.begin(block, &thoughts.item(), Slot::Thoughts(thoughts), out)
    }

    /// Begins an item of one block.
    fn begin(&mut self, block: u32, item: &Value, slot: Slot, out: &mut Out) -> usize {
        let index = self.slots.len();
        out.emit("response.output_item.added", Body { output_index: Some(index), item: Some(item), ..Body::default() });
        self.slots.push(slot);
        self.blocks.insert(block, (index, 0));
        index
    }

    /// A seal. `OpenAI`'s own goes on the thoughts, others find no place.
    pub(super) fn seal(&mut self, block: u32, seal: Seal, ids: &mut Ids, out: &mut Out, losses: &mut Losses) {
        let Seal::OpenAi { id, encrypted } = seal else {
            losses.dropped(format!("content[{block}].signature"), "a seal of another maker");
            return;
        };
        let index = self.thoughts(block, ids, out);
        if let Some(Slot::Thoughts(thoughts)) = self.slots.get_mut(index) {
            thoughts.encrypted = encrypted;
            thoughts.sealed_id = Some(id).filter(|id| !id.is_empty());
        }
    }

    /// A call begins.
    pub(super) fn call(&mut self, block: u32, id: String, name: String, ids: &mut Ids, out: &mut Out) {
        self.stop(block, out);
        self.leave_message(out);
        let fields = self.take_fields(block);
        let call = Call { id: ids.next("fc_"), result_id: id, name, arguments: String::new(), fields };
        self.begin(block, &call.item("in_progress"), Slot::Call(call), out);
    }

    /// A piece of a call's arguments.
    pub(super) fn arguments(&mut self, block: u32, json: &str, out: &mut Out) {
        let Some(&(index, _)) = self.blocks.get(&block) else { return };
        if let Some(Slot::Call(call)) = self.slots.get_mut(index).filter(|_| !json.is_empty()) {
            let body =
                Body { item_id: Some(&call.id), output_index: Some(index), delta: Some(json), ..Body::default() };
            out.emit("response.function_call_arguments.delta", body);
            call.arguments.push_str(json);
        }
    }

    /// A block is whole.
    pub(super) fn stop(&mut self, block: u32, out: &mut Out) {
        let Some((index, part)) = self.blocks.remove(&block) else { return };
        match self.slots.get_mut(index) {
            Some(Slot::Message(message)) => {
                if message.stop(index, part, out) {
                    self.end(index, "completed", out);
                }
            }
            Some(Slot::Call(_) | Slot::Thoughts(_)) => self.end(index, "completed", out),
            Some(Slot::Done(_)) | None => {}
        }
    }

    /// A citation of a text, which may come before the text.
    pub(super) fn cite(&mut self, block: u32, value: Value, ids: &mut Ids, out: &mut Out, losses: &mut Losses) {
        let Some(annotation) = citation::annotation(value, losses) else { return };
        let (index, part) = match self.blocks.get(&block).copied() {
            Some(place) => place,
            None => self.part(block, false, ids, out),
        };
        match self.message_at(index) {
            Some(message) => message.cite(index, part, annotation, out),
            None => losses.dropped("citations", "a citation of no text"),
        }
    }

    /// Log probabilities of the text that was said last, or is said next.
    pub(super) fn logprobs(&mut self, mut value: Value, out: &mut Out) {
        let Some(Value::Array(list)) = value.get_mut("content").map(Value::take) else { return };
        let early = match self.message {
            Some(index) => self.message_at(index).map(|message| message.logprobs(index, list, out)).unwrap_or_default(),
            None => list,
        };
        self.logprobs.extend(early);
    }

    /// Fields of the item that begins with a block.
    pub(super) fn fields(&mut self, value: Value) {
        let Value::Object(mut fields) = value else { return };
        fields.shift_remove("type");
        let block = fields.shift_remove("block").and_then(|block| u32::try_from(block.as_u64()?).ok());
        self.fields = block.map(|block| (block, fields));
    }

    fn take_fields(&mut self, block: u32) -> Map<String, Value> {
        self.fields.take().filter(|(of, _)| *of == block).map(|(_, fields)| fields).unwrap_or_default()
    }

    /// An item that only this dialect knows.
    pub(super) fn raw(&mut self, item: Value, out: &mut Out) {
        self.leave_message(out);
        let index = self.slots.len();
        for name in ["response.output_item.added", "response.output_item.done"] {
            out.emit(name, Body { output_index: Some(index), item: Some(&item), ..Body::default() });
        }
        self.slots.push(Slot::Done(item));
    }

    /// Begins the items that the client knows by id and type and that hold nothing yet, so that places are counted alike.
    pub(super) fn fill(&mut self, known: &[(String, String)], out: &mut Out) {
        for (id, kind) in known.iter().skip(self.slots.len()) {
            let index = self.slots.len();
            let item = match kind.as_str() {
                "message" => {
                    json!({"id": id, "type": kind, "status": "incomplete", "content": [], "role": "assistant"})
                }
                _ => json!({"id": id, "type": "reasoning", "summary": []}),
            };
            let body = Body { output_index: Some(index), item: Some(&item), ..Body::default() };
            out.emit("response.output_item.done", body);
            self.slots.push(Slot::Done(item));
        }
    }

    /// Ends what is open and gives the output. `cut` says that the answer was, and with it what came last.
    pub(super) fn finish(&mut self, cut: bool, out: &mut Out) -> Vec<Value> {
        let status = if cut { "incomplete" } else { "completed" };
        for index in 0..self.slots.len() {
            self.end(index, status, out);
        }
        let slots = std::mem::take(&mut self.slots).into_iter();
        let mut output: Vec<Value> = slots
            .filter_map(|slot| match slot {
                Slot::Done(item) => Some(item),
                _ => None,
            })
            .collect();
        if let Some(Value::Object(last)) = output.last_mut().filter(|_| cut)
            && last.get("type").is_some_and(|kind| kind == "message" || kind == "function_call")
        {
            last.insert("status".to_owned(), Value::from("incomplete"));
        }
        output
    }

    /// Ends an item, with everything in it that is open.
    fn end(&mut self, index: usize, status: &str, out: &mut Out) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let item = match std::mem::replace(slot, Slot::Done(Value::Null)) {
            Slot::Message(message) => message.end(index, status, out),
            Slot::Call(call) => call.end(index, status, out),
            Slot::Thoughts(thoughts) => thoughts.end(index, out),
            Slot::Done(item) => {
                *slot = Slot::Done(item);
                return;
            }
        };
        out.emit("response.output_item.done", Body { output_index: Some(index), item: Some(&item), ..Body::default() });
        *slot = Slot::Done(item);
    }
}

// === impl Call ===

impl Call {
    fn item(&self, status: &str) -> Value {
        let mut item = json!({
            "id": self.id, "type": "function_call", "status": status, "arguments": self.arguments,
            "call_id": self.result_id, "name": self.name,
        });
        if let Value::Object(map) = &mut item {
            map.extend(self.fields.clone());
        }
        item
    }

    /// Says the arguments whole and gives the item.
    fn end(mut self, index: usize, status: &str, out: &mut Out) -> Value {
        if self.arguments.is_empty() {
            "{}".clone_into(&mut self.arguments);
            let body =
                Body { item_id: Some(&self.id), output_index: Some(index), delta: Some("{}"), ..Body::default() };
            out.emit("response.function_call_arguments.delta", body);
        }
        let body = Body {
            item_id: Some(&self.id),
            output_index: Some(index),
            name: Some(&self.name),
            arguments: Some(&self.arguments),
            ..Body::default()
        };
        out.emit("response.function_call_arguments.done", body);
        self.item(status)
    }
}

// === impl Thoughts ===

impl Thoughts {
    /// The item when it begins.
    fn item(&self) -> Value {
        json!({"id": self.id, "type": "reasoning", "summary": []})
    }

    /// Says the summary whole and gives the item. Its id is then the one that `OpenAI` gave it, which comes with the
    /// seal, last: only under that id does it take the thoughts back.
    fn end(self, index: usize, out: &mut Out) -> Value {
        let part = json!({"type": "summary_text", "text": self.text});
        if self.begun {
            let body = || Body {
                item_id: Some(&self.id),
                output_index: Some(index),
                summary_index: Some(0),
                ..Body::default()
            };
            out.emit("response.reasoning_summary_text.done", Body { text: Some(&self.text), ..body() });
            out.emit("response.reasoning_summary_part.done", Body { part: Some(&part), ..body() });
        }
        let summary = if self.begun { vec![part] } else { Vec::new() };
        let mut item = json!({"id": self.sealed_id.unwrap_or(self.id), "type": "reasoning", "summary": summary});
        if let (Value::Object(map), Some(encrypted)) = (&mut item, self.encrypted) {
            map.insert("encrypted_content".to_owned(), Value::from(encrypted));
        }
        item
    }
}
