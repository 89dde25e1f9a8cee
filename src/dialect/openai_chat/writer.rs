//! Writing chat streams.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::head::{self, Head};
use super::{gemini, request, stop, usage};
use crate::dialect::Dialect;
use crate::dialect::codec::{Stamp, Writer};
use crate::dialect::error;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;
use crate::stream::{self, Wire};

/// Fields of the head that `OpenAI` repeats in each chunk; others stand in the first.
const REPEATED: [&str; 2] = ["service_tier", "system_fingerprint"];

/// The writer of a chat stream.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct ChatWriter {
    /// What the answer needs that its events do not say.
    stamp: Stamp,
    /// Whether the client asked for the usage at the end.
    usage_asked: bool,
    /// Whether the client speaks of functions, which became tools.
    functions: bool,
    /// What each chunk begins with, up to its choices; empty before the start.
    prefix: String,
    /// Whether the events were read from this dialect.
    own: bool,
    /// The choices, in the order they came.
    choices: Vec<Written>,
    /// The last usage.
    usage: Option<Usage>,
    /// Whether the end was written.
    done: bool,
}

/// What was written of a choice.
#[derive(Debug, Default)]
struct Written {
    /// Its index.
    index: u32,
    /// Its calls: the block of each, and whether it has arguments.
    calls: Vec<(u32, bool)>,
    /// Whether a refusal was written.
    refused: bool,
    /// Whether its end was written.
    stopped: bool,
}

/// What a chunk adds to a message.
#[derive(Default, Serialize)]
struct Delta<'a> {
    /// The role, in the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    /// A piece of text.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    /// A piece of thoughts, under the name that most clients read.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    /// `OpenRouter`'s seals on thoughts.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<&'a Value>,
    /// A piece of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    /// An annotation of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[&'a Value; 1]>,
    /// A piece of a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
    /// The same for a client of functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionDelta<'a>>,
}

/// What a chunk adds to a call.
#[derive(Serialize)]
struct CallDelta<'a> {
    /// The number of the call within the message.
    index: usize,
    /// Its id, in the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// `function`, in the first piece.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    /// Name and arguments.
    function: FunctionDelta<'a>,
}

/// What a chunk adds to the function of a call.
#[derive(Serialize)]
struct FunctionDelta<'a> {
    /// The tool's name, in the first piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// A piece of the arguments.
    arguments: &'a str,
}

/// A choice within a chunk.
#[derive(Serialize)]
struct ChoiceDelta<'a> {
    /// Its index.
    index: u32,
    /// What is added.
    delta: Delta<'a>,
    /// Log probabilities of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a Value>,
    /// Why it ended, in the last.
    finish_reason: Option<&'a str>,
}

// === impl ChatWriter ===

impl ChatWriter {
    pub(super) fn new(stamp: Stamp) -> Self {
        let chat = &stamp.chat;
        Self {
            usage_asked: chat.origin != Some(Dialect::OpenAiChat) || chat.stream_usage,
            functions: request::asked_for_functions(chat),
            stamp,
            prefix: String::new(),
            own: false,
            choices: Vec::new(),
            usage: None,
            done: false,
        }
    }

    /// Begins the stream, unless it has begun.
    fn start(&mut self, start: Start, out: &mut Vec<stream::Event>) {
        if !self.prefix.is_empty() {
            return;
        }
        let head = Head::new(start, "chatcmpl-", &mut self.stamp);
        self.own = head.own;
        let mut map = Map::from_iter([
            ("id".to_owned(), Value::from(head.id)),
            ("object".to_owned(), "chat.completion.chunk".into()),
            ("created".to_owned(), head.created.into()),
            ("model".to_owned(), head.model.into()),
        ]);
        let (repeated, once): (Map<_, _>, Map<_, _>) =
            head.extra.into_iter().partition(|(name, _)| REPEATED.contains(&name.as_str()));
        map.extend(repeated);
        self.prefix = Value::Object(map).to_string();
        self.prefix.pop();
        self.begin(0, &once, out);
    }

    /// Where the choice is kept; begins it if need be, and the stream before it.
    fn at(&mut self, index: u32, out: &mut Vec<stream::Event>) -> usize {
        self.start(Start::default(), out);
        match self.choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None => self.begin(index, &Map::new(), out),
        }
    }

    /// Writes the first chunk of a choice, which names the role, as `OpenAI`'s does.
    fn begin(&mut self, index: u32, extra: &Map<String, Value>, out: &mut Vec<stream::Event>) -> usize {
        self.choices.push(Written { index, ..Written::default() });
        let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
        out.push(self.chunk(extra, &[ChoiceDelta { index, delta, logprobs: None, finish_reason: None }]));
        self.choices.len() - 1
    }

    /// A chunk of these choices. Where a usage chunk will come, `OpenAI` writes `"usage": null` in all others.
    fn chunk(&self, extra: &Map<String, Value>, choices: &impl Serialize) -> stream::Event {
        let mut text = self.prefix.clone();
        for (name, value) in extra {
            text.extend([",", &Value::from(name.as_str()).to_string(), ":", &value.to_string()]);
        }
        text.push_str(",\"choices\":");
        // Writing text and values to a string cannot fail.
        text.push_str(&serde_json::to_string(choices).unwrap_or_else(|_| "[]".to_owned()));
        text.push_str(if self.usage_asked { ",\"usage\":null}" } else { "}" });
        event(text)
    }

    fn delta(&self, index: u32, delta: Delta<'_>) -> stream::Event {
        self.chunk(&Map::new(), &[ChoiceDelta { index, delta, logprobs: None, finish_reason: None }])
    }

    fn tool_start(
        &mut self,
        at: usize,
        block: u32,
        id: &str,
        name: &str,
        losses: &mut Losses,
    ) -> Option<stream::Event> {
        let written = &mut self.choices[at];
        let (index, call) = (written.index, written.calls.len());
        written.calls.push((block, false));
        let function = FunctionDelta { name: Some(name), arguments: "" };
        if self.functions {
            if call > 0 {
                losses.dropped(format!("content[{block}]"), "a client of functions takes one call");
                return None;
            }
            return Some(self.delta(index, Delta { function_call: Some(function), ..Delta::default() }));
        }
        let call = CallDelta { index: call, id: Some(id), kind: Some("function"), function };
        Some(self.delta(index, Delta { tool_calls: Some([call]), ..Delta::default() }))
    }

    /// The index of the call of a block.
    fn call(&self, at: usize, block: u32) -> Option<usize> {
        self.choices[at].calls.iter().position(|(known, _)| *known == block)
    }

    fn gemini(&self, at: usize, block: u32, signature: &str) -> Option<stream::Event> {
        let call = json!({"index": self.call(at, block)?, "extra_content": gemini::extra_content(signature)});
        let delta = json!({"tool_calls": [call]});
        let choice = json!({"index": self.choices[at].index, "delta": delta, "finish_reason": null});
        Some(self.chunk(&Map::new(), &[choice]))
    }

    /// Writes a piece of arguments; none for a call that was not begun.
    fn tool_args(&mut self, at: usize, block: u32, json: &str) -> Option<stream::Event> {
        let call = self.call(at, block)?;
        let written = &mut self.choices[at];
        written.calls[call].1 |= !json.is_empty();
        let index = written.index;
        let function = FunctionDelta { name: None, arguments: json };
        if self.functions {
            return (call == 0).then(|| self.delta(index, Delta { function_call: Some(function), ..Delta::default() }));
        }
        let call = CallDelta { index: call, id: None, kind: None, function };
        Some(self.delta(index, Delta { tool_calls: Some([call]), ..Delta::default() }))
    }

    /// Ends a call: one without arguments gets empty ones.
    fn tool_end(&mut self, at: usize, block: u32) -> Option<stream::Event> {
        let empty = self.choices[at].calls.contains(&(block, false));
        empty.then(|| self.tool_args(at, block, "{}")).flatten()
    }

    fn stop(&mut self, at: usize, stop: &Stop, losses: &mut Losses, out: &mut Vec<stream::Event>) {
        let written = &mut self.choices[at];
        if std::mem::replace(&mut written.stopped, true) {
            return;
        }
        let (index, refused) = (written.index, written.refused);
        let blocks: Vec<u32> = written.calls.iter().map(|(block, _)| *block).collect();
        out.extend(blocks.into_iter().filter_map(|block| self.tool_end(at, block)));
        let (mut reason, near) = stop::write(stop, refused, self.own);
        if let Some(why) = near {
            losses.approximated("stop_reason", why);
        }
        if self.functions && reason == "tool_calls" {
            reason = "function_call";
        }
        let choice = ChoiceDelta { index, delta: Delta::default(), logprobs: None, finish_reason: Some(reason) };
        out.push(self.chunk(&Map::new(), &[choice]));
    }

    /// Ends the stream: choices that did not end, the usage if it was asked for, the mark.
    fn end(&mut self, losses: &mut Losses, out: &mut Vec<stream::Event>) {
        self.start(Start::default(), out);
        for at in 0..self.choices.len() {
            let choice = &self.choices[at];
            let stop = stop::settle(None, !choice.calls.is_empty(), choice.refused);
            self.stop(at, &stop, losses, out);
        }
        if let Some(usage) = self.usage.take().filter(|_| self.usage_asked) {
            let usage = usage::write(&usage);
            out.push(event(format!("{},\"choices\":[],\"usage\":{usage}}}", self.prefix)));
        }
        self.close(out);
    }

    fn close(&mut self, out: &mut Vec<stream::Event>) {
        self.done = true;
        out.push(stream::Event::new(Wire::Sse, None, Bytes::from_static(b"[DONE]")));
    }

    /// Passes on what only this dialect knows.
    fn raw(&mut self, value: Value, losses: &mut Losses, out: &mut Vec<stream::Event>) {
        let Value::Object(mut raw) = value else { return };
        self.start(Start::default(), out);
        let mut choices = match raw.shift_remove("choices") {
            Some(Value::Array(choices)) => choices,
            _ => Vec::new(),
        };
        choices.retain_mut(|choice| self.raw_choice(choice, losses, out));
        if choices.is_empty() && raw.is_empty() {
            return;
        }
        out.push(self.chunk(&raw, &choices));
    }

    /// Makes a raw choice fit into a chunk; false for one that comes after the choice's end.
    fn raw_choice(&mut self, choice: &mut Value, losses: &mut Losses, out: &mut Vec<stream::Event>) -> bool {
        let Some(fields) = choice.as_object_mut() else { return false };
        let index = fields.get("index").and_then(Value::as_u64).and_then(|index| u32::try_from(index).ok());
        let at = self.at(index.unwrap_or(0), out);
        if self.choices[at].stopped {
            late(losses);
            return false;
        }
        fields.entry("delta").or_insert_with(|| json!({}));
        fields.insert("finish_reason".to_owned(), Value::Null);
        true
    }

    fn content(&mut self, index: u32, kind: &EventKind, losses: &mut Losses, out: &mut Vec<stream::Event>) {
        let at = self.at(index, out);
        if self.choices[at].stopped {
            return late(losses);
        }
        let none = Delta::default();
        let delta = match kind {
            EventKind::Text { text, .. } => Delta { content: Some(text), ..none },
            EventKind::Reasoning { text, .. } => Delta { reasoning_content: Some(text), ..none },
            EventKind::Refusal { text, .. } => {
                self.choices[at].refused = true;
                Delta { refusal: Some(text), ..none }
            }
            EventKind::Seal { seal: Seal::OpenRouter(details), .. } => {
                Delta { reasoning_details: Some(details), ..none }
            }
            EventKind::Seal { block, seal: Seal::Gemini(signature) }
                if !self.functions && self.call(at, *block).is_some() =>
            {
                return out.extend(self.gemini(at, *block, signature));
            }
            EventKind::Seal { block, .. } => return super::lost_seal(*block, losses),
            EventKind::ToolStart { block, id, name } => {
                return out.extend(self.tool_start(at, *block, id, name, losses));
            }
            EventKind::ToolArgs { block, json } => return out.extend(self.tool_args(at, *block, json)),
            EventKind::BlockStop { block } => return out.extend(self.tool_end(at, *block)),
            EventKind::Citation { block, value } => return self.cite(index, *block, value, losses, out),
            EventKind::Logprobs(value) => {
                let choice = ChoiceDelta { index, delta: none, logprobs: Some(value), finish_reason: None };
                return out.push(self.chunk(&Map::new(), &[choice]));
            }
            _ => return,
        };
        out.push(self.delta(index, delta));
    }

    fn cite(&self, index: u32, block: u32, value: &Value, losses: &mut Losses, out: &mut Vec<stream::Event>) {
        match head::annotation(value.clone(), self.own) {
            Some(value) => out.push(self.delta(index, Delta { annotations: Some([&value]), ..Delta::default() })),
            None => super::lost_citation(block, losses),
        }
    }
}

impl Writer for ChatWriter {
    fn write(&mut self, event: Event, losses: &mut Losses) -> Vec<stream::Event> {
        let mut out = Vec::new();
        if self.done {
            return out;
        }
        let Some(event) = event.known_to(Dialect::OpenAiChat, losses) else { return out };
        match event.kind {
            EventKind::Start(start) => self.start(start, &mut out),
            EventKind::Usage(usage) => self.usage = Some(usage),
            EventKind::Stop(stop) => {
                let at = self.at(event.choice, &mut out);
                self.stop(at, &stop, losses, &mut out);
            }
            EventKind::Failed(failure) => {
                out.push(stream::Event::new(
                    Wire::Sse,
                    None,
                    Bytes::from(error::within(Dialect::OpenAiChat, &failure).to_string()),
                ));
                self.close(&mut out);
            }
            EventKind::End => self.end(losses, &mut out),
            EventKind::Raw { value, .. } => self.raw(value, losses, &mut out),
            EventKind::Ping => {}
            kind => self.content(event.choice, &kind, losses, &mut out),
        }
        out
    }
}

fn late(losses: &mut Losses) {
    losses.dropped("content", "it came after the end of the answer");
}

fn event(data: String) -> stream::Event {
    stream::Event::new(Wire::Sse, None, Bytes::from(data))
}
