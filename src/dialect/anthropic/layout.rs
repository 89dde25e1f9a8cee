//! Lays an answer's events out as Anthropic's grammar wants them: one block after the other, each begun and ended, the
//! start first, the end last. Streams and whole answers are both written from this.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::{stop, usage};
use crate::dialect::Dialect;
use crate::dialect::codec::Stamp;
use crate::dialect::event::{Event, EventKind, Start, Stop, Usage};
use crate::dialect::failure::Failure;
use crate::dialect::loss::Losses;

mod blocks;

/// A step of an answer in Anthropic's grammar.
pub(super) enum Step {
    /// The message without content.
    Start(Map<String, Value>),
    /// A block begins, as it is before any delta.
    Open(Value),
    /// Text of the block that is open.
    Text(String),
    /// Thoughts of it.
    Thinking(String),
    /// Arguments of it.
    Args(String),
    /// Another delta of it.
    Delta(Value),
    /// The open block ends.
    Close,
    /// Why the answer ended and what it used: the fields of `message_delta` but for its type.
    Finish(Map<String, Value>),
    /// The answer is whole.
    End,
    /// It failed.
    Failed(Failure),
    /// A sign of life.
    Ping,
}

/// Where the layout stands.
pub(super) struct Layout {
    /// What the answer needs that the events may not say.
    stamp: Stamp,
    /// The head.
    head: Head,
    /// How many blocks were begun.
    begun: usize,
    /// The block that is open.
    open: Option<Open>,
    /// Blocks that wait until the open one ends, in the order they began; one without a number is whole.
    held: VecDeque<(Option<u32>, Vec<EventKind>)>,
    /// What was used, by the last event that said so.
    usage: Option<Usage>,
    /// Why it ended.
    stop: Option<Stop>,
    /// Fields of `message_delta` that only this dialect knows.
    tail: Map<String, Value>,
    /// Fields of calls to come that only this dialect knows.
    calls: Vec<Map<String, Value>>,
    /// Whether a call was written.
    called: bool,
    /// Whether the model declined.
    refused: bool,
    /// Whether the end was written.
    done: bool,
    /// What is to be written.
    steps: Vec<Step>,
}

/// The start of the answer: it waits for one more event, since that may say what was read.
enum Head {
    /// Nothing of it came.
    Awaited,
    /// It came.
    Known(Start),
    /// It is written.
    Written,
}

/// A block that is open.
struct Open {
    /// Its number in the model.
    block: u32,
    /// What it is.
    kind: Kind,
    /// Whether it has what it must have: a signature, arguments.
    complete: bool,
}

/// What a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Text, or words of refusal.
    Text,
    /// Thoughts.
    Thinking,
    /// A call of the client's tools.
    Call,
}

// === impl Layout ===

impl Layout {
    /// At the start of an answer.
    pub(super) fn new(stamp: Stamp) -> Self {
        Self {
            stamp,
            head: Head::Awaited,
            begun: 0,
            open: None,
            held: VecDeque::new(),
            usage: None,
            stop: None,
            tail: Map::new(),
            calls: Vec::new(),
            called: false,
            refused: false,
            done: false,
            steps: Vec::new(),
        }
    }

    /// Whether a block is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes an event: the steps that can be written now.
    pub(super) fn take(&mut self, event: Event, losses: &mut Losses) -> Vec<Step> {
        if self.done {
            return Vec::new();
        }
        let Some(event) = event.known_to(Dialect::Anthropic, losses) else { return Vec::new() };
        if event.choice != 0 {
            losses.dropped(format!("choices[{}]", event.choice), "there is one answer");
            return Vec::new();
        }
        match event.kind {
            EventKind::Start(start) if matches!(self.head, Head::Awaited) => self.head = Head::Known(start),
            EventKind::Start(_) => {}
            EventKind::Usage(usage) => {
                self.usage = Some(usage);
                if matches!(self.head, Head::Known(_)) {
                    self.begin(losses);
                }
            }
            EventKind::Ping => {
                if matches!(self.head, Head::Known(_)) {
                    self.begin(losses);
                }
                self.steps.push(Step::Ping);
            }
            EventKind::Stop(stop) => {
                self.close_all(losses);
                self.stop.get_or_insert(stop);
            }
            EventKind::Failed(failure) => self.fail(failure, losses),
            EventKind::End => self.end(losses),
            EventKind::Logprobs(_) => losses.dropped("logprobs", "answers have no log probabilities"),
            EventKind::Raw { value, .. } => self.raw(value, losses),
            EventKind::Text { block, .. }
            | EventKind::Reasoning { block, .. }
            | EventKind::Seal { block, .. }
            | EventKind::Refusal { block, .. }
            | EventKind::ToolStart { block, .. }
            | EventKind::ToolArgs { block, .. }
            | EventKind::BlockStop { block }
            | EventKind::Citation { block, .. } => self.block(block, event.kind, losses),
        }
        std::mem::take(&mut self.steps)
    }

    /// Writes the start if it is not.
    fn begin(&mut self, losses: &mut Losses) {
        let start = match std::mem::replace(&mut self.head, Head::Written) {
            Head::Written => return,
            Head::Known(start) => start,
            Head::Awaited => Start::default(),
        };
        let mut id = start.id.unwrap_or_default();
        if !id.starts_with("msg_") {
            if !id.is_empty() {
                losses.approximated("id", "ids of answers begin with msg_");
            }
            id = self.stamp.ids.next("msg_");
        }
        let model = start.model.filter(|model| !model.is_empty()).unwrap_or_else(|| self.stamp.model.clone());
        let usage = self.usage.clone().unwrap_or_default();
        let mut message = Map::new();
        message.insert("id".to_owned(), Value::String(id));
        message.insert("type".to_owned(), json!("message"));
        message.insert("role".to_owned(), json!("assistant"));
        message.insert("model".to_owned(), Value::String(model));
        message.insert("content".to_owned(), json!([]));
        message.insert("stop_reason".to_owned(), Value::Null);
        message.insert("stop_sequence".to_owned(), Value::Null);
        message.insert("usage".to_owned(), Value::Object(usage::write(&usage)));
        for (name, value) in start.extra {
            if matches!(name.as_str(), "container" | "context_management" | "stop_details") {
                message.insert(name, value);
            } else if !value.is_null() {
                losses.dropped(name, "only its own dialect knows it");
            }
        }
        self.steps.push(Step::Start(message));
    }

    /// Takes an event of a block: now if its turn is now, else later. Empty pieces begin no block, since Anthropic
    /// refuses empty ones when they come back.
    fn block(&mut self, block: u32, kind: EventKind, losses: &mut Losses) {
        self.begin(losses);
        if is_empty(&kind) {
            return;
        }
        let waits = self.held.iter_mut().find(|(number, _)| *number == Some(block));
        let other_is_open = self.open.as_ref().is_some_and(|open| open.block != block);
        if let Some((_, kinds)) = waits {
            kinds.push(kind);
        } else if other_is_open {
            if !matches!(kind, EventKind::BlockStop { .. }) {
                self.held.push_back((Some(block), vec![kind]));
            }
        } else {
            self.apply(block, kind, losses);
            self.release(losses);
        }
    }

    /// Writes what waits, as long as no block is open.
    fn release(&mut self, losses: &mut Losses) {
        while self.open.is_none() {
            let Some((block, kinds)) = self.held.pop_front() else {
                return;
            };
            for kind in kinds {
                match (kind, block) {
                    (EventKind::Raw { value, .. }, _) => self.whole(value),
                    (kind, Some(block)) => self.apply(block, kind, losses),
                    (_, None) => {}
                }
            }
        }
    }

    /// Ends the open block and all that wait.
    fn close_all(&mut self, losses: &mut Losses) {
        self.begin(losses);
        loop {
            self.close(losses);
            if self.held.is_empty() {
                return;
            }
            self.release(losses);
        }
    }

    /// Takes what only one dialect knows: parts of this one go where they belong.
    fn raw(&mut self, value: Value, losses: &mut Losses) {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or("event").to_owned();
        match value {
            Value::Object(tail) if kind == "message_delta" => {
                self.begin(losses);
                self.tail.extend(tail.into_iter().filter(|(name, _)| name != "type"));
            }
            Value::Object(call) if kind == "tool_use" => self.calls.push(call),
            value if is_block(&kind, &value) => {
                self.begin(losses);
                self.held.push_back((None, vec![EventKind::Raw { from: Dialect::Anthropic, value }]));
                self.release(losses);
            }
            _ => losses.dropped(kind, "only its own dialect knows it"),
        }
    }

    fn fail(&mut self, failure: Failure, losses: &mut Losses) {
        self.close(losses);
        self.done = true;
        self.steps.push(Step::Failed(failure));
    }

    /// Ends the answer. A reason that says less than the content is put right.
    fn end(&mut self, losses: &mut Losses) {
        self.close_all(losses);
        let stop = match self.stop.take() {
            None | Some(Stop::End) if self.called => Stop::Tool,
            None | Some(Stop::End) if self.refused => Stop::Refusal,
            stop => stop.unwrap_or(Stop::End),
        };
        let usage = self.usage.take().unwrap_or_else(|| {
            losses.invented("usage", "the answer does not say what was used");
            Usage::default()
        });
        let mut nothing = Losses::default();
        let mut finish = std::mem::take(&mut self.tail);
        let more = finish.shift_remove("delta");
        // A reason of this dialect's own, which the model has no word for, replaces the one written here.
        let own = more.as_ref().and_then(|more| more.get("stop_reason")).is_some();
        let (reason, sequence) = stop::write(&stop, if own { &mut nothing } else { losses });
        let mut delta = json!({"stop_reason": reason, "stop_sequence": sequence});
        if let (Value::Object(delta), Some(Value::Object(more))) = (&mut delta, more) {
            delta.extend(more);
        }
        finish.insert("delta".to_owned(), delta);
        finish.insert("usage".to_owned(), Value::Object(usage::write(&usage)));
        self.done = true;
        self.steps.push(Step::Finish(finish));
        self.steps.push(Step::End);
    }
}

/// Whether an event says nothing of a block.
fn is_empty(kind: &EventKind) -> bool {
    match kind {
        EventKind::Text { text, .. } | EventKind::Reasoning { text, .. } | EventKind::Refusal { text, .. } => {
            text.is_empty()
        }
        EventKind::ToolArgs { json, .. } => json.is_empty(),
        _ => false,
    }
}

/// Whether a JSON that only one dialect knows is a content block of this one.
fn is_block(kind: &str, value: &Value) -> bool {
    match kind {
        "server_tool_use" | "mcp_tool_use" | "container_upload" | "search_result" | "fallback" => true,
        // `OpenAI` Responses has items of this type too, with `encrypted_content`.
        "compaction" => value.get("content").is_some(),
        _ => kind.ends_with("_tool_result"),
    }
}
