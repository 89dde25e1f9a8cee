//! Requests of Gemini's dialect, both ways.

mod contents;
mod media;
mod places;
mod read;
mod result;
mod settings;
mod target;
mod turns;
mod write;

pub(super) use places::Places;
pub(super) use read::read;
pub(super) use target::renamed;
pub(super) use write::write;

#[cfg(test)]
mod tests;
