//! Errors of every shape come in, and go out as each SDK expects them.

mod written;

use std::time::Duration;

use serde_json::{Value, json};

use super::{error_body, error_events, event, read, read_event, read_value, retry_after, write};
use crate::dialect::Dialect;
use crate::dialect::failure::{Failure, FailureKind as Kind};
use crate::error::{Error, Kind as GateKind};
use crate::stream::Wire;

fn seen(status: u16, body: &str) -> Failure {
    read(Dialect::OpenAiChat, status, body.as_bytes())
}

fn failing(kind: Kind, status: u16) -> Failure {
    Failure { status, kind, message: "it broke".into(), code: None, param: None }
}

#[test]
fn every_shape_gives_its_words() {
    let cases = [
        (400, r#"{"error":{"message":"too odd","type":"invalid_request_error","param":"seed","code":null}}"#),
        (400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"too odd"},"request_id":"r"}"#),
        (400, r#"{"error":"too odd"}"#),
        (400, r#"{"code":"Client specified an invalid argument","error":"too odd"}"#),
        (401, r#"{"detail":"too odd"}"#),
        (422, r#"{"detail":[{"loc":["body"],"msg":"too odd","type":"missing"}]}"#),
        (422, r#"{"object":"error","message":{"detail":[{"loc":[],"msg":"too odd"}]},"type":"invalid_request_error"}"#),
        (400, r#"{"id":"7","message":"too odd"}"#),
        (400, r#"{"Message":"too odd"}"#),
        (400, r#"{"object":"error","message":"too odd","type":"BadRequestError","param":null,"code":400}"#),
        (400, r#"{"error":{"code":400,"message":"too odd","status":"INVALID_ARGUMENT"}}"#),
        (400, r#"[{"error":{"code":400,"message":"too odd","status":"INVALID_ARGUMENT"}}]"#),
        (400, r#"{"error":["too odd"]}"#),
        (400, r#"["too odd"]"#),
        (400, r#""too odd""#),
        (400, "too odd\n"),
    ];
    for (status, body) in cases {
        let failure = seen(status, body);
        assert_eq!(failure.message, "too odd", "{body}");
        assert_eq!(failure.status, status, "{body}");
    }
}

#[test]
fn a_list_of_faults_names_the_first_place() {
    let failure =
        seen(422, r#"{"detail":[{"loc":["body","top_k"],"msg":"is odd"},{"loc":["body","n",0],"msg":"is big"}]}"#);
    assert_eq!((failure.message.as_str(), failure.param.as_deref()), ("top_k: is odd; n.0: is big", Some("top_k")));
}

#[test]
fn what_is_no_error_is_not_shown() {
    for body in ["<html><h1>502</h1>nginx at rack 7</html>", "  <!DOCTYPE html>x", "", "\0\u{1}"] {
        let failure = seen(502, body);
        assert!(failure.message.starts_with("the upstream answered 502 with "), "{}", failure.message);
        assert_eq!((failure.kind, failure.status), (Kind::Server, 502));
    }
    assert_eq!(read(Dialect::Gemini, 500, b"\xff\xfe").kind, Kind::Server);
    assert!(!seen(500, "{}").message.is_empty());
}

/// Each body, with its status, is of this kind and gets this status.
fn understood(cases: &[(u16, &str, Kind, u16)]) {
    for (status, body, kind, becomes) in cases {
        let failure = seen(*status, body);
        assert_eq!((failure.kind, failure.status), (*kind, *becomes), "{body}");
    }
}

#[test]
fn a_request_that_is_too_long_or_forbidden_is_known_by_label_or_words() {
    understood(&[
        (400, r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#, Kind::ContextLength, 400),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#,
            Kind::ContextLength,
            400,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8)."}}"#,
            Kind::ContextLength,
            400,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#,
            Kind::ContextLength,
            400,
        ),
        (500, r#"{"error":"the input length exceeds the context length"}"#, Kind::ContextLength, 400),
        (400, r#"{"error":{"message":"filtered","code":"content_filter"}}"#, Kind::ContentPolicy, 400),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}"#,
            Kind::ContentPolicy,
            400,
        ),
    ]);
}

#[test]
fn a_wrong_key_or_model_is_known_whatever_the_status() {
    understood(&[
        (
            400,
            r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
            Kind::Auth,
            401,
        ),
        (400, r#"{"code":"c","error":"Incorrect API key provided: x***y."}"#, Kind::Auth, 401),
        (403, r#"{"message":"The security token included in the request is invalid."}"#, Kind::Auth, 401),
        (
            403,
            r#"{"error":{"code":403,"message":"Method doesn't allow unregistered callers","status":"PERMISSION_DENIED"}}"#,
            Kind::Auth,
            401,
        ),
        (403, r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#, Kind::Permission, 403),
        (400, r#"{"message":"The provided model identifier is invalid."}"#, Kind::NotFound, 404),
        (404, "Not Found", Kind::NotFound, 404),
    ]);
}

#[test]
fn limits_money_and_load_are_told_apart() {
    understood(&[
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Kind::Quota,
            429,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED"}}"#,
            Kind::RateLimit,
            429,
        ),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
            Kind::Quota,
            400,
        ),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Kind::Quota, 402),
        (
            413,
            r#"{"error":{"message":"Request too large on tokens per minute","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Kind::RateLimit,
            429,
        ),
        (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Kind::Overloaded, 529),
        (503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#, Kind::Overloaded, 503),
        (500, r#"{"error":"context deadline exceeded"}"#, Kind::Server, 500),
        (401, r#"{"error":{"message":"Unauthorized","type":"api_error"}}"#, Kind::Auth, 401),
        (400, r#"{"__type":"com.amazon.coral.service#ThrottlingException","message":"slow"}"#, Kind::RateLimit, 429),
    ]);
}

#[test]
fn an_error_within_a_stream_finds_its_status() {
    let of = |value: Value| {
        let failure = read_value(200, &value);
        (failure.kind, failure.status)
    };
    assert_eq!(of(json!({"error": {"code": 502, "message": "Provider returned error"}})), (Kind::Server, 502));
    assert_eq!(of(json!({"error": {"code": "429", "message": "slow"}})), (Kind::RateLimit, 429));
    assert_eq!(
        of(json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})),
        (Kind::Overloaded, 503)
    );
    assert_eq!(of(json!({"error": {"type": "invalid_request_error", "message": "bad call"}})), (Kind::Invalid, 400));
    assert_eq!(of(json!({"error": "model runner has stopped"})), (Kind::Server, 500));
    let failed =
        json!({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "x"}}});
    assert_eq!(read_value(200, &failed).code.as_deref(), Some("rate_limit_exceeded"));
    let vague = json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}});
    assert_eq!(read_value(200, &vague).code, None);
    assert_eq!(
        of(json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "x"}}})),
        (Kind::Server, 500)
    );
}

#[test]
fn an_error_within_an_answer_means_what_its_code_or_words_say() {
    let cases = [
        (json!({"code": "context_length_exceeded", "type": "invalid_request_error"}), Kind::ContextLength),
        (
            json!({"type": "invalid_request_error", "message": "Your input exceeds the context window"}),
            Kind::ContextLength,
        ),
        (json!({"error": "the input length exceeds the context length"}), Kind::ContextLength),
        (json!({"type": "invalid_request_error", "message": "blocked by our usage policies"}), Kind::ContentPolicy),
        (json!({"code": "model_not_found", "type": "invalid_request_error"}), Kind::NotFound),
        (json!({"error": "model 'x:latest' not found"}), Kind::NotFound),
        (json!({"code": "invalid_api_key", "type": "invalid_request_error"}), Kind::Auth),
        (json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid."}}), Kind::Auth),
        (json!({"error": "unauthorized"}), Kind::Auth),
        (json!({"status": "FAILED_PRECONDITION", "message": "User location is not supported"}), Kind::Permission),
        (json!({"code": "insufficient_quota", "type": "insufficient_quota"}), Kind::Quota),
        (json!({"error": "you have reached your weekly usage limit"}), Kind::Quota),
        (json!({"status": "RESOURCE_EXHAUSTED", "message": "Your prepayment credits are depleted."}), Kind::Quota),
        (json!({"code": 429, "message": "slow down"}), Kind::RateLimit),
        (json!({"code": "model_error", "message": "Rate limit reached"}), Kind::RateLimit),
        (json!({"error": {"message": "slow down"}, "status_code": 429}), Kind::RateLimit),
        (json!({"code": "server_is_overloaded"}), Kind::Overloaded),
        (json!({"status": "UNAVAILABLE", "message": "m"}), Kind::Overloaded),
        (json!({"error": "model requires more system memory (9 GiB)"}), Kind::Overloaded),
        (json!({"error": "context deadline exceeded"}), Kind::Timeout),
        (json!({"error": "\"m\" does not support thinking"}), Kind::Invalid),
        (json!({"type": "invalid_request_error", "message": "no"}), Kind::Invalid),
        (json!({"code": "server_error", "message": "an invalid state"}), Kind::Server),
        (json!("what?"), Kind::Server),
        (json!({}), Kind::Server),
    ];
    for (error, kind) in cases {
        assert_eq!(read_value(200, &error).kind, kind, "{error}");
    }
}

#[test]
fn a_quota_of_a_day_is_no_rate_limit() {
    let error = |quota: &str| {
        json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota",
            "details": [{"violations": [{"quotaId": quota}]}]}})
    };
    assert_eq!(read_value(429, &error("GenerateRequestsPerDayPerProject")).kind, Kind::Quota);
    assert_eq!(read_value(429, &error("GenerateRequestsPerMinutePerProject")).kind, Kind::RateLimit);
}

#[test]
fn an_event_that_ends_a_stream_is_read_in_every_form() {
    let cases = [
        ("event: error\ndata: {\"error\":{\"code\":503,\"message\":\"busy\"}}\n\n", "busy"),
        ("event: error\ndata: out of order\n\n", "out of order"),
        ("error: {\"code\":503,\"message\":\"loading\"}\n\n", "loading"),
        (": hm\nerror: no slot\n\n", "no slot"),
        ("event: error\n\n", "the upstream failed without saying why"),
    ];
    for (text, message) in cases {
        let event = crate::stream::Event::parse(Wire::Sse, text.to_owned().into());
        assert_eq!(read_event(&event).message, message, "{text}");
    }
}

#[test]
fn the_code_is_the_upstream_s_own() {
    assert_eq!(
        seen(400, r#"{"error":{"message":"m","type":"invalid_request_error","code":"empty_array"}}"#).code.as_deref(),
        Some("empty_array")
    );
    assert_eq!(seen(400, r#"{"error":{"message":"m","type":"invalid_request_error","code":null}}"#).code, None);
    assert_eq!(seen(400, r#"{"message":"m","error_type":"TOO_MANY_TOKENS"}"#).code.as_deref(), Some("TOO_MANY_TOKENS"));
}

#[test]
fn words_behind_a_gateway_s_words_are_kept() {
    let body = r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"try later\"}}"}}}"#;
    assert_eq!(seen(429, body).message, "Provider returned error: try later");
}

#[test]
fn google_s_retry_info_is_a_duration() {
    let body = br#"{"error":{"code":429,"details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#;
    assert_eq!(retry_after(body), Some(Duration::from_millis(34_500)));
    assert_eq!(retry_after(br#"{"error":{"details":[{"retryDelay":"soon"}]}}"#), None);
    assert_eq!(retry_after(br#"{"error":{"details":[{"retryDelay":"-1s"}]}}"#), None);
    assert_eq!(retry_after(b"[]"), None);
}

#[test]
fn recorded_errors_are_understood() {
    let Ok(file) = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traffic/exchanges.jsonl"))
    else {
        eprintln!("skipped: no recorded traffic here");
        return;
    };
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    // Only the lines of errors are parsed: the rest is large.
    for line in
        file.lines().filter(|line| ["4", "5"].iter().any(|first| line.contains(&format!("\"status\": {first}"))))
    {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let response = &exchange["response"];
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        let Some(body) = response["body_text"].as_str().filter(|_| status >= 400) else { continue };
        let id = exchange["id"].as_str().unwrap();
        let failure = read(Dialect::OpenAiChat, status, body.as_bytes());
        assert!(!failure.message.is_empty() && failure.message.chars().count() <= 2_001, "{id}");
        match (status, failure.kind) {
            (401, kind) => assert_eq!(kind, Kind::Auth, "{id}: {failure:?}"),
            (404, kind) => assert_eq!(kind, Kind::NotFound, "{id}: {failure:?}"),
            (429, kind) => assert!(matches!(kind, Kind::RateLimit | Kind::Quota), "{id}: {failure:?}"),
            (403, kind) => assert!(matches!(kind, Kind::Permission | Kind::Auth), "{id}: {failure:?}"),
            (400, kind) => assert_ne!(kind, Kind::Server, "{id}: {failure:?}"),
            _ => {}
        }
        for dialect in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::OllamaChat, Dialect::Gemini] {
            let (status, body) = write(dialect, &failure, "r");
            assert!((400..600).contains(&status) && body.is_object(), "{id}");
        }
        *kinds.entry(format!("{:?}", failure.kind)).or_default() += 1;
    }
    eprintln!("errors read: {kinds:?}");
    assert!(kinds.values().sum::<usize>() > 100 && kinds.len() >= 6, "{kinds:?}");
}
