//! Settings of policies: which run, in which order, with which parameters.

use serde_json::{Map, Value as Json};

use super::section::{choice, section};

section! {
    /// A policy. They run in the order of the file.
    pub struct Mount {
        /// Its file, relative to the bundle.
        file: String => reload;
        /// Its name in logs, cases and its store; the file's name without its ending unless written.
        name: Option<String> = None => reload;
        /// Values for the parameters that it declares.
        params: Map<String, Json> = Map::new() => reload;
        /// What happens when one of its hooks fails: `fail` ends the exchange, `skip` goes on without it. Each hook
        /// has its own default.
        on_error: Option<OnError> = None => reload;
    }
}

choice! {
    /// What happens when a hook fails.
    pub enum OnError {
        /// The exchange ends with an error.
        Fail = "fail",
        /// The exchange goes on as if the hook had no opinion.
        Skip = "skip",
    }
}

// === impl Mount ===

impl Mount {
    /// Its name: the written one, or the file's name without its ending.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| {
            let file = self.file.rsplit('/').next().unwrap_or(&self.file);
            file.rsplit_once('.').map_or(file, |(stem, _)| stem)
        })
    }
}
