//! What went wrong in a hook, read out of what Luau and the host functions raise.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hook::Hook;
use super::place::Spot;
use crate::error::{Error, Fault, Kind};

/// A hook that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// In which way.
    pub(super) cause: Cause,
    /// Where.
    pub(super) spot: Option<Spot>,
    /// What, without the place and without a traceback.
    pub(super) message: String,
    /// The calls that led there.
    pub(super) traceback: String,
}

/// The ways in which hooks fail.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// It raised an error, or answered with something that is not an answer.
    Mistake,
    /// It ran or waited for too long.
    Deadline,
    /// The VM's memory was used up.
    Memory,
    /// The client is told this: the policy refused it, or its own message is at fault.
    Told(Error),
}

/// A hook's end that was not its own doing, as a tape tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outside {
    kind: Ending,
    spot: Option<(String, usize)>,
    message: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Deadline,
    Memory,
}

/// An error with a structure of its own, raised by host functions: it survives `pcall` and `error(e)`.
#[derive(Debug)]
pub(super) enum Raised {
    /// What the client is to be told.
    Told(Error),
    /// The hook is over its time.
    Overrun(Duration),
}

/// What is said in place of Luau's "attempt to yield across metamethod/C-call boundary".
const NO_YIELD: &str = "E_NO_YIELD: a host function that waits was called inside a callback that cannot wait \
    (table.sort, string.gsub, a metamethod). Call it before, and use the result there";

// === impl Raised ===

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(error) => f.write_str(error.message()),
            Self::Overrun(limit) => write!(f, "ran for longer than the {} ms it may", limit.as_millis()),
        }
    }
}

impl std::error::Error for Raised {}

impl From<Outside> for Failure {
    fn from(outside: Outside) -> Self {
        let cause = match outside.kind {
            Ending::Deadline => Cause::Deadline,
            Ending::Memory => Cause::Memory,
        };
        let spot = outside.spot.map(|(file, line)| Spot { file, line });
        Self { cause, spot, message: outside.message, traceback: String::new() }
    }
}

impl From<Raised> for mlua::Error {
    fn from(raised: Raised) -> Self {
        mlua::Error::external(raised)
    }
}

// === impl Failure ===

impl Failure {
    /// A failure that the host found: an answer that is none.
    pub(super) fn misuse(spot: Option<Spot>, message: impl Into<String>) -> Self {
        Self { cause: Cause::Mistake, spot, message: message.into(), traceback: String::new() }
    }

    /// A hook that waited for longer than it may.
    pub(super) fn waited(spot: Option<Spot>, limit: Duration) -> Self {
        Self {
            cause: Cause::Deadline,
            spot,
            message: format!("waited for longer than the {} ms it may take", limit.as_millis()),
            traceback: String::new(),
        }
    }

    /// A hook that ran for longer than it may, whatever it made of the error.
    pub(super) fn overrun(spot: Option<Spot>, limit: Duration) -> Self {
        Self { cause: Cause::Deadline, spot, message: Raised::Overrun(limit).to_string(), traceback: String::new() }
    }

    /// What ended the hook from outside, so that it comes again when the exchange is played; nothing when the hook
    /// failed by itself.
    pub(super) fn outside(&self) -> Option<Outside> {
        let kind = match self.cause {
            Cause::Deadline => Ending::Deadline,
            Cause::Memory => Ending::Memory,
            Cause::Mistake | Cause::Told(_) => return None,
        };
        let spot = self.spot.as_ref().map(|spot| (spot.file.clone(), spot.line));
        Some(Outside { kind, spot, message: self.message.clone() })
    }

    /// Reads what mlua hands over.
    pub(super) fn from_lua(error: &mlua::Error) -> Self {
        let (mut message, mut traceback) = text_of(error);
        let spot = Spot::find(&message).or_else(|| Spot::find(&traceback));
        if let Some(spot) = &spot
            && let Some(rest) = message.strip_prefix(&format!("{spot}:"))
        {
            message = rest.trim_start().to_owned();
        }
        if message.contains("attempt to yield across") {
            NO_YIELD.clone_into(&mut message);
        }
        traceback.truncate(traceback.floor_char_boundary(4096));
        Self { cause: cause_of(error), spot, message, traceback }
    }

    /// The error that the exchange goes on with. The client is not told more than that a policy failed.
    pub(super) fn into_error(self, hook: Hook, policy: &str) -> Error {
        let status = match hook.spec().on_failure {
            super::hook::OnFailure::Fail(status) => status,
            super::hook::OnFailure::Ignore => 500,
        };
        let detail = self.detail(hook, policy);
        match self.cause {
            Cause::Told(error) if error.detail().is_some() => error,
            Cause::Told(error) => error.with_detail(detail),
            Cause::Deadline => {
                let status = if status == 502 { 502 } else { 503 };
                let message = "a policy took too long";
                Error::new(Fault::Policy, Kind::PolicyTimeout, status, message).with_detail(detail)
            }
            Cause::Mistake | Cause::Memory => {
                Error::new(Fault::Policy, Kind::PolicyError, status, "a policy failed").with_detail(detail)
            }
        }
    }

    /// The sentence for the operator: policy, hook, place, what.
    pub(super) fn detail(&self, hook: Hook, policy: &str) -> String {
        let hook = hook.name();
        match &self.spot {
            Some(spot) => format!("policy {policy}, {hook}: {spot}: {}", self.message),
            None => format!("policy {policy}, {hook}: {}", self.message),
        }
    }
}

/// The message, and the traceback apart.
fn text_of(error: &mlua::Error) -> (String, String) {
    match error {
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => split(text),
        mlua::Error::SyntaxError { message, .. } => (message.clone(), String::new()),
        mlua::Error::CallbackError { traceback, cause } => {
            let (message, inner) = text_of(cause);
            (message, if inner.is_empty() { traceback.clone() } else { inner })
        }
        mlua::Error::WithContext { context, cause } => {
            let (message, traceback) = text_of(cause);
            (format!("{context}: {message}"), traceback)
        }
        mlua::Error::BadArgument { pos, cause, .. } => {
            let (message, traceback) = text_of(cause);
            (format!("argument {pos}: {message}"), traceback)
        }
        other => (other.to_string(), String::new()),
    }
}

fn split(text: &str) -> (String, String) {
    let (message, traceback) = text.split_once("\nstack traceback:").unwrap_or((text, ""));
    (message.trim_end().to_owned(), traceback.trim().to_owned())
}

fn cause_of(error: &mlua::Error) -> Cause {
    for link in error.chain() {
        match link.downcast_ref::<Raised>() {
            Some(Raised::Told(error)) => return Cause::Told(error.clone()),
            Some(Raised::Overrun(_)) => return Cause::Deadline,
            None => {}
        }
        if matches!(link.downcast_ref::<mlua::Error>(), Some(mlua::Error::MemoryError(_))) {
            return Cause::Memory;
        }
    }
    Cause::Mistake
}
