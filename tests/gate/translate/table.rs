//! Every client before every upstream, in every scene, whole and streamed.

use std::panic::{self, AssertUnwindSafe};

use serde_json::Value;

use super::clients::{CLIENTS, Client, Heard};
use super::gate;
use super::scenes::{SCENES, Scene};
use super::upstreams::{UPS, Up};
use crate::support::service::{Service, chunked, json};
use crate::support::talk::Talk;

/// What a client must hear of a scene, and must not care about.
fn compare(heard: &Heard, (client, stream): (Client, bool), (up, form): (Up, &str), scene: &Scene, what: &str) {
    assert_eq!(heard.text, scene.all(), "{what}");
    assert_eq!(heard.stop, Some(scene.stop), "{what}");
    assert_eq!(heard.usage, (scene.input, scene.output), "{what}");
    assert_eq!(heard.model, "the-model", "{what}");
    if up != Up::Ollama && !matches!(client, Client::Ollama | Client::Generate | Client::Completions) {
        assert_eq!(heard.cached.unwrap_or_default(), scene.cached, "{what}");
    }
    let names: Vec<_> = heard.calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, scene.calls.iter().map(|call| call.name).collect::<Vec<_>>(), "{what}");
    // Anthropic has them as text in its streams alone.
    let text_in = matches!(up, Up::Chat | Up::Responses) || up == Up::Anthropic && form == "stream";
    let text_out = matches!(client, Client::Chat | Client::Responses) || client == Client::Anthropic && stream;
    for ((_, heard), call) in heard.calls.iter().zip(scene.calls) {
        if text_in && text_out {
            assert_eq!(*heard, call.all(), "{what}");
        }
        let json =
            |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {what}: {text}"));
        assert_eq!(json(heard), json(&call.all()), "{what}");
    }
}

/// One exchange. The upstream may answer in another form than it was asked for.
fn play(talk: &mut Talk, client: Client, up: Up, scene: &Scene, stream: bool, form: Option<&str>) {
    let mut headers = vec![("X-Scene", scene.name)];
    headers.extend(form.map(|form| ("X-Form", form)));
    let said = talk.post(client.path(stream), &headers, &client.body(stream));
    let usual = if stream { "stream" } else { "whole" };
    let what = format!("{client:?} before {up:?}, {}, {usual}, {form:?}: {} {}", scene.name, said.status, said.text());
    assert_eq!(said.status, 200, "{what}");
    let heard = if stream { client.hear_stream(&said) } else { client.hear(&said) };
    compare(&heard, (client, stream), (up, form.unwrap_or(usual)), scene, &what);
}

fn asked(upstream: &Service, client: Client, up: Up, stream: bool) {
    let asked = up.asked(upstream.heard().last().unwrap());
    let what = format!("{client:?} before {up:?}");
    assert_eq!((asked.model.as_str(), asked.stream, asked.most), ("a-model", stream, 100), "{what}");
    assert_eq!(asked.user, "how is the weather in Z\u{fc}rich?", "{what}");
    assert_eq!(asked.system, if client == Client::Completions { "" } else { "be brief" }, "{what}");
    let tools: &[&str] = if client.has_tools() { &["weather", "now"] } else { &[] };
    assert_eq!(asked.tools, tools, "{what}");
}

/// Plays a cell of the table; its name when it fails.
fn cell(client: Client, up: Up, scene: &Scene, play: impl FnOnce()) -> Option<String> {
    let failed = panic::catch_unwind(AssertUnwindSafe(play)).is_err();
    failed.then(|| format!("{client:?} before {up:?}: {}", scene.name))
}

/// Whether this upstream knows the client's dialect itself, so that bytes pass as they are.
pub(super) fn native(client: Client, up: Up) -> bool {
    match up {
        Up::Chat => client == Client::Chat,
        Up::Responses => client == Client::Responses,
        Up::Anthropic => client == Client::Anthropic,
        Up::Ollama => matches!(client, Client::Chat | Client::Completions | Client::Ollama | Client::Generate),
        Up::Gemini => matches!(client, Client::Gemini | Client::GeminiArray),
    }
}

#[test]
fn every_client_hears_what_every_upstream_says() {
    let mut failed = Vec::new();
    for up in UPS {
        let upstream = up.start();
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
            for scene in SCENES.iter().filter(|scene| client.has_tools() || scene.calls.is_empty()) {
                for stream in [false, true] {
                    failed.extend(cell(client, up, scene, || {
                        play(&mut talk, client, up, scene, stream, None);
                        asked(&upstream, client, up, stream);
                    }));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} cells fail: {failed:#?}", failed.len());
}

#[test]
fn an_upstream_may_stream_to_who_wants_it_whole_and_the_other_way_round() {
    let mut failed = Vec::new();
    for up in UPS {
        let upstream = up.start();
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
            for scene in SCENES.iter().filter(|scene| client.has_tools() || scene.calls.is_empty()) {
                for (stream, form) in [(false, "stream"), (true, "whole")] {
                    failed.extend(cell(client, up, scene, || play(&mut talk, client, up, scene, stream, Some(form))));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} cells fail: {failed:#?}", failed.len());
}

#[test]
fn between_equals_every_byte_stays() {
    for (up, client) in UPS.into_iter().flat_map(|up| CLIENTS.map(|client| (up, client))) {
        if !native(client, up) {
            continue;
        }
        for stream in [false, true] {
            let body = client.body(stream).replace(':', " :\t");
            let answer = "{ \"choices\":[ ], \"n\" : 1.0, \"u\":\"\\u00e9\", \"error\":null }";
            let odd = "event: odd\ndata: {\"a\" :1.0}\r\n\r\n: x\n\ndata:[DONE]\n\n";
            let said = if stream { chunked("text/event-stream", [odd]) } else { json(answer) };
            let upstream = Service::saying(said);
            let gate = gate(up.setting(), &upstream, "");
            let headers = [("OpenAI-Organization", "o"), ("anthropic-beta", "b"), ("Content-Encoding", "identity")];
            let said = gate.talk().post(client.path(stream), &headers, &body);
            assert_eq!(said.text(), if stream { odd } else { answer }, "{client:?} before {up:?}");
            let heard = &upstream.heard()[0];
            assert_eq!((heard.target(), heard.text()), (client.path(stream), body), "{client:?} before {up:?}");
            assert!(heard.header("openai-organization").is_some() && heard.header("anthropic-beta").is_some());
        }
    }
}
