//! The reference of the settings, rendered from the same declarations that read them.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::Settings;
use super::environment::VARIABLES;
use super::parse::{Key, Reach, Shape, Value};

/// The reference as Markdown: every key with its type, its default, when a change comes into force, and what it does.
pub fn reference() -> String {
    let mut out = format!("# Settings\n\n{}\n", Settings::about());
    table(&mut out, &Settings::keys());
    sections(&mut out, "", &Settings::keys());
    out.push_str("\n## Environment\n\nThe environment overrides the file; flags override both.\n\n");
    out.push_str("| variable | what it sets |\n| --- | --- |\n");
    for (name, doc) in VARIABLES {
        line(&mut out, format_args!("| `{name}` | {doc} |"));
    }
    out
}

/// A chapter for each key that has keys of its own.
fn sections(out: &mut String, prefix: &str, keys: &[Key]) {
    for key in keys.iter().filter(|key| !key.keys.is_empty()) {
        let path = format!("{prefix}{}", key.name);
        let (heading, below) = match key.shape {
            Shape::List => (format!("[[{path}]]"), format!("{path}.")),
            Shape::Named => (format!("[{path}.NAME]"), format!("{path}.NAME.")),
            Shape::Plain | Shape::Section => (format!("[{path}]"), format!("{path}.")),
        };
        line(out, format_args!("\n## `{heading}`\n\n{}", key.about));
        table(out, &key.keys);
        sections(out, &below, &key.keys);
    }
}

/// One row for each key.
fn table(out: &mut String, keys: &[Key]) {
    out.push_str("\n| key | type | default | change takes effect | |\n| --- | --- | --- | --- | --- |\n");
    for key in keys {
        let reach = match key.reach {
            Reach::Reload => "on reload",
            Reach::Restart => "on restart",
        };
        let (name, kind, default) = (key.name, &key.kind, default_of(key));
        let (kind, doc) = (kind.replace('|', "\\|"), key.doc.replace('|', "\\|"));
        line(out, format_args!("| `{name}` | {kind} | {default} | {reach} | {doc} |"));
    }
}

/// The default as it would be written in the file.
fn default_of(key: &Key) -> String {
    match &key.default {
        None => "must be written".to_owned(),
        Some(Json::Null) => "none".to_owned(),
        Some(_) if !key.keys.is_empty() && key.shape == Shape::Section => "see below".to_owned(),
        Some(Json::Object(table)) if table.is_empty() => "none".to_owned(),
        Some(Json::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(_) if key.shape == Shape::List => "see below".to_owned(),
        Some(default) => format!("`{default}`"),
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{text}");
}
