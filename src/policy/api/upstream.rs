//! `upstream` and `http`: requests that policies make themselves.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use mlua::{Lua, LuaString, Table, Value};
use tokio::task::JoinHandle;

use super::headers::value_of;
use super::json::encode;
use super::response::Res;
use super::{failed, known_keys, seconds};
use crate::message::{Body, Response, ResponseHead, ServedBy, Shared};
use crate::policy::host::Host;
use crate::policy::services::{CallError, CallRequest, CallResponse, Called};
use crate::tape::Tape;

/// A call on a task of its own: it never runs inside the VM, always waits at least once, and ends when the hook is dropped.
struct Call(JoinHandle<Result<CallResponse, CallError>>);

// === impl Call ===

impl Call {
    fn start(called: Called) -> Self {
        Self(tokio::spawn(called))
    }

    async fn finish(mut self) -> Result<CallResponse, CallError> {
        match (&mut self.0).await {
            Ok(result) => result,
            Err(_) => Err(CallError { code: "internal".to_owned(), message: "the call was broken off".to_owned() }),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The table `upstream`.
pub(super) fn upstream(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set(
        "pick",
        lua.create_function(|lua, names: Vec<String>| {
            let host = Host::of(lua)?;
            let services = host.services("upstream.pick")?;
            Ok(host.ask(|| format!("upstream.pick {}", names.join(" ")), || services.pick(&names)))
        })?,
    )?;
    table.raw_set(
        "healthy",
        lua.create_function(|lua, name: String| {
            let host = Host::of(lua)?;
            let services = host.services("upstream.healthy")?;
            Ok(host.ask(|| format!("upstream.healthy {name}"), || services.healthy(&name)))
        })?,
    )?;
    let call = lua.create_async_function(|lua, (name, options): (String, Option<Table>)| {
        let call = begin(&lua, "upstream.call()", options.as_ref(), |services, request, timeout| {
            services.call(name.clone(), request, timeout)
        });
        async move { answer(&lua, name, call).await }
    })?;
    table.raw_set("call", call)?;
    Ok(table)
}

/// The table `http`.
pub(super) fn http(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let fetch = lua.create_async_function(|lua, (url, options): (String, Option<Table>)| {
        let call = begin(&lua, "http.fetch()", options.as_ref(), |services, request, timeout| {
            services.fetch(url.clone(), request, timeout)
        });
        async move { answer(&lua, url, call).await }
    })?;
    table.raw_set("fetch", fetch)?;
    Ok(table)
}

/// Checks the options and starts the call.
fn begin(
    lua: &Lua,
    what: &str,
    options: Option<&Table>,
    start: impl FnOnce(&dyn crate::policy::services::Services, CallRequest, Option<Duration>) -> Called,
) -> mlua::Result<Call> {
    let host = Host::of(lua)?;
    host.may_wait(lua, what)?;
    let services = host.services(what)?;
    let (mut request, timeout) = request(lua, what, options)?;
    request.tape = host.run().map(|run| run.facts.tape.clone()).unwrap_or_default();
    Ok(Call::start(start(&**services, request, timeout)))
}

fn request(lua: &Lua, what: &str, options: Option<&Table>) -> mlua::Result<(CallRequest, Option<Duration>)> {
    let mut request = CallRequest {
        method: String::new(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
        tape: Tape::default(),
    };
    let Some(options) = options else {
        return Ok((CallRequest { method: "GET".to_owned(), ..request }, None));
    };
    known_keys(options, what, &["method", "path", "headers", "json", "text", "timeout"])?;
    let json: Value = options.raw_get("json")?;
    let text: Option<LuaString> = options.raw_get("text")?;
    request.path = options.raw_get::<Option<String>>("path")?.unwrap_or(request.path);
    request.headers = headers(options.raw_get::<Option<Table>>("headers")?.as_ref())?;
    match (text, json.is_nil()) {
        (Some(_), false) => return Err(mlua::Error::runtime(format!("{what}: either `json` or `text`, not both"))),
        (Some(text), true) => request.body = Bytes::copy_from_slice(&text.as_bytes()),
        (None, false) => {
            request.body = encode(lua, &json)?;
            if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
        }
        (None, true) => {}
    }
    let default = if request.body.is_empty() { "GET" } else { "POST" };
    request.method = options.raw_get::<Option<String>>("method")?.unwrap_or_else(|| default.to_owned());
    Ok((request, seconds("timeout", options.raw_get("timeout")?)?))
}

fn headers(table: Option<&Table>) -> mlua::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for pair in table.into_iter().flat_map(Table::pairs::<String, Value>) {
        let (name, value) = pair?;
        super::headers::refuse_framing(&name, true)?;
        let value = value_of(&value)?;
        headers.push((name, String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    headers.sort();
    Ok(headers)
}

/// A response, or `nil` and what went wrong: that an upstream does not answer is not the policy's mistake.
async fn answer(lua: &Lua, from: String, call: mlua::Result<Call>) -> mlua::Result<(Value, Value)> {
    answered(lua, from, call?.finish()).await
}

async fn answered(
    lua: &Lua,
    from: String,
    call: impl Future<Output = Result<CallResponse, CallError>>,
) -> mlua::Result<(Value, Value)> {
    let response = match call.await {
        Ok(response) => response,
        Err(error) => return failed(lua, &error.code, &error.message),
    };
    let wrong = |_| mlua::Error::runtime("the response cannot be represented");
    let mut head = ResponseHead::build(response.status, Some(response.headers.len())).map_err(wrong)?;
    for (name, value) in response.headers {
        head.append_header(name, value).map_err(wrong)?;
    }
    let body = if response.body.is_empty() { Body::Empty } else { Body::Whole(response.body) };
    let served_by = ServedBy::Upstream { upstream: from.clone(), endpoint: from };
    let message = Shared::new(Response { head, body, streaming: false, committed: false, served_by });
    Ok((Value::UserData(lua.create_any_userdata(Res::new(&message))?), Value::Nil))
}
