//! `ev`: one event of a stream, or one piece of a whole answer. Its typed fields mean the same in every dialect; they are
//! looked for when a hook first touches one.

use std::sync::Arc;

use bytes::Bytes;
use mlua::{AnyUserData, Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, Value};
use parking_lot::Mutex;

use super::unknown_field;
use super::view::{Source, View, scalar};
use crate::dialect::Dialect;
use crate::dialect::view::{self, Memory, Part};
use crate::json::{Doc, Item, JsonError, Limits};
use crate::policy::host::Host;
use crate::stream::Event;

mod fields;
mod tool;

pub(in crate::policy) use fields::Slot;
#[cfg(test)]
pub(in crate::policy) use tool::FIELDS as TOOL_FIELDS;
pub(super) use tool::ToolOf;

/// An event, as one policy sees it.
pub(in crate::policy) struct Ev {
    event: Event,
    ground: Arc<Ground>,
    /// Its data as JSON, from the first use on. Edits are there, and go into the event when the hook is over.
    doc: Option<Arc<Mutex<Doc>>>,
    /// What was found in it, from the first use of a typed field on.
    parts: Option<Arc<Vec<Part>>>,
    /// Which part this is about.
    at: usize,
    /// Whether it is a piece of an answer that is not streamed.
    whole: bool,
    /// Edits of a part that is not alone in its document, until the hook has succeeded.
    pending: Vec<(Slot, String)>,
    /// The document before this hook could edit it directly, to be put back should it fail.
    before: Option<Bytes>,
}

/// What the events of one stream, or the pieces of one answer, have in common for one policy.
pub(in crate::policy) struct Ground {
    /// The dialect that the client speaks.
    pub(in crate::policy) dialect: Option<Dialect>,
    /// What JSON may ask for.
    pub(in crate::policy) limits: Limits,
    /// What was seen so far.
    pub(in crate::policy) memory: Mutex<Memory>,
}

/// A document of several parts, each of which is shown as an event.
#[derive(Clone)]
pub(in crate::policy) struct Pieces {
    /// What carries the document.
    pub(in crate::policy) event: Event,
    /// The document.
    pub(in crate::policy) doc: Arc<Mutex<Doc>>,
    /// Its parts.
    pub(in crate::policy) parts: Arc<Vec<Part>>,
    /// Whether it is an answer that is not streamed.
    pub(in crate::policy) whole: bool,
}

/// The fields and methods.
pub(in crate::policy) const FIELDS: [&str; 13] =
    ["event", "data", "json", "kind", "text", "reasoning", "tool", "usage", "stop", "error", "choice", "whole", "raw"];

// === impl Ev ===

impl Ev {
    /// An event that a hook is about to see.
    pub(in crate::policy) fn new(event: Event, ground: &Arc<Ground>) -> Self {
        let ground = Arc::clone(ground);
        Self { event, ground, doc: None, parts: None, at: 0, whole: false, pending: Vec::new(), before: None }
    }

    /// One of several parts, which a hook is about to see.
    pub(in crate::policy) fn piece(pieces: &Pieces, at: usize, ground: &Arc<Ground>) -> Self {
        let (doc, parts) = (Some(Arc::clone(&pieces.doc)), Some(Arc::clone(&pieces.parts)));
        Self { doc, parts, at, whole: pieces.whole, ..Self::new(pieces.event.clone(), ground) }
    }

    /// The event with all edits; the very bytes that came when there are none.
    pub(in crate::policy) fn finished(&self) -> Event {
        let mut event = self.event.clone();
        if let Some(data) = self.edited() {
            event.set_data(data);
        }
        event
    }

    /// All parts, when the hook has looked and there are several: then the others are to be shown too.
    pub(in crate::policy) fn pieces(&self) -> Option<Pieces> {
        let (doc, parts) = (self.doc.as_ref()?, self.parts.as_ref().filter(|_| self.shared())?);
        let (doc, parts) = (Arc::clone(doc), Arc::clone(parts));
        Some(Pieces { event: self.event.clone(), doc, parts, whole: self.whole })
    }

    /// What a hook that failed leaves of the document, if it may have edited it.
    pub(in crate::policy) fn before(&self) -> Option<Bytes> {
        self.before.clone()
    }

    /// The part, when the hook has looked.
    pub(in crate::policy) fn seen(&self) -> Option<&Part> {
        self.parts.as_ref()?.get(self.at)
    }

    /// Whether its document holds other parts too.
    fn shared(&self) -> bool {
        self.whole || self.parts.as_ref().is_some_and(|parts| parts.len() > 1)
    }

    /// The data that edits make.
    fn edited(&self) -> Option<Bytes> {
        let doc = self.doc.as_ref()?.lock();
        doc.edited().then(|| doc.render())
    }

    /// The data as JSON.
    fn doc(&mut self) -> Result<Arc<Mutex<Doc>>, JsonError> {
        if let Some(doc) = &self.doc {
            return Ok(Arc::clone(doc));
        }
        let doc = Doc::parse(self.event.data().clone(), self.ground.limits)?;
        Ok(Arc::clone(self.doc.insert(Arc::new(Mutex::new(doc)))))
    }

    /// What is in it.
    fn parts(&mut self) -> Arc<Vec<Part>> {
        if let Some(parts) = &self.parts {
            return Arc::clone(parts);
        }
        let dialect = self.ground.dialect.filter(|dialect| view::speaks(*dialect));
        let found = match (dialect, self.event.data().trim_ascii() == b"[DONE]") {
            (Some(dialect), false) => self.doc().ok().map(|doc| (dialect, doc)),
            _ => None,
        };
        let parts = match found {
            Some((dialect, doc)) => {
                let mut parts = view::event(dialect, self.event.name(), &mut doc.lock());
                self.ground.memory.lock().complete(dialect, &mut parts);
                parts
            }
            None => view::plain(self.event.data()),
        };
        Arc::clone(self.parts.insert(Arc::new(parts)))
    }

    /// From here on edits go to the document at once, which is kept for the case that the hook fails.
    fn settle(&mut self) -> mlua::Result<()> {
        if self.before.is_none() {
            let doc = self.doc.as_ref();
            self.before = Some(doc.map_or_else(|| self.event.data().clone(), |doc| doc.lock().render()));
        }
        self.commit()
    }

    fn json(&mut self, lua: &Lua) -> mlua::Result<(Value, Option<String>)> {
        let doc = match self.doc() {
            Ok(doc) => doc,
            Err(error) => return Ok((Value::Nil, Some(format!("the event is not JSON: {error}")))),
        };
        if self.shared() || self.parts.is_none() {
            self.settle()?;
        }
        let guard = doc.lock();
        let (node, array) = match guard.root() {
            Ok(Item::Object(node)) => (node, false),
            Ok(Item::Array(node)) => (node, true),
            Ok(item) => return scalar(lua, item).map(|value| (value, None)),
            Err(error) => return Ok((Value::Nil, Some(format!("the event is not JSON: {error}")))),
        };
        drop(guard);
        let view = lua.create_any_userdata(View { source: Source::Own(doc), node, array })?;
        Ok((Value::UserData(view), None))
    }

    fn data(&mut self, lua: &Lua) -> mlua::Result<LuaString> {
        if !self.pending.is_empty() {
            self.settle()?;
        }
        match self.edited() {
            Some(data) => lua.create_string(&data),
            None => lua.create_string(self.event.data()),
        }
    }

    fn set_data(&mut self, data: &LuaString) -> mlua::Result<()> {
        if self.shared() {
            let what = if self.whole { "a piece of a whole answer" } else { "one of several parts of an event" };
            return Err(mlua::Error::runtime(format!("this is {what}: set its fields, not its data")));
        }
        self.before.get_or_insert_with(|| self.event.data().clone());
        self.doc = None;
        self.parts = None;
        self.event.set_data(Bytes::copy_from_slice(&data.as_bytes()));
        Ok(())
    }
}

impl UserData for Ev {
    fn add_fields<F: UserDataFields<Self>>(registry: &mut F) {
        registry.add_field_method_get("event", |lua, this| {
            this.event.name().map(|name| lua.create_string(name)).transpose()
        });
        registry.add_field_method_set("event", |lua, this, name: Option<String>| {
            Host::of(lua)?.may_edit("an event")?;
            this.event.set_name(name.as_deref());
            Ok(())
        });
        for name in ["data", "raw"] {
            registry.add_field_function_get(name, |lua, this| this.borrow_mut::<Self>()?.data(lua));
        }
        registry.add_field_method_set("data", |lua, this, data: LuaString| {
            Host::of(lua)?.may_edit("an event")?;
            this.set_data(&data)
        });
        registry.add_field_method_get("whole", |_, this| Ok(this.whole));
        fields::add(registry);
        registry.add_field_function_get("tool", |lua, this: AnyUserData| tool::of(lua, this));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("json", |lua, this, ()| this.json(lua));
        methods.add_meta_method(MetaMethod::Index, |_, _, key: Value| -> mlua::Result<()> {
            Err(unknown_field("ev", &FIELDS, &key))
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, (key, _): (Value, Value)| -> mlua::Result<()> {
            Err(fixed_field("ev", &FIELDS, &key))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(format!("event {}", this.event.name().unwrap_or("message")))
        });
    }
}

/// The error for setting a field that cannot be set, or that there is not.
fn fixed_field(object: &str, known: &[&str], key: &Value) -> mlua::Error {
    match key.as_string().map(LuaString::to_string_lossy) {
        Some(key) if known.contains(&key.as_str()) => mlua::Error::runtime(format!("{object}.{key} cannot be set")),
        _ => unknown_field(object, known, key),
    }
}
