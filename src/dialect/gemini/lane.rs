//! The parts of one candidate, made from blocks that may alternate. Gemini's parts follow each other, so only the
//! eldest block speaks; the others wait for their turn.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use crate::dialect::event::EventKind;
use crate::dialect::loss::Losses;
use crate::dialect::seal::Seal;

/// What one candidate says.
#[derive(Default)]
pub(super) struct Lane {
    /// Blocks that are not written out yet, the eldest first.
    blocks: VecDeque<Block>,
    /// The seal for the next text part.
    seal: Option<String>,
    /// Fields that stand beside the content, for the last chunk.
    pub(super) beside: Map<String, Value>,
    /// Why it ended.
    pub(super) reason: Option<String>,
    /// Whether it has any part.
    pub(super) spoke: bool,
}

/// A block that is not written out yet.
struct Block {
    /// Its number.
    number: u32,
    /// What it holds.
    kind: Kind,
    /// Text, thoughts or arguments that were not written yet.
    text: String,
    /// Its seal.
    seal: Option<String>,
    /// Whether any part of it was written.
    sent: bool,
    /// Whether it is whole.
    whole: bool,
}

/// What a block holds.
enum Kind {
    /// Nothing yet but, at most, a seal.
    Bare,
    /// Text.
    Text,
    /// Thoughts.
    Thought,
    /// A call.
    Call {
        /// Its id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A part as Gemini itself wrote it.
    Part(Value),
}

// === impl Lane ===

impl Lane {
    /// Takes an event of a block. With `live`, text of the eldest block leaves piece by piece; without, each block
    /// becomes one part. Parts that are ready are added to `out`.
    pub(super) fn take(&mut self, kind: EventKind, live: bool, out: &mut Vec<Value>, losses: &mut Losses) {
        match kind {
            EventKind::Text { block, text } => self.text(block, &text, Kind::Text),
            EventKind::Reasoning { block, text } => self.text(block, &text, Kind::Thought),
            EventKind::Refusal { block, text } => {
                losses.approximated("refusal", "Gemini has no refusals: it stands as text");
                self.text(block, &text, Kind::Text);
            }
            EventKind::Seal { block, seal: Seal::Gemini(seal) } => self.block(block, Kind::Bare).seal = Some(seal),
            EventKind::Seal { block, .. } => {
                losses.dropped("thinking.signature", "sealed thoughts of another maker");
                self.block(block, Kind::Bare);
            }
            EventKind::ToolStart { block, id, name } => {
                self.block(block, Kind::Call { id, name });
            }
            EventKind::ToolArgs { block, json } => self.block(block, Kind::Bare).text.push_str(&json),
            EventKind::BlockStop { block } => {
                if let Some(block) = self.blocks.iter_mut().find(|found| found.number == block) {
                    block.whole = true;
                }
            }
            _ => {}
        }
        self.advance(live, out, losses);
    }

    /// Takes a part as Gemini wrote it, which is whole.
    pub(super) fn part(&mut self, part: Value, live: bool, out: &mut Vec<Value>, losses: &mut Losses) {
        let mut block = Block::new(u32::MAX, Kind::Part(part));
        block.whole = true;
        self.blocks.push_back(block);
        self.advance(live, out, losses);
    }

    /// Ends all blocks.
    pub(super) fn end(&mut self, live: bool, out: &mut Vec<Value>, losses: &mut Losses) {
        self.blocks.iter_mut().for_each(|block| block.whole = true);
        self.advance(live, out, losses);
        self.flush_seal(out);
    }

    fn text(&mut self, number: u32, text: &str, kind: Kind) {
        self.block(number, kind).text.push_str(text);
    }

    /// The block of this number, begun when it is new; the first event that says what it holds decides.
    fn block(&mut self, number: u32, kind: Kind) -> &mut Block {
        let at = self.blocks.iter().position(|block| block.number == number && !block.whole);
        let at = at.unwrap_or_else(|| {
            self.blocks.push_back(Block::new(number, Kind::Bare));
            self.blocks.len() - 1
        });
        let block = &mut self.blocks[at];
        if matches!(block.kind, Kind::Bare) {
            block.kind = kind;
        }
        block
    }

    fn advance(&mut self, live: bool, out: &mut Vec<Value>, losses: &mut Losses) {
        while let Some(mut block) = self.blocks.pop_front() {
            if block.whole {
                self.finish(block, live, out, losses);
                continue;
            }
            if live && !block.text.is_empty() && matches!(block.kind, Kind::Text | Kind::Thought) {
                let text = std::mem::take(&mut block.text);
                let thought = matches!(block.kind, Kind::Thought);
                self.say(text, thought, None, out);
                block.sent = true;
            }
            self.blocks.push_front(block);
            return;
        }
    }

    /// Writes what is left of a block that is whole.
    fn finish(&mut self, block: Block, live: bool, out: &mut Vec<Value>, losses: &mut Losses) {
        let Block { kind, text, seal, sent, .. } = block;
        match kind {
            Kind::Bare => {
                if seal.is_some() {
                    self.flush_seal(out);
                    self.seal = seal;
                }
            }
            Kind::Text => {
                if !text.is_empty() || !(live || sent) {
                    self.say(text, false, None, out);
                }
                self.seal = seal.or(self.seal.take());
            }
            Kind::Thought => {
                if !text.is_empty() || seal.is_some() {
                    self.say(text, true, seal, out);
                }
            }
            Kind::Call { id, name } => {
                let call = json!({"id": id, "name": name, "args": arguments(&text, losses)});
                let mut part = json!({"functionCall": call});
                if let Some(seal) = seal {
                    part["thoughtSignature"] = Value::String(seal);
                }
                self.push(part, out);
            }
            Kind::Part(part) => self.push(part, out),
        }
    }

    fn say(&mut self, text: String, thought: bool, seal: Option<String>, out: &mut Vec<Value>) {
        let mut part = Map::new();
        part.insert("text".to_owned(), Value::String(text));
        if thought {
            part.insert("thought".to_owned(), Value::Bool(true));
        }
        let seal = if thought { seal } else { self.seal.take() };
        if let Some(seal) = seal {
            part.insert("thoughtSignature".to_owned(), Value::String(seal));
        }
        self.push(Value::Object(part), out);
    }

    /// Writes a part; a seal that waits for a text and finds another part gets an empty text of its own.
    fn push(&mut self, part: Value, out: &mut Vec<Value>) {
        self.flush_seal(out);
        self.spoke = true;
        out.push(part);
    }

    fn flush_seal(&mut self, out: &mut Vec<Value>) {
        if let Some(seal) = self.seal.take() {
            self.spoke = true;
            out.push(json!({"text": "", "thoughtSignature": seal}));
        }
    }
}

// === impl Block ===

impl Block {
    fn new(number: u32, kind: Kind) -> Self {
        Self { number, kind, text: String::new(), seal: None, sent: false, whole: false }
    }
}

/// Arguments as the object that Gemini has them in.
fn arguments(text: &str, losses: &mut Losses) -> Value {
    if text.trim().is_empty() {
        return json!({});
    }
    if let Ok(Value::Object(arguments)) = serde_json::from_str(text) {
        return Value::Object(arguments);
    }
    losses.approximated("arguments", "not a JSON object: it stands under the name `arguments`");
    json!({"arguments": text})
}
