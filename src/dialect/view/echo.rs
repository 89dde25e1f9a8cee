//! Keeps a stream's repeats in step with its edits. The Responses API says each text again when it is done, when its
//! part, its item and its answer are done, and some chat servers say all that came so far beside each delta. A client
//! that was sent other deltas must find in the repeats what it was sent.
//!
//! Nothing is kept until an event was changed: a repeat is the untouched beginning and then the rest, of which both
//! forms are known from there on.

use std::collections::HashMap;

use super::walk;
use crate::dialect::Dialect;
use crate::json::{Doc, Item, Limits, NodeId};
use crate::stream::Event;

mod chat;
mod responses;

/// The repeats of one stream.
#[derive(Debug)]
pub struct Echo {
    /// What JSON may ask for.
    limits: Limits,
    /// How this dialect repeats itself.
    habit: Habit,
    /// Whether an event was changed.
    changed: bool,
    /// The texts since then.
    tails: HashMap<Key, Tail>,
}

/// How a dialect repeats itself.
#[derive(Debug)]
enum Habit {
    /// In the same event: `message` beside `delta`.
    Chat,
    /// In later events.
    Responses(responses::Items),
}

/// Which text: the item or choice, the place in it, and what kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    outer: u64,
    inner: u64,
    family: usize,
}

/// A text from the first change of the stream on.
#[derive(Debug, Default)]
struct Tail {
    /// As it came.
    came: String,
    /// As it was sent.
    sent: String,
}

// === impl Echo ===

impl Echo {
    /// The repeats of a stream that begins; nothing for a dialect that does not repeat itself.
    pub fn of(dialect: Dialect, limits: Limits) -> Option<Self> {
        let habit = match dialect {
            Dialect::OpenAiChat => Habit::Chat,
            Dialect::OpenAiResponses => Habit::Responses(responses::Items::default()),
            _ => return None,
        };
        Some(Self { limits, habit, changed: false, tails: HashMap::new() })
    }

    /// An event before hooks see it: a repeat says what the client was sent. Nothing when it repeats what the client was
    /// not sent at all.
    pub fn before(&mut self, mut event: Event) -> Option<Event> {
        if !self.changed {
            return Some(event);
        }
        if let Habit::Responses(items) = &self.habit
            && let Some((mut doc, root)) = read(&event, self.limits)
        {
            if !items.repeat(&self.tails, &mut doc, root) {
                return None;
            }
            if doc.edited() {
                event.set_data(doc.render());
            }
        }
        Some(event)
    }

    /// Takes note of what became of an event.
    pub fn after(&mut self, came: &Event, sent: &mut [Event]) {
        let same = matches!(sent, [only] if only.data() == came.data());
        if same && !self.changed {
            return;
        }
        self.changed = true;
        match &mut self.habit {
            Habit::Chat => chat::follow(&mut self.tails, came, sent, self.limits),
            Habit::Responses(items) => items.follow(&mut self.tails, came, sent, self.limits),
        }
    }
}

// === impl Tail ===

impl Tail {
    /// What the client was sent of a text that is told in whole; nothing when that is just it. Where the whole does not
    /// end as its pieces did, as many bytes are taken off it.
    fn mended(&self, full: &str) -> Option<String> {
        if self.came == self.sent {
            return None;
        }
        let mut kept = full.len().saturating_sub(self.came.len());
        while !full.is_char_boundary(kept) {
            kept -= 1;
        }
        let head = full.strip_suffix(self.came.as_str()).unwrap_or_else(|| full.get(..kept).unwrap_or_default());
        Some([head, &self.sent].concat())
    }
}

/// An event's data as a JSON object.
fn read(event: &Event, limits: Limits) -> Option<(Doc, NodeId)> {
    let doc = Doc::parse(event.data().clone(), limits).ok()?;
    match doc.root() {
        Ok(Item::Object(root)) => Some((doc, root)),
        _ => None,
    }
}

/// Makes the text at a key say what the client was sent.
fn mend(tails: &HashMap<Key, Tail>, key: Key, doc: &mut Doc, node: NodeId, field: &'static str) {
    let Some(tail) = tails.get(&key) else { return };
    let full = walk::word(doc, node, field);
    if let Some(mended) = full.and_then(|full| tail.mended(&full)) {
        // A place that was just read takes a text.
        let _ = super::Place { node, key: field }.write(doc, &mended);
    }
}
