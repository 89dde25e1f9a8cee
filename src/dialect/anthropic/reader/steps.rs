//! The steps of an answer, block by block: what streams bring event by event and whole answers at once.

use serde_json::{Map, Value, json};

use super::{AnthropicReader, Kind, Open, Phase};
use crate::dialect::Dialect;
use crate::dialect::anthropic::stop;
use crate::dialect::event::{Event, EventKind, Start, Stop};
use crate::dialect::seal::Seal;

// === impl AnthropicReader ===

impl AnthropicReader {
    /// Tells a start where the wire left it out.
    pub(super) fn begin(&mut self, out: &mut Vec<Event>) {
        if self.phase == Phase::Awaited {
            self.start(Map::new(), out);
        }
    }

    /// Reads the head of an answer.
    pub(in super::super) fn start(&mut self, message: Map<String, Value>, out: &mut Vec<Event>) {
        if self.phase > Phase::Awaited {
            return;
        }
        self.phase = Phase::Begun;
        let mut start = Start::default();
        let mut used = false;
        for (name, value) in message {
            match (name.as_str(), value) {
                ("id", Value::String(id)) => start.id = Some(id),
                ("model", Value::String(model)) => start.model = Some(model),
                ("usage", Value::Object(usage)) => {
                    self.tally.add(usage);
                    used = true;
                }
                ("type" | "role" | "content" | "stop_reason" | "stop_sequence", _) | (_, Value::Null) => {}
                (_, value) => {
                    start.extra.insert(name, value);
                }
            }
        }
        out.push(Event::first(EventKind::Start(start)));
        if used {
            out.push(Event::first(EventKind::Usage(self.tally.usage())));
        }
    }

    /// Reads the start of a block, which in a whole answer is all of it.
    pub(in super::super) fn block_start(&mut self, index: u32, mut block: Value, out: &mut Vec<Event>) {
        self.begin(out);
        self.block_stop(index, out);
        let mut string = |name: &str| match block.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        let kind = match string("type").as_str() {
            "text" => {
                self.open.push(Open { index, kind: Kind::Text, told: false });
                let text = string("text");
                self.tell(index, text, |block, text| EventKind::Text { block, text }, out);
                if let Some(Value::Array(citations)) = block.get_mut("citations").map(Value::take) {
                    let events = citations.into_iter().map(|value| EventKind::Citation { block: index, value });
                    out.extend(events.map(Event::first));
                }
                return;
            }
            "thinking" => {
                self.open.push(Open { index, kind: Kind::Thinking, told: false });
                let (text, signature) = (string("thinking"), string("signature"));
                self.tell(index, text, |block, text| EventKind::Reasoning { block, text }, out);
                self.tell(index, signature, seal, out);
                return;
            }
            "redacted_thinking" => {
                self.open.push(Open { index, kind: Kind::Thinking, told: false });
                let data = string("data");
                let seal = |block, data| EventKind::Seal { block, seal: Seal::AnthropicRedacted(data) };
                return self.tell(index, data, seal, out);
            }
            "tool_use" => {
                let (id, name) = (string("id"), string("name"));
                self.call(index, id, name, &block, out)
            }
            other => {
                if let Some(kind) = block.get_mut("type") {
                    *kind = Value::String(other.to_owned());
                }
                Kind::Raw(block, String::new())
            }
        };
        self.open.push(Open { index, kind, told: true });
    }

    /// Tells a piece of a block unless it is empty.
    fn tell(&mut self, index: u32, text: String, kind: fn(u32, String) -> EventKind, out: &mut Vec<Event>) {
        if !text.is_empty() {
            self.told(index);
            out.push(Event::first(kind(index, text)));
        }
    }

    /// Tells a call. What only this dialect knows of it goes before it, so that a writer has it in time.
    fn call(&mut self, index: u32, id: String, name: String, block: &Value, out: &mut Vec<Event>) -> Kind {
        self.called = true;
        // That the model itself called is what a call without a caller says too.
        if let Some(caller) = block.get("caller").filter(|caller| !caller.is_null() && caller["type"] != "direct") {
            let raw = json!({"type": "tool_use", "id": id, "caller": caller});
            out.push(Event::first(EventKind::Raw { from: Dialect::Anthropic, value: raw }));
        }
        out.push(Event::first(EventKind::ToolStart { block: index, id, name }));
        let input = block.get("input").filter(|input| input.as_object().is_some_and(|input| !input.is_empty()));
        Kind::Call(input.map(Value::to_string))
    }

    /// Notes that something of a block was told; says whether it is open.
    pub(super) fn told(&mut self, index: u32) -> bool {
        let open = self.open.iter_mut().rev().find(|open| open.index == index);
        open.map(|open| open.told = true).is_some()
    }

    /// Reads the end of a block.
    pub(in super::super) fn block_stop(&mut self, index: u32, out: &mut Vec<Event>) {
        let Some(position) = self.open.iter().position(|open| open.index == index) else {
            return;
        };
        let Open { kind, told, .. } = self.open.remove(position);
        let text = String::new();
        match kind {
            Kind::Raw(mut block, input) => {
                if let (Some(block), Ok(input)) = (block.as_object_mut(), serde_json::from_str::<Value>(&input)) {
                    block.insert("input".to_owned(), input);
                }
                return out.push(Event::first(EventKind::Raw { from: Dialect::Anthropic, value: block }));
            }
            Kind::Call(Some(json)) => out.push(Event::first(EventKind::ToolArgs { block: index, json })),
            Kind::Text if !told => out.push(Event::first(EventKind::Text { block: index, text })),
            Kind::Thinking if !told => out.push(Event::first(EventKind::Reasoning { block: index, text })),
            Kind::Text | Kind::Thinking | Kind::Call(None) => {}
        }
        out.push(Event::first(EventKind::BlockStop { block: index }));
    }

    /// Ends all blocks that the wire left open.
    pub(super) fn stop_blocks(&mut self, out: &mut Vec<Event>) {
        while let Some(index) = self.open.first().map(|open| open.index) {
            self.block_stop(index, out);
        }
    }

    /// Reads why the answer ended and what it used. What only this dialect knows of it is told as such an event with
    /// nothing else in it.
    pub(in super::super) fn message_delta(&mut self, mut fields: Map<String, Value>, out: &mut Vec<Event>) {
        self.begin(out);
        self.stop_blocks(out);
        let usage = fields.shift_remove("usage");
        let mut delta = take_object(&mut fields, "delta");
        let reason = delta.shift_remove("stop_reason").as_ref().and_then(Value::as_str).map(str::to_owned);
        let sequence = delta.shift_remove("stop_sequence").as_ref().and_then(Value::as_str).map(str::to_owned);
        let why = reason.as_deref().map(|reason| stop::read(reason, sequence));
        if let Some(reason) =
            reason.filter(|reason| reason == stop::CONTEXT_FULL || matches!(why, Some(Stop::Other(_))))
        {
            delta.insert("stop_reason".to_owned(), Value::String(reason));
        }
        fields.retain(|_, value| !value.is_null());
        delta.retain(|_, value| !value.is_null());
        fields.insert("type".to_owned(), Value::String("message_delta".to_owned()));
        if !delta.is_empty() {
            fields.insert("delta".to_owned(), Value::Object(delta));
        }
        if fields.len() > 1 {
            out.push(Event::first(EventKind::Raw { from: Dialect::Anthropic, value: Value::Object(fields) }));
        }
        if let Some(Value::Object(usage)) = usage {
            self.tally.add(usage);
            out.push(Event::first(EventKind::Usage(self.tally.usage())));
        }
        if let Some(why) = why {
            self.stop(why, out);
        }
    }

    fn stop(&mut self, why: Stop, out: &mut Vec<Event>) {
        if self.phase < Phase::Stopped {
            self.phase = Phase::Stopped;
            out.push(Event::first(EventKind::Stop(why)));
        }
    }

    /// Ends the answer. A server that gave no reason leaves it to the content.
    pub(in super::super) fn end(&mut self, out: &mut Vec<Event>) {
        self.begin(out);
        self.stop_blocks(out);
        self.stop(if self.called { Stop::Tool } else { Stop::End }, out);
        self.phase = Phase::Ended;
        out.push(Event::first(EventKind::End));
    }
}

pub(super) fn seal(block: u32, signature: String) -> EventKind {
    EventKind::Seal { block, seal: Seal::Anthropic(signature) }
}

pub(super) fn take_object(fields: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match fields.shift_remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}
