//! A bundle: the folder with settings, policies, cases and snapshots, read as one state and watched for the next.

mod read;
pub mod shelf;
mod template;
mod watch;

#[cfg(test)]
mod tests;

pub use read::read;
pub use template::create;
pub use watch::{Change, Mode, SETTLE, Watcher};

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// The name of the settings file.
pub const SETTINGS: &str = "tidegate.toml";

/// One consistent state of a bundle's settings, policies and libraries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The folder, as it was named; relative paths in the settings start here.
    pub root: PathBuf,
    /// The text of `tidegate.toml`; never blank.
    pub settings_text: String,
    /// The text of every policy and library, by its path in the bundle with `/` between folders.
    pub files: BTreeMap<String, String>,
    /// What tells this state from others.
    pub hash: Hash,
}

/// The BLAKE3 hash of names and contents; shown by its first 12 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

// === impl Bundle ===

impl Bundle {
    /// Builds a bundle from texts.
    pub fn new(root: PathBuf, settings_text: String, files: BTreeMap<String, String>) -> Self {
        let hash = Hash::of(&settings_text, &files);
        Self { root, settings_text, files, hash }
    }

    /// Whether a file is empty, as an editor leaves it between truncating and writing: not yet, rather than a change.
    pub fn is_truncated(&self) -> bool {
        self.settings_text.trim().is_empty() || self.files.values().any(String::is_empty)
    }

    /// Whether every file of `older` is still there.
    fn keeps(&self, older: &Self) -> bool {
        older.files.keys().all(|name| self.files.contains_key(name))
    }
}

// === impl Hash ===

impl Hash {
    /// Hashes settings and files; lengths are hashed too, so that no text can pass for a name.
    fn of(settings_text: &str, files: &BTreeMap<String, String>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let settings = (SETTINGS, settings_text);
        let files = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in std::iter::once(settings).chain(files) {
            for part in [name, text] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        Self(hasher.finalize().into())
    }

    /// All 64 digits, for records that must not be mistaken for another's.
    pub fn full(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Reads all 64 digits.
    pub fn from_full(digits: &str) -> Option<Self> {
        blake3::Hash::from_hex(digits).ok().map(|hash| Self(hash.into()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
