//! What can be asked of the admin listener: one table, and who may ask.

use std::net::IpAddr;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Admin, Said, cache, endpoints, generations, lines, tapes};
use crate::edge::local::Asked;
use crate::gate::reload::Denied;

/// The header that every POST carries. A page in a browser cannot send it to another site unasked.
const HEADER: &str = "x-tidegate-admin";

/// One thing that can be asked for.
struct Route {
    method: Method,
    path: &'static str,
    /// Whether any name for this machine will do: what monitors ask for by a name, and nobody can misuse.
    open: bool,
    /// What it does, in a few words.
    about: &'static str,
    act: Act,
}

/// Does what is asked for. It may wait; what computes for long belongs on a thread of its own.
type Act = for<'a> fn(&'a Admin, Asked) -> BoxFuture<'a, Result<Said, Denied>>;

/// Everything that can be asked for.
static ROUTES: &[Route] = &[
    get("/-/health", true, "whether the gate runs", |_, _| {
        Box::pin(async { Ok(Said::json(&json!({"status": "ok"}))) })
    }),
    get("/-/status", true, "what serves, what waits, what failed", |admin, _| {
        Box::pin(async { Ok(Said::json(&admin.status())) })
    }),
    get("/-/metrics", true, "counters for Prometheus", |admin, _| Box::pin(async { Ok(metrics(admin)) })),
    get("/-/generations", false, "the bundles that are kept", |admin, _| Box::pin(generations::list(admin))),
    post("/-/rollback", "go back to a generation", |admin, asked| Box::pin(generations::rollback(admin, asked))),
    post("/-/promote", "let a generation serve", |admin, asked| Box::pin(generations::promote(admin, asked))),
    post("/-/preview", "a token for a generation that does not serve", |admin, asked| {
        Box::pin(generations::preview(admin, asked))
    }),
    post("/-/health/reset", "close the breakers of endpoints", |admin, asked| {
        Box::pin(async move { endpoints::reset(admin, &asked) })
    }),
    get("/-/exchanges", false, "the last exchanges", |admin, _| Box::pin(async { Ok(tapes::list(admin)) })),
    post("/-/record", "cases of the last exchanges", |admin, asked| Box::pin(tapes::record(admin, asked))),
    post("/-/explain", "why an exchange came to what it did", |admin, asked| Box::pin(tapes::explain(admin, asked))),
    get("/-/cache", false, "what the cache holds and did", |admin, _| Box::pin(async { Ok(cache::stats(admin)) })),
    post("/-/cache/purge", "take stored answers away", |admin, asked| Box::pin(cache::purge(admin, asked))),
    post("/-/cache/key", "what the cache key of an exchange is made of", |admin, asked| {
        Box::pin(tapes::key(admin, asked))
    }),
    get("/-/", false, "this list", |_, _| Box::pin(async { Ok(Said::json(&json!(listed()))) })),
];

const fn get(path: &'static str, open: bool, about: &'static str, act: Act) -> Route {
    Route { method: Method::GET, path, open, about, act }
}

const fn post(path: &'static str, about: &'static str, act: Act) -> Route {
    Route { method: Method::POST, path, open: false, about, act }
}

/// Does what is asked for, if it can be asked for like this.
pub(super) async fn answer(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let route = route(&asked)?;
    allowed(route, &asked)?;
    (route.act)(admin, asked).await
}

fn route(asked: &Asked) -> Result<&'static Route, Denied> {
    let here: Vec<&'static Route> = ROUTES.iter().filter(|route| route.path == asked.uri.path()).collect();
    if here.is_empty() {
        let known: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
        return Err(Denied::new(404, format!("there is {}", known.join(", "))));
    }
    here.iter().copied().find(|route| route.method == asked.method).ok_or_else(|| {
        let methods: Vec<&str> = here.iter().map(|route| route.method.as_str()).collect();
        Denied::new(405, format!("only {}", methods.join(", ")))
    })
}

/// Refuses what a page in somebody's browser could send without that person knowing.
fn allowed(route: &Route, asked: &Asked) -> Result<(), Denied> {
    if !route.open && !is_this_machine(asked) {
        let why = "the Host is neither an address nor localhost: a page may have been made to point here";
        return Err(Denied::new(403, why));
    }
    if route.method == Method::POST && !is_meant(&asked.headers) {
        return Err(Denied::new(403, format!("a POST needs the header `{HEADER}: 1`")));
    }
    Ok(())
}

/// Whether a request names this machine by an address. A name could be made to point here by whoever owns it.
fn is_this_machine(asked: &Asked) -> bool {
    let mut hosts = asked.headers.get_all("host").iter();
    let host = match (asked.uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, None) => Some(authority.as_str()),
        (None, Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    let Some(authority) = host.and_then(|host| host.parse::<http::uri::Authority>().ok()) else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_meant(headers: &HeaderMap) -> bool {
    headers.get(HEADER).is_some_and(|value| value.as_bytes() == b"1")
}

/// The body of a request, as what it should be.
pub(super) fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T, Denied> {
    let bytes = asked.body.as_deref().ok_or_else(|| Denied::new(413, "the body is longer than 64 KiB"))?;
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| Denied::new(400, format!("the body: {error}")))
}

fn metrics(admin: &Admin) -> Said {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    lines::measure(&admin.gate);
    Said { kind, body: admin.gate.metrics.render() }
}

fn listed() -> Vec<serde_json::Value> {
    let show = |route: &Route| json!({"method": route.method.as_str(), "path": route.path, "about": route.about});
    ROUTES.iter().map(show).collect()
}
