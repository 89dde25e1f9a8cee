//! Where changes are reviewed: an edit waits until someone has accepted it, whatever is killed or tampered with.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tidegate::bundle::{self, SETTLE};

use crate::support::bundle::{Bundled, accept};
use crate::support::process::{Process, run, serving};
use crate::support::service::{Service, json};
use crate::support::until;

/// A policy that marks every response with a word.
pub(crate) fn marking(word: &str) -> String {
    format!("return policy {{ api = 1, on_response = function(res) res.headers:set(\"x-mark\", \"{word}\") end }}\n")
}

/// Settings under which changes are reviewed.
fn settings(upstream: &str) -> String {
    format!("go_live = \"reviewed\"\n[upstreams.up]\nurl = \"{upstream}\"\n[[policies]]\nfile = \"p.lua\"\n")
}

fn put(folder: &Path, name: &str, text: &str) {
    let beside = folder.join(format!(".{}.new", name.replace('/', "-")));
    fs::write(&beside, text).unwrap();
    fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
    fs::rename(&beside, folder.join(name)).unwrap();
}

/// A bundle whose first generation is accepted.
fn folder(upstream: &Service) -> TempDir {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "tidegate.toml", &settings(&upstream.url()));
    put(folder.path(), "p.lua", &marking("one"));
    accept(folder.path(), true, &[]);
    folder
}

fn gate() -> (Service, TempDir, Bundled) {
    let upstream = Service::saying(json("{}"));
    let folder = folder(&upstream);
    let gate = Bundled::following(folder.path(), SETTLE);
    (upstream, folder, gate)
}

fn mark(gate: &Bundled) -> String {
    gate.talk().get("/", &[]).header("x-mark").unwrap_or_default().to_owned()
}

/// Saves a policy and waits until it is staged.
fn stage(gate: &Bundled, text: &str) {
    gate.save("p.lua", text);
    let hash = gate.on_disk().to_string();
    assert!(until(|| gate.status()["staged"]["hash"] == hash.as_str()), "not staged: {:#}", gate.status());
}

fn waits_for(gate: &Bundled) -> String {
    gate.status()["staged"]["waits_for"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_edit_serves_once_it_is_accepted_and_within_a_second() {
    let (_upstream, folder, gate) = gate();
    let begun = Instant::now();
    stage(&gate, &marking("two"));
    assert!(begun.elapsed() < Duration::from_secs(1), "staged after {:?}", begun.elapsed());
    assert_eq!(mark(&gate), "one");
    let staged = gate.status()["staged"].clone();
    assert_eq!(staged["waits_for"], "it was not reviewed yet");
    assert_eq!(staged["run"], format!("tidegate review {}", folder.path().display()));
    let begun = Instant::now();
    accept(folder.path(), true, &[]);
    assert!(until(|| mark(&gate) == "two"));
    assert!(begun.elapsed() < Duration::from_secs(1), "live after {:?}", begun.elapsed());
    assert!(until(|| gate.status().get("staged").is_none()));
    let live = gate.generations().into_iter().find(|entry| entry["state"] == "live").unwrap();
    assert_eq!((&live["accepted_by"], live["hash"].as_str()), (&json!("ann"), Some(&*gate.on_disk().to_string())));
}

#[test]
fn what_was_accepted_to_be_held_waits_for_its_promotion() {
    let (_upstream, folder, gate) = gate();
    stage(&gate, &marking("two"));
    let refused = gate.tell("/-/promote", &json!({"generation": gate.on_disk()}));
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("not accepted: it was not reviewed yet"), "{}", refused.text());
    let hash = accept(folder.path(), false, &[]);
    assert!(until(|| gate.status()["staged"]["held"] == true), "{:#}", gate.status());
    assert_eq!(gate.status()["staged"]["run"], format!("tidegate promote {hash}"));
    assert_eq!(mark(&gate), "one");
    assert_eq!(gate.tell("/-/promote", &json!({"generation": hash})).status, 200);
    assert_eq!(mark(&gate), "two");
    assert!(gate.status().get("staged").is_none());
}

#[test]
fn what_is_staged_can_be_tried_until_something_else_is_saved() {
    let (_upstream, _folder, gate) = gate();
    stage(&gate, &marking("two"));
    let token = gate.tell("/-/preview", &json!({})).json()["token"].as_str().unwrap().to_owned();
    let tried = gate.talk().get("/", &[("X-Tidegate-Preview", &token)]);
    assert_eq!((tried.header("x-mark"), mark(&gate).as_str()), (Some("two"), "one"));
    stage(&gate, &marking("three"));
    assert_eq!(gate.talk().get("/", &[("X-Tidegate-Preview", &token)]).status, 403);
    assert!(gate.status().get("previews").is_none());
}

#[test]
fn an_acceptance_with_other_snapshots_does_not_count_until_they_are_back() {
    let (_upstream, folder, gate) = gate();
    put(folder.path(), "snapshots/p/one.snap", "---\nsource: x\n---\nanother\n");
    stage(&gate, &marking("two"));
    accept(folder.path(), true, &[("p/one", "as accepted\n")]);
    assert!(until(|| waits_for(&gate).contains("`p/one` was changed")), "{:#}", gate.status());
    assert_eq!(mark(&gate), "one");
    put(folder.path(), "snapshots/p/one.snap", "---\nsource: x\n---\nas accepted\n");
    assert!(until(|| mark(&gate) == "two"), "{:#}", gate.status());
}

#[test]
fn no_save_switches_the_review_off_and_serves() {
    let (upstream, folder, gate) = gate();
    gate.save("tidegate.toml", &settings(&upstream.url()).replace("reviewed", "on-save"));
    assert!(until(|| gate.status()["staged"].is_object()));
    assert_eq!(gate.generation(), 1);
    drop(gate);
    let gate = Bundled::following(folder.path(), SETTLE);
    assert!(until(|| gate.status()["staged"].is_object()), "nor does a restart: {:#}", gate.status());
    assert_eq!(gate.gate.live.load().settings.go_live.as_str(), "reviewed");
    accept(folder.path(), true, &[]);
    assert!(until(|| gate.gate.live.load().settings.go_live.as_str() == "on-save"));
    gate.save_live("p.lua", &marking("two"));
}

#[test]
fn no_secret_that_is_gone_switches_the_review_off() {
    let upstream = Service::saying(json("{}"));
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let key = elsewhere.path().join("key");
    fs::write(&key, "a key").unwrap();
    let settings = settings(&upstream.url());
    let secrets = format!("secrets = {{ KEY = \"file:{}\" }}\n", key.display());
    put(folder.path(), "tidegate.toml", &(secrets + &settings));
    put(folder.path(), "p.lua", &marking("one"));
    accept(folder.path(), true, &[]);
    drop(Bundled::following(folder.path(), SETTLE));
    fs::remove_file(&key).unwrap();
    put(folder.path(), "p.lua", &marking("two"));
    put(folder.path(), "tidegate.toml", &settings.replace("reviewed", "on-save"));
    let ended = run(&serving(folder.path()));
    assert_eq!(ended.status.code(), Some(2), "what nobody accepted does not serve");
}

#[test]
fn a_fault_is_rejected_and_ends_the_waiting_of_what_was_saved_before() {
    let (_upstream, folder, gate) = gate();
    stage(&gate, &marking("two"));
    let two = gate.on_disk();
    gate.save("p.lua", "return policy { api = 1, rout = 1 }\n");
    assert!(gate.rejected()[0].contains("p.lua:1"));
    assert!(gate.status().get("staged").is_none());
    put(folder.path(), &format!("reviews/{two}.toml"), "generation = 1\n");
    stage(&gate, &marking("three"));
    assert!(gate.status().get("rejected").is_none());
    assert_eq!(mark(&gate), "one");
}

#[test]
fn nothing_serves_before_something_was_accepted() {
    let upstream = Service::saying(json("{}"));
    let folder = TempDir::new().unwrap();
    put(folder.path(), "tidegate.toml", &settings(&upstream.url()));
    put(folder.path(), "p.lua", &marking("one"));
    let ended = run(&serving(folder.path()));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("tidegate review {}", folder.path().display())), "{said}");
    accept(folder.path(), true, &[]);
    assert_eq!(Process::serve(folder.path()).talk().get("/", &[]).header("x-mark"), Some("one"));
}

#[test]
fn a_restart_serves_what_was_accepted_whatever_is_on_disk() {
    let upstream = Service::saying(json("{}"));
    let folder = folder(&upstream);
    let served = || {
        let gate = Process::serve(folder.path());
        gate.talk().get("/", &[]).header("x-mark").unwrap_or_default().to_owned()
    };
    assert_eq!(served(), "one");
    put(folder.path(), "p.lua", &marking("two"));
    assert_eq!(served(), "one", "two was not accepted");
    put(folder.path(), "p.lua", "return {}\n");
    assert_eq!(served(), "one", "a fault serves nowhere");
    put(folder.path(), "p.lua", &marking("two"));
    accept(folder.path(), true, &[]);
    assert_eq!(served(), "two", "accepted while no gate ran");
    let kept = fs::read_dir(folder.path().join(".tidegate/generations")).unwrap().flatten();
    for entry in kept {
        let text = fs::read_to_string(entry.path()).unwrap().replace("one", "won").replace("two", "tow");
        fs::write(entry.path(), text).unwrap();
    }
    assert_eq!(served(), "two", "what is on disk needs no shelf");
    put(folder.path(), "p.lua", &marking("three"));
    let kept = fs::read_dir(folder.path().join(".tidegate/generations")).unwrap().flatten();
    for entry in kept {
        let text = fs::read_to_string(entry.path()).unwrap().replace("two", "tow");
        fs::write(entry.path(), text).unwrap();
    }
    let ended = run(&serving(folder.path()));
    assert_eq!(ended.status.code(), Some(2), "nothing that was tampered with serves");
}

#[test]
fn going_back_outlives_a_restart() {
    let (_upstream, folder, gate) = gate();
    stage(&gate, &marking("two"));
    accept(folder.path(), true, &[]);
    assert!(until(|| mark(&gate) == "two"));
    assert_eq!(gate.tell("/-/rollback", &json!({})).status, 200);
    assert_eq!(mark(&gate), "one");
    drop(gate);
    let gate = Bundled::following(folder.path(), SETTLE);
    assert_eq!(mark(&gate), "one");
    assert!(until(|| gate.status()["passed_over"]["hash"] == gate.on_disk().to_string().as_str()));
    assert_eq!(mark(&gate), "one", "what is on disk was passed over, and still is");
    stage(&gate, &marking("three"));
    gate.save("p.lua", &marking("two"));
    assert!(until(|| mark(&gate) == "two"), "saved again, and accepted: {:#}", gate.status());
}

#[test]
fn a_gate_that_is_killed_at_any_moment_starts_with_the_last_that_was_accepted() {
    let upstream = Service::saying(json("{}"));
    let folder = folder(&upstream);
    let mut accepted = "one".to_owned();
    let mut random = fastrand::Rng::with_seed(4);
    let mut pause = || thread::sleep(Duration::from_millis(random.u64(0..120))); // paced: so that the kill hits any step
    for round in 0..12 {
        let gate = Process::serve(folder.path());
        assert_eq!(gate.talk().get("/", &[]).header("x-mark"), Some(accepted.as_str()), "round {round}");
        let word = format!("round{round}");
        put(folder.path(), "p.lua", &marking(&word));
        pause();
        if round % 3 != 2 {
            accept(folder.path(), true, &[]);
            accepted = word;
        }
        pause();
        gate.signal("KILL");
    }
    let live = fs::read_to_string(folder.path().join(".tidegate/live")).unwrap();
    assert!(live.contains("generation"), "{live}");
    assert!(bundle::shelf::Shelf::open(folder.path()).refused().is_empty());
}
