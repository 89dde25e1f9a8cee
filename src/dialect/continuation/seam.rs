//! The seam: what another upstream says becomes a part of the answer that the client hears already.

use serde_json::Value;

use super::overlap::{Overlap, ToldAnew};
use super::recall::{Differs, Recall};
use crate::dialect::event::{Event, EventKind, Usage};
use crate::dialect::failure::Failure;
use crate::dialect::openai_responses;
use crate::dialect::transcript::{Transcript, summed};

/// Stands between the reader of the upstream that goes on and the writer that the client hears.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts of one answer, not a state")]
pub struct Seam {
    /// Whether the client was told that the answer begins.
    started: bool,
    /// The block of text that goes on, as long as nothing else was said.
    going: Option<u32>,
    /// Blocks that the first upstream left open and nobody goes on with, still to be ended.
    left: Vec<u32>,
    /// The number of the next new block.
    next: u32,
    /// The upstream's blocks, by its numbers; those that the client does not hear have none.
    blocks: Vec<(u32, Place)>,
    /// Takes off what of the text is repeated.
    overlap: Overlap,
    /// The upstream's block whose text that is.
    overlapped: Option<u32>,
    /// Calls that the client has a part of, in order; the upstream must make them again.
    recalls: Vec<Recall>,
    /// How many of them it made.
    recalled: usize,
    /// Whether thoughts are passed on: only before anything else was said.
    thoughts: bool,
    /// What the attempts before used.
    spent: Usage,
    /// Whether the upstream said what it used.
    counted: bool,
    /// Whether the answers did not fit together.
    failed: bool,
}

/// Where a block of the upstream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// To this block of the client's.
    Block(u32),
    /// To the call that it tells again.
    Call(usize),
    /// Nowhere.
    Nowhere,
}

/// What the two answers do when they do not fit together.
struct Misfit(&'static str);

// === impl Seam ===

impl Seam {
    /// After what was said. `calls` are those that must be made again.
    pub(super) fn new(transcript: &Transcript, overlap: Overlap, calls: Vec<Recall>, spent: Usage) -> Self {
        let going = transcript.open_text().filter(|_| calls.is_empty());
        let of_call = |block: &&u32| calls.iter().any(|call| call.block == **block);
        let left = transcript.open().iter().filter(|block| Some(**block) != going && !of_call(block)).copied();
        Self {
            started: transcript.started(),
            going,
            left: left.collect(),
            next: transcript.next_block(),
            blocks: Vec::new(),
            overlap,
            overlapped: None,
            recalls: calls,
            recalled: 0,
            thoughts: transcript.said().text == 0 && transcript.calls().is_empty(),
            spent,
            counted: false,
            failed: false,
        }
    }

    /// What the client hears of an event.
    pub fn pass(&mut self, event: Event) -> Vec<Event> {
        let mut out = Vec::new();
        if self.failed || event.choice > 0 {
            return out;
        }
        if let Err(Misfit(why)) = self.take(event.kind, &mut out) {
            self.failed = true;
            let message = format!("the answer that was to go on with the one before does not: {why}");
            say(&mut out, EventKind::Failed(Failure::ours("continuation_differs", &message)));
        }
        out
    }

    fn take(&mut self, kind: EventKind, out: &mut Vec<Event>) -> Result<(), Misfit> {
        match kind {
            EventKind::Start(_) if self.started => {}
            EventKind::Text { block, text } => self.text(block, text, out)?,
            EventKind::Reasoning { block, text } => {
                if let Some(block) = self.thought(block, out) {
                    say(out, EventKind::Reasoning { block, text });
                }
            }
            EventKind::Seal { block, seal } => {
                let known = self.place(block).is_some();
                let to = if known { self.block(block, out) } else { self.thought(block, out) };
                out.extend(to.map(|block| Event::first(EventKind::Seal { block, seal })));
            }
            EventKind::Refusal { block, text } => {
                if let Some(block) = self.block(block, out) {
                    say(out, EventKind::Refusal { block, text });
                }
            }
            EventKind::Citation { block, value } => {
                if let Some(Place::Block(block)) = self.place(block) {
                    say(out, EventKind::Citation { block, value });
                }
            }
            EventKind::ToolStart { block, id, name } => self.call(block, id, name, out)?,
            EventKind::ToolArgs { block, json } => self.arguments(block, json, out)?,
            EventKind::BlockStop { block } => self.stop_block(block, out)?,
            EventKind::Usage(usage) => {
                self.counted = true;
                say(out, EventKind::Usage(summed(&self.spent, &usage)));
            }
            EventKind::Stop(stop) => {
                self.end(out)?;
                say(out, EventKind::Stop(stop));
            }
            // Fields of an item that would begin; the client's goes on, or is another.
            EventKind::Raw { value, .. } if value["type"] == openai_responses::ITEM_FIELDS => {}
            EventKind::Raw { ref value, .. } if is_part(value) && !self.recalls.is_empty() => {
                return Err(Misfit("it holds a part that only its own dialect knows"));
            }
            kind => say(out, kind),
        }
        Ok(())
    }

    fn place(&self, block: u32) -> Option<Place> {
        self.blocks.iter().rev().find(|(known, _)| *known == block).map(|(_, place)| *place)
    }

    /// The client's number of a block, which begins now unless it did.
    fn block(&mut self, block: u32, out: &mut Vec<Event>) -> Option<u32> {
        match self.place(block) {
            Some(Place::Block(known)) => Some(known),
            Some(_) => None,
            None => {
                self.leave(out);
                self.thoughts = false;
                Some(self.new_block(block))
            }
        }
    }

    fn new_block(&mut self, block: u32) -> u32 {
        let number = self.next;
        self.next += 1;
        self.blocks.push((block, Place::Block(number)));
        number
    }

    /// The client's number of a block of thoughts, if it hears them.
    fn thought(&mut self, block: u32, out: &mut Vec<Event>) -> Option<u32> {
        match self.place(block) {
            Some(Place::Block(known)) => Some(known),
            Some(_) => None,
            None if self.thoughts => {
                self.leave(out);
                Some(self.new_block(block))
            }
            None => {
                self.blocks.push((block, Place::Nowhere));
                None
            }
        }
    }

    /// Ends what nobody goes on with.
    fn leave(&mut self, out: &mut Vec<Event>) {
        for block in self.left.drain(..).chain(self.going.take()) {
            say(out, EventKind::BlockStop { block });
        }
    }

    fn text(&mut self, block: u32, text: String, out: &mut Vec<Event>) -> Result<(), Misfit> {
        if self.recalled < self.recalls.len() {
            // Words before a call that the client hears already would come too late.
            return Ok(());
        }
        if self.overlapped.is_none_or(|first| first == block) {
            self.overlapped = Some(block);
            let text = self.overlap.push(text).map_err(|ToldAnew| Misfit("it tells the answer anew, and otherwise"))?;
            self.new_text(block, text, out);
        } else {
            self.flush(out);
            if let Some(block) = self.block(block, out) {
                say(out, EventKind::Text { block, text });
            }
        }
        Ok(())
    }

    /// Text that the client does not have. The first goes on in the block that was open.
    fn new_text(&mut self, block: u32, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        self.thoughts = false;
        if self.place(block).is_none()
            && let Some(going) = self.going.take()
        {
            self.leave(out);
            self.blocks.push((block, Place::Block(going)));
        }
        if let Some(block) = self.block(block, out) {
            say(out, EventKind::Text { block, text });
        }
    }

    /// Gives out text that was held.
    fn flush(&mut self, out: &mut Vec<Event>) {
        if let Some(block) = self.overlapped {
            let held = self.overlap.end();
            self.new_text(block, held, out);
        }
    }

    fn call(&mut self, block: u32, id: String, name: String, out: &mut Vec<Event>) -> Result<(), Misfit> {
        let Some(recall) = self.recalls.get(self.recalled) else {
            self.flush(out);
            if let Some(block) = self.block(block, out) {
                say(out, EventKind::ToolStart { block, id, name });
            }
            return Ok(());
        };
        if recall.name != name {
            return Err(Misfit("it calls another tool"));
        }
        self.blocks.push((block, Place::Call(self.recalled)));
        self.recalled += 1;
        Ok(())
    }

    fn arguments(&mut self, block: u32, json: String, out: &mut Vec<Event>) -> Result<(), Misfit> {
        match self.place(block) {
            Some(Place::Block(block)) => say(out, EventKind::ToolArgs { block, json }),
            Some(Place::Call(number)) => {
                let Some(recall) = self.recalls.get_mut(number) else { return Ok(()) };
                let rest = recall.push(&json).map_err(|Differs| Misfit("it calls the tool with other arguments"))?;
                if !rest.is_empty() && !recall.ended {
                    say(out, EventKind::ToolArgs { block: recall.block, json: rest.to_owned() });
                }
            }
            Some(Place::Nowhere) | None => {}
        }
        Ok(())
    }

    fn stop_block(&mut self, block: u32, out: &mut Vec<Event>) -> Result<(), Misfit> {
        if self.overlapped == Some(block) {
            self.flush(out);
        }
        match self.place(block) {
            Some(Place::Block(block)) => say(out, EventKind::BlockStop { block }),
            Some(Place::Call(number)) => self.stop_call(number, out)?,
            Some(Place::Nowhere) | None => {}
        }
        Ok(())
    }

    fn stop_call(&mut self, number: usize, out: &mut Vec<Event>) -> Result<(), Misfit> {
        let Some(recall) = self.recalls.get_mut(number) else { return Ok(()) };
        if !recall.reached() {
            return Err(Misfit("it calls the tool with other arguments"));
        }
        if !std::mem::replace(&mut recall.ended, true) {
            let block = recall.block;
            say(out, EventKind::BlockStop { block });
        }
        Ok(())
    }

    /// The upstream's answer is whole: all that was to be told again must have been.
    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Misfit> {
        if self.recalled < self.recalls.len() {
            return Err(Misfit("it does not make the call that was cut"));
        }
        self.flush(out);
        for number in 0..self.recalls.len() {
            self.stop_call(number, out)?;
        }
        self.leave(out);
        if !self.counted {
            say(out, EventKind::Usage(self.spent.clone()));
        }
        Ok(())
    }
}

/// Whether a JSON that only one dialect knows is a part of the answer itself.
fn is_part(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    kind.ends_with("_use") && kind != "tool_use" || kind.ends_with("_result") || kind.ends_with("_call")
}

fn say(out: &mut Vec<Event>, kind: EventKind) {
    out.push(Event::first(kind));
}
