//! Edits of a document: each is a splice beside the text it changes, rendered later in one pass.

use std::num::NonZeroU32;

use bytes::Bytes;

use super::doc::Doc;
use super::node::{Entry, Node, NodeId, Place};
use super::text::key_is;
use super::value::Fragment;
use super::{ErrorKind, JsonError};

// === impl Doc: edits ===

impl Doc {
    /// Sets a key of an object: only its value's bytes change (those of the last duplicate), or it is added as the last
    /// member, spaced like the others. A value equal to the one there, byte for byte, is no edit.
    pub fn set(&mut self, node: NodeId, key: &str, value: &Fragment) -> Result<(), JsonError> {
        self.editable(node, true)?;
        if let Some(at) = self.find(node, key)? {
            return self.replace(node, at, value);
        }
        self.ensure_room(node, value)?;
        let quoted = Fragment::from(key).bytes().clone();
        let place = Place::Added { key: Some(self.keep(quoted)?) };
        let entry = Entry { place, splice: Some(self.keep(value.bytes().clone())?), child: None };
        self.reshape(node, |target| target.push_key(key, entry))
    }

    /// Sets an item of an array; `index` equal to its length appends.
    pub fn set_at(&mut self, node: NodeId, index: usize, value: &Fragment) -> Result<(), JsonError> {
        if index < self.editable(node, false)?.entries().len() {
            self.replace(node, index, value)
        } else {
            self.insert_at(node, index, value)
        }
    }

    /// Puts an item before the one at `index`, or at the end when `index` is the array's length.
    pub fn insert_at(&mut self, node: NodeId, index: usize, value: &Fragment) -> Result<(), JsonError> {
        let target = self.editable(node, false)?;
        if index > target.entries().len() {
            return Err(JsonError::new(ErrorKind::NoSuchIndex, target.span.start()));
        }
        self.ensure_room(node, value)?;
        let splice = Some(self.keep(value.bytes().clone())?);
        let entry = Entry { place: Place::Added { key: None }, splice, child: None };
        self.reshape(node, |target| target.moving().insert(index, entry))
    }

    /// Removes a key, all of it when it is there more than once; false when it was not there.
    pub fn remove(&mut self, node: NodeId, key: &str) -> Result<bool, JsonError> {
        self.editable(node, true)?;
        if self.find(node, key)?.is_none() {
            return Ok(false);
        }
        let target = self.live(node)?;
        let hit = |entry: &Entry| key_is(target.key_bytes(entry, |text| self.text(text)), key);
        let (gone, kept): (Vec<Entry>, Vec<Entry>) = target.entries().iter().partition(|entry| hit(entry));
        self.reshape(node, |target| *target.moving() = kept)?;
        for entry in gone {
            self.release(entry);
        }
        Ok(true)
    }

    /// Removes the item at `index`; false when the array is shorter.
    pub fn remove_at(&mut self, node: NodeId, index: usize) -> Result<bool, JsonError> {
        if index >= self.editable(node, false)?.entries().len() {
            return Ok(false);
        }
        let mut gone = None;
        self.reshape(node, |target| gone = Some(target.moving().remove(index)))?;
        if let Some(entry) = gone {
            self.release(entry);
        }
        Ok(true)
    }

    /// The indexed node, when it is of the kind that the edit is for.
    fn editable(&mut self, id: NodeId, object: bool) -> Result<&Node, JsonError> {
        let node = self.index(id)?;
        if node.object == object {
            return Ok(node);
        }
        let kind = if object { ErrorKind::NotAnObject } else { ErrorKind::NotAnArray };
        Err(JsonError::new(kind, node.span.start()))
    }

    /// Splices `value` over the value of one entry.
    fn replace(&mut self, id: NodeId, at: usize, value: &Fragment) -> Result<(), JsonError> {
        self.ensure_room(id, value)?;
        let node = self.live(id)?;
        let Some(&old) = node.entries().get(at) else {
            return Err(JsonError::new(ErrorKind::NoSuchIndex, node.span.start()));
        };
        if self.reads_as(node, &old, value.bytes()) {
            return Ok(());
        }
        self.discard(old.child, old.splice);
        let splice = Some(self.keep(value.bytes().clone())?);
        if let Some(entry) = self.nodes.get_mut(id.0 as usize).and_then(|node| node.entries.as_mut()?.get_mut(at)) {
            *entry = Entry { place: old.place, splice, child: None };
        }
        self.mark(id);
        Ok(())
    }

    /// Gives up all that a removed entry brought in.
    fn release(&mut self, entry: Entry) {
        self.discard(entry.child, entry.splice);
        if let Place::Added { key } = entry.place {
            self.discard(None, key);
        }
    }

    /// Changes which entries a node has, its spacing taken down first.
    fn reshape(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) -> Result<(), JsonError> {
        let node = self.nodes.get_mut(id.0 as usize).ok_or(JsonError::new(ErrorKind::Detached, 0))?;
        node.fix_layout(self.texts.get(node.text as usize).map(Bytes::as_ref).unwrap_or_default());
        change(node);
        self.mark(id);
        Ok(())
    }

    /// Notes that a node and all around it will not render as they were read.
    fn mark(&mut self, id: NodeId) {
        self.edited = true;
        let mut around = Some(id.0);
        while let Some(node) = around.and_then(|number| self.nodes.get_mut(number as usize)) {
            if node.changed {
                return;
            }
            node.changed = true;
            around = node.parent;
        }
    }

    /// Refuses a value that would make the document deeper than its limit.
    fn ensure_room(&self, id: NodeId, value: &Fragment) -> Result<(), JsonError> {
        let node = self.live(id)?;
        if node.depth + value.depth() > self.limits.room() {
            return Err(JsonError::new(ErrorKind::TooDeep, node.span.start()));
        }
        Ok(())
    }

    /// Keeps a text that an entry will refer to, and tells its number.
    fn keep(&mut self, text: Bytes) -> Result<NonZeroU32, JsonError> {
        let too_large = JsonError::new(ErrorKind::TooLarge, 0);
        u32::try_from(text.len()).map_err(|_| too_large)?;
        let number = match self.free.pop() {
            Some(number) => number,
            None => u32::try_from(self.texts.len()).ok().and_then(NonZeroU32::new).ok_or(too_large)?,
        };
        match self.texts.get_mut(number.get() as usize) {
            Some(slot) => *slot = text,
            None => self.texts.push(text),
        }
        Ok(number)
    }

    /// Gives up a value that no longer is in the document. Its text can be used again at once: whoever holds its node is
    /// told that it is detached before any text is looked at.
    fn discard(&mut self, child: Option<NonZeroU32>, text: Option<NonZeroU32>) {
        if let Some(node) = child.and_then(|child| self.nodes.get_mut(child.get() as usize)) {
            node.detached = true;
            node.entries = None;
        }
        if let Some(text) = text {
            if let Some(slot) = self.texts.get_mut(text.get() as usize) {
                *slot = Bytes::new();
            }
            self.free.push(text);
        }
    }
}
