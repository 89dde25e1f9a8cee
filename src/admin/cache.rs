//! The cache by the admin listener: what it holds, and what is to go. Nothing else of what gates share is touched: not
//! what is known of endpoints, nor whom clients were sent to.

use http::Uri;
use serde_json::{Map, Value, json};

use super::routes::body;
use super::{Admin, Said};
use crate::cache::Pick;
use crate::edge::local::Asked;
use crate::gate::reload::Denied;

/// What the stores hold and did.
pub(super) fn stats(admin: &Admin) -> Said {
    let mut shown = admin.gate.cache.show();
    if let Some(http) = admin.gate.cache.http.to_json() {
        shown["http"] = http;
    }
    Said::json(&shown)
}

/// Purges what is meant, in every store, in every preview, and at every gate that shares a Redis with this one.
pub(super) async fn purge(admin: &Admin, asked: Asked) -> Result<Said, Denied> {
    let pick = pick(&asked).map_err(|why| Denied::new(400, why))?;
    let purged = admin.gate.cache.purge(&pick).await;
    admin.gate.flights.part(&pick);
    for lane in admin.gate.lanes.gates() {
        lane.cache.purge(&pick).await;
        lane.flights.part(&pick);
    }
    let mut said = purged.to_json();
    tracing::info!(pick = %json!(pick), purged = %said, "purged");
    said["purged"] = json!(pick);
    Ok(Said::json(&said))
}

/// What is meant: one of `all`, `key`, `tag`, `user` and `model`, in the query or as JSON.
fn pick(asked: &Asked) -> Result<Pick, String> {
    let mut said: Vec<(String, String)> = query(&asked.uri);
    let wish: Map<String, Value> = body(asked).map_err(|denied| denied.message)?;
    for (name, value) in wish {
        match value {
            Value::String(text) => said.push((name, text)),
            Value::Bool(true) if name == "all" => said.push((name, String::new())),
            Value::Null | Value::Bool(false) => {}
            _ => return Err(format!("`{name}` is no text")),
        }
    }
    match said.as_slice() {
        [(name, value)] => Pick::read(name, value),
        [] => Err("which ones? say all, key, tag, user or model".to_owned()),
        _ => Err("say one of all, key, tag, user and model".to_owned()),
    }
}

/// The names and values of a query.
fn query(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (plain(name), plain(value)))
        .collect()
}

/// A text of a query as it was meant: `+` is a space, `%41` an A.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, body: &str) -> Result<Pick, String> {
        let headers = http::HeaderMap::new();
        let uri = target.parse().unwrap();
        pick(&Asked { method: http::Method::POST, uri, headers, body: Some(body.as_bytes().to_vec()) })
    }

    #[test]
    fn one_thing_is_meant_in_the_query_or_in_the_body() {
        assert_eq!(asked("/-/cache/purge?tag=night+shift%21", ""), Ok(Pick::Tag("night shift!".to_owned())));
        assert_eq!(asked("/-/cache/purge", r#"{"user":"ann"}"#), Ok(Pick::User("ann".to_owned())));
        assert_eq!(asked("/-/cache/purge?all", ""), Ok(Pick::All));
        assert_eq!(asked("/-/cache/purge", r#"{"all":true,"tag":null}"#), Ok(Pick::All));
        assert_eq!(asked("/-/cache/purge?model=%e6%bd%ae%", ""), Ok(Pick::Model("潮%".to_owned())));
    }

    #[test]
    fn nothing_and_more_than_one_thing_are_refused() {
        for (target, body) in [
            ("/-/cache/purge", ""),
            ("/-/cache/purge?tag=a&user=b", ""),
            ("/-/cache/purge?tag=a", r#"{"all":true}"#),
            ("/-/cache/purge?health=1", ""),
            ("/-/cache/purge", r#"{"tag":1}"#),
            ("/-/cache/purge", "not json"),
        ] {
            assert!(asked(target, body).is_err(), "{target} {body}");
        }
    }
}
