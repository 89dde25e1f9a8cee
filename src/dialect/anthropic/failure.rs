//! Errors in Anthropic's words, inside an answer (Anthropic's API reference, Errors).

use serde_json::{Value, json};

use crate::dialect::failure::{Failure, FailureKind};

/// What Anthropic says to a conversation that does not fit.
const TOO_LONG: &str = "prompt is too long";

/// Reads an `error` object, or whatever stands in its place.
pub(super) fn read(mut error: Value) -> Failure {
    let code = ["type", "code"].iter().find_map(|name| error.get(name).and_then(word));
    let message = match error.get_mut("message").map(Value::take) {
        Some(Value::String(message)) => message,
        _ => error.as_str().map_or_else(|| error.to_string(), str::to_owned),
    };
    let stated = ["code", "status"].iter().find_map(|name| error.get(name).and_then(Value::as_u64));
    let stated = stated.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status));
    let (status, kind) = meaning(code.as_deref().unwrap_or_default(), &message, stated);
    let param = error.get("param").and_then(Value::as_str).map(str::to_owned);
    Failure { status, kind, message, code, param }
}

/// A string or a number as text.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A failure of the stream itself.
pub(super) fn broken(code: &str, message: &str) -> Failure {
    Failure {
        status: 502,
        kind: FailureKind::Server,
        message: message.to_owned(),
        code: Some(code.to_owned()),
        param: None,
    }
}

/// The status that a type of error comes with, and what it means.
fn meaning(code: &str, message: &str, stated: Option<u16>) -> (u16, FailureKind) {
    match code {
        "invalid_request_error" => (400, invalid(message)),
        "authentication_error" => (401, FailureKind::Auth),
        "billing_error" => (402, FailureKind::Quota),
        "permission_error" => (403, FailureKind::Permission),
        "not_found_error" => (404, FailureKind::NotFound),
        "request_too_large" => (413, FailureKind::TooLarge),
        "rate_limit_error" => (429, FailureKind::RateLimit),
        "timeout_error" => (504, FailureKind::Timeout),
        "overloaded_error" => (529, FailureKind::Overloaded),
        _ => {
            let status = stated.unwrap_or(500);
            let kind = match FailureKind::of_status(status) {
                FailureKind::Invalid => invalid(message),
                kind => kind,
            };
            (status, kind)
        }
    }
}

/// What is wrong with a request, which Anthropic says in words only.
fn invalid(message: &str) -> FailureKind {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[TOO_LONG, "context limit", "context window", "context length", "too many total text bytes"]) {
        FailureKind::ContextLength
    } else if says(&["content filter", "usage polic", "content polic"]) {
        FailureKind::ContentPolicy
    } else if says(&["credit balance", "usage limits", "quota"]) {
        FailureKind::Quota
    } else {
        FailureKind::Invalid
    }
}

/// The body of an error, which is also the event of one.
pub(super) fn write(failure: &Failure) -> Value {
    let kind = match failure.kind {
        FailureKind::Invalid | FailureKind::ContextLength | FailureKind::ContentPolicy => "invalid_request_error",
        FailureKind::Auth => "authentication_error",
        FailureKind::Permission => "permission_error",
        FailureKind::NotFound => "not_found_error",
        FailureKind::TooLarge => "request_too_large",
        FailureKind::RateLimit => "rate_limit_error",
        FailureKind::Quota => "billing_error",
        FailureKind::Overloaded => "overloaded_error",
        FailureKind::Timeout => "timeout_error",
        FailureKind::Server => "api_error",
    };
    // Anthropic's clients know by these words that they must shorten the conversation.
    let message = match failure.kind {
        FailureKind::ContextLength if !failure.message.contains(TOO_LONG) => {
            format!("{TOO_LONG}: {}", failure.message)
        }
        _ => failure.message.clone(),
    };
    json!({"type": "error", "error": {"type": kind, "message": message}})
}
