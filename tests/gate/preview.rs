//! A preview answers beside the live generation, and nothing that it does shows there.

use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::reviewed::marking;
use crate::support::bundle::Bundled;
use crate::support::service::{Service, json as saying, say};
use crate::support::until;

/// A policy that counts, limits, stores and marks.
fn counting(word: &str) -> String {
    format!(
        "return policy {{ api = 1,\n  on_request = function(req)\n    local n = store:incr(\"n\", 1)\n    \
         local take = limit.take(\"k\", {{ rate = 1, per = 3600, burst = 2 }})\n    \
         return respond {{ status = 200, headers = {{ [\"x-mark\"] = \"{word}\" }}, text = n .. \" \" .. tostring(take.ok) }}\n  end }}\n"
    )
}

/// A gate that serves `two`, and a token for `one`.
fn gate(one: &str, two: &str) -> (Service, Bundled, String) {
    let upstream = Service::saying(saying("{}"));
    let gate = Bundled::policy(&upstream.url(), "", one);
    let hash = gate.on_disk().to_string();
    gate.save_live("p.lua", two);
    let token = token(&gate, &json!({"generation": hash}));
    (upstream, gate, token)
}

fn token(gate: &Bundled, wish: &Value) -> String {
    let said = gate.tell("/-/preview", wish);
    assert_eq!(said.status, 200, "{}", said.text());
    said.json()["token"].as_str().unwrap().to_owned()
}

const HEADER: &str = "X-Tidegate-Preview";

#[test]
fn live_and_preview_answer_on_the_same_connection() {
    let (upstream, gate, token) = gate(&marking("one"), &marking("two"));
    let hash = &token[..12];
    let mut talk = gate.talk();
    for _ in 0..3 {
        let preview = talk.get("/", &[("X-One", "1"), (HEADER, &token), ("X-Two", "2")]);
        assert_eq!(preview.header("x-mark"), Some("one"));
        assert_eq!(preview.header("x-tidegate-generation"), Some(&*format!("{hash}; preview")));
        let live = talk.get("/", &[]);
        assert_eq!((live.header("x-mark"), live.header("x-tidegate-generation")), (Some("two"), None));
    }
    for heard in upstream.heard() {
        assert_eq!(heard.header(HEADER), None, "the token stays here: {}", heard.head);
    }
    let first = &upstream.heard()[0].head;
    assert!(first.find("X-One").unwrap() < first.find("X-Two").unwrap());
}

#[test]
fn a_preview_waits_in_the_line_as_it_is_and_a_longer_counter_serves_who_waits() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Service::start(move |_, stream| wait.lock().recv().is_ok() && say(stream, saying("{}")));
    let settings = |at_once| format!("[upstreams.up]\nurl = \"{}\"\nqueue.at_once = {at_once}\n", upstream.url());
    let gate = Bundled::serve(&[("tidegate.toml", &settings(9))]);
    let hash = gate.on_disk().to_string();
    gate.save_live("tidegate.toml", &settings(1));
    let token = token(&gate, &json!({"generation": hash}));
    let queue = || gate.status()["queues"][0].clone();
    let mut live = gate.talk();
    live.send("GET /live HTTP/1.1\r\nHost: g\r\n\r\n");
    assert!(until(|| upstream.count() == 1));
    let mut preview = gate.talk();
    preview.send(format!("GET /preview HTTP/1.1\r\nHost: g\r\n{HEADER}: {token}\r\n\r\n"));
    assert!(until(|| queue()["waiting"]["normal"] == 1), "{:#}", queue());
    assert_eq!(queue()["at_once"], 1);
    gate.save_live("tidegate.toml", &settings(2));
    assert!(until(|| upstream.count() == 2), "{:#}", queue());
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    assert_eq!((live.read().status, preview.read().status), (200, 200));
}

#[test]
fn nothing_that_a_preview_does_shows_in_what_serves() {
    let (_upstream, gate, token) = gate(&counting("one"), &counting("two"));
    let mut talk = gate.talk();
    let mut live = || talk.get("/", &[]).text();
    assert_eq!(live(), "1 true");
    let exchanges = || gate.metrics().lines().find(|line| line.contains("exchange_seconds_count")).unwrap().to_owned();
    assert!(until(|| exchanges().ends_with(" 1")));
    let mut preview = gate.talk();
    for expected in ["2 true", "3 true", "4 false"] {
        assert_eq!(preview.get("/", &[(HEADER, &token)]).text(), expected, "counts on from what is live, for itself");
    }
    assert_eq!(live(), "2 true", "neither counted nor limited by the preview");
    assert!(until(|| exchanges().ends_with(" 2")));
    assert_eq!(gate.status()["hook_errors"], json!([]));
}

#[test]
fn a_failing_preview_fails_alone() {
    let failing = "return policy { api = 1, on_request = function() error(\"no\") end }\n";
    let (_upstream, gate, token) = gate(failing, &marking("two"));
    assert_eq!(gate.talk().get("/", &[(HEADER, &token)]).status, 500);
    assert_eq!(gate.talk().get("/", &[]).status, 200);
    assert_eq!(gate.status()["hook_errors"], json!([]));
    assert!(gate.status()["previews"][0]["hook_errors"][0]["message"].as_str().unwrap().contains("no"));
    assert!(!gate.metrics().contains("hook_errors_total{"));
}

#[test]
fn a_bad_token_is_refused_in_the_clients_dialect_and_never_served_live() {
    let (upstream, gate, token) = gate(&marking("one"), &marking("two"));
    let forged = token.replace(&token[token.len() - 4..], "0000");
    let bad = [forged.as_str(), "", "x", "0123456789ab.99999999999.00"];
    for token in bad {
        let said = gate.talk().post("/v1/messages", &[(HEADER, token)], "{\"model\":\"m\"}");
        assert_eq!((said.status, &said.json()["type"]), (403, &json!("error")), "{token}: {}", said.text());
        assert!(said.text().contains("no preview: the token was not made by this gate"), "{}", said.text());
    }
    let twice = gate.talk().get("/", &[(HEADER, &token), (HEADER, &token)]);
    assert_eq!(twice.status, 403);
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_token_ends_with_its_time() {
    let (_upstream, gate, _) = gate(&marking("one"), &marking("two"));
    let hash = gate.generations().iter().find(|entry| entry["state"] == "kept").unwrap()["hash"].clone();
    let token = token(&gate, &json!({"generation": hash, "for": "1s"}));
    let until_when: u64 = token.split('.').nth(1).unwrap().parse().unwrap();
    let mut said = gate.talk().get("/", &[(HEADER, &token)]);
    assert!(until(|| {
        said = gate.talk().get("/", &[(HEADER, &token)]);
        said.status == 403
    }));
    assert!(gate.gate.clock.wall() >= UNIX_EPOCH + Duration::from_secs(until_when));
    assert!(said.text().contains("has expired"), "{}", said.text());
}

#[test]
fn a_lane_goes_when_its_generation_serves() {
    let (_upstream, gate, token) = gate(&marking("one"), &marking("two"));
    assert_eq!(gate.status()["previews"][0]["hash"], token[..12]);
    assert_eq!(gate.tell("/-/promote", &json!({"generation": token[..12]})).status, 200);
    let said = gate.talk().get("/", &[(HEADER, &token)]);
    assert_eq!(said.status, 403);
    assert!(said.text().contains("no longer previewed"), "{}", said.text());
    assert!(gate.status().get("previews").is_none());
    assert_eq!(gate.tell("/-/preview", &json!({"generation": token[..12]})).status, 409, "it is live");
}

#[test]
fn there_are_four_lanes() {
    let upstream = Service::saying(saying("{}"));
    let gate = Bundled::policy(&upstream.url(), "", &marking("0"));
    for number in 1..6 {
        gate.save_live("p.lua", &marking(&number.to_string()));
    }
    let kept: Vec<Value> =
        gate.generations().iter().filter(|entry| entry["state"] == "kept").map(|entry| entry["hash"].clone()).collect();
    assert_eq!(kept.len(), 5);
    let states: Vec<u16> =
        kept.iter().map(|hash| gate.tell("/-/preview", &json!({"generation": hash})).status).collect();
    assert_eq!(states, [200, 200, 200, 200, 409]);
    assert_eq!(gate.tell("/-/preview", &json!({"generation": kept[0]})).status, 200, "another token, the same lane");
    assert_eq!(gate.tell("/-/preview", &json!({})).status, 409, "nothing is staged");
    assert_eq!(gate.tell("/-/preview", &json!({"generation": kept[0], "for": "forever"})).status, 400);
}
