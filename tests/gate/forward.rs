//! What passes is what came: methods, targets, headers and bodies, both ways.

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, say};

/// Settings that leave no trace of the gate on what it forwards.
const TRACELESS: &str = "[forwarding]\nx_forwarded = false\nvia = false\nrequest_id = false";

fn echo() -> Service {
    Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)))
}

/// Keeps the client's own `Host`, as the drop-in does.
fn traceless(upstream: &Service) -> Bundled {
    let text = format!("{TRACELESS}\n[upstreams.up]\nurl = \"{}\"\npreserve_host = true\n", upstream.url());
    Bundled::serve(&[("tidegate.toml", &text)])
}

#[test]
fn a_request_passes_byte_for_byte() {
    let upstream = echo();
    let gate = traceless(&upstream);
    let requests = [
        "GET /a%20b?q=%C3%A4&x=1&x=2 HTTP/1.1\r\nHost: gate.test\r\nX-Order: 2\r\nX-Order: 1\r\naccept: */*\r\nX-odd-Case: v  v\r\n\r\n".to_owned(),
        "POST /p HTTP/1.1\r\nhost: gate.test\r\nContent-Type: text/plain\r\ncontent-length: 5\r\nCookie: a=1\r\nCookie: b=2\r\n\r\nhello".to_owned(),
        "PURGE /x;y=1//z?? HTTP/1.1\r\nHost: gate.test\r\nX-Empty: \r\n\r\n".to_owned(),
        "OPTIONS /o HTTP/1.1\r\nHost: gate.test\r\nOrigin: http://a.test\r\n\r\n".to_owned(),
    ];
    let mut talk = gate.talk();
    for request in &requests {
        talk.send(request);
        talk.read();
    }
    let heard = upstream.heard();
    for (request, heard) in requests.iter().zip(&heard) {
        assert_eq!(String::from_utf8_lossy(&heard.wire), *request);
    }
    assert_eq!(heard.len(), requests.len());
}

#[test]
fn a_response_passes_byte_for_byte() {
    let answers = [
        "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nServer: own/1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-odd-Case: v\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 404 Not Found\r\ndate: Mon, 01 Jan 2001 00:00:00 GMT\r\nContent-Length: 4\r\nX-After: 1\r\n\r\nnone",
        "HTTP/1.1 302 Found\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nLocation: http://else.test/\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ];
    let upstream = Service::start(move |heard, stream| say(stream, answers[heard.number - 1]));
    let gate = traceless(&upstream);
    for expected in answers {
        let mut talk = gate.talk();
        talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n");
        let got = String::from_utf8_lossy(&talk.rest()).into_owned();
        let got = got.replace("Connection: close\r\n", "").replace("connection: close\r\n", "");
        assert_eq!(in_order(&got), in_order(expected));
    }
}

/// A message whose framing lines are put first: where they stand among others says nothing.
fn in_order(message: &str) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let (framing, other): (Vec<_>, Vec<_>) =
        head.lines().skip(1).partition(|line| line.to_lowercase().starts_with("transfer-encoding"));
    format!("{:?} {framing:?} {other:?} {body:?}", head.lines().next())
}

#[test]
fn every_method_passes_with_and_without_a_body() {
    let upstream = echo();
    let gate = traceless(&upstream);
    let mut talk = gate.talk();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        for body in ["", "some bytes"] {
            let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            talk.send(format!("{method} /m HTTP/1.1\r\nHost: gate.test\r\n{length}\r\n{body}"));
            let said = talk.read();
            assert_eq!((said.status, said.text().as_str()), (200, body), "{method}");
        }
    }
}

#[test]
fn a_large_body_passes_whole_both_ways() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    let body: String = (0..400_000).map(|number| format!("{number:08} ")).collect();
    let said = gate.talk().post("/", &[], &body);
    assert!(said.text() == body, "{} bytes came back", said.body.len());
}

#[test]
fn a_path_prefix_of_the_upstream_comes_first() {
    let upstream = echo();
    let gate = Bundled::before(&format!("{}/base", upstream.url()), "");
    gate.talk().get("/a?b", &[]);
    assert_eq!(upstream.heard()[0].target(), "/base/a?b");
}

#[test]
fn the_upstream_is_called_by_its_own_name() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    gate.talk().get("/", &[]);
    let heard = &upstream.heard()[0];
    assert_eq!(heard.header("host"), Some(upstream.address.to_string().as_str()));
    assert_eq!(heard.header("x-forwarded-host"), Some("gate.test"));
}

#[test]
fn what_a_stranger_says_of_forwarding_is_replaced() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    let lies = [
        ("X-Forwarded-For", "1.2.3.4"),
        ("Forwarded", "for=1.2.3.4"),
        ("X-Real-IP", "1.2.3.4"),
        ("X-Forwarded-Proto", "https"),
    ];
    gate.talk().get("/", &lies);
    let heard = &upstream.heard()[0];
    assert_eq!(heard.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(heard.header("x-forwarded-proto"), Some("http"));
    assert_eq!((heard.header("forwarded"), heard.header("x-real-ip")), (None, None));
    assert_eq!(heard.header("via"), Some("1.1 tidegate"));
}

#[test]
fn what_a_trusted_gateway_says_of_forwarding_is_continued() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "[forwarding]\ntrusted = [\"127.0.0.0/8\"]");
    gate.talk().get("/", &[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("Via", "1.0 first")]);
    let heard = &upstream.heard()[0];
    assert_eq!(heard.header("x-forwarded-for"), Some("1.2.3.4, 127.0.0.1"));
    assert_eq!(heard.header("x-forwarded-proto"), Some("https"));
    assert_eq!(heard.header("via"), Some("1.0 first, 1.1 tidegate"));
}

#[test]
fn a_request_id_is_taken_over_or_made_and_told_to_both_sides() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    let kept = talk.get("/", &[("X-Request-Id", "mine-1")]);
    assert_eq!(kept.header("x-request-id"), Some("mine-1"));
    let replaced = talk.get("/", &[("X-Request-Id", "not a good one")]);
    let made = talk.get("/", &[]);
    let heard = upstream.heard();
    assert_eq!(heard[0].header("x-request-id"), Some("mine-1"));
    for (said, heard) in [(&replaced, &heard[1]), (&made, &heard[2])] {
        let id = heard.header("x-request-id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(said.header("x-request-id"), Some(id));
    }
    assert_ne!(heard[1].header("x-request-id"), heard[2].header("x-request-id"));
}

#[test]
fn an_absolute_target_is_sent_on_as_a_path() {
    let upstream = echo();
    let gate = traceless(&upstream);
    let mut talk = gate.talk();
    talk.send("GET http://named.test/a?b=1 HTTP/1.1\r\nHost: other.test\r\nX: 1\r\n\r\n");
    assert_eq!(talk.read().status, 200);
    let heard = &upstream.heard()[0];
    assert_eq!((heard.target(), heard.header("host")), ("/a?b=1", Some("named.test")));
}

#[test]
fn bytes_beyond_ascii_in_headers_pass() {
    let upstream =
        Service::start(|_, stream| say(stream, b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Length: 0\r\n\r\n"));
    let gate = traceless(&upstream);
    let mut talk = gate.talk();
    talk.send(b"GET / HTTP/1.1\r\nHost: gate.test\r\nX-Name: caf\xe9 \xc3\xa4\r\nConnection: close\r\n\r\n");
    let said = talk.rest();
    assert!(memchr::memmem::find(&said, b"caf\xe9\r\n").is_some(), "{said:?}");
    assert!(memchr::memmem::find(&upstream.heard()[0].wire, b"caf\xe9 \xc3\xa4\r\n").is_some());
}
