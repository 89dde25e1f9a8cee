//! The commit point over sockets: what fails before it reaches nobody, what is held is bounded, and counts.

use std::time::{Duration, Instant};

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chat, chat_stream, chunk, chunked, json, open, reset, say, stall};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

const STREAM: &str = r#"{"model":"m","stream":true,"messages":[]}"#;

/// An event of thoughts, before anything shows.
const THOUGHT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n";

/// A gate that asks the first endpoint first, with these settings of its upstream.
fn gate(first: &Service, second: &Service, upstream: &str, settings: &str) -> Bundled {
    Bundled::shipped(&format!(
        "{settings}\n[upstreams.up]\ndialect = \"openai\"\n{upstream}\n\
         endpoints = [{{ url = \"{}\" }}, {{ url = \"{}\", weight = 0 }}]\n[[policies]]\nfile = \"failover.lua\"\n",
        first.url(),
        second.url()
    ))
}

fn good() -> Service {
    Service::saying(chunked("text/event-stream", [chat_stream(&["good"])]))
}

#[test]
fn what_fails_before_it_has_shown_anything_reaches_nobody() {
    let faults = [
        (
            "resets",
            Service::start(|_, out| say(out, open("text/event-stream")) && say(out, chunk(THOUGHT)) && reset(out)),
        ),
        (
            "stalls",
            Service::start(|_, out| say(out, open("text/event-stream")) && say(out, chunk(THOUGHT)) && stall(out)),
        ),
        ("ends", Service::saying(chunked("text/event-stream", [THOUGHT]))),
        (
            "fails",
            Service::saying(chunked("text/event-stream", [THOUGHT, "data: {\"error\":{\"message\":\"no\"}}\n\n"])),
        ),
        ("babbles", Service::saying(chunked("text/event-stream", [THOUGHT, "data: not json\n\n"]))),
        ("is a page", Service::saying(chunked("text/event-stream", ["<!doctype html><p>Sorry"]))),
        ("is another type", Service::saying(answer(200, &[("Content-Type", "text/html")], "<p>Sorry"))),
    ];
    for (fault, bad) in faults {
        let good = good();
        let gate = gate(&bad, &good, "hold.until = \"text\"\ntimeouts = { first = \"1s\", idle = \"400ms\" }", "");
        let said = gate.talk().post(CHAT, &[], STREAM);
        assert_eq!((said.status, said.text(), said.whole), (200, chat_stream(&["good"]), true), "{fault}");
        assert_eq!((bad.count(), good.count()), (1, 1), "{fault}");
        assert!(until(|| gate.gate.held.bytes() == 0), "{fault}: what was held is given back");
    }
}

#[test]
fn a_whole_answer_that_is_cut_or_an_error_fails_over() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"choices\":";
    let faults = [
        ("cut", Service::start(move |_, out| say(out, cut) && reset(out))),
        ("an error", Service::saying(json(r#"{"error":{"message":"Over capacity"}}"#))),
        ("not JSON", Service::saying(json("upstream connect error"))),
        ("nothing", Service::saying(json(""))),
    ];
    for (fault, bad) in faults {
        let good = Service::saying(json(&chat("good")));
        let gate = gate(&bad, &good, "", "");
        let said = gate.talk().post(CHAT, &[], r#"{"model":"m","messages":[]}"#);
        assert_eq!((said.status, said.text()), (200, chat("good")), "{fault}");
    }
}

#[test]
fn a_stream_is_held_no_longer_than_its_bounds() {
    let slow = Service::start(|_, out| {
        say(out, open("text/event-stream"));
        say(out, chunk(THOUGHT));
        std::thread::sleep(Duration::from_secs(3)); // paced: it thinks for longer than it may be held
        say(out, chunk(chat_stream(&["late"]))) && say(out, END)
    });
    let good = good();
    let gate = gate(&slow, &good, "hold = { until = \"text\", time = \"300ms\" }", "");
    let mut talk = gate.talk();
    let begun = Instant::now();
    talk.ask(CHAT, &[], STREAM);
    talk.wait_for("hm");
    assert!((Duration::from_millis(250)..Duration::from_secs(2)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(talk.read().text().ends_with(&chat_stream(&["late"])));
    assert_eq!(good.count(), 0);
    assert!(until(|| gate.gate.held.bytes() == 0));
}

#[test]
fn a_stream_goes_out_when_the_gate_has_no_memory_to_hold_it() {
    let thoughts: String = THOUGHT.repeat(100);
    let full = Service::start(move |_, out| {
        say(out, open("text/event-stream"));
        say(out, chunk(&thoughts));
        stall(out)
    });
    let limits = "[limits]\nbody = \"2KiB\"\nbuffered_total = \"2KiB\"\n";
    let gate = gate(&full, &good(), "hold = { until = \"text\", time = \"1m\" }", limits);
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], STREAM);
    talk.wait_for("hm");
    drop(talk);
    assert!(until(|| gate.gate.held.bytes() == 0));
}

#[test]
fn a_stream_that_is_coming_outlives_the_time_for_an_attempt_unless_it_is_asked_to_end() {
    let drips = || {
        Service::start(|_, out| {
            say(out, open("text/event-stream"));
            for _ in 0..8 {
                say(out, chunk(THOUGHT));
                std::thread::sleep(Duration::from_millis(100)); // paced: a stream that takes its time
            }
            say(out, chunk(chat_stream(&["end"]))) && say(out, END)
        })
    };
    for (cut, whole) in [("", true), (", cut_streams = true", false)] {
        let gate = gate(&drips(), &good(), &format!("timeouts = {{ total = \"400ms\"{cut} }}"), "");
        let said = gate.talk().post(CHAT, &[], STREAM);
        assert_eq!((said.whole, said.text().contains("[DONE]")), (whole, whole), "{cut}: {}", said.text());
    }
}

#[test]
fn a_plan_may_connect_in_less_time_than_the_settings_give() {
    // An address of a network for documentation (RFC 5737): nobody answers there.
    let good = good();
    let gate = Bundled::serve(&[
        (
            "tidegate.toml",
            &format!(
                "[upstreams.up]\nendpoints = [{{ url = \"http://192.0.2.1:9\" }}, {{ url = \"{}\", weight = 0 }}]\n\
                 [[policies]]\nfile = \"p.lua\"\n",
                good.url()
            ),
        ),
        (
            "p.lua",
            "return policy { api = 1,
                route = function() return { upstream = 'up', timeouts = { connect = 0.2 } } end,
                failover = function() return { retry = true } end }",
        ),
    ]);
    let begun = Instant::now();
    assert_eq!(gate.talk().post(CHAT, &[], STREAM).text(), chat_stream(&["good"]));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn an_interim_answer_reaches_the_client_before_the_final_one() {
    let upstream = Service::start(|_, out| {
        say(out, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        std::thread::sleep(Duration::from_millis(600)); // paced: the final answer takes its time
        say(out, json(&chat("good")))
    });
    let gate = gate(&upstream, &good(), "", "");
    let mut talk = gate.talk();
    let begun = Instant::now();
    talk.ask(CHAT, &[], r#"{"model":"m"}"#);
    talk.wait_for("103 Early Hints");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(talk.read().text(), chat("good"));
}
