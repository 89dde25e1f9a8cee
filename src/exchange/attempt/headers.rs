//! The headers of a translated request: the key as the upstream wants it shown, and nothing that is another maker's.

use http::HeaderValue;

use crate::dialect::Dialect;
use crate::dialect::servers::{Auth, Server};
use crate::message::{HeadError, RequestHead};
use crate::upstream::Endpoint;

/// Headers in which clients show keys.
const KEYS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// The version of Anthropic's API that translated requests are written for ("API versions").
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Takes the client's key out of a request to an endpoint whose settings bring one: an upstream sees no key but its own.
/// Google's APIs look for one in the query too.
pub(super) fn hide_key(head: &mut RequestHead, server: &Server, endpoint: &Endpoint) -> Result<(), HeadError> {
    let set = |name: &str| endpoint.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    if !KEYS.into_iter().any(set) {
        return Ok(());
    }
    for name in KEYS.into_iter().filter(|name| !set(name)) {
        head.remove_header(name);
    }
    match without_key(head.raw_path()) {
        Some(target) if server.auth == Auth::Goog => head.set_raw_path(&target),
        _ => Ok(()),
    }
}

/// A target without the key in its query, the rest byte for byte; `None` for one without a key.
fn without_key(target: &[u8]) -> Option<Vec<u8>> {
    let at = memchr::memchr(b'?', target)?;
    let (path, query) = (target.get(..at)?, target.get(at + 1..)?);
    let is_key = |pair: &&[u8]| *pair == b"key" || pair.starts_with(b"key=");
    let pairs = || query.split(|byte| *byte == b'&');
    pairs().find(is_key)?;
    let rest = pairs().filter(|pair| !is_key(pair)).collect::<Vec<_>>().join(&b'&');
    Some(if rest.is_empty() { path.to_vec() } else { [path, &rest].join(&b'?') })
}

/// Gives a request the headers that its new dialect needs. A key of the settings replaces the client's; the client's
/// own is moved to where the server looks for it.
pub(super) fn translate(head: &mut RequestHead, server: &Server, endpoint: &Endpoint, target: &str) {
    let set = |name: &str| endpoint.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    let key = shown(head, target);
    for name in KEYS.into_iter().filter(|name| !set(name)) {
        head.remove_header(name);
    }
    let keyed = KEYS.into_iter().any(set);
    if let Some((name, value)) = key.filter(|_| !keyed).and_then(|key| server.auth.header(&key))
        && let Ok(mut value) = HeaderValue::try_from(value)
    {
        value.set_sensitive(true);
        let _ = head.insert_header(name, value);
    }
    let anthropic = server.chat == Dialect::Anthropic;
    let foreign: Vec<String> = head
        .headers
        .keys()
        .map(|name| name.as_str().to_owned())
        .filter(|name| foreign(name, server) && !set(name))
        .collect();
    for name in foreign {
        head.remove_header(name.as_str());
    }
    if anthropic && !head.headers.contains_key("anthropic-version") {
        let _ = head.insert_header("Anthropic-Version", ANTHROPIC_VERSION);
    }
    let _ = head.insert_header("Content-Type", "application/json");
    let _ = head.insert_header("Accept-Encoding", "identity");
}

/// The key that the client showed, wherever its dialect has it.
fn shown(head: &RequestHead, target: &str) -> Option<String> {
    let value = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = value("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("key="));
    let key = bearer.or_else(|| value("x-api-key")).or_else(|| value("api-key")).or_else(|| value("x-goog-api-key"));
    key.or(asked).filter(|key| !key.is_empty()).map(str::to_owned)
}

/// Whether a header speaks of another maker's API.
fn foreign(name: &str, server: &Server) -> bool {
    let own = match server.auth {
        Auth::XApiKey => "anthropic-",
        Auth::Goog => "x-goog-",
        Auth::Bearer | Auth::ApiKey => "openai-",
        Auth::None => "",
    };
    ["anthropic-", "openai-", "x-goog-"].into_iter().any(|prefix| prefix != own && name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leaves_the_query_and_the_rest_stays_as_it_is() {
        let cases = [
            ("/m:gen?key=k", Some("/m:gen")),
            ("/m:gen?alt=sse&key=k", Some("/m:gen?alt=sse")),
            ("/m:gen?key=a&alt=sse&key=b&key", Some("/m:gen?alt=sse")),
            ("/m:gen?alt=%73se&&x=1&key=", Some("/m:gen?alt=%73se&&x=1")),
            ("/m:gen?keys=1&monkey=2", None),
            ("/key=1", None),
            ("/m?", None),
        ];
        for (target, left) in cases {
            let found = without_key(target.as_bytes()).map(|left| String::from_utf8(left).unwrap());
            assert_eq!(found.as_deref(), left, "{target}");
        }
    }
}
