//! A stream that stopped and may go on elsewhere.

use super::Source;
use crate::dialect::failure::Failure;
use crate::dialect::interpreter::Interpreter;
use crate::error::{Error, Kind};
use crate::exchange::wire::Connection;

// === impl Source ===

impl<N: Connection> Source<N> {
    /// What comes behind the place at which a stream stopped concerns nobody.
    pub(super) fn forget_what_is_there(&mut self) {
        if let Self::Live { pending, ahead, .. } = self {
            pending.clear();
            ahead.clear();
        }
    }

    /// What stands between two dialects, or beside a stream that may go on elsewhere.
    pub fn interpreter(&mut self) -> Option<&mut Option<Box<Interpreter>>> {
        match self {
            Self::Live { voice, .. } => Some(&mut voice.interpreter),
            _ => None,
        }
    }

    /// Notes that the client was told of a failure in the stream itself.
    pub fn tell(&mut self) {
        if let Some(voice) = self.voice_mut() {
            voice.told = true;
        }
    }
}

/// The error of a stream that stopped by its own account.
pub(super) fn error(failure: &Failure) -> Error {
    let kind = match failure.code.as_deref() {
        Some("stream_cut") => Kind::Reset,
        Some("garbage" | "continuation_differs") => Kind::Garbage,
        _ => Kind::StreamError,
    };
    Error::upstream(kind, "the upstream's stream stopped before the answer was whole")
        .with_detail(failure.message.clone())
}
