//! Requests are read in every framing, and what is no dialect answers too.

use serde_json::json;

use super::*;

const CHAT: &str = r#"{"model":"any","messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test]
async fn the_echo_shows_the_request_as_it_arrived() {
    let request =
        "PATCH /echo/a%20b?x=1&y HTTP/1.1\r\nHost: h\r\nX-Two: a\r\nx-two: b\r\ncontent-length: 3\r\n\r\nab\n";
    let echoed = ask(start().await, request).await.json();
    assert_eq!(
        echoed,
        json!({
            "method": "PATCH",
            "path": "/echo/a%20b",
            "query": "x=1&y",
            "headers": [["Host", "h"], ["X-Two", "a"], ["x-two", "b"], ["content-length", "3"]],
            "length": 3,
            "body": "ab\n",
        })
    );
}

#[tokio::test]
async fn an_echoed_body_that_is_no_text_is_null() {
    let mut client = Client::connect(start().await).await;
    client.send(b"PUT /echo HTTP/1.1\r\ncontent-length: 2\r\n\r\n\xff\xfe").await;
    let echoed = client.answer().await.json();
    assert_eq!((&echoed["length"], &echoed["body"]), (&json!(2), &Value::Null));
}

#[tokio::test]
async fn a_chunked_body_is_put_together_however_it_is_split() {
    let address = start().await;
    let request =
        "POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nt: v\r\n\r\n";
    for size in [1, 2, 3, 7, 1000] {
        let mut client = Client::connect(address).await;
        client.stream.set_nodelay(true).unwrap();
        for piece in request.as_bytes().chunks(size) {
            client.send(piece).await;
        }
        client.send(get("/")).await;
        assert_eq!(client.answer().await.json()["body"], "abc0123456789");
        assert_eq!(client.answer().await.status(), 200);
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut client = Client::connect(start().await).await;
    let requests: String = (0..50).map(|number| post(&format!("/echo/{number}"), "", "x")).collect();
    client.send(requests).await;
    for number in 0..50 {
        assert_eq!(client.answer().await.json()["path"], format!("/echo/{number}"));
    }
}

#[tokio::test]
async fn a_client_that_expects_a_100_gets_it() {
    let mut client = Client::connect(start().await).await;
    let request = post("/v1/chat/completions", "Expect: 100-continue\r\n", CHAT);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    client.send(format!("{head}\r\n\r\n")).await;
    assert_eq!(text(&client.until("\r\n\r\n").await), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(body).await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn an_early_answer_to_a_client_that_waits_closes() {
    let mut client = Client::connect(start().await).await;
    let fields = "expect: 100-continue\r\nx-mock-fault: early=413\r\n";
    let request = post("/v1/chat/completions", fields, CHAT);
    client.send(request.split_once("\r\n\r\n").unwrap().0).await;
    client.send("\r\n\r\n").await;
    let (read, end) = client.drain().await;
    assert!(end.is_ok() && text(&read).starts_with("HTTP/1.1 413") && text(&read).contains("connection: close"));
}

#[tokio::test]
async fn broken_requests_are_refused_and_closed() {
    let address = start().await;
    for (request, status) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("POST /echo HTTP/1.1\r\ncontent-length: x\r\n\r\n".to_owned(), 400),
        ("POST /echo HTTP/1.1\r\ncontent-length: +1\r\n\r\n".to_owned(), 400),
        ("POST /echo HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n".to_owned(), 413),
        ("POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(), 400),
        ("POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc".to_owned(), 400),
        ("POST /echo HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), 501),
        (format!("GET /echo HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(129)), 431),
    ] {
        let mut client = Client::connect(address).await;
        client.send(&request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), status, "{request}");
        assert_eq!(header(&answer.head, "connection"), Some("close"));
        assert_eq!(client.more().await.ok(), Some(0));
    }
}

#[tokio::test]
async fn an_old_client_gets_no_chunks() {
    let address = start().await;
    let body = CHAT.replace("\"model\"", "\"stream\":true,\"model\"");
    let request = post("/v1/chat/completions", "", &body).replace("HTTP/1.1", "HTTP/1.0");
    let mut client = Client::connect(address).await;
    client.send(request).await;
    let (read, end) = client.drain().await;
    assert!(end.is_ok() && text(&read).ends_with("data: [DONE]\n\n") && !text(&read).contains("chunked"));
    let mut client = Client::connect(address).await;
    client.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    assert_eq!(header(&client.answer().await.head, "connection"), Some("keep-alive"));
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(client.drain().await.1.is_ok());
}

#[tokio::test]
async fn bytes_are_as_many_as_asked() {
    let address = start().await;
    for count in [0, 1, 65_536, 65_537, 1_000_000] {
        assert_eq!(ask(address, &get(&format!("/bytes/{count}"))).await.body.len(), count);
    }
    assert_eq!(ask(address, &get("/bytes/many")).await.status(), 400);
}

#[tokio::test]
async fn requests_are_counted_by_path() {
    let address = start().await;
    for path in ["/echo/a", "/echo/b", "/nowhere", "/v1/models", "/bytes/1"] {
        ask(address, &get(path)).await;
    }
    ask(address, &post("/v1/chat/completions", "", CHAT)).await;
    let stats = ask(address, &get("/mock/stats")).await.json();
    assert_eq!(
        stats,
        json!({
            "requests": 6,
            "by_path": {"/v1/chat/completions": 1, "/v1/models": 1, "/bytes/": 1, "/echo": 2, "elsewhere": 1},
            "aborted": 0,
        })
    );
}

#[tokio::test]
async fn a_client_that_leaves_during_a_pause_is_counted() {
    let address = start().await;
    let mut client = Client::connect(address).await;
    let body = CHAT.replace("\"model\"", "\"stream\":true,\"model\"");
    client.send(post("/v1/chat/completions", "x-mock-fault: pause=60s\r\n", &body)).await;
    client.until("assistant").await;
    drop(client);
    let mut aborted = json!(0);
    let patience = std::time::Instant::now() + PATIENCE;
    while aborted == json!(0) && std::time::Instant::now() < patience {
        aborted = ask(address, &get("/mock/stats")).await.json()["aborted"].clone();
    }
    assert_eq!(aborted, json!(1));
}

#[tokio::test]
async fn a_shutdown_ends_the_service_and_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = tokio::spawn(serve(listener, "m1".to_owned(), stopped));
    let mut client = Client::connect(address).await;
    client.send(get("/")).await;
    assert_eq!(client.answer().await.status(), 200);
    stop.send(()).unwrap();
    assert!(service.await.unwrap().is_ok());
    assert_eq!(client.more().await.ok(), Some(0));
}

#[tokio::test]
async fn a_name_that_fits_no_header_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = serve(listener, "a\r\nb".to_owned(), std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
