//! Single flight: equal calls at one time are one call of the upstream, whoever leaves, is slow, or speaks another dialect.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use tidegate::dialect::Dialect;

use crate::again::explained as told_again;
use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chat, chat_stream, chunk, chunked, json, open, reset, say, stall};
use crate::support::talk::{Said, Talk};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"tide?"}]}"#;

/// All calls are equal, with this in the rule.
fn gate(upstream: &Service, rule: &str) -> Bundled {
    let lua = format!(
        "return policy {{ api = 1, cache = function(req) return {{ key = {{ q = 1 }}, ttl = 60, {rule} }} end }}"
    );
    let settings = format!("[upstreams.up]\nurl = \"{}\"\ndialect = \"openai\"\n", upstream.url());
    Bundled::serve(&[("tidegate.toml", &format!("{settings}[[policies]]\nfile = \"p.lua\"\n")), ("p.lua", &lua)])
}

/// An upstream that says a stream event by event: one whenever it is told to.
fn told(events: Vec<String>) -> (Service, mpsc::Sender<()>) {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, out| {
        let told = told.lock();
        say(out, open("text/event-stream"));
        for event in &events {
            if told.recv().is_err() || !say(out, chunk(event)) {
                return false;
            }
        }
        say(out, END)
    });
    (upstream, go)
}

/// A stream of so many words, and its events.
fn words(count: usize) -> (String, Vec<String>) {
    let words: Vec<String> = (0..count).map(|number| format!("w{number}")).collect();
    let stream = chat_stream(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let events = stream.split_inclusive("\n\n").map(str::to_owned).collect();
    (stream, events)
}

/// Sends the same call from so many clients at once.
fn ask(gate: &Bundled, count: usize) -> Vec<JoinHandle<Said>> {
    let address = gate.address;
    (0..count).map(|_| thread::spawn(move || Talk::to(address).post(CHAT, &[], STREAM))).collect()
}

/// That an exchange plays as it was.
#[track_caller]
fn explained(gate: &Bundled, id: &str) {
    let told = told_again(gate, id);
    assert_eq!(told["differences"], serde_json::json!([]), "{}", told["text"].as_str().unwrap());
}

fn joined(gate: &Bundled, count: usize) {
    assert!(until(|| gate.gate.flights.followers() == count), "{} joined", gate.gate.flights.followers());
}

fn mark(said: &Said) -> &str {
    said.header("x-cache").unwrap_or("none")
}

#[test]
fn a_hundred_equal_calls_are_one_call_of_the_upstream() {
    let (stream, events) = words(5);
    let count = events.len();
    let (upstream, go) = told(events);
    let gate = gate(&upstream, "");
    let early = ask(&gate, 50);
    joined(&gate, 49);
    go.send(()).unwrap();
    let late = ask(&gate, 50);
    joined(&gate, 99);
    for _ in 1..count {
        go.send(()).unwrap();
    }
    let said: Vec<Said> = early.into_iter().chain(late).map(|client| client.join().unwrap()).collect();
    assert!(said.iter().all(|said| said.whole && said.text() == stream));
    assert_eq!(said.iter().filter(|said| mark(said) == "miss").count(), 1);
    assert_eq!(said.iter().filter(|said| mark(said).starts_with("join; followers=")).count(), 99);
    assert_eq!(upstream.count(), 1);
    assert!(mark(&gate.talk().post(CHAT, &[], STREAM)).starts_with("hit; age=0; stored-as=openai.chat"));
    assert!(until(|| gate.gate.flights.is_empty() && gate.gate.flights.followers() == 0));
    assert!(gate.metrics().contains("verdict=\"join\"} 99"), "{}", gate.metrics());
}

#[test]
fn the_length_of_a_whole_answer_is_told_to_who_joined_once_it_is_known() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |heard, out| {
        if heard.target() == "/slow" {
            thread::sleep(std::time::Duration::from_millis(300)); // paced: longer than the answer takes
        } else {
            told.lock().recv().unwrap();
        }
        say(out, chunked("application/json", [chat("tide")]))
    });
    let lua = r#"return policy { api = 1,
        cache = function(req) return { key = { q = 1 }, ttl = 60 } end,
        on_response = function(res)
          if res.served_by == "cache" then upstream.call("up", { path = "/slow" }) end
        end }"#;
    let settings = format!("[upstreams.up]\nurl = \"{}\"\ndialect = \"openai\"\n", upstream.url());
    let gate =
        Bundled::serve(&[("tidegate.toml", &format!("{settings}[[policies]]\nfile = \"p.lua\"\n")), ("p.lua", lua)]);
    let whole = STREAM.replace("true", "false");
    let ask = |id: &'static str| {
        let (address, whole) = (gate.address, whole.clone());
        thread::spawn(move || Talk::to(address).post(CHAT, &[("X-Request-Id", id)], &whole))
    };
    let first = ask("leader");
    assert!(until(|| upstream.count() == 1));
    let second = ask("follower");
    joined(&gate, 1);
    go.send(()).unwrap();
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!((mark(&first), mark(&second)), ("miss", "join; followers=1"));
    assert_eq!((first.text(), second.text()), (chat("tide"), chat("tide")));
    let length = chat("tide").len().to_string();
    assert_eq!((first.header("content-length"), second.header("content-length")), (None, Some(length.as_str())));
    for id in ["leader", "follower"] {
        explained(&gate, id);
    }
}

#[test]
fn an_answer_goes_on_when_the_one_who_asked_first_leaves_in_the_midst_of_it() {
    let (stream, events) = words(10);
    let count = events.len();
    let (upstream, go) = told(events);
    let gate = gate(&upstream, "");
    let mut first = gate.talk();
    first.ask(CHAT, &[("X-Request-Id", "leader")], STREAM);
    for _ in 0..7 {
        go.send(()).unwrap();
    }
    first.wait_for("w6");
    let mut second = gate.talk();
    second.ask(CHAT, &[("X-Request-Id", "follower")], STREAM);
    second.wait_for("w6");
    drop(first);
    for _ in 7..count {
        go.send(()).unwrap();
    }
    let said = second.read();
    assert!(said.whole && said.text() == stream, "{}", said.text());
    assert_eq!(upstream.count(), 1);
    assert!(until(|| gate.metrics().contains("reason=\"client_gone\"")));
    assert!(mark(&gate.talk().post(CHAT, &[], STREAM)).starts_with("hit"), "and it was stored");
    for id in ["leader", "follower"] {
        explained(&gate, id);
    }
}

#[test]
fn an_answer_comes_though_the_one_who_asked_first_left_before_it_began() {
    let (stream, events) = words(2);
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let copy = events.clone();
    let upstream = Service::start(move |_, out| {
        told.lock().recv().unwrap();
        say(out, chunked("text/event-stream", &copy))
    });
    let gate = gate(&upstream, "");
    let mut first = gate.talk();
    first.ask(CHAT, &[("X-Request-Id", "leader")], STREAM);
    assert!(until(|| upstream.count() == 1));
    let others = ask(&gate, 3);
    joined(&gate, 3);
    drop(first);
    thread::sleep(std::time::Duration::from_millis(100)); // paced: long enough for the gate to notice who left
    go.send(()).unwrap();
    for other in others {
        assert_eq!(other.join().unwrap().text(), stream);
    }
    assert_eq!(upstream.count(), 1);
    explained(&gate, "leader");
}

#[test]
fn who_has_nobody_waiting_leaves_nothing_behind() {
    let (closed, told) = mpsc::channel::<()>();
    let upstream = Service::start(move |_, out| {
        say(out, open("text/event-stream") + "1\r\n:\r\n");
        say(out, chunk(&words(1).1[0]));
        stall(out);
        closed.send(()).unwrap();
        false
    });
    let gate = gate(&upstream, "");
    let (mut first, mut second) = (gate.talk(), gate.talk());
    first.ask(CHAT, &[], STREAM);
    first.wait_for("w0");
    second.ask(CHAT, &[], STREAM);
    second.wait_for("w0");
    drop(first);
    assert!(told.recv_timeout(std::time::Duration::from_millis(300)).is_err(), "one still listens");
    drop(second);
    told.recv_timeout(std::time::Duration::from_secs(10)).expect("nobody listens: the upstream is left");
    assert!(until(|| gate.gate.flights.is_empty()));
}

#[test]
fn a_rule_can_have_an_answer_read_to_its_end_for_nobody() {
    let (_, events) = words(3);
    let count = events.len();
    let (upstream, go) = told(events);
    let gate = gate(&upstream, "fill = \"finish\"");
    let mut first = gate.talk();
    first.ask(CHAT, &[], STREAM);
    go.send(()).unwrap();
    first.wait_for("w0");
    drop(first);
    for _ in 1..count {
        go.send(()).unwrap();
    }
    assert!(until(|| gate.status()["cache"]["entries"] == 1));
}

/// A path of no dialect: what is long there costs nothing but its bytes.
const LONG: &str = "/long";

/// An upstream whose answers are longer than what can stand in sockets on their way, once the test says so.
fn long() -> (Vec<u8>, Service, mpsc::Sender<()>) {
    let body: Vec<u8> = (0..7_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let copy = body.clone();
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, out| {
        told.lock().recv().unwrap();
        say(out, answer(200, &[("Content-Type", "application/octet-stream")], &copy))
    });
    (body, upstream, go)
}

/// All calls are equal, and long answers are kept.
fn roomy(upstream: &Service) -> Bundled {
    let lua = "return policy { api = 1, cache = function(req) return { key = { q = 1 }, ttl = 60 } end }";
    Bundled::policy(&upstream.url(), "[cache]\nmemory = \"256MiB\"\nentry = \"16MiB\"\n", lua)
}

fn asks_long(gate: &Bundled) -> JoinHandle<Said> {
    let address = gate.address;
    thread::spawn(move || Talk::to(address).get(LONG, &[]))
}

/// A client that takes nothing for now.
fn deaf(gate: &Bundled) -> Talk {
    let stream = TcpStream::connect(gate.address).unwrap();
    (&stream).write_all(format!("GET {LONG} HTTP/1.1\r\nHost: gate.test\r\n\r\n").as_bytes()).unwrap();
    Talk::over(stream)
}

#[test]
fn a_slow_follower_holds_nobody_up() {
    let (body, upstream, go) = long();
    let gate = roomy(&upstream);
    let first = asks_long(&gate);
    assert!(until(|| upstream.count() == 1));
    let mut slow = deaf(&gate);
    joined(&gate, 1);
    let second = asks_long(&gate);
    joined(&gate, 2);
    go.send(()).unwrap();
    for client in [first, second] {
        assert!(client.join().unwrap().body == body);
    }
    assert!(slow.read().body == body, "it has the whole answer all the same");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn one_who_asked_first_and_is_slow_holds_nobody_up() {
    let (body, upstream, go) = long();
    let gate = roomy(&upstream);
    let mut slow = deaf(&gate);
    assert!(until(|| upstream.count() == 1));
    let others = [asks_long(&gate), asks_long(&gate)];
    joined(&gate, 2);
    go.send(()).unwrap();
    for client in others {
        assert!(client.join().unwrap().body == body);
    }
    assert!(slow.read().body == body);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn an_upstream_that_fails_fails_once_for_all() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, out| {
        told.lock().recv().unwrap();
        reset(out)
    });
    let gate = gate(&upstream, "");
    let clients = ask(&gate, 20);
    joined(&gate, 19);
    go.send(()).unwrap();
    for client in clients {
        assert_eq!(client.join().unwrap().status, 502);
    }
    assert_eq!(upstream.count(), 1);
    assert!(gate.gate.flights.is_empty());
}

#[test]
fn a_stream_that_breaks_off_ends_for_all_with_the_same_error() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |heard, out| {
        if heard.number > 1 {
            return say(out, json(&chat("again")));
        }
        say(out, open("text/event-stream"));
        say(out, chunk(&words(1).1[0]));
        told.lock().recv().unwrap();
        reset(out)
    });
    let gate = gate(&upstream, "");
    let clients = ask(&gate, 5);
    joined(&gate, 4);
    go.send(()).unwrap();
    for client in clients {
        let said = client.join().unwrap();
        assert!(said.text().contains("w0") && said.text().contains("\"error\"") && !said.whole, "{said:?}");
    }
    assert_eq!(upstream.count(), 1);
    assert_eq!(mark(&gate.talk().post(CHAT, &[], "{}")), "miss", "nothing was stored");
}

#[test]
fn who_wants_a_whole_of_a_stream_that_fails_asks_for_itself() {
    // Broken off, and ended as if it were whole.
    for last in [reset, |out: &mut TcpStream| say(out, END)] {
        let (go, told) = mpsc::channel::<()>();
        let told = Mutex::new(told);
        let upstream = Service::start(move |heard, out| {
            if heard.text().contains("false") {
                return say(out, json(&chat("tide")));
            }
            say(out, open("text/event-stream"));
            say(out, chunk(&words(9).1[1]));
            told.lock().recv().unwrap();
            last(out)
        });
        let gate = gate(&upstream, "");
        let first = ask(&gate, 1);
        assert!(until(|| upstream.count() == 1));
        let address = gate.address;
        let second = thread::spawn(move || {
            let whole = STREAM.replace("true", "false");
            Talk::to(address).post(CHAT, &[("X-Request-Id", "follower")], &whole)
        });
        joined(&gate, 1);
        go.send(()).unwrap();
        for first in first {
            first.join().unwrap();
        }
        let second = second.join().unwrap();
        assert_eq!((second.status, second.text(), upstream.count()), (200, chat("tide"), 2));
        explained(&gate, "follower");
    }
}

#[test]
fn a_stream_that_ends_unfinished_is_cut_for_who_joined_it_too() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, out| {
        say(out, open("text/event-stream"));
        say(out, chunk(&words(9).1[1]));
        told.lock().recv().unwrap();
        say(out, END)
    });
    let gate = gate(&upstream, "");
    let first = ask(&gate, 1);
    assert!(until(|| upstream.count() == 1));
    let address = gate.address;
    let second = thread::spawn(move || Talk::to(address).post(CHAT, &[("X-Request-Id", "follower")], STREAM));
    joined(&gate, 1);
    go.send(()).unwrap();
    for asked in first.into_iter().chain([second]) {
        asked.join().unwrap();
    }
    let told = told_again(&gate, "follower");
    assert!(
        told["text"].as_str().unwrap().contains("no_end")
            || told["text"].as_str().unwrap().contains("before the answer was whole"),
        "{}",
        told["text"]
    );
}

#[test]
fn a_refusal_is_for_all_who_ask_with_the_same_key_and_for_nobody_else() {
    for (rule, calls) in [("", 1), ("scope = \"shared\"", 5)] {
        let (go, told) = mpsc::channel::<()>();
        let told = Mutex::new(told);
        let upstream = Service::start(move |_, out| {
            told.lock().recv().unwrap();
            say(out, answer(429, &[("Content-Type", "application/json"), ("Retry-After", "7")], "{\"error\":{}}"))
        });
        let gate = gate(&upstream, rule);
        let clients = ask(&gate, 5);
        joined(&gate, 4);
        (0..calls).for_each(|_| go.send(()).unwrap());
        for client in clients {
            let said = client.join().unwrap();
            assert_eq!((said.status, said.header("retry-after")), (429, Some("7")), "{rule}");
        }
        assert_eq!(upstream.count(), calls, "{rule}");
    }
}

#[test]
fn calls_are_not_joined_where_the_rule_does_not_want_it() {
    let upstream = Service::start(|_, out| {
        thread::sleep(std::time::Duration::from_millis(200)); // paced: both calls are under way at one time
        say(out, json(&chat("hi")))
    });
    let gate = gate(&upstream, "join = false");
    for client in ask(&gate, 2) {
        assert_eq!(client.join().unwrap().status, 200);
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn those_who_join_hear_the_answer_in_their_own_dialect_and_form() {
    let (stream, events) = words(3);
    let count = events.len();
    let (upstream, go) = told(events);
    let gate = gate(&upstream, "dialects = \"any\"");
    let first = ask(&gate, 1);
    assert!(until(|| upstream.count() == 1));
    go.send(()).unwrap();
    let calls = [
        (Dialect::Anthropic, "/v1/messages", r#"{"model":"m","max_tokens":9,"stream":true,"messages":[]}"#),
        (Dialect::Anthropic, "/v1/messages", r#"{"model":"m","max_tokens":9,"messages":[]}"#),
        (Dialect::OllamaChat, "/api/chat", r#"{"model":"m","messages":[]}"#),
        (Dialect::OpenAiChat, CHAT, r#"{"model":"m","messages":[]}"#),
        (Dialect::OpenAiResponses, "/v1/responses", r#"{"model":"m","input":"x","stream":true}"#),
        (Dialect::Gemini, "/v1beta/models/m:generateContent", r#"{"contents":[]}"#),
    ];
    let address = gate.address;
    let ids = ["a", "b", "c", "d", "e", "f"];
    let others: Vec<_> = calls
        .into_iter()
        .zip(ids)
        .map(|((dialect, path, body), id)| {
            (dialect, id, thread::spawn(move || Talk::to(address).post(path, &[("X-Request-Id", id)], body)))
        })
        .collect();
    joined(&gate, calls.len());
    for _ in 1..count {
        go.send(()).unwrap();
    }
    assert_eq!(first.into_iter().next().unwrap().join().unwrap().text(), stream);
    for (dialect, id, other) in others {
        let said = other.join().unwrap();
        let text = said.text();
        assert!(said.whole && said.status == 200 && mark(&said).starts_with("join"), "{dialect:?}: {said:?}");
        assert!(["w0", "w1", "w2"].iter().all(|word| text.contains(word)), "{dialect:?}: {text}");
        assert!(!text.contains("\"c1\""), "{dialect:?}: {text}");
        explained(&gate, id);
    }
    assert_eq!(upstream.count(), 1);
}
