//! Leaving HTTP: upgrades that succeed, upgrades that do not, and what is hidden behind them.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, say};
use crate::support::wire;

const ASKS: &str = "GET /ws HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGVzdA==\r\nSec-WebSocket-Version: 13\r\n\r\n";

const SWITCHES: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

const NEXT: &str = "GET /next HTTP/1.1\r\nHost: gate.test\r\n\r\n";

#[test]
fn an_upgrade_passes_bytes_both_ways() {
    let (told, heard) = mpsc::channel();
    let address = wire::accept(move |_, mut stream| {
        told.send(wire::read_head(&mut stream)).unwrap();
        say(&mut stream, SWITCHES);
        let mut piece = [0; 1024];
        while let Ok(read) = stream.read(&mut piece) {
            if read == 0 || stream.write_all(&piece[..read]).is_err() {
                return;
            }
        }
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send(ASKS);
    let head = talk.drop_head();
    assert!(head.starts_with("HTTP/1.1 101 ") && head.to_lowercase().contains("sec-websocket-accept: x"), "{head}");
    for number in 0..20 {
        let frame = format!("\u{0}frame {number}\r\n\r\n");
        talk.send(&frame);
        talk.wait_for(&frame);
    }
    let asked = heard.recv().unwrap().to_lowercase();
    for line in [
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: dgvzda==",
        "via: 1.1 tidegate",
        "x-request-id: ",
    ] {
        assert!(asked.contains(line), "{line} is not in {asked}");
    }
}

#[test]
fn an_upgrade_that_the_upstream_ends_ends_for_the_client() {
    let address = wire::accept(|_, mut stream| {
        wire::read_head(&mut stream);
        say(&mut stream, SWITCHES);
        say(&mut stream, "bye");
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send(ASKS);
    talk.drop_head();
    assert_eq!(talk.rest(), b"bye");
}

#[test]
fn an_upgrade_that_the_client_ends_ends_for_the_upstream() {
    let (told, heard) = mpsc::channel();
    let address = wire::accept(move |_, mut stream| {
        wire::read_head(&mut stream);
        say(&mut stream, SWITCHES);
        let mut words = [0; 10];
        stream.read_exact(&mut words).unwrap();
        told.send(words.to_vec()).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        told.send(rest).unwrap();
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send(ASKS);
    talk.drop_head();
    talk.send("last words");
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)).expect("the words arrive"), b"last words");
    drop(talk);
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)).expect("the upstream's side stays open"), b"");
}

#[test]
fn a_refused_upgrade_leaves_a_connection_that_serves_on() {
    let upstream = Service::start(|heard, stream| {
        let status = if heard.target() == "/ws" { 403 } else { 200 };
        say(stream, answer(status, &[], heard.target()))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    for _ in 0..2 {
        talk.send(ASKS);
        let said = talk.read();
        assert_eq!((said.status, said.text().as_str()), (403, "/ws"), "{said:?}");
        let said = talk.get("/next", &[]);
        assert_eq!((said.status, said.text().as_str()), (200, "/next"), "{said:?}");
    }
}

#[test]
fn an_unreachable_upstream_refuses_an_upgrade_in_words() {
    let (_kept, nobody) = wire::nobody();
    let gate = Bundled::before(&format!("http://{nobody}"), "");
    let mut talk = gate.talk();
    talk.send(ASKS);
    assert_eq!(talk.read().status, 502);
}

#[test]
fn what_stands_behind_an_upgrade_waits_for_the_answer() {
    let (told, heard) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let wait = std::sync::Arc::new(parking_lot::Mutex::new(wait));
    let address = wire::accept(move |_, mut stream| {
        wire::read_head(&mut stream);
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let early = stream.read(&mut [0; 1024]).unwrap_or(0);
        told.send(early.to_string()).unwrap();
        wait.lock().recv().unwrap();
        say(&mut stream, SWITCHES);
        stream.set_read_timeout(None).unwrap();
        told.send(wire::read_head(&mut stream)).unwrap();
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send(format!("{ASKS}{NEXT}"));
    assert_eq!(heard.recv().unwrap(), "0", "bytes came before the 101");
    go.send(()).unwrap();
    assert_eq!(heard.recv().unwrap(), NEXT, "after it they belong to the new protocol");
}

#[test]
fn a_request_behind_a_refused_upgrade_is_the_next_request() {
    let upstream = Service::start(|heard, stream| {
        let status = if heard.target() == "/ws" { 426 } else { 200 };
        say(stream, answer(status, &[], heard.target()))
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send(format!("{ASKS}{NEXT}"));
    assert_eq!(talk.read().status, 426);
    let said = talk.read();
    assert!(said.text() == "/next" || said.status == 0, "{said:?}");
    let heard: Vec<String> = upstream.heard().iter().map(|heard| heard.target().to_owned()).collect();
    assert!(heard == ["/ws", "/next"] || heard == ["/ws"], "{heard:?}");
}

#[test]
fn policies_decide_about_upgrades_too() {
    let upstream = Service::saying(answer(200, &[], "reached"));
    let lua =
        "return policy { api = 1, on_request = function(req) return respond { status = 401, text = \"no\" } end }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    talk.send(ASKS);
    let said = talk.read();
    assert_eq!(said.status, 401, "{said:?}");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn an_answer_in_place_of_an_upgrade_meets_the_hooks() {
    let upstream = Service::saying(answer(200, &[], "plain"));
    let lua = "return policy { api = 1, on_response = function(res) res:set_text(res:text() .. \" and read\") end }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    talk.send(ASKS);
    assert_eq!(talk.read().text(), "plain and read");
    assert_eq!(talk.get("/next", &[]).text(), "plain and read", "the connection serves on");
}

#[test]
fn a_client_that_leaves_before_its_upgrade_is_answered_lets_the_upstream_go() {
    let (told, heard) = mpsc::channel();
    let address = wire::accept(move |_, mut stream| {
        wire::read_head(&mut stream);
        told.send(()).unwrap();
        let _ = stream.read(&mut [0]);
        told.send(()).unwrap();
    });
    let gate = Bundled::before(&format!("http://{address}"), "");
    let mut talk = gate.talk();
    talk.send(ASKS);
    heard.recv().unwrap();
    drop(talk);
    heard.recv_timeout(Duration::from_secs(10)).expect("the upstream is not let go");
}
