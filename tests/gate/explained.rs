//! `tidegate explain` tells every decision with its place, every edit, every attempt, and what another generation would do.

use serde_json::json;

use crate::again::explained;
use crate::record::{CHAT, ask, kept, said};
use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chat, json as saying, say};

/// A policy that decides and edits in every way that is told; `model` is where requests go.
fn policy(model: &str) -> String {
    format!(
        r#"return policy {{
  api = 1,
  identify = function(req)
    return {{ user = req.headers:get("x-user"), client = "laptop", evidence = "header x-user" }}
  end,
  on_request = function(req)
    req.headers:set("x-team", "tide")
    req.headers:delete("x-debug")
    local body = req:json()
    body.temperature = 0.5
    body.messages[1].content = "ebb"
  end,
  route = function(req)
    return {{ {{ upstream = "busy" }}, {{ upstream = "up", model = "{model}" }} }}
  end,
  on_attempt = function(req, attempt)
    req.headers:set("x-attempt", tostring(attempt.number))
  end,
  failover = function(attempt)
    return {{ retry = true }}
  end,
  on_response = function(res)
    res.headers:set("x-done", "yes")
  end,
}}
"#
    )
}

fn gate() -> (Service, Service, Bundled) {
    let busy = Service::saying(answer(503, &[], "busy"));
    let upstream = Service::start(|_, stream| say(stream, saying(&chat("hi"))));
    let settings = format!("[upstreams.busy]\nurl = \"{}\"\n", busy.url());
    let settings = format!(
        "{settings}[upstreams.up]\ndefault = true\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n",
        upstream.url()
    );
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", &policy("gpt-small"))]);
    let body = r#"{"model":"gpt","messages":[{"role":"user","content":"flow"}]}"#;
    let headers = [("X-Request-Id", "told-one"), ("X-User", "ann"), ("X-Debug", "1")];
    assert_eq!(gate.talk().post(CHAT, &headers, body).status, 200);
    kept(&gate, "told-one");
    (busy, upstream, gate)
}

#[test]
fn each_hook_is_told_with_its_place_and_what_it_changed() {
    let (_busy, _upstream, gate) = gate();
    let text = said(&ask(&gate, "explain", &["told"]));
    for line in [
        "told-one  ",
        &format!("generation {}", gate.on_disk()),
        "POST /v1/chat/completions: 200 after ",
        "identity  user ann, client laptop by header x-user",
        "plan      busy, then up as gpt-small",
        "identify    p.lua:3 ",
        "on_request  p.lua:6 ",
        "header x-debug removed: 1",
        "header x-team added: tide",
        "body /temperature added: 0.5",
        "body /messages/0/content: \"flow\" → \"ebb\"",
        "route       p.lua:13 ",
        "on_attempt  p.lua:16 ",
        "header x-attempt added: 2",
        "failover    p.lua:19 ",
        "on_response p.lua:22 ",
        "header x-done added: yes",
        "attempt 1  busy/",
        ": 503 after ",
        "attempt 2  up/",
        ": 200 after ",
        "ended     done",
        "played again on the same generation: the same",
    ] {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
    let second = text.split("attempt 2").nth(1).unwrap();
    assert!(second.contains("body at byte ") && second.contains("bytes, the first "), "{second}");
    assert!(!text.contains("with "), "no other generation was asked about: {text}");
}

#[test]
fn programs_are_told_the_same() {
    let (_busy, _upstream, gate) = gate();
    let told = explained(&gate, "told-one");
    let hooks: Vec<&str> =
        told["hooks"].as_array().unwrap().iter().map(|hook| hook["hook"].as_str().unwrap()).collect();
    let expected = ["identify", "on_request", "route", "on_attempt", "failover", "on_attempt", "on_response"];
    assert_eq!(hooks, expected);
    assert_eq!((&told["true"], &told["status"], &told["reason"]), (&json!(true), &json!(200), &json!("done")));
    assert_eq!(told["plan"], "busy, then up as gpt-small");
    let attempts = told["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["status"], &attempts[1]["status"]), (2, &json!(503), &json!(200)));
    for (number, attempt) in attempts.iter().enumerate() {
        let changed = attempt["changed"].to_string();
        assert!(changed.contains(&format!("header x-attempt added: {}", number + 1)), "its own request: {changed}");
    }
    assert_eq!(said(&ask(&gate, "explain", &["told-one", "--json"])), {
        let again = gate.tell("/-/explain", &json!({"id": "told-one"}));
        again.text()
    });
}

#[test]
fn what_another_generation_would_do_is_told() {
    let (_busy, upstream, gate) = gate();
    let first = gate.on_disk().to_string();
    gate.save_live("p.lua", &policy("gpt-large"));
    let second = gate.on_disk().to_string();
    let before = upstream.count();
    let text = said(&ask(&gate, "explain", &["told-one", "--with", &second[..6]]));
    for line in [
        &format!("with {second}:"),
        "route           busy, then up as gpt-small → busy, then up as gpt-large",
        "upstream bytes ",
        "-plan: busy, then up as gpt-small",
        "+plan: busy, then up as gpt-large",
    ] {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
    let text = said(&ask(&gate, "explain", &["told-one", "--with", &first]));
    assert!(text.contains(&format!("with {first}: the same")), "{text}");
    assert_eq!(upstream.count(), before, "playing asks nobody");
}

#[test]
fn what_hooks_on_events_changed_is_told_line_by_line() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ebb\"}}]}\n\ndata: [DONE]\n\n";
    let upstream = Service::saying(answer(200, &[("Content-Type", "text/event-stream")], stream));
    let settings =
        format!("[upstreams.up]\ndefault = true\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n", upstream.url());
    let policy = "return policy {\n  api = 1,\n  on_event = function(ev)\n    \
                  if ev.text then ev.text = string.upper(ev.text) end\n  end,\n}\n";
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", policy)]);
    let body = r#"{"model":"gpt","stream":true,"messages":[]}"#;
    assert_eq!(gate.talk().post(CHAT, &[("X-Request-Id", "streamed")], body).status, 200);
    kept(&gate, "streamed");
    let text = said(&ask(&gate, "explain", &["streamed"]));
    for line in [
        "answer     what the client got otherwise than it was sent",
        "-data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ebb\"}}]}",
        "+data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"EBB\"}}]}",
        "played again on the same generation: the same",
    ] {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
}
