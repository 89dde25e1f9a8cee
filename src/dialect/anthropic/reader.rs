//! Reads Anthropic's answers: the events of a stream, and with the same steps the blocks of a whole one (Anthropic's
//! guide Streaming messages).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::usage::Tally;
use super::{failure, stop};
use crate::dialect::codec::Reader;
use crate::dialect::event::{Event, EventKind, Start, Stop};
use crate::dialect::failure::Failure;
use crate::dialect::seal::Seal;
use crate::stream;

/// Where an answer stands.
#[derive(Default)]
pub(super) struct AnthropicReader {
    /// How far it came.
    phase: Phase,
    /// Blocks that began and did not end; in practice one.
    open: Vec<Open>,
    /// What was used so far.
    tally: Tally,
    /// Whether a tool was called.
    called: bool,
}

/// How far an answer came.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nothing was told.
    #[default]
    Awaited,
    /// Its start was told.
    Begun,
    /// The reason of its end was told.
    Stopped,
    /// Nothing more comes.
    Ended,
}

/// A block that began.
struct Open {
    /// Its index on the wire, which is its number in the model.
    index: u32,
    /// What it is.
    kind: Kind,
    /// Whether any of it was told.
    told: bool,
}

/// What a block is.
enum Kind {
    Text,
    Thinking,
    /// A call of the client's tools, with the arguments that came with its start.
    Call(Option<String>),
    /// A block that only this dialect knows, and its input as far as it came in pieces.
    Raw(Value, String),
}

/// An event of the wire, as far as deltas need it.
#[derive(Deserialize)]
struct Line<'a> {
    /// The event's type.
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    /// The block.
    index: Option<u32>,
    /// What the block says more.
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    /// An error, in whatever shape.
    error: Option<IgnoredAny>,
}

/// The delta of a block.
#[derive(Deserialize)]
struct Delta<'a> {
    /// Its type.
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    /// Text.
    text: Option<String>,
    /// Thoughts.
    thinking: Option<String>,
    /// The signature of the thoughts.
    signature: Option<String>,
    /// Arguments.
    partial_json: Option<String>,
    /// A citation of the text.
    citation: Option<Value>,
}

// === impl AnthropicReader ===

impl Reader for AnthropicReader {
    fn read(&mut self, event: &stream::Event) -> Vec<Event> {
        let mut out = Vec::new();
        if self.phase == Phase::Ended {
            return out;
        }
        if !event.has_data() {
            if stream::look(event).error {
                self.fail(failure::read(stray_error(event)), &mut out);
            }
            return out;
        }
        match serde_json::from_slice::<Line<'_>>(event.data()) {
            Ok(Line { kind, index, delta: Some(delta), .. }) if kind == "content_block_delta" => {
                if !self.delta(index.unwrap_or_default(), delta, &mut out) {
                    self.slow(event, false, &mut out);
                }
            }
            Ok(line) if line.kind == "content_block_stop" => self.block_stop(line.index.unwrap_or_default(), &mut out),
            Ok(line) if line.kind == "ping" => out.push(Event::first(EventKind::Ping)),
            Ok(line) => {
                let failed = line.kind == "error" || line.error.is_some() || event.name() == Some("error");
                self.slow(event, failed, &mut out);
            }
            Err(_) => self.slow(event, event.name() == Some("error"), &mut out),
        }
        out
    }

    fn finish(&mut self) -> Vec<Event> {
        let mut out = Vec::new();
        if self.phase == Phase::Ended {
            return out;
        }
        if self.phase == Phase::Stopped {
            self.end(&mut out);
        } else {
            self.fail(failure::broken("stream_cut", "the stream ended before the answer did"), &mut out);
        }
        out
    }
}

impl AnthropicReader {
    /// Reads an event that is no delta of a known kind.
    fn slow(&mut self, event: &stream::Event, failed: bool, out: &mut Vec<Event>) {
        let Ok(value) = serde_json::from_slice::<Value>(event.data()) else {
            let text = String::from_utf8_lossy(event.data());
            match text.trim() {
                "" | "[DONE]" => {}
                text if failed => self.fail(failure::read(Value::String(text.to_owned())), out),
                _ => self.fail(failure::broken("garbage", "an event of the stream is not JSON"), out),
            }
            return;
        };
        let Value::Object(mut fields) = value else {
            return self.raw(value, out);
        };
        if failed {
            let error = fields.shift_remove("error").unwrap_or(Value::Object(fields));
            return self.fail(failure::read(error), out);
        }
        let kind = fields.get("type").and_then(Value::as_str).or(event.name()).unwrap_or_default().to_owned();
        match kind.as_str() {
            "message_start" => self.start(take_object(&mut fields, "message"), out),
            "content_block_start" => {
                let block = fields.shift_remove("content_block").unwrap_or_default();
                self.block_start(index(&fields), block, out);
            }
            "content_block_delta" if self.merge(&mut fields) => {}
            "message_delta" => self.message_delta(fields, out),
            "message_stop" => self.end(out),
            _ => self.raw(Value::Object(fields), out),
        }
    }

    /// Something that only this dialect knows.
    fn raw(&mut self, value: Value, out: &mut Vec<Event>) {
        self.begin(out);
        out.push(Event::first(EventKind::Raw(value)));
    }

    /// Nothing but the end comes after a failure.
    fn fail(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.phase = Phase::Ended;
        out.push(Event::first(EventKind::Failed(failure)));
    }

    /// Tells a start where the wire left it out.
    fn begin(&mut self, out: &mut Vec<Event>) {
        if self.phase == Phase::Awaited {
            self.start(Map::new(), out);
        }
    }

    /// Reads the head of an answer.
    pub(super) fn start(&mut self, message: Map<String, Value>, out: &mut Vec<Event>) {
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
    pub(super) fn block_start(&mut self, index: u32, mut block: Value, out: &mut Vec<Event>) {
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
            let raw = serde_json::json!({"type": "tool_use", "id": id, "caller": caller});
            out.push(Event::first(EventKind::Raw(raw)));
        }
        out.push(Event::first(EventKind::ToolStart { block: index, id, name }));
        let input = block.get("input").filter(|input| input.as_object().is_some_and(|input| !input.is_empty()));
        Kind::Call(input.map(Value::to_string))
    }

    /// Reads a delta; says whether it was of a known kind.
    fn delta(&mut self, block: u32, delta: Delta<'_>, out: &mut Vec<Event>) -> bool {
        self.begin(out);
        let open = self.open.iter_mut().rev().find(|open| open.index == block);
        let kind = match (delta.kind.as_ref(), open.map(|open| &mut open.kind)) {
            ("text_delta", Some(Kind::Text) | None) => {
                delta.text.map(|text| (EventKind::Text { block, text }, Kind::Text))
            }
            ("thinking_delta", Some(Kind::Thinking) | None) => {
                delta.thinking.map(|text| (EventKind::Reasoning { block, text }, Kind::Thinking))
            }
            ("signature_delta", Some(Kind::Thinking)) => match delta.signature {
                Some(signature) if signature.is_empty() => return true,
                signature => signature.map(|signature| (seal(block, signature), Kind::Thinking)),
            },
            ("input_json_delta", Some(Kind::Call(whole))) => {
                let json = delta.partial_json.unwrap_or_default();
                if json.is_empty() {
                    return true;
                }
                *whole = None;
                Some((EventKind::ToolArgs { block, json }, Kind::Call(None)))
            }
            ("input_json_delta", Some(Kind::Raw(_, input))) => {
                input.push_str(delta.partial_json.as_deref().unwrap_or_default());
                return true;
            }
            ("citations_delta", Some(Kind::Text)) => {
                delta.citation.map(|value| (EventKind::Citation { block, value }, Kind::Text))
            }
            _ => None,
        };
        let Some((event, kind)) = kind else {
            return false;
        };
        if !self.told(block) {
            self.open.push(Open { index: block, kind, told: true });
        }
        out.push(Event::first(event));
        true
    }

    /// Notes that something of a block was told; says whether it is open.
    fn told(&mut self, index: u32) -> bool {
        let open = self.open.iter_mut().rev().find(|open| open.index == index);
        open.map(|open| open.told = true).is_some()
    }

    /// Adds a delta of an unknown kind to a block that only this dialect knows, field by field; says whether there is
    /// one.
    fn merge(&mut self, fields: &mut Map<String, Value>) -> bool {
        let index = index(fields);
        let open = self.open.iter_mut().find(|open| open.index == index).map(|open| &mut open.kind);
        let Some(Kind::Raw(Value::Object(block), _)) = open else {
            return false;
        };
        for (name, value) in take_object(fields, "delta") {
            match (block.get_mut(&name), value) {
                (_, _) if name == "type" => {}
                (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
                (_, value) => {
                    block.insert(name, value);
                }
            }
        }
        true
    }

    /// Reads the end of a block.
    pub(super) fn block_stop(&mut self, index: u32, out: &mut Vec<Event>) {
        let Some(position) = self.open.iter().position(|open| open.index == index) else {
            return;
        };
        let Open { kind, told, .. } = self.open.remove(position);
        let text = String::new();
        match kind {
            Kind::Raw(mut block, input) => {
                if let Ok(input) = serde_json::from_str::<Value>(&input) {
                    block["input"] = input;
                }
                return out.push(Event::first(EventKind::Raw(block)));
            }
            Kind::Call(Some(json)) => out.push(Event::first(EventKind::ToolArgs { block: index, json })),
            Kind::Text if !told => out.push(Event::first(EventKind::Text { block: index, text })),
            Kind::Thinking if !told => out.push(Event::first(EventKind::Reasoning { block: index, text })),
            Kind::Text | Kind::Thinking | Kind::Call(None) => {}
        }
        out.push(Event::first(EventKind::BlockStop { block: index }));
    }

    /// Ends all blocks that the wire left open.
    fn stop_blocks(&mut self, out: &mut Vec<Event>) {
        while let Some(index) = self.open.first().map(|open| open.index) {
            self.block_stop(index, out);
        }
    }

    /// Reads why the answer ended and what it used. What only this dialect knows of it is told as such an event with
    /// nothing else in it.
    pub(super) fn message_delta(&mut self, mut fields: Map<String, Value>, out: &mut Vec<Event>) {
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
            out.push(Event::first(EventKind::Raw(Value::Object(fields))));
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
    pub(super) fn end(&mut self, out: &mut Vec<Event>) {
        self.begin(out);
        self.stop_blocks(out);
        self.stop(if self.called { Stop::Tool } else { Stop::End }, out);
        self.phase = Phase::Ended;
        out.push(Event::first(EventKind::End));
    }
}

fn seal(block: u32, signature: String) -> EventKind {
    EventKind::Seal { block, seal: Seal::Anthropic(signature) }
}

/// The `index` of an event.
fn index(fields: &Map<String, Value>) -> u32 {
    fields.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok()).unwrap_or_default()
}

fn take_object(fields: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match fields.shift_remove(name) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// What a line `error: …` says, which is no field of server-sent events but stands in some streams.
fn stray_error(event: &stream::Event) -> Value {
    let bytes = event.to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find_map(|line| line.strip_prefix("error:")).unwrap_or_default().trim();
    match serde_json::from_str(line) {
        Ok(Value::Object(mut fields)) => fields.shift_remove("error").unwrap_or(Value::Object(fields)),
        _ => Value::String(line.to_owned()),
    }
}
