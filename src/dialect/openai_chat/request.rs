//! Requests of the chat dialect: `read` takes a body apart into the model, `write` puts one together.

mod legacy;
mod media;
mod read;
mod read_message;
mod settings;
mod tools;
mod write;
mod write_message;

pub(super) use legacy::asked as asked_for_functions;
pub(super) use read::read;
pub(in crate::dialect) use read::sampling as read_sampling;
pub(super) use read_message::thinking;
pub(in crate::dialect) use settings::{extra as write_extra, sampling as write_sampling, stream as write_stream};
pub(super) use write::write;
