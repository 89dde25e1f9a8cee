//! Request bodies on their way: with and without leave, answered early, broken off.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, say};
use crate::support::wire;

/// A policy that asks for the whole body.
const READS: &str = "return policy { api = 1, on_request = function(req) local _ = req:text() end }";

const ASKS: &str = "POST /up HTTP/1.1\r\nHost: gate.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";

/// Reads so many bytes of a body.
fn take(stream: &mut TcpStream, count: usize) -> String {
    let mut body = vec![0; count];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn leave_to_send_comes_from_the_upstream() {
    let address = wire::accept(|_, mut stream| {
        while wire::read_head(&mut stream).to_lowercase().contains("expect: 100-continue") {
            say(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n");
            let body = take(&mut stream, 5);
            say(&mut stream, answer(200, &[], body));
        }
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        talk.send(ASKS);
        assert_eq!(talk.drop_head(), "HTTP/1.1 100 Continue\r\n\r\n");
        talk.send("hello");
        assert_eq!(talk.read().text(), "hello");
    }
}

#[test]
fn leave_to_send_comes_from_a_gate_that_reads_the_body() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let gate = Bundled::policy(&upstream.url(), "", READS);
    let mut talk = gate.talk();
    for _ in 0..2 {
        talk.send(ASKS);
        assert_eq!(talk.drop_head(), "HTTP/1.1 100 Continue\r\n\r\n");
        talk.send("hello");
        assert_eq!(talk.read().text(), "hello");
    }
    assert_eq!(upstream.heard()[0].header("expect"), None, "the body is there: nothing to wait for");
}

#[test]
fn an_upstream_that_never_gives_leave_still_gets_the_body() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send(ASKS);
    assert_eq!(talk.drop_head(), "HTTP/1.1 100 Continue\r\n\r\n");
    talk.send("hello");
    assert_eq!(talk.read().text(), "hello");
}

#[test]
fn an_answer_in_place_of_leave_ends_the_connection_at_once() {
    let address = wire::accept(|_, mut stream| {
        wire::read_head(&mut stream);
        say(&mut stream, answer(401, &[], "no"));
        let _ = stream.read(&mut [0]);
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    let begun = Instant::now();
    talk.send(ASKS);
    let said = talk.read();
    assert_eq!((said.status, said.text().as_str(), said.header("connection")), (401, "no", Some("close")));
    assert!(talk.ends());
    assert!(begun.elapsed() < Duration::from_secs(2), "it waits for a body that never comes: {:?}", begun.elapsed());
}

#[test]
fn a_client_that_does_not_wait_for_leave_is_served() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        talk.send(format!("{ASKS}hello"));
        assert_eq!(talk.read().text(), "hello");
    }
}

#[test]
fn an_answer_during_the_upload_reaches_the_client_whole() {
    let address = wire::accept(|_, mut stream| {
        wire::read_head(&mut stream);
        take(&mut stream, 10_000);
        say(&mut stream, answer(413, &[("Connection", "close")], "too much of it"));
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = [0; 64 * 1024];
        while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    for _ in 0..5 {
        let mut stream = TcpStream::connect(gate.address).unwrap();
        let mut upload = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            let _ = upload.write_all(b"POST /up HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 30000000\r\n\r\n");
            let piece = vec![b'x'; 30_000];
            for _ in 0..1000 {
                if upload.write_all(&piece).is_err() {
                    return;
                }
            }
        });
        let head = wire::read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 413"), "{head:?}");
        assert_eq!(take(&mut stream, 14), "too much of it");
    }
}

#[test]
fn an_answer_before_the_upload_is_over_does_not_confuse_the_next_request() {
    let address = wire::accept(|_, mut stream| {
        let head = wire::read_head(&mut stream);
        say(&mut stream, answer(200, &[], head.split(' ').nth(1).unwrap_or_default()));
        let _ = stream.read(&mut [0]);
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send("POST /first HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 36\r\n\r\n");
    assert_eq!(talk.read().text(), "/first");
    talk.send("GET /inside HTTP/1.1\r\nHost: inside\r\n\r\n".split_at(36).0);
    talk.send("GET /second HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let said = talk.read();
    assert!(said.status == 0 || said.text() == "/second", "{said:?}");
}

#[test]
fn a_broken_chunk_is_refused_and_the_upstream_sees_no_end() {
    let (told, heard) = mpsc::channel();
    let address = wire::accept(move |_, mut stream| {
        wire::read_head(&mut stream);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        told.send(rest).unwrap();
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send("POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n");
    assert_eq!(talk.read().status, 400);
    assert!(talk.ends());
    let rest = heard.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
}

#[test]
fn an_upload_that_breaks_off_is_not_completed_for_the_upstream() {
    for framing in ["Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Content-Length: 100000\r\n\r\nabc"] {
        let (told, heard) = mpsc::channel();
        let address = wire::accept(move |_, mut stream| {
            wire::read_head(&mut stream);
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            told.send(rest).unwrap();
        });
        let gate = Bundled::before(&format!("http://{address}"), "");
        let mut talk = gate.talk();
        talk.send(format!("POST / HTTP/1.1\r\nHost: gate.test\r\n{framing}"));
        drop(talk);
        let rest = heard.recv_timeout(Duration::from_secs(10)).expect("the upstream's connection is kept open");
        assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 50, "{:?}", String::from_utf8_lossy(&rest));
    }
}

#[test]
fn an_upload_reaches_the_upstream_before_it_is_over() {
    let address = wire::accept(|_, mut stream| {
        wire::read_head(&mut stream);
        let first = take(&mut stream, 5);
        say(&mut stream, "HTTP/1.1 103 Early Hints\r\nX-First: seen\r\n\r\n");
        let second = take(&mut stream, 5);
        say(&mut stream, answer(200, &[], first + &second));
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 10\r\n\r\nfirst");
    talk.wait_for("X-First: seen");
    talk.send("second".split_at(5).0);
    assert_eq!(talk.read().text(), "firstsecon");
}

#[test]
fn a_connection_in_the_middle_of_a_request_is_not_used_again() {
    let (told, heard) = mpsc::channel();
    let address = wire::accept(move |number, mut stream| {
        while wire::read_head(&mut stream).ends_with("\r\n\r\n") {
            told.send(number).unwrap();
            say(&mut stream, answer(200, &[], "early"));
        }
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut early = gate.talk();
    early.send("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 40\r\n\r\n");
    assert_eq!(early.read().text(), "early");
    assert_eq!(gate.talk().get("/", &[]).text(), "early");
    assert_eq!((heard.recv().unwrap(), heard.recv().unwrap()), (1, 2));
}

#[test]
fn the_time_for_an_answer_begins_when_the_body_was_sent() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let gate = Bundled::serve(&[(
        "tidegate.toml",
        &format!("[upstreams.up]\nurl = \"{}\"\ntimeouts.head = \"300ms\"\n", upstream.url()),
    )]);
    let mut talk = gate.talk();
    talk.send("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 5\r\n\r\n");
    for byte in b"hello" {
        std::thread::sleep(Duration::from_millis(120)); // paced: all of it takes longer than an answer may
        talk.send([*byte]);
    }
    assert_eq!(talk.read().text(), "hello");
}

#[test]
fn an_upstream_may_answer_while_it_is_sent_the_body() {
    let address = wire::accept(|_, mut stream| {
        wire::read_head(&mut stream);
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for _ in 0..10 {
            let byte = take(&mut stream, 1);
            say(&mut stream, byte);
        }
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 10\r\n\r\n");
    talk.wait_for("\r\n\r\n");
    for byte in "to and fro".bytes() {
        talk.send([byte]);
        talk.wait_for(std::str::from_utf8(&[byte]).unwrap());
    }
    assert_eq!(talk.read().text(), "to and fro");
}

#[test]
fn a_policy_reads_an_answer_that_began_before_the_body_was_sent() {
    let address = wire::accept(|_, mut stream| {
        wire::read_head(&mut stream);
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        let body = take(&mut stream, 10);
        say(&mut stream, body);
    });
    let lua = "return policy { api = 1, on_response = function(res) res:set_text(res:text() .. \"!\") end }";
    let gate = Bundled::policy(&format!("http://{address}"), "", lua);
    let mut talk = gate.talk();
    talk.send("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 10\r\n\r\nto ");
    talk.send("and fro");
    assert_eq!(talk.read().text(), "to and fro!");
}
