//! Signs of life to clients that wait for a stream: in their dialect, into a stream that has one head and one end.

use std::time::Duration;

use crate::hedge::plays_as_it_was;
use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chat_stream, chunk, chunked, json, nobody, open, say, stall};
use crate::support::talk::Said;
use crate::support::until;

const MESSAGES: &str = "/v1/messages";

const ASK: &str = r#"{"model":"m","max_tokens":8,"stream":true,"messages":[{"role":"user","content":"Tide?"}]}"#;

const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"At six.\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// A gate before these endpoints, in their order, that sends a sign of life every 150 ms.
fn gate(urls: &[String], dialect: &str) -> Bundled {
    let endpoint = |(at, url): (usize, &String)| format!("{{ url = \"{url}\", weight = {} }}", u32::from(at == 0));
    let endpoints: Vec<String> = urls.iter().enumerate().map(endpoint).collect();
    Bundled::shipped(&format!(
        "[limits]\nping = \"150ms\"\n[upstreams.up]\ndialect = \"{dialect}\"\nendpoints = [{}]\ntimeouts.head = \"1s\"\n\
         [[policies]]\nfile = \"failover.lua\"\n",
        endpoints.join(", ")
    ))
}

/// An upstream that thinks before it says something.
fn slow(millis: u64, bytes: Vec<u8>) -> Service {
    Service::start(move |_, out| {
        std::thread::sleep(Duration::from_millis(millis)); // paced: longer than the client waits in silence
        say(out, &bytes)
    })
}

/// What is left of an answer without its pings, and how many there were.
fn without(said: &Said, ping: &str) -> (String, usize) {
    let text = said.text();
    (text.replace(ping, ""), text.matches(ping).count())
}

#[test]
fn a_client_of_anthropic_hears_pings_until_its_answer_comes() {
    let upstream = slow(700, chunked("text/event-stream", [STREAM]));
    let gate = gate(&[upstream.url()], "anthropic");
    let mut talk = gate.talk();
    let said = talk.post(MESSAGES, &[("Accept-Encoding", "gzip")], ASK);
    let (text, pings) = without(&said, PING);
    assert_eq!((said.status, text.as_str(), said.whole), (200, STREAM, true));
    assert!((2..=5).contains(&pings), "{pings}");
    assert_eq!(said.header("content-type"), Some("text/event-stream"));
    assert_eq!(said.header("x-accel-buffering"), Some("no"));
    assert!(said.header("via").is_some(), "the gate's traces are there: {}", said.head);
    assert_eq!(upstream.heard()[0].header("accept-encoding"), Some("identity"), "an open stream is not compressed");
    let said = talk.post(MESSAGES, &[], ASK);
    assert_eq!(without(&said, PING).0, STREAM, "the connection goes on");
    plays_as_it_was(&gate);
}

#[test]
fn pings_go_on_over_attempts_and_back_off_and_the_answer_begins_once() {
    let busy = slow(400, answer(503, &[("Retry-After", "0.4")], "busy"));
    let good = slow(400, chunked("text/event-stream", [STREAM]));
    let gate = gate(&[busy.url(), good.url()], "anthropic");
    let said = gate.talk().post(MESSAGES, &[], ASK);
    let (text, pings) = without(&said, PING);
    assert_eq!(text, STREAM);
    assert!(pings >= 3, "{pings}");
    assert_eq!(text.matches("event: message_start").count(), 1);
    plays_as_it_was(&gate);
}

#[test]
fn what_fails_late_is_told_in_the_stream_which_then_ends() {
    let busy = slow(400, answer(529, &[], r#"{"type":"error","error":{"type":"overloaded_error","message":"Full"}}"#));
    let gate = gate(&[busy.url()], "anthropic");
    let said = gate.talk().post(MESSAGES, &[], ASK);
    let (text, pings) = without(&said, PING);
    assert_eq!((said.status, said.whole), (200, true));
    assert!(pings > 0 && text.starts_with("event: error\ndata: {\"type\":\"error\""), "{text}");
    assert!(text.contains("overloaded_error") && text.contains("Full"), "{text}");
    assert!(until(|| gate.metrics().contains("upstream_error")), "{}", gate.metrics());
    plays_as_it_was(&gate);
}

#[test]
fn an_upstream_that_never_answers_is_told_in_the_stream() {
    let silent = Service::start(|_, out| stall(out));
    let gate = gate(&[silent.url(), format!("http://{}", nobody())], "anthropic");
    let said = gate.talk().post(MESSAGES, &[], ASK);
    let (text, pings) = without(&said, PING);
    assert!(pings > 0 && text.starts_with("event: error\n") && said.whole, "{text}");
    assert!(!text.contains("127.0.0.1"), "{text}");
}

#[test]
fn comments_are_for_clients_that_skip_them() {
    let stream = chat_stream(&["good"]);
    let upstream = slow(500, chunked("text/event-stream", [&stream]));
    let gate = gate(&[upstream.url()], "openai");
    for (agent, told) in [("OpenAI/Python 2.1.0", true), ("openai/js 6.1", true), ("curl/8", false)] {
        let said = gate.talk().post("/v1/chat/completions", &[("User-Agent", agent)], ASK);
        let (text, comments) = without(&said, ": waiting\n");
        assert_eq!((text, comments > 0), (stream.clone(), told), "{agent}");
    }
    let said = gate.talk().post("/api/chat", &[("User-Agent", "OpenAI/Python 2.1.0")], ASK);
    assert!(!said.text().contains("waiting"), "Ollama's lines have no comments: {}", said.text());
}

#[test]
fn a_client_that_asked_for_no_stream_gets_its_own_status() {
    let busy = slow(400, answer(529, &[], "{}"));
    let gate = gate(&[busy.url()], "anthropic");
    assert_eq!(gate.talk().post(MESSAGES, &[], &ASK.replace("true", "false")).status, 529);
    let upstream = slow(400, json("{}"));
    let gate = self::gate(&[upstream.url()], "anthropic");
    assert_eq!(gate.talk().post("/v1/messages/count_tokens", &[], ASK).text(), "{}");
}

#[test]
fn a_translated_answer_goes_on_in_an_open_stream() {
    let upstream = slow(500, chunked("text/event-stream", [chat_stream(&["At", " six."])]));
    let gate = gate(&[upstream.url()], "openai");
    let said = gate.talk().post(MESSAGES, &[], ASK);
    let (text, pings) = without(&said, PING);
    assert!(pings > 0 && text.contains(" six.") && text.contains("event: message_stop"), "{text}");
    assert_eq!(text.matches("event: message_start").count(), 1, "{text}");
}

#[test]
fn a_client_that_leaves_while_it_hears_pings_lets_its_upstream_go() {
    let (gone, told) = std::sync::mpsc::channel();
    let silent = Service::start(move |_, out| {
        stall(out);
        gone.send(()).unwrap();
        false
    });
    let gate = gate(&[silent.url()], "anthropic");
    let mut talk = gate.talk();
    talk.ask(MESSAGES, &[], ASK);
    talk.wait_for("event: ping");
    drop(talk);
    told.recv_timeout(Duration::from_millis(700)).unwrap();
}

/// What another upstream adds to an answer, in the words of Anthropic.
const REST: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m2\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n\
    event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
    event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" Surely.\"}}\n\n\
    event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n\
    event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// A gate whose second upstream goes on where the first one stops, and that sends a sign of life every 150 ms.
fn going_on(first: &Service, second: &Service, dialect: &str) -> Bundled {
    let upstream = |name: &str, service: &Service| {
        format!("[upstreams.{name}]\nurl = \"{}\"\ndialect = \"{dialect}\"\n", service.url())
    };
    let settings = format!(
        "[limits]\nping = \"150ms\"\n{}{}[[policies]]\nfile = \"p.lua\"\n",
        upstream("a", first),
        upstream("b", second)
    );
    let lua = r#"return policy { api = 1,
      route = function() return { { upstream = "a", continue_cut = "complete" }, { upstream = "b" } } end,
      failover = function(attempt) return { retry = attempt.untried > 0 } end }"#;
    Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)])
}

/// An upstream that dies when it has said so much.
fn dying(said: &str) -> Service {
    let said = said.to_owned();
    Service::start(move |_, out| {
        say(out, open("text/event-stream"));
        say(out, chunk(&said));
        false
    })
}

/// The signs of life between what the one upstream said and what comes then.
fn between(said: &Said, sign: &str, then: &str) -> usize {
    let text = said.text();
    let (before, after) = text.split_once("At six.").unwrap_or_else(|| panic!("{text}"));
    assert!(!before.contains(sign), "{text}");
    let (waiting, rest) = after.split_once(then).unwrap_or_else(|| panic!("no {then} in {text}"));
    assert!(!rest.contains(sign), "{text}");
    waiting.matches(sign).count()
}

#[test]
fn a_client_hears_signs_of_life_until_another_upstream_goes_on_with_its_answer() {
    let told = &STREAM[..STREAM.find("event: content_block_stop").unwrap()];
    let (first, second) = (dying(told), slow(700, chunked("text/event-stream", [REST])));
    let gate = going_on(&first, &second, "anthropic");
    let said = gate.talk().post(MESSAGES, &[], ASK);
    let pings = between(&said, PING, " Surely.");
    assert!((2..=5).contains(&pings), "{pings}");
    assert!(said.whole && said.text().contains("event: message_stop"), "{}", said.text());
    assert_eq!(said.text().matches("event: message_start").count(), 1, "{}", said.text());
    plays_as_it_was(&gate);

    let stream = chat_stream(&["At six.", "no"]);
    let told = &stream[..stream.find("\n\n").unwrap() + 2];
    let (first, second) = (dying(told), slow(700, chunked("text/event-stream", [chat_stream(&[" Surely."])])));
    let gate = going_on(&first, &second, "openai");
    for (agent, told) in [("OpenAI/Python 2.1.0", true), ("curl/8", false)] {
        let said = gate.talk().post("/v1/chat/completions", &[("User-Agent", agent)], ASK);
        let comments = between(&said, ": waiting\n", " Surely.");
        assert_eq!(comments >= 2, told, "{agent}: {}", said.text());
        assert!(said.text().ends_with("data: [DONE]\n\n"), "{}", said.text());
    }
    plays_as_it_was(&gate);
}

#[test]
fn a_client_hears_signs_of_life_until_it_is_known_that_nobody_goes_on() {
    let told = &STREAM[..STREAM.find("event: content_block_stop").unwrap()];
    let (first, second) = (dying(told), slow(700, answer(503, &[], "{}")));
    let gate = going_on(&first, &second, "anthropic");
    let said = gate.talk().post(MESSAGES, &[], ASK);
    let pings = between(&said, PING, "event: error\n");
    assert!(pings >= 2, "{}", said.text());
    plays_as_it_was(&gate);
}

#[test]
fn a_client_that_leaves_while_nobody_goes_on_yet_lets_the_upstream_go() {
    let (gone, told) = std::sync::mpsc::channel();
    let silent = Service::start(move |_, out| {
        stall(out);
        gone.send(()).unwrap();
        false
    });
    let begun = &STREAM[..STREAM.find("event: content_block_stop").unwrap()];
    let first = dying(begun);
    let gate = going_on(&first, &silent, "anthropic");
    let mut talk = gate.talk();
    talk.ask(MESSAGES, &[], ASK);
    talk.wait_for("event: ping");
    drop(talk);
    told.recv_timeout(Duration::from_millis(700)).unwrap();
    plays_as_it_was(&gate);
}

/// A gate whose policy sets status and headers in `on_response`, after whatever `route` says of pings.
fn shaping(upstream: &Service, ping: &str) -> Bundled {
    let settings = format!(
        "[limits]\nping = \"150ms\"\n[upstreams.up]\nurl = \"{}\"\ndialect = \"anthropic\"\n[[policies]]\nfile = \"p.lua\"\n",
        upstream.url()
    );
    let lua = format!(
        r#"return policy {{ api = 1,
          endpoints = {{ ["GET /seen"] = function() return respond {{ text = store:get("seen") or "" }} end }},
          route = function() return {{ upstream = "up"{ping} }} end,
          on_response = function(res, ctx)
            ctx.vars.committed = res.committed
            res.status = 203
            res.headers:set("x-team", "tide")
          end,
          on_event = function(ev) if ev.text then ev.text = ev.text .. " Sharp." end end,
          on_log = function(exchange, ctx)
            local unsent = exchange.unsent and table.concat(exchange.unsent, " ") or "nothing"
            store:set("seen", `{{ctx.vars.committed}} {{unsent}}`)
          end }}"#
    );
    Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", &lua)])
}

#[test]
fn a_head_that_is_out_stays_and_what_policies_make_of_it_is_logged() {
    let upstream = slow(500, chunked("text/event-stream", [STREAM]));
    for (ping, status, team, seen) in
        [("", 200, None, "true status x-team"), (", ping = false", 203, Some("tide"), "false nothing")]
    {
        let gate = shaping(&upstream, ping);
        let said = gate.talk().post(MESSAGES, &[], ASK);
        assert_eq!((said.status, said.header("x-team"), said.whole), (status, team, true), "{}", said.head);
        assert!(said.text().contains("At six. Sharp."), "events are edited either way: {}", said.text());
        assert_eq!(said.text().contains("event: ping"), ping.is_empty());
        assert!(until(|| gate.talk().get("/seen", &[]).text() == seen), "{}", gate.talk().get("/seen", &[]).text());
        plays_as_it_was(&gate);
    }
}
