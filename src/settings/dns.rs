//! Settings of how the names of upstreams become addresses.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value as Json;

use super::parse::{Node, Reader, Value};
use super::section::section;

/// Where name servers listen (RFC 1035 §4.2).
const PORT: u16 = 53;

section! {
    /// How the names of upstreams become addresses. An answer is used as long as its TTL says.
    pub struct Dns {
        /// The name servers that are asked, each an IP address with a port where that is not 53; the machine's own unless
        /// written.
        servers: Vec<NameServer> = Vec::new() => restart;
    }
}

/// The address of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

// === impl NameServer ===

impl Value for NameServer {
    fn kind() -> String {
        "IP or IP:port".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        reader.parsed(node, "an address like \"10.0.0.2\" or \"127.0.0.1:5353\"", |text| {
            let bare = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
            let address = text.parse().or_else(|_| bare());
            address.map(Self).map_err(|_| format!("`{text}` is neither an IP address nor one with a port"))
        })
    }

    fn shown(&self) -> Json {
        match self.0.port() {
            PORT => self.0.ip().to_string().into(),
            _ => self.0.to_string().into(),
        }
    }
}
