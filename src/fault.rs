//! A mistake in a file of a bundle, with its place, so that an owner finds it and an editor can jump to it.

use std::fmt;

use serde::Serialize;

/// One mistake. Rooms return all of theirs at once, so that one save shows everything there is to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The file as its owner knows it: relative to the bundle, or what stands for a file ("environment").
    pub file: String,
    /// Line, counted from 1, when the mistake has a place.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// What is wrong and what would be right; never a secret.
    pub message: String,
}

// === impl Fault ===

impl Fault {
    /// A mistake at a place in a file; both numbers count from 1.
    pub fn at(file: impl Into<String>, line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: Some(line), column: Some(column), message: message.into() }
    }

    /// A mistake of a file as a whole.
    pub fn in_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Fault {}
