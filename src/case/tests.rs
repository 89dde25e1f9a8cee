//! What the room promises: a format whose mistakes have places, the live code behind every play, snapshots that hide
//! secrets and change only when the gate does something else.

mod format;

mod playing;

mod reviewing;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Case, play, read, render};
use crate::bundle::Bundle;

/// One upstream with two endpoints, a key from the environment, no policies.
pub(super) const SETTINGS: &str = r#"
[upstreams.sea]
endpoints = [
  { name = "north", url = "http://127.0.0.1:1" },
  { name = "south", url = "http://127.0.0.1:2", weight = 0 },
]
headers = { x-api-key = "env:SEA_KEY" }
timeouts = { head = "5s", idle = "3s" }
"#;

/// A bundle of these settings and policies.
pub(super) fn bundle(settings: &str, policies: &[(&str, &str)]) -> Bundle {
    let mounts = policies.iter().map(|(file, _)| format!("\n[[policies]]\nfile = \"{file}\"\n"));
    let text = format!("{settings}{}", mounts.collect::<String>());
    let files: BTreeMap<_, _> = policies.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    Bundle::new(PathBuf::from("."), text, files)
}

/// A case from its text, which must have no faults.
pub(super) fn case(text: &str) -> Case {
    read::read("t.http", text).unwrap()
}

/// The snapshot of a case on a bundle without policies.
fn shown(text: &str) -> String {
    render(&play(&bundle(SETTINGS, &[]), &case(text)).unwrap())
}
