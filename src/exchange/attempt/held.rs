//! What an attempt owns from the choice of its endpoint to the last byte of its answer, in one place, so that every way
//! it can end gives all of it back.

/// What an attempt owns until its end.
#[derive(Debug, Default)]
pub struct Held {}
