//! Writes blocks, one after the other: what each kind must have, it gets.

use serde_json::{Map, Value, json};

use super::{Kind, Layout, Open, Step};
use crate::dialect::event::EventKind;
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

// === impl Layout ===

impl Layout {
    /// Writes an event of the block whose turn it is.
    pub(super) fn apply(&mut self, block: u32, kind: EventKind, losses: &mut Losses) {
        match kind {
            EventKind::Text { text, .. } => {
                self.ensure(block, Kind::Text, losses);
                self.steps.push(Step::Text(text));
            }
            EventKind::Refusal { text, .. } => {
                self.refused = true;
                self.ensure(block, Kind::Text, losses);
                self.steps.push(Step::Text(text));
            }
            EventKind::Reasoning { text, .. } => {
                self.ensure(block, Kind::Thinking, losses);
                self.steps.push(Step::Thinking(text));
            }
            EventKind::Seal { seal, .. } => self.seal(block, seal, losses),
            EventKind::ToolStart { id, name, .. } => self.call(block, id, name, losses),
            EventKind::ToolArgs { json, .. } => match &mut self.open {
                Some(open) if open.kind == Kind::Call => {
                    open.complete = true;
                    self.steps.push(Step::Args(json));
                }
                _ => losses.dropped(self.path("input"), "arguments of no call"),
            },
            EventKind::Citation { value, .. } => {
                // Anthropic's citations say by their type what they point into.
                if value.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("_location")) {
                    self.ensure(block, Kind::Text, losses);
                    self.steps.push(Step::Delta(json!({"type": "citations_delta", "citation": value})));
                } else {
                    losses.dropped(self.path("citations"), "citations of another maker");
                }
            }
            EventKind::BlockStop { .. } => self.close(losses),
            _ => {}
        }
    }

    /// Begins a block unless one of this kind is open.
    fn ensure(&mut self, block: u32, kind: Kind, losses: &mut Losses) {
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            let start = match kind {
                Kind::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                _ => json!({"type": "text", "text": ""}),
            };
            self.open(block, kind, start, losses);
        }
    }

    fn open(&mut self, block: u32, kind: Kind, start: Value, losses: &mut Losses) {
        self.close(losses);
        self.open = Some(Open { block, kind, complete: false });
        self.begun += 1;
        self.steps.push(Step::Open(start));
    }

    /// Begins a call.
    fn call(&mut self, block: u32, mut id: String, name: String, losses: &mut Losses) {
        if id.is_empty() {
            id = self.stamp.ids.next("toolu_");
        }
        let mut start = Map::new();
        start.insert("type".to_owned(), json!("tool_use"));
        start.insert("id".to_owned(), json!(id));
        start.insert("name".to_owned(), Value::String(name));
        start.insert("input".to_owned(), json!({}));
        let is_of = |more: &Map<String, Value>| more.get("id").and_then(Value::as_str) == Some(id.as_str());
        if let Some(position) = self.calls.iter().position(is_of) {
            start.extend(self.calls.swap_remove(position));
        }
        self.called = true;
        self.open(block, Kind::Call, Value::Object(start), losses);
    }

    fn seal(&mut self, block: u32, seal: Seal, losses: &mut Losses) {
        match seal {
            Seal::Anthropic(signature) => {
                self.ensure(block, Kind::Thinking, losses);
                if let Some(open) = &mut self.open {
                    open.complete = true;
                }
                self.steps.push(Step::Delta(json!({"type": "signature_delta", "signature": signature})));
            }
            Seal::AnthropicRedacted(data) => {
                self.close(losses);
                self.whole(json!({"type": "redacted_thinking", "data": data}));
            }
            _ => losses.dropped(self.path("signature"), "another maker's seal"),
        }
    }

    /// Ends the open block.
    pub(super) fn close(&mut self, losses: &mut Losses) {
        let path = self.path("signature");
        match self.open.take() {
            None => return,
            Some(Open { kind: Kind::Thinking, complete: false, .. }) => {
                losses.invented(path, "thoughts of another maker have an empty signature");
            }
            Some(Open { kind: Kind::Call, complete: false, .. }) => self.steps.push(Step::Args("{}".to_owned())),
            Some(_) => {}
        }
        self.steps.push(Step::Close);
    }

    /// Writes a block at once. What streams bring in deltas, since clients look for it there, comes as one delta.
    pub(super) fn whole(&mut self, mut block: Value) {
        let is_compaction = block["type"] == "compaction";
        let delta = match block.get_mut("input") {
            Some(Value::Object(input)) if !input.is_empty() => {
                Some(Step::Args(Value::Object(std::mem::take(input)).to_string()))
            }
            _ if is_compaction => {
                let content = block["content"].take();
                Some(Step::Delta(json!({"type": "compaction_delta", "content": content})))
            }
            _ => None,
        };
        self.begun += 1;
        self.steps.push(Step::Open(block));
        self.steps.extend(delta);
        self.steps.push(Step::Close);
    }

    /// The path of a field of the block at hand.
    fn path(&self, field: &str) -> String {
        let index = if self.open.is_some() { self.begun.saturating_sub(1) } else { self.begun };
        format!("content[{index}].{field}")
    }
}
