//! What requests and responses have in common for policies: a body that may have to be waited for, as text or as JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use mlua::{Lua, Value};

use super::json::encode;
use super::view::{Epoch, Source, View};
use crate::json::{Doc, Item};
use crate::message::{Body, HasBody, Shared};
use crate::policy::failure::Raised;
use crate::policy::host::Host;

/// A message's body, as policies hold it.
pub(super) struct BodyOf<M> {
    /// The message.
    pub(super) message: Shared<M>,
    /// Counts the bodies it has had: a view of an older one is no longer good.
    pub(super) epoch: Arc<AtomicU32>,
}

// === impl BodyOf ===

impl<M> Clone for BodyOf<M> {
    fn clone(&self) -> Self {
        Self { message: self.message.clone(), epoch: Arc::clone(&self.epoch) }
    }
}

impl<M: HasBody> BodyOf<M> {
    pub(super) fn new(message: &Shared<M>) -> Self {
        Self { message: message.clone(), epoch: Arc::default() }
    }

    /// Waits until the body is here.
    pub(super) async fn wait(&self) -> mlua::Result<()> {
        self.message.read().await.map_err(|error| Raised::Told(error).into())
    }

    /// The body as text.
    pub(super) fn text(&self, lua: &Lua) -> mlua::Result<Value> {
        let bytes = self.message.lock().body_mut().bytes().unwrap_or_default();
        lua.create_string(&bytes).map(Value::String)
    }

    /// A view of the body as JSON; `nil` and why when it is none.
    pub(super) fn json(
        &self,
        lua: &Lua,
        source: impl FnOnce(Epoch) -> Source,
    ) -> mlua::Result<(Value, Option<String>)> {
        let limits = Host::of(lua)?.limits.json;
        let mut message = self.message.lock();
        let body = message.body_mut();
        if body.bytes().is_some_and(|bytes| bytes.is_empty()) {
            return Ok((Value::Nil, Some("the body is empty".to_owned())));
        }
        let doc: &mut Doc = match body.json(limits) {
            Ok(doc) => doc,
            Err(error) => return Ok((Value::Nil, Some(format!("the body is not JSON: {error}")))),
        };
        let (node, array) = match doc.root() {
            Ok(Item::Object(node)) => (node, false),
            Ok(Item::Array(node)) => (node, true),
            Ok(scalar) => return super::view::scalar(lua, scalar).map(|value| (value, None)),
            Err(error) => return Ok((Value::Nil, Some(format!("the body is not JSON: {error}")))),
        };
        drop(message);
        let at = self.epoch.load(Ordering::Relaxed);
        let source = source(Epoch { counter: Arc::clone(&self.epoch), at });
        let view = lua.create_any_userdata(View { source, node, array })?;
        Ok((Value::UserData(view), None))
    }

    /// Replaces the body.
    pub(super) fn set(&self, bytes: Bytes) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        self.message.fill(if bytes.is_empty() { Body::Empty } else { Body::Whole(bytes) });
    }

    /// Replaces the body by a value as JSON. A view of this very body is there already, edits and all.
    pub(super) fn set_json(
        &self,
        lua: &Lua,
        value: &Value,
        is_own: impl FnOnce(&Source) -> bool,
    ) -> mlua::Result<bool> {
        if let Value::UserData(data) = value
            && let Ok(view) = data.borrow::<View>()
            && is_own(&view.source)
            && view.is_root()?
        {
            return Ok(false);
        }
        self.set(encode(lua, value)?);
        Ok(true)
    }
}
