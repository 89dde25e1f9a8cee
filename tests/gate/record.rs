//! Live exchanges become cases: which are meant, what is written, what is kept at all.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::bundle::Bundled;
use crate::support::process;
use crate::support::service::{Service, answer, chat, json as saying, say};
use crate::support::talk::Talk;
use crate::support::until;

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// Tells users and clients by headers.
pub(crate) const NAMES: &str = "return policy { api = 1, identify = function(req) return { user = req.headers:get(\"x-user\"), \
                     client = req.headers:get(\"user-agent\") } end }\n";

/// Runs a command of the binary on a running gate.
pub(crate) fn ask(gate: &Bundled, command: &str, arguments: &[&str]) -> Output {
    let admin = gate.admin.to_string();
    process::run(&[&[command], arguments, &["--admin", &admin]].concat())
}

/// What a command said, when it went well.
#[track_caller]
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Waits until an exchange is kept.
#[track_caller]
pub(crate) fn kept(gate: &Bundled, id: &str) {
    assert!(until(|| gate.gate.tapes.get(id).is_some()), "{id} is not kept");
}

/// The cases that were written.
pub(crate) fn cases(gate: &Bundled) -> Vec<PathBuf> {
    let folder = fs::read_dir(gate.file("cases/recorded"));
    let mut found: Vec<PathBuf> = folder.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Runs the bundle's cases; what it says.
#[track_caller]
pub(crate) fn passes(gate: &Bundled) -> String {
    said(&process::run(&["test", gate.file("").to_str().unwrap()]))
}

/// A gate that keeps five exchanges, whose ids are `ex-1` to `ex-5`.
fn five() -> (Service, Bundled) {
    let upstream = Service::start(|heard, stream| {
        let status = if heard.target().contains("missing") { 404 } else { 200 };
        say(stream, answer(status, &[("Content-Type", "application/json")], chat("hi")))
    });
    let gate = Bundled::policy(&upstream.url(), "", NAMES);
    let mut talk = gate.talk();
    for (number, (client, user, path)) in [
        ("PyCharm/2025.2", "ann", CHAT),
        ("claude-cli/2.0", "ben", "/v1/messages"),
        ("PyCharm/2025.2", "ben", "/v1/missing"),
        ("curl/8.1", "ann", CHAT),
        ("curl/8.1", "cat", "/v1/models"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("ex-{}", number + 1);
        talk.post(path, &[("User-Agent", client), ("X-User", user), ("X-Request-Id", &id)], r#"{"model":"m"}"#);
        kept(&gate, &id);
    }
    (upstream, gate)
}

/// The ids of what `record` would save.
fn ids(gate: &Bundled, arguments: &[&str]) -> Vec<String> {
    let lines = said(&ask(gate, "record", &[&["--jsonl"], arguments].concat()));
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    lines.lines().map(id).collect()
}

#[test]
fn the_last_of_a_client_becomes_a_case_that_passes_at_once() {
    let (_upstream, gate) = five();
    let shown = said(&ask(&gate, "record", &["--client", "pycharm", "--path", "chat"]));
    let written = cases(&gate);
    assert_eq!(written.len(), 1, "{shown}");
    let name = written[0].file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("pycharm-2025-2-chat-completions-"), "{name}");
    for line in [format!("saved     cases/recorded/{name}"), "Recorded from PyCharm/2025.2: POST".to_owned()] {
        assert!(shown.contains(&line), "{shown}");
    }
    let text = fs::read_to_string(&written[0]).unwrap();
    assert!(text.starts_with("# Recorded from PyCharm/2025.2: POST /v1/chat/completions, answered 200"), "{text}");
    let snapshot = gate.file("snapshots/recorded").join(name.replace(".http", ".snap"));
    assert!(fs::read_to_string(snapshot).unwrap().contains("= to the client"));
    assert!(passes(&gate).contains("1 passed, 0 failed"), "{}", passes(&gate));
}

#[test]
fn each_way_to_mean_an_exchange_means_those() {
    let (_upstream, gate) = five();
    for (arguments, meant) in [
        (vec![], vec!["ex-5"]),
        (vec!["ex-2"], vec!["ex-2"]),
        (vec!["--last", "3"], vec!["ex-3", "ex-4", "ex-5"]),
        (vec!["--last", "99"], vec!["ex-1", "ex-2", "ex-3", "ex-4", "ex-5"]),
        (vec!["--client", "CURL", "--last", "9"], vec!["ex-4", "ex-5"]),
        (vec!["--user", "ben", "--last", "9"], vec!["ex-2", "ex-3"]),
        (vec!["--user", "ben", "--client", "claude"], vec!["ex-2"]),
        (vec!["--path", "/v1/chat", "--last", "9"], vec!["ex-1", "ex-4"]),
        (vec!["--status", "404"], vec!["ex-3"]),
        (vec!["--status", "4xx"], vec!["ex-3"]),
        (vec!["--status", "2xx"], vec!["ex-5"]),
    ] {
        assert_eq!(ids(&gate, &arguments), meant, "{arguments:?}");
    }
    let listed = said(&ask(&gate, "record", &["--list"]));
    assert!(listed.lines().next().unwrap().starts_with("ex-5"), "{listed}");
    assert!(listed.lines().count() == 6 && listed.contains("5 exchanges kept"), "{listed}");
}

#[test]
fn what_means_nothing_is_told() {
    let (_upstream, gate) = five();
    for (arguments, why) in [
        (vec!["nonesuch"], "no exchange `nonesuch` among the last 5 that are kept"),
        (vec!["ex-"], "`ex-` begins the ids of 5 exchanges"),
        (vec![""], "no exchange ``"),
        (vec!["--client", "cursor"], "no exchange that is kept is like this"),
        (vec!["--status", "5xx"], "no exchange that is kept is like this"),
    ] {
        let output = ask(&gate, "record", &arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(why), "{arguments:?}: {text}");
    }
    let output = ask(&gate, "explain", &["nonesuch"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no exchange `nonesuch`"));
    let output = ask(&gate, "explain", &["ex-1", "--with", "0123456789ab"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("0123456789ab"));
}

#[test]
fn nothing_is_written_over() {
    let (_upstream, gate) = five();
    said(&ask(&gate, "record", &["ex-1"]));
    let path = cases(&gate).remove(0);
    fs::write(&path, "# Mine.\n").unwrap();
    let output = ask(&gate, "record", &["ex-1"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains(path.file_name().unwrap().to_str().unwrap()), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "# Mine.\n");
    fs::remove_file(&path).unwrap();
    let snapshot = gate.file("snapshots/recorded").join(path.file_name().unwrap()).with_extension("snap");
    fs::write(&snapshot, "mine").unwrap();
    assert!(!ask(&gate, "record", &["ex-1"]).status.success());
    assert_eq!(fs::read_to_string(&snapshot).unwrap(), "mine", "nor is a snapshot");
    assert!(!path.exists(), "a case without its snapshot would be half a record");
}

#[test]
fn a_case_gets_the_name_and_the_bundle_that_are_asked_for() {
    let (_upstream, gate) = five();
    let other = tempfile::tempdir().unwrap();
    let into = other.path().to_str().unwrap();
    said(&ask(&gate, "record", &["ex-1", "--name", "route/mine", "--into", into]));
    assert!(
        other.path().join("cases/route/mine.http").exists() && other.path().join("snapshots/route/mine.snap").exists()
    );
    assert!(cases(&gate).is_empty());
    said(&ask(&gate, "record", &["--last", "5"]));
    assert_eq!(cases(&gate).len(), 5, "ids that begin alike have names of their own");
    passes(&gate);
}

/// A gate with these settings for what is kept, and what it keeps after so many exchanges.
fn keeping(record: &str, exchanges: usize) -> (Bundled, usize, usize) {
    let upstream = Service::saying(saying(&chat("hi")));
    let gate = Bundled::policy(&upstream.url(), &format!("[record]\n{record}\n"), NAMES);
    let mut talk = gate.talk();
    for number in 0..exchanges {
        let id = format!("n-{number}");
        talk.post(CHAT, &[("X-Request-Id", &id)], r#"{"model":"m"}"#);
    }
    let ended = format!("tidegate_exchange_seconds_count {exchanges}\n");
    assert!(until(|| gate.metrics().contains(&ended)));
    let (kept, bytes) = gate.gate.tapes.size();
    (gate, kept, bytes)
}

#[test]
fn the_last_are_kept_within_a_number_and_a_size() {
    let (gate, kept, _) = keeping("exchanges = 3", 10);
    assert_eq!(kept, 3);
    let latest: Vec<String> = gate.gate.tapes.latest().iter().map(|taken| taken.facts.id.clone()).collect();
    assert_eq!(latest, ["n-9", "n-8", "n-7"]);
    let (gate, kept, bytes) = keeping("memory = \"16KiB\"", 30);
    assert!(kept < 30 && kept > 1 && bytes <= 16 * 1024, "{kept} of {bytes} bytes");
    assert_eq!(gate.gate.tapes.latest()[0].facts.id, "n-29");
}

#[test]
fn a_share_is_kept_or_nothing() {
    let (_, kept, _) = keeping("every = 5", 20);
    assert_eq!(kept, 4);
    let (gate, kept, bytes) = keeping("exchanges = 0", 5);
    assert_eq!((kept, bytes), (0, 0));
    let output = ask(&gate, "record", &[]);
    assert!(!output.status.success());
}

#[test]
fn what_is_longer_than_the_settings_allow_is_not_kept() {
    let upstream = Service::start(|heard, stream| {
        let long = if heard.target() == "/long" { 3000 } else { 10 };
        say(stream, answer(200, &[], "x".repeat(long)))
    });
    let gate = Bundled::policy(&upstream.url(), "[record]\nbody = \"2KiB\"\n", NAMES);
    let mut talk = gate.talk();
    let long = "y".repeat(3000);
    talk.get("/long", &[("X-Request-Id", "long-answer")]);
    talk.post("/", &[("X-Request-Id", "long-question")], &long);
    talk.get("/", &[("X-Request-Id", "short")]);
    kept(&gate, "short");
    assert_eq!(gate.gate.tapes.size().0, 1);
}

#[test]
fn an_upgrade_is_not_kept() {
    let upstream = Service::start(|_, stream| {
        say(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
    });
    let gate = Bundled::before(&upstream.url(), "");
    let mut talk = gate.talk();
    talk.send("GET /ws HTTP/1.1\r\nHost: g\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGVzdA==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    talk.wait_for("hello");
    drop(talk);
    assert!(until(|| gate.metrics().contains("tidegate_exchange_seconds_count 1\n")), "{}", gate.metrics());
    assert_eq!(gate.gate.tapes.size().0, 0);
}

#[test]
fn only_this_machine_is_told_what_passed() {
    let (_upstream, gate) = five();
    let wish = json!({"id": "ex-1"}).to_string();
    for path in ["/-/record", "/-/explain"] {
        for (host, header, status) in [
            (gate.admin.to_string(), "", 403),
            ("evil.test".to_owned(), "X-Tidegate-Admin: 1\r\n", 403),
            (gate.admin.to_string(), "X-Tidegate-Admin: 1\r\n", 200),
        ] {
            let mut talk = Talk::to(gate.admin);
            talk.send(format!(
                "POST {path} HTTP/1.1\r\nHost: {host}\r\n{header}Content-Length: {}\r\n\r\n{wish}",
                wish.len()
            ));
            assert_eq!(talk.read().status, status, "{path} {host} {header}");
        }
    }
    for (host, status) in [("evil.test".to_owned(), 403), (gate.admin.to_string(), 200)] {
        let mut talk = Talk::to(gate.admin);
        talk.send(format!("GET /-/exchanges HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(talk.read().status, status, "{host}");
    }
    for wish in [json!({"ids": "ex-1"}), json!({"last": "x"}), json!([1])] {
        assert_eq!(gate.tell("/-/record", &wish).status, 400, "{wish}");
    }
}
