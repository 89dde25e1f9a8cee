//! What was said of an answer so far, kept so that another upstream can go on with it when the first one dies.

use serde_json::Value;
use serde_json::value::RawValue;

use super::Dialect;
use super::event::{Event, EventKind, Usage};
use super::openai_responses;
pub use marks::Marks;

pub mod marks;

#[cfg(test)]
mod tests;

/// Bytes of an answer that are about one token: for a guess where the upstream died before it said what it used.
const BYTES_A_TOKEN: usize = 4;

/// The events of one answer, of every attempt that gave a part of it. Pieces of a block that follow each other are one.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// What a writer needs to stand where the client does, in order.
    events: Vec<Event>,
    /// Blocks that began and did not end, in the order they began.
    open: Vec<u32>,
    /// The number of the next new block.
    next: u32,
    /// What the present attempt said it used.
    usage: Option<Usage>,
    /// Bytes that the present attempt said.
    heard: usize,
    /// What earlier attempts used.
    spent: Option<Usage>,
    /// Bytes of all that is kept.
    size: usize,
    /// Why nobody else can go on with it.
    bound: Option<&'static str>,
    /// Numbers and ids that the client saw and no event holds.
    pub marks: Marks,
}

/// A call as far as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidCall {
    /// Its block.
    pub block: u32,
    /// The tool's name.
    pub name: String,
    /// Its arguments as far as they came.
    pub arguments: String,
    /// Whether its block ended.
    pub ended: bool,
}

/// What was said, in figures, for a policy that decides whether the answer goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Bytes of text.
    pub text: usize,
    /// Bytes of thoughts.
    pub reasoning: usize,
    /// Calls that were begun.
    pub calls: usize,
    /// Whether the last of them is cut.
    pub tool_open: bool,
}

// === impl Transcript ===

impl Transcript {
    /// Nothing said yet, in a stream of which these numbers are counted.
    pub fn marked(marks: Marks) -> Self {
        Self { marks, ..Self::default() }
    }

    /// Notes an event that was passed on.
    pub fn note(&mut self, event: &Event) {
        if event.choice > 0 {
            self.bound = Some("it is one of several answers");
            return;
        }
        match &event.kind {
            EventKind::Start(_) if self.events.is_empty() => self.keep(event, 0),
            EventKind::Text { block, text } | EventKind::Reasoning { block, text } => self.piece(event, *block, text),
            EventKind::ToolArgs { block, json } => self.piece(event, *block, json),
            EventKind::Refusal { block, text } => {
                self.bound = Some("the model declined");
                self.piece(event, *block, text);
            }
            EventKind::Seal { block, .. } | EventKind::Citation { block, .. } | EventKind::ToolStart { block, .. } => {
                self.begin(*block);
                self.keep(event, 64);
            }
            EventKind::BlockStop { block } => {
                self.open.retain(|open| open != block);
                self.keep(event, 0);
            }
            EventKind::Usage(usage) => self.usage = Some(usage.clone()),
            EventKind::Raw { from, value } => self.raw(event, *from, value),
            EventKind::Start(_)
            | EventKind::Logprobs(_)
            | EventKind::Stop(_)
            | EventKind::Failed(_)
            | EventKind::Ping
            | EventKind::End => {}
        }
    }

    /// What only one dialect knows: of those whose blocks and items are numbered it is kept, to count by. Parts of the
    /// answer itself can be handed to nobody else.
    fn raw(&mut self, event: &Event, from: Dialect, value: &Value) {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let beside = match from {
            Dialect::Anthropic => matches!(kind, "message_delta" | "tool_use"),
            Dialect::OpenAiResponses => kind == openai_responses::ITEM_FIELDS,
            _ => return,
        };
        if !beside {
            self.bound = Some("it holds a part that only its own dialect knows");
        }
        self.keep(event, value.to_string().len());
    }

    fn begin(&mut self, block: u32) {
        if !self.open.contains(&block) {
            self.open.push(block);
        }
        self.next = self.next.max(block.saturating_add(1));
    }

    /// Adds a piece to its block.
    fn piece(&mut self, event: &Event, block: u32, more: &str) {
        self.begin(block);
        self.heard += more.len();
        self.size += more.len();
        let joined = match (self.events.last_mut().map(|last| &mut last.kind), &event.kind) {
            (Some(EventKind::Text { block: b, text }), EventKind::Text { .. })
            | (Some(EventKind::Reasoning { block: b, text }), EventKind::Reasoning { .. })
            | (Some(EventKind::ToolArgs { block: b, json: text }), EventKind::ToolArgs { .. })
                if *b == block =>
            {
                text.push_str(more);
                true
            }
            _ => false,
        };
        if !joined {
            self.keep(event, 0);
        }
    }

    fn keep(&mut self, event: &Event, more: usize) {
        self.size += size_of::<Event>() + more;
        self.events.push(event.clone());
    }

    /// The events, for a writer that is to stand where the client does.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether the client was told that the answer begins.
    pub fn started(&self) -> bool {
        self.events.first().is_some_and(|event| matches!(event.kind, EventKind::Start(_)))
    }

    /// Bytes that it holds.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Why nobody else can go on with it, if so.
    pub fn bound(&self) -> Option<&'static str> {
        self.bound.or_else(|| self.marks.bound())
    }

    /// Blocks that did not end, in the order they began.
    pub fn open(&self) -> &[u32] {
        &self.open
    }

    /// The number of the next new block.
    pub fn next_block(&self) -> u32 {
        self.next
    }

    /// The text so far: its blocks joined.
    pub fn text(&self) -> String {
        self.events.iter().filter_map(|event| text_of(&event.kind)).collect()
    }

    /// The text before the first call.
    pub fn text_before_calls(&self) -> String {
        let before = self.events.iter().take_while(|event| !matches!(event.kind, EventKind::ToolStart { .. }));
        before.filter_map(|event| text_of(&event.kind)).collect()
    }

    /// The block of text that was said last, if it did not end.
    pub fn open_text(&self) -> Option<u32> {
        let texts = self.events.iter().rev().filter_map(|event| match &event.kind {
            EventKind::Text { block, .. } => Some(*block),
            _ => None,
        });
        texts.take(1).find(|block| self.open.contains(block))
    }

    /// The calls, in the order they began.
    pub fn calls(&self) -> Vec<SaidCall> {
        let mut calls: Vec<SaidCall> = Vec::new();
        for event in &self.events {
            match &event.kind {
                EventKind::ToolStart { block, name, .. } => calls.push(SaidCall {
                    block: *block,
                    name: name.clone(),
                    arguments: String::new(),
                    ended: !self.open.contains(block),
                }),
                EventKind::ToolArgs { block, json } => {
                    if let Some(call) = calls.iter_mut().rev().find(|call| call.block == *block) {
                        call.arguments.push_str(json);
                    }
                }
                _ => {}
            }
        }
        calls
    }

    /// What was said, in figures.
    pub fn said(&self) -> Said {
        let mut said = Said::default();
        for event in &self.events {
            match &event.kind {
                EventKind::Text { text, .. } => said.text += text.len(),
                EventKind::Reasoning { text, .. } => said.reasoning += text.len(),
                EventKind::ToolStart { .. } => said.calls += 1,
                _ => {}
            }
        }
        let whole = |call: &SaidCall| call.ended || serde_json::from_str::<&RawValue>(&call.arguments).is_ok();
        said.tool_open = self.calls().last().is_some_and(|call| !whole(call));
        said
    }

    /// The same without its calls from the first on that a client of `client` was not sent: in some dialects a call
    /// leaves when it is whole. `None` where the client was sent all that was said.
    #[must_use]
    pub fn without_unsent_calls(&self, client: Dialect) -> Option<Self> {
        // Gemini's parts wait for all that began before them, Ollama's calls for each other.
        let waits_for_text = match client {
            Dialect::Gemini => true,
            Dialect::OllamaChat | Dialect::OllamaGenerate => false,
            _ => return None,
        };
        let mut earlier_open = false;
        let mut from = None;
        for block in self.begun() {
            let call = self.is_call(block);
            earlier_open |= (call || waits_for_text) && self.open.contains(&block);
            if earlier_open && call {
                from = Some(block);
                break;
            }
        }
        let from = from?;
        let kept: Vec<u32> = self.begun().into_iter().take_while(|block| *block != from).collect();
        let mut sent = Self { spent: self.spent.clone(), marks: self.marks.clone(), ..Self::default() };
        for event in &self.events {
            if block_of(&event.kind).is_none_or(|block| kept.contains(&block)) {
                sent.note(event);
            }
        }
        (sent.usage, sent.heard, sent.bound) = (self.usage.clone(), self.heard, self.bound);
        Some(sent)
    }

    /// All blocks in the order they began.
    fn begun(&self) -> Vec<u32> {
        let mut begun = Vec::new();
        for block in self.events.iter().filter_map(|event| block_of(&event.kind)) {
            if !begun.contains(&block) {
                begun.push(block);
            }
        }
        begun
    }

    fn is_call(&self, block: u32) -> bool {
        self.events.iter().any(|event| matches!(&event.kind, EventKind::ToolStart { block: b, .. } if *b == block))
    }

    /// What all attempts so far used. Where the last one died before it said so, its part is estimated: `asked` tokens
    /// of request, and a token for four bytes of answer.
    pub fn used(&self, asked: u64) -> Usage {
        let wrote = (self.heard / BYTES_A_TOKEN) as u64;
        let mut last =
            self.usage.clone().unwrap_or_else(|| Usage { input: asked, estimated: true, ..Usage::default() });
        if last.output < wrote {
            (last.output, last.estimated) = (wrote, true);
        }
        match &self.spent {
            Some(spent) => summed(spent, &last),
            None => last,
        }
    }

    /// Goes over to the next attempt, which begins with nothing said.
    pub fn hand_over(&mut self, spent: Usage) {
        self.spent = Some(spent);
        (self.usage, self.heard) = (None, 0);
    }

    /// What the attempts before the present one used.
    pub fn spent(&self) -> Option<&Usage> {
        self.spent.as_ref()
    }
}

fn text_of(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// The block that an event is of.
fn block_of(kind: &EventKind) -> Option<u32> {
    match kind {
        EventKind::Text { block, .. }
        | EventKind::Reasoning { block, .. }
        | EventKind::Refusal { block, .. }
        | EventKind::Seal { block, .. }
        | EventKind::Citation { block, .. }
        | EventKind::ToolStart { block, .. }
        | EventKind::ToolArgs { block, .. }
        | EventKind::BlockStop { block } => Some(*block),
        _ => None,
    }
}

/// The tokens of two attempts together. Counts that only one dialect knows are gone: nobody knows how they add up.
pub fn summed(earlier: &Usage, later: &Usage) -> Usage {
    let both = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
    };
    Usage {
        input: earlier.input + later.input,
        output: earlier.output + later.output,
        cache_read: both(earlier.cache_read, later.cache_read),
        cache_write: both(earlier.cache_write, later.cache_write),
        reasoning: both(earlier.reasoning, later.reasoning),
        estimated: earlier.estimated || later.estimated,
        ..Usage::default()
    }
}
