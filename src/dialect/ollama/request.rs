//! Requests of `/api/chat` and `/api/generate`, read and written.

mod messages;
mod names;
pub(super) mod read;
mod transcript;
pub(super) mod write;

/// How the ids begin that reading gives to calls without one; older servers and clients have none. Written back to
/// Ollama they are left out again.
const MADE_ID: &str = "call_unnamed_";
