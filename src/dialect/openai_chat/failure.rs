//! Errors in `OpenAI`'s shape and those near it, from within an answer, and back.

use serde_json::{Value, json};

use crate::dialect::failure::{Failure, FailureKind};

/// A failure of a stream that ended before its dialect's end.
pub(crate) fn cut() -> Failure {
    ours("stream_cut", "the upstream's stream ended before the answer did")
}

/// A failure of an event that is no JSON.
pub(crate) fn garbage() -> Failure {
    ours("garbage", "the upstream sent an event that is not JSON")
}

fn ours(code: &str, message: &str) -> Failure {
    Failure {
        status: 502,
        kind: FailureKind::Server,
        message: message.to_owned(),
        code: Some(code.to_owned()),
        param: None,
    }
}

/// The failure that a JSON object tells of: `{"error": {…}}`, `{"error": "…"}`, vLLM's `{"object": "error", …}`,
/// `{"detail": …}`; `None` where it tells of none.
pub(crate) fn find(value: &Value) -> Option<Failure> {
    if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
        return Some(read(error));
    }
    let says = |name: &str| value.get(name).and_then(Value::as_str);
    let error = says("object") == Some("error") || says("type") == Some("error");
    let bare = value.get("choices").is_none() && (value.get("detail").is_some() || value.get("message").is_some());
    (error || bare).then(|| read(value))
}

/// The failure of an error value, whatever its shape.
pub(crate) fn read(error: &Value) -> Failure {
    let text = |name: &str| match error.get(name)? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let message = match error {
        Value::String(message) => message.clone(),
        _ => text("message").or_else(|| text("detail")).unwrap_or_else(|| error.to_string()),
    };
    let (code, kind) = (text("code"), text("type"));
    let status = ["status_code", "status", "code"].iter().find_map(|name| error.get(*name)).and_then(status);
    let kind = classify(code.as_deref(), kind.as_deref(), &message, status);
    Failure {
        status: status.unwrap_or_else(|| fitting(kind)),
        kind,
        message,
        code: code.or_else(|| text("type")),
        param: text("param"),
    }
}

/// The body, or the data of the event, that tells a client of a failure.
pub(crate) fn write(failure: &Failure) -> Value {
    json!({"error": {
        "message": failure.message, "type": type_of(failure.kind), "param": failure.param, "code": failure.code,
    }})
}

/// A status that may stand for an error's.
fn status(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|status| (400..600).contains(status))
}

/// What the words of an error mean; the code counts before the type, that before the message, that before the status.
fn classify(code: Option<&str>, kind: Option<&str>, message: &str, status: Option<u16>) -> FailureKind {
    let words = [code, kind].into_iter().flatten().find_map(of_word);
    words.or_else(|| of_message(message)).or_else(|| status.map(FailureKind::of_status)).unwrap_or_else(|| {
        if kind == Some("invalid_request_error") { FailureKind::Invalid } else { FailureKind::Server }
    })
}

fn of_word(word: &str) -> Option<FailureKind> {
    Some(match word {
        "context_length_exceeded" | "string_above_max_length" => FailureKind::ContextLength,
        "content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation" => FailureKind::ContentPolicy,
        "invalid_api_key" | "authentication_error" | "invalid_authentication_error" => FailureKind::Auth,
        "permission_error" | "permission_denied" | "access_denied" => FailureKind::Permission,
        "model_not_found" | "not_found_error" | "not_found" | "DeploymentNotFound" => FailureKind::NotFound,
        "request_too_large" => FailureKind::TooLarge,
        "rate_limit_exceeded" | "rate_limit_error" | "rate_limited" => FailureKind::RateLimit,
        "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" => FailureKind::Quota,
        "overloaded_error" | "engine_overloaded" | "overloaded" | "service_unavailable" => FailureKind::Overloaded,
        "timeout" | "timeout_error" => FailureKind::Timeout,
        "server_error" | "internal_error" | "internal_server_error" | "api_error" => FailureKind::Server,
        _ => return None,
    })
}

fn of_message(message: &str) -> Option<FailureKind> {
    const WORDS: [(&str, FailureKind); 6] = [
        ("context length", FailureKind::ContextLength),
        ("context size", FailureKind::ContextLength),
        ("context window", FailureKind::ContextLength),
        ("content management policy", FailureKind::ContentPolicy),
        ("rate limit", FailureKind::RateLimit),
        ("overloaded", FailureKind::Overloaded),
    ];
    let message = message.to_ascii_lowercase();
    WORDS.iter().find(|(word, _)| message.contains(word)).map(|(_, kind)| *kind)
}

/// The status that fits where none is told.
fn fitting(kind: FailureKind) -> u16 {
    match kind {
        FailureKind::Invalid | FailureKind::ContextLength | FailureKind::ContentPolicy => 400,
        FailureKind::Auth => 401,
        FailureKind::Permission => 403,
        FailureKind::NotFound => 404,
        FailureKind::TooLarge => 413,
        FailureKind::RateLimit | FailureKind::Quota => 429,
        FailureKind::Overloaded => 503,
        FailureKind::Timeout => 504,
        FailureKind::Server => 500,
    }
}

/// The `type` that `OpenAI`'s SDKs know.
fn type_of(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Auth => "authentication_error",
        FailureKind::Permission => "permission_error",
        FailureKind::RateLimit => "rate_limit_error",
        FailureKind::Quota => "insufficient_quota",
        FailureKind::Overloaded | FailureKind::Timeout | FailureKind::Server => "server_error",
        _ => "invalid_request_error",
    }
}
