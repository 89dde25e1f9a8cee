//! Snapshots on disk, in insta's format: front matter between lines of dashes, then the text.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// What stands in front of a snapshot's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// The file whose run made it.
    pub source: Option<String>,
    /// What it shows.
    pub description: Option<String>,
    /// The case.
    pub input_file: Option<String>,
}

/// The line around the front matter.
const RULE: &str = "---";

/// Reads a snapshot. `None` when there is none.
pub fn read(path: &Path) -> io::Result<Option<(Front, String)>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(parse(&text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a snapshot, with the folders it needs.
pub fn write(path: &Path, front: &Front, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, format(front, text))
}

/// Whether two texts are the same snapshot: insta counts neither the kind of line ends nor blank lines at the end.
pub fn same(a: &str, b: &str) -> bool {
    normal(a) == normal(b)
}

/// The text as it is compared.
pub fn normal(text: &str) -> String {
    text.trim_end().replace("\r\n", "\n")
}

/// A snapshot's file.
pub fn format(front: &Front, text: &str) -> String {
    let mut file = format!("{RULE}\n");
    let fields = [("source", &front.source), ("description", &front.description), ("input_file", &front.input_file)];
    for (name, value) in fields {
        if let Some(value) = value {
            // A JSON string is a YAML string (YAML 1.2, 10.2.1).
            let _ = writeln!(file, "{name}: {}", serde_json::Value::from(value.as_str()));
        }
    }
    let _ = writeln!(file, "{RULE}\n{}", normal(text));
    file
}

/// Front matter and text of a snapshot's file; one without front matter is all text.
fn parse(file: &str) -> (Front, String) {
    let file = file.replace("\r\n", "\n");
    let opened = file.strip_prefix("---\n");
    let inside = opened.and_then(|rest| match rest.strip_prefix("---\n") {
        Some(text) => Some(("", text)),
        None => rest.split_once("\n---\n"),
    });
    let Some((front, text)) = inside else {
        return (Front::default(), file);
    };
    let mut read = Front::default();
    for line in front.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = Some(unquoted(value.trim()));
        match name {
            "source" => read.source = value,
            "description" => read.description = value,
            "input_file" => read.input_file = value,
            _ => {}
        }
    }
    (read, normal(text))
}

/// A YAML string on one line; insta leaves simple ones bare.
fn unquoted(value: &str) -> String {
    serde_json::from_str(value).unwrap_or_else(|_| value.trim_matches('\'').to_owned())
}
