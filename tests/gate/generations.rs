//! Going back, and the command lines for generations: one swap, nothing in flight notices, nobody else may ask for it.

use std::fs;
use std::sync::mpsc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate::bundle::SETTLE;

use crate::reviewed::marking;
use crate::support::bundle::Bundled;
use crate::support::process::{Process, run};
use crate::support::service::{END, Service, chunk, json as saying, open, say};
use crate::support::talk::Talk;
use crate::support::until;

fn gate() -> (Service, Bundled) {
    let upstream = Service::saying(saying("{}"));
    let gate = Bundled::policy(&upstream.url(), "", &marking("one"));
    (upstream, gate)
}

fn mark(gate: &Bundled) -> String {
    gate.talk().get("/", &[]).header("x-mark").unwrap_or_default().to_owned()
}

#[test]
fn going_back_serves_at_once_and_until_the_next_save() {
    let (_upstream, gate) = gate();
    let one = gate.on_disk().to_string();
    gate.save_live("p.lua", &marking("two"));
    let two = gate.on_disk().to_string();
    let said = gate.tell("/-/rollback", &json!({})).json();
    assert_eq!((said["live"].as_str(), said["before"].as_str()), (Some(&*one), Some(&*two)));
    assert_eq!(mark(&gate), "one");
    assert_eq!(gate.status()["passed_over"]["hash"], two.as_str());
    // Noticed, and no new save: the content is the same.
    let before = gate.generation();
    gate.save("p.lua", &marking("two"));
    gate.save("p.lua.bak", "");
    gate.save("q.lua", "return {}\n");
    assert!(until(|| gate.generation() > before), "the next save counts");
    assert_eq!(mark(&gate), "two");
    assert!(until(|| gate.status().get("passed_over").is_none()));
}

#[test]
fn going_back_outlives_a_restart_where_nothing_is_reviewed() {
    let upstream = Service::saying(saying("{}"));
    let folder = TempDir::new().unwrap();
    let settings = format!("[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n", upstream.url());
    fs::write(folder.path().join("tidegate.toml"), settings).unwrap();
    fs::write(folder.path().join("p.lua"), marking("one")).unwrap();
    let gate = Bundled::following(folder.path(), SETTLE);
    gate.save_live("p.lua", &marking("two"));
    assert_eq!(gate.tell("/-/rollback", &json!({})).status, 200);
    drop(gate);
    let gate = Bundled::following(folder.path(), SETTLE);
    assert_eq!(mark(&gate), "one");
    gate.save_live("p.lua", &marking("three"));
    assert_eq!(mark(&gate), "three", "the next save counts");
}

#[test]
fn without_a_name_it_goes_to_and_fro() {
    let (_upstream, gate) = gate();
    assert_eq!(gate.tell("/-/rollback", &json!({})).status, 409, "nothing was live before");
    gate.save_live("p.lua", &marking("two"));
    for word in ["one", "two", "one"] {
        assert_eq!(gate.tell("/-/rollback", &json!({})).status, 200);
        assert_eq!(mark(&gate), word);
    }
}

#[test]
fn any_kept_generation_is_found_by_its_first_digits() {
    let (_upstream, gate) = gate();
    let one = gate.on_disk().full();
    gate.save_live("p.lua", &marking("two"));
    gate.save_live("p.lua", &marking("three"));
    assert_eq!(gate.tell("/-/rollback", &json!({"generation": &one[..5]})).status, 200);
    assert_eq!(mark(&gate), "one");
    let states: Vec<Value> = gate.generations().iter().map(|entry| entry["state"].clone()).collect();
    assert_eq!(states, ["live", "kept", "kept"]);
    for (wish, status) in [("zzzz", 404), ("12", 404), (&one[..8], 409)] {
        assert_eq!(gate.tell("/-/rollback", &json!({"generation": wish})).status, status, "{wish}");
    }
}

#[test]
fn a_stream_ends_on_the_generation_that_it_began_on() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: a\n\n"));
        told.lock().recv().unwrap();
        say(stream, chunk("data: b\n\n")) && say(stream, END)
    });
    let policy = |word: &str| {
        format!("return policy {{ api = 1, on_event = function(ev) ev.data = ev.data .. \" {word}\" end }}\n")
    };
    let gate = Bundled::policy(&upstream.url(), "", &policy("one"));
    gate.save_live("p.lua", &policy("two"));
    let mut stream = gate.talk();
    stream.send("GET /stream HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    stream.wait_for("data: a two");
    assert_eq!(gate.tell("/-/rollback", &json!({})).status, 200);
    go.send(()).unwrap();
    let ended = stream.read();
    assert!(ended.whole);
    assert_eq!(ended.text(), "data: a two\n\ndata: b two\n\n");
}

#[test]
fn as_many_are_kept_as_the_settings_say() {
    let upstream = Service::saying(saying("{}"));
    let gate = Bundled::policy(&upstream.url(), "generations = 3\n", &marking("0"));
    for number in 1..7 {
        gate.save_live("p.lua", &marking(&number.to_string()));
    }
    assert!(until(|| gate.generations().len() == 3), "{:#?}", gate.generations());
    assert_eq!(fs::read_dir(gate.file(".tidegate/generations")).unwrap().count(), 3);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_done_without() {
    let upstream = Service::saying(saying("{}"));
    let settings = format!("[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n", upstream.url());
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", &marking("one")), (".tidegate", "in the way")]);
    gate.save_live("p.lua", &marking("two"));
    assert!(until(|| gate.status()["shelf"][0].as_str().is_some_and(|why| why.contains(".tidegate"))));
    assert_eq!(gate.tell("/-/rollback", &json!({})).status, 200);
    assert_eq!(mark(&gate), "one");
}

#[test]
fn nobody_asks_by_accident() {
    let (_upstream, gate) = gate();
    gate.save_live("p.lua", &marking("two"));
    let ask = |head: &str, body: &str| {
        let mut admin = Talk::to(gate.admin);
        admin.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        admin.read()
    };
    let here = gate.admin;
    for (head, body, status) in [
        (format!("POST /-/rollback HTTP/1.1\r\nHost: {here}"), "{}", 403),
        ("POST /-/rollback HTTP/1.1\r\nHost: evil.test\r\nX-Tidegate-Admin: 1".to_owned(), "{}", 403),
        (format!("POST /-/rollback HTTP/1.1\r\nHost: {here}\r\nX-Tidegate-Admin: 0"), "{}", 403),
        (format!("GET /-/rollback HTTP/1.1\r\nHost: {here}\r\nX-Tidegate-Admin: 1"), "", 405),
        ("GET /-/generations HTTP/1.1\r\nHost: evil.test".to_owned(), "", 403),
        (format!("POST /-/rollback HTTP/1.1\r\nHost: {here}\r\nX-Tidegate-Admin: 1"), "{\"generatoin\":\"1234\"}", 400),
        (format!("POST /-/rollback HTTP/1.1\r\nHost: {here}\r\nX-Tidegate-Admin: 1"), "{", 400),
        (format!("POST /-/roll HTTP/1.1\r\nHost: {here}\r\nX-Tidegate-Admin: 1"), "{}", 404),
    ] {
        let said = ask(&head, body);
        assert_eq!(said.status, status, "{head}: {}", said.text());
        assert!(said.json()["error"].is_string());
    }
    let long = format!("{{\"generation\":\"{}\"}}", "1".repeat(70_000));
    let said = ask(&format!("POST /-/rollback HTTP/1.1\r\nHost: {here}\r\nX-Tidegate-Admin: 1"), &long);
    assert_eq!((said.status, mark(&gate)), (413, "two".to_owned()));
    let said = ask("POST /-/rollback HTTP/1.1\r\nHost: localhost:1\r\nX-Tidegate-Admin: 1", "");
    assert_eq!(said.status, 200, "{}", said.text());
}

#[test]
fn the_commands_do_what_they_say() {
    let upstream = Service::saying(saying("{}"));
    let (_, folder) = {
        let gate = Bundled::policy(&upstream.url(), "", &marking("one"));
        let folder = tempfile::TempDir::new().unwrap();
        for name in ["tidegate.toml", "p.lua"] {
            fs::copy(gate.file(name), folder.path().join(name)).unwrap();
        }
        (gate, folder)
    };
    let gate = Process::serve(folder.path());
    let admin = gate.addresses().1.to_string();
    let did = |arguments: &[&str]| {
        let output = run(&[arguments, &["--admin", &admin]].concat());
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let served = || gate.talk().get("/", &[]).header("x-mark").unwrap_or_default().to_owned();
    fs::write(folder.path().join("p.lua"), marking("two")).unwrap();
    assert!(until(|| served() == "two"));
    let (code, listed) = did(&["generations"]);
    assert_eq!((code, listed.lines().count()), (Some(0), 2), "{listed}");
    assert!(listed.starts_with("live ") && listed.contains(", on disk"), "{listed}");
    let (code, said) = did(&["rollback"]);
    assert_eq!((code, served().as_str()), (Some(0), "one"), "{said}");
    assert!(said.starts_with("live ") && said.contains("(before: "), "{said}");
    let two = listed.split_whitespace().nth(1).unwrap().to_owned();
    let (code, token) = did(&["preview", &two, "--for", "10m"]);
    assert_eq!(code, Some(0), "{token}");
    let previewed = gate.talk().get("/", &[("X-Tidegate-Preview", token.trim())]);
    assert_eq!(previewed.header("x-mark"), Some("two"));
    let (code, said) = did(&["promote", &two, "--percent", "100", "--by", "ip", "--abort", "p98>1s"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("did you mean `p99`?"), "{said}");
    let (code, said) = did(&["promote", &two, "--percent", "100", "--by", "ip", "--for", "10m"]);
    assert_eq!((code, served().as_str()), (Some(0), "two"), "{said}");
    assert!(did(&["status"]).1.contains(&format!("canary    {two} for 100")), "{}", did(&["status"]).1);
    assert_eq!((did(&["promote", "--stop"]).0, served().as_str()), (Some(0), "one"));
    assert_eq!((did(&["promote", &two]).0, served().as_str()), (Some(0), "two"));
    let (code, said) = did(&["rollback", "ffff00000000", "--json"]);
    assert_eq!(code, Some(1));
    assert!(serde_json::from_str::<Value>(&said).unwrap()["error"].as_str().unwrap().contains("is kept"));
    assert_eq!(run(&["promote"]).status.code(), Some(2));
    assert_eq!(run(&["rollback", "--admin", "127.0.0.1:1"]).status.code(), Some(1));
}
