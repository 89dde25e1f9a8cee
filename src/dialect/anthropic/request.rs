//! Requests of Anthropic's Messages, read into the model and written from it.

mod blocks;
mod body;
mod media;
mod model;
mod parts;
mod paths;
mod read;
mod sampling;
mod thinking;
mod tools;
mod turns;

pub(super) use body::write;
pub(super) use read::read;
