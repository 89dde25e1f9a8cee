//! A JSON document: its bytes, the containers that were entered so far, and what reading them gives.

use std::collections::HashSet;
use std::num::NonZeroU32;

use bytes::Bytes;

use super::node::{Entry, Node, NodeId, Place, Span};
use super::scan::{skip_blank, skip_value, unexpected};
use super::text::decode;
use super::value::Item;
use super::{ErrorKind, JsonError, Limits};

/// A JSON text that is read by path and edited by splices.
///
/// Each container is indexed when it is first touched; what no one touches is matched bracket by bracket and not
/// checked further ([`super::validate`] does that). A malformed part is an error for whoever touches it.
pub struct Doc {
    /// The body first, then the fragments and keys that edits brought in.
    pub(super) texts: Vec<Bytes>,
    /// Texts that no entry uses any more, to be used again: a policy that edits in a loop must not fill the memory.
    pub(super) free: Vec<NonZeroU32>,
    /// Containers in the order they were entered; the root is the first, when it is a container.
    pub(super) nodes: Vec<Node>,
    /// Where the root value starts in the body.
    start: usize,
    /// How deep the text and its edits may be.
    pub(super) limits: Limits,
    /// Set by the first edit.
    pub(super) edited: bool,
}

// === impl Doc ===

impl Doc {
    /// Takes a text with white space around its value. Only the first byte of the value is looked at; what is wrong
    /// further on is found when it is read.
    pub fn parse(bytes: Bytes, limits: Limits) -> Result<Doc, JsonError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(JsonError::new(ErrorKind::TooLarge, 0));
        }
        let start = skip_blank(&bytes, 0);
        let mut nodes = Vec::new();
        match bytes.get(start) {
            Some(b'{' | b'[') if limits.room() == 0 => {
                return Err(JsonError::new(ErrorKind::TooDeep, start));
            }
            Some(bracket @ (b'{' | b'[')) => {
                let span = Span::new(start, bytes.len());
                nodes.push(Node::new(0, span, *bracket == b'{', 1, None));
            }
            Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {}
            _ => return Err(unexpected(&bytes, start)),
        }
        Ok(Doc { texts: vec![bytes], free: Vec::new(), nodes, start, limits, edited: false })
    }

    /// The outermost value. A container is not looked into.
    pub fn root(&self) -> Result<Item<'_>, JsonError> {
        match self.nodes.first() {
            Some(node) if node.object => Ok(Item::Object(NodeId(0))),
            Some(_) => Ok(Item::Array(NodeId(0))),
            None => {
                let text = self.text(0);
                let end = skip_value(text, self.start, 0)?;
                ensure_end(text, end)?;
                Item::scalar(text, Span::new(self.start, end))
            }
        }
    }

    /// The value of `key`, the last one when the key is there more than once, as parsers take it; nothing for an array.
    pub fn get(&mut self, node: NodeId, key: &str) -> Result<Option<Item<'_>>, JsonError> {
        self.index(node)?;
        match self.find(node, key)? {
            Some(at) => self.item(node, at).map(Some),
            None => Ok(None),
        }
    }

    /// The item at `index`, counted from 0; nothing beyond the end and for an object.
    pub fn at(&mut self, node: NodeId, index: usize) -> Result<Option<Item<'_>>, JsonError> {
        let node_ref = self.index(node)?;
        if node_ref.object || index >= node_ref.entries().len() {
            return Ok(None);
        }
        self.item(node, index).map(Some)
    }

    /// Items of an array, or different keys of an object.
    pub fn len(&mut self, node: NodeId) -> Result<usize, JsonError> {
        let node_ref = self.index(node)?;
        if node_ref.object { Ok(self.keys(node)?.len()) } else { Ok(node_ref.entries().len()) }
    }

    /// Whether it has no member.
    pub fn is_empty(&mut self, node: NodeId) -> Result<bool, JsonError> {
        Ok(self.index(node)?.entries().is_empty())
    }

    /// The keys in document order, added ones last, one that is there more than once at its first place; none for an array.
    pub fn keys(&mut self, node: NodeId) -> Result<Vec<String>, JsonError> {
        self.index(node)?;
        let node = self.live(node)?;
        if !node.object {
            return Ok(Vec::new());
        }
        let mut seen = HashSet::with_capacity(node.entries().len());
        let mut keys = Vec::with_capacity(node.entries().len());
        for entry in node.entries() {
            let raw = node.key_bytes(entry, |text| self.text(text));
            let key = decode(raw, 0, raw.len())?;
            if seen.insert(key.clone()) {
                keys.push(key.into_owned());
            }
        }
        Ok(keys)
    }

    /// The text that it was made from.
    pub fn source(&self) -> Bytes {
        self.texts.first().cloned().unwrap_or_default()
    }

    /// Whether any edit changed a byte.
    pub fn edited(&self) -> bool {
        self.edited
    }

    /// The text with that number.
    pub(super) fn text(&self, number: u32) -> &[u8] {
        self.texts.get(number as usize).map(Bytes::as_ref).unwrap_or_default()
    }

    /// The node, when it and all around it are still part of the document.
    pub(super) fn live(&self, id: NodeId) -> Result<&Node, JsonError> {
        let detached = JsonError::new(ErrorKind::Detached, 0);
        let node = self.nodes.get(id.0 as usize).ok_or(detached)?;
        let mut around = Some(node);
        while let Some(container) = around {
            if container.detached {
                return Err(detached);
            }
            around = container.parent.and_then(|parent| self.nodes.get(parent as usize));
        }
        Ok(node)
    }

    /// The live node, its members found.
    pub(super) fn index(&mut self, id: NodeId) -> Result<&Node, JsonError> {
        if self.live(id)?.entries.is_none() {
            let room = self.limits.room();
            if let Some(node) = self.nodes.get_mut(id.0 as usize) {
                let text = self.texts.get(node.text as usize).map(Bytes::as_ref).unwrap_or_default();
                node.index(text, room)?;
                if id.0 == 0
                    && let Err(trailing) = ensure_end(text, node.span.end())
                {
                    node.entries = None;
                    return Err(trailing);
                }
            }
        }
        self.live(id)
    }

    /// The last entry of an indexed object with that key.
    pub(super) fn find(&mut self, id: NodeId, key: &str) -> Result<Option<usize>, JsonError> {
        let texts = &self.texts;
        let text_of = |text: u32| texts.get(text as usize).map(Bytes::as_ref).unwrap_or_default();
        self.nodes.get_mut(id.0 as usize).map_or(Ok(None), |node| node.find(key, text_of))
    }

    /// Which text an entry's value stands in, and where.
    pub(super) fn value_of(&self, node: &Node, entry: &Entry) -> (u32, Span) {
        match (entry.splice, entry.place) {
            (Some(text), _) => (text.get(), Span::new(0, self.text(text.get()).len())),
            (None, Place::Here { value, .. }) => (node.text, value),
            (None, Place::Added { .. }) => (node.text, Span::new(0, 0)),
        }
    }

    /// Reads an entry of an indexed node; a container is entered.
    fn item(&mut self, id: NodeId, at: usize) -> Result<Item<'_>, JsonError> {
        let node = self.live(id)?;
        let entry = node.entries().get(at).copied().ok_or(JsonError::new(ErrorKind::NoSuchIndex, node.span.start()))?;
        let (text, span) = self.value_of(node, &entry);
        let object = match span.of(self.text(text)).first() {
            Some(b'{') => true,
            Some(b'[') => false,
            _ => return Item::scalar(self.text(text), span),
        };
        let child = match entry.child {
            Some(child) => child.get(),
            None => self.enter(id, at, Node::new(text, span, object, node.depth + 1, Some(id.0)))?,
        };
        Ok(if object { Item::Object(NodeId(child)) } else { Item::Array(NodeId(child)) })
    }

    /// Keeps the node of the entry `at` of `parent`, and tells its number.
    fn enter(&mut self, parent: NodeId, at: usize, child: Node) -> Result<u32, JsonError> {
        let full = JsonError::new(ErrorKind::TooLarge, child.span.start());
        let number = u32::try_from(self.nodes.len()).map_err(|_| full)?;
        self.nodes.push(child);
        let entries = self.nodes.get_mut(parent.0 as usize).and_then(|node| node.entries.as_mut());
        if let Some(entry) = entries.and_then(|entries| entries.get_mut(at)) {
            entry.child = NonZeroU32::new(number);
        }
        Ok(number)
    }
}

/// Refuses anything but white space after the outermost value.
fn ensure_end(text: &[u8], end: usize) -> Result<(), JsonError> {
    let rest = skip_blank(text, end);
    if rest < text.len() { Err(unexpected(text, rest)) } else { Ok(()) }
}
