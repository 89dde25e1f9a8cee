//! What a hook's failure means: stated for each, told in the client's dialect, and never a way past a check.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chat, chat_stream, chunked, json, say};

fn policy_of(hook: &str, body: &str) -> String {
    format!("return policy {{\n  api = 1,\n  {hook} = function(...)\n    {body}\n  end,\n}}\n")
}

#[test]
fn each_failing_hook_has_its_effect() {
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/bad" => say(stream, answer(503, &[("Content-Type", "text/plain")], "busy")),
        _ => say(stream, json("{}")),
    });
    let effects = [
        ("identify", "/", 500),
        ("on_request", "/", 500),
        ("route", "/", 500),
        ("cache", "/", 200),
        ("on_attempt", "/", 500),
        ("failover", "/bad", 503),
        ("on_response", "/", 502),
        ("on_error", "/", 200),
        ("on_log", "/", 200),
    ];
    for (hook, path, status) in effects {
        let gate = Bundled::policy(&upstream.url(), "", &policy_of(hook, "error(\"broken \" .. \"here\")"));
        let said = gate.talk().get(path, &[]);
        assert_eq!(said.status, status, "{hook}: {}", said.text());
        assert!(!said.text().contains("p.lua") && !said.text().contains("broken"), "{hook}: {}", said.text());
        if hook == "on_error" {
            continue; // nothing failed that it could shape
        }
        assert!(crate::support::until(|| !gate.status()["hook_errors"].as_array().unwrap().is_empty()), "{hook}");
        let error = gate.status()["hook_errors"][0].clone();
        assert_eq!(
            (&error["hook"], &error["file"], &error["line"]),
            (&hook.into(), &"p.lua".into(), &4.into()),
            "{error:#}"
        );
        assert!(error["message"].as_str().unwrap().contains("broken here"), "{error:#}");
    }
}

#[test]
fn a_failed_on_attempt_goes_on_to_the_next_attempt() {
    let (one, two) = (Service::saying(json("1")), Service::saying(json("2")));
    let settings = format!(
        "[upstreams.one]\nurl = \"{}\"\n[upstreams.two]\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n[[policies]]\nfile = \"failover.lua\"\n",
        one.url(),
        two.url()
    );
    let lua = r#"return policy { api = 1,
      route = function() return { { upstream = "one" }, { upstream = "two" } } end,
      on_attempt = function(_req, attempt) if attempt.upstream == "one" then error("not here") end end }"#;
    let failover = std::fs::read_to_string(crate::support::bundle::root().join("policies/failover.lua")).unwrap();
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua), ("failover.lua", &failover)]);
    assert_eq!(gate.talk().get("/", &[]).text(), "2");
    assert_eq!(one.count(), 0, "what no policy has finished editing is not sent");
}

#[test]
fn an_error_is_told_in_the_clients_dialect() {
    let upstream = Service::saying(json("{}"));
    let gate = Bundled::policy(&upstream.url(), "", &policy_of("on_request", "error(\"secret detail\")"));
    let error_of = |path: &str| gate.talk().post(path, &[("X-Request-Id", "r-1")], "{}").json();
    assert_eq!(error_of("/v1/chat/completions")["error"]["type"], "policy_error");
    let anthropic = error_of("/v1/messages");
    assert_eq!((&anthropic["type"], &anthropic["error"]["type"]), (&"error".into(), &"api_error".into()));
    assert!(error_of("/api/chat")["error"].is_string());
    assert_eq!(error_of("/v1beta/models/g:generateContent")["error"]["status"], "INTERNAL");
}

#[test]
fn a_rejection_is_told_in_the_clients_dialect() {
    let upstream = Service::saying(json("{}"));
    let body = "reject { status = 403, code = \"not_for_you\", message = \"ask anna\" }";
    let gate = Bundled::policy(&upstream.url(), "", &policy_of("on_request", body));
    let said = gate.talk().post("/v1/messages", &[], "{}");
    assert_eq!((said.status, &said.json()["error"]["message"]), (403, &"ask anna".into()));
    assert_eq!(said.json()["error"]["type"], "permission_error");
    assert!(gate.status()["hook_errors"].as_array().unwrap().is_empty(), "a refusal is no failure");
}

#[test]
fn on_error_shapes_what_the_gate_says_and_only_that() {
    let upstream = Service::saying(answer(404, &[], "not mine"));
    let lua = r#"return policy { api = 1,
      route = function(req) if req.path == "/nowhere" then return { upstream = "none" } end end,
      on_error = function(err) return respond { status = err.status, headers = { ["x-kind"] = err.kind }, text = "sorry: " .. err.message } end }"#;
    let settings = format!(
        "[upstreams.none]\nurl = \"http://{}\"\n[upstreams.up]\ndefault = true\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n",
        crate::support::service::nobody(),
        upstream.url()
    );
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    let mut talk = gate.talk();
    let said = talk.get("/nowhere", &[]);
    assert_eq!((said.status, said.header("x-kind")), (502, Some("connect")));
    assert!(said.text().starts_with("sorry: "), "{}", said.text());
    assert_eq!(talk.get("/", &[]).text(), "not mine", "an upstream's own error passes");
}

/// An auth policy gone wrong in every way that it can.
const WRONG: [&str; 14] = [
    "error(\"no\")",
    "error()",
    "error({ status = 200 })",
    "error(setmetatable({}, { __tostring = function() while true do end end }))",
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "local t = {} while true do t[#t + 1] = string.rep(\"x\", 1000000) end",
    "local function f() return f() + 1 end f()",
    "string.rep(\"x\", 1e9)",
    "return 5",
    "return { status = 200 }",
    "return respond { stauts = 200 }",
    "return respond { status = 9 }",
    "allowed = true",
];

#[test]
fn a_check_that_fails_in_any_way_lets_nothing_pass() {
    let upstream = Service::saying(json("{}"));
    for hook in ["identify", "on_request", "route"] {
        for body in WRONG {
            let lua = policy_of(hook, body);
            let gate = Bundled::policy(&upstream.url(), "", &lua);
            let begun = Instant::now();
            let said = gate.talk().get("/", &[]);
            assert!(said.status >= 500, "{hook} {body}: {} {}", said.status, said.text());
            assert!(begun.elapsed() < Duration::from_secs(2), "{hook} {body}: {:?}", begun.elapsed());
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_runaway_policy_harms_only_its_own_request() {
    let upstream = Service::saying(json("{}"));
    let lua =
        "return policy { api = 1, on_request = function(req) if req.path == \"/loop\" then while true do end end end }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let address = gate.address;
    let loops: Vec<_> = (0..3)
        .map(|_| {
            thread::spawn(move || {
                let mut talk = crate::support::talk::Talk::to(address);
                (0..10).map(|_| talk.get("/loop", &[]).status).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut talk = gate.talk();
    let mut served = 0;
    while loops.iter().any(|running| !running.is_finished()) {
        assert_eq!(talk.get("/", &[]).status, 200);
        served += 1;
    }
    for running in loops {
        assert_eq!(running.join().unwrap(), vec![503; 10]);
    }
    assert!(served >= 3, "only {served} others were served meanwhile");
}

#[test]
fn a_failed_cache_hook_stores_nothing_and_serves_on() {
    let upstream = Service::saying(json(&chat("hi")));
    let gate = Bundled::policy(&upstream.url(), "", &policy_of("cache", "return { key = { 1 }, tll = 60 }"));
    let mut talk = gate.talk();
    for _ in 0..2 {
        assert_eq!(talk.post("/v1/chat/completions", &[], "{}").status, 200);
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_failing_on_stream_end_adds_nothing() {
    let events = chat_stream(&["a"]);
    let upstream = Service::saying(chunked("text/event-stream", [&events]));
    let gate = Bundled::policy(&upstream.url(), "", &policy_of("on_stream_end", "error(\"no\")"));
    assert_eq!(gate.talk().get("/", &[]).text(), events);
}

#[test]
fn a_policy_may_be_told_to_be_skipped_when_it_fails() {
    let upstream = Service::saying(json("{}"));
    let settings =
        format!("[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\non_error = \"skip\"\n", upstream.url());
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", &policy_of("on_request", "error(\"no\")"))]);
    assert_eq!(gate.talk().get("/", &[]).status, 200);
}
