//! Streams while they run: at once, unchanged, no faster than the client reads, and no longer than it stays.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chat_stream, chunk, open, say};
use crate::support::{until, wire};

const CHAT: &str = "/v1/chat/completions";

/// Longer than anything takes but a stall: Nagle's algorithm against a delayed acknowledgement waits 40 ms.
const STALL: Duration = Duration::from_millis(20);

#[test]
fn an_event_arrives_before_the_stream_ends() {
    let (go, wait) = mpsc::channel();
    let wait = parking_lot::Mutex::new(wait);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        for number in 0..5 {
            say(stream, chunk(format!("data: {number}\n\n")));
            wait.lock().recv().unwrap();
        }
        say(stream, END)
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{}");
    for number in 0..5 {
        talk.wait_for(&format!("data: {number}\n\n"));
        go.send(()).unwrap();
    }
    assert!(talk.read().whole);
}

#[test]
fn a_head_does_not_wait_for_its_body() {
    for framing in ["Transfer-Encoding: chunked", "Content-Length: 10"] {
        let upstream = Service::start(move |_, stream| {
            say(stream, format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n"));
            let _ = stream.read(&mut [0]);
            false
        });
        let gate = Bundled::before(&upstream.url(), "");
        for path in [CHAT, "/plain"] {
            let mut talk = gate.talk();
            talk.ask(path, &[], "{}");
            talk.wait_for("\r\n\r\n");
        }
    }
}

#[test]
fn a_stream_passes_unchanged_however_it_is_cut() {
    let text = format!(": hello\n\n{}", chat_stream(&["a", "b", "ä"]));
    for size in [1, 2, 3, 7, 64, 1000] {
        let (sent, expected) = (text.clone(), text.clone());
        let upstream = Service::start(move |_, stream| {
            say(stream, open("text/event-stream"));
            for piece in sent.as_bytes().chunks(size) {
                say(stream, chunk(piece));
            }
            say(stream, END)
        });
        let gate = Bundled::before(&upstream.url(), "");
        let said = gate.talk().post(CHAT, &[], "{\"stream\":true}");
        assert_eq!((said.text(), said.whole), (expected, true), "in pieces of {size}");
    }
}

#[test]
fn a_slow_client_holds_the_upstream_back() {
    const WHOLE: usize = 64 << 20;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let address = wire::accept(move |_, mut stream| {
        wire::read_head(&mut stream);
        say(&mut stream, format!("HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n"));
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..WHOLE / piece.len() {
            if stream.write_all(&piece).is_err() {
                return;
            }
            count.fetch_add(piece.len(), Ordering::SeqCst);
        }
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send("GET /big HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n");
    let mut before = usize::MAX;
    assert!(until(|| {
        std::thread::sleep(Duration::from_millis(100)); // paced: long enough that a running upstream gets further
        let now = written.load(Ordering::SeqCst);
        std::mem::replace(&mut before, now) == now && now > 0
    }));
    assert!(before < 24 << 20, "{before} bytes are on their way");
    let said = talk.rest();
    let head = memchr::memmem::find(&said, b"\r\n\r\n").unwrap() + 4;
    assert_eq!(said.len() - head, WHOLE);
}

#[test]
fn small_requests_are_not_held_up() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    let round = |talk: &mut crate::support::talk::Talk| {
        assert_eq!(talk.post("/ping", &[], "{}").text(), "{}");
    };
    assert_no_stall("requests", || round(&mut talk));
}

#[test]
fn small_events_are_not_held_up() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        while wait.lock().recv().is_ok() {
            say(stream, chunk("data: x\n\n"));
        }
        say(stream, END)
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut stream = TcpStream::connect(gate.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .write_all(format!("POST {CHAT} HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes())
        .unwrap();
    wire::read_head(&mut stream);
    assert_no_stall("events", || {
        go.send(()).unwrap();
        wire::read_until(&mut stream, b"data: x\n\n");
    });
}

/// Runs many rounds. A busy machine is slow now and then, a stall is there each time: one good try of three will do.
fn assert_no_stall(what: &str, mut round: impl FnMut()) {
    let mut slow = Duration::MAX;
    for _ in 0..3 {
        let mut times: Vec<Duration> = (0..200)
            .map(|_| {
                let begun = Instant::now();
                round();
                begun.elapsed()
            })
            .collect();
        times.sort();
        println!("{what}: median {:?}, of a hundred one takes {:?}", times[100], times[197]);
        slow = slow.min(times[197]);
        if slow < STALL {
            return;
        }
    }
    panic!("{what} are held up: {slow:?}");
}

#[test]
fn an_upstream_that_stops_sending_is_given_up() {
    let upstream = Service::start(|_, stream| {
        say(stream, open("text/plain"));
        say(stream, chunk("half"));
        let _ = stream.read(&mut [0]);
        false
    });
    let gate = Bundled::serve(&[(
        "tidegate.toml",
        &format!("[upstreams.up]\nurl = \"{}\"\ntimeouts.idle = \"300ms\"", upstream.url()),
    )]);
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    let said = talk.read();
    assert_eq!((said.text().as_str(), said.whole), ("half", false));
}

#[test]
fn a_client_that_leaves_a_plain_download_lets_the_upstream_go() {
    let (gone, told) = mpsc::channel();
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/plain"));
        while say(stream, chunk("more ")) {
            std::thread::sleep(Duration::from_millis(5)); // paced: a slow download
        }
        gone.send(()).unwrap();
        false
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET /slow HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    talk.wait_for("more ");
    drop(talk);
    told.recv_timeout(Duration::from_secs(2)).expect("the upstream is not let go");
}
