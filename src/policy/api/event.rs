//! `ev`: one event of a stream.

use std::sync::Arc;

use bytes::Bytes;
use mlua::{Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, Value};
use parking_lot::Mutex;

use super::unknown_field;
use super::view::{Source, View, scalar};
use crate::json::{Doc, Item};
use crate::policy::host::Host;
use crate::stream::Event;

/// An event.
pub(in crate::policy) struct Ev {
    event: Event,
    /// Its data as JSON, from the first use on. Edits are there, and go into the event when the hook is over.
    doc: Option<Arc<Mutex<Doc>>>,
}

/// The fields and methods.
pub(in crate::policy) const FIELDS: [&str; 3] = ["event", "data", "json"];

// === impl Ev ===

impl Ev {
    /// An event that a hook is about to see.
    pub(in crate::policy) fn new(event: Event) -> Self {
        Self { event, doc: None }
    }

    /// The event with all edits; the very bytes that came when there are none.
    pub(in crate::policy) fn finished(&self) -> Event {
        let mut event = self.event.clone();
        if let Some(data) = self.edited() {
            event.set_data(data);
        }
        event
    }

    /// The data that edits of the view make.
    fn edited(&self) -> Option<Bytes> {
        let doc = self.doc.as_ref()?.lock();
        doc.edited().then(|| doc.render())
    }

    fn json(&mut self, lua: &Lua) -> mlua::Result<(Value, Option<String>)> {
        let doc = match &self.doc {
            Some(doc) => Arc::clone(doc),
            None => match Doc::parse(self.event.data().clone(), Host::of(lua)?.limits.json) {
                Ok(doc) => Arc::clone(self.doc.insert(Arc::new(Mutex::new(doc)))),
                Err(error) => return Ok((Value::Nil, Some(format!("the event is not JSON: {error}")))),
            },
        };
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
}

impl UserData for Ev {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("event", |lua, this| {
            this.event.name().map(|name| lua.create_string(name)).transpose()
        });
        fields.add_field_method_get("data", |lua, this| match this.edited() {
            Some(data) => lua.create_string(&data),
            None => lua.create_string(this.event.data()),
        });
        fields.add_field_method_set("event", |_, this, name: Option<String>| {
            this.event.set_name(name.as_deref());
            Ok(())
        });
        fields.add_field_method_set("data", |_, this, data: LuaString| {
            this.doc = None;
            this.event.set_data(Bytes::copy_from_slice(&data.as_bytes()));
            Ok(())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("json", |lua, this, ()| this.json(lua));
        methods.add_meta_method(MetaMethod::Index, |_, _, key: Value| -> mlua::Result<()> {
            Err(unknown_field("ev", &FIELDS, &key))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(format!("event {}", this.event.name().unwrap_or("message")))
        });
    }
}
