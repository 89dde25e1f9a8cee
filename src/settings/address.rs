//! The values of settings that say where something is: addresses, networks, files.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde_json::Value as Json;

use super::parse::{Node, Reader, Value};

/// A file that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingFile(PathBuf);

// === impl ExistingFile ===

impl ExistingFile {
    /// Where it is; absolute when the bundle's root is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Value for ExistingFile {
    fn kind() -> String {
        "file".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let text = reader.text(node, "the path of a file")?;
        let path = reader.resolve(text);
        if !path.is_file() {
            reader.fault(node.span(), format!("there is no file `{}`", path.display()));
            return None;
        }
        Some(Self(path))
    }

    fn shown(&self) -> Json {
        self.0.display().to_string().into()
    }
}

// === impl Value for addresses ===

impl Value for SocketAddr {
    fn kind() -> String {
        "IP:port".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        reader.parsed(node, "an address like \"127.0.0.1:8800\"", parse_address)
    }

    fn shown(&self) -> Json {
        self.to_string().into()
    }
}

impl Value for IpNet {
    fn kind() -> String {
        "IP or network".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        reader.parsed(node, "an IP address or a network like \"10.0.0.0/8\"", |text| {
            text.parse()
                .or_else(|_| text.parse::<IpAddr>().map(Self::from))
                .map_err(|_| format!("`{text}` is neither an IP address nor a network like 10.0.0.0/8"))
        })
    }

    fn shown(&self) -> Json {
        self.to_string().into()
    }
}

/// An address to listen on.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is not an address: write IP:port, like 127.0.0.1:8800 or [::1]:8800"))
}
