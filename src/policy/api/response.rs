//! `res`: the response on its way to the client, or what a policy's own call brought.

use bytes::Bytes;
use http::HeaderValue;
use mlua::{AnyUserData, Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, UserDataRef, Value};

use super::headers::{Headers, Of};
use super::message::BodyOf;
use super::unknown_field;
use super::view::Source;
use crate::message::{Response, ServedBy, Shared};
use crate::policy::host::Host;

/// A response.
pub(in crate::policy) struct Res {
    body: BodyOf<Response>,
    /// `headers`, from the first use on.
    headers: Option<AnyUserData>,
}

/// The fields and methods.
pub(in crate::policy) const FIELDS: [&str; 11] = [
    "status",
    "streaming",
    "committed",
    "served_by",
    "stale",
    "headers",
    "text",
    "json",
    "set_text",
    "set_json",
    "upstream",
];

// === impl Res ===

impl Res {
    /// A response.
    pub(in crate::policy) fn new(message: &Shared<Response>) -> Self {
        Self { body: BodyOf::new(message), headers: None }
    }

    fn source(&self) -> impl FnOnce(super::view::Epoch) -> Source + use<> {
        let message = self.body.message.clone();
        move |epoch| Source::Response { message, epoch }
    }

    fn set_type(&self, kind: &str, only_if_missing: bool) -> mlua::Result<()> {
        let value = HeaderValue::from_str(kind).map_err(|_| mlua::Error::runtime("not a valid content type"))?;
        let head = &mut self.body.message.lock().head;
        if only_if_missing && head.headers.contains_key("content-type") {
            return Ok(());
        }
        head.insert_header("Content-Type", value).map_err(|error| mlua::Error::runtime(error.to_string()))
    }

    /// Streams go through `on_event`; their body cannot be had at once.
    fn whole(&self, what: &str) -> mlua::Result<()> {
        if self.body.message.lock().streaming {
            return Err(mlua::Error::runtime(format!(
                "{what}: this response is a stream; edit its events in on_event"
            )));
        }
        Ok(())
    }

    fn editable(&self, lua: &Lua) -> mlua::Result<()> {
        Host::of(lua)?.may_edit("the response's body")?;
        self.whole("the body cannot be set")
    }
}

/// Registers the type. Functions that wait are made here and now: once the sandbox is closed they cannot be.
pub(super) fn register(lua: &Lua) -> mlua::Result<()> {
    let text = lua.create_async_function(|lua, this: UserDataRef<Res>| {
        let allowed = this.whole("res:text()").and_then(|()| Host::of(&lua)?.may_wait(&lua, "res:text()"));
        let body = this.body.clone();
        async move {
            allowed?;
            body.wait().await?;
            body.text(&lua)
        }
    })?;
    let json = lua.create_async_function(|lua, this: UserDataRef<Res>| {
        let allowed = this.whole("res:json()").and_then(|()| Host::of(&lua)?.may_wait(&lua, "res:json()"));
        let (body, source) = (this.body.clone(), this.source());
        async move {
            allowed?;
            body.wait().await?;
            body.json(&lua, source)
        }
    })?;
    lua.register_userdata_type::<Res>(|registry| {
        registry.add_field("text", text);
        registry.add_field("json", json);
        Res::register(registry);
    })
}

impl UserData for Res {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("status", |_, this| Ok(this.body.message.lock().head.status.as_u16()));
        fields.add_field_method_get("streaming", |_, this| Ok(this.body.message.lock().streaming));
        fields.add_field_method_get("committed", |_, this| Ok(this.body.message.lock().committed));
        fields.add_field_method_get("served_by", |_, this| {
            Ok(match this.body.message.lock().served_by {
                ServedBy::Upstream { .. } => "upstream",
                ServedBy::Cache { .. } => "cache",
                ServedBy::Policy => "policy",
            })
        });
        fields.add_field_method_get("stale", |_, this| {
            Ok(matches!(this.body.message.lock().served_by, ServedBy::Cache { stale: true, .. }))
        });
        fields.add_field_method_get("upstream", |_, this| {
            Ok(match &this.body.message.lock().served_by {
                ServedBy::Upstream { upstream, .. } => Some(upstream.clone()),
                ServedBy::Cache { .. } | ServedBy::Policy => None,
            })
        });
        fields.add_field_function_get("headers", |lua, this| {
            let mut this = this.borrow_mut::<Self>()?;
            if let Some(headers) = &this.headers {
                return Ok(headers.clone());
            }
            let headers = lua.create_any_userdata(Headers { of: Of::Response(this.body.message.clone()) })?;
            this.headers = Some(headers.clone());
            Ok(headers)
        });
        fields.add_field_method_set("status", |lua, this, status: u16| {
            Host::of(lua)?.may_edit("res.status")?;
            if !(200..600).contains(&status) {
                return Err(mlua::Error::runtime("res.status must be 200 to 599"));
            }
            let head = &mut this.body.message.lock().head;
            head.set_status(status).map_err(|error| mlua::Error::runtime(error.to_string()))
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("set_text", |lua, this, (text, kind): (LuaString, Option<String>)| {
            this.editable(lua)?;
            this.body.set(Bytes::copy_from_slice(&text.as_bytes()));
            this.set_type(kind.as_deref().unwrap_or("text/plain; charset=utf-8"), kind.is_none())
        });
        methods.add_method("set_json", |lua, this, value: Value| {
            this.editable(lua)?;
            let own =
                |source: &Source| matches!(source, Source::Response { epoch, .. } if epoch.is_of(&this.body.epoch));
            if this.body.set_json(lua, &value, own)? { this.set_type("application/json", true) } else { Ok(()) }
        });
        methods.add_meta_method(MetaMethod::Index, |_, _, key: Value| -> mlua::Result<()> {
            Err(unknown_field("res", &FIELDS, &key))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(format!("response {}", this.body.message.lock().head.status.as_u16()))
        });
    }
}
