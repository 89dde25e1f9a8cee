//! `ev.tool`: a tool call, or a piece of one.

use mlua::{AnyUserData, Lua, MetaMethod, UserData, UserDataFields, UserDataMethods, Value};

use super::{Ev, Slot, fixed_field};
use crate::dialect::view::Tool;
use crate::policy::api::unknown_field;
use crate::policy::host::Host;

/// The tool call of an event.
pub(in crate::policy::api) struct ToolOf {
    /// The event.
    ev: AnyUserData,
}

/// The fields.
pub(in crate::policy) const FIELDS: [&str; 5] = ["index", "id", "name", "args", "whole"];

/// The tool call of an event; nil when it has none.
pub(super) fn of(lua: &Lua, ev: AnyUserData) -> mlua::Result<Value> {
    let has = ev.borrow_mut::<Ev>()?.look(|part| part.tool.is_some());
    if has { lua.create_any_userdata(ToolOf { ev }).map(Value::UserData) } else { Ok(Value::Nil) }
}

// === impl ToolOf ===

impl ToolOf {
    fn look<R: Default>(&self, read: impl FnOnce(&Tool) -> R) -> mlua::Result<R> {
        Ok(self.ev.borrow_mut::<Ev>()?.look(|part| part.tool.as_ref().map(read)).unwrap_or_default())
    }
}

impl UserData for ToolOf {
    fn add_fields<F: UserDataFields<Self>>(registry: &mut F) {
        registry.add_field_method_get("index", |_, this| this.look(|tool| tool.index));
        registry.add_field_method_get("id", |_, this| this.look(|tool| tool.id.clone()));
        registry.add_field_method_get("whole", |_, this| this.look(|tool| tool.whole));
        for (name, slot) in [("name", Slot::Name), ("args", Slot::Args)] {
            registry.add_field_method_get(name, move |lua, this| this.ev.borrow_mut::<Ev>()?.get(lua, slot));
            registry.add_field_method_set(name, move |lua, this, text: Value| {
                Host::of(lua)?.may_edit("an event")?;
                this.ev.borrow_mut::<Ev>()?.set(slot, &text)
            });
        }
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |_, _, key: Value| -> mlua::Result<()> {
            Err(unknown_field("ev.tool", &FIELDS, &key))
        });
        methods.add_meta_method(MetaMethod::NewIndex, |_, _, (key, _): (Value, Value)| -> mlua::Result<()> {
            Err(fixed_field("ev.tool", &FIELDS, &key))
        });
    }
}
