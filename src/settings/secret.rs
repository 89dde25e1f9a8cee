//! Secrets: where the settings say they are, their values, and how neither logs nor status ever show them.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::parse::{Node, Reader, Shape, Value};

/// A value that is never shown: `Debug`, `Display` and `Serialize` give `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `file:path`: the content of a file, without the line end at its end.
    File(PathBuf),
}

/// Headers that are set on every attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

/// One header to set.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    /// Its name, in small letters.
    name: String,
    /// Its value, references replaced.
    value: Secret,
    /// Its value as it may be shown: references as they are written, other text masked.
    shown: String,
}

/// A part of a text with references in it.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    /// Text as it is.
    Plain(&'t str),
    /// What stands where a secret goes.
    Reference(Place),
}

/// Headers that belong to one connection or to the framing, which is the gate's own.
const FRAMING: [&str; 8] =
    ["connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// Words before a secret that are not secret themselves.
const SCHEMES: [&str; 3] = ["", "Bearer ", "Basic "];

// === impl Secret ===

impl Secret {
    /// Takes a value into care.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl Value for Secret {
    fn kind() -> String {
        "`env:NAME` or `file:path`".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let text = reader.text(node, "where the secret is kept, `env:NAME` or `file:path`")?;
        let Some(place) = Place::parse(text) else {
            reader.fault(node.span(), "a secret does not belong in this file: write `env:NAME` or `file:path`");
            return None;
        };
        match reader.secret(&place) {
            Ok(value) => Some(Self(value)),
            Err(why) => {
                reader.fault(node.span(), why);
                None
            }
        }
    }

    fn shown(&self) -> Json {
        "***".into()
    }
}

// === impl Place ===

impl Place {
    /// Reads `env:NAME` or `file:path`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Some(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Some(Self::File(path.into())),
            _ => None,
        }
    }

    /// The secret's value on this machine; the error names what is missing.
    pub fn look_up(&self) -> Result<String, String> {
        match self {
            Self::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => {
                    format!("the environment variable `{name}` is not set")
                }
                std::env::VarError::NotUnicode(_) => {
                    format!("the environment variable `{name}` is not UTF-8")
                }
            }),
            Self::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| format!("the secret in file `{}` cannot be read: {error}", path.display())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

// === impl Headers ===

impl Headers {
    /// Names in small letters, with their values, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|header| (header.name.as_str(), &header.value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Value for Headers {
    fn kind() -> String {
        "header values by name".to_owned()
    }

    fn read(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Self> {
        let Some(table) = node.get_ref().as_table() else {
            reader.mistyped(node, "a table of headers");
            return None;
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut headers: Vec<Header> = Vec::new();
        for (key, value) in entries {
            let name = header_name(key.get_ref());
            if let Err(why) = &name {
                reader.fault(key.span(), why);
            }
            let header = reader.within(key.get_ref(), |reader| read_header(reader, value));
            let (Ok(name), Some((value, shown))) = (name, header) else {
                continue;
            };
            if headers.iter().any(|header| header.name == name) {
                reader.fault(key.span(), format!("the header `{name}` is set twice"));
            }
            headers.push(Header { name, value, shown });
        }
        Some(Self(headers))
    }

    fn shown(&self) -> Json {
        let shown = self.0.iter().map(|header| (header.name.clone(), header.shown.as_str().into()));
        Json::Object(shown.collect())
    }

    fn shape() -> Shape {
        Shape::Plain
    }
}

/// Reads one header value; the second text is what may be shown of it.
fn read_header(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<(Secret, String)> {
    let text = reader.text(node, "a header value")?;
    let pieces = match pieces(text) {
        Ok(pieces) => pieces,
        Err(why) => {
            reader.fault(node.span(), why);
            return None;
        }
    };
    let (mut value, mut shown, mut complete) = (String::new(), String::new(), true);
    for piece in &pieces {
        match piece {
            Piece::Plain(text) => {
                value.push_str(text);
                shown.push_str(if SCHEMES.contains(text) { text } else { "***" });
            }
            Piece::Reference(place) => {
                let _ = write!(shown, "${{{place}}}");
                match reader.secret(place) {
                    Ok(secret) => value.push_str(&secret),
                    Err(why) => {
                        reader.fault(node.span(), why);
                        complete = false;
                    }
                }
            }
        }
    }
    if complete && HeaderValue::from_str(&value).is_err() {
        reader.fault(node.span(), "the value cannot stand in a header: it has a control character in it");
        complete = false;
    }
    complete.then_some((Secret(value), shown))
}

/// A header's name in small letters, unless the gate must set it itself.
fn header_name(name: &str) -> Result<String, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))?;
    if FRAMING.contains(&parsed.as_str()) {
        return Err(format!("`{name}` cannot be set: the gate sets it itself"));
    }
    Ok(parsed.as_str().to_owned())
}

/// Cuts a text at its references: `${env:NAME}` and `${file:path}` anywhere, or a reference as the last word.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    if !text.contains("${") {
        let last_word = text.rfind(' ').map_or(0, |at| at + 1);
        let (before, word) = text.split_at(last_word);
        return Ok(match Place::parse(word) {
            Some(place) => vec![Piece::Plain(before), Piece::Reference(place)],
            None => vec![Piece::Plain(text)],
        });
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((reference, after)) = after.split_once('}') else {
            return Err("a `${` is not closed with `}`".to_owned());
        };
        let Some(place) = Place::parse(reference) else {
            return Err("between `${` and `}` stands neither env:NAME nor file:path".to_owned());
        };
        pieces.push(Piece::Plain(before));
        pieces.push(Piece::Reference(place));
        rest = after;
    }
    pieces.push(Piece::Plain(rest));
    Ok(pieces)
}
