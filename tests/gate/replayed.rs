//! `tidegate replay` plays what was recorded on what is live and on what is to be, and counts what changes.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::record::{CHAT, ask, kept, said};
use crate::support::bundle::Bundled;
use crate::support::process;
use crate::support::service::{Service, chat, json as saying};

/// Sends users of the team to a model, and counts them.
fn policy(model: &str) -> String {
    format!(
        "return policy {{ api = 1,\n  identify = function(req) return {{ user = req.headers:get(\"x-user\") }} end,\n  \
         route = function(req, ctx)\n    if ctx.user == \"annabellatide\" then return {{ upstream = \"up\", model = \"{model}\" }} end\n  end }}\n"
    )
}

/// A gate that has served twenty requests, five of them one user's, and a recording of them.
fn recorded(shuffle: bool) -> (Service, Bundled, TempDir) {
    let upstream = Service::saying(saying(&chat("hi")));
    let gate = Bundled::policy(&upstream.url(), "", &policy("small"));
    let mut talk = gate.talk();
    for number in 0..20 {
        let user = if number % 4 == 0 { "annabellatide" } else { "ben" };
        let id = format!("r-{number:02}");
        talk.post(CHAT, &[("X-User", user), ("X-Request-Id", &id)], r#"{"model":"m","messages":[]}"#);
        kept(&gate, &id);
    }
    let folder = TempDir::new().unwrap();
    let mut lines = said(&ask(&gate, "record", &["--last", "20", "--jsonl", "--as-is"]));
    if shuffle {
        lines.push_str("{\"id\":1}\n");
    }
    fs::write(folder.path().join("all.jsonl"), lines).unwrap();
    (upstream, gate, folder)
}

#[test]
fn a_decision_by_what_is_replaced_is_told() {
    let (_upstream, gate, _folder) = recorded(false);
    let output = ask(&gate, "record", &["r-00", "--jsonl"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("r-00: redacted, it plays otherwise: route: up as small → up; "), "{told}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("X-User: annabellatide"));
    let output = ask(&gate, "record", &["r-01", "--jsonl"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing was decided by ben's name");
    let text = said(&ask(&gate, "record", &["r-00"]));
    assert!(text.contains("careful   redacted, it plays otherwise: route"), "{text}");
}

fn replay(file: &Path, bundle: &Path, more: &[&str]) -> Output {
    process::run(&[&["replay", file.to_str().unwrap(), bundle.to_str().unwrap()], more].concat())
}

#[test]
fn a_changed_policy_is_told_by_its_share() {
    let (upstream, gate, folder) = recorded(false);
    let before = upstream.count();
    fs::write(gate.file("p.lua"), policy("large")).unwrap();
    crate::support::until(|| gate.status()["live"]["hash"] == gate.on_disk().to_string().as_str());
    // The gate has served the change already, so the state before it is named.
    let old = TempDir::new().unwrap();
    fs::copy(gate.file("tidegate.toml"), old.path().join("tidegate.toml")).unwrap();
    fs::write(old.path().join("p.lua"), policy("small")).unwrap();
    let candidate = gate.file("");
    let output = replay(&folder.path().join("all.jsonl"), old.path(), &["--candidate", candidate.to_str().unwrap()]);
    let text = said(&output);
    for line in [
        "20 exchanges, 5 changed",
        "route            25.0 %  5",
        "5 × up as small → up as large",
        "such as r-00",
        "cache key         0.0 %  0",
        "upstream bytes   25.0 %  5",
        "answer            0.0 %  0",
    ] {
        assert!(text.contains(line), "{line:?} is missing:\n{text}");
    }
    let output =
        replay(&folder.path().join("all.jsonl"), old.path(), &["--candidate", candidate.to_str().unwrap(), "--json"]);
    let told: Value = serde_json::from_str(&said(&output)).unwrap();
    assert_eq!((&told["compared"], &told["changed"]), (&json!(20), &json!(5)));
    assert_eq!(told["aspects"][1]["changes"][0]["such_as"], "r-00");
    assert_eq!(upstream.count(), before, "playing asks nobody");
    let such_as = told["aspects"][1]["changes"][0]["such_as"].as_str().unwrap();
    said(&ask(&gate, "record", &[such_as]));
}

#[test]
fn what_a_gate_served_last_is_compared_with_what_is_on_disk() {
    let (_upstream, gate, folder) = recorded(true);
    let bundle = gate.file("");
    let file = folder.path().join("all.jsonl");
    let text = String::from_utf8(replay(&file, &bundle, &[]).stdout).unwrap();
    assert!(text.contains("20 exchanges, 0 changed"), "{text}");
    let kept = TempDir::new().unwrap();
    crate::support::bundle::copy(&bundle, kept.path());
    fs::write(kept.path().join("p.lua"), policy("large")).unwrap();
    let output = replay(&file, kept.path(), &[]);
    let (text, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(text.contains("20 exchanges, 5 changed"), "{text}");
    assert!(told.contains("all.jsonl:21:1: this is no recording"), "{told}");
    assert_eq!(output.status.code(), Some(2), "a line was faulty");
}

#[test]
fn what_a_browser_exported_is_replayed() {
    let upstream = "[upstreams.up]\nurl = \"http://127.0.0.1:9\"\n[[policies]]\nfile = \"p.lua\"\n";
    let bundle = |model: &str| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tidegate.toml"), upstream).unwrap();
        fs::write(folder.path().join("p.lua"), policy(model)).unwrap();
        folder
    };
    let (old, new) = (bundle("small"), bundle("large"));
    let entry = |user: &str| {
        json!({
            "startedDateTime": "2026-03-01T10:00:00.000Z",
            "request": {
                "method": "POST", "url": "https://api.test/v1/chat/completions", "httpVersion": "HTTP/1.1",
                "headers": [{"name": "X-User", "value": user}, {"name": "Content-Type", "value": "application/json"}],
                "postData": {"mimeType": "application/json", "text": r#"{"model":"m","messages":[]}"#},
            },
            "response": {
                "status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1",
                "headers": [{"name": "Content-Type", "value": "application/json"}],
                "content": {"mimeType": "application/json", "text": chat("hi")},
            },
            "timings": {"wait": 120, "receive": 3},
        })
    };
    let har = json!({"log": {"version": "1.2", "entries": [entry("annabellatide"), entry("ben"), entry("cat"), entry("annabellatide")]}});
    let file = old.path().join("session.har");
    fs::write(&file, har.to_string()).unwrap();
    let output = replay(&file, old.path(), &["--candidate", new.path().to_str().unwrap()]);
    let text = said(&output);
    assert!(text.contains("4 exchanges, 2 changed") && text.contains("route            50.0 %  2"), "{text}");
    let into = new.path().to_str().unwrap();
    let text =
        said(&process::run(&["record", "har-1", "--from", file.to_str().unwrap(), "--into", into, "--name", "har"]));
    assert!(text.contains("saved     cases/har.http") && text.contains("redacted  "), "{text}");
    said(&process::run(&["test", into]));
    let none = process::run(&["record", "har-9", "--from", file.to_str().unwrap(), "--into", into]);
    assert!(String::from_utf8(none.stderr).unwrap().contains("holds no exchange `har-9`"));
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tidegate.toml"), "[upstreams.up]\nurl = \"http://127.0.0.1:9\"\n").unwrap();
    let output =
        replay(&folder.path().join("none.jsonl"), folder.path(), &["--candidate", folder.path().to_str().unwrap()]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("none.jsonl cannot be read"));
    let output = replay(&folder.path().join("none.jsonl"), folder.path(), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no gate has served this bundle"));
}
