//! One container of a document: where its members stand, found out when it is first touched.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::scan::{is_blank, key, skip_blank, skip_value, unexpected};
use super::text::{decode, key_is};
use super::{ErrorKind, JsonError};

/// An object or array inside one [`super::Doc`]. It stays valid through edits of other values; once it or a container
/// around it is removed or replaced, every use of it is an error.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(pub(super) u32);

/// A range of one text. Texts are below 4 GiB, and 32 bits keep the index of a large body small.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// A container that a reader has entered.
pub(super) struct Node {
    /// Which text of the document its bytes are in.
    pub(super) text: u32,
    /// From bracket to bracket; the root's end is known once it is indexed.
    pub(super) span: Span,
    /// Whether it is an object; else an array.
    pub(super) object: bool,
    /// Levels from the root, which is 1.
    pub(super) depth: usize,
    /// The container around it; the root has none.
    pub(super) parent: Option<u32>,
    /// Set when its place was given to another value.
    pub(super) detached: bool,
    /// Set when something in it, at any depth, was edited.
    pub(super) changed: bool,
    /// Members in the order they will be rendered; none until it is first touched.
    pub(super) entries: Option<Vec<Entry>>,
    /// The spacing to keep, taken down before the first member comes or goes.
    pub(super) layout: Option<Box<Layout>>,
    /// Last entry of every key, for objects too large to search.
    lookup: Option<HashMap<Box<str>, usize>>,
}

/// A member of an object or an item of an array.
#[derive(Copy, Clone, Debug)]
pub(super) struct Entry {
    /// Where it came from.
    pub(super) place: Place,
    /// The text that stands in for its value; an added entry always has one.
    pub(super) splice: Option<NonZeroU32>,
    /// The node of its present value, once entered. The root is nobody's child, so no child is number 0.
    pub(super) child: Option<NonZeroU32>,
}

/// Whether an entry has bytes of its own in its container's text.
#[derive(Copy, Clone, Debug)]
pub(super) enum Place {
    /// It was there when the container was read; the key has its quotes, an item's key is empty at its start.
    Here { key: Span, value: Span },
    /// It was added; the key is a text of its own, quotes included, and is no text in an array.
    Added { key: Option<NonZeroU32> },
}

/// The spacing of a container as it was first read.
#[derive(Debug)]
pub(super) struct Layout {
    /// White space after the opening bracket.
    pub(super) opening: Span,
    /// White space before the closing bracket.
    pub(super) closing: Span,
    /// White space that an added entry gets in front.
    pub(super) between: Span,
    /// From the end of a key to its value, for added keys; none when there was no member to learn from.
    pub(super) colon: Option<Span>,
}

/// Objects with more entries than this get a hash map when a key is first asked for.
const SEARCHED: usize = 32;

// === impl Span ===

impl Span {
    /// The range `start..end` of a text, which is known to be below 4 GiB.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// The first byte.
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    /// The bytes of the range; none where the text is shorter.
    pub(super) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start()..self.end()).unwrap_or_default()
    }
}

// === impl Node ===

impl Node {
    /// The container at `span`, not yet looked into.
    pub(super) fn new(text: u32, span: Span, object: bool, depth: usize, parent: Option<u32>) -> Self {
        Self {
            text,
            span,
            object,
            depth,
            parent,
            detached: false,
            changed: false,
            entries: None,
            layout: None,
            lookup: None,
        }
    }

    /// The members; none while it was not indexed.
    pub(super) fn entries(&self) -> &[Entry] {
        self.entries.as_deref().unwrap_or_default()
    }

    /// Finds the members in `text`, the node's own, when that was not done before. `room` is how deep the document may be.
    pub(super) fn index(&mut self, text: &[u8], room: usize) -> Result<(), JsonError> {
        if self.entries.is_none() {
            let (entries, end) = read_entries(text, self.span.start(), self.object, room.saturating_sub(self.depth))?;
            self.span = Span::new(self.span.start(), end);
            self.entries = Some(entries);
        }
        Ok(())
    }

    /// The last entry whose key is `key`. `text_of` gives the texts of the document by number.
    pub(super) fn find<'a>(
        &mut self,
        key: &str,
        text_of: impl Fn(u32) -> &'a [u8],
    ) -> Result<Option<usize>, JsonError> {
        if !self.object {
            return Ok(None);
        }
        if self.entries().len() <= SEARCHED {
            return Ok(self.entries().iter().rposition(|e| key_is(self.key_bytes(e, &text_of), key)));
        }
        if self.lookup.is_none() {
            let mut lookup = HashMap::with_capacity(self.entries().len());
            for (at, entry) in self.entries().iter().enumerate() {
                let raw = self.key_bytes(entry, &text_of);
                lookup.insert(decode(raw, 0, raw.len())?.into(), at);
            }
            self.lookup = Some(lookup);
        }
        Ok(self.lookup.as_ref().and_then(|lookup| lookup.get(key).copied()))
    }

    /// The key of `entry` with its quotes.
    pub(super) fn key_bytes<'a>(&self, entry: &Entry, text_of: impl Fn(u32) -> &'a [u8]) -> &'a [u8] {
        match entry.place {
            Place::Here { key, .. } => key.of(text_of(self.text)),
            Place::Added { key } => key.map_or(&[][..], |key| text_of(key.get())),
        }
    }

    /// Adds a key that the object does not have, as its last one.
    pub(super) fn push_key(&mut self, key: &str, entry: Entry) {
        let entries = self.entries.get_or_insert_default();
        if let Some(lookup) = &mut self.lookup {
            lookup.insert(key.into(), entries.len());
        }
        entries.push(entry);
    }

    /// The entries, for a change that moves them.
    pub(super) fn moving(&mut self) -> &mut Vec<Entry> {
        self.lookup = None;
        self.entries.get_or_insert_default()
    }

    /// Takes down the spacing before the first entry comes or goes. `text` is the node's own.
    pub(super) fn fix_layout(&mut self, text: &[u8]) {
        if self.layout.is_none() {
            self.layout = Some(Box::new(Layout::read(text, self)));
        }
    }
}

// === impl Entry ===

impl Entry {
    /// The entry's first byte and one past its last in its container's text; none when it was added.
    pub(super) fn extent(&self) -> Option<Span> {
        match self.place {
            Place::Here { key, value } => Some(Span { start: key.start, end: value.end }),
            Place::Added { .. } => None,
        }
    }
}

// === impl Layout ===

impl Layout {
    fn read(text: &[u8], node: &Node) -> Self {
        let (first_byte, last_byte) = (node.span.start() + 1, node.span.end().saturating_sub(1));
        let extent = |entry: Option<&Entry>| entry.and_then(Entry::extent);
        let (Some(first), Some(last)) = (extent(node.entries().first()), extent(node.entries().last())) else {
            let nothing = Span::new(first_byte, first_byte);
            let closing = Span::new(first_byte, last_byte);
            return Self { opening: nothing, closing, between: nothing, colon: None };
        };
        let opening = Span::new(first_byte, first.start());
        let colon = node.entries().last().and_then(|entry| match entry.place {
            Place::Here { key, value } if node.object => Some(Span { start: key.end, end: value.start }),
            _ => None,
        });
        let between = match colon {
            _ if node.entries().len() > 1 => blank_before(text, last.start()),
            _ if opening.of(text).contains(&b'\n') => opening,
            // A writer that puts a blank after colons puts one after commas too.
            Some(colon) => blank_before(text, colon.end()),
            None => opening,
        };
        Self { opening, closing: Span::new(last.end(), last_byte), between, colon }
    }
}

// === reading ===

/// The white space that ends at `end`.
pub(super) fn blank_before(text: &[u8], end: usize) -> Span {
    let blanks = text.get(..end).unwrap_or_default().iter().rev().take_while(|b| is_blank(**b)).count();
    Span::new(end - blanks, end)
}

/// The members of the container that opens at `start`, and the end of it; `room` is how deep its values may be.
fn read_entries(text: &[u8], start: usize, object: bool, room: usize) -> Result<(Vec<Entry>, usize), JsonError> {
    let close = if object { b'}' } else { b']' };
    let mut entries = Vec::new();
    let mut at = skip_blank(text, start + 1);
    if text.get(at) == Some(&close) {
        return Ok((entries, at + 1));
    }
    loop {
        let (key, from) = if object { key(text, at)? } else { (Span::new(at, at), at) };
        if object && std::str::from_utf8(key.of(text)).is_err() {
            return Err(JsonError::new(ErrorKind::BadUtf8, at));
        }
        let end = skip_value(text, from, room)?;
        let place = Place::Here { key, value: Span::new(from, end) };
        entries.push(Entry { place, splice: None, child: None });
        at = skip_blank(text, end);
        match text.get(at) {
            Some(b',') => at = skip_blank(text, at + 1),
            Some(byte) if *byte == close => return Ok((entries, at + 1)),
            _ => return Err(unexpected(text, at)),
        }
    }
}
