//! What is kept as HTTP says, beside memory: on disk over a restart, in the Redis that gates share, and purged everywhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bundle::{Bundled, copy, root};
use crate::support::redis::Server;
use crate::support::service::{Heard, Service, answer, say};
use crate::support::talk::Said;
use crate::support::until;

const HOUR: (&str, &str) = ("Cache-Control", "max-age=3600");

/// An upstream whose answers are fresh for an hour, one for each language.
fn upstream() -> Service {
    Service::start(|heard: &Heard, stream| {
        let language = heard.header("accept-language").unwrap_or("none");
        let body = format!("high tide in {language}");
        say(stream, answer(200, &[HOUR, ("Vary", "Accept-Language"), ("Content-Language", language)], body))
    })
}

/// A folder with the shipped policies and these settings before an upstream.
fn bundle(upstream: &Service, settings: &str, params: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    copy(&root().join("policies"), folder.path());
    let settings = format!(
        "{settings}\n[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"http_cache.lua\"\n{params}\n",
        upstream.url()
    );
    fs::write(folder.path().join("tidegate.toml"), settings).unwrap();
    folder
}

fn serve(folder: &TempDir) -> Bundled {
    Bundled::following(folder.path(), tidegate::bundle::SETTLE)
}

/// Serves the folder again; one that still lets go of its disk is not waited for by the next.
fn again(folder: &TempDir, entries: u64) -> Bundled {
    let mut gate = None;
    let started = || {
        gate = Some(serve(folder)).filter(|gate| {
            let disk = &gate.status()["cache"]["disk"];
            disk["why"].is_null() && until(|| gate.status()["cache"]["disk"]["entries"] == entries)
        });
        gate.is_some()
    };
    assert!(until(started));
    gate.unwrap()
}

/// A gate over a Redis, connected.
fn over(redis: &Server, upstream: &Service, params: &str) -> Bundled {
    let settings = format!("[redis]\nurl = \"{}\"\ntimeout = \"2s\"\n", redis.url());
    let folder = bundle(upstream, &settings, params);
    let text = fs::read_to_string(folder.path().join("tidegate.toml")).unwrap();
    let gate = Bundled::shipped(&text);
    assert!(until(|| gate.status()["redis"]["up"] == true), "{:#}", gate.status());
    gate
}

/// What the cache did, in a word or two.
fn told(said: &Said) -> &str {
    let told = said.header("cache-status").and_then(|text| text.strip_prefix("tidegate; ")).unwrap_or("nothing");
    told.split("; ttl").next().unwrap_or_default()
}

fn get(gate: &Bundled, path: &str, language: &str) -> Said {
    gate.talk().get(path, &[("Accept-Language", language)])
}

/// Asks, and tells whether it was kept.
fn hits(gate: &Bundled, path: &str, language: &str) -> bool {
    let said = get(gate, path, language);
    assert_eq!((said.status, said.text()), (200, format!("high tide in {language}")));
    told(&said) == "hit"
}

fn shown(gate: &Bundled, store: &str, what: &str, count: u64) {
    let is = || gate.status()["cache"][store][what].as_u64();
    assert!(until(|| is() == Some(count)), "{store} {what} {:#}", gate.status());
}

/// The files of the store on disk.
fn files(folder: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    below(folder.join(".tidegate/cache")).filter(|path| path.is_dir()).flat_map(below).collect()
}

#[test]
fn a_restart_keeps_what_http_keeps() {
    let upstream = upstream();
    let folder = bundle(&upstream, "[cache]\ndisk = \"1MiB\"", "");
    let gate = serve(&folder);
    let first = get(&gate, "/a", "de");
    assert_eq!(told(&first), "fwd=uri-miss; stored");
    assert!(!hits(&gate, "/a", "en"));
    shown(&gate, "disk", "written", 2);
    drop(gate);
    let gate = again(&folder, 1);
    let second = get(&gate, "/a", "de");
    assert_eq!((told(&second), second.text()), ("hit", first.text()));
    assert!(second.header("age").is_some() && second.header("content-language") == Some("de"), "{}", second.head);
    assert!(hits(&gate, "/a", "en"), "the other variant too");
    assert_eq!((upstream.count(), gate.status()["http_cache"]["urls"].clone()), (2, json!(1)));
    // What is changed is forgotten on disk too.
    assert_eq!(gate.talk().post("/a", &[], "x").status, 200);
    assert!(until(|| files(folder.path()).is_empty()));
    drop(gate);
    assert!(!hits(&again(&folder, 0), "/a", "de"));
}

#[test]
fn a_corrupt_file_of_what_http_keeps_is_a_miss() {
    let upstream = upstream();
    let folder = bundle(&upstream, "[cache]\ndisk = \"1MiB\"", "");
    let gate = serve(&folder);
    assert!(!hits(&gate, "/a", "de"));
    shown(&gate, "disk", "entries", 1);
    drop(gate);
    let file = files(folder.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let gate = again(&folder, 1);
    assert!(!hits(&gate, "/a", "de"));
    assert!(hits(&gate, "/a", "de"));
    assert_eq!(gate.status()["cache"]["disk"]["corrupt"], 1);
}

#[test]
fn a_purge_reaches_what_http_keeps_by_key_tag_user_and_all() {
    let upstream = upstream();
    let folder = bundle(&upstream, "[cache]\ndisk = \"1MiB\"", "[[policies]]\nfile = \"own.lua\"");
    let own = r#"return policy {
  api = 1,
  identify = function(req) return { user = req.headers:get("x-user"), evidence = "header" } end,
  cache = function(req) return { http = true, scope = "user", tags = { req.headers:get("x-tag") } } end,
}"#;
    fs::write(folder.path().join("own.lua"), own).unwrap();
    let settings = fs::read_to_string(folder.path().join("tidegate.toml")).unwrap();
    fs::write(folder.path().join("tidegate.toml"), settings.replace("[[policies]]\nfile = \"http_cache.lua\"\n", ""))
        .unwrap();
    let gate = serve(&folder);
    let hits = |user: &str| {
        let said = gate.talk().get("/a", &[("X-User", user), ("X-Tag", &format!("of {user}"))]);
        told(&said) == "hit"
    };
    let purge = |wish: &Value| gate.tell("/-/cache/purge", wish).json();
    let counts = |purged: &Value| ["http", "disk"].map(|store| purged[store].as_u64().unwrap_or_default());
    assert!(!hits("ann"));
    shown(&gate, "disk", "entries", 1);
    let key = files(folder.path())[0].file_name().unwrap().to_str().unwrap().to_owned();
    assert!(!hits("ben") && !hits("cleo") && !hits("dora"));
    shown(&gate, "disk", "entries", 4);
    let gone = [(json!({"key": key}), "ann"), (json!({"tag": "of ben"}), "ben"), (json!({"user": "cleo"}), "cleo")];
    for (wish, user) in &gone {
        assert!(hits(user), "{user}");
        assert_eq!(counts(&purge(wish)), [1, 1], "{wish}");
        assert!(hits("dora"), "nobody else's: {wish}");
    }
    assert!(gone.iter().all(|(_, user)| !hits(user)));
    shown(&gate, "disk", "entries", 4);
    assert_eq!(counts(&purge(&json!({"model": "m"}))), [0, 0]);
    assert_eq!(counts(&purge(&json!({"all": true}))), [4, 4]);
    assert!(!hits("dora"));
}

#[test]
fn gates_share_what_http_keeps_and_forget_it_together() {
    let (upstream, redis) = (upstream(), Server::start());
    let start = || over(&redis, &upstream, "params.tags = [\"night\"]");
    let (one, other) = (start(), start());
    assert!(!hits(&one, "/a", "de"));
    shown(&one, "redis", "written", 1);
    assert!(hits(&other, "/a", "de"));
    assert!(!hits(&other, "/a", "en"));
    shown(&other, "redis", "written", 1);
    assert!(hits(&one, "/a", "en"), "a variant that another gate has");
    assert!(hits(&one, "/a", "de"), "and its own");
    assert_eq!(upstream.count(), 2);
    // A change through one gate.
    assert_eq!(one.talk().post("/a", &[], "x").status, 200);
    assert!(until(|| other.status()["http_cache"]["urls"] == 0), "{:#}", other.status());
    assert!(until(|| redis.keys("tidegate:answer:").is_empty()));
    assert!(!hits(&other, "/a", "de"));
    shown(&other, "redis", "written", 2);
    assert!(hits(&one, "/a", "de"));
    // A purge through one gate.
    let purged = one.tell("/-/cache/purge", &json!({"tag": "night"})).json();
    assert_eq!((&purged["http"], &purged["redis"]), (&json!(1), &json!(1)));
    assert!(until(|| other.status()["http_cache"]["urls"] == 0));
    assert!(!hits(&other, "/a", "de"));
}

#[test]
fn losing_redis_and_what_is_torn_there_is_a_miss_of_what_http_keeps() {
    let (upstream, mut redis) = (upstream(), Server::start());
    let (one, other) = (over(&redis, &upstream, ""), over(&redis, &upstream, ""));
    assert!(!hits(&one, "/a", "de") && !hits(&one, "/b", "de"));
    shown(&one, "redis", "written", 2);
    let keys = redis.keys("tidegate:answer:");
    for key in &keys {
        redis.ask(&["SETRANGE", key, "60", "torn"]);
    }
    assert!(!hits(&other, "/a", "de"));
    assert_eq!(other.status()["cache"]["redis"]["corrupt"], 1);
    redis.kill();
    let up = |gate: &Bundled| gate.status()["redis"]["up"] == true;
    assert!(until(|| !up(&one) && !up(&other)));
    assert!(hits(&one, "/a", "de") && hits(&other, "/a", "de"), "each by its own memory");
    assert!(!hits(&other, "/c", "de") && hits(&other, "/c", "de") && !hits(&one, "/c", "de"));
    redis.revive();
    assert!(until(|| up(&one) && up(&other)));
    assert!(!hits(&one, "/d", "de"));
    assert!(until(|| redis.keys("tidegate:answer:").len() == 1));
    assert!(hits(&other, "/d", "de"));
}

#[test]
fn what_was_changed_while_redis_was_away_does_not_come_back_with_it() {
    let (upstream, redis) = (upstream(), Server::start());
    let (one, other) = (over(&redis, &upstream, ""), over(&redis, &upstream, ""));
    assert!(!hits(&one, "/a", "de"));
    shown(&one, "redis", "written", 1);
    assert!(hits(&other, "/a", "de"));
    redis.freeze(true);
    let up = |gate: &Bundled| gate.status()["redis"]["up"] == true;
    assert!(until(|| !up(&one) && !up(&other)));
    assert_eq!(one.talk().post("/a", &[], "x").status, 200);
    redis.freeze(false);
    assert!(until(|| up(&one) && up(&other)));
    assert!(until(|| redis.keys("tidegate:answer:").is_empty()));
    assert!(!hits(&one, "/a", "de"));
}
