//! Errors as they go out: each SDK finds its exception's status and type.

use super::*;

#[test]
fn sdks_get_the_status_and_type_of_their_exception() {
    let cases = [
        (Kind::Invalid, 422, (422, "invalid_request_error"), (422, "invalid_request_error"), (422, "INVALID_ARGUMENT")),
        (
            Kind::ContextLength,
            413,
            (400, "invalid_request_error"),
            (400, "invalid_request_error"),
            (400, "INVALID_ARGUMENT"),
        ),
        (
            Kind::ContentPolicy,
            403,
            (400, "invalid_request_error"),
            (400, "invalid_request_error"),
            (400, "INVALID_ARGUMENT"),
        ),
        (Kind::Auth, 401, (401, "authentication_error"), (401, "authentication_error"), (401, "UNAUTHENTICATED")),
        (Kind::Permission, 403, (403, "permission_error"), (403, "permission_error"), (403, "PERMISSION_DENIED")),
        (Kind::NotFound, 404, (404, "invalid_request_error"), (404, "not_found_error"), (404, "NOT_FOUND")),
        (Kind::TooLarge, 413, (413, "invalid_request_error"), (413, "request_too_large"), (413, "INVALID_ARGUMENT")),
        (Kind::RateLimit, 429, (429, "rate_limit_error"), (429, "rate_limit_error"), (429, "RESOURCE_EXHAUSTED")),
        (Kind::Quota, 402, (429, "insufficient_quota"), (402, "billing_error"), (429, "RESOURCE_EXHAUSTED")),
        (Kind::Overloaded, 529, (503, "server_error"), (529, "overloaded_error"), (503, "UNAVAILABLE")),
        (Kind::Timeout, 524, (504, "server_error"), (504, "timeout_error"), (504, "DEADLINE_EXCEEDED")),
        (Kind::Server, 502, (502, "server_error"), (502, "api_error"), (502, "UNAVAILABLE")),
    ];
    for (kind, status, openai, anthropic, gemini) in cases {
        let failure = failing(kind, status);
        let of = |dialect, path: &str| {
            let (status, body) = write(dialect, &failure, "r1");
            (status, body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned())
        };
        assert_eq!(of(Dialect::OpenAiChat, "/error/type"), (openai.0, openai.1.to_owned()), "{kind:?}");
        assert_eq!(of(Dialect::Anthropic, "/error/type"), (anthropic.0, anthropic.1.to_owned()), "{kind:?}");
        assert_eq!(of(Dialect::GeminiEmbed, "/error/status"), (gemini.0, gemini.1.to_owned()), "{kind:?}");
        assert_eq!(of(Dialect::OllamaTags, "/error"), (openai.0, "it broke".to_owned()), "{kind:?}");
    }
}

#[test]
fn openai_s_codes_are_those_that_programs_look_for() {
    let code = |kind, code: Option<&str>| {
        let failure = Failure { code: code.map(str::to_owned), ..failing(kind, 0) };
        write(Dialect::OpenAiChat, &failure, "r").1["error"]["code"].clone()
    };
    assert_eq!(code(Kind::ContextLength, Some("TOO_MANY_TOKENS")), "context_length_exceeded");
    assert_eq!(code(Kind::Quota, Some("billing_error")), "insufficient_quota");
    assert_eq!(code(Kind::RateLimit, Some("RESOURCE_EXHAUSTED")), "rate_limit_exceeded");
    assert_eq!(code(Kind::Overloaded, Some("overloaded_error")), "overloaded");
    assert_eq!(code(Kind::Invalid, Some("empty_array")), "empty_array");
    assert_eq!(code(Kind::Invalid, None), Value::Null);
}

#[test]
fn claude_code_reads_that_a_prompt_is_too_long() {
    let (_, body) = write(Dialect::Anthropic, &failing(Kind::ContextLength, 400), "r");
    assert_eq!(body["error"]["message"], "prompt is too long: it broke");
    let said = Failure { message: "Prompt is too long".into(), ..failing(Kind::ContextLength, 400) };
    assert_eq!(write(Dialect::Anthropic, &said, "r").1["error"]["message"], "Prompt is too long");
}

#[test]
fn a_stream_ends_in_its_dialect_s_own_error() {
    let failure = failing(Kind::Overloaded, 529);
    let one = |dialect, wire| {
        let events = event(dialect, wire, &failure, "r1");
        assert_eq!(events.len(), 1);
        let value: Value = serde_json::from_slice(events[0].data()).unwrap();
        (events[0].name().map(str::to_owned), value)
    };
    let (name, body) = one(Dialect::Anthropic, Wire::Sse);
    assert_eq!((name.as_deref(), &body["error"]["type"]), (Some("error"), &json!("overloaded_error")));
    let (name, body) = one(Dialect::OpenAiResponses, Wire::Sse);
    assert_eq!(
        (name.as_deref(), body),
        (Some("error"), json!({"type": "error", "code": "overloaded", "message": "it broke", "param": null}))
    );
    let (name, body) = one(Dialect::OpenAiChat, Wire::Sse);
    assert_eq!((name, &body["error"]["message"]), (None, &json!("it broke")));
    assert_eq!(one(Dialect::OllamaChat, Wire::Ndjson).1, json!({"error": "it broke"}));
    assert_eq!(one(Dialect::Gemini, Wire::Sse).1["error"]["code"], 503);
}

#[test]
fn a_gate_s_error_has_the_shape_of_the_client_s_dialect() {
    let error = Error::upstream(GateKind::Timeout, "too slow");
    let anthropic: Value = serde_json::from_slice(&error_body(Some(Dialect::Anthropic), &error, "r1")).unwrap();
    assert_eq!(anthropic["error"]["type"], "timeout_error");
    assert_eq!(anthropic["request_id"], "r1");
    let openai: Value = serde_json::from_slice(&error_body(None, &error, "r1")).unwrap();
    assert_eq!((&openai["error"]["code"], &openai["error"]["request_id"]), (&json!("timeout"), &json!("r1")));
    let events = error_events(Some(Dialect::Anthropic), Wire::Sse, &error, "r1");
    assert_eq!(events[0].data(), &error_body(Some(Dialect::Anthropic), &error, "r1"));
}

#[test]
fn a_policy_s_failure_is_called_so() {
    let error = Error::new(crate::error::Fault::Policy, GateKind::PolicyError, 500, "a hook failed");
    let body: Value = serde_json::from_slice(&error_body(None, &error, "r")).unwrap();
    assert_eq!((&body["error"]["type"], &body["error"]["code"]), (&json!("policy_error"), &json!("policy_error")));
}

proptest::proptest! {
    #[test]
    fn no_body_breaks_the_reading(body in "[\\[\\]{}\",:a0 -]{0,60}|\\{\"(error|detail|message|code)\":.{0,30}\\}", status in 0_u16..1000) {
        proptest::prop_assert!(read(Dialect::Gemini, status, body.as_bytes()).status >= 400);
    }
}
