//! Keeps a stream in step with its edits. The Responses API says each text again when it is done, when its part, its item
//! and its answer are done, and some chat servers say all that came so far beside each delta. A client that was sent
//! other deltas must find in the repeats what it was sent; and where blocks or items are numbered, one that was left out
//! must leave neither its end nor a gap.
//!
//! Nothing is kept until an event was changed: a repeat is the untouched beginning and then the rest, of which both
//! forms are known from there on.

use std::collections::{BTreeSet, HashMap};

use memchr::memmem;

use super::walk;
use crate::dialect::Dialect;
use crate::json::{Doc, Fragment, Item, Limits, NodeId};
use crate::stream::Event;

mod blocks;
mod chat;
mod responses;

/// The repeats of one stream.
#[derive(Debug)]
pub struct Echo {
    /// What JSON may ask for.
    limits: Limits,
    /// How this dialect repeats itself.
    habit: Habit,
    /// Whether an event was changed in a way that later ones must follow.
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
    /// Not at all, but it numbers its blocks: those whose beginning was not sent.
    Anthropic(BTreeSet<u64>),
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
    /// For a stream that begins; nothing for a dialect in which each event stands for itself.
    pub fn of(dialect: Dialect, limits: Limits) -> Option<Self> {
        let habit = match dialect {
            Dialect::OpenAiChat => Habit::Chat,
            Dialect::OpenAiResponses => Habit::Responses(responses::Items::default()),
            Dialect::Anthropic => Habit::Anthropic(BTreeSet::new()),
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
        match &self.habit {
            Habit::Anthropic(gone) if blocks::is_of(gone, &event, self.limits) => return None,
            Habit::Anthropic(_) | Habit::Chat => {}
            Habit::Responses(items) => {
                let Some((mut doc, root)) = read(&event, self.limits) else { return Some(event) };
                if !items.repeat(&self.tails, &mut doc, root) {
                    return None;
                }
                if doc.edited() {
                    event.set_data(doc.render());
                }
            }
        }
        Some(event)
    }

    /// Takes note of what became of an event.
    pub fn after(&mut self, came: &Event, sent: &mut [Event]) {
        let same = matches!(sent, [only] if only.data() == came.data());
        if !self.changed && (same || !self.habit.may_concern(came)) {
            return;
        }
        self.changed = true;
        match &mut self.habit {
            Habit::Anthropic(gone) => {
                blocks::follow(gone, came, sent, self.limits);
                self.changed = !gone.is_empty();
            }
            Habit::Chat => chat::follow(&mut self.tails, came, sent, self.limits),
            Habit::Responses(items) => items.follow(&mut self.tails, came, sent, self.limits),
        }
    }
}

// === impl Habit ===

impl Habit {
    /// Whether a change of this event may be one that others must follow, told without reading it: most need none.
    fn may_concern(&self, event: &Event) -> bool {
        let sign = match self {
            Self::Chat => "\"message\"",
            Self::Anthropic(_) => "content_block_start",
            Self::Responses(_) => return true,
        };
        memmem::find(event.data(), sign.as_bytes()).is_some()
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

/// Gives an event the number that it has without those that are gone.
fn renumber(event: &mut Event, key: &str, gone: &BTreeSet<u64>, limits: Limits) {
    if gone.is_empty() {
        return;
    }
    let Some((mut doc, root)) = read(event, limits) else { return };
    let Some(number) = walk::number(&mut doc, root, key) else { return };
    let before = gone.range(..number).count() as u64;
    if let Ok(number) = i64::try_from(number - before)
        && doc.set(root, key, &Fragment::from(number)).is_ok()
        && doc.edited()
    {
        event.set_data(doc.render());
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
