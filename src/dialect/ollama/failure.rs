//! Ollama's errors are one sentence each: what they mean is found by their words.

use serde_json::{Map, Value};

use crate::dialect::failure::{Failure, FailureKind};

/// Sentences of Ollama's server and cloud by the words in them, the first that fits wins. All words of one entry must
/// be there (`server/routes.go`, `server/sched.go` and `llm/server.go` of Ollama).
const WORDS: [(&[&str], FailureKind, u16); 30] = [
    (&["not found"], FailureKind::NotFound, 404),
    (&["try pulling it"], FailureKind::NotFound, 404),
    (&["no such model"], FailureKind::NotFound, 404),
    (&["context", "exceed"], FailureKind::ContextLength, 400),
    (&["context", "length"], FailureKind::ContextLength, 400),
    (&["context", "window"], FailureKind::ContextLength, 400),
    (&["context", "shift"], FailureKind::ContextLength, 400),
    (&["prompt", "too long"], FailureKind::ContextLength, 400),
    (&["body too large"], FailureKind::TooLarge, 413),
    (&["content policy"], FailureKind::ContentPolicy, 400),
    (&["unauthorized"], FailureKind::Auth, 401),
    (&["api key"], FailureKind::Auth, 401),
    (&["not signed in"], FailureKind::Auth, 401),
    (&["forbidden"], FailureKind::Permission, 403),
    (&["permission"], FailureKind::Permission, 403),
    (&["usage limit"], FailureKind::Quota, 429),
    (&["quota"], FailureKind::Quota, 429),
    (&["subscription"], FailureKind::Quota, 403),
    (&["rate limit"], FailureKind::RateLimit, 429),
    (&["too many requests"], FailureKind::RateLimit, 429),
    (&["busy"], FailureKind::Overloaded, 503),
    (&["overloaded"], FailureKind::Overloaded, 503),
    (&["unavailable"], FailureKind::Overloaded, 503),
    (&["requires more", "memory"], FailureKind::Overloaded, 503),
    (&["timed out"], FailureKind::Timeout, 504),
    (&["timeout"], FailureKind::Timeout, 504),
    (&["deadline"], FailureKind::Timeout, 504),
    (&["does not support"], FailureKind::Invalid, 400),
    (&["invalid"], FailureKind::Invalid, 400),
    (&["is required"], FailureKind::Invalid, 400),
];

/// The failure that a line with an `error` tells; `None` for a line without one.
pub(super) fn of_line(line: &Map<String, Value>) -> Option<Failure> {
    let error = line.get("error").filter(|error| !error.is_null())?;
    let message = match error {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            map.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned)
        }
        _ => error.to_string(),
    };
    let code = error.get("code").or_else(|| error.get("type")).and_then(Value::as_str).map(str::to_owned);
    let stated = ["status_code", "status"].iter().find_map(|key| line.get(*key)?.as_u64());
    let stated = stated.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status));
    let (kind, status) = by_words(&message)
        .or_else(|| stated.map(|status| (FailureKind::of_status(status), status)))
        .unwrap_or((FailureKind::Server, 500));
    Some(Failure { status: stated.unwrap_or(status), kind, message, code, param: None })
}

/// A line that is no JSON.
pub(super) fn garbage() -> Failure {
    broken("the upstream sent a line that is not JSON", "garbage")
}

/// A stream that ended before its line with `done`.
pub(super) fn stream_cut() -> Failure {
    broken("the upstream's stream ended before the answer was whole", "stream_cut")
}

fn broken(message: &str, code: &str) -> Failure {
    Failure {
        status: 502,
        kind: FailureKind::Server,
        message: message.to_owned(),
        code: Some(code.to_owned()),
        param: None,
    }
}

fn by_words(message: &str) -> Option<(FailureKind, u16)> {
    let message = message.to_lowercase();
    let found = WORDS.iter().find(|(words, ..)| words.iter().all(|word| message.contains(word)));
    found.map(|(_, kind, status)| (*kind, *status))
}
