//! Responses go where what they refer to was made: many conversations at once, in every form of an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::again::explained;
use crate::support::bundle::{Bundled, tell};
use crate::support::redis::Server;
use crate::support::service::{Heard, Service, answer, chunked, json as whole, say};
use crate::support::until;

const RESPONSES: &str = "/v1/responses";

/// An endpoint that follows no answers but its own, and reads no reasoning but its own.
fn maker(name: &'static str) -> Service {
    Service::start(move |heard, stream| {
        if heard.head.starts_with("GET ") {
            let own = heard.target().contains(&format!("resp_{name}_"));
            return say(stream, answer(if own { 200 } else { 404 }, &[("Content-Type", "application/json")], "{}"));
        }
        let asked = heard.json();
        let strange = |said: &Value| said.as_str().is_some_and(|said| !said.contains(&format!("_{name}_")));
        let items = asked["input"].as_array().cloned().unwrap_or_default();
        if strange(&asked["previous_response_id"]) || items.iter().any(|item| strange(&item["encrypted_content"])) {
            return say(stream, answer(400, &[], "that is none of mine"));
        }
        let made = json!({"id": format!("resp_{name}_{}", heard.number), "object": "response", "status": "completed",
            "output": [{"type": "reasoning", "encrypted_content": format!("sealed_{name}_{}", heard.number)}]});
        say(stream, shaped(heard, &asked, &made))
    })
}

/// An answer in the form that the request asks for.
fn shaped(heard: &Heard, asked: &Value, made: &Value) -> Vec<u8> {
    if asked["stream"] == true {
        let id = &made["id"];
        let events = [
            json!({"type": "response.created", "response": {"id": id, "status": "in_progress", "output": []}}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": made["output"][0]}),
            json!({"type": "response.completed", "response": made}),
        ];
        let text = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
        let text: String = events.iter().map(text).collect();
        return chunked("text/event-stream", text.as_bytes().chunks(23));
    }
    if heard.number.is_multiple_of(2) {
        whole(&made.to_string())
    } else {
        chunked("application/json", [made.to_string()])
    }
}

fn gate(endpoints: &[(&str, &Service)], affinity: &str) -> Bundled {
    Bundled::serve(&[("tidegate.toml", &settings(endpoints, affinity))])
}

fn settings(endpoints: &[(&str, &Service)], affinity: &str) -> String {
    let endpoints: Vec<String> =
        endpoints.iter().map(|(name, it)| format!("{{ name = \"{name}\", url = \"{}\" }}", it.url())).collect();
    format!("[upstreams.up]\nendpoints = [{}]\naffinity = {{ {affinity} }}\n", endpoints.join(", "))
}

/// The whole answer that is in what came, in either form.
fn made(text: &str) -> Value {
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: "));
    let value: Value = serde_json::from_str(last.unwrap_or(text)).unwrap_or_else(|error| panic!("{error}: {text}"));
    if last.is_some() { value["response"].clone() } else { value }
}

#[test]
fn every_conversation_stays_with_its_endpoint_in_every_form() {
    let (a, b) = (maker("a"), maker("b"));
    let gate = gate(&[("a", &a), ("b", &b)], "");
    thread::scope(|scope| {
        for number in 0..8 {
            let gate = &gate;
            scope.spawn(move || {
                let mut talk = gate.talk();
                for turn in 0..6 {
                    let stream = (number + turn) % 2 == 0;
                    let said = talk.post(RESPONSES, &[], &json!({"stream": stream, "input": "Tide?"}).to_string());
                    let answer = made(&said.text());
                    let follows = json!({"stream": !stream, "input": "?", "previous_response_id": answer["id"]});
                    let said = talk.post(RESPONSES, &[], &follows.to_string());
                    assert_eq!(said.status, 200, "{}", said.text());
                    let sealed = json!({"input": [answer["output"][0], made(&said.text())["output"][0]]});
                    let said = talk.post(RESPONSES, &[], &sealed.to_string());
                    assert_eq!(said.status, 200, "{}", said.text());
                }
            });
        }
    });
    assert!(a.count() > 12 && b.count() > 12, "both had their share: {} and {}", a.count(), b.count());
}

/// Asks until an endpoint has made an answer, and returns that.
fn made_by(gate: &Bundled, name: &str) -> Value {
    let mut talk = gate.talk();
    for _ in 0..100 {
        let answer = made(&talk.post(RESPONSES, &[], r#"{"input":"Tide?"}"#).text());
        if answer["id"].as_str().unwrap().starts_with(&format!("resp_{name}_")) {
            return answer;
        }
    }
    panic!("{name} is never asked");
}

#[test]
fn what_is_asked_of_an_answer_by_its_path_goes_there_too() {
    let (a, b) = (maker("a"), maker("b"));
    let gate = gate(&[("a", &a), ("b", &b)], "");
    for name in ["a", "b"] {
        let id = made_by(&gate, name)["id"].as_str().unwrap().to_owned();
        for _ in 0..4 {
            assert_eq!(gate.talk().get(&format!("{RESPONSES}/{id}/input_items?limit=2"), &[]).status, 200, "{id}");
        }
    }
}

#[test]
fn an_endpoint_that_is_gone_is_a_conflict_or_what_it_made_is_left_out() {
    let (a, b) = (maker("a"), maker("b"));
    for (lost, status) in [("refuse", 409), ("wait", 409), ("strip", 200)] {
        let gate = gate(&[("a", &a), ("b", &b)], &format!("lost = \"{lost}\""));
        let id = made_by(&gate, "b")["id"].clone();
        let settings = std::fs::read_to_string(gate.file("tidegate.toml")).unwrap();
        gate.save_live("tidegate.toml", &settings.replace("name = \"b\"", "name = \"other\""));
        let body = json!({"previous_response_id": id, "input": "?"}).to_string();
        for number in 0..4 {
            let said = gate.talk().post(RESPONSES, &[("X-Request-Id", &format!("{lost}-{number}"))], &body);
            assert_eq!(said.status, status, "{lost}: {}", said.text());
        }
        assert_eq!(explained(&gate, &format!("{lost}-0"))["differences"], json!([]), "{lost}");
    }
}

#[test]
fn a_pinned_request_is_played_again_as_it_was() {
    let (a, b) = (maker("a"), maker("b"));
    let gate = gate(&[("a", &a), ("b", &b)], "");
    let id = made_by(&gate, "b")["id"].clone();
    let body = json!({"previous_response_id": id, "input": "?"}).to_string();
    assert_eq!(gate.talk().post(RESPONSES, &[("X-Request-Id", "pinned-one")], &body).status, 200);
    let told = explained(&gate, "pinned-one");
    assert_eq!((&told["differences"], &told["plan"]), (&json!([]), &json!("up/b")));
}

#[test]
fn without_the_settings_nobody_is_kept_anywhere() {
    let (a, b) = (maker("a"), maker("b"));
    let settings = format!("[upstreams.up]\nendpoints = [{{ url = \"{}\" }}, {{ url = \"{}\" }}]\n", a.url(), b.url());
    let gate = Bundled::serve(&[("tidegate.toml", &settings)]);
    let id = made_by(&gate, "a")["id"].clone();
    let body = json!({"previous_response_id": id, "input": "?"}).to_string();
    let refused = (0..40).any(|_| gate.talk().post(RESPONSES, &[], &body).status == 400);
    assert!(refused, "some of forty go to the other endpoint");
    assert!(gate.gate.affinity.is_empty());
}

#[test]
fn what_was_made_through_one_gate_is_followed_through_another() {
    let (a, b, mut redis) = (maker("a"), maker("b"), Server::start());
    let settings =
        format!("[redis]\nurl = \"{}\"\ntimeout = \"2s\"\n{}", redis.url(), settings(&[("a", &a), ("b", &b)], ""));
    let start = || Bundled::serve(&[("tidegate.toml", &settings)]);
    let up = |gate: &Bundled| gate.status()["redis"]["up"] == true;
    let (one, other) = (start(), start());
    assert!(until(|| up(&one) && up(&other)));
    let follow = |gate: &Bundled, body: &Value| gate.talk().post(RESPONSES, &[], &body.to_string());
    let by_id = |id: &Value| json!({"previous_response_id": id, "input": "?"});
    let mut seen = Vec::new();
    for name in ["a", "b"] {
        let answer = made_by(&one, name);
        for body in [by_id(&answer["id"]), json!({"input": [answer["output"][0]]})] {
            let said = follow(&other, &body);
            assert_eq!(said.status, 200, "{name}: {}", said.text());
            // And what came of it is known at the first, at once.
            assert_eq!(follow(&one, &by_id(&made(&said.text())["id"])).status, 200, "{name}");
        }
        seen.push(answer["id"].clone());
    }
    redis.kill();
    assert!(until(|| !up(&one) && !up(&other)));
    for id in &seen {
        assert_eq!((follow(&one, &by_id(id)).status, follow(&other, &by_id(id)).status), (200, 200), "both know it");
    }
    let alone = made_by(&one, "b")["id"].clone();
    assert_eq!((follow(&one, &by_id(&alone)).status, follow(&other, &by_id(&alone)).status), (200, 409));
    redis.revive();
    assert!(until(|| up(&one) && up(&other)));
    let common = made_by(&other, "a")["id"].clone();
    assert_eq!(follow(&one, &by_id(&common)).status, 200);
}

/// A gate whose first endpoint has made an answer and then failed, so that it is left alone; with a request that follows the
/// answer.
fn left_alone(affinity: &str) -> (Bundled, Value) {
    let failing = Arc::new(AtomicBool::new(false));
    let fails = Arc::clone(&failing);
    let a = Service::start(move |heard, stream| {
        let made = json!({"id": format!("resp_a_{}", heard.number), "status": "completed", "output": []});
        say(stream, if fails.load(Ordering::SeqCst) { answer(500, &[], "bad") } else { whole(&made.to_string()) })
    });
    let breaker = "breaker = { consecutive = 1, open = \"5m\" }\nbalance = { by = \"round-robin\" }\n";
    let text = settings(&[("a", &a), ("b", &maker("b"))], affinity) + breaker;
    let gate = Bundled::serve(&[("tidegate.toml", &text)]);
    let id = made_by(&gate, "a")["id"].clone();
    failing.store(true, Ordering::SeqCst);
    let failed = || gate.talk().post(RESPONSES, &[], r#"{"input":"Tide?"}"#).status == 500;
    assert!((0..4).any(|_| failed()), "the failing one has its turn");
    failing.store(false, Ordering::SeqCst);
    (gate, json!({"previous_response_id": id, "input": "?"}))
}

#[test]
fn an_endpoint_that_is_left_alone_is_a_conflict_or_what_it_made_is_left_out() {
    for (lost, status) in [("refuse", 409), ("strip", 200)] {
        let (gate, follow) = left_alone(&format!("lost = \"{lost}\""));
        let said = gate.talk().post(RESPONSES, &[("X-Request-Id", lost)], &follow.to_string());
        assert_eq!(said.status, status, "{lost}: {}", said.text());
        assert_eq!(explained(&gate, lost)["differences"], json!([]), "{lost}");
    }
}

#[test]
fn a_request_that_waits_for_its_endpoint_goes_on_when_that_is_well_before_its_time() {
    let (gate, follow) = left_alone("lost = \"wait\"");
    let said = thread::scope(|scope| {
        let asked = scope.spawn(|| gate.talk().post(RESPONSES, &[("X-Request-Id", "waited")], &follow.to_string()));
        thread::sleep(Duration::from_millis(400)); // paced: by then it would have been refused, or sent elsewhere
        assert!(!asked.is_finished());
        assert_eq!(tell(gate.admin, "/-/health/reset?upstream=up", &json!({})).status, 200);
        asked.join().unwrap()
    });
    assert!(said.status == 200 && said.json()["id"].as_str().unwrap().starts_with("resp_a_"), "{}", said.text());
    assert_eq!(explained(&gate, "waited")["differences"], json!([]));
}
