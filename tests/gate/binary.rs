//! The real binary from the command line: what it serves, what it says, with which code it ends.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::support::process::{Process, command, run, serving};
use crate::support::service::{END, Service, answer, chunk, json, nobody, open, say, stall};
use crate::support::talk::Talk;
use crate::support::until;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn bundle(settings: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tidegate.toml"), settings).unwrap();
    folder
}

fn drop_in(upstream: &str) -> Process {
    Process::start(command(&["serve", "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]))
}

#[test]
fn an_upstream_needs_no_bundle() {
    let upstream = Service::saying(json("[1]"));
    let gate = drop_in(&upstream.url());
    let answer = gate.talk().post("/any/path?x=1", &[], "{}");
    assert_eq!((answer.status, answer.text().as_str()), (200, "[1]"));
    assert_eq!(
        (upstream.heard()[0].target(), upstream.heard()[0].header("host")),
        ("/any/path?x=1", Some("gate.test"))
    );
}

#[test]
fn a_transparent_gate_adds_nothing() {
    let upstream = Service::saying(answer(200, &[("X-One", "1")], "ok"));
    let flags = ["serve", "--upstream", &upstream.url(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let gate = Process::start(command(&[&flags[..], &["--transparent"]].concat()));
    let answer = gate.talk().get("/", &[]);
    for name in ["via", "x-request-id"] {
        assert_eq!(answer.header(name), None, "{name} to the client");
    }
    for name in ["via", "x-request-id", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
        assert_eq!(upstream.heard()[0].header(name), None, "{name} to the upstream");
    }
}

#[test]
fn a_new_bundle_is_sound_and_serves() {
    let folder = TempDir::new().unwrap();
    let mine = folder.path().join("mine");
    assert_eq!(run(&["new", text(&mine)]).status.code(), Some(0));
    let checked = run(&["check", text(&mine)]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    let tested = run(&["test", text(&mine)]);
    assert_eq!(tested.status.code(), Some(0), "{}", said(&tested));
    let gate = Process::serve(&mine);
    assert_eq!(gate.talk().get("/hello", &[]).json()["message"], "Hello from the gate");
    let policy = mine.join("policies/hello.lua");
    let edited = fs::read_to_string(&policy).unwrap().replace("x-greeting", "x-welcome");
    fs::write(&policy, edited).unwrap();
    let tested = run(&["test", text(&mine)]);
    assert_eq!(tested.status.code(), Some(1), "a difference: {}", said(&tested));
    assert!(said(&tested).contains("x-welcome"), "{}", said(&tested));
    assert_eq!(run(&["new", text(&mine)]).status.code(), Some(2), "a folder with something in it is left alone");
}

#[test]
fn all_faults_are_told_at_once_with_code_2() {
    let folder = bundle("[limits]\nbdy = 1\n[upstreams.up]\nurl = \"ftp://x\"\n");
    fs::write(folder.path().join("p.lua"), "return policy {\n  api = 1,\n  rout = 1,\n}\n").unwrap();
    for arguments in [vec!["check", text(folder.path())], serving(folder.path()).to_vec()] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2));
        for place in ["tidegate.toml:2", "tidegate.toml:4"] {
            assert!(said(&output).contains(place), "no {place} in {}", said(&output));
        }
    }
    fs::write(
        folder.path().join("tidegate.toml"),
        "[upstreams.up]\nurl = \"http://x\"\n[[policies]]\nfile = \"p.lua\"\n[[policies]]\nfile = \"q.lua\"\n",
    )
    .unwrap();
    fs::write(folder.path().join("q.lua"), "return policy {\n  api = 1\n  route = 1,\n}\n").unwrap();
    for arguments in [vec!["check", text(folder.path())], serving(folder.path()).to_vec()] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("p.lua:3") && said(&output).contains("q.lua:3"), "{}", said(&output));
        assert!(said(&output).contains("`route`"), "the hook that was meant: {}", said(&output));
    }
    let output = run(&["check", text(folder.path()), "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["ok"], report["faults"].as_array().unwrap().len()), (&false.into(), 2));
}

#[test]
fn a_missing_bundle_and_wrong_arguments_end_with_code_2() {
    for arguments in [
        &["serve", "/nowhere/at/all"][..],
        &["serve"],
        &["srve"],
        &["serve", "--upstream", "nonsense"],
        &["check", "/nowhere"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(!said(&output).is_empty());
    }
}

#[test]
fn a_taken_port_is_told_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    for (listen, admin, what) in [(at.as_str(), "127.0.0.1:0", "listen"), ("127.0.0.1:0", at.as_str(), "admin")] {
        let output = run(&["serve", "--upstream", "http://127.0.0.1:1", "--listen", listen, "--admin", admin]);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(&format!("{what} {at}")), "{}", said(&output));
    }
}

/// A gate with a stream under way, and what lets the stream end.
fn streaming(settings: &str) -> (TempDir, Process, Talk, mpsc::Sender<()>) {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: a\n\n"));
        match told.lock().recv() {
            Ok(()) => say(stream, chunk("data: b\n\n")) && say(stream, END),
            Err(_) => stall(stream),
        }
    });
    let folder = bundle(&format!("{settings}\n[upstreams.up]\nurl = \"{}\"\n", upstream.url()));
    let gate = Process::serve(folder.path());
    let mut talk = gate.talk();
    talk.send("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    talk.wait_for("data: a");
    (folder, gate, talk, go)
}

fn refuses(address: SocketAddr) -> bool {
    until(|| TcpStream::connect(address).is_err())
}

#[test]
fn told_to_terminate_it_ends_when_its_streams_have_ended() {
    let (_folder, mut gate, mut talk, go) = streaming("[limits]\nshutdown = \"20s\"\n");
    let (address, _) = gate.addresses();
    let mut idle = gate.talk();
    assert!(until(|| TcpStream::connect(address).is_ok()));
    gate.signal("TERM");
    assert!(refuses(address), "nobody new is let in");
    assert!(idle.ends(), "an idle connection ends at once");
    assert!(gate.runs(), "the stream is still under way");
    go.send(()).unwrap();
    let ended = talk.read();
    assert!(ended.whole && ended.text().ends_with("data: b\n\n"), "{}", ended.text());
    assert_eq!(gate.exit_code(), Some(0));
}

#[test]
fn told_to_terminate_it_waits_no_longer_than_it_may() {
    let (_folder, mut gate, _talk, _go) = streaming("[limits]\nshutdown = \"300ms\"\n");
    let begun = Instant::now();
    gate.signal("TERM");
    assert_eq!(gate.exit_code(), Some(1), "not everything ended well");
    assert!(
        begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    gate.line("stopped with exchanges under way");
}

#[test]
fn interrupted_it_ends_at_once() {
    for (first, code) in [("", 0), ("TERM", 1)] {
        let (_folder, mut gate, _talk, _go) = streaming("");
        if !first.is_empty() {
            gate.signal(first);
            assert!(refuses(gate.addresses().0), "it drains");
        }
        let begun = Instant::now();
        gate.signal("INT");
        assert_eq!(gate.exit_code(), Some(code), "after {first:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[test]
fn status_is_told_by_a_command() {
    let folder = bundle("[upstreams.up]\nurl = \"http://127.0.0.1:1\"\n[[policies]]\nfile = \"p.lua\"\n");
    fs::write(folder.path().join("p.lua"), "return policy { api = 1 }").unwrap();
    let gate = Process::serve(folder.path());
    let admin = gate.addresses().1.to_string();
    let output = run(&["status", "--admin", &admin]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).starts_with("live      generation 1 ("), "{}", said(&output));
    fs::write(folder.path().join("p.lua"), "return policy {").unwrap();
    assert!(until(|| said(&run(&["status", "--admin", &admin])).contains("rejected  ")));
    let output = run(&["status", "--admin", &admin]);
    assert!(said(&output).contains("p.lua:1"), "{}", said(&output));
    let output = run(&["status", "--admin", &admin, "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["live"]["generation"], 1);
    assert_eq!(run(&["status", "--admin", &nobody().to_string()]).status.code(), Some(1));
}

#[test]
fn the_mock_answers_until_it_is_told_to_stop() {
    let mut mock = Process::start(command(&["mock", "--listen", "127.0.0.1:0", "--name", "tester"]));
    let line = mock.line("mock tester on ");
    let gate = drop_in(line.trim_start_matches("mock tester on "));
    let answer =
        gate.talk().post("/v1/chat/completions", &[], r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    assert_eq!((answer.status, answer.header("x-mock")), (200, Some("tester")));
    assert!(answer.json()["choices"][0]["message"]["content"].is_string());
    mock.signal("TERM");
    assert_eq!(mock.exit_code(), Some(0));
}

#[test]
fn a_saved_policy_serves_and_flags_outlive_reloads() {
    let folder = bundle(
        "[[listen]]\naddress = \"127.0.0.1:1\"\n[upstreams.up]\nurl = \"http://127.0.0.1:1\"\n[[policies]]\nfile = \"p.lua\"\n",
    );
    let lua = |word: &str| {
        format!("return policy {{ api = 1, on_request = function() return respond {{ text = \"{word}\" }} end }}")
    };
    fs::write(folder.path().join("p.lua"), lua("one")).unwrap();
    let gate = Process::serve(folder.path());
    let mut talk = gate.talk();
    assert_eq!(talk.get("/", &[]).text(), "one");
    fs::write(folder.path().join("p.lua"), lua("two")).unwrap();
    assert!(until(|| talk.get("/", &[]).text() == "two"));
    let status = Talk::to(gate.addresses().1).get("/-/status", &[]).json();
    assert!(status.get("needs_restart").is_none(), "--listen is over the file, before and after: {status:#}");
}

#[test]
fn colour_is_for_terminals() {
    let upstream = Service::saying(json("{}"));
    let folder = bundle(&format!("[log]\nformat = \"text\"\n[upstreams.up]\nurl = \"{}\"\n", upstream.url()));
    let gate = Process::serve(folder.path());
    gate.talk().get("/plain", &[]);
    assert!(!gate.line("/plain").contains('\u{1b}'));
}

#[test]
fn proofs_by_playing_say_what_does_not_hold_with_code_1() {
    let folder = bundle("[upstreams.sea]\nurl = \"http://127.0.0.1:1\"\n[[policies]]\nfile = \"p.lua\"\n");
    let policy = "return policy {\n  api = 1,\n  on_event = function(ev, ctx)\n    if ctx.vars.at == ctx.now then return drop end\n    \
                  ctx.vars.at = ctx.now\n  end,\n  on_error = function()\n    return nil\n  end,\n}\n";
    fs::write(folder.path().join("p.lua"), policy).unwrap();
    fs::create_dir(folder.path().join("cases")).unwrap();
    let case = "# A.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\ncontent-type: text/event-stream\n\n\
                data: a\n\ndata: b\n";
    fs::write(folder.path().join("cases/a.http"), case).unwrap();
    let splits = run(&["test", text(folder.path()), "--splits"]);
    assert_eq!(splits.status.code(), Some(1), "{}", said(&splits));
    assert!(
        said(&splits).contains("cases/a.http:5: the answer of sea, cut at 9-17: what the client gets depends on when")
    );
    let lines = run(&["test", text(folder.path()), "--lines"]);
    assert_eq!((lines.status.code(), said(&lines).as_str()), (Some(0), "p.lua:8 (hook on_error)\n"));
    let coverage = run(&["coverage", "--json"]);
    assert_eq!(coverage.status.code(), Some(0), "{}", said(&coverage));
    let coverage: serde_json::Value = serde_json::from_slice(&coverage.stdout).unwrap();
    assert_eq!(coverage["holes"], serde_json::json!([]));
}
