//! Requests of the Responses API, both ways.

mod content;
mod read;
mod settings;
mod turns;
mod write;

pub(super) use read::read;
pub(super) use write::{settings, write};

#[cfg(test)]
mod tests;
