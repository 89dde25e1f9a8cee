//! `headers` of a request or response: looked up in place, edited with care for what frames the message.

use http::{HeaderMap, HeaderName, HeaderValue};
use mlua::{AnyUserData, IntoLua, Lua, LuaString, MetaMethod, MultiValue, UserData, UserDataMethods, Value};

use super::secret::Secret;
use crate::message::{Request, Response, Shared};
use crate::policy::host::Host;

/// The headers of a message.
pub(in crate::policy) struct Headers {
    /// Whose they are.
    pub(super) of: Of,
}

/// The message that headers belong to.
pub(super) enum Of {
    /// A request; `attempt` for the copy that one endpoint is sent.
    Request { message: Shared<Request>, attempt: bool },
    /// A response.
    Response(Shared<Response>),
}

/// The methods, for `api.d.luau`.
#[cfg(test)]
pub(in crate::policy) const METHODS: [&str; 6] = ["get", "get_all", "has", "set", "append", "delete"];

/// Headers that say where a message ends or belong to one connection: the gate's own.
const FRAMING: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

// === impl Headers ===

impl Headers {
    fn with<R>(&self, look: impl FnOnce(&HeaderMap) -> R) -> R {
        match &self.of {
            Of::Request { message, .. } => look(&message.lock().head.headers),
            Of::Response(message) => look(&message.lock().head.headers),
        }
    }

    fn edit(&self, lua: &Lua, edit: Edit, name: &LuaString, value: Option<HeaderValue>) -> mlua::Result<()> {
        let name = name.to_str()?.to_owned();
        let may_name_host = matches!(self.of, Of::Request { attempt: true, .. });
        Host::of(lua)?.may_edit("headers")?;
        refuse_framing(&name, may_name_host)?;
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(mlua::Error::runtime(format!("`{name}` is not a valid header name")));
        }
        let done = match &self.of {
            Of::Request { message, .. } => {
                let head = &mut message.lock().head;
                match (edit, value) {
                    (Edit::Set, Some(value)) => head.insert_header(name, value),
                    (Edit::Append, Some(value)) => head.append_header(name, value).map(|_| ()),
                    _ => {
                        head.remove_header(name.as_str());
                        Ok(())
                    }
                }
            }
            Of::Response(message) => {
                let head = &mut message.lock().head;
                match (edit, value) {
                    (Edit::Set, Some(value)) => head.insert_header(name, value),
                    (Edit::Append, Some(value)) => head.append_header(name, value).map(|_| ()),
                    _ => {
                        head.remove_header(name.as_str());
                        Ok(())
                    }
                }
            }
        };
        done.map_err(|error| mlua::Error::runtime(error.to_string()))
    }
}

/// What is done to a header.
#[derive(Clone, Copy)]
enum Edit {
    Set,
    Append,
    Delete,
}

impl UserData for Headers {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("get", |lua, this, name: LuaString| {
            let name = name.to_str()?;
            this.with(|headers| headers.get(&*name).map(|value| lua.create_string(value.as_bytes())).transpose())
        });
        methods.add_method("get_all", |lua, this, name: LuaString| {
            let name = name.to_str()?;
            this.with(|headers| {
                let values = headers.get_all(&*name).iter().map(|value| lua.create_string(value.as_bytes()));
                lua.create_sequence_from(values.collect::<mlua::Result<Vec<_>>>()?)
            })
        });
        methods.add_method("has", |_, this, name: LuaString| {
            let name = name.to_str()?;
            Ok(this.with(|headers| headers.contains_key(&*name)))
        });
        methods.add_method("set", |lua, this, (name, value): (LuaString, Value)| {
            let value = value_of(&value)?;
            this.edit(lua, Edit::Set, &name, Some(value))
        });
        methods.add_method("append", |lua, this, (name, value): (LuaString, Value)| {
            let value = value_of(&value)?;
            this.edit(lua, Edit::Append, &name, Some(value))
        });
        methods.add_method("delete", |lua, this, name: LuaString| this.edit(lua, Edit::Delete, &name, None));
        methods.add_meta_method(MetaMethod::Iter, |lua, this, ()| iterate(lua, this));
        methods.add_meta_function(MetaMethod::ToString, |_, _: AnyUserData| Ok("headers"));
    }
}

/// Walks over a copy, so that headers can be edited on the way.
fn iterate(lua: &Lua, headers: &Headers) -> mlua::Result<MultiValue> {
    let copy: Vec<(String, Vec<u8>)> = headers.with(|headers| {
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
    });
    let mut rest = copy.into_iter();
    let next = lua.create_function_mut(move |lua, _: MultiValue| match rest.next() {
        Some((name, value)) => Ok((name.into_lua(lua)?, Value::String(lua.create_string(&value)?))),
        None => Ok((Value::Nil, Value::Nil)),
    })?;
    Ok([Value::Function(next)].into_iter().collect())
}

/// A header's value: text without control characters, a number, or a secret. CR, LF and NUL would start another header.
pub(super) fn value_of(value: &Value) -> mlua::Result<HeaderValue> {
    let wrong = || mlua::Error::runtime("a header value must not contain CR, LF, NUL or other control characters");
    match value {
        Value::String(text) => HeaderValue::from_bytes(&text.as_bytes()).map_err(|_| wrong()),
        Value::Number(_) | Value::Integer(_) => HeaderValue::from_str(&value.to_string()?).map_err(|_| wrong()),
        Value::UserData(data) if data.is::<Secret>() => {
            let mut value = HeaderValue::from_str(&data.borrow::<Secret>()?.reveal()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok(value)
        }
        other => Err(mlua::Error::runtime(format!("a header value must be a string, not {}", super::kind(other)))),
    }
}

/// Refuses headers that are the gate's own to write.
pub(super) fn refuse_framing(name: &str, may_name_host: bool) -> mlua::Result<()> {
    if FRAMING.iter().any(|framing| name.eq_ignore_ascii_case(framing)) {
        return Err(mlua::Error::runtime(format!(
            "header {name}: the gate frames messages itself, a policy cannot change it"
        )));
    }
    if name.eq_ignore_ascii_case("host") && !may_name_host {
        return Err(mlua::Error::runtime(
            "header host: it can be changed in on_attempt only; to send the request elsewhere, use route",
        ));
    }
    Ok(())
}
