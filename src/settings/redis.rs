//! Settings of the Redis or Valkey that several gates have in common.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use serde_json::Value as Json;

use super::address::ExistingFile;
use super::parse::{Node, Reader, Value};
use super::secret::{Place, Secret};
use super::section::section;

section! {
    /// A Redis or Valkey that several gates share: stored answers, what is known of endpoints, where answers of `OpenAI`'s
    /// Responses were made, and what is purged. Losing it is a miss and a line in `tidegate status`, never an error.
    pub struct Redis {
        /// Where it is: `redis://HOST:PORT/DB`, or `rediss://` for TLS. With a name or a password in it,
        /// `env:NAME` or `file:path` say where the address is kept. Several, with commas between, are nodes of a cluster.
        url: Option<RedisUrls> = None => restart;
        /// What the names of all keys begin with. No other key is ever touched.
        prefix: String = "tidegate".to_owned() => restart;
        /// How long an exchange waits for an answer of it.
        timeout: Duration = Duration::from_millis(100) => restart;
        /// Certificates that are trusted under `rediss://`, as PEM, in place of the machine's own.
        ca: Option<ExistingFile> = None => restart;
    }
}

/// The addresses of one Redis, or of a cluster's nodes. They may hold a password.
#[derive(Clone, PartialEq)]
pub struct RedisUrls {
    /// The addresses as they are written, with commas between.
    text: Secret,
    /// What may be shown: the reference that was written, or the addresses.
    shown: String,
}

// === impl RedisUrls ===

impl RedisUrls {
    /// Addresses that are written out; `shown` is what may be shown of them.
    pub fn new(text: impl Into<String>, shown: impl Into<String>) -> Self {
        Self { text: Secret::new(text), shown: shown.into() }
    }

    /// Each address as the client library takes it. The error says what is wrong, and nothing secret. A secret is only
    /// read here: cases play with stand-ins.
    pub fn read(&self) -> Result<Vec<ConnectionInfo>, String> {
        let urls = self.text.reveal().split(',').map(str::trim).filter(|url| !url.is_empty());
        let read: Vec<ConnectionInfo> = urls.map(read).collect::<Result<_, _>>()?;
        if read.is_empty() { Err("there is no address: write redis://HOST:PORT".to_owned()) } else { Ok(read) }
    }
}

impl fmt::Debug for RedisUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Value for RedisUrls {
    fn kind() -> String {
        "address, `env:NAME` or `file:path`".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let text = reader.text(node, "an address like \"redis://127.0.0.1:6379\"")?;
        let urls = match Place::parse(text) {
            Some(place) => reader.secret(&place).map(|kept| Self::new(kept, text)),
            None if text.contains('@') => {
                Err("a name or a password does not belong in this file: write `env:NAME` or `file:path`".to_owned())
            }
            None => {
                let urls = Self::new(text, text);
                urls.read().map(|_| urls)
            }
        };
        urls.map_err(|why| reader.fault(node.span(), why)).ok()
    }

    fn shown(&self) -> Json {
        self.shown.as_str().into()
    }
}

/// Reads one address.
fn read(url: &str) -> Result<ConnectionInfo, String> {
    // What the library says of an address may repeat it.
    let wrong = || "an address is not understood: write redis://HOST:PORT or rediss://HOST:PORT".to_owned();
    let info = url.into_connection_info().map_err(|_| wrong())?;
    match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            Err("`#insecure` is not offered: `redis.ca` names the certificates to trust".to_owned())
        }
        ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { .. } => Ok(info),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_their_secrets_never_shown() {
        let one = RedisUrls::new("rediss://ann:secret@cache.test:6380/2", "env:REDIS_URL");
        let hosts = |urls: &RedisUrls| -> Vec<String> {
            urls.read().unwrap().iter().map(|info| info.addr().to_string()).collect()
        };
        assert_eq!(hosts(&one), ["cache.test:6380"]);
        assert_eq!((format!("{one:?}").as_str(), one.shown()), ("env:REDIS_URL", "env:REDIS_URL".into()));
        assert_eq!(hosts(&RedisUrls::new("redis://a:1, redis://b:2,redis://c:3", "x")), ["a:1", "b:2", "c:3"]);
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for wrong in ["", ",", "http://secret", "secret", "redis://:secret@host:port", "rediss://h:1/#insecure"] {
            let why = RedisUrls::new(wrong, "x").read().unwrap_err();
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
