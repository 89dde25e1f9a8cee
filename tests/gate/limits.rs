//! What clients and upstreams are held to: deadlines, sizes, numbers.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, say, stall};
use crate::support::talk::Talk;
use crate::support::wire;

fn echo() -> Service {
    Service::start(|heard, stream| say(stream, answer(200, &[], heard.target())))
}

/// A gate before one upstream with its own timeouts.
fn timed(url: &str, timeouts: &str, more: &str) -> Bundled {
    Bundled::serve(&[("tidegate.toml", &format!("{more}\n[upstreams.up]\nurl = \"{url}\"\n{timeouts}\n"))])
}

#[test]
fn a_head_that_drips_is_refused_at_the_deadline() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "[limits]\nhead_deadline = \"400ms\"");
    let mut talk = gate.talk();
    let begun = Instant::now();
    for byte in b"GET / HTTP/1.1\r\nX: yyyy" {
        talk.send([*byte]);
        thread::sleep(Duration::from_millis(10)); // paced: each byte alone would renew an idle timeout
    }
    let said = talk.read();
    assert_eq!(said.status, 408, "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(talk.ends());
    let mut talk = gate.talk();
    assert_eq!(talk.get("/", &[]).status, 200);
    talk.send("GET / HT");
    assert_eq!(talk.read().status, 408, "on a later request too");
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "[limits]\nhead_deadline = \"300ms\"");
    let mut talk = gate.talk();
    let begun = Instant::now();
    assert!(talk.ends());
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn an_idle_connection_is_closed_after_each_request() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "[limits]\nkeep_alive = \"1s\"");
    let mut one = gate.talk();
    one.get("/", &[]);
    let mut three = gate.talk();
    for _ in 0..3 {
        three.get("/", &[]);
    }
    let begun = Instant::now();
    assert!(one.ends() && three.ends());
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(700) && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn connections_beyond_the_limit_wait() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "[limits]\nconnections = 2");
    let (mut one, mut two) = (gate.talk(), gate.talk());
    assert_eq!((one.get("/", &[]).status, two.get("/", &[]).status), (200, 200));
    let mut three = gate.talk();
    three.send("GET /three HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert_eq!(one.get("/", &[]).status, 200);
    assert_eq!(upstream.heard().iter().filter(|heard| heard.target() == "/three").count(), 0);
    drop(one);
    assert_eq!(three.read().text(), "/three");
}

#[test]
fn a_connection_ends_after_its_requests() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "[limits]\nrequests_per_connection = 3");
    let mut talk = gate.talk();
    for _ in 0..3 {
        assert_eq!(talk.get("/", &[]).status, 200);
    }
    assert!(talk.ends());
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let upstream = echo();
    let limits = "[limits]\nhead_bytes = \"2KiB\"\nrequest_line = \"1KiB\"\nheaders = 10";
    let gate = Bundled::before(&upstream.url(), limits);
    let long = "x".repeat(1500);
    let many: String = (0..20).map(|number| format!("X-{number}: 1\r\n")).collect();
    let cases = [
        (format!("GET /{long} HTTP/1.1\r\nHost: gate.test\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: gate.test\r\nX: {long}{long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: gate.test\r\n{many}\r\n"), 431),
    ];
    for (request, status) in cases {
        let mut talk = gate.talk();
        talk.send(request);
        let said = talk.read();
        assert_eq!(said.status, status);
        assert!(talk.ends());
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn an_upstream_that_cannot_be_reached_is_a_bad_gateway() {
    let (_kept, nobody) = wire::nobody();
    let gate = Bundled::before(&format!("http://{nobody}"), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        assert_eq!(talk.get("/", &[]).status, 502);
    }
    let said = talk.post("/v1/chat/completions", &[], "{}");
    assert!(said.status == 502 && said.json()["error"]["message"].is_string(), "{said:?}");
    if said.header("connection") == Some("close") {
        assert!(talk.ends());
    } else {
        assert_eq!(talk.get("/", &[]).status, 502);
    }
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let upstream = Service::start(|_, stream| stall(stream));
    let gate = timed(&upstream.url(), "timeouts.head = \"300ms\"", "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(talk.post("/", &[], "{}").status, 504);
        assert!(begun.elapsed() > Duration::from_millis(250) && begun.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn an_upstream_that_takes_no_body_is_a_gateway_timeout() {
    let address = wire::accept(|_, mut stream| {
        wire::read_head(&mut stream);
        thread::park();
    });
    let gate = timed(&format!("http://{address}"), "timeouts.head = \"500ms\"\ntimeouts.idle = \"500ms\"", "");
    let mut stream = TcpStream::connect(gate.address).unwrap();
    let mut upload = stream.try_clone().unwrap();
    thread::spawn(move || {
        let _ = upload.write_all(b"POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 40000000\r\n\r\n");
        let _ = upload.write_all(&vec![b'x'; 40_000_000]);
    });
    let head = wire::read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 504 "), "{head}");
}

#[test]
fn an_exchange_ends_at_its_deadline() {
    let upstream = Service::start(|_, stream| stall(stream));
    let gate = timed(&upstream.url(), "", "[limits]\ndeadline = \"300ms\"");
    let begun = Instant::now();
    assert_eq!(gate.talk().get("/", &[]).status, 504);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_connection_that_is_refused_a_request_serves_no_other() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    for bad in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
    ] {
        let mut talk = Talk::to(gate.address);
        talk.send(format!("{bad}GET /next HTTP/1.1\r\nHost: gate.test\r\n\r\n"));
        let said = talk.read();
        assert!(matches!(said.status, 400 | 505), "{said:?}");
        assert_eq!(said.header("connection"), Some("close"));
        assert!(talk.ends());
    }
    assert_eq!(upstream.count(), 0);
}
