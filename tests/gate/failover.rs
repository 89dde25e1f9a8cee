//! Failover with the shipped policy: what is tried again and what is not, how long it waits, what the client gets.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::support::bundle::Bundled;
use crate::support::service::{
    END, Service, answer, chat, chat_stream, chunk, chunked, json, last, nobody, open, reset, say, stall,
};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// A gate whose first endpoint is always asked first, and whose second is in reserve.
fn gate(first: SocketAddr, second: SocketAddr, settings: &str) -> Bundled {
    Bundled::shipped(&format!(
        "{settings}\n[upstreams.up]\nendpoints = [{{ url = \"http://{first}\" }}, {{ url = \"http://{second}\", weight = 0 }}]\n\
         timeouts.head = \"1s\"\n[[policies]]\nfile = \"failover.lua\"\n"
    ))
}

/// A gate with one endpoint only.
fn lonely(only: &Service, settings: &str) -> Bundled {
    Bundled::shipped(&format!(
        "{settings}\n[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"failover.lua\"\n",
        only.url()
    ))
}

fn good() -> Service {
    Service::saying(json(&chat("good")))
}

#[test]
fn every_status_that_says_try_again_is_tried_elsewhere_with_the_same_bytes() {
    let body = "{ \"model\" : \"m\",\t\"big\": 9223372036854775807, \"u\": \"\\ud800\", \"x\": 1.0, \"x\": 2 }";
    for status in [408, 429, 500, 502, 503, 504, 529] {
        let (bad, good) = (Service::saying(answer(status, &[], "{}")), good());
        let gate = gate(bad.address, good.address, "");
        let said = gate.talk().post(CHAT, &[], body);
        assert_eq!((said.status, said.text()), (200, chat("good")), "{status}");
        assert_eq!((bad.heard()[0].text().as_str(), good.heard()[0].text().as_str()), (body, body), "{status}");
    }
}

#[test]
fn a_refusal_is_passed_on_once_with_its_body() {
    for status in [400, 401, 402, 403, 404, 409, 413, 422] {
        let (bad, good) = (Service::saying(answer(status, &[("X-Why", "so")], "the reason")), good());
        let gate = gate(bad.address, good.address, "");
        let said = gate.talk().post(CHAT, &[], "{}");
        assert_eq!((said.status, said.text().as_str(), said.header("x-why")), (status, "the reason", Some("so")));
        assert_eq!((bad.count(), good.count()), (1, 0), "{status}");
    }
}

#[test]
fn a_refusal_that_is_too_long_to_keep_comes_without_its_body() {
    let bad = Service::saying(answer(500, &[("Content-Type", "text/html")], "x".repeat(300 << 10)));
    let gate = gate(bad.address, nobody(), "");
    let said = gate.talk().post(CHAT, &[], "{}");
    assert_eq!((said.status, said.whole, said.text().len(), said.header("content-type")), (500, true, 0, None));
}

#[test]
fn an_endpoint_that_refused_is_free_while_the_next_is_asked() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let bad = Service::saying(answer(404, &[], "no such model"));
    let good = Service::start(move |_, stream| wait.lock().recv().is_ok() && say(stream, json(&chat("good"))));
    let gate = Bundled::shipped(&format!(
        "[upstreams.up]\nendpoints = [{{ url = \"{}\" }}, {{ url = \"{}\", weight = 0 }}]\n\
         [[policies]]\nfile = \"failover.lua\"\nparams.own_models = true\n",
        bad.url(),
        good.url()
    ));
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], "{}");
    assert!(until(|| good.count() == 1));
    let endpoints = gate.status()["upstreams"][0]["endpoints"].clone();
    assert_eq!((&endpoints[0]["under_way"], &endpoints[0]["total"]), (&0.into(), &1.into()), "{endpoints:#}");
    assert_eq!(endpoints[1]["under_way"], 1);
    go.send(()).unwrap();
    assert_eq!(talk.read().status, 200);
}

#[test]
fn the_only_endpoint_is_asked_for_the_next_model_of_the_plan() {
    let upstream = Service::start(|heard, stream| match heard.json()["model"].as_str() {
        Some("small") => say(stream, json(&chat("good"))),
        _ => say(stream, answer(503, &[], "busy")),
    });
    let gate = Bundled::shipped(&format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"route.lua\"\nparams.upstreams = [\"up\"]\n\
         params.aliases = {{ fast = [\"up/big\", \"up/small\"] }}\n[[policies]]\nfile = \"failover.lua\"\n",
        upstream.url()
    ));
    assert_eq!(gate.talk().post(CHAT, &[], r#"{"model":"fast"}"#).text(), chat("good"));
    let asked: Vec<_> = upstream.heard().iter().map(|heard| heard.json()["model"].clone()).collect();
    assert_eq!(asked, ["big", "small"]);
}

#[test]
fn a_good_answer_that_speaks_of_limits_is_delivered() {
    let upstream = Service::saying(json(&chat("rate limited: error 429, try again")));
    let gate = lonely(&upstream, "");
    assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), chat("rate limited: error 429, try again"));
    assert_eq!(upstream.count(), 1);
}

#[test]
fn an_endpoint_that_does_not_answer_is_passed_over() {
    let faults = [
        ("resets", Service::start(|_, stream| reset(stream))),
        ("closes", Service::start(|_, _| false)),
        ("half a head", Service::start(|_, stream| last(stream, "HTTP/1.1 200 OK\r\nContent-Le"))),
        ("garbage", Service::start(|_, stream| last(stream, "what is this?\r\n\r\n"))),
        ("silent", Service::start(|_, stream| stall(stream))),
    ];
    for (fault, bad) in faults {
        let good = good();
        let gate = gate(bad.address, good.address, "");
        let mut talk = gate.talk();
        let said = talk.post(CHAT, &[], r#"{"model":"m"}"#);
        assert_eq!((said.status, said.text()), (200, chat("good")), "{fault}");
        assert_eq!(good.heard()[0].text(), r#"{"model":"m"}"#, "{fault}");
        assert_eq!(good.count(), 1, "{fault}");
    }
    let good = good();
    let gate = gate(nobody(), good.address, "");
    assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), chat("good"), "nobody listens");
}

#[test]
fn a_chunked_upload_is_replayed_too() {
    let (bad, good) = (Service::saying(answer(503, &[], "")), good());
    let gate = gate(bad.address, good.address, "");
    let mut talk = gate.talk();
    talk.send(format!("POST {CHAT} HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{\"a\":\r\n3\r\n 1}}\r\n0\r\n\r\n"));
    assert_eq!(talk.read().text(), chat("good"));
    assert_eq!(good.heard()[0].text(), "{\"a\": 1}");
}

#[test]
fn what_may_have_changed_something_is_not_repeated() {
    for (status, asked_again) in [(500, 0), (502, 0), (504, 0), (503, 1), (429, 1)] {
        let (bad, good) = (Service::saying(answer(status, &[], "no")), Service::saying(answer(200, &[], "yes")));
        let gate = gate(bad.address, good.address, "");
        gate.talk().post("/orders", &[], "{}");
        assert_eq!(good.count(), asked_again, "POST and {status}");
        assert_eq!(gate.talk().get("/orders", &[]).text(), "yes", "GET and {status}");
    }
}

#[test]
fn an_upstream_is_asked_again_when_it_wants() {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2));
    let forms = [
        ("Retry-After", date.as_str(), 500),
        ("Retry-After", "1", 1000),
        ("Retry-After", "0.3", 300),
        ("retry-after-ms", "250", 250),
        ("x-ratelimit-reset-requests", "300ms", 300),
        ("x-ratelimit-reset-tokens", "0m0.2s", 200),
    ];
    for (name, value, wait) in forms {
        let refusal = answer(429, &[(name, value)], "wait");
        let upstream = Service::start(move |heard, stream| {
            say(stream, if heard.number == 1 { refusal.clone() } else { json(&chat("at last")) })
        });
        let gate = lonely(&upstream, "");
        let begun = Instant::now();
        assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), chat("at last"), "{name}: {value}");
        let waited = begun.elapsed();
        assert!(
            waited >= Duration::from_millis(wait) && waited < Duration::from_secs(4),
            "{name}: {value} waited {waited:?}"
        );
    }
}

#[test]
fn an_upstream_that_wants_a_long_pause_is_given_up_with_its_own_words() {
    let upstream = Service::saying(answer(429, &[("Retry-After", "60")], "come back"));
    let gate = lonely(&upstream, "");
    let begun = Instant::now();
    let said = gate.talk().post(CHAT, &[], "{}");
    assert_eq!((said.status, said.text().as_str(), said.header("retry-after")), (429, "come back", Some("60")));
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(upstream.count(), 1);
}

#[test]
fn the_only_endpoint_is_asked_three_times_with_growing_pauses() {
    let upstream = Service::saying(answer(503, &[], "busy"));
    let gate = lonely(&upstream, "");
    let begun = Instant::now();
    assert_eq!(gate.talk().post(CHAT, &[], "{}").status, 503);
    assert_eq!(upstream.count(), 3);
    assert!(begun.elapsed() <= Duration::from_millis(250 + 500 + 500), "full jitter stays below the back-off");
}

#[test]
fn the_best_answer_is_returned_when_all_attempts_are_used_up() {
    let limited = Service::saying(answer(429, &[("Retry-After", "7")], "slow down"));
    let broken = Service::saying(answer(503, &[], "broken"));
    for (first, second) in [(&limited, &broken), (&broken, &limited)] {
        let gate = gate(first.address, second.address, "");
        let said = gate.talk().post(CHAT, &[], "{}");
        assert_eq!((said.status, said.text().as_str(), said.header("retry-after")), (429, "slow down", Some("7")));
    }
    let gate = gate(broken.address, nobody(), "");
    assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), "broken", "an answer is worth more than none");
}

#[test]
fn endpoints_that_all_refuse_are_told_in_the_clients_dialect() {
    let gate = gate(nobody(), nobody(), "");
    let said = gate.talk().post("/v1/messages", &[], "{}");
    assert_eq!((said.status, &said.json()["type"]), (502, &"error".into()));
    assert!(!said.text().contains("127.0.0.1"), "no address leaves the gate: {}", said.text());
}

#[test]
fn the_deadline_stops_attempts() {
    let [one, two] = [(); 2].map(|()| Service::start(|_, stream| stall(stream)));
    let gate = gate(one.address, two.address, "[limits]\ndeadline = \"400ms\"\n");
    let begun = Instant::now();
    assert_eq!(gate.talk().post(CHAT, &[], "{}").status, 504);
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[test]
fn a_stream_that_begins_with_an_error_fails_over() {
    let errors = [
        "data: {\"error\":{\"message\":\"overloaded\"}}\n\n",
        ": keep-alive\n\nevent: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n",
    ];
    let stream = chat_stream(&["good"]);
    for error in errors {
        let bad = Service::saying(chunked("text/event-stream", [error]));
        let good = Service::saying(chunked("text/event-stream", [&stream]));
        let gate = gate(bad.address, good.address, "");
        let said = gate.talk().post(CHAT, &[], r#"{"stream":true}"#);
        assert_eq!(said.text(), stream);
    }
}

#[test]
fn a_stream_that_ends_or_stalls_before_its_first_event_fails_over() {
    let stream = chat_stream(&["good"]);
    let faults = [
        Service::start(|_, stream| say(stream, open("text/event-stream")) && reset(stream)),
        Service::start(|_, stream| {
            say(stream, open("text/event-stream")) && say(stream, chunk(": wait\n\n")) && stall(stream)
        }),
    ];
    for bad in faults {
        let good = Service::saying(chunked("text/event-stream", [&stream]));
        let gate = gate(bad.address, good.address, "");
        assert_eq!(gate.talk().post(CHAT, &[], r#"{"stream":true}"#).text(), stream);
        assert_eq!((bad.count(), good.count()), (1, 1));
    }
}

#[test]
fn after_its_first_event_a_stream_ends_with_an_error_and_never_begins_again() {
    let first = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let bad = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk(first));
        reset(stream)
    });
    let good = Service::saying(chunked("text/event-stream", [&chat_stream(&["good"])]));
    let gate = gate(bad.address, good.address, "");
    let said = gate.talk().post(CHAT, &[], r#"{"stream":true}"#);
    assert!(said.text().starts_with(first), "{}", said.text());
    let last = said.text().trim_end().lines().last().unwrap().to_owned();
    assert!(last.starts_with("data: {\"error\":{"), "{last}");
    assert!(!said.whole, "the body does not end as if all were well");
    assert_eq!(good.count(), 0);
    let said = gate.talk().post("/v1/messages", &[], r#"{"stream":true}"#);
    assert!(said.text().contains("event: error\ndata: {\"type\":\"error\""), "{}", said.text());
}

#[test]
fn a_streamed_call_reaches_the_upstream_once() {
    let stream = chat_stream(&["a", "b"]);
    let upstream = Service::start(move |_, out| {
        say(out, open("text/event-stream"));
        say(out, chunk(&stream));
        say(out, END)
    });
    let gate = lonely(&upstream, "");
    assert!(gate.talk().post(CHAT, &[], r#"{"stream":true}"#).whole);
    assert_eq!(upstream.count(), 1);
}
