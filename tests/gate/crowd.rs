//! The cache under those who mean it ill, or are many: a thousand at one fill, answers that come after their purge, heads
//! and bodies that nobody sound would send.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chat, chat_stream, chunk, json as whole, open, say};
use crate::support::talk::{Said, Talk};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";
const PLAIN: &str = r#"{"model":"m","messages":[{"role":"user","content":"tide?"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"tide?"}]}"#;

/// The shipped cache, with more settings.
fn gate(upstream: &Service, settings: &str) -> Bundled {
    Bundled::shipped(&format!(
        "{settings}\n[upstreams.up]\nurl = \"{}\"\ndialect = \"openai\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
        upstream.url()
    ))
}

fn verdict(said: &Said) -> &str {
    said.header("x-cache").map_or("none", |told| told.split(';').next().unwrap_or_default())
}

/// An upstream that goes on whenever it is told to.
fn told(
    act: impl Fn(&mpsc::Receiver<()>, &mut std::net::TcpStream) -> bool + Send + Sync + 'static,
) -> (Service, mpsc::Sender<()>) {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    (Service::start(move |_, out| act(&told.lock(), out)), go)
}

/// An upstream that answers one call whenever it is told to.
fn calls(said: Vec<u8>) -> (Service, mpsc::Sender<()>) {
    told(move |told, out| told.recv().is_ok() && say(out, &said))
}

#[test]
fn a_thousand_equal_streams_are_one_call_of_the_upstream() {
    const ALL: usize = 1000;
    let stream = chat_stream(&["high", "at", "six"].repeat(20));
    let events: Vec<String> = stream.split_inclusive("\n\n").map(str::to_owned).collect();
    let (upstream, go) = told(move |told, out| {
        say(out, open("text/event-stream"));
        events.iter().all(|event| told.recv().is_ok() && say(out, chunk(event))) && say(out, END)
    });
    let gate = gate(&upstream, "");
    let mut talks: Vec<Talk> = (0..ALL).map(|_| gate.talk()).collect();
    let (early, late) = talks.split_at_mut(ALL / 2);
    for talk in early {
        talk.ask(CHAT, &[], STREAM);
    }
    assert!(until(|| gate.gate.flights.followers() == ALL / 2 - 1), "{}", gate.gate.flights.followers());
    let count = stream.matches("\n\n").count();
    (0..count / 2).for_each(|_| go.send(()).unwrap());
    for talk in late {
        talk.ask(CHAT, &[], STREAM);
    }
    assert!(until(|| gate.gate.flights.followers() == ALL - 1), "{}", gate.gate.flights.followers());
    (count / 2..count).for_each(|_| go.send(()).unwrap());
    let said: Vec<Said> = talks.iter_mut().map(Talk::read).collect();
    assert_eq!(said.iter().filter(|said| said.whole && said.text() == stream).count(), ALL);
    assert_eq!(said.iter().filter(|said| verdict(said) == "join").count(), ALL - 1);
    assert_eq!(upstream.count(), 1);
    assert!(until(|| gate.gate.flights.is_empty() && gate.gate.flights.followers() == 0));
}

#[test]
fn what_was_asked_for_before_a_purge_is_not_kept_though_it_comes_after_it() {
    let (upstream, go) = calls(whole(&chat("the tide of yesterday")));
    let gate = gate(&upstream, "");
    let mut first = gate.talk();
    first.ask(CHAT, &[], PLAIN);
    assert!(until(|| upstream.count() == 1));
    gate.tell("/-/cache/purge", &json!({"all": true}));
    let mut second = gate.talk();
    second.ask(CHAT, &[], PLAIN);
    assert!(until(|| upstream.count() == 2), "who asks after it does not join what was asked for before");
    (0..2).for_each(|_| go.send(()).unwrap());
    assert_eq!((verdict(&first.read()), verdict(&second.read())), ("miss", "miss"));
    assert_eq!(verdict(&gate.talk().post(CHAT, &[], PLAIN)), "hit");
    assert!(until(|| gate.status()["cache"]["refused"]["purged"] == 1));
}

#[test]
fn an_answer_that_says_it_is_older_than_time_serves_all_the_same() {
    let age = ("Age", "18446744073709551615");
    let upstream = Service::saying(answer(200, &[("Content-Type", "application/json"), age], chat("hi")));
    let gate = gate(&upstream, "");
    let first = gate.talk().post(CHAT, &[], PLAIN);
    thread::sleep(Duration::from_millis(1100)); // paced: an age counts in seconds
    let second = gate.talk().post(CHAT, &[], PLAIN);
    assert_eq!((verdict(&second), second.text()), ("hit", first.text()));
    assert_eq!(second.header("age"), Some(age.1));
}

#[test]
fn a_body_that_readers_may_differ_over_has_no_answer_kept() {
    let upstream = Service::start(|heard, out| say(out, whole(&chat(&heard.number.to_string()))));
    let gate = gate(&upstream, "");
    let said = |text: &str| format!(r#"[{{"role":"user","content":"{text}"}}]"#);
    let twice = format!(r#"{{"model":"m","messages":{},"messages":{}}}"#, said("mine"), said("yours"));
    for _ in 0..2 {
        let told = gate.talk().post(CHAT, &[], &twice);
        assert_eq!((told.status, verdict(&told)), (200, "none"), "{}", told.head);
    }
    let yours = format!(r#"{{"model":"m","messages":{}}}"#, said("yours"));
    assert_eq!(verdict(&gate.talk().post(CHAT, &[], &yours)), "miss");
    assert_eq!(upstream.count(), 3);
}

#[test]
fn a_purge_takes_what_is_kept_as_http_says_too() {
    let upstream = Service::saying(answer(200, &[("Cache-Control", "max-age=3600")], "high tide"));
    let url = upstream.url();
    let gate = Bundled::shipped(&format!("[upstreams.up]\nurl = \"{url}\"\n[[policies]]\nfile = \"http_cache.lua\"\n"));
    let ask = || gate.talk().get("/a", &[]).header("cache-status").unwrap_or_default().contains("; hit");
    assert_eq!((ask(), ask()), (false, true));
    assert_eq!(gate.tell("/-/cache/purge", &json!({"user": "ann"})).json().get("http"), None, "it is for everybody");
    assert!(ask());
    assert_eq!(gate.tell("/-/cache/purge", &json!({"all": true})).json()["http"], 1);
    assert_eq!((ask(), ask(), upstream.count()), (false, true, 2));
}

#[test]
fn what_a_change_overtook_on_its_way_is_not_kept() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |heard, out| {
        if heard.head.starts_with("PUT") {
            return say(out, answer(204, &[], ""));
        }
        say(out, "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 9\r\n\r\n");
        if heard.number == 1 {
            told.lock().recv().unwrap();
        }
        say(out, "high tide")
    });
    let url = upstream.url();
    let gate = Bundled::shipped(&format!("[upstreams.up]\nurl = \"{url}\"\n[[policies]]\nfile = \"http_cache.lua\"\n"));
    let mut first = gate.talk();
    first.send("GET /a HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    first.wait_for("\r\n\r\n");
    let mut other = gate.talk();
    other.send("PUT /a HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(other.read().status, 204);
    go.send(()).unwrap();
    assert!(first.read().whole);
    let again = gate.talk().get("/a", &[]);
    assert!(again.header("cache-status").unwrap().contains("fwd=uri-miss"), "{}", again.head);
}
