//! `req`: the client's request, or the copy of it that one attempt sends.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri};
use mlua::{AnyUserData, Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, UserDataRef, Value};

use super::headers::{Headers, Of};
use super::message::BodyOf;
use super::parts::Reader;
use super::view::Source;
use super::{parts, unknown_field};
use crate::dialect::Dialect;
use crate::message::{Request, RequestHead, Shared};
use crate::policy::host::Host;
use crate::policy::run::RunState;

/// A request.
pub(in crate::policy) struct Req {
    body: BodyOf<Request>,
    run: Arc<RunState>,
    /// Whether it is the copy that one attempt sends.
    attempt: bool,
    /// `headers`, from the first use on.
    headers: Option<AnyUserData>,
}

/// The fields and methods.
pub(in crate::policy) const FIELDS: [&str; 16] = [
    "method",
    "path",
    "query",
    "target",
    "version",
    "client_ip",
    "tls",
    "dialect",
    "api",
    "headers",
    "text",
    "json",
    "parts",
    "wishes",
    "set_text",
    "set_json",
];

// === impl Req ===

impl Req {
    /// A request of an exchange.
    pub(in crate::policy) fn new(message: &Shared<Request>, run: &Arc<RunState>, attempt: bool) -> Self {
        Self { body: BodyOf::new(message), run: Arc::clone(run), attempt, headers: None }
    }

    fn head<R>(&self, look: impl FnOnce(&RequestHead) -> R) -> R {
        look(&self.body.message.lock().head)
    }

    /// Replaces path and query.
    fn set_target(&self, lua: &Lua, path: Option<&str>, query: Option<&str>) -> mlua::Result<()> {
        Host::of(lua)?.may_edit("req.path and req.query")?;
        let head = &mut self.body.message.lock().head;
        let path = path.unwrap_or_else(|| head.uri.path());
        let query = query.or_else(|| head.uri.query()).filter(|query| !query.is_empty());
        let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let parsed: Option<Uri> = target.parse().ok().filter(|_| target.starts_with('/') && !path.contains(['?', '#']));
        let uri =
            parsed.ok_or_else(|| mlua::Error::runtime("req.path must start with / and hold no ?, # or spaces"))?;
        head.set_uri(uri);
        Ok(())
    }

    fn set_method(&self, lua: &Lua, method: &LuaString) -> mlua::Result<()> {
        Host::of(lua)?.may_edit("req.method")?;
        let method = Method::from_bytes(&method.as_bytes()).map_err(|_| mlua::Error::runtime("not a valid method"))?;
        self.body.message.lock().head.set_method(method);
        Ok(())
    }

    fn source(&self) -> impl FnOnce(super::view::Epoch) -> Source + use<> {
        let message = self.body.message.clone();
        move |epoch| Source::Request { message, epoch }
    }

    fn set_type(&self, kind: &str, only_if_missing: bool) -> mlua::Result<()> {
        let value = HeaderValue::from_str(kind).map_err(|_| mlua::Error::runtime("not a valid content type"))?;
        let head = &mut self.body.message.lock().head;
        if only_if_missing && head.headers.contains_key("content-type") {
            return Ok(());
        }
        head.insert_header("Content-Type", value).map_err(|error| mlua::Error::runtime(error.to_string()))
    }
}

/// Registers the type. Functions that wait are made here and now: once the sandbox is closed they cannot be.
pub(super) fn register(lua: &Lua) -> mlua::Result<()> {
    let text = lua.create_async_function(|lua, this: UserDataRef<Req>| {
        let allowed = Host::of(&lua).and_then(|host| host.may_wait(&lua, "req:text()"));
        let body = this.body.clone();
        async move {
            allowed?;
            body.wait().await?;
            body.text(&lua)
        }
    })?;
    let json = lua.create_async_function(|lua, this: UserDataRef<Req>| {
        let allowed = Host::of(&lua).and_then(|host| host.may_wait(&lua, "req:json()"));
        let (body, source) = (this.body.clone(), this.source());
        async move {
            allowed?;
            body.wait().await?;
            body.json(&lua, source)
        }
    })?;
    let parts = lua.create_async_function(|lua, (this, reader): (UserDataRef<Req>, Option<UserDataRef<Reader>>)| {
        let allowed = Host::of(&lua).and_then(|host| host.may_wait(&lua, "req:parts()"));
        let (body, dialect) = (this.body.clone(), this.run.facts.dialect);
        async move {
            allowed?;
            body.wait().await?;
            let request = body.message.lock();
            match reader {
                Some(reader) => parts::of(&lua, dialect, &request, &reader),
                None => parts::of(&lua, dialect, &request, &Reader::default()),
            }
        }
    })?;
    let wishes = lua.create_async_function(|lua, this: UserDataRef<Req>| {
        let allowed = Host::of(&lua).and_then(|host| host.may_wait(&lua, "req:wishes()"));
        let body = this.body.clone();
        async move {
            allowed?;
            body.wait().await?;
            parts::wishes(&lua, &mut body.message.lock())
        }
    })?;
    lua.register_userdata_type::<Req>(|registry| {
        registry.add_field("text", text);
        registry.add_field("json", json);
        registry.add_field("parts", parts);
        registry.add_field("wishes", wishes);
        Req::register(registry);
    })
}

impl UserData for Req {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("method", |lua, this| this.head(|head| lua.create_string(head.method.as_str())));
        fields.add_field_method_get("path", |lua, this| this.head(|head| lua.create_string(head.uri.path())));
        fields.add_field_method_get("query", |lua, this| {
            this.head(|head| lua.create_string(head.uri.query().unwrap_or_default()))
        });
        fields.add_field_method_get("target", |_, this| this.head(|head| Ok(head.uri.to_string())));
        fields.add_field_method_get("version", |_, this| this.head(|head| Ok(format!("{:?}", head.version))));
        fields.add_field_method_get("client_ip", |_, this| Ok(this.run.facts.client_ip.to_string()));
        fields.add_field_method_get("tls", |_, this| Ok(this.run.facts.tls));
        fields.add_field_method_get("dialect", |_, this| Ok(this.run.facts.dialect.map(Dialect::as_str)));
        fields.add_field_method_get("api", |_, this| Ok(this.run.facts.dialect.map(Dialect::as_str)));
        fields.add_field_function_get("headers", |lua, this| {
            let mut this = this.borrow_mut::<Self>()?;
            if let Some(headers) = &this.headers {
                return Ok(headers.clone());
            }
            let of = Of::Request { message: this.body.message.clone(), attempt: this.attempt };
            let headers = lua.create_any_userdata(Headers { of })?;
            this.headers = Some(headers.clone());
            Ok(headers)
        });
        fields.add_field_method_set("method", |lua, this, method: LuaString| this.set_method(lua, &method));
        fields.add_field_method_set("path", |lua, this, path: String| this.set_target(lua, Some(&path), None));
        fields.add_field_method_set("query", |lua, this, query: Option<String>| {
            this.set_target(lua, None, Some(query.as_deref().unwrap_or_default()))
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("set_text", |lua, this, (text, kind): (LuaString, Option<String>)| {
            Host::of(lua)?.may_edit("the request's body")?;
            this.body.set(Bytes::copy_from_slice(&text.as_bytes()));
            this.set_type(kind.as_deref().unwrap_or("text/plain; charset=utf-8"), kind.is_none())
        });
        methods.add_method("set_json", |lua, this, value: Value| {
            Host::of(lua)?.may_edit("the request's body")?;
            let own =
                |source: &Source| matches!(source, Source::Request { epoch, .. } if epoch.is_of(&this.body.epoch));
            if this.body.set_json(lua, &value, own)? { this.set_type("application/json", true) } else { Ok(()) }
        });
        methods.add_meta_method(MetaMethod::Index, |_, _, key: Value| -> mlua::Result<()> {
            Err(unknown_field("req", &FIELDS, &key))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(this.head(|head| format!("{} {}", head.method, head.uri.path())))
        });
    }
}
