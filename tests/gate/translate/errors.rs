//! Refusals of upstreams: each client is told in its own shape, with the status that its SDK expects.

use serde_json::{Value, json};

use super::clients::{CLIENTS, Client};
use super::gate;
use super::table::native;
use super::upstreams::{UPS, Up};
use crate::support::service::{Service, answer};
use crate::support::talk::Said;

/// A refusal, and what clients are told of it.
struct Refusal {
    /// Whose.
    up: Up,
    /// Its status.
    status: u16,
    /// Its body.
    body: &'static str,
    /// The status for `OpenAI`'s clients and Ollama's, Anthropic's, Gemini's.
    told: [u16; 3],
    /// The types for clients of `OpenAI` and Anthropic, the status for Gemini's.
    kinds: [&'static str; 3],
    /// The code for clients of `OpenAI`.
    code: Option<&'static str>,
    /// Words that stay.
    says: &'static str,
}

const REFUSALS: [Refusal; 12] = [
    refusal(
        Up::Anthropic,
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"req_1"}"#,
        [401; 3],
        ["authentication_error", "authentication_error", "UNAUTHENTICATED"],
        Some("invalid_api_key"),
        "invalid x-api-key",
    ),
    refusal(
        Up::Chat,
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-abcdefghijklmnopqrstuvwxyz123456.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        [401; 3],
        ["authentication_error", "authentication_error", "UNAUTHENTICATED"],
        Some("invalid_api_key"),
        "Incorrect API key provided",
    ),
    refusal(
        Up::Gemini,
        400,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
        [401; 3],
        ["authentication_error", "authentication_error", "UNAUTHENTICATED"],
        Some("API_KEY_INVALID"),
        "API key not valid",
    ),
    refusal(
        Up::Ollama,
        404,
        r#"{"error":"model 'a-model' not found"}"#,
        [404; 3],
        ["invalid_request_error", "not_found_error", "NOT_FOUND"],
        Some("model_not_found"),
        "model 'a-model' not found",
    ),
    refusal(
        Up::Anthropic,
        404,
        r#"{"type":"error","error":{"type":"not_found_error","message":"model: a-model"}}"#,
        [404; 3],
        ["invalid_request_error", "not_found_error", "NOT_FOUND"],
        Some("model_not_found"),
        "model: a-model",
    ),
    refusal(
        Up::Responses,
        429,
        r#"{"error":{"message":"Rate limit reached for requests","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
        [429; 3],
        ["rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"],
        Some("rate_limit_exceeded"),
        "Rate limit reached",
    ),
    refusal(
        Up::Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 212000 tokens > 200000 maximum"}}"#,
        [400; 3],
        ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"],
        Some("context_length_exceeded"),
        "prompt is too long: 212000 tokens",
    ),
    refusal(
        Up::Chat,
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        [400; 3],
        ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"],
        Some("context_length_exceeded"),
        "maximum context length is 8192",
    ),
    refusal(
        Up::Anthropic,
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        [503, 529, 503],
        ["server_error", "overloaded_error", "UNAVAILABLE"],
        Some("overloaded"),
        "Overloaded",
    ),
    refusal(
        Up::Chat,
        502,
        "<html><head><title>502 Bad Gateway</title></head><body>nginx/10.0.0.7</body></html>",
        [502; 3],
        ["server_error", "api_error", "UNAVAILABLE"],
        None,
        "502",
    ),
    refusal(Up::Gemini, 500, "", [500; 3], ["server_error", "api_error", "INTERNAL"], None, "500"),
    refusal(
        Up::Ollama,
        503,
        "no room",
        [503, 529, 503],
        ["server_error", "overloaded_error", "UNAVAILABLE"],
        Some("overloaded"),
        "no room",
    ),
];

const fn refusal(
    up: Up,
    status: u16,
    body: &'static str,
    told: [u16; 3],
    kinds: [&'static str; 3],
    code: Option<&'static str>,
    says: &'static str,
) -> Refusal {
    Refusal { up, status, body, told, kinds, code, says }
}

/// Checks the shape that a client's SDK reads; returns the message.
pub(super) fn shape(client: Client, said: &Said, kinds: [&str; 3], code: &Value) -> String {
    let body = said.json();
    let what = format!("{client:?}: {} {body}", said.status);
    assert!(said.header("content-type").unwrap().starts_with("application/json"), "{what}");
    let message = match client {
        Client::Chat | Client::Completions | Client::Responses => {
            assert_eq!((&body["error"]["type"], &body["error"]["code"]), (&json!(kinds[0]), code), "{what}");
            &body["error"]["message"]
        }
        Client::Anthropic => {
            assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kinds[1])), "{what}");
            &body["error"]["message"]
        }
        Client::Ollama | Client::Generate => &body["error"],
        Client::Gemini | Client::GeminiArray => {
            assert_eq!(
                (&body["error"]["status"], &body["error"]["code"]),
                (&json!(kinds[2]), &json!(said.status)),
                "{what}"
            );
            &body["error"]["message"]
        }
    };
    message.as_str().unwrap_or_else(|| panic!("{what}")).to_owned()
}

/// A request that cannot be translated: what it is, headers, body, the status and words that tell of it.
type Untold<'a> = (&'a str, &'a [(&'a str, &'a str)], String, u16, &'a str);

/// The status that a client of a dialect is told.
fn status(client: Client, told: [u16; 3]) -> u16 {
    match client {
        Client::Anthropic => told[1],
        Client::Gemini | Client::GeminiArray => told[2],
        _ => told[0],
    }
}

#[test]
fn every_client_learns_of_a_refusal_in_its_own_shape() {
    for refusal in &REFUSALS {
        let headers = [("Content-Type", "application/json"), ("Retry-After", "7"), ("Request-Id", "req_1")];
        let upstream = Service::saying(answer(refusal.status, &headers, refusal.body));
        let gate = gate(refusal.up.setting(), &upstream, "");
        let mut talk = gate.talk();
        for client in CLIENTS.into_iter().filter(|client| !native(*client, refusal.up)) {
            for stream in [false, true] {
                let said = talk.post(client.path(stream), &[], &client.body(stream));
                let what = format!("{client:?} before {:?}: {} {}", refusal.up, said.status, said.text());
                assert_eq!(said.status, status(client, refusal.told), "{what}");
                let message = shape(client, &said, refusal.kinds, &json!(refusal.code));
                assert!(message.contains(refusal.says), "{what}");
                assert!(
                    !message.contains("<html") && !message.contains("abcdefghijklmn") && !message.contains("10.0.0.7"),
                    "{what}"
                );
                assert_eq!(said.header("retry-after"), Some("7"), "{what}");
            }
        }
    }
}

#[test]
fn a_failure_hidden_in_a_good_status_is_told_as_what_it_is() {
    let hidden = [
        (
            Up::Chat,
            r#"{"error":{"message":"Provider returned error","code":429}}"#,
            429,
            ["rate_limit_error", "rate_limit_error", "RESOURCE_EXHAUSTED"],
        ),
        (
            Up::Responses,
            r#"{"id":"resp_1","object":"response","created_at":1,"status":"failed","error":{"code":"server_error","message":"broke"},"output":[],"model":"m"}"#,
            500,
            ["server_error", "api_error", "INTERNAL"],
        ),
        (
            Up::Ollama,
            r#"{"error":"llama runner process has terminated"}"#,
            500,
            ["server_error", "api_error", "INTERNAL"],
        ),
        (
            Up::Anthropic,
            r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#,
            500,
            ["server_error", "api_error", "INTERNAL"],
        ),
        (
            Up::Gemini,
            r#"{"error":{"code":500,"message":"broke","status":"INTERNAL"}}"#,
            500,
            ["server_error", "api_error", "INTERNAL"],
        ),
    ];
    for (up, body, status, kinds) in hidden {
        let upstream = Service::saying(answer(200, &[("Content-Type", "application/json")], body));
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
            let said = talk.post(client.path(false), &[], &client.body(false));
            // A server's own failure may be told as one behind a gateway.
            let fits = said.status == status || status == 500 && said.status == 502;
            assert!(fits, "{client:?} before {up:?}: {} {}", said.status, said.text());
            let kinds = if said.status == 502 { ["server_error", "api_error", "UNAVAILABLE"] } else { kinds };
            let code = if client.path(false).starts_with("/v1") && client != Client::Anthropic {
                said.json()["error"]["code"].clone()
            } else {
                Value::Null
            };
            shape(client, &said, kinds, &code);
        }
    }
}

#[test]
fn garbage_under_a_good_status_is_a_bad_gateway() {
    for up in UPS {
        for body in ["", "hello", "<html></html>", "[]", "null", "{}", "{\"choices\":", "\u{0}\u{1}"] {
            let upstream = Service::saying(answer(200, &[("Content-Type", "application/json")], body));
            let gate = gate(up.setting(), &upstream, "");
            let mut talk = gate.talk();
            for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
                let said = talk.post(client.path(false), &[], &client.body(false));
                let what = format!("{client:?} before {up:?} that says {body:?}: {} {}", said.status, said.text());
                assert!(said.status == 502 || said.status == 500, "{what}");
                let code = if client.path(false).starts_with("/v1") && client != Client::Anthropic {
                    said.json()["error"]["code"].clone()
                } else {
                    Value::Null
                };
                let kinds = if said.status == 502 {
                    ["server_error", "api_error", "UNAVAILABLE"]
                } else {
                    ["server_error", "api_error", "INTERNAL"]
                };
                shape(client, &said, kinds, &code);
            }
        }
    }
}

#[test]
fn what_cannot_be_translated_is_refused_before_anything_is_sent() {
    let upstream = Service::saying(answer(200, &[], "{}"));
    let gate = gate("anthropic", &upstream, "[limits]\nbody = \"8KiB\"");
    let mut talk = gate.talk();
    let chat = Client::Chat;
    let long = |length| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(length));
    let cases: [Untold<'_>; 6] = [
        ("compressed", &[("Content-Encoding", "gzip")], chat.body(false), 415, "Content-Encoding"),
        ("no JSON", &[], "{\"model\":".to_owned(), 400, "not JSON"),
        ("no chat", &[], "[1,2]".to_owned(), 400, "object"),
        ("another form", &[], long(1).replace("\"x\"", "5"), 400, "messages[0].content"),
        ("too large", &[], long(9000), 413, "8192"),
        ("far too large", &[], long(90_000), 413, "8192"),
    ];
    for (what, headers, body, status, says) in cases {
        let said = gate.talk().post(chat.path(false), headers, &body);
        assert_eq!(said.status, status, "{what}: {}", said.text());
        assert!(said.json()["error"]["message"].as_str().unwrap().contains(says), "{what}: {}", said.text());
    }
    let said = talk.post("/v1/responses", &[], r#"{"model":"m","input":"hi","previous_response_id":"resp_1"}"#);
    assert_eq!(said.status, 400, "{}", said.text());
    assert!(said.json()["error"]["message"].as_str().unwrap().contains("previous_response_id"), "{}", said.text());
    assert_eq!(upstream.count(), 0);
}
