//! Attempts at upstreams of different dialects for one client: each gets a fresh copy in its own words.

use serde_json::json;

use super::clients::{CLIENTS, Client};
use super::scenes::Scene;
use super::upstreams::Up;
use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chunk, json as json_answer, open, reset, say};
use crate::support::until;

/// A gate that asks upstream `a` first and then `b`, each of its dialect.
fn gate(a: (&Service, Up), b: (&Service, Up)) -> Bundled {
    let upstream = |name: &str, (service, up): (&Service, Up)| {
        format!(
            "[upstreams.{name}]\nurl = \"{}\"\ndialect = \"{}\"\ntimeouts.idle = \"500ms\"\nbreaker.on = false\n",
            service.url(),
            up.setting()
        )
    };
    let settings = format!("{}{}[[policies]]\nfile = \"p.lua\"\n", upstream("a", a), upstream("b", b));
    let lua = r#"return policy { api = 1,
      route = function() return { { upstream = "a", model = "model-a" }, { upstream = "b", model = "model-b" } } end,
      failover = function(attempt) return { retry = attempt.untried > 0 } end,
      on_log = function(exchange) if #exchange.attempts > 0 then store:set("seen", json.encode({ usage = exchange.usage, attempts = #exchange.attempts })) end end,
      on_request = function(req) if req.path == "/seen" then return respond { text = store:get("seen") or "" } end end }"#;
    Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)])
}

#[test]
fn a_failing_upstream_gives_way_to_one_of_another_dialect() {
    let bodies: [(&str, Vec<u8>); 5] = [
        (
            "overloaded",
            answer(
                529,
                &[("Content-Type", "application/json")],
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ),
        ),
        ("a page", answer(502, &[("Content-Type", "text/html")], "<html></html>")),
        ("garbage", json_answer("hello")),
        ("hidden in a good status", json_answer(r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#)),
        (
            "hidden in a stream",
            crate::support::service::chunked(
                "text/event-stream",
                [
                    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}}\n\n",
                ],
            ),
        ),
    ];
    for (what, body) in bodies {
        // What is no error by its status passes untouched to a client of the same dialect.
        let good = body.starts_with(b"HTTP/1.1 200");
        let clients = || CLIENTS.into_iter().filter(|client| *client != Client::Anthropic || !good);
        let (anthropic, openai) = (Service::saying(body), Up::Chat.start());
        let gate = gate((&anthropic, Up::Anthropic), (&openai, Up::Chat));
        for client in clients() {
            for stream in [false, true] {
                let said = gate.talk().post(
                    client.path(stream),
                    &[("X-Scene", "text"), ("anthropic-beta", "x")],
                    &client.body(stream),
                );
                assert_eq!(said.status, 200, "{client:?}, {what}, {stream}: {}", said.text());
                let heard = if stream { client.hear_stream(&said) } else { client.hear(&said) };
                let scene = Scene::named("text");
                assert_eq!((heard.text, heard.usage), (scene.all(), (scene.input, scene.output)), "{client:?}, {what}");
                let (first, second) = (anthropic.heard(), openai.heard());
                let (first, second) = (first.last().unwrap(), second.last().unwrap());
                assert_eq!(
                    (first.json()["model"].clone(), second.json()["model"].clone()),
                    (json!("model-a"), json!("model-b"))
                );
                assert_eq!(
                    (first.target().split('?').next().unwrap(), second.target()),
                    ("/v1/messages", "/v1/chat/completions")
                );
                assert!(
                    second.header("anthropic-beta").is_none() || client == Client::Chat,
                    "{client:?}: {}",
                    second.head
                );
            }
        }
        let each = 2 * clients().count();
        assert_eq!((anthropic.count(), openai.count()), (each, each), "{what}");
    }
}

#[test]
fn what_is_learnt_of_an_answer_is_that_of_the_attempt_which_gave_it() {
    let hidden = json_answer(r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#);
    for stream in [false, true] {
        let (anthropic, gemini) = (Service::saying(hidden.clone()), Up::Gemini.start());
        let gate = gate((&anthropic, Up::Anthropic), (&gemini, Up::Gemini));
        let said = gate.talk().post("/v1/chat/completions", &[("X-Scene", "call")], &Client::Chat.body(stream));
        assert_eq!(said.status, 200, "{}", said.text());
        let scene = Scene::named("call");
        let expected = json!({"input": scene.input, "output": scene.output});
        let mut seen = String::new();
        assert!(
            until(|| {
                seen = gate.talk().get("/seen", &[]).text();
                seen.contains("\"attempts\":2")
            }),
            "{seen}"
        );
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(
            (&seen["usage"]["input"], &seen["usage"]["output"]),
            (&expected["input"], &expected["output"]),
            "{stream}: {seen}"
        );
    }
}

#[test]
fn a_stream_that_breaks_before_its_first_word_is_tried_elsewhere_and_later_not() {
    for (spoken, status_of_b) in [(false, 1), (true, 0)] {
        let anthropic = Service::start(move |_, out| {
            let stream = Up::Anthropic.stream(&Scene::named("text"));
            let end = if spoken {
                stream.find("event: content_block_stop").unwrap()
            } else {
                stream.find("event: content_block_delta").unwrap()
            };
            say(out, open("text/event-stream"));
            say(out, chunk(&stream[..end])) && reset(out)
        });
        let openai = Up::Chat.start();
        let gate = gate((&anthropic, Up::Anthropic), (&openai, Up::Chat));
        for client in [Client::Gemini, Client::Ollama, Client::Responses] {
            let before = openai.count();
            let said = gate.talk().post(client.path(true), &[("X-Scene", "text")], &client.body(true));
            assert_eq!(openai.count() - before, status_of_b, "{client:?}, {spoken}: {}", said.text());
            if !spoken {
                assert_eq!(client.hear_stream(&said).text, Scene::named("text").all());
            }
        }
    }
}

#[test]
fn when_all_fail_the_client_is_told_in_its_dialect() {
    let anthropic = Service::saying(answer(
        529,
        &[],
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
    ));
    let gemini = Service::saying(answer(
        429,
        &[("Retry-After", "3")],
        r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#,
    ));
    let gate = gate((&anthropic, Up::Anthropic), (&gemini, Up::Gemini));
    for client in [Client::Chat, Client::Responses, Client::Ollama] {
        let said = gate.talk().post(client.path(false), &[], &client.body(false));
        assert_eq!((said.status, said.header("retry-after")), (429, Some("3")), "{client:?}: {}", said.text());
        super::errors::shape(client, &said, ["rate_limit_error", "", ""], &json!("rate_limit_exceeded"));
    }
}
