//! The traps of driving the engine ourselves: each of these failed in a driver that did not know it.

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chunk, chunked, open, reset, say, stall};
use crate::support::talk::Talk;
use crate::support::{until, wire};

/// The path of a dialect: a client that leaves there cancels the upstream's work.
const CHAT: &str = "/v1/chat/completions";

/// An upstream that answers each request with its own target, chunked.
fn echo() -> Service {
    Service::start(|heard, stream| say(stream, chunked("text/plain", [heard.target()])))
}

#[test]
fn the_first_byte_of_the_next_request_is_never_eaten() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for number in 0..300 {
        let said = talk.post(&format!("{CHAT}?{number}"), &[], "{}");
        assert_eq!(said.text(), format!("{CHAT}?{number}"));
    }
    assert_eq!(upstream.count(), 300);
}

#[test]
fn requests_in_one_packet_are_answered_in_their_order() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    let requests: String = (0..20).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: gate.test\r\n\r\n")).collect();
    talk.send(requests);
    for number in 0..20 {
        assert_eq!(talk.read().text(), format!("/{number}"));
    }
    assert_eq!(upstream.count(), 20);
}

#[test]
fn a_request_that_comes_during_a_response_waits_its_turn() {
    let (go, wait) = mpsc::channel();
    let wait = parking_lot::Mutex::new(wait);
    let upstream = Service::start(move |heard, stream| {
        if heard.number == 1 {
            say(stream, open("text/event-stream"));
            say(stream, chunk("data: 1\n\n"));
            wait.lock().recv().unwrap();
            say(stream, chunk("data: 2\n\n"));
            return say(stream, END);
        }
        say(stream, answer(200, &[], heard.target()))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{}");
    talk.wait_for("data: 1");
    talk.send("GET /second HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    go.send(()).unwrap();
    let first = talk.read();
    assert_eq!((first.text().as_str(), first.whole), ("data: 1\n\ndata: 2\n\n", true));
    assert_eq!(talk.read().text(), "/second");
}

#[test]
fn a_client_that_half_closes_gets_its_whole_answer() {
    let (go, wait) = mpsc::channel();
    let wait = parking_lot::Mutex::new(wait);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/plain"));
        say(stream, chunk("begun "));
        wait.lock().recv().unwrap();
        say(stream, chunk("done"));
        say(stream, END)
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET /plain HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    talk.half_close();
    talk.wait_for("begun ");
    go.send(()).unwrap();
    let said = talk.read();
    assert_eq!((said.text().as_str(), said.whole), ("begun done", true));
}

#[test]
fn a_client_that_half_closes_before_the_head_gets_its_whole_answer() {
    let (go, wait) = mpsc::channel();
    let wait = parking_lot::Mutex::new(wait);
    let upstream = Service::start(move |_, stream| {
        wait.lock().recv().unwrap();
        say(stream, answer(200, &[], "late"))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET /plain HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    talk.half_close();
    assert!(until(|| upstream.count() == 1));
    go.send(()).unwrap();
    assert_eq!(talk.read().text(), "late");
}

#[test]
fn interim_responses_are_not_taken_for_the_answer() {
    let upstream = Service::start(|_, stream| {
        say(stream, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        say(stream, answer(200, &[], "final"))
    });
    let gate = Bundled::before(&upstream.url(), "");
    for _ in 0..3 {
        assert_eq!(gate.talk().get("/", &[]).text(), "final");
    }
}

#[test]
fn what_concerns_one_connection_does_not_travel() {
    let upstream = Service::saying(answer(
        200,
        &[("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=1"), ("X-End", "1")],
        "ok",
    ));
    let gate = Bundled::before(&upstream.url(), "");
    let hop = [
        ("Connection", "keep-alive, X-Private"),
        ("X-Private", "1"),
        ("Keep-Alive", "1"),
        ("TE", "gzip"),
        ("X-Public", "1"),
    ];
    let said = gate.talk().get("/", &hop);
    assert_eq!((said.header("x-hop"), said.header("keep-alive"), said.header("connection")), (None, None, None));
    assert_eq!(said.header("x-end"), Some("1"));
    let heard = &upstream.heard()[0];
    for name in ["x-private", "keep-alive", "te", "connection"] {
        assert_eq!(heard.header(name), None, "{name}");
    }
    assert_eq!(heard.header("x-public"), Some("1"));
}

#[test]
fn an_encoding_that_policies_cannot_read_is_not_asked_for() {
    let upstream = Service::saying(answer(200, &[], "ok"));
    let lua = "return policy { api = 1, on_response = function(res) end }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    gate.talk().get("/", &[("Accept-Encoding", "gzip")]);
    assert_eq!(upstream.heard()[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn a_body_that_stops_coming_is_given_up() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "[limits]\nbody_idle = \"300ms\"");
    let mut talk = gate.talk();
    talk.send("POST /upload HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 10\r\n\r\nhalf");
    let said = talk.read();
    assert_eq!(said.status, 408, "{said:?}");
    assert!(talk.ends());
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let (gone, told) = mpsc::channel();
    let upstream = Service::start(move |_, stream| {
        say(stream, open("application/octet-stream"));
        while say(stream, chunk(vec![b'x'; 64 * 1024])) {}
        gone.send(()).unwrap();
        false
    });
    let gate = Bundled::before(&upstream.url(), "[limits]\nbody_idle = \"300ms\"");
    let mut talk = gate.talk();
    talk.send("GET /big HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    told.recv_timeout(Duration::from_secs(20)).expect("the upstream is not let go");
}

#[test]
fn a_connection_whose_answer_was_read_whole_is_used_again() {
    let upstream = echo();
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for number in 0..5 {
        assert_eq!(talk.get(&format!("/{number}"), &[]).text(), format!("/{number}"));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_connection_whose_answer_was_broken_off_is_not_used_again() {
    let upstream = Service::start(|heard, stream| {
        if heard.target() == "/endless" {
            say(stream, open("text/plain"));
            while say(stream, chunk(vec![b'x'; 64 * 1024])) {}
            return false;
        }
        say(stream, answer(200, &[], "clean"))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET /endless HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    talk.wait_for("xxx");
    drop(talk);
    let said = gate.talk().get("/", &[]);
    assert_eq!(said.text(), "clean");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_request_that_finds_its_kept_connection_closed_is_sent_again_once() {
    let upstream = Service::start(|heard, stream| {
        if heard.connection == 1 && heard.target() == "/second" {
            return reset(stream);
        }
        say(stream, answer(200, &[], heard.target()))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    assert_eq!(talk.get("/first", &[]).text(), "/first");
    let said = talk.post("/second", &[], "{\"a\":1}");
    assert_eq!((said.status, said.text().as_str()), (200, "/second"), "{said:?}");
    let bodies: Vec<_> = upstream.heard().iter().map(|heard| (heard.connection, heard.text())).collect();
    assert_eq!(bodies, [(1, String::new()), (1, "{\"a\":1}".into()), (2, "{\"a\":1}".into())]);
}

#[test]
fn an_upstream_that_closes_after_each_answer_without_saying_so_serves_every_request() {
    let upstream = Service::start(|heard, stream| {
        say(stream, answer(200, &[], &heard.body));
        false
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for number in 0..100 {
        let body = format!("{{\"number\":{number}}}");
        assert_eq!(talk.post("/", &[], &body).text(), body);
    }
}

#[test]
fn a_fresh_connection_that_breaks_is_not_tried_again() {
    let upstream = Service::start(|_, stream| reset(stream));
    let gate = Bundled::before(&upstream.url(), "");
    assert_eq!(gate.talk().get("/", &[]).status, 502);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_body_that_breaks_off_is_seen_to_break_off() {
    let upstream = Service::start(|_, stream| {
        say(stream, open("text/plain"));
        say(stream, chunk("half"));
        reset(stream)
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let said = talk.read();
    assert_eq!((said.status, said.whole), (200, false), "{said:?}");
    assert!(!said.text().contains("error"), "no page is written behind a half body: {said:?}");
}

#[test]
fn a_body_shorter_than_its_length_is_seen_to_break_off() {
    let upstream = Service::start(|_, stream| {
        say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        false
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let said = talk.read();
    assert_eq!((said.status, said.whole, said.text().as_str()), (200, false, "only this"));
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error_event() {
    let upstream = Service::start(|_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"));
        reset(stream)
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{\"stream\":true}");
    let said = talk.read();
    assert!(said.text().contains("\"content\":\"a\"") && said.text().contains("error"), "{said:?}");
    assert!(!said.whole, "the end must not look clean: {said:?}");
}

#[test]
fn answers_without_a_body_leave_the_connection_in_order() {
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/204" => say(stream, "HTTP/1.1 204 No Content\r\n\r\n"),
        "/304" => say(stream, "HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\nETag: \"a\"\r\n\r\n"),
        _ if heard.head.starts_with("HEAD") => say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"),
        _ => say(stream, answer(200, &[], "twelve bytes")),
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        assert_eq!(talk.get("/204", &[]).status, 204);
        assert_eq!(talk.get("/304", &[]).status, 304);
        talk.send("HEAD / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        let head = talk.drop_head();
        assert!(head.to_lowercase().contains("content-length: 12"), "{head}");
        assert_eq!(talk.get("/", &[]).text(), "twelve bytes");
    }
    assert!(upstream.connections() <= 2, "connections are kept, though one may be asked for before it is given back");
}

#[test]
fn a_head_answered_with_chunked_framing_has_no_body_either() {
    let upstream = Service::start(|heard, stream| {
        if heard.head.starts_with("HEAD") {
            return say(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        }
        say(stream, answer(200, &[], "after"))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("HEAD / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    talk.drop_head();
    assert_eq!(talk.get("/", &[]).text(), "after");
}

#[test]
fn a_body_larger_than_is_held_for_hooks_is_refused() {
    let upstream = echo();
    let lua = "return policy { api = 1, on_request = function(req) local _ = req:text() end }";
    let gate = Bundled::policy(&upstream.url(), "[limits]\nbody = \"1KiB\"", lua);
    let mut talk = gate.talk();
    let said = talk.post("/", &[], &"x".repeat(2000));
    assert_eq!(said.status, 413, "{said:?}");
    let chunks = format!("7d0\r\n{}\r\n0\r\n\r\n", "x".repeat(2000));
    let mut talk = gate.talk();
    talk.send(format!("POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"));
    assert_eq!(talk.read().status, 413);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_client_that_leaves_a_dialects_stream_cancels_it() {
    let (gone, told) = mpsc::channel();
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: 1\n\n"));
        stall(stream);
        gone.send(std::time::Instant::now()).unwrap();
        false
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{\"stream\":true}");
    talk.wait_for("data: 1");
    let left = std::time::Instant::now();
    drop(talk);
    let noticed = told.recv_timeout(Duration::from_secs(10)).expect("the upstream is not let go") - left;
    assert!(noticed < Duration::from_millis(100), "{noticed:?}");
}

#[test]
fn a_client_that_leaves_before_the_head_cancels_the_attempt() {
    let (gone, told) = mpsc::channel();
    let upstream = Service::start(move |_, stream| {
        stall(stream);
        gone.send(()).unwrap();
        false
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{}");
    assert!(until(|| upstream.count() == 1));
    drop(talk);
    told.recv_timeout(Duration::from_millis(500)).expect("the upstream is not let go");
}

#[test]
fn garbage_in_place_of_a_head_is_a_bad_gateway() {
    for garbage in
        ["SSH-2.0-server\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "", "HTTP/1.1 200"]
    {
        let address = wire::accept(move |_, mut stream| {
            wire::read_head(&mut stream);
            say(&mut stream, garbage);
        });
        let gate = Bundled::before(&format!("http://{address}"), "");
        let said = gate.talk().get("/", &[]);
        assert_eq!(said.status, 502, "{garbage:?}: {said:?}");
    }
}

#[test]
fn a_broken_chunk_of_the_upstreams_is_seen_to_break_off() {
    let address = wire::accept(move |_, mut stream| {
        wire::read_head(&mut stream);
        say(&mut stream, open("text/plain"));
        say(&mut stream, chunk("good"));
        say(&mut stream, "zz\r\nbad\r\n0\r\n\r\n");
        let _ = stream.read(&mut [0]);
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let said = {
        let mut talk = Talk::to(gate.address);
        talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
        talk.read()
    };
    assert_eq!((said.text().as_str(), said.whole), ("good", false));
}
