//! Stopping: what runs ends, what waits is closed, nothing hangs.

use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chunk, open, say, stall};
use crate::support::until;

#[test]
fn a_stream_under_way_ends_before_the_gate_does() {
    let (go, wait) = mpsc::channel();
    let wait = parking_lot::Mutex::new(wait);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: 1\n\n"));
        wait.lock().recv().unwrap();
        say(stream, chunk("data: 2\n\n"));
        say(stream, END)
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.ask("/v1/chat/completions", &[], "{}");
    talk.wait_for("data: 1");
    thread::scope(|scope| {
        let closing = scope.spawn(|| gate.close(Duration::from_secs(20)));
        assert!(until(|| TcpStream::connect(gate.address).is_err()), "it still accepts");
        go.send(()).unwrap();
        let said = talk.read();
        assert_eq!((said.text().as_str(), said.whole), ("data: 1\n\ndata: 2\n\n", true));
        assert!(talk.ends(), "nothing more is served on it");
        assert!(closing.join().unwrap(), "it does not see that all ended");
    });
}

#[test]
fn idle_connections_are_closed_at_once() {
    let upstream = Service::saying(answer(200, &[], "ok"));
    let gate = Bundled::before(&upstream.url(), "");
    let mut used = gate.talk();
    assert_eq!(used.get("/", &[]).status, 200);
    let mut unused = gate.talk();
    assert!(until(|| gate.server.open() == 2));
    let begun = Instant::now();
    let closed = gate.close(Duration::from_secs(20));
    let took = begun.elapsed();
    assert!(closed && used.ends() && unused.ends());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn an_exchange_that_does_not_end_is_left_after_the_grace() {
    let upstream = Service::start(|_, stream| stall(stream));
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    assert!(until(|| upstream.count() == 1));
    let begun = Instant::now();
    assert!(!gate.close(Duration::from_millis(300)));
    assert!(begun.elapsed() < Duration::from_secs(2));
}
