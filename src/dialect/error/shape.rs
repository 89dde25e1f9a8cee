//! How each family of dialects words a failure: the fields that official SDKs choose their exception by.

use serde_json::{Value, json};

use super::Family;
use crate::dialect::failure::{Failure, FailureKind};

/// Codes that are no code but the type of another maker's error: they would tell a client nothing it knows.
const TYPES_OF_OTHERS: [&str; 17] = [
    // Anthropic, "Errors".
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "overloaded_error",
    "billing_error",
    // Google, google.rpc.Code.
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "RESOURCE_EXHAUSTED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
];

/// What Anthropic's API says first of a prompt that is too long; Claude Code compacts the conversation when it reads it.
const TOO_LONG: &str = "prompt is too long";

/// The status by which a client learns of a failure.
pub(super) fn status(family: Family, failure: &Failure) -> u16 {
    let status = failure.status;
    match (failure.kind, family) {
        (FailureKind::Invalid, _) if (400..500).contains(&status) => status,
        (FailureKind::Invalid | FailureKind::ContextLength | FailureKind::ContentPolicy, _) => 400,
        (FailureKind::Auth, _) => 401,
        (FailureKind::Quota, Family::Anthropic) => 402,
        (FailureKind::Permission, _) => 403,
        (FailureKind::NotFound, _) => 404,
        (FailureKind::TooLarge, _) => 413,
        (FailureKind::RateLimit | FailureKind::Quota, _) => 429,
        (FailureKind::Overloaded, Family::Anthropic) => 529,
        (FailureKind::Overloaded, _) => 503,
        (FailureKind::Timeout, _) if status == 408 => 408,
        (FailureKind::Timeout, _) => 504,
        (FailureKind::Server, _) if (500..600).contains(&status) && status != 529 => status,
        (FailureKind::Server, _) => 500,
    }
}

/// The body by which a client learns of a failure, with the id of its request where the body is the whole response.
pub(super) fn body(family: Family, failure: &Failure, request_id: Option<&str>) -> Value {
    match family {
        Family::OpenAi | Family::OpenAiResponses => {
            let mut error = json!({
                "message": failure.message, "type": openai_type(failure), "param": failure.param,
                "code": openai_code(failure),
            });
            if let Some(id) = request_id {
                error["request_id"] = id.into();
            }
            json!({"error": error})
        }
        Family::Anthropic => {
            let error = json!({"type": anthropic_type(failure.kind), "message": anthropic_message(failure)});
            let mut body = json!({"type": "error", "error": error});
            if let Some(id) = request_id {
                body["request_id"] = id.into();
            }
            body
        }
        Family::Ollama => json!({"error": failure.message}),
        Family::Gemini => {
            let status = status(family, failure);
            json!({"error": {"code": status, "message": failure.message, "status": gemini_status(failure.kind, status)}})
        }
    }
}

/// The `error` event of `OpenAI`'s Responses, whose fields stand at its top.
pub(super) fn flat(failure: &Failure) -> Value {
    json!({"type": "error", "code": openai_code(failure), "message": failure.message, "param": failure.param})
}

fn openai_type(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::Auth => "authentication_error",
        FailureKind::Permission => "permission_error",
        FailureKind::RateLimit => "rate_limit_error",
        FailureKind::Quota => "insufficient_quota",
        FailureKind::Server if failure.code.as_deref() == Some("policy_error") => "policy_error",
        FailureKind::Overloaded | FailureKind::Timeout | FailureKind::Server => "server_error",
        FailureKind::Invalid
        | FailureKind::ContextLength
        | FailureKind::ContentPolicy
        | FailureKind::NotFound
        | FailureKind::TooLarge => "invalid_request_error",
    }
}

/// The code: the one that programs written for `OpenAI` look for, else the failure's own, else what its kind is called.
fn openai_code(failure: &Failure) -> Option<&str> {
    let own = failure.code.as_deref().filter(|code| !TYPES_OF_OTHERS.contains(code));
    match failure.kind {
        FailureKind::ContextLength => Some("context_length_exceeded"),
        FailureKind::Quota => own.or(Some("insufficient_quota")),
        FailureKind::ContentPolicy => {
            Some(own.filter(|code| *code == "content_filter").unwrap_or("content_policy_violation"))
        }
        FailureKind::Auth => own.or(Some("invalid_api_key")),
        FailureKind::NotFound if failure.message.to_lowercase().contains("model") => own.or(Some("model_not_found")),
        FailureKind::RateLimit => own.or(Some("rate_limit_exceeded")),
        FailureKind::TooLarge => own.or(Some("request_too_large")),
        FailureKind::Overloaded => own.or(Some("overloaded")),
        FailureKind::Timeout => own.or(Some("timeout")),
        FailureKind::Invalid | FailureKind::NotFound | FailureKind::Permission | FailureKind::Server => own,
    }
}

/// The `error.type` that Anthropic documents ("Errors").
fn anthropic_type(kind: FailureKind) -> &'static str {
    match kind {
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
    }
}

fn anthropic_message(failure: &Failure) -> std::borrow::Cow<'_, str> {
    let known = failure.kind != FailureKind::ContextLength || failure.message.to_lowercase().contains(TOO_LONG);
    if known { failure.message.as_str().into() } else { format!("{TOO_LONG}: {}", failure.message).into() }
}

/// The canonical status name of Google APIs.
fn gemini_status(kind: FailureKind, status: u16) -> &'static str {
    match kind {
        FailureKind::Auth => "UNAUTHENTICATED",
        FailureKind::Permission => "PERMISSION_DENIED",
        FailureKind::NotFound => "NOT_FOUND",
        FailureKind::RateLimit | FailureKind::Quota => "RESOURCE_EXHAUSTED",
        FailureKind::Timeout => "DEADLINE_EXCEEDED",
        FailureKind::Overloaded => "UNAVAILABLE",
        FailureKind::Server if status == 502 => "UNAVAILABLE",
        FailureKind::Server => "INTERNAL",
        FailureKind::Invalid | FailureKind::ContextLength | FailureKind::ContentPolicy | FailureKind::TooLarge => {
            "INVALID_ARGUMENT"
        }
    }
}
