//! Views: JSON that a policy reads by path and edits in place, without the body ever becoming tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use mlua::{IntoLua, Lua, LuaString, MetaMethod, MultiValue, UserData, UserDataMethods, Value};
use parking_lot::Mutex;

use super::json::fragment;
use super::number;
use crate::error::{Error, Kind};
use crate::json::{Doc, ErrorKind, Item, JsonError, NodeId};
use crate::message::{Body, HasBody, Request, Response, Shared};
use crate::policy::failure::Raised;
use crate::policy::host::Host;

/// An object or array of a document.
pub(in crate::policy) struct View {
    /// Where the document is.
    pub(super) source: Source,
    /// The object or array in it.
    pub(super) node: NodeId,
    /// Whether it is an array.
    pub(super) array: bool,
}

/// Where a document is.
#[derive(Clone)]
pub(super) enum Source {
    /// The body of a request.
    Request { message: Shared<Request>, epoch: Epoch },
    /// The body of a response.
    Response { message: Shared<Response>, epoch: Epoch },
    /// Here: an event's data, or what `json.decode` read.
    Own(Arc<Mutex<Doc>>),
}

/// Which of a message's bodies a view is of.
#[derive(Clone)]
pub(super) struct Epoch {
    pub(super) counter: Arc<AtomicU32>,
    pub(super) at: u32,
}

// === impl Epoch ===

impl Epoch {
    /// Whether it counts the bodies of this message, and means the present one.
    pub(super) fn is_of(&self, counter: &Arc<AtomicU32>) -> bool {
        Arc::ptr_eq(&self.counter, counter) && self.is_present()
    }

    fn is_present(&self) -> bool {
        self.counter.load(Ordering::Relaxed) == self.at
    }
}

// === impl Source ===

impl Source {
    fn with<R>(&self, use_it: impl FnOnce(&mut Doc) -> mlua::Result<R>) -> mlua::Result<R> {
        match self {
            Self::Own(doc) => use_it(&mut doc.lock()),
            Self::Request { message, epoch } => in_body(message, epoch, use_it),
            Self::Response { message, epoch } => in_body(message, epoch, use_it),
        }
    }

    /// A mistake in the client's own JSON is the client's, and it is told so.
    fn wrong(&self, error: JsonError) -> mlua::Error {
        let of_the_text = matches!(
            error.kind,
            ErrorKind::Truncated
                | ErrorKind::Unexpected
                | ErrorKind::BadString
                | ErrorKind::BadUtf8
                | ErrorKind::TooDeep
        );
        match self {
            Self::Request { .. } if of_the_text => {
                let message = format!("the request body is not valid JSON: {error}");
                Raised::Told(Error::client(Kind::Rejected, 400, message)).into()
            }
            _ => mlua::Error::runtime(format!("JSON: {error}")),
        }
    }

    /// Refuses an edit in a hook that only decides. What belongs to no message can always be edited.
    fn may_edit(&self, lua: &Lua) -> mlua::Result<()> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Request { .. } | Self::Response { .. } => Host::of(lua)?.may_edit("the body"),
        }
    }
}

fn in_body<M: HasBody, R>(
    message: &Shared<M>,
    epoch: &Epoch,
    use_it: impl FnOnce(&mut Doc) -> mlua::Result<R>,
) -> mlua::Result<R> {
    let mut message = message.lock();
    match message.body_mut() {
        Body::Json(doc) if epoch.is_present() => use_it(doc),
        _ => Err(mlua::Error::runtime("the body was replaced or sent since this view was made; call json() again")),
    }
}

// === impl View ===

impl View {
    /// The bytes of this part of the document as they stand now.
    pub(super) fn bytes(&self) -> mlua::Result<Bytes> {
        self.doc(|doc| doc.bytes_of(self.node))
    }

    /// Whether it is the whole document.
    pub(super) fn is_root(&self) -> mlua::Result<bool> {
        self.source
            .with(|doc| Ok(matches!(doc.root(), Ok(Item::Object(node) | Item::Array(node)) if node == self.node)))
    }

    /// The keys of an object, in document order.
    pub(super) fn keys(&self) -> mlua::Result<Vec<String>> {
        self.doc(|doc| doc.keys(self.node))
    }

    /// How many items or keys.
    pub(super) fn len(&self) -> mlua::Result<usize> {
        self.doc(|doc| doc.len(self.node))
    }

    fn doc<R>(&self, use_it: impl FnOnce(&mut Doc) -> Result<R, JsonError>) -> mlua::Result<R> {
        self.source.with(|doc| use_it(doc).map_err(|error| self.source.wrong(error)))
    }

    /// The value of a key.
    pub(super) fn get(&self, lua: &Lua, key: &str) -> mlua::Result<Value> {
        self.source.with(|doc| match doc.get(self.node, key) {
            Ok(Some(item)) => self.value(lua, item),
            Ok(None) => Ok(Value::Nil),
            Err(error) => Err(self.source.wrong(error)),
        })
    }

    /// The item at an index, counted from 1.
    pub(super) fn at(&self, lua: &Lua, index: f64) -> mlua::Result<Value> {
        let Some(index) = place(index) else { return Ok(Value::Nil) };
        self.source.with(|doc| match doc.at(self.node, index) {
            Ok(Some(item)) => self.value(lua, item),
            Ok(None) => Ok(Value::Nil),
            Err(error) => Err(self.source.wrong(error)),
        })
    }

    /// Whether a key is there and null.
    pub(super) fn has_null(&self, key: &str) -> mlua::Result<bool> {
        self.doc(|doc| Ok(matches!(doc.get(self.node, key)?, Some(Item::Null))))
    }

    /// The digits of the number at a key, as they stand; none for anything else.
    pub(super) fn digits(&self, key: &str) -> mlua::Result<Option<String>> {
        self.doc(|doc| {
            Ok(match doc.get(self.node, key)? {
                Some(Item::Number(digits)) => Some(digits.to_owned()),
                _ => None,
            })
        })
    }

    /// Whether an item, counted from 0, is there and null.
    pub(super) fn has_null_at(&self, index: usize) -> mlua::Result<bool> {
        self.doc(|doc| Ok(matches!(doc.at(self.node, index)?, Some(Item::Null))))
    }

    fn value(&self, lua: &Lua, item: Item<'_>) -> mlua::Result<Value> {
        let (node, array) = match item {
            Item::Object(node) => (node, false),
            Item::Array(node) => (node, true),
            other => return scalar(lua, other),
        };
        lua.create_any_userdata(Self { source: self.source.clone(), node, array }).map(Value::UserData)
    }

    /// Assigns: a splice, or with nil a removal.
    fn set(&self, lua: &Lua, key: &Value, value: &Value) -> mlua::Result<()> {
        self.source.may_edit(lua)?;
        match key {
            Value::String(key) if !self.array => self.set_key(lua, &key.to_str()?, value),
            Value::Integer(_) | Value::Number(_) if self.array => {
                let index = number(key).and_then(place);
                let index = index.ok_or_else(|| mlua::Error::runtime("an index into JSON is a whole number from 1"))?;
                self.set_item(lua, index, value)
            }
            other => Err(mlua::Error::runtime(format!(
                "a JSON {} takes {}, not {}",
                if self.array { "array" } else { "object" },
                if self.array { "numbers from 1 as indexes" } else { "strings as keys" },
                super::kind(other)
            ))),
        }
    }

    fn set_key(&self, lua: &Lua, key: &str, value: &Value) -> mlua::Result<()> {
        if value.is_nil() {
            return self.doc(|doc| doc.remove(self.node, key)).map(|_| ());
        }
        let fragment = fragment(lua, value)?;
        self.doc(|doc| doc.set(self.node, key, &fragment))
    }

    fn set_item(&self, lua: &Lua, index: usize, value: &Value) -> mlua::Result<()> {
        if value.is_nil() {
            return match self.len()? {
                len if index + 1 == len => self.doc(|doc| doc.remove_at(self.node, index)).map(|_| ()),
                len if index >= len => Ok(()),
                _ => Err(mlua::Error::runtime("nil would leave a hole in the array; use json.remove(array, index)")),
            };
        }
        let fragment = fragment(lua, value)?;
        self.doc(|doc| doc.set_at(self.node, index, &fragment))
    }

    /// Puts an item before the one at `index`, counted from 0; at the end when there is none.
    pub(super) fn insert(&self, lua: &Lua, index: Option<usize>, value: &Value) -> mlua::Result<()> {
        self.source.may_edit(lua)?;
        let fragment = fragment(lua, value)?;
        let index = match index {
            Some(index) => index,
            None => self.len()?,
        };
        self.doc(|doc| doc.insert_at(self.node, index, &fragment))
    }

    /// Removes the item at `index`, counted from 0, or the last one.
    pub(super) fn remove(&self, lua: &Lua, index: Option<usize>) -> mlua::Result<bool> {
        self.source.may_edit(lua)?;
        let index = match index {
            Some(index) => index,
            None => match self.len()?.checked_sub(1) {
                Some(last) => last,
                None => return Ok(false),
            },
        };
        self.doc(|doc| doc.remove_at(self.node, index))
    }

    /// Walks over what is there when the walk begins.
    fn iterate(lua: &Lua, view: View) -> mlua::Result<MultiValue> {
        let keys = if view.array { Vec::new() } else { view.keys()? };
        let len = if view.array { view.len()? } else { keys.len() };
        let mut next = 0;
        let step = lua.create_function_mut(move |lua, _: MultiValue| {
            while next < len {
                let at = next;
                next += 1;
                let (key, value) = match keys.get(at) {
                    Some(key) => (key.as_str().into_lua(lua)?, view.get(lua, key)?),
                    None => ((at + 1).into_lua(lua)?, view.at(lua, count(at + 1))?),
                };
                if !value.is_nil() || view.array {
                    return Ok((key, value));
                }
            }
            Ok((Value::Nil, Value::Nil))
        })?;
        Ok([Value::Function(step)].into_iter().collect())
    }
}

impl UserData for View {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, this, key: Value| match &key {
            Value::String(key) if !this.array => this.get(lua, &key.to_str()?),
            Value::Integer(_) | Value::Number(_) if this.array => this.at(lua, number(&key).unwrap_or_default()),
            _ => Ok(Value::Nil),
        });
        methods.add_meta_method(MetaMethod::NewIndex, |lua, this, (key, value): (Value, Value)| {
            this.set(lua, &key, &value)
        });
        methods.add_meta_method(MetaMethod::Len, |_, this, ()| this.len());
        methods.add_meta_method(MetaMethod::Iter, |lua, this, ()| {
            Self::iterate(lua, Self { source: this.source.clone(), node: this.node, array: this.array })
        });
        methods.add_meta_method(MetaMethod::ToString, |lua, this, ()| -> mlua::Result<LuaString> {
            lua.create_string(this.bytes()?)
        });
    }
}

/// The place of an index counted from 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
pub(super) fn place(index: f64) -> Option<usize> {
    (index.fract() == 0.0 && (1.0..=4e9).contains(&index)).then(|| index as usize - 1)
}

#[expect(clippy::cast_precision_loss, reason = "a document has fewer than 2^32 items")]
fn count(index: usize) -> f64 {
    index as f64
}

/// A value that is neither object nor array. Null reads as nil: in Lua everything else would be true.
pub(super) fn scalar(lua: &Lua, item: Item<'_>) -> mlua::Result<Value> {
    match item {
        Item::Bool(value) => Ok(Value::Boolean(value)),
        Item::Number(text) => Ok(Value::Number(text.parse().unwrap_or(f64::NAN))),
        Item::String(text) => lua.create_string(text.as_bytes()).map(Value::String),
        Item::Null | Item::Object(_) | Item::Array(_) => Ok(Value::Nil),
    }
}
