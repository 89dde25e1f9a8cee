//! Endpoints by the admin listener: what an operator knows better than the gate.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::routes::body;
use super::{Admin, Said};
use crate::edge::local::Asked;
use crate::gate::reload::Denied;

/// Which endpoints are meant; all of them when nothing is named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    upstream: Option<String>,
    endpoint: Option<String>,
}

/// Closes the breakers of all endpoints, or of those that `upstream` and `endpoint` name, in the query or as JSON, and
/// forgets the limits that they told of.
pub(super) fn reset(admin: &Admin, asked: &Asked) -> Result<Said, Denied> {
    let named: Named = body(asked)?;
    let (mut upstream, mut endpoint) = (named.upstream.map(Cow::Owned), named.endpoint.map(Cow::Owned));
    for pair in asked.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("upstream", name)) => upstream = Some(plain(name)),
            Some(("endpoint", name)) => endpoint = Some(plain(name)),
            _ => return Err(Denied::new(400, "the query may hold `upstream` and `endpoint`, each with a name")),
        }
    }
    match admin.gate.health.reset(upstream.as_deref(), endpoint.as_deref()) {
        0 => Err(Denied::new(404, "there is no such endpoint")),
        count => Ok(Said::json(&json!({"reset": count}))),
    }
}

/// A name as it was before it was put into a URL.
fn plain(name: &str) -> Cow<'_, str> {
    if !name.contains('%') {
        return name.into();
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}
