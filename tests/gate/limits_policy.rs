//! Limits that only matter when a policy looks: what is held in memory, and how deep it is looked into.

use std::sync::mpsc;

use parking_lot::Mutex;

use crate::support::bundle::Bundled;
use crate::support::service::{Service, chunked, json, say};
use crate::support::until;

/// Reads every request body.
const READING: &str = "return policy { api = 1, on_request = function(req) local n = #req:text() end }";

/// Reads nothing.
const IDLE: &str = "return policy { api = 1, on_request = function(req) local p = req.path end }";

fn chunks(size: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{}\r\n0\r\n\r\n",
        "x".repeat(size)
    )
}

#[test]
fn a_body_that_a_hook_reads_has_a_limit() {
    let upstream = Service::saying(json("{}"));
    let gate = Bundled::policy(&upstream.url(), "[limits]\nbody = \"10KiB\"\n", READING);
    assert_eq!(gate.talk().post("/", &[], &"x".repeat(10 * 1024)).status, 200);
    let refused = gate.talk().post("/v1/messages", &[], &"x".repeat(10 * 1024 + 1));
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (413, &"request_too_large".into()));
    let mut talk = gate.talk();
    talk.send(chunks(10 * 1024));
    assert_eq!(talk.read().status, 200);
    let mut talk = gate.talk();
    talk.send(chunks(10 * 1024 + 1));
    assert_eq!(talk.read().status, 413);
    assert_eq!(upstream.count(), 2, "what is too large reaches no upstream");
}

#[test]
fn a_body_that_nobody_reads_has_none() {
    let upstream = Service::saying(json("{}"));
    let gate = Bundled::policy(&upstream.url(), "[limits]\nbody = \"1KiB\"\n", IDLE);
    let body = "0123456789abcdef".repeat(20_000);
    assert_eq!(gate.talk().post("/", &[], &body).status, 200);
    let mut talk = gate.talk();
    talk.send(chunks(300_000));
    assert_eq!(talk.read().status, 200);
    let heard = upstream.heard();
    assert_eq!(heard[0].text(), body);
    assert_eq!(heard[1].body.len(), 300_000);
}

#[test]
fn all_bodies_held_together_have_a_limit() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, stream| {
        told.lock().recv().unwrap();
        say(stream, json("{}"))
    });
    let gate = Bundled::policy(&upstream.url(), "[limits]\nbody = \"80KiB\"\nbuffered_total = \"100KiB\"\n", READING);
    let body = "x".repeat(64 * 1024);
    let mut first = gate.talk();
    first.ask("/", &[], &body);
    assert!(until(|| upstream.count() == 1));
    let second = gate.talk().post("/", &[], &body);
    assert_eq!((second.status, second.header("retry-after")), (503, Some("1")));
    go.send(()).unwrap();
    assert_eq!(first.read().status, 200);
    go.send(()).unwrap();
    assert!(until(|| gate.gate.held.bytes() == 0), "what an exchange held is given back");
    assert_eq!(gate.talk().post("/", &[], &body).status, 200);
}

#[test]
fn json_is_read_to_a_depth() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let upstream = Service::start(move |heard, stream| {
        let (kind, depth) = heard.target().rsplit_once('/').unwrap();
        let body = nested(depth.parse().unwrap());
        match kind {
            "" => say(stream, json(&body)),
            _ => say(stream, chunked("text/event-stream", [format!("data: {body}\n\n")])),
        }
    });
    let lua = r#"
    local function depth(value)
      local levels = 0
      while json.is_array(value) do
        levels += 1
        value = value[1]
      end
      return tostring(levels)
    end
    return policy { api = 1,
      on_request = function(req) if req.path == "/body" then return respond { text = depth(req:json()) } end end,
      on_response = function(res) if not res.streaming and res.served_by == "upstream" then res:set_text(depth(res:json())) end end,
      on_event = function(ev) ev.data = depth(ev:json()) end,
    }"#;
    let gate = Bundled::policy(&upstream.url(), "[limits]\njson_depth = 10\n", lua);
    let read = |path: &str, depth: usize| {
        let said = gate.talk().post(path, &[], &nested(depth));
        (said.status, said.text())
    };
    assert_eq!(read("/body", 10), (200, "10".to_owned()));
    assert_eq!(read("/body", 11).0, 400, "the client is told, and nothing passes");
    assert_eq!(read("/10", 1), (200, "10".to_owned()));
    assert_eq!(read("/11", 1).0, 502);
    assert_eq!(read("/stream/10", 1), (200, "data: 10\n\n".to_owned()));
    assert_eq!(read("/stream/11", 1).1, format!("data: {}\n\n", nested(11)), "the event passes as it came");
}

#[test]
fn a_response_body_that_a_hook_reads_has_a_limit() {
    let upstream = Service::start(|heard, stream| {
        let size: usize = heard.target().trim_start_matches('/').parse().unwrap();
        let body = "x".repeat(size);
        say(stream, chunked("text/plain", body.as_bytes().chunks(1000)))
    });
    let settings = "[limits]\nresponse_body = \"10KiB\"\n";
    let reading = Bundled::policy(
        &upstream.url(),
        settings,
        "return policy { api = 1, on_response = function(res) local n = #res:text() end }",
    );
    assert_eq!(reading.talk().get("/10240", &[]).body.len(), 10240);
    let refused = reading.talk().get("/10241", &[]);
    assert_eq!(refused.status, 502, "{}", refused.text());
    let idle = Bundled::policy(
        &upstream.url(),
        settings,
        "return policy { api = 1, on_response = function(res) res.headers:set(\"x\", \"y\") end }",
    );
    assert_eq!(idle.talk().get("/300000", &[]).body.len(), 300_000);
}
