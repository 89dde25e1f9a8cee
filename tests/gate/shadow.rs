//! A staged generation decides on what the live one serves, without any effect and within its allowance.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tidegate::bundle::SETTLE;

use crate::record::{ask, said};
use crate::support::bundle::{Bundled, accept};
use crate::support::service::{Service, json as saying};
use crate::support::until;

/// Counts and limits, stores, calls another service, and marks what goes on; `work` is what it costs.
fn policy(word: &str, work: &str) -> String {
    format!(
        "return policy {{ api = 1, on_request = function(req)\n  local n = store:incr(\"n\", 1)\n  \
         local take = limit.take(\"k\", {{ rate = 1, per = 3600, burst = 1000 }})\n  {work}\n  \
         local res = upstream.call(\"side\", {{ path = \"/side\" }})\n  \
         req.headers:set(\"x-mark\", \"{word} \" .. n .. \" \" .. math.floor(take.remaining) .. \" \" .. res.status)\nend }}\n"
    )
}

/// A gate whose changes are reviewed, with a staged one: its upstream and the service beside it.
fn gate(settings: &str, work: &str) -> (Service, Service, TempDir, Bundled) {
    let (upstream, side) = (Service::saying(saying("{}")), Service::saying(saying("{}")));
    let folder = TempDir::new().unwrap();
    let text = format!(
        "go_live = \"reviewed\"\n{settings}\n[upstreams.up]\ndefault = true\nurl = \"{}\"\n[upstreams.side]\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n",
        upstream.url(),
        side.url()
    );
    fs::write(folder.path().join("tidegate.toml"), text).unwrap();
    fs::write(folder.path().join("p.lua"), policy("one", "")).unwrap();
    accept(folder.path(), true, &[]);
    let gate = Bundled::following(folder.path(), SETTLE);
    gate.save("p.lua", &policy("two", work));
    let hash = gate.on_disk().to_string();
    assert!(until(|| gate.status()["staged"]["hash"] == hash.as_str()), "{:#}", gate.status());
    (upstream, side, folder, gate)
}

fn shadow(gate: &Bundled) -> Value {
    gate.status()["shadow"].clone()
}

#[test]
fn what_a_staged_generation_would_do_otherwise_shows_in_status_and_nowhere_else() {
    let (upstream, side, _folder, gate) = gate("shadow = true\nshadow_percent = 100", "");
    let hash = gate.on_disk().to_string();
    assert!(until(|| shadow(&gate)["hash"] == hash.as_str()), "{:#}", gate.status());
    let mut talk = gate.talk();
    for _ in 0..10 {
        talk.get("/", &[]);
    }
    assert!(until(|| shadow(&gate)["compared"] == 10), "{:#}", gate.status());
    let told = shadow(&gate);
    assert_eq!((&told["changed"], &told["missed"], told["hash"].as_str()), (&10.into(), &0.into(), Some(&*hash)));
    let changed: Vec<&str> = told["aspects"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|aspect| aspect["count"] != 0)
        .map(|aspect| aspect["aspect"].as_str().unwrap())
        .collect();
    assert_eq!(changed, ["upstream bytes"], "{told:#}");
    let text = said(&ask(&gate, "status", &[]));
    assert!(text.contains("shadow    of 10 exchanges 10 would change (0 were not looked at)"), "{text}");
    let such_as = told["aspects"][3]["changes"][0]["such_as"].as_str().unwrap();
    let text = said(&ask(&gate, "explain", &[such_as, "--with", &hash]));
    assert!(text.contains("+    x-mark: two "), "{text}");

    assert_eq!((upstream.count(), side.count()), (10, 10), "nobody was asked twice");
    assert_eq!((upstream.connections(), side.connections() <= 2), (1, true));
    talk.get("/", &[]);
    let mark = upstream.heard()[10].header("x-mark").unwrap().to_owned();
    assert_eq!(mark, "one 11 989 200", "neither the live store nor the live limit was touched");
    assert!(gate.metrics().contains("tidegate_exchange_seconds_count 1"), "{}", gate.metrics());
}

#[test]
fn without_the_setting_nothing_is_played() {
    let (_upstream, _side, _folder, gate) = gate("", "");
    gate.talk().get("/", &[]);
    assert!(until(|| gate.gate.tapes.size().0 == 1));
    std::thread::sleep(Duration::from_millis(600)); // paced: two looks of a shadow that runs would pass
    assert_eq!(shadow(&gate), Value::Null);
}

#[test]
fn the_allowance_bounds_the_time_and_what_passes_unplayed_is_counted() {
    let work = "local x = 0 for i = 1, 300000 do x = x + i % 7 end";
    let (_upstream, _side, _folder, gate) = gate("shadow = true\nshadow_percent = 1\n[record]\nexchanges = 5", work);
    assert!(until(|| shadow(&gate).is_object()));
    let mut talk = gate.talk();
    for _ in 0..60 {
        talk.get("/", &[]);
    }
    let begun = Instant::now();
    assert!(until(|| shadow(&gate)["missed"].as_u64().unwrap() > 0), "{:#}", gate.status());
    let told = shadow(&gate);
    let played = told["compared"].as_u64().unwrap();
    let allowed = begun.elapsed().as_millis() / 100 + 20;
    assert!(u128::from(played) <= allowed, "{played} plays of some milliseconds in {:?}: {told:#}", begun.elapsed());
}

#[test]
fn what_it_saw_goes_with_the_staged_generation() {
    let (_upstream, _side, folder, gate) = gate("shadow = true\nshadow_percent = 100", "");
    gate.talk().get("/", &[]);
    gate.save("p.lua", &policy("three", ""));
    let hash = gate.on_disk().to_string();
    assert!(until(|| shadow(&gate)["hash"] == hash.as_str()), "{:#}", gate.status());
    assert_eq!(shadow(&gate)["compared"], 0, "the other one was seen of it: nothing");
    accept(folder.path(), true, &[]);
    assert!(until(|| shadow(&gate).is_null()), "{:#}", gate.status());
}
