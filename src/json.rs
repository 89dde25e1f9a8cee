//! JSON as a view over bytes: a body is read by path without being converted, and an edit is spliced into the bytes it
//! changes, because reordered or reprinted JSON destroys prompt caches and big numbers.

use thiserror::Error;

mod check;
mod doc;
mod edit;
pub mod exact;
mod node;
mod render;
mod scan;
mod text;
mod value;

pub use check::validate;
pub use doc::Doc;
pub use node::NodeId;
pub use value::{Fragment, Item};

/// The deepest nesting that any document may have: one bit of a `u128` per open bracket, and the same figure at which
/// `serde_json` gives up, so that no later reader of the body refuses what the view accepted.
pub const MAX_DEPTH: usize = 128;

/// What a document may ask of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of arrays and objects inside each other; more than [`MAX_DEPTH`] counts as [`MAX_DEPTH`].
    pub depth: usize,
}

/// Why a text could not be read or edited. It names a place and never quotes the text, which may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// Bytes from the start of the text that was read: the body, or the fragment that was spliced in.
    pub offset: usize,
    /// What is wrong there.
    pub kind: ErrorKind,
}

/// The ways in which reading or editing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ErrorKind {
    /// The text stops inside a value.
    #[error("the text ends too early")]
    Truncated,
    /// A byte that the grammar does not allow here, text after the value included.
    #[error("unexpected byte")]
    Unexpected,
    /// A raw control character, or an escape that JSON does not have.
    #[error("malformed string")]
    BadString,
    /// Bytes that are not UTF-8.
    #[error("invalid UTF-8")]
    BadUtf8,
    /// More levels than [`Limits::depth`].
    #[error("nested too deep")]
    TooDeep,
    /// A text of 4 GiB or more.
    #[error("the text is too large")]
    TooLarge,
    /// NaN or an infinity, for which JSON has no text.
    #[error("the number is not finite")]
    NotFinite,
    /// An object's edit was asked of an array.
    #[error("not an object")]
    NotAnObject,
    /// An array's edit was asked of an object.
    #[error("not an array")]
    NotAnArray,
    /// An index beyond the end of the array.
    #[error("index out of range")]
    NoSuchIndex,
    /// The node was removed or replaced, or never was in this document.
    #[error("the value is no longer part of the document")]
    Detached,
}

// === impl Limits ===

impl Limits {
    /// The levels that are really allowed.
    fn room(self) -> usize {
        self.depth.min(MAX_DEPTH)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: MAX_DEPTH }
    }
}

// === impl JsonError ===

impl JsonError {
    fn new(kind: ErrorKind, offset: usize) -> Self {
        Self { offset, kind }
    }
}

#[cfg(test)]
mod tests;
