//! Each fault is what it says, as a client sees it.

use std::io::ErrorKind;
use std::time::Instant;

use serde_json::json;

use super::*;

const STREAM: &str = r#"{"model":"any","stream":true,"messages":[{"role":"user","content":"one two three"}]}"#;
const PLAIN: &str = r#"{"model":"any","messages":[{"role":"user","content":"one two three"}]}"#;

fn chat(fault: &str, body: &str) -> String {
    post("/v1/chat/completions", &format!("x-mock-fault: {fault}\r\n"), body)
}

/// Sends one chat with a fault, on a connection of its own.
async fn suffer(fault: &str, body: &str) -> Client {
    let mut client = Client::connect(start().await).await;
    client.send(chat(fault, body)).await;
    client
}

fn count(bytes: &[u8], mark: &str) -> usize {
    memchr::memmem::find_iter(bytes, mark).count()
}

#[tokio::test]
async fn a_status_comes_in_the_dialects_shape_with_retry_after() {
    let address = start().await;
    for (path, pointer, value) in [
        ("/v1/chat/completions", "/error/type", "server_error"),
        ("/v1/messages", "/error/type", "overloaded_error"),
        ("/api/chat", "/error", "The mock upstream was asked to answer 529."),
        ("/v1beta/models/any:generateContent", "/error/status", "UNAVAILABLE"),
    ] {
        let answer = ask(address, &post(path, "x-mock-fault: status=529; retry-after=2\r\n", STREAM)).await;
        assert!(answer.head.starts_with("HTTP/1.1 529 \r\n"), "{}", answer.head);
        assert_eq!(header(&answer.head, "retry-after"), Some("2"));
        assert_eq!(answer.json().pointer(pointer), Some(&json!(value)));
    }
    let date = "Wed, 21 Oct 2026 07:28:00 GMT";
    let dated = suffer(&format!("status=503;retry-after={date}"), PLAIN).await.answer().await;
    assert_eq!((dated.status(), header(&dated.head, "retry-after")), (503, Some(date)));
}

#[tokio::test]
async fn a_models_name_asks_for_faults() {
    let body = PLAIN.replace("any", "fault-status=429,retry-after=7");
    let answer = ask_once("/v1/chat/completions", &body).await;
    assert_eq!((answer.status(), header(&answer.head, "retry-after")), (429, Some("7")));
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
}

#[tokio::test]
async fn an_error_comes_in_the_dialects_own_words() {
    let address = start().await;
    for (path, error, status, pointer, value) in [
        ("/v1/chat/completions", "context-length", 400, "/error/code", "context_length_exceeded"),
        ("/v1/responses", "context-length", 400, "/error/code", "context_length_exceeded"),
        ("/v1/messages", "context-length", 400, "/error/message", "prompt is too long: 9000 tokens > 8192 maximum"),
        ("/api/chat", "context-length", 400, "/error", "the input length exceeds the context length"),
        ("/v1beta/models/any:generateContent", "context-length", 400, "/error/status", "INVALID_ARGUMENT"),
        ("/v1/chat/completions", "auth", 401, "/error/code", "invalid_api_key"),
        ("/v1/messages", "auth", 401, "/error/type", "authentication_error"),
        ("/v1beta/models/any:generateContent", "auth", 400, "/error/details/0/reason", "API_KEY_INVALID"),
        ("/v1/chat/completions", "not-found", 404, "/error/code", "model_not_found"),
        ("/v1/chat/completions", "quota", 429, "/error/type", "insufficient_quota"),
        ("/v1/messages", "overloaded", 529, "/error/type", "overloaded_error"),
    ] {
        let answer = ask(address, &post(path, &format!("x-mock-fault: error={error}\r\n"), STREAM)).await;
        assert_eq!((answer.status(), answer.json().pointer(pointer)), (status, Some(&json!(value))), "{path} {error}");
    }
    let body = PLAIN.replace("any", "fault-error=rate-limit");
    for (path, wanted) in [("/v1/chat/completions", "1"), ("/v1/messages", "1"), ("/api/chat", "1")] {
        let answer = ask(address, &post(path, "", &body)).await;
        assert_eq!((answer.status(), header(&answer.head, "retry-after")), (429, Some(wanted)), "{path}");
    }
    let named = post("/v1beta/models/fault-error%3Drate-limit%2Cretry-after%3D9:generateContent", "", "{}");
    let answer = ask(address, &named).await;
    assert_eq!((answer.status(), header(&answer.head, "retry-after")), (429, Some("9")));
    assert_eq!(answer.json()["error"]["status"], "RESOURCE_EXHAUSTED");
}

#[tokio::test]
async fn a_mock_of_one_dialect_has_no_other() {
    let address = start().await;
    let asked = async |path: &str| ask(address, &post(path, "x-mock-fault: only=anthropic\r\n", PLAIN)).await;
    assert_eq!(asked("/v1/messages").await.status(), 200);
    let other = asked("/v1/chat/completions").await;
    assert_eq!((other.status(), &other.json()["error"]["type"]), (404, &json!("not_found_error")));
}

#[tokio::test]
async fn an_unknown_fault_is_refused_and_nothing_else_happens() {
    let answer = suffer("reset;stal=3", PLAIN).await.answer().await;
    let message = answer.json()["error"]["message"].to_string();
    assert_eq!(answer.status(), 400);
    assert!(message.contains("did you mean `stall`?") && message.contains("half-head"), "{message}");
    let model = PLAIN.replace("any", "fault-reset,sttus=5");
    let answer = ask_once("/v1/messages", &model).await;
    assert_eq!((answer.status(), &answer.json()["error"]["type"]), (400, &json!("invalid_request_error")));
}

#[tokio::test]
async fn a_delay_holds_back_the_head() {
    let began = Instant::now();
    let answer = suffer("delay=40ms", PLAIN).await.answer().await;
    assert!(began.elapsed() >= Duration::from_millis(40));
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn pauses_part_the_events() {
    let began = Instant::now();
    let mut client = suffer("pause=20ms", STREAM).await;
    let answer = client.until("[DONE]").await;
    assert_eq!(count(&answer, "data: "), 8);
    assert!(began.elapsed() >= Duration::from_millis(7 * 20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_reset_comes_before_any_byte() {
    let (read, end) = suffer("reset", PLAIN).await.drain().await;
    assert_eq!((read.len(), end.unwrap_err().kind()), (0, ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_reset_after_the_head_leaves_the_head() {
    let (read, end) = suffer("reset-after-head", STREAM).await.drain().await;
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(text(&read).starts_with("HTTP/1.1 200 OK\r\n") && read.ends_with(b"\r\n\r\n"));
}

#[tokio::test]
async fn half_a_head_has_no_end() {
    let (read, end) = suffer("half-head", PLAIN).await.drain().await;
    assert!(end.is_ok() && read.starts_with(b"HTTP/1.1 200") && count(&read, "\r\n\r\n") == 0, "{:?}", text(&read));
}

#[tokio::test]
async fn a_cut_stream_has_its_events_and_no_terminator() {
    let (read, end) = suffer("cut=3", STREAM).await.drain().await;
    assert!(end.is_ok());
    assert_eq!((count(&read, "data: "), count(&read, "\r\n0\r\n")), (3, 0));
    let (read, end) = suffer("cut=999", STREAM).await.drain().await;
    assert!(end.is_ok());
    assert_eq!((count(&read, "[DONE]"), count(&read, "\r\n0\r\n")), (1, 0));
}

#[tokio::test]
async fn a_cut_plain_body_is_shorter_than_announced() {
    for fault in ["cut=3", "cut=999"] {
        let (read, end) = suffer(fault, PLAIN).await.drain().await;
        let head = memchr::memmem::find(&read, b"\r\n\r\n").unwrap() + 4;
        let announced: usize = header(&text(&read), "content-length").unwrap().parse().unwrap();
        assert!(end.is_ok() && read.len() - head < announced);
        assert!(fault != "cut=3" || read.len() - head == 48);
    }
}

#[tokio::test]
async fn a_stall_holds_the_connection_until_the_client_leaves() {
    let address = start().await;
    let mut client = Client::connect(address).await;
    client.send(chat("stall=3", STREAM)).await;
    client.until("\" said:\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n\r\n").await;
    // paced: that nothing comes can only be seen by waiting.
    let more = tokio::time::timeout(Duration::from_millis(30), client.stream.read_u8()).await;
    assert!(more.is_err() && client.read.is_empty(), "{more:?}");
    drop(client);
    let mut aborted = json!(0);
    let patience = Instant::now() + PATIENCE;
    while aborted == json!(0) && Instant::now() < patience {
        aborted = ask(address, &get("/mock/stats")).await.json()["aborted"].clone();
    }
    assert_eq!(aborted, json!(1));
}

#[tokio::test]
async fn garbage_is_not_http() {
    let (read, end) = suffer("garbage", PLAIN).await.drain().await;
    assert!(end.is_ok() && !read.is_empty() && !read.starts_with(b"HTTP"));
    let (read, end) = suffer("garbage=2", STREAM).await.drain().await;
    assert!(end.is_ok());
    assert_eq!((count(&read, "data: "), count(&read, "not a chunk")), (2, 1));
}

#[tokio::test]
async fn garbage_in_a_plain_body_keeps_its_length() {
    let mut client = suffer("garbage=2", PLAIN).await;
    let answer = client.answer().await;
    assert!(answer.text().starts_with("{\"id\":\"chatcmpl-"));
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    client.send(get("/")).await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn split_bodies_are_whole() {
    let whole = suffer("", STREAM).await.answer().await;
    for fault in ["split=7", "split=1"] {
        assert_eq!(suffer(fault, STREAM).await.answer().await.raw, whole.raw, "{fault}");
    }
    let whole = suffer("", PLAIN).await.answer().await;
    assert_eq!(suffer("split=7", PLAIN).await.answer().await.body, whole.body);
}

#[tokio::test]
async fn a_drip_takes_its_time_for_each_byte() {
    let began = Instant::now();
    let mut client = Client::connect(start().await).await;
    client.send("GET / HTTP/1.1\r\nx-mock-fault: drip=3ms\r\n\r\n").await;
    assert_eq!(client.answer().await.text(), "tidegate mock m1\n");
    assert!(began.elapsed() >= Duration::from_millis(48));
}

#[tokio::test]
async fn a_huge_answer_is_as_long_as_asked() {
    let plain = suffer("huge=3MB", PLAIN).await.answer().await.json();
    assert_eq!(plain["choices"][0]["message"]["content"].as_str().unwrap().len(), 3_000_000);
    let streamed = suffer("huge=1MB", STREAM).await.answer().await.events();
    assert_eq!(streamed[1]["choices"][0]["delta"]["content"].as_str().unwrap().len(), 1_000_000);
    let mut client = Client::connect(start().await).await;
    client.send("GET /v1/models HTTP/1.1\r\nx-mock-fault: huge=100KB\r\n\r\n").await;
    let padded = client.answer().await;
    assert_eq!((padded.body.len(), &padded.json()["object"]), (100_000, &json!("list")));
}

#[tokio::test]
async fn an_error_event_ends_a_stream_in_each_dialect() {
    let address = start().await;
    for (path, name, pointer) in [
        ("/v1/chat/completions", None, "/error/message"),
        ("/v1/responses", Some("error"), "/message"),
        ("/v1/messages", Some("error"), "/error/message"),
        ("/api/chat", None, "/error"),
    ] {
        let body = STREAM.replace("\"model\"", "\"input\":\"hi\",\"model\"");
        let answer = ask(address, &post(path, "x-mock-fault: error-event=2\r\n", &body)).await;
        let events = answer.events();
        assert_eq!((answer.status(), events.len()), (200, 3), "{path}");
        assert!(events[2].pointer(pointer).is_some_and(Value::is_string), "{path}");
        assert_eq!(answer.names().get(2).map(String::as_str), name);
    }
    let late = suffer("error-event=99", STREAM).await.answer().await;
    assert!(late.text().contains("finish_reason\":\"stop\"") && !late.text().contains("[DONE]"));
    let plain = suffer("error-event=2", PLAIN).await.answer().await;
    assert_eq!((plain.status(), &plain.json()["error"]["type"]), (200, &json!("server_error")));
}

#[tokio::test]
async fn a_stream_without_done_is_well_framed() {
    let address = start().await;
    for (path, mark) in [
        ("/v1/chat/completions", "[DONE]"),
        ("/v1/responses", "response.completed"),
        ("/v1/messages", "message_stop"),
        ("/api/chat", "\"done\":true"),
    ] {
        let body = STREAM.replace("\"model\"", "\"input\":\"hi\",\"model\"");
        let whole = ask(address, &post(path, "", &body)).await;
        let open = ask(address, &post(path, "x-mock-fault: no-done\r\n", &body)).await;
        assert!(whole.text().contains(mark) && !open.text().contains(mark), "{path}");
        assert!(whole.text().starts_with(&open.text()));
    }
}

#[tokio::test]
async fn crlf_ends_every_line() {
    let answer = suffer("crlf", STREAM).await.answer().await;
    let breaks = answer.text().matches('\n').count();
    assert_eq!((breaks, answer.text().matches("\r\n").count()), (16, 16));
}

#[tokio::test]
async fn events_sets_the_number_of_deltas() {
    let answer = suffer("events=200", STREAM).await.answer().await;
    assert_eq!(answer.events().len(), 202);
}

#[tokio::test]
async fn an_early_answer_comes_before_the_body() {
    let mut client = Client::connect(start().await).await;
    let request = chat("early=413", PLAIN);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    client.send(format!("{head}\r\n\r\n")).await;
    assert_eq!(client.answer().await.status(), 413);
    client.send(body).await;
    client.send(get("/")).await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn trailers_follow_the_body() {
    for body in [PLAIN, STREAM] {
        let mut client = suffer("trailers", body).await;
        let head = text(&client.until("\r\n\r\n").await);
        assert_eq!(header(&head, "trailer"), Some("x-mock-trailer"));
        client.until("\r\n0\r\nx-mock-trailer: end\r\n\r\n").await;
    }
}

#[tokio::test]
async fn early_hints_go_first() {
    let mut client = suffer("early-hints", PLAIN).await;
    assert!(text(&client.until("\r\n\r\n").await).starts_with("HTTP/1.1 103 Early Hints\r\n"));
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn ordered_faults_hit_model_requests_until_used_up_or_healed() {
    let address = start().await;
    let order = |body: &str| post("/mock/fault", "", body);
    let status = async || ask(address, &post("/v1/chat/completions", "", PLAIN)).await.status();
    assert_eq!(ask(address, &order(r#"{"status":503,"times":2}"#)).await.status(), 200);
    assert_eq!(ask(address, &get("/v1/models")).await.status(), 200);
    assert_eq!([status().await, status().await, status().await], [503, 503, 200]);
    ask(address, &order(r#"{"fault":"status=500;retry-after=1"}"#)).await;
    assert_eq!([status().await, status().await], [500, 500]);
    ask(address, &get("/mock/fault").replace("GET", "DELETE")).await;
    assert_eq!(status().await, 200);
    for wrong in ["{}", r#"{"status":200}"#, r#"{"fault":"nope"}"#, r#"{"stats":503}"#, "x"] {
        assert_eq!(ask(address, &order(wrong)).await.status(), 400, "{wrong}");
    }
    ask(address, &order(r#"{"fault":"reset","times":1}"#)).await;
    let mut client = Client::connect(address).await;
    client.send(post("/api/chat", "", PLAIN)).await;
    assert_eq!(client.drain().await.1.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(status().await, 200);
}
