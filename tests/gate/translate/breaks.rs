//! Streams that fail on their way: the client is told once, in its own words, and hears nothing after.

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::clients::{CLIENTS, Client};
use super::gate;
use super::scenes::Scene;
use super::table::native;
use super::upstreams::{UPS, Up};
use crate::support::service::{END, Service, chunk, open, reset, say, stall};
use crate::support::talk::Said;

/// How a stream goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Break {
    /// The connection ends within an event.
    Cut,
    /// It ends between two events.
    CutBetween,
    /// The body ends well, but the dialect's end is missing.
    Short,
    /// Nothing comes any more.
    Stall,
    /// The upstream says that it failed, and ends well.
    Event,
    /// It says so and breaks off.
    EventThenReset,
    /// It says something that is no JSON.
    Garbage,
}

pub(super) const BREAKS: [Break; 7] =
    [Break::Cut, Break::CutBetween, Break::Short, Break::Stall, Break::Event, Break::EventThenReset, Break::Garbage];

/// The upstream's own event of a failure.
pub(super) fn failure(up: Up) -> &'static str {
    match up {
        Up::Chat => {
            "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}],\"error\":{\"code\":502,\"message\":\"it broke\"}}\n\ndata: [DONE]\n\n"
        }
        Up::Responses => {
            "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"it broke\",\"param\":null,\"sequence_number\":9}\n\nevent: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":10,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"it broke\"},\"output\":[]}}\n\n"
        }
        Up::Anthropic => {
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"it broke\"}}\n\n"
        }
        Up::Ollama => "{\"error\":\"it broke\"}\n",
        Up::Gemini => "data: {\"error\":{\"code\":503,\"message\":\"it broke\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n",
    }
}

/// The beginning of a stream, up to the end of the event with its second piece of text.
fn beginning(up: Up) -> String {
    let stream = up.stream(&Scene::named("parallel"));
    let at = stream.find(" at once.").unwrap();
    let end = if up == Up::Ollama {
        "\n"
    } else if up == Up::Gemini {
        "\r\n\r\n"
    } else {
        "\n\n"
    };
    let length = at + stream[at..].find(end).unwrap() + end.len();
    stream[..length].to_owned()
}

pub(super) fn start(up: Up, how: Break) -> Service {
    Service::start(move |_, out| {
        let text = beginning(up);
        say(out, open(if up == Up::Ollama { "application/x-ndjson" } else { "text/event-stream" }));
        match how {
            Break::Cut => say(out, chunk(&text[..text.len() - 5])) && reset(out),
            Break::CutBetween => say(out, chunk(&text)) && reset(out),
            Break::Short => say(out, chunk(&text)) && say(out, END),
            Break::Stall => say(out, chunk(&text)) && stall(out),
            Break::Event => say(out, chunk(&text)) && say(out, chunk(failure(up))) && say(out, END),
            Break::EventThenReset => say(out, chunk(&text)) && say(out, chunk(failure(up))) && reset(out),
            Break::Garbage => {
                let garbage = if up == Up::Ollama { "{oh no\n" } else { "data: {oh no\n\n" };
                say(out, chunk(&text)) && say(out, chunk(garbage)) && say(out, chunk(&text)) && say(out, END)
            }
        }
    })
}

/// How often a client is told of a failure, and whether that is the last it hears.
pub(super) fn told(client: Client, said: &Said) -> (usize, bool) {
    let body = said.text();
    let items: Vec<Value> = match client {
        Client::Ollama | Client::Generate => body.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        Client::GeminiArray => serde_json::from_str::<Value>(&body)
            .unwrap_or_else(|error| panic!("{error}: {body}"))
            .as_array()
            .unwrap()
            .clone(),
        _ => {
            let all = super::streams::events(&body);
            all.into_iter().map(|(_, data)| serde_json::from_str(&data).unwrap_or(Value::String(data))).collect()
        }
    };
    let is_failure =
        |item: &Value| !item["error"].is_null() || item["type"] == "error" || item["type"] == "response.failed";
    let count = items.iter().filter(|item| is_failure(item)).count();
    let last = items.iter().rposition(|item| *item != "[DONE]").unwrap();
    (count, is_failure(&items[last]))
}

#[test]
fn a_broken_stream_ends_with_one_error_and_nothing_after() {
    let wrong = Mutex::new(Vec::new());
    for (up, how) in UPS.into_iter().flat_map(|up| BREAKS.map(|how| (up, how))) {
        let upstream = start(up, how);
        let gate = gate(up.setting(), &upstream, "timeouts.idle = \"300ms\"");
        std::thread::scope(|clients| {
            for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
                let (gate, wrong) = (&gate, &wrong);
                clients.spawn(move || {
                    let said = gate.talk().post(client.path(true), &[], &client.body(true));
                    let body = said.text();
                    let has_text = body.contains("Both") && (how == Break::Cut || body.contains(" at once."));
                    let (count, last) = std::panic::catch_unwind(|| told(client, &said)).unwrap_or((99, false));
                    if (said.status, has_text, count, last) != (200, true, 1, true) {
                        wrong.lock().push(format!("{client:?} before {up:?}, {how:?}: {count} {last} {body}"));
                    }
                });
            }
        });
    }
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n----\n"));
}

#[test]
fn a_stream_that_breaks_behind_its_end_is_whole() {
    for up in UPS {
        let stream = up.stream(&Scene::named("text"));
        let upstream = Service::start(move |_, out| {
            say(out, open(if up == Up::Ollama { "application/x-ndjson" } else { "text/event-stream" }));
            say(out, chunk(&stream)) && reset(out)
        });
        let gate = gate(up.setting(), &upstream, "");
        for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
            let said = gate.talk().post(client.path(true), &[], &client.body(true));
            let (count, _) = told(client, &said);
            assert_eq!(count, 0, "{client:?} before {up:?}: {}", said.text());
        }
    }
}

#[test]
fn a_whole_answer_that_does_not_come_is_a_timeout() {
    for up in UPS {
        let upstream = Service::start(move |_, out| {
            say(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
            stall(out)
        });
        let gate = gate(up.setting(), &upstream, "timeouts.idle = \"200ms\"");
        for client in CLIENTS.into_iter().filter(|client| !native(*client, up)) {
            let said = gate.talk().post(client.path(false), &[], &client.body(false));
            let code = if matches!(client, Client::Chat | Client::Completions | Client::Responses) {
                said.json()["error"]["code"].clone()
            } else {
                Value::Null
            };
            super::errors::shape(client, &said, ["server_error", "timeout_error", "DEADLINE_EXCEEDED"], &code);
            assert_eq!(said.status, 504, "{client:?} before {up:?}: {}", said.text());
        }
    }
}

#[test]
fn a_client_that_leaves_lets_the_upstream_go() {
    for up in [Up::Anthropic, Up::Gemini, Up::Ollama, Up::Responses] {
        let (gone, told) = mpsc::channel();
        let upstream = Service::start(move |_, out| {
            say(out, open(if up == Up::Ollama { "application/x-ndjson" } else { "text/event-stream" }));
            say(out, chunk(beginning(up)));
            while out.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
            gone.send(()).unwrap();
            false
        });
        let gate = gate(up.setting(), &upstream, "");
        let mut talk = gate.talk();
        talk.ask(Client::Chat.path(true), &[], &Client::Chat.body(true));
        // An Ollama knows this client's dialect itself: what it streams here is no event of it.
        talk.wait_for(if up == Up::Ollama { "HTTP/1.1 200" } else { " at once." });
        drop(talk);
        told.recv_timeout(Duration::from_secs(5)).unwrap_or_else(|_| panic!("{up:?} is not let go"));
    }
}

#[test]
fn an_event_arrives_before_the_next_one_comes() {
    for up in UPS {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let upstream = Service::start(move |_, out| {
            say(out, open(if up == Up::Ollama { "application/x-ndjson" } else { "text/event-stream" }));
            say(out, chunk(beginning(up)));
            wait.lock().recv().unwrap();
            false
        });
        let gate = gate(up.setting(), &upstream, "");
        let client = if up == Up::Anthropic { Client::Ollama } else { Client::Anthropic };
        let mut talk = gate.talk();
        talk.ask(client.path(true), &[], &client.body(true));
        talk.wait_for("Both");
        talk.wait_for(" at once.");
        go.send(()).unwrap();
    }
}
