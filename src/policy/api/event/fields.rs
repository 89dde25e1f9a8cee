//! The typed fields of `ev`: what is read, what can be set, and when a set becomes an edit.

use mlua::{Lua, LuaString, Table, UserDataFields, Value};

use super::Ev;
use crate::dialect::view::{Args, Failed, Part, Place, Text, Usage, leave_out, stop_word};
use crate::json::{Doc, Fragment, Item, JsonError};
use crate::policy::api::kind;
use crate::policy::host::Host;
use crate::stream::Event;

/// A text of a part that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Slot {
    /// `ev.text`.
    Text,
    /// `ev.reasoning`.
    Reasoning,
    /// `ev.tool.name`.
    Name,
    /// `ev.tool.args`.
    Args,
}

/// Where a slot's text stands.
enum Spot<'p> {
    Text(&'p Text),
    Name(Place),
    Args(Args),
}

/// Why a text cannot be set.
enum Unfit {
    Json(JsonError),
    Args(&'static str),
}

// === impl Slot ===

impl Slot {
    fn field(self) -> &'static str {
        match self {
            Self::Text => "ev.text",
            Self::Reasoning => "ev.reasoning",
            Self::Name => "ev.tool.name",
            Self::Args => "ev.tool.args",
        }
    }

    /// Where it stands in a part; nothing when the part has none.
    fn spot(self, part: &Part) -> Option<Spot<'_>> {
        match self {
            Self::Text => part.text.as_ref().map(Spot::Text),
            Self::Reasoning => part.reasoning.as_ref().map(Spot::Text),
            Self::Name => part.tool.as_ref()?.name.map(Spot::Name),
            Self::Args => part.tool.as_ref()?.args.map(Spot::Args),
        }
    }
}

// === impl Spot ===

impl Spot<'_> {
    fn write(&self, doc: &mut Doc, text: &str) -> Result<(), Unfit> {
        match self {
            Self::Text(place) => Ok(place.set(doc, text)?),
            Self::Name(place) => Ok(place.write(doc, text)?),
            Self::Args(args) => Ok(args.set(doc, &value(*args, text)?)?),
        }
    }
}

// === impl Unfit ===

impl From<JsonError> for Unfit {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<Unfit> for mlua::Error {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Json(error) => Self::runtime(format!("JSON: {error}")),
            Unfit::Args(why) => Self::runtime(format!("ev.tool.args: {why}")),
        }
    }
}

fn value(args: Args, text: &str) -> Result<Fragment, Unfit> {
    args.value(text).map_err(Unfit::Args)
}

// === impl Ev: typed fields ===

impl Ev {
    /// Looks, and shows the part to `read`.
    pub(super) fn look<R>(&mut self, read: impl FnOnce(&Part) -> R) -> R {
        let parts = self.parts();
        match parts.get(self.at) {
            Some(part) => read(part),
            None => read(&Part::default()),
        }
    }

    /// What a slot says.
    pub(super) fn get(&mut self, lua: &Lua, slot: Slot) -> mlua::Result<Value> {
        let parts = self.parts();
        let Some(found) = parts.get(self.at).and_then(|part| slot.spot(part)) else { return Ok(Value::Nil) };
        if let Some((_, text)) = self.pending.iter().find(|(pending, _)| *pending == slot) {
            return lua.create_string(text).map(Value::String);
        }
        let Ok(doc) = self.doc() else { return Ok(Value::Nil) };
        let mut doc = doc.lock();
        match found {
            Spot::Text(text) => text.read(&mut doc).map(|text| lua.create_string(text.as_bytes())),
            Spot::Name(place) => match place.item(&mut doc) {
                Some(Item::String(name)) => Some(lua.create_string(name.as_bytes())),
                _ => None,
            },
            Spot::Args(args) => args.read(&mut doc).map(|text| lua.create_string(text)),
        }
        .map_or(Ok(Value::Nil), |text| text.map(Value::String))
    }

    /// Sets a slot: at once where the event is one part, else when the hook has succeeded.
    pub(super) fn set(&mut self, slot: Slot, text: &Value) -> mlua::Result<()> {
        let Value::String(text) = text else {
            let what = kind(text);
            return Err(mlua::Error::runtime(format!("{} must be a string, not {what}", slot.field())));
        };
        self.assign(slot, text.to_str()?.to_owned())
    }

    /// [`Self::set`] with a text that is known to be one.
    pub(in crate::policy) fn assign(&mut self, slot: Slot, text: String) -> mlua::Result<()> {
        let parts = self.parts();
        let part = parts.get(self.at);
        let Some(found) = part.and_then(|part| slot.spot(part)) else {
            let is = part.map_or("raw", |part| part.kind.as_str());
            let of = slot.field().rsplit('.').next().unwrap_or_default();
            return Err(mlua::Error::runtime(format!("{}: this event is \"{is}\", it has no {of}", slot.field())));
        };
        if !self.shared() || self.before.is_some() {
            let doc = self.doc().map_err(Unfit::Json)?;
            return Ok(found.write(&mut doc.lock(), &text)?);
        }
        if let Spot::Args(args) = found {
            value(args, &text)?;
        }
        match self.pending.iter_mut().find(|(pending, _)| *pending == slot) {
            Some((_, pending)) => *pending = text,
            None => self.pending.push((slot, text)),
        }
        Ok(())
    }

    /// Makes edits of what was only set so far.
    pub(in crate::policy) fn commit(&mut self) -> mlua::Result<()> {
        let (Some(doc), Some(parts)) = (&self.doc, &self.parts) else { return Ok(()) };
        let mut doc = doc.lock();
        for (slot, text) in self.pending.drain(..) {
            if let Some(spot) = parts.get(self.at).and_then(|part| slot.spot(part)) {
                spot.write(&mut doc, &text)?;
            }
        }
        Ok(())
    }

    /// The text of a slot as it stands now; nothing when there is none.
    pub(in crate::policy) fn said(&mut self, slot: Slot) -> Option<String> {
        if let Some((_, text)) = self.pending.iter().find(|(pending, _)| *pending == slot) {
            return Some(text.clone());
        }
        let parts = self.parts();
        match slot.spot(parts.get(self.at)?)? {
            Spot::Text(text) => text.read(&mut self.doc().ok()?.lock()).map(std::borrow::Cow::into_owned),
            Spot::Name(_) | Spot::Args(_) => None,
        }
    }

    /// The event as it came to the hook, but with another text or other thoughts and nothing else of the answer.
    pub(in crate::policy) fn copy(&self, slot: Slot, text: String) -> mlua::Result<Event> {
        let mut copy = Self::new(self.event.clone(), &self.ground);
        copy.assign(slot, text)?;
        if let (Some(part), Some(doc)) = (copy.seen(), &copy.doc) {
            part.strip(&mut doc.lock(), slot == Slot::Reasoning);
        }
        Ok(copy.finished())
    }

    /// The event without what it says of the answer, when it also says how the answer ended or what it cost.
    pub(in crate::policy) fn emptied(&self) -> Option<Event> {
        let part = self.seen().filter(|part| part.says_both())?;
        leave_out(&mut self.doc.as_ref()?.lock(), &part.gone());
        Some(self.finished())
    }
}

/// Registers the fields.
pub(super) fn add<F: UserDataFields<Ev>>(registry: &mut F) {
    for (name, slot) in [("text", Slot::Text), ("reasoning", Slot::Reasoning)] {
        registry.add_field_function_get(name, move |lua, this| this.borrow_mut::<Ev>()?.get(lua, slot));
        registry.add_field_method_set(name, move |lua, this, text: Value| {
            Host::of(lua)?.may_edit("an event")?;
            this.set(slot, &text)
        });
    }
    registry.add_field_function_get("kind", |_, this| Ok(this.borrow_mut::<Ev>()?.look(|part| part.kind.as_str())));
    registry.add_field_function_get("choice", |_, this| Ok(this.borrow_mut::<Ev>()?.look(|part| part.choice)));
    registry.add_field_function_get("stop", |lua, this| -> mlua::Result<Option<LuaString>> {
        let stop = this.borrow_mut::<Ev>()?.look(|part| part.stop.clone());
        stop.map(|stop| lua.create_string(stop_word(&stop))).transpose()
    });
    registry.add_field_function_get("usage", |lua, this| -> mlua::Result<Option<Table>> {
        let usage = this.borrow_mut::<Ev>()?.look(|part| part.usage);
        usage.map(|usage| used(lua, usage)).transpose()
    });
    registry.add_field_function_get("error", |lua, this| -> mlua::Result<Option<Table>> {
        let error = this.borrow_mut::<Ev>()?.look(|part| part.error.clone());
        error.map(|error| failed(lua, &error)).transpose()
    });
}

fn used(lua: &Lua, usage: Usage) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("input", usage.input)?;
    table.raw_set("output", usage.output)?;
    table.raw_set("cache_read", usage.cache_read)?;
    table.raw_set("cache_write", usage.cache_write)?;
    table.raw_set("reasoning", usage.reasoning)?;
    table.raw_set("total", usage.total)?;
    table.set_readonly(true);
    Ok(table)
}

fn failed(lua: &Lua, error: &Failed) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("message", error.message.as_str())?;
    table.raw_set("type", error.kind.as_deref())?;
    table.set_readonly(true);
    Ok(table)
}
