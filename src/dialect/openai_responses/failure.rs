//! What an `error` of the Responses API means: the object in an answer that failed, and the events that end a stream.

use serde_json::{Map, Value};

use crate::dialect::failure::{Failure, FailureKind};

/// The failure of a stream that ended too soon.
pub(super) fn cut() -> Failure {
    plain("stream_cut", "the upstream's stream ended before its answer did")
}

/// The failure of a stream whose bytes are no JSON.
pub(super) fn garbage() -> Failure {
    plain("garbage", "the upstream sent an event that is not JSON")
}

fn plain(code: &str, message: &str) -> Failure {
    let (code, message) = (Some(code.to_owned()), message.to_owned());
    Failure { status: 502, kind: FailureKind::Server, message, code, param: None }
}

/// Reads an `error`: an object, alone or wrapped in one of the name `error` again, or a text.
pub(super) fn read(error: Value) -> Failure {
    match error {
        Value::Object(mut map) => match map.get_mut("error").map(Value::take) {
            Some(inner) if !inner.is_null() => read_inner(inner, map),
            _ => read_object(map),
        },
        Value::String(message) => read_object(Map::from_iter([("message".to_owned(), Value::String(message))])),
        other => read_object(Map::from_iter([("message".to_owned(), Value::String(other.to_string()))])),
    }
}

/// An `error` within an event: xAI has a text there and the code beside it.
fn read_inner(inner: Value, mut outer: Map<String, Value>) -> Failure {
    let mut failure = read(inner);
    if failure.code.is_none() {
        outer.shift_remove("type");
        let outer = read_object(outer);
        if outer.code.is_some() {
            failure = Failure { message: failure.message, ..outer };
        }
    }
    failure
}

fn read_object(mut map: Map<String, Value>) -> Failure {
    let mut text = |name: &str| match map.get_mut(name).map(Value::take) {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let (code, message, param) = (text("code"), text("message").unwrap_or_default(), text("param"));
    let class = text("type").unwrap_or_default();
    let kind = kind(code.as_deref().unwrap_or_default(), &class, &message);
    Failure { status: status(kind), kind, message, code, param }
}

/// What a failure means, by its code, else its type, else its words.
fn kind(code: &str, class: &str, message: &str) -> FailureKind {
    named(code).or_else(|| told(message)).or_else(|| named(class)).unwrap_or(FailureKind::Server)
}

/// The codes and types of the API reference (Error codes; Responses: the error object), and HTTP statuses that
/// gateways put in their place.
fn named(name: &str) -> Option<FailureKind> {
    Some(match name {
        "context_length_exceeded" | "string_above_max_length" => FailureKind::ContextLength,
        "content_policy_violation"
        | "content_filter"
        | "image_content_policy_violation"
        | "cyber_policy"
        | "bio_policy" => FailureKind::ContentPolicy,
        "invalid_api_key" | "authentication_error" | "missing_api_key" | "401" => FailureKind::Auth,
        "permission_error" | "permission_denied" | "unsupported_country_region_territory" | "403" => {
            FailureKind::Permission
        }
        "model_not_found" | "not_found_error" | "not_found" | "404" => FailureKind::NotFound,
        "request_too_large" | "413" => FailureKind::TooLarge,
        "insufficient_quota" | "billing_hard_limit_reached" | "402" => FailureKind::Quota,
        "rate_limit_exceeded" | "rate_limit_error" | "too_many_requests" | "429" => FailureKind::RateLimit,
        "overloaded" | "overloaded_error" | "server_is_overloaded" | "slow_down" | "503" | "529" => {
            FailureKind::Overloaded
        }
        "timeout" | "timeout_error" | "vector_store_timeout" | "408" | "504" => FailureKind::Timeout,
        "invalid_request_error" | "invalid_prompt" | "invalid_image" | "unsupported_file" | "400" | "422" => {
            FailureKind::Invalid
        }
        "server_error" | "api_error" | "internal_server_error" | "500" | "502" => FailureKind::Server,
        _ => return None,
    })
}

/// What the words say where the code does not.
fn told(message: &str) -> Option<FailureKind> {
    let message = message.to_ascii_lowercase();
    let says = |words: &str| message.contains(words);
    if says("context window") || says("context length") || says("maximum context") {
        Some(FailureKind::ContextLength)
    } else if says("content policy") || says("content management policy") || says("usage policy") {
        Some(FailureKind::ContentPolicy)
    } else if says("exceeded your current quota") {
        Some(FailureKind::Quota)
    } else if says("rate limit") {
        Some(FailureKind::RateLimit)
    } else if says("overloaded") {
        Some(FailureKind::Overloaded)
    } else {
        None
    }
}

/// The HTTP status that fits.
fn status(kind: FailureKind) -> u16 {
    match kind {
        FailureKind::Invalid | FailureKind::ContextLength | FailureKind::ContentPolicy => 400,
        FailureKind::Auth => 401,
        FailureKind::Permission => 403,
        FailureKind::NotFound => 404,
        FailureKind::TooLarge => 413,
        FailureKind::RateLimit | FailureKind::Quota => 429,
        FailureKind::Overloaded => 503,
        FailureKind::Timeout => 504,
        FailureKind::Server => 502,
    }
}

/// The `error` of an answer that failed.
pub(super) fn write(failure: &Failure) -> Value {
    let code = failure.code.as_deref().unwrap_or(match failure.kind {
        FailureKind::RateLimit => "rate_limit_exceeded",
        FailureKind::Quota => "insufficient_quota",
        FailureKind::ContextLength => "context_length_exceeded",
        FailureKind::Invalid | FailureKind::ContentPolicy => "invalid_prompt",
        _ => "server_error",
    });
    serde_json::json!({"code": code, "message": failure.message})
}
