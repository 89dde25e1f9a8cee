//! Caching by RFC 9111, as a cache that all clients share: which answers may be kept, how long they are fresh, for which
//! requests they serve, and how they are asked about when they are not. Pure: the time is told to it, and nothing is sent.
//!
//! The crate `http-cache-semantics` answers the first half of these questions. It splits `Cache-Control` at every comma,
//! within quotes too, and leaves ranges, targeted fields and the several variants of one URL to others, so that what is
//! here is written out whole.

pub mod admit;

pub mod choose;

pub mod directives;

pub mod field;

pub mod freshness;

pub mod place;

pub mod range;

pub mod render;

pub mod status;

pub mod stored;

pub mod target;

pub mod validate;

pub mod vary;

mod written;

pub use place::{Changed, HttpCache};
pub use stored::{Stored, Variants};

/// What a policy lets the cache do beyond what HTTP says in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether an answer that does not say how long it is fresh may serve for a tenth of its age (RFC 9111 §4.2.2).
    pub heuristic: bool,
    /// Whether `CDN-Cache-Control` (RFC 9213) and `Surrogate-Control` (Edge Architecture Specification) are meant for
    /// this gate, which then says `Surrogate-Capability`.
    pub surrogate: bool,
}
