//! The log of the real binary: a line for each exchange with all that was decided, and no secret anywhere.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::bundle::{copy, root};
use crate::support::process::{Process, command, serving};
use crate::support::service::{END, Service, answer, chat, chat_stream, chunk, chunked, json, last, nobody, open, say};
use crate::support::talk::Talk;
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// A folder with the shipped policies and these settings.
fn folder(settings: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    copy(&root().join("policies"), folder.path());
    fs::write(folder.path().join("tidegate.toml"), settings).unwrap();
    folder
}

/// Settings with an upstream that fails, one that works, and all shipped policies.
fn settings(bad: &str, good: &str, more: &str) -> String {
    format!(
        "{more}\n[upstreams.openai]\ndefault = true\nendpoints = [{{ name = \"a\", url = \"{bad}\" }}, {{ name = \"b\", url = \"{good}\", weight = 0 }}]\n\
         [[policies]]\nfile = \"identify.lua\"\n[[policies]]\nfile = \"route.lua\"\n\
         [[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n[[policies]]\nfile = \"failover.lua\"\n"
    )
}

fn access(gate: &Process, id: &str) -> Value {
    let line = gate.line(&format!("\"id\":\"{id}\""));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_line_tells_who_called_what_was_decided_and_how_it_went() {
    let (bad, good) = (Service::saying(answer(503, &[], "")), Service::saying(json(&chat("hi"))));
    let folder = folder(&settings(&bad.url(), &good.url(), "[log]\nformat = \"json\"\n"));
    let gate = Process::serve(folder.path());
    let mut talk = gate.talk();
    let headers = |id| {
        [
            ("X-Request-Id", id),
            ("X-User-Id", "anna"),
            ("User-Agent", "claude-cli/2.0.1 (external, cli)"),
            ("x-claude-code-session-id", "s-1"),
        ]
    };
    let said = talk.post(&format!("{CHAT}?key=sk-in-the-query"), &headers("call-1"), r#"{"model":"gpt-4o"}"#);
    assert_eq!((said.status, said.header("x-request-id")), (200, Some("call-1")));
    let line = access(&gate, "call-1");
    let expected = [
        ("method", "POST"),
        ("path", CHAT),
        ("reason", "done"),
        ("user", "anna"),
        ("client", "claude-code"),
        ("session", "s-1"),
        ("dialect", "openai.chat"),
        ("cache", "stored"),
        ("attempts", "openai/a=503 openai/b=200"),
        ("client_ip", "127.0.0.1"),
        ("level", "INFO"),
        ("target", "tidegate::access"),
    ];
    for (name, value) in expected {
        assert_eq!(line[name], value, "{name} in {line:#}");
    }
    assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &said.body.len().into()));
    assert!(
        line["ms"].as_f64().unwrap() >= line["head_ms"].as_f64().unwrap() && line["head_ms"].as_f64().unwrap() > 0.0
    );
    assert!(line["route"].as_str().unwrap().contains("route.lua"), "{line:#}");
    assert!(line["evidence"].as_str().unwrap().contains("x-user-id"), "{line:#}");
    assert_eq!(line["generation"].as_str().unwrap().len(), 12);
    assert_eq!(good.heard()[0].header("x-request-id"), Some("call-1"), "the upstream can be asked about it");
    assert_eq!(
        talk.post(&format!("{CHAT}?key=sk-in-the-query"), &headers("call-2"), r#"{"model":"gpt-4o"}"#).status,
        200
    );
    assert_eq!((&access(&gate, "call-2")["cache"], &access(&gate, "call-2")["attempts"]), (&"hit".into(), &"".into()));
}

#[test]
fn a_line_has_a_word_for_each_request_that_went_out() {
    let good = Service::start(|heard, stream| heard.number != 2 && say(stream, json(&chat("hi"))));
    let settings = format!(
        "[log]\nformat = \"json\"\n[upstreams.up]\nendpoints = [{{ name = \"a\", url = \"{}\" }}]\n",
        good.url()
    );
    let folder = folder(&settings);
    let gate = Process::serve(folder.path());
    let mut talk = gate.talk();
    for id in ["call-1", "call-2"] {
        assert_eq!(talk.post(CHAT, &[("X-Request-Id", id)], "{}").status, 200);
    }
    assert_eq!((&access(&gate, "call-1")["attempts"], good.count()), (&"up/a=200".into(), 3));
    assert_eq!(access(&gate, "call-2")["attempts"], "up/a=resent up/a=200");
}

#[test]
fn a_line_tells_how_long_a_call_waited_in_line() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let only = Service::start(move |_, stream| wait.lock().recv().is_ok() && say(stream, json(&chat("hi"))));
    let queue = "queue.at_once = 1";
    let folder = folder(&format!("[log]\nformat = \"json\"\n[upstreams.up]\nurl = \"{}\"\n{queue}\n", only.url()));
    let gate = Process::serve(folder.path());
    let (mut first, mut second) = (gate.talk(), gate.talk());
    first.ask(CHAT, &[("X-Request-Id", "call-1")], "{}");
    assert!(until(|| only.count() == 1));
    second.ask(CHAT, &[("X-Request-Id", "call-2")], "{}");
    thread::sleep(Duration::from_millis(50)); // paced: the second one waits
    for talk in [&mut first, &mut second] {
        go.send(()).unwrap();
        assert_eq!(talk.read().status, 200);
    }
    assert_eq!(access(&gate, "call-1")["queued_ms"], Value::Null);
    assert!(access(&gate, "call-2")["queued_ms"].as_f64().is_some_and(|waited| waited > 1.0));
}

#[test]
fn a_line_tells_of_an_answer_that_went_on_elsewhere() {
    let whole = chat_stream(&["a", "b", "c"]);
    let begun = whole.split_inclusive("\n\n").take(3).collect::<String>();
    let bad = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk(&begun));
        false
    });
    let good = Service::saying(chunked("text/event-stream", [whole]));
    let folder = folder(&format!(
        "[log]\nformat = \"json\"\n[upstreams.up]\nendpoints = [{{ name = \"a\", url = \"{}\" }}, {{ name = \"b\", url = \"{}\", weight = 0 }}]\n\
         [[policies]]\nfile = \"failover.lua\"\n[[policies]]\nfile = \"p.lua\"\n",
        bad.url(),
        good.url()
    ));
    let route =
        "return policy { api = 1, route = function() return { upstream = \"up\", continue_cut = \"complete\" } end }\n";
    fs::write(folder.path().join("p.lua"), route).unwrap();
    let gate = Process::serve(folder.path());
    let said = gate.talk().post(CHAT, &[("X-Request-Id", "call-1")], r#"{"model":"m","stream":true,"messages":[]}"#);
    assert!(said.whole && said.text().ends_with("data: [DONE]\n\n"), "{}", said.text());
    let line = access(&gate, "call-1");
    assert_eq!((&line["continued"], &line["reason"]), (&1.into(), &"done".into()), "{line:#}");
    assert_eq!(line["attempts"], "up/a=reset up/b=200");
}

#[test]
fn a_line_tells_what_went_wrong() {
    let nowhere = format!("http://{}", nobody());
    let folder = folder(&settings(&nowhere, "http://127.0.0.1:1", "[log]\nformat = \"json\"\n"));
    let gate = Process::serve(folder.path());
    gate.talk().post(CHAT, &[("X-Request-Id", "down")], r#"{"model":"gpt-4o"}"#);
    let line = access(&gate, "down");
    assert_eq!((&line["status"], &line["reason"]), (&502.into(), &"upstream_error".into()));
    assert_eq!(line["attempts"], "openai/a=connect openai/b=connect");
    assert!(line["error"].is_string());
}

#[test]
fn a_stream_that_tells_of_a_failure_and_ends_well_has_failed_and_is_not_stored() {
    let words = [
        "{\"choices\":[{\"delta\":{\"content\":\"an error? no\"}}]}",
        "{\"error\":{\"code\":503,\"message\":\"it broke\"}}",
    ];
    let upstream = Service::start(move |_, out| {
        say(out, open("text/event-stream"));
        for word in words {
            say(out, chunk(format!("data: {word}\n\n")));
        }
        say(out, END)
    });
    for dialect in ["openai", "openai-chat"] {
        let folder = folder(&format!(
            "[log]\nformat = \"json\"\n[upstreams.up]\nurl = \"{}\"\ndialect = \"{dialect}\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
            upstream.url()
        ));
        let gate = Process::serve(folder.path());
        let mut talk = gate.talk();
        for (id, path, body) in [
            ("native", CHAT, r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#),
            ("again", CHAT, r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#),
            ("foreign", "/api/chat", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#),
            ("foreign-again", "/api/chat", r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#),
        ] {
            let said = talk.post(path, &[("X-Request-Id", id)], body);
            assert_eq!((said.status, said.whole), (200, true), "{id}: {}", said.text());
            let line = access(&gate, id);
            assert_eq!((&line["status"], &line["reason"]), (&200.into(), &"upstream_error".into()), "{line:#}");
            let error = line["error"].as_str().unwrap();
            assert!(error.contains("(overloaded)") && error.contains("it broke"), "{error}");
            assert_eq!(line["cache"], "miss", "{line:#}");
        }
    }
}

#[test]
fn a_stream_that_speaks_of_errors_has_not_failed() {
    let upstream = Service::saying(chunked(
        "text/event-stream",
        [chat_stream(&[r#"\"error\": it broke"#, " is no error"]).as_bytes()],
    ));
    let folder = folder(&format!("[log]\nformat = \"json\"\n[upstreams.up]\nurl = \"{}\"\n", upstream.url()));
    let gate = Process::serve(folder.path());
    gate.talk().post(CHAT, &[("X-Request-Id", "fine")], r#"{"model":"m","stream":true}"#);
    assert_eq!(access(&gate, "fine")["reason"], "done");
}

#[test]
fn a_request_id_that_could_harm_the_log_is_replaced() {
    let good = Service::saying(json("{}"));
    let folder = folder(&format!("[log]\nformat = \"json\"\n[upstreams.up]\nurl = \"{}\"\n", good.url()));
    let gate = Process::serve(folder.path());
    let mut talk = gate.talk();
    for id in ["a b", "\"}{\"", "\u{1f30a}", &"x".repeat(300), ""] {
        let said = talk.get("/", &[("X-Request-Id", id)]);
        let given = said.header("x-request-id").unwrap().to_owned();
        assert!(given.len() == 32 && given.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?} became {given:?}");
        assert_eq!(access(&gate, &given)["status"], 200);
    }
}

#[test]
fn lines_for_people_have_the_same_facts() {
    let good = Service::saying(json("{}"));
    let folder = folder(&format!("[log]\nformat = \"text\"\n[upstreams.up]\nurl = \"{}\"\n", good.url()));
    let gate = Process::serve(folder.path());
    gate.talk().get("/some/path", &[("X-Request-Id", "for-people")]);
    let line = gate.line("for-people");
    for fact in ["INFO", "/some/path", "status=200", "reason=\"done\"", "up/"] {
        assert!(line.contains(fact), "no {fact} in {line}");
    }
}

#[test]
fn what_a_policy_says_is_in_the_log_with_its_name_and_the_request() {
    let good = Service::saying(json("{}"));
    let folder = folder(&format!(
        "[log]\nformat = \"json\"\n[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"say.lua\"\n",
        good.url()
    ));
    let lua = "return policy { api = 1, on_request = function(req) log.warn(\"tide is high\", { path = req.path, n = 1.5 }) end }";
    fs::write(folder.path().join("say.lua"), lua).unwrap();
    let gate = Process::serve(folder.path());
    gate.talk().get("/x", &[("X-Request-Id", "say-1")]);
    let entry = gate.entry("tide is high");
    assert_eq!((&entry["policy"], &entry["id"], &entry["level"]), (&"say".into(), &"say-1".into(), &"WARN".into()));
    assert!(
        entry["fields"].as_str().unwrap().contains("\"path\":\"/x\"") || entry["fields"]["path"] == "/x",
        "{entry:#}"
    );
}

#[test]
fn no_secret_leaves_the_gate() {
    let secrets = ["sk-from-the-environment", "sk-from-a-file", "sk-of-a-policy", "sk-of-the-client"];
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/broken" => {
            say(stream, open("text/event-stream"));
            last(stream, chunk(chat_stream(&["a"])))
        }
        _ => say(stream, answer(500, &[], "no")),
    });
    let settings = format!(
        "[log]\nformat = \"json\"\nlevel = \"debug\"\n[secrets]\nMINE = \"env:POLICY_KEY\"\n[upstreams.up]\nurl = \"{}\"\n\
         headers = {{ authorization = \"Bearer env:UPSTREAM_KEY\", x-key = \"file:key.txt\" }}\n\
         [[policies]]\nfile = \"p.lua\"\n[[policies]]\nfile = \"identify.lua\"\n[[policies]]\nfile = \"failover.lua\"\n",
        upstream.url()
    );
    let folder = folder(&settings);
    fs::write(folder.path().join("key.txt"), format!("{}\n", secrets[1])).unwrap();
    let lua = r#"local mine = secret("MINE")
    return policy { api = 1,
      on_attempt = function(req) req.headers:set("x-mine", mine) end,
      on_response = function(res) res.headers:set("x-said", tostring(mine)) log.info("mine", { mine = mine }) end,
      on_log = function(x) error("look: " .. tostring(mine) .. " " .. json.encode(x)) end }"#;
    fs::write(folder.path().join("p.lua"), lua).unwrap();
    let mut command = command(&serving(folder.path()));
    command.env("UPSTREAM_KEY", secrets[0]).env("POLICY_KEY", secrets[2]);
    let gate = Process::start(command);
    let mut said = Vec::new();
    for path in ["/", "/broken", "/v1/messages"] {
        let answer = gate.talk().post(
            path,
            &[("Authorization", &format!("Bearer {}", secrets[3])), ("x-api-key", secrets[3])],
            "{}",
        );
        said.push(answer.head + &String::from_utf8_lossy(&answer.body));
    }
    let heard = &upstream.heard()[0];
    assert_eq!(
        heard.header("authorization"),
        Some("Bearer sk-from-the-environment"),
        "sent in place of the client's own"
    );
    assert_eq!((heard.header("x-key"), heard.header("x-mine")), (Some("sk-from-a-file"), Some("sk-of-a-policy")));
    let mut admin = Talk::to(gate.addresses().1);
    assert!(
        until(|| gate.lines().iter().filter(|line| line.contains("look: ***")).count() >= 3),
        "{:#?}",
        gate.lines()
    );
    said.extend(["/-/status", "/-/metrics", "/-/health"].map(|path| admin.get(path, &[]).text()));
    said.extend(gate.lines());
    for secret in secrets {
        assert!(!said.iter().any(|text| text.contains(secret)), "{secret} is in {said:#?}");
    }
}
