//! The keep: sealed thoughts of answers whose client cannot carry them, put back when the turn returns to their maker.
//! Makers refuse a tool's result, or think anew, when the thoughts that led to the call are gone.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::Dialect;
use super::chat::{Chat, Message, Part, Reasoning, Role};
use super::event::{Event, EventKind};
use super::seal::Seal;

#[cfg(test)]
mod tests;

/// The bytes of a usual turn's thoughts, from which the keep plans its tables.
const USUAL_BYTES: usize = 4 * 1024;

/// Sealed thoughts of turns, bounded by bytes; the least used make room.
#[derive(Debug)]
pub struct Keep {
    turns: Cache<Name, Arc<Turn>, ByBytes>,
}

/// What a turn is found by: whom it was answered to, and the id of a call in it or all of its text.
pub type Name = [u8; 32];

/// The sealed parts of one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Thoughts, each with the number of other parts that stood before it.
    thoughts: Vec<(usize, Reasoning)>,
    /// Seals on calls, by the call's id.
    calls: Vec<(String, Seal)>,
}

/// Weighs turns by their bytes.
#[derive(Clone, Debug)]
struct ByBytes;

/// An answer as its events tell it, as far as the keep needs it.
#[derive(Debug, Default)]
pub struct Answer {
    /// The blocks in the order they began.
    blocks: Vec<(u32, Block)>,
}

#[derive(Debug)]
enum Block {
    Text(String),
    Reasoning(Reasoning),
    Call { id: String, seal: Option<Seal> },
}

// === impl Keep ===

impl Keep {
    /// An empty keep that holds about `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self { turns: Cache::with_weighter((bytes / USUAL_BYTES).max(1), bytes as u64, ByBytes) }
    }

    /// Keeps what a client of `client` cannot carry of an answer. `holder` is for whom it was made: nobody else's turn
    /// finds it.
    pub fn put(&self, holder: &str, client: Dialect, answer: Answer) {
        let (names, turn) = answer.sealed(holder, client);
        if turn.thoughts.is_empty() && turn.calls.is_empty() {
            return;
        }
        let turn = Arc::new(turn);
        for name in names {
            self.turns.insert(name, Arc::clone(&turn));
        }
    }

    fn kept(&self, name: &Name) -> Option<Turn> {
        self.turns.get(name).map(|turn| Turn::clone(&turn))
    }

    /// Puts kept thoughts back into the turns of a conversation that goes to an upstream of `upstream`. Turns that
    /// brought sealed thoughts that this upstream takes stay as they are.
    pub fn restore(&self, holder: &str, upstream: Dialect, chat: &mut Chat) {
        self.restore_by(holder, upstream, chat, |_, kept| kept);
    }

    /// The same, with `told` having the last word on what is kept under a name.
    pub fn restore_by(
        &self,
        holder: &str,
        upstream: Dialect,
        chat: &mut Chat,
        mut told: impl FnMut(&Name, Option<Turn>) -> Option<Turn>,
    ) {
        for message in chat.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
            let own = |part: &Part| match part {
                Part::Reasoning(Reasoning { seal: Some(seal), .. }) => seal.fits(upstream),
                _ => false,
            };
            if !message.parts.iter().any(own)
                && let Some(turn) = names_of(holder, message).iter().find_map(|name| told(name, self.kept(name)))
            {
                turn.rejoin(message, upstream);
            }
        }
    }
}

// === impl Turn ===

impl Turn {
    fn rejoin(&self, message: &mut Message, upstream: Dialect) {
        let fits = |seal: &Seal| seal.fits(upstream);
        for part in &mut message.parts {
            if let Part::ToolCall(call) = part
                && call.seal.is_none()
            {
                let kept = self.calls.iter().find(|(id, seal)| *id == call.id && fits(seal));
                call.seal = kept.map(|(_, seal)| seal.clone());
            }
        }
        let mut thoughts =
            self.thoughts.iter().filter(|(_, thought)| thought.seal.as_ref().is_some_and(fits)).peekable();
        if thoughts.peek().is_none() {
            return;
        }
        // What the client made of the thoughts gives way to the originals.
        let others = std::mem::take(&mut message.parts).into_iter().filter(|part| !matches!(part, Part::Reasoning(_)));
        for (at, part) in others.enumerate() {
            while let Some((_, thought)) = thoughts.next_if(|(before, _)| *before <= at) {
                message.parts.push(Part::Reasoning(thought.clone()));
            }
            message.parts.push(part);
        }
        message.parts.extend(thoughts.map(|(_, thought)| Part::Reasoning(thought.clone())));
    }
}

// === impl ByBytes ===

impl Weighter<Name, Arc<Turn>> for ByBytes {
    fn weight(&self, _name: &Name, turn: &Arc<Turn>) -> u64 {
        let thoughts =
            turn.thoughts.iter().map(|(_, thought)| thought.text.len() + thought.seal.as_ref().map_or(0, Seal::size));
        let calls = turn.calls.iter().map(|(id, seal)| id.len() + seal.size());
        (size_of::<Turn>() + thoughts.chain(calls).sum::<usize>()) as u64
    }
}

// === impl Answer ===

impl Answer {
    /// Notes an event. Answers besides the first are not kept: a conversation goes on with one.
    pub fn note(&mut self, event: &Event) {
        if event.choice != 0 {
            return;
        }
        match &event.kind {
            EventKind::Text { block, text } => {
                if let Block::Text(all) = self.block(*block, || Block::Text(String::new())) {
                    all.push_str(text);
                }
            }
            EventKind::Reasoning { block, text } => {
                if let Block::Reasoning(all) = self.block(*block, || Block::Reasoning(Reasoning::default())) {
                    all.text.push_str(text);
                }
            }
            EventKind::Seal { block, seal } => match self.block(*block, || Block::Reasoning(Reasoning::default())) {
                Block::Reasoning(Reasoning { seal: place, .. }) | Block::Call { seal: place, .. } => {
                    *place = Some(seal.clone());
                }
                Block::Text(_) => {}
            },
            EventKind::ToolStart { block, id, .. } => {
                self.block(*block, || Block::Call { id: id.clone(), seal: None });
            }
            _ => {}
        }
    }

    fn block(&mut self, number: u32, new: impl FnOnce() -> Block) -> &mut Block {
        let at = self.blocks.iter().position(|(known, _)| *known == number).unwrap_or_else(|| {
            self.blocks.push((number, new()));
            self.blocks.len() - 1
        });
        &mut self.blocks[at].1
    }

    /// The names of the turn, and what a client of `client` cannot carry of it.
    fn sealed(self, holder: &str, client: Dialect) -> (Vec<Name>, Turn) {
        let stays = |seal: &Seal| !seal.fits(client);
        let mut turn = Turn::default();
        let (mut names, mut text, mut others) = (Vec::new(), String::new(), 0);
        for (_, block) in self.blocks {
            match block {
                Block::Reasoning(thought) => {
                    if thought.seal.as_ref().is_some_and(stays) {
                        turn.thoughts.push((others, thought));
                    }
                    continue;
                }
                Block::Text(piece) => text.push_str(&piece),
                Block::Call { id, seal } => {
                    names.push(name(holder, "call", &id));
                    turn.calls.extend(seal.filter(stays).map(|seal| (id, seal)));
                }
            }
            others += 1;
        }
        if names.is_empty() && !text.is_empty() {
            names.push(name(holder, "text", &text));
        }
        (names, turn)
    }
}

/// What a returned turn may be found by: its calls, else its text.
fn names_of(holder: &str, message: &Message) -> Vec<Name> {
    let calls = message.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(name(holder, "call", &call.id)),
        _ => None,
    });
    let calls: Vec<Name> = calls.collect();
    if calls.is_empty() { vec![name(holder, "text", &message.text())] } else { calls }
}

fn name(holder: &str, kind: &str, what: &str) -> Name {
    let mut hasher = blake3::Hasher::new();
    for part in [holder, kind, what] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
