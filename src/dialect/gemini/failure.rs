//! Errors of Google's APIs (`google.rpc.Status`), from a body or from within a stream.

use serde_json::{Value, json};

use crate::dialect::failure::{Failure, FailureKind};

/// Reads what stands under `error`, be it Google's object, another gateway's, or a mere text.
pub(super) fn read(error: &Value) -> Failure {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let word = text("status").or_else(|| text("code")).or_else(|| text("type")).map(str::to_owned);
    let message = error.as_str().or_else(|| text("message")).map_or_else(|| error.to_string(), str::to_owned);
    let stated = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let stated = stated.filter(|code| (400..600).contains(code));
    let kind = kind(stated, word.as_deref().unwrap_or_default(), &message, error);
    let status = stated.unwrap_or_else(|| names(kind).0);
    Failure { status, kind, message, code: word, param: None }
}

/// A stream that ended before a finish reason.
pub(super) fn cut() -> Failure {
    ours("stream_cut", "the stream ended before the answer did")
}

/// An event that is not what Gemini sends.
pub(super) fn garbage() -> Failure {
    ours("garbage", "the stream holds an event that is not JSON")
}

fn ours(code: &str, message: &str) -> Failure {
    let (message, code) = (message.to_owned(), Some(code.to_owned()));
    Failure { status: 502, kind: FailureKind::Server, message, code, param: None }
}

/// Writes it as the object that Google sends, in a stream as elsewhere.
pub(super) fn write(failure: &Failure) -> Value {
    let status = names(failure.kind).1;
    json!({"error": {"code": failure.status, "message": failure.message, "status": status}})
}

/// What an error means. Google says `INVALID_ARGUMENT` of much that has a better name.
fn kind(code: Option<u16>, word: &str, message: &str, error: &Value) -> FailureKind {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    let reason = |name: &str| {
        let details = error.get("details").and_then(Value::as_array);
        details.is_some_and(|details| details.iter().any(|detail| detail["reason"] == name))
    };
    match (word, code) {
        _ if reason("API_KEY_INVALID") || says(&["api key not valid", "api key expired", "unregistered callers"]) => {
            FailureKind::Auth
        }
        ("UNAUTHENTICATED", _) | (_, Some(401)) => FailureKind::Auth,
        ("PERMISSION_DENIED", _) | (_, Some(403)) => FailureKind::Permission,
        ("NOT_FOUND", _) | (_, Some(404)) => FailureKind::NotFound,
        ("RESOURCE_EXHAUSTED", _) | (_, Some(429)) => {
            let empty = says(&["credits are depleted", "spending cap", "insufficient funds"]) || per_day(error);
            if empty { FailureKind::Quota } else { FailureKind::RateLimit }
        }
        ("UNAVAILABLE" | "overloaded_error", _) | (_, Some(503 | 529)) => FailureKind::Overloaded,
        ("DEADLINE_EXCEEDED", _) | (_, Some(408 | 504)) => FailureKind::Timeout,
        _ if says(&["maximum number of tokens", "context length", "context window", "input token count"]) => {
            FailureKind::ContextLength
        }
        _ if says(&["payload size exceeds", "request entity too large"]) || code == Some(413) => FailureKind::TooLarge,
        _ if says(&["prohibited", "blocked due to", "usage guidelines", "responsible ai"]) => {
            FailureKind::ContentPolicy
        }
        ("FAILED_PRECONDITION", _) if says(&["billing", "free tier", "location is not supported"]) => {
            FailureKind::Permission
        }
        ("INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE", _) | (_, Some(400..=499)) => FailureKind::Invalid,
        _ => FailureKind::Server,
    }
}

/// Whether the quota that is used up is one of a day: waiting a little does not help.
fn per_day(error: &Value) -> bool {
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    let mut violations = details.filter_map(|detail| detail.get("violations")?.as_array()).flatten();
    violations.any(|violation| violation["quotaId"].as_str().is_some_and(|id| id.contains("PerDay")))
}

/// The HTTP status and Google's word for a kind.
fn names(kind: FailureKind) -> (u16, &'static str) {
    match kind {
        FailureKind::Invalid | FailureKind::ContextLength | FailureKind::ContentPolicy => (400, "INVALID_ARGUMENT"),
        FailureKind::Auth => (401, "UNAUTHENTICATED"),
        FailureKind::Permission => (403, "PERMISSION_DENIED"),
        FailureKind::NotFound => (404, "NOT_FOUND"),
        FailureKind::TooLarge => (413, "INVALID_ARGUMENT"),
        FailureKind::RateLimit | FailureKind::Quota => (429, "RESOURCE_EXHAUSTED"),
        FailureKind::Overloaded => (503, "UNAVAILABLE"),
        FailureKind::Timeout => (504, "DEADLINE_EXCEEDED"),
        FailureKind::Server => (500, "INTERNAL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_known_by_status_code_and_words() {
        let day = json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m",
            "details": [{"violations": [{"quotaId": "RequestsPerDayPerProject"}]}]});
        let cases = [
            (
                json!({"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid."}),
                FailureKind::Auth,
                400,
            ),
            (json!({"code": 403, "status": "PERMISSION_DENIED", "message": "m"}), FailureKind::Permission, 403),
            (json!({"code": 404, "message": "no such model"}), FailureKind::NotFound, 404),
            (json!({"code": 429, "message": "slow down"}), FailureKind::RateLimit, 429),
            (day, FailureKind::Quota, 429),
            (json!({"status": "UNAVAILABLE", "message": "busy"}), FailureKind::Overloaded, 503),
            (
                json!({"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens."}),
                FailureKind::ContextLength,
                400,
            ),
            (json!({"code": 400, "message": "bad role"}), FailureKind::Invalid, 400),
            (json!("it broke"), FailureKind::Server, 500),
        ];
        for (error, kind, status) in cases {
            let failure = read(&error);
            assert_eq!((failure.kind, failure.status), (kind, status), "{error}");
        }
    }

    #[test]
    fn a_failure_is_written_with_googles_word() {
        let failure = Failure { kind: FailureKind::Overloaded, status: 529, ..cut() };
        let error = write(&failure);
        assert_eq!((&error["error"]["code"], &error["error"]["status"]), (&json!(529), &json!("UNAVAILABLE")));
    }
}
