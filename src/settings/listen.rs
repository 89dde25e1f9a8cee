//! Settings of the addresses that the gate opens, and of the traces it leaves on what it forwards.

use std::net::{Ipv4Addr, SocketAddr};

use http::HeaderName;
use ipnet::IpNet;
use serde_json::Value as Json;

use super::address::ExistingFile;
use super::parse::{Node, Reader, Value};
use super::section::section;

section! {
    /// An address for clients.
    pub struct Listen {
        /// The address to listen on. One that is not loopback opens the gate to the network.
        address: SocketAddr => restart;
        /// Whether clients may speak HTTP/2 without TLS, by prior knowledge.
        h2c: bool = false => restart;
        /// The certificate to serve TLS with; plain HTTP without.
        tls: Option<Tls> = None => restart;
    }
}

section! {
    /// A certificate and its key, in PEM files.
    pub struct Tls {
        /// The certificate, followed by those that signed it.
        cert: ExistingFile => restart;
        /// Its private key.
        key: ExistingFile => restart;
    }
}

section! {
    /// The address for status, metrics and review.
    pub struct Admin {
        /// The address to listen on.
        address: SocketAddr = loopback(8801) => restart;
        /// Whether the address may be other than loopback. Whoever reaches it sees status and what was asked
        /// and answered last, and can roll back and promote.
        public: bool = false => restart;
    }
}

section! {
    /// What the gate adds to the messages it forwards, and whom it believes.
    pub struct Forwarding {
        /// Whether `X-Forwarded-For`, `-Proto` and `-Host` are added.
        x_forwarded: bool = true => reload;
        /// Whether `Via` is added to requests and responses.
        via: bool = true => reload;
        /// The header that carries the request's id both ways: `true` for `x-request-id`, `false` for none, or a name.
        request_id: RequestId = RequestId(Some("x-request-id".to_owned())) => reload;
        /// Peers whose `X-Forwarded-*` headers are believed.
        trusted: Vec<IpNet> = Vec::new() => reload;
        /// Whether responses name the generation that served them, in `x-tidegate-generation`.
        generation_header: bool = false => reload;
        /// Whether responses to calls with a cache rule say in `x-cache` what the cache did: `miss`, `hit; age=12`, or
        /// `join; followers=3`.
        cache_header: bool = true => reload;
        /// Whether responses name what a translation between dialects could not carry, in `x-tidegate-losses`.
        losses_header: bool = false => reload;
        /// Whether responses tell how long the request waited before its endpoint, in `x-tidegate-queue`.
        queue_header: bool = false => reload;
    }
}

/// The header that carries the request's id; `None` for no such header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Option<String>);

// === impl Listen ===

impl Listen {
    /// A plain listener.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, h2c: false, tls: None }
    }
}

// === impl RequestId ===

impl Value for RequestId {
    fn kind() -> String {
        "true, false or a header's name".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        match node.get_ref().as_bool() {
            Some(true) => Some(Self(Some("x-request-id".to_owned()))),
            Some(false) => Some(Self(None)),
            None => reader
                .parsed(node, "true, false or a header's name", |name| {
                    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))
                })
                .map(|name| Self(Some(name.as_str().to_owned()))),
        }
    }

    fn shown(&self) -> Json {
        self.0.as_deref().map_or(Json::Bool(false), Json::from)
    }
}

/// An address that only this machine reaches.
pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
