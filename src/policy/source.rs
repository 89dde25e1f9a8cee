//! What policies are made from: the files of a bundle, and which of them are mounted with which parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks a secret up by its name in the settings.
pub type Secrets = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The text of a bundle, and what it mounts.
#[derive(Clone)]
pub struct Sources {
    /// Text by path relative to the bundle's root, separated by `/`.
    pub files: BTreeMap<String, String>,
    /// The policies in the order in which they run.
    pub mounts: Vec<Mount>,
    /// The settings' secrets.
    pub secrets: Secrets,
}

/// One policy: a file with parameters. A file can be mounted more than once.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Its name, different from all others.
    pub name: String,
    /// The file, by its path relative to the bundle's root.
    pub file: String,
    /// Values for what the file declares with `params { … }`.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// What a failing hook means, in place of the hook's own rule.
    pub on_error: Option<OnError>,
    /// Where it stands in `tidegate.toml`.
    pub line: usize,
}

/// What a failing hook means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The step fails.
    Fail,
    /// The step goes on without this policy.
    Skip,
}
