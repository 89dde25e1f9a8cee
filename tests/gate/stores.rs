//! Stored answers beside memory: on disk over a restart, purged from outside, and served when they are old.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use crate::support::bundle::{Bundled, copy, root};
use crate::support::process;
use crate::support::service::{Service, answer, chat, json as whole, say};
use crate::support::talk::Said;
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// A folder with the shipped policies and these settings.
fn bundle(upstream: &Service, cache: &str, params: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    copy(&root().join("policies"), folder.path());
    let settings = format!(
        "[cache]\n{cache}\n[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"identify.lua\"\n[[policies]]\n\
         file = \"cache.lua\"\n{params}\n",
        upstream.url()
    );
    fs::write(folder.path().join("tidegate.toml"), settings).unwrap();
    folder
}

fn serve(folder: &TempDir) -> Bundled {
    Bundled::following(folder.path(), tidegate::bundle::SETTLE)
}

fn ask(gate: &Bundled, model: &str) -> Said {
    gate.talk().post(CHAT, &[], &format!("{{\"model\":\"{model}\"}}"))
}

fn verdict(said: &Said) -> &str {
    said.header("x-cache").and_then(|told| told.split(';').next()).unwrap_or("none")
}

fn on_disk(gate: &Bundled, count: u64) {
    assert!(until(|| gate.status()["cache"]["disk"]["entries"] == count), "{:#}", gate.status());
}

#[test]
fn a_restart_keeps_what_is_on_disk() {
    let upstream = Service::saying(whole(&chat("hi")));
    let folder = bundle(&upstream, "disk = \"1MiB\"", "params.ttl = 300");
    let gate = serve(&folder);
    let first = ask(&gate, "m");
    on_disk(&gate, 1);
    assert!(folder.path().join(".tidegate/cache").is_dir() && folder.path().join(".tidegate/.gitignore").is_file());
    drop(gate);
    let again = || {
        let gate = serve(&folder);
        (gate.status()["cache"]["disk"]["entries"] == 1).then_some(gate)
    };
    let mut gate = None;
    assert!(until(|| {
        gate = again();
        gate.is_some()
    }));
    let gate = gate.unwrap();
    let second = ask(&gate, "m");
    assert_eq!((verdict(&second), second.text()), ("hit", first.text()));
    assert_eq!((verdict(&ask(&gate, "m")), upstream.count()), ("hit", 1));
    assert_eq!(gate.status()["cache"]["disk"]["hits"], 1, "the second time it is in memory");
    let purged = gate.tell("/-/cache/purge", &json!({"all": true})).json();
    assert_eq!((&purged["memory"], &purged["disk"]), (&json!(1), &json!(1)));
    assert_eq!(verdict(&ask(&gate, "m")), "miss");
}

#[test]
fn a_folder_that_cannot_be_used_is_a_line_in_status() {
    let upstream = Service::saying(whole(&chat("hi")));
    let folder = bundle(&upstream, "disk = \"1MiB\"\ndir = \"../tidegate.toml\"", "params.ttl = 300");
    let gate = serve(&folder);
    assert_eq!((verdict(&ask(&gate, "m")), verdict(&ask(&gate, "m"))), ("miss", "hit"));
    assert!(gate.status()["cache"]["disk"]["why"].as_str().unwrap().contains("tidegate.toml"), "{:#}", gate.status());
}

#[test]
fn purging_by_the_command_line_takes_what_is_meant() {
    let upstream = Service::saying(whole(&chat("hi")));
    let folder = bundle(&upstream, "", "params.ttl = 300\nparams.tags = [\"night\"]");
    let gate = serve(&folder);
    let admin = gate.admin.to_string();
    let run = |arguments: &[&str]| {
        let ended = process::run(&[&["cache"], arguments, &["--admin", &admin]].concat());
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    };
    for (user, model) in [("ann", "m"), ("ann", "n"), ("ben", "m")] {
        gate.talk().post(CHAT, &[("X-User-Id", user)], &format!("{{\"model\":\"{model}\"}}"));
    }
    assert_eq!(run(&["purge", "--user", "cid"]), (Some(0), "memory    0 answers purged\n".to_owned()));
    assert_eq!(run(&["purge", "--model", "n"]), (Some(0), "memory    1 answer purged\n".to_owned()));
    assert_eq!(run(&["purge", "--user", "ann"]), (Some(0), "memory    1 answer purged\n".to_owned()));
    assert_eq!(run(&["purge", "--tag", "night"]), (Some(0), "memory    1 answer purged\n".to_owned()));
    let (code, stats) = run(&["stats"]);
    assert_eq!((code, stats.lines().nth(1)), (Some(0), Some("memory    0 answers in 0 bytes; 3 stored, 0 gave way")));
    assert_eq!(run(&["purge"]).0, Some(2));
    assert_eq!(run(&["purge", "--all", "--tag", "x"]).0, Some(2));
}

/// An upstream that says a number that goes up, with a status that can be changed.
fn counting() -> (Service, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let shown = Arc::clone(&status);
    let upstream = Service::start(move |heard, out| {
        let body = chat(&heard.number.to_string());
        say(out, answer(shown.load(Ordering::Relaxed), &[("Content-Type", "application/json")], body))
    });
    (upstream, status)
}

#[test]
fn an_old_answer_serves_at_once_and_one_new_one_is_fetched() {
    let (upstream, _) = counting();
    let gate = serve(&bundle(&upstream, "", "params.ttl = 1\nparams.revalidate = 300"));
    assert_eq!(ask(&gate, "m").text(), chat("1"));
    assert!(until(|| gate.gate.cache.stats().entries == 1));
    let mut old = None;
    assert!(until(|| {
        let said = ask(&gate, "m");
        assert_eq!(said.text(), chat("1"));
        old = Some(verdict(&said).to_owned()).filter(|verdict| verdict == "stale");
        old.is_some()
    }));
    assert!(until(|| ask(&gate, "m").text() != chat("1")), "{:#}", gate.status());
    let heard = upstream.heard();
    let ids: Vec<_> = heard.iter().map(|heard| heard.header("x-request-id").unwrap_or_default().to_owned()).collect();
    assert!(ids[1].ends_with("-refresh"), "{ids:?}");
}

#[test]
fn many_who_are_served_an_old_answer_ask_for_a_new_one_once() {
    let (upstream, _) = counting();
    let gate = serve(&bundle(&upstream, "", "params.ttl = 1\nparams.revalidate = 300"));
    ask(&gate, "m");
    thread::sleep(std::time::Duration::from_millis(1100)); // paced: the answer's time, a second, must be over
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(ask(&gate, "m").status, 200));
        }
    });
    assert!(until(|| ask(&gate, "m").text() != chat("1")));
    assert!(upstream.count() <= 4, "{}", upstream.count());
}

#[test]
fn an_old_answer_serves_when_the_upstream_fails_and_the_failure_is_not_stored() {
    let (upstream, status) = counting();
    let gate = serve(&bundle(&upstream, "", "params.ttl = 1\nparams.if_error = 300"));
    ask(&gate, "m");
    status.store(503, Ordering::Relaxed);
    let mut said = ask(&gate, "m");
    assert!(until(|| {
        said = ask(&gate, "m");
        verdict(&said) == "stale"
    }));
    assert_eq!((said.status, said.text()), (200, chat("1")));
    assert!(said.header("age").unwrap().parse::<u64>().unwrap() >= 1);
    status.store(400, Ordering::Relaxed);
    assert_eq!(ask(&gate, "m").status, 400, "what is the client's fault is told");
    status.store(200, Ordering::Relaxed);
    let fresh = ask(&gate, "m");
    assert_eq!((fresh.status, verdict(&fresh)), (200, "miss"));
    assert!(until(|| verdict(&ask(&gate, "m")) == "hit"));
}
