//! The cache with the shipped policy: what is served again, to whom, for how long, and what is never stored.

use std::sync::mpsc;

use parking_lot::Mutex;

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, answer, chat, chat_stream, chunk, chunked, json, open, reset, say};
use crate::support::talk::Said;
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// The shipped cache, with more parameters and policies.
fn gate(upstream: &Service, params: &str) -> Bundled {
    Bundled::shipped(&format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"identify.lua\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n{params}",
        upstream.url()
    ))
}

fn verdict(said: &Said) -> &str {
    said.header("x-cache").map_or("none", |told| told.split(';').next().unwrap_or_default())
}

#[test]
fn a_repeated_call_is_served_from_memory_byte_for_byte() {
    let body = "{ \"id\":\"c1\", \"choices\":[ {\"message\":{\"content\":\"h\\u00e9 \u{1f30a}\"}, \"n\": 1.0} ] }\n";
    let upstream =
        Service::saying(answer(200, &[("Content-Type", "application/json"), ("X-Mine", "1"), ("X-Mine", "2")], body));
    let gate = gate(&upstream, "");
    let mut talk = gate.talk();
    let first = talk.post(CHAT, &[], r#"{"model":"m","messages":[]}"#);
    let second = talk.post(CHAT, &[], r#"{ "messages" : [], "model": "m" }"#);
    assert_eq!((verdict(&first), verdict(&second)), ("miss", "hit"), "the order of fields makes no difference");
    assert_eq!((first.text().as_str(), second.text().as_str()), (body, body));
    assert!(second.head.contains("x-mine: 1\r\nx-mine: 2"), "{}", second.head);
    assert!(second.header("age").is_some());
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_repeated_stream_is_served_as_the_stream_it_was() {
    let stream =
        ": hello\r\n\r\n".to_owned() + &chat_stream(&["one", "two", "three"]).replace("data: [DONE]", "data:[DONE]");
    let copy = stream.clone();
    let upstream = Service::start(move |_, out| say(out, chunked("text/event-stream", copy.as_bytes().chunks(13))));
    let gate = gate(&upstream, "");
    let mut talk = gate.talk();
    let asked = r#"{"model":"m","stream":true}"#;
    let (first, second) = (talk.post(CHAT, &[], asked), talk.post(CHAT, &[], asked));
    assert_eq!((verdict(&first), verdict(&second)), ("miss", "hit"));
    assert_eq!((first.text(), second.text()), (stream.clone(), stream));
    assert_eq!(second.header("content-type"), Some("text/event-stream"));
    assert_eq!(upstream.count(), 1);
    let plain = talk.post(CHAT, &[], r#"{"model":"m","stream":false}"#);
    assert_eq!(verdict(&plain), "miss", "a stream is no answer to a plain call");
}

#[test]
fn users_are_kept_apart_unless_told_otherwise() {
    let upstream = Service::saying(json(&chat("hi")));
    for (params, other) in [("", "miss"), ("params.scope = \"shared\"\n", "hit")] {
        let gate = gate(&upstream, params);
        let mut talk = gate.talk();
        let mut ask = |user: &str| verdict(&talk.post(CHAT, &[("X-User-Id", user)], "{\"model\":\"m\"}")).to_owned();
        assert_eq!((ask("anna"), ask("anna"), ask("ben")), ("miss".to_owned(), "hit".to_owned(), other.to_owned()));
    }
}

#[test]
fn calls_of_different_kinds_never_share_an_answer() {
    let upstream = Service::start(|heard, stream| {
        let text = match heard.target() {
            "/v1/embeddings" => r#"{"data":[{"embedding":[1]}]}"#.to_owned(),
            "/v1/responses" => {
                r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}"#.to_owned()
            }
            _ => chat("hi"),
        };
        say(stream, json(&text))
    });
    let gate = gate(&upstream, "");
    let mut talk = gate.talk();
    let body = r#"{"model":"m","input":"x"}"#;
    for path in ["/v1/embeddings", "/v1/responses", CHAT] {
        assert_eq!(verdict(&talk.post(path, &[], body)), "miss", "{path}");
        assert_eq!(verdict(&talk.post(path, &[], body)), "hit", "{path}");
    }
    assert_eq!(verdict(&talk.post(CHAT, &[], r#"{"model":"m","input":"y"}"#)), "miss");
    assert_eq!(verdict(&talk.post(CHAT, &[("anthropic-beta", "x")], body)), "miss");
}

#[test]
fn a_client_can_ask_past_the_cache() {
    let upstream = Service::start(|heard, stream| say(stream, json(&chat(&heard.number.to_string()))));
    let gate = gate(&upstream, "");
    let mut talk = gate.talk();
    let mut ask = |headers: &[(&str, &str)], body: &str| talk.post(CHAT, headers, body).text();
    assert_eq!(ask(&[], r#"{"model":"m"}"#), chat("1"));
    assert_eq!(ask(&[("Cache-Control", "no-cache")], r#"{"model":"m"}"#), chat("2"), "asked anew");
    assert_eq!(ask(&[], r#"{"model":"m"}"#), chat("2"), "and stored anew");
    assert_eq!(ask(&[("Cache-Control", "no-store")], r#"{"model":"n"}"#), chat("3"));
    assert_eq!(ask(&[], r#"{"model":"n"}"#), chat("4"), "what is not to be stored is not there");
    assert_eq!(ask(&[], r#"{"model":"m", "cache":{"no-cache":true}}"#), chat("5"));
    assert!(upstream.heard()[4].json().get("cache").is_none(), "the word to the gate does not go on");
}

#[test]
fn an_answer_is_served_no_longer_than_it_may_be() {
    let upstream = Service::saying(json(&chat("hi")));
    let gate = Bundled::shipped(&format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 1\n",
        upstream.url()
    ));
    let mut talk = gate.talk();
    let mut ask = || verdict(&talk.post(CHAT, &[], "{}")).to_owned();
    assert_eq!((ask(), ask()), ("miss".to_owned(), "hit".to_owned()));
    assert!(until(|| ask() == "miss"));
    assert_eq!(upstream.count(), 2);
}

#[test]
fn what_is_not_a_whole_good_answer_is_not_stored() {
    let stream = chat_stream(&["a"]);
    let unfinished = stream.replace("data: [DONE]\n\n", "");
    let unfinished = unfinished.replace("\"stop\"", "null");
    let failed = format!("{unfinished}data: {{\"error\":{{\"message\":\"no\"}}}}\n\ndata: [DONE]\n\n");
    let answers: Vec<(&str, Vec<u8>, bool)> = vec![
        ("an error status", answer(500, &[("Content-Type", "application/json")], chat("x")), true),
        ("another success", answer(201, &[("Content-Type", "application/json")], chat("x")), true),
        ("an error under 200", json(r#"{"error":{"message":"no"}}"#), true),
        ("no choices", json(r#"{"choices":[]}"#), true),
        ("no JSON", json("hello"), true),
        ("an empty body", json(""), true),
        (
            "forbidden",
            answer(200, &[("Content-Type", "application/json"), ("Cache-Control", "no-store")], chat("x")),
            true,
        ),
        ("cut short", json(&chat("x"))[..120].to_vec(), false),
        ("no end", chunked("text/event-stream", [&unfinished]), true),
        ("an error event", chunked("text/event-stream", [&failed]), true),
        ("a cut stream", [open("text/event-stream").into_bytes(), chunk(&unfinished)].concat(), false),
    ];
    for (what, bytes, stays) in answers {
        let upstream = Service::start(move |_, out| {
            say(out, &bytes);
            stays || reset(out)
        });
        let gate = gate(&upstream, "");
        for round in 1..=2 {
            let said = gate.talk().post(CHAT, &[], "{}");
            assert_ne!(verdict(&said), "hit", "{what}");
            assert_eq!(upstream.count(), round, "{what}");
            // The next one is not to join it.
            assert!(until(|| gate.gate.flights.is_empty()), "{what}");
        }
    }
}

#[test]
fn a_stream_that_its_client_left_is_not_stored() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"));
        told.lock().recv().unwrap();
        say(stream, chunk("data: [DONE]\n\n")) && say(stream, END)
    });
    let gate = gate(&upstream, "");
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], r#"{"stream":true}"#);
    talk.wait_for("content");
    drop(talk);
    assert!(until(|| gate.metrics().contains("reason=\"client_gone\"")), "{}", gate.metrics());
    go.send(()).unwrap();
    go.send(()).unwrap();
    let said = gate.talk().post(CHAT, &[], r#"{"stream":true}"#);
    assert_eq!(verdict(&said), "miss");
    assert_eq!(upstream.count(), 2);
}

#[test]
fn identical_streams_at_one_time_are_all_whole() {
    let stream = chat_stream(&["one", "two"]);
    let pieces = stream.clone();
    let upstream = Service::start(move |_, out| say(out, chunked("text/event-stream", pieces.as_bytes().chunks(9))));
    let gate = gate(&upstream, "");
    let address = gate.address;
    let ask = move || crate::support::talk::Talk::to(address).post(CHAT, &[], r#"{"stream":true}"#);
    let clients: Vec<_> = (0..8).map(|_| std::thread::spawn(ask)).collect();
    for client in clients {
        assert_eq!(client.join().unwrap().text(), stream);
    }
    assert_eq!(verdict(&ask()), "hit");
    assert_eq!(gate.status()["cache"]["entries"], 1);
}

#[test]
fn hooks_on_responses_run_again_on_a_stored_one() {
    let upstream = Service::saying(json(&chat("hi")));
    let stamp = r#"return policy { api = 1, on_response = function(res)
      res.headers:set("x-count", tostring(store:incr("n")))
      res:json().stamped = store:get("n")
    end }"#;
    let settings = format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"stamp.lua\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
        upstream.url()
    );
    let shipped = |file: &str| {
        std::fs::read_to_string(crate::support::bundle::root().join("policies").join(file)).unwrap_or_default()
    };
    let gate = Bundled::serve(&[
        ("tidegate.toml", &settings),
        ("stamp.lua", stamp),
        ("cache.lua", &shipped("cache.lua")),
        ("lib/body.lua", &shipped("lib/body.lua")),
        ("lib/unasked.lua", &shipped("lib/unasked.lua")),
        ("lib/normal.lua", &shipped("lib/normal.lua")),
    ]);
    let mut talk = gate.talk();
    for round in 1..=3 {
        let said = talk.post(CHAT, &[], "{}");
        assert_eq!(said.header("x-count"), Some(round.to_string().as_str()));
        assert_eq!(said.json()["stamped"], round, "what is stored is what the upstream said");
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn the_key_is_made_before_an_attempt_edits_the_request() {
    let upstream = Service::saying(json(&chat("hi")));
    let lua = r"return policy { api = 1,
      cache = function(req) return { key = { body = req:text() }, ttl = 60 } end,
      on_attempt = function(req) req:set_json({ other = math.random() }) end }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    for _ in 0..3 {
        talk.post(CHAT, &[], "{}");
    }
    assert_eq!(upstream.count(), 1);
}

/// A gate whose calls are all equal, in any dialect and form.
fn any(upstream: &Service) -> Bundled {
    let lua =
        "return policy { api = 1, cache = function(req) return { key = { q = 1 }, ttl = 60, dialects = \"any\" } end }";
    let settings = format!("[upstreams.up]\nurl = \"{}\"\ndialect = \"openai\"\n", upstream.url());
    Bundled::serve(&[("tidegate.toml", &format!("{settings}[[policies]]\nfile = \"p.lua\"\n")), ("p.lua", lua)])
}

/// The same question, streamed and whole, with where its text stands.
const ASKED: [(&str, &str); 6] = [
    (CHAT, r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#),
    (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#),
    ("/v1/messages", r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#),
    ("/v1/messages", r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#),
    ("/v1/responses", r#"{"model":"m","input":"x"}"#),
    ("/api/chat", r#"{"model":"m","stream":false,"messages":[{"role":"user","content":"x"}]}"#),
];

#[test]
fn one_answer_serves_every_dialect_streamed_and_whole() {
    let usage = r#""usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}"#;
    let whole = chat("at six").replace(r#","choices""#, &format!(r#",{usage},"choices""#));
    let last = format!("data: {{\"id\":\"c1\",\"choices\":[],{usage}}}\n\ndata: [DONE]");
    let stream = chat_stream(&["at ", "six"]).replace("data: [DONE]", &last);
    for first in [0, 1] {
        let (whole, stream) = (whole.clone(), stream.clone());
        let upstream = Service::start(move |heard, out| match heard.json()["stream"].as_bool() {
            Some(true) => say(out, chunked("text/event-stream", stream.as_bytes().chunks(29))),
            _ => say(out, json(&whole)),
        });
        let gate = any(&upstream);
        let mut talk = gate.talk();
        let mut ask = |index: usize| talk.post(ASKED[index].0, &[], ASKED[index].1);
        let original = ask(first);
        assert_eq!(verdict(&original), "miss");
        assert_eq!(ask(first).text(), original.text(), "in its own form it is the same, byte for byte");
        for index in 0..ASKED.len() {
            let (one, two) = (ask(index), ask(index));
            let text = one.text();
            assert_eq!((one.status, verdict(&one)), (200, "hit"), "{index}: {text}");
            assert!(one.header("x-cache").unwrap().ends_with("stored-as=openai.chat"), "{}", one.head);
            assert!(text.contains("six"), "{index}: {text}");
            if index == first {
                continue;
            }
            assert!(!text.contains("\"c1\""), "its id is new: {text}");
            assert!(index == 5 || text != two.text(), "and another for each: {text}");
        }
        assert_eq!(ask(2).json()["usage"]["cache_read_input_tokens"], 7);
        assert_eq!(ask(4).json()["usage"]["input_tokens_details"]["cached_tokens"], 7);
        if first == 0 {
            assert_eq!(ask(1).json()["usage"]["prompt_tokens_details"]["cached_tokens"], 7);
        }
        assert_eq!(upstream.count(), 1);
    }
}

#[test]
fn a_translated_answer_is_the_same_again_for_who_asks_as_the_first_did() {
    let upstream = Service::saying(json(&chat("at six")));
    let gate = any(&upstream);
    let mut talk = gate.talk();
    for (index, verdicts) in [(2, ("miss", "hit")), (4, ("hit", "hit"))] {
        let mut ask = || talk.post(ASKED[index].0, &[], ASKED[index].1);
        let (one, two) = (ask(), ask());
        assert_eq!((verdict(&one), verdict(&two)), verdicts);
        assert_eq!(one.text() == two.text(), index == 2, "{} {}", one.text(), two.text());
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn an_answer_of_another_upstream_than_was_asked_first_does_not_stand_for_its() {
    let upstream = Service::start(|heard, out| match heard.number {
        1 => say(out, answer(500, &[], "no")),
        _ => say(out, json(&chat("up"))),
    });
    let spare = Service::saying(json(&chat("spare")));
    let lua = r#"return policy { api = 1,
      route = function(req) return { { upstream = "up" }, { upstream = "spare" } } end,
      failover = function(attempt) return { retry = true } end,
      cache = function(req) return { key = { q = 1 }, ttl = 60 } end }"#;
    let settings = format!("[upstreams.spare]\nurl = \"{}\"\n", spare.url());
    let gate = Bundled::policy(&upstream.url(), &settings, lua);
    let mut talk = gate.talk();
    let mut ask = || talk.post(CHAT, &[], "{}").text();
    assert_eq!(ask(), chat("spare"));
    assert_eq!((ask(), ask()), (chat("up"), chat("up")));
    assert_eq!((upstream.count(), spare.count()), (2, 1));
}
