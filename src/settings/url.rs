//! The address of an HTTP service as settings write it: scheme, host, port and a path prefix, nothing secret.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde_json::Value as Json;

use super::parse::{Node, Reader, Value};

/// An `http://` or `https://` address with an optional path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// The host's name or address, without brackets, in small letters.
    pub host: String,
    /// The port; the scheme's own when none is written.
    pub port: u16,
    /// What stands before the request's path: empty, or with a slash at its start and none at its end.
    pub prefix: String,
}

// === impl Url ===

impl Url {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether `uri` lies at this address or below it: same scheme, host and port, and the prefix as whole path
    /// segments. A path that climbs with `..`, escaped or not, lies nowhere.
    pub fn covers(&self, uri: &Uri) -> bool {
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return false,
        };
        let Some(authority) = uri.authority().filter(|authority| !authority.as_str().contains('@')) else {
            return false;
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let below = uri.path().strip_prefix(&self.prefix);
        tls == self.tls
            && port == self.port
            && host.eq_ignore_ascii_case(&self.host)
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            && !climbs(uri.path())
    }
}

impl FromStr for Url {
    type Err = String;

    /// The errors do not repeat the text: a key may have been pasted into it.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(['?', '#']) {
            return Err("the URL may have a path, but no `?` or `#`".to_owned());
        }
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("the URL must start with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("the URL names no host")?;
        if authority.as_str().contains('@') {
            return Err("a name or password does not belong in a URL: set `headers`".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("the URL names no host".to_owned());
        }
        let port = match authority.port_u16() {
            Some(0) => return Err("the URL's port must not be 0".to_owned()),
            Some(port) => port,
            None if authority.as_str().len() > authority.host().len() => {
                return Err("the URL's port is not a number up to 65535".to_owned());
            }
            None if tls => 443,
            None => 80,
        };
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, prefix: uri.path().trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

/// Whether a path has a `..` segment, with its dots escaped or not (RFC 3986 §5.2.4, §6.2.2.2); servers differ in
/// whether a backslash or an escaped slash separates segments, so both count.
fn climbs(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
    path.split(['/', '\\']).any(|segment| segment == "..")
}

impl Value for Url {
    fn kind() -> String {
        "URL".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        reader.parsed(node, "a URL like \"http://127.0.0.1:9000\"", str::parse)
    }

    fn shown(&self) -> Json {
        self.to_string().into()
    }
}
