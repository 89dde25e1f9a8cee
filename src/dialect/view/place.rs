//! Places in a document: read, written, and left out.

use std::borrow::Cow;

use crate::json::{Doc, Fragment, Item, JsonError, NodeId};

/// A value's place: its container, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The object.
    pub(super) node: NodeId,
    /// The key in it.
    pub(super) key: &'static str,
}

/// The place of a text, and of those that say the same beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where it stands.
    pub(super) place: Place,
    /// Where it stands again.
    pub(super) copies: Vec<Place>,
    /// How it is left out.
    pub(super) gone: Gone,
}

/// The place of a tool call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Args {
    /// Where they stand.
    pub(super) place: Place,
    /// Whether as JSON; else as a string that holds JSON, or a piece of it.
    pub(super) json: bool,
}

/// How something is left out so that the rest stays a valid answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// These texts become empty.
    Emptied(Vec<Place>),
    /// The item leaves its array; an array that is empty then goes too where it has a place that may be missing.
    Item {
        /// The array.
        array: NodeId,
        /// The item.
        at: usize,
        /// The array's own place, if it need not be there.
        home: Option<Place>,
    },
    /// The key goes.
    Key(Place),
}

/// Leaves things out. Items go last and from the back, so that no place moves before its turn.
pub fn leave_out(doc: &mut Doc, gone: &[Gone]) {
    let mut items = Vec::new();
    for one in gone {
        match one {
            Gone::Emptied(places) => places.iter().for_each(|place| place.put(doc, Some("\"\""))),
            Gone::Key(place) => place.put(doc, None),
            Gone::Item { array, at, home } => items.push((*at, *array, *home)),
        }
    }
    items.sort_by_key(|(at, _, _)| std::cmp::Reverse(*at));
    for (at, array, home) in items {
        // What is no longer there is left out already.
        let _ = doc.remove_at(array, at);
        if let Some(home) = home.filter(|_| doc.is_empty(array).unwrap_or_default()) {
            home.put(doc, None);
        }
    }
}

// === impl Place ===

impl Place {
    /// The value there, if it still is.
    pub fn item<'d>(&self, doc: &'d mut Doc) -> Option<Item<'d>> {
        doc.get(self.node, self.key).ok().flatten()
    }

    /// The text there.
    pub fn text<'d>(&self, doc: &'d mut Doc) -> Option<Cow<'d, str>> {
        match self.item(doc) {
            Some(Item::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Sets the text there. Nothing happens when it reads the same, however it is written.
    pub fn write(&self, doc: &mut Doc, text: &str) -> Result<(), JsonError> {
        match doc.get(self.node, self.key)? {
            Some(Item::String(old)) if old == text => Ok(()),
            _ => doc.set(self.node, self.key, &Fragment::from(text)),
        }
    }

    /// Sets a value that is known to be JSON, or removes it. What is no longer part of the document stays away.
    pub(super) fn put(&self, doc: &mut Doc, json: Option<&'static str>) {
        let _ = match json.map(|json| Fragment::parse(&bytes::Bytes::from_static(json.as_bytes()))) {
            Some(Ok(value)) => doc.set(self.node, self.key, &value),
            Some(Err(error)) => Err(error),
            None => doc.remove(self.node, self.key).map(|_| ()),
        };
    }
}

// === impl Text ===

impl Text {
    /// What it says.
    pub fn read<'d>(&self, doc: &'d mut Doc) -> Option<Cow<'d, str>> {
        self.place.text(doc)
    }

    /// Sets it everywhere; of several copies, which are pieces of it then, the first gets all.
    pub fn set(&self, doc: &mut Doc, text: &str) -> Result<(), JsonError> {
        if self.place.text(doc).is_some_and(|old| old == text) {
            return Ok(());
        }
        self.place.write(doc, text)?;
        for (at, copy) in self.copies.iter().enumerate() {
            copy.write(doc, if at == 0 { text } else { "" })?;
        }
        Ok(())
    }

    /// Sets it where it still is.
    pub(super) fn write(&self, doc: &mut Doc, text: &str) {
        let _ = self.set(doc, text);
    }
}

// === impl Args ===

impl Args {
    /// The arguments as text.
    pub fn read(&self, doc: &mut Doc) -> Option<String> {
        match self.place.item(doc)? {
            Item::String(text) if !self.json => Some(text.into_owned()),
            Item::Object(node) if self.json => {
                let bytes = doc.bytes_of(node).ok()?;
                String::from_utf8(bytes.to_vec()).ok()
            }
            _ => None,
        }
    }

    /// The value that stands for this text, or why none does.
    pub fn value(&self, text: &str) -> Result<Fragment, &'static str> {
        if !self.json {
            return Ok(Fragment::from(text));
        }
        let value = Fragment::parse(&bytes::Bytes::copy_from_slice(text.as_bytes()));
        let value = value.ok().filter(|value| value.bytes().starts_with(b"{"));
        value.ok_or("this dialect has a tool's arguments as JSON, and the text is no JSON object")
    }

    /// Sets them.
    pub fn set(&self, doc: &mut Doc, value: &Fragment) -> Result<(), JsonError> {
        doc.set(self.place.node, self.place.key, value)
    }
}
