//! Several gates over one Redis: what they share, and that nothing but a miss comes of losing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::support::bundle::Bundled;
use crate::support::redis::Server;
use crate::support::service::{Service, chat, chat_stream, chunked, json as answer, say};
use crate::support::talk::{Said, Talk};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// A gate with the shipped cache before an upstream, over a Redis.
fn gate(upstream: &Service, redis: &str, more: &str) -> Bundled {
    Bundled::shipped(&format!(
        "[redis]\nurl = \"{redis}\"\ntimeout = \"2s\"\n{more}\n[upstreams.up]\nurl = \"{}\"\n[[policies]]\n\
         file = \"identify.lua\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\nparams.tags = [\"night\"]\n",
        upstream.url()
    ))
}

/// The same, connected.
fn connected(upstream: &Service, redis: &str, more: &str) -> Bundled {
    let gate = gate(upstream, redis, more);
    assert!(until(|| is_up(&gate)), "{:#}", gate.status());
    gate
}

fn is_up(gate: &Bundled) -> bool {
    gate.status()["redis"]["up"] == true
}

fn ask(gate: &Bundled, model: &str) -> Said {
    gate.talk().post(CHAT, &[], &format!("{{\"model\":\"{model}\"}}"))
}

fn verdict(said: &Said) -> &str {
    said.header("x-cache").and_then(|told| told.split(';').next()).unwrap_or("none")
}

/// Waits until a gate wrote so many answers to Redis.
fn written(gate: &Bundled, count: u64) {
    let shown = || gate.status()["cache"]["redis"]["written"].as_u64();
    assert!(until(|| shown() == Some(count)), "{:#}", gate.status());
}

#[test]
fn what_one_gate_was_told_another_answers() {
    let stream = chat_stream(&["one", "two"]);
    let copy = stream.clone();
    let upstream = Service::start(move |heard, out| {
        if heard.json()["stream"] == true {
            say(out, chunked("text/event-stream", copy.as_bytes().chunks(13)))
        } else {
            say(out, answer(&chat("hi")))
        }
    });
    let redis = Server::start();
    let (one, other) = (connected(&upstream, &redis.url(), ""), connected(&upstream, &redis.url(), ""));
    let (first, streamed) = (ask(&one, "m"), one.talk().post(CHAT, &[], r#"{"model":"s","stream":true}"#));
    assert_eq!((verdict(&first), verdict(&streamed)), ("miss", "miss"));
    written(&one, 2);
    let (second, again) = (ask(&other, "m"), other.talk().post(CHAT, &[], r#"{"model":"s","stream":true}"#));
    assert_eq!((verdict(&second), second.text()), ("hit", first.text()));
    assert_eq!((verdict(&again), again.text()), ("hit", stream));
    assert_eq!(upstream.count(), 2);
    assert_eq!(verdict(&other.talk().post(CHAT, &[("X-User-Id", "ben")], r#"{"model":"m"}"#)), "miss");
    assert!(redis.keys("").iter().all(|key| key.starts_with("tidegate:")), "{:?}", redis.keys(""));
    let answers = redis.keys("tidegate:answer:");
    let left: u64 = redis.ask(&["TTL", &answers[0]]).parse().unwrap();
    assert!((1..=300).contains(&left), "{left}");
}

#[test]
fn a_purge_reaches_redis_and_the_other_gates_and_nothing_else() {
    let upstream = Service::saying(answer(&chat("hi")));
    let redis = Server::start();
    let (one, other) = (connected(&upstream, &redis.url(), ""), connected(&upstream, &redis.url(), ""));
    for foreign in ["tidegate:health:up/one", "tidegate:affinity:resp_1", "tidegate2:answer:x", "theirs"] {
        redis.ask(&["SET", foreign, "1"]);
    }
    ask(&one, "m");
    ask(&one, "n");
    written(&one, 2);
    assert_eq!((verdict(&ask(&other, "m")), verdict(&ask(&other, "n"))), ("hit", "hit"));
    let purged = one.tell("/-/cache/purge?model=m", &json!({})).json();
    assert_eq!(purged, json!({"memory": 1, "redis": 1, "purged": {"model": "m"}}));
    assert!(until(|| other.status()["cache"]["entries"] == 1), "{:#}", other.status());
    assert_eq!((verdict(&ask(&other, "n")), verdict(&ask(&other, "m"))), ("hit", "miss"));
    written(&other, 1);
    let purged = other.tell("/-/cache/purge", &json!({"tag": "night"})).json();
    assert_eq!((&purged["memory"], &purged["redis"]), (&json!(2), &json!(2)));
    assert!(until(|| one.status()["cache"]["entries"] == 0), "{:#}", one.status());
    assert!(redis.keys("tidegate:answer:").is_empty(), "{:?}", redis.keys(""));
    for foreign in ["tidegate:health:up/one", "tidegate:affinity:resp_1", "tidegate2:answer:x", "theirs"] {
        assert_eq!(redis.ask(&["GET", foreign]), "1", "{foreign}");
    }
    assert_eq!(one.tell("/-/cache/purge", &json!({})).status, 400);
}

#[test]
fn losing_redis_under_load_is_a_miss_and_coming_back_is_noticed() {
    let upstream = Service::start(|heard, out| say(out, answer(&chat(heard.json()["model"].as_str().unwrap()))));
    let mut redis = Server::start();
    let gates = [connected(&upstream, &redis.url(), ""), connected(&upstream, &redis.url(), "")];
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = gates
        .iter()
        .enumerate()
        .map(|(index, gate)| {
            let (address, over, asked) = (gate.address, Arc::clone(&over), Arc::clone(&asked));
            thread::spawn(move || {
                let mut talk = Talk::to(address);
                let mut slowest = Duration::ZERO;
                while !over.load(Ordering::Relaxed) {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    let model = format!("m{}", number / 3 + index);
                    let begun = Instant::now();
                    let said = talk.post(CHAT, &[], &format!("{{\"model\":\"{model}\"}}"));
                    slowest = slowest.max(begun.elapsed());
                    assert_eq!((said.status, said.text()), (200, chat(&model)), "never an error, nor another's answer");
                }
                slowest
            })
        })
        .collect();
    let some = |more: usize| {
        let from = asked.load(Ordering::Relaxed);
        assert!(until(|| asked.load(Ordering::Relaxed) >= from + more));
    };
    some(100);
    redis.kill();
    assert!(until(|| gates.iter().all(|gate| !is_up(gate))));
    some(100);
    assert!(gates[0].status()["redis"]["why"].is_string(), "{:#}", gates[0].status());
    redis.revive();
    assert!(until(|| gates.iter().all(is_up)), "{:#}", gates[0].status());
    some(100);
    over.store(true, Ordering::Relaxed);
    for client in clients {
        let slowest = client.join().unwrap();
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    }
    ask(&gates[0], "after");
    assert!(until(|| !redis.keys("tidegate:answer:").is_empty()));
    assert_eq!(gates[0].status()["redis"]["losses"], 1);
}

#[test]
fn a_redis_that_hangs_holds_up_few_exchanges_and_none_after_them() {
    let upstream = Service::saying(answer(&chat("hi")));
    let redis = Server::start();
    let gate = Bundled::shipped(&format!(
        "[redis]\nurl = \"{}\"\n[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
        redis.url(),
        upstream.url()
    ));
    assert!(until(|| is_up(&gate)));
    redis.freeze(true);
    assert!(until(|| !is_up(&gate)), "{:#}", gate.status());
    let begun = Instant::now();
    for number in 0..50 {
        assert_eq!(ask(&gate, &format!("m{number}")).status, 200);
    }
    // Fifty waits of 100 ms would take longer.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    redis.freeze(false);
    assert!(until(|| is_up(&gate)), "{:#}", gate.status());
}

#[test]
fn a_purge_while_redis_is_away_holds_when_it_is_back() {
    let upstream = Service::saying(answer(&chat("hi")));
    let redis = Server::start();
    let (one, other) = (connected(&upstream, &redis.url(), ""), connected(&upstream, &redis.url(), ""));
    ask(&one, "m");
    written(&one, 1);
    assert_eq!(verdict(&ask(&other, "m")), "hit");
    redis.freeze(true);
    assert!(until(|| !is_up(&one) && !is_up(&other)));
    let purged = one.tell("/-/cache/purge", &json!({"all": true})).json();
    assert_eq!(purged["redis"], "does not answer; it is told when it is back");
    assert_eq!(verdict(&ask(&other, "m")), "hit", "nobody could tell it yet");
    redis.freeze(false);
    assert!(until(|| is_up(&one) && is_up(&other)));
    assert!(until(|| other.status()["cache"]["entries"] == 0), "{:#}", other.status());
    assert!(until(|| redis.keys("tidegate:answer:").is_empty()));
    assert_eq!(verdict(&ask(&other, "m")), "miss");
}

#[test]
fn a_corrupt_answer_is_a_miss_that_is_counted_and_removed() {
    let upstream = Service::saying(answer(&chat("hi")));
    let redis = Server::start();
    let (one, other) = (connected(&upstream, &redis.url(), ""), connected(&upstream, &redis.url(), ""));
    ask(&one, "m");
    written(&one, 1);
    let key = redis.keys("tidegate:answer:").remove(0);
    redis.ask(&["SETRANGE", &key, "100", "torn"]);
    assert_eq!(verdict(&ask(&other, "m")), "miss");
    assert_eq!(other.status()["cache"]["redis"]["corrupt"], 1);
    redis.ask(&["DEL", &key]);
    redis.ask(&["LPUSH", &key, "a list"]);
    let third = connected(&upstream, &redis.url(), "");
    assert_eq!(verdict(&ask(&third, "m")), "miss");
    assert!(third.status()["redis"]["refused"].as_str().unwrap().contains("WRONGTYPE"), "{:#}", third.status());
    assert!(is_up(&third), "a refusal is no loss");
}

#[test]
fn a_wrong_password_is_a_line_in_status_that_does_not_tell_it() {
    let upstream = Service::saying(answer(&chat("hi")));
    let redis = Server::with(&["--requirepass", "right"], &["-a", "right", "--no-auth-warning"]);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("url");
    let place = format!("file:{}", file.display());
    for (password, up) in [("wrong", false), ("right", true)] {
        std::fs::write(&file, format!("redis://:{password}@127.0.0.1:{}/1", redis.port)).unwrap();
        let gate = gate(&upstream, &place, "");
        let known = || is_up(&gate) || gate.status()["redis"]["why"].is_string();
        assert!(until(known), "{:#}", gate.status());
        assert_eq!(is_up(&gate), up, "{:#}", gate.status());
        assert_eq!(ask(&gate, "m").status, 200);
        assert!(!gate.status().to_string().contains(password), "{:#}", gate.status());
    }
    assert!(until(|| redis.ask(&["-n", "1", "DBSIZE"]) != "0"), "the database of the address is used");
}

#[test]
fn redis_under_tls_is_trusted_by_its_certificate_only() {
    let upstream = Service::saying(answer(&chat("hi")));
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let redis = Server::under_tls(&cert, &key);
    let url = format!("rediss://localhost:{}", redis.port);
    let gate = connected(&upstream, &url, &format!("ca = \"{}\"", cert.display()));
    ask(&gate, "m");
    written(&gate, 1);
    assert_eq!(redis.keys("tidegate:answer:").len(), 1);
    let stranger = self::gate(&upstream, &url, "");
    assert!(until(|| stranger.status()["redis"]["why"].is_string()), "{:#}", stranger.status());
    assert!(!is_up(&stranger));
}

#[test]
fn a_cluster_of_three_is_one_store() {
    let upstream = Service::saying(answer(&chat("hi")));
    let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let nodes: Vec<Server> = (0..3).map(|_| Server::with(&options, &[])).collect();
    let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    nodes[0].ask(&[&["--cluster", "create"], &addresses[..], &["--cluster-yes"]].concat());
    assert!(until(|| nodes.iter().all(|node| node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))));
    let urls = nodes.iter().map(Server::url).collect::<Vec<_>>().join(",");
    let (one, other) = (connected(&upstream, &urls, ""), connected(&upstream, &urls, ""));
    for number in 0..12 {
        ask(&one, &format!("m{number}"));
    }
    written(&one, 12);
    let held: Vec<usize> = nodes.iter().map(|node| node.keys("tidegate:answer:").len()).collect();
    assert_eq!((held.iter().sum::<usize>(), held.iter().all(|count| *count > 0)), (12, true), "{held:?}");
    for number in 0..12 {
        assert_eq!(verdict(&ask(&other, &format!("m{number}"))), "hit");
    }
    assert_eq!(one.tell("/-/cache/purge", &json!({"all": true})).json()["redis"], 12);
    assert!(until(|| other.status()["cache"]["entries"] == 0), "{:#}", other.status());
}
