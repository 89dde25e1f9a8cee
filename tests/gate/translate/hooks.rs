//! Hooks and the cache on translated exchanges: they see the client's dialect, whatever the upstream's is.

use super::clients::{CLIENTS, Client};
use super::gate_with;
use super::scenes::Scene;
use super::table::native;
use super::upstreams::{UPS, Up};
use crate::support::bundle::Bundled;
use crate::support::service::{Service, chunked, say};

/// A policy that leaves a trace in every hook.
const TRACING: &str = r#"return policy { api = 1,
  on_request = function(req) req.headers:set("x-asked", req.dialect or "none") end,
  on_attempt = function(req) req.headers:set("x-tried", req.path) end,
  on_response = function(res) res.headers:set("x-streaming", tostring(res.streaming)) end,
  on_event = function(ev)
    local body = ev:json()
    if body and body.choices and body.choices[1] and body.choices[1].delta.content then
      body.choices[1].delta.content = string.upper(body.choices[1].delta.content)
    end
    if body and body.delta and body.delta.text then body.delta.text = string.upper(body.delta.text) end
    if body and body.message and type(body.message.content) == "string" then body.message.content = string.upper(body.message.content) end
  end }"#;

#[test]
fn hooks_see_and_edit_the_client_s_dialect() {
    for (up, client) in [
        (Up::Anthropic, Client::Chat),
        (Up::Gemini, Client::Anthropic),
        (Up::Responses, Client::Ollama),
        (Up::Ollama, Client::Anthropic),
        (Up::Chat, Client::Ollama),
    ] {
        let upstream = up.start();
        let gate = gate_with(up.setting(), &upstream, TRACING);
        let said = gate.talk().post(client.path(true), &[("X-Scene", "text")], &client.body(true));
        assert_eq!(
            client.hear_stream(&said).text,
            Scene::named("text")
                .all()
                .replace("data: [DONE]", "DATA: [DONE]")
                .replace("Gr", "GR")
                .replace("\u{fc}\u{df}e", "\u{fc}\u{df}E"),
            "{client:?} before {up:?}"
        );
        assert_eq!(said.header("x-streaming"), Some("true"));
        let heard = &upstream.heard()[0];
        assert!(heard.header("x-asked").is_some_and(|asked| asked != "none"), "{}", heard.head);
        assert_eq!(heard.header("x-tried"), heard.target().split('?').next(), "on_attempt sees the translated path");
        assert!(gate.status()["hook_errors"].as_array().unwrap().is_empty(), "{:#}", gate.status()["hook_errors"]);
    }
}

#[test]
fn on_response_reads_a_translated_answer_whole() {
    let lua = r#"return policy { api = 1, on_response = function(res)
      local body = res:json()
      res.headers:set("x-read", body.choices[1].message.content)
      body.choices[1].message.content = "edited"
    end }"#;
    let upstream = Up::Anthropic.start();
    let gate = gate_with("anthropic", &upstream, lua);
    let said = gate.talk().post("/v1/chat/completions", &[("X-Scene", "parallel")], &Client::Chat.body(false));
    assert_eq!((said.header("x-read"), Client::Chat.hear(&said).text.as_str()), (Some("Both at once."), "edited"));
}

/// The shipped cache before an upstream.
fn cached(up: Up, upstream: &Service) -> Bundled {
    Bundled::shipped(&format!(
        "[upstreams.up]\nurl = \"{}\"\ndialect = \"{}\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
        upstream.url(),
        up.setting()
    ))
}

#[test]
fn a_stored_answer_is_served_again_in_the_client_s_dialect() {
    for up in UPS {
        let upstream = up.start();
        let gate = cached(up, &upstream);
        let (mut talk, mut missed) = (gate.talk(), false);
        for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
            // An array of chunks is not stored.
            let streams: &[bool] = if client == Client::GeminiArray { &[] } else { &[false, true] };
            for &stream in streams {
                let before = upstream.count();
                let mut ask = || talk.post(client.path(stream), &[("X-Scene", "text")], &client.body(stream));
                let (first, second) = (ask(), ask());
                let what = format!("{client:?} before {up:?}, {stream}: {}", second.head);
                let marks = [&first, &second].map(|said| said.header("x-cache").unwrap_or_default());
                // One who asks the same in another form or dialect may have been here before.
                assert!(marks[0] != "miss" || first.text() == second.text(), "{what}");
                assert!(marks[1].starts_with("hit; "), "{what}");
                let asked = usize::from(marks[0] == "miss");
                missed |= asked == 1;
                let heard = if stream { client.hear_stream(&second) } else { client.hear(&second) };
                assert_eq!(heard.text, Scene::named("text").all(), "{what}");
                assert_eq!(upstream.count() - before, asked, "{what}");
            }
        }
        assert!(missed, "{up:?}");
    }
}

#[test]
fn a_translated_stream_that_failed_is_not_stored() {
    for up in UPS {
        let upstream = Service::start(move |_, out| {
            let stream = up.stream(&Scene::named("text"));
            let kind = if up == Up::Ollama { "application/x-ndjson" } else { "text/event-stream" };
            let end = stream.find("[DONE]").unwrap();
            let end = end + stream[end..].find('\n').unwrap() + 1;
            let failed = super::breaks::failure(up);
            say(out, chunked(kind, [stream[..end].trim_end(), "\n\n", failed]))
        });
        let gate = cached(up, &upstream);
        let mut talk = gate.talk();
        for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
            for _ in 0..2 {
                let said = talk.post(client.path(true), &[], &client.body(true));
                assert!(said.text().contains("it broke"), "{client:?} before {up:?}: {}", said.text());
                assert_ne!(said.header("x-cache"), Some("hit"), "{client:?} before {up:?}: {}", said.text());
            }
        }
    }
}
