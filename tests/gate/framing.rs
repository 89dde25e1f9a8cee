//! How messages are delimited, for clients and upstreams of either version.

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chunked, open, say};

#[test]
fn a_chunked_request_passes_chunked() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        talk.send("POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        talk.send("4\r\ndefg\r\n0\r\n\r\n");
        assert_eq!(talk.read().text(), "abcdefg");
    }
    let heard = &upstream.heard()[1];
    assert_eq!(heard.header("transfer-encoding"), Some("chunked"));
    assert_eq!(heard.header("content-length"), None);
}

#[test]
fn a_chunked_answer_passes_chunked() {
    let upstream = Service::saying(chunked("text/plain", ["ab", "c", "defg"]));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        let said = talk.get("/", &[]);
        assert_eq!((said.text().as_str(), said.whole), ("abcdefg", true));
        assert_eq!(said.header("content-length"), None);
    }
}

#[test]
fn an_answer_delimited_by_the_close_ends_cleanly() {
    let upstream = Service::start(|_, stream| {
        say(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
        false
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        let said = talk.get("/", &[]);
        assert_eq!((said.text().as_str(), said.whole), ("until the end", true), "{said:?}");
    }
}

#[test]
fn an_answer_of_http_1_0_reaches_a_client_of_1_1() {
    let upstream = Service::start(|_, stream| {
        say(stream, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold");
        false
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        let said = talk.get("/", &[]);
        assert!(said.head.starts_with("HTTP/1.1 200"), "{said:?}");
        assert_eq!((said.text().as_str(), said.whole), ("old", true));
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let upstream = Service::saying(chunked("text/plain", ["ab", "c"]));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.0\r\nHost: gate.test\r\n\r\n");
    let said = String::from_utf8_lossy(&talk.rest()).into_owned();
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{said}");
    assert_eq!(body, "abc");
}

#[test]
fn a_client_of_http_1_0_may_keep_its_connection() {
    let upstream = Service::saying(answer(200, &[], "kept"));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        talk.send("GET / HTTP/1.0\r\nHost: gate.test\r\nConnection: keep-alive\r\n\r\n");
        let said = talk.read();
        assert_eq!(said.text(), "kept");
        assert_eq!(said.header("connection").map(str::to_lowercase), Some("keep-alive".into()));
    }
}

#[test]
fn a_client_that_asks_for_the_close_gets_it() {
    let upstream = Service::saying(answer(200, &[], "last"));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    let said = talk.get("/", &[("Connection", "close")]);
    assert_eq!((said.text().as_str(), said.header("connection")), ("last", Some("close")));
    assert!(talk.ends());
}

#[test]
fn early_hints_reach_clients_that_know_them() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let upstream = Service::start(move |_, stream| {
        say(stream, hints);
        say(stream, answer(200, &[], "page"))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n");
    let said = String::from_utf8_lossy(&talk.rest()).into_owned();
    assert!(said.starts_with("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n"), "{said}");
    assert!(said.contains("\r\n\r\nHTTP/1.1 200") && said.ends_with("page"), "{said}");
    let mut old = gate.talk();
    old.send("GET / HTTP/1.0\r\nHost: gate.test\r\n\r\n");
    let said = String::from_utf8_lossy(&old.rest()).into_owned();
    assert!(!said.contains("103") && said.ends_with("page"), "{said}");
}

#[test]
fn an_answer_whose_lengths_disagree_is_a_bad_gateway() {
    for framing in [
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2x",
        "Content-Length: -1",
        "Transfer-Encoding: gzip",
    ] {
        let upstream = Service::start(move |_, stream| {
            say(stream, format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\nok!"));
            false
        });
        let gate = Bundled::before(&upstream.url(), "");
        let said = gate.talk().get("/", &[]);
        assert_eq!(said.status, 502, "{framing}: {said:?}");
    }
}

#[test]
fn an_answer_with_both_framings_leaves_one() {
    let upstream = Service::start(|_, stream| {
        say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    });
    let gate = Bundled::before(&upstream.url(), "");
    let said = gate.talk().get("/", &[]);
    if said.status == 200 {
        assert_eq!((said.text().as_str(), said.whole, said.header("content-length")), ("ok", true, None), "{said:?}");
    } else {
        assert_eq!(said.status, 502);
    }
}

#[test]
fn bytes_behind_an_answer_are_not_taken_for_the_next() {
    let upstream = Service::start(|heard, stream| {
        say(stream, [answer(200, &[], heard.target()), answer(200, &[], "injected")].concat())
    });
    let gate = Bundled::before(&upstream.url(), "");
    for number in 0..10 {
        let said = gate.talk().get(&format!("/{number}"), &[]);
        assert!(said.text() == format!("/{number}") || said.status == 502, "{said:?}");
    }
}

#[test]
fn an_empty_chunked_answer_ends() {
    let upstream = Service::start(|_, stream| {
        say(stream, open("text/plain"));
        say(stream, END)
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        let said = talk.get("/", &[]);
        assert_eq!((said.text().as_str(), said.whole), ("", true));
    }
}

#[test]
fn chunk_extensions_and_trailers_of_the_upstream_do_no_harm() {
    let upstream = Service::start(|_, stream| {
        say(stream, open("text/plain"));
        say(stream, "2;name=value\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n");
        true
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        let said = talk.get("/", &[]);
        assert_eq!((said.text().as_str(), said.whole), ("ok", true), "{said:?}");
    }
}

#[test]
fn pieces_of_any_size_make_the_same_answer() {
    let whole = chunked("text/plain", ["first ", "second ", "third"]);
    let upstream = Service::start(move |_, stream| {
        for byte in &whole {
            say(stream, [*byte]);
        }
        true
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for byte in b"POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n" {
        talk.send([*byte]);
    }
    assert_eq!(talk.read().text(), "first second third");
    assert_eq!(upstream.heard()[0].text(), "abc");
}
