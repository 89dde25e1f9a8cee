//! A canary serves a share of the users, always the same ones, and gives it back by itself when it should.

use std::time::Instant;
use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, json as saying, say};
use crate::support::talk::Said;
use crate::support::until;

/// A policy that tells users by a header and marks answers with a word; `more` is further hooks.
fn marking(word: &str, more: &str) -> String {
    format!(
        "return policy {{ api = 1,\n  identify = function(req) return {{ user = req.headers:get(\"x-user\"), \
         evidence = \"{word}\" }} end,\n  on_response = function(res) res.headers:set(\"x-mark\", \"{word}\") end,\n  {more} }}\n"
    )
}

/// A gate that serves `one`, and the hash of `two`, which is kept.
fn gate(upstream: &Service, two: &str) -> (Bundled, String) {
    let gate = Bundled::policy(&upstream.url(), "", two);
    let hash = gate.on_disk().to_string();
    gate.save_live("p.lua", &marking("one", ""));
    (gate, hash)
}

fn promote(gate: &Bundled, hash: &str, wish: Value) -> Said {
    let mut wish = wish;
    wish["generation"] = json!(hash);
    gate.tell("/-/promote", &wish)
}

fn mark(gate: &Bundled, user: &str) -> String {
    gate.talk().get("/", &[("X-User", user)]).header("x-mark").unwrap_or("none").to_owned()
}

fn marks(gate: &Bundled) -> Vec<String> {
    (0..60).map(|number| mark(gate, &format!("user{number}"))).collect()
}

fn running(gate: &Bundled) -> Value {
    gate.status()["canary"]["running"].clone()
}

#[test]
fn a_share_of_the_users_is_served_always_the_same_ones() {
    let upstream = Service::saying(saying("{}"));
    let (gate, hash) = gate(&upstream, &marking("two", ""));
    assert_eq!(promote(&gate, &hash, json!({"percent": 50})).status, 200);
    let first = marks(&gate);
    let share = first.iter().filter(|mark| *mark == "two").count();
    assert!((15..45).contains(&share), "{first:?}");
    assert_eq!(marks(&gate), first);
    assert!(until(|| running(&gate)["canary"]["exchanges"] == 2 * share), "{:#}", gate.status());
    assert_eq!(running(&gate)["live"]["exchanges"], 2 * (60 - share));
    assert_eq!(promote(&gate, &hash, json!({"percent": 75})).status, 200);
    let more = marks(&gate);
    assert!(first.iter().zip(&more).all(|(before, after)| before == "one" || after == "two"), "who was in it stays");
    assert_eq!(gate.tell("/-/promote", &json!({"stop": true})).status, 200);
    assert!(marks(&gate).iter().all(|mark| mark == "one"));
    assert_eq!(gate.tell("/-/promote", &json!({"stop": true})).status, 409);
}

#[test]
fn the_whole_exchange_is_the_canarys_and_the_body_that_was_read_stays() {
    let upstream = Service::start(|heard, stream| say(stream, answer(200, &[], &heard.body)));
    let two = "return policy { api = 1,\n  identify = function(req) return { user = \"of two: \" .. req:text() } end,\n  \
               on_request = function(req, ctx) req.headers:set(\"x-who\", ctx.user) end }\n";
    let one = "return policy { api = 1,\n  identify = function(req) return { user = \"of one: \" .. req:text() } end,\n  \
               on_request = function(req, ctx) req.headers:set(\"x-who\", ctx.user) end }\n";
    let gate = Bundled::policy(&upstream.url(), "[forwarding]\ngeneration_header = true\n", two);
    let hash = gate.on_disk().to_string();
    gate.save_live("p.lua", one);
    assert_eq!(promote(&gate, &hash, json!({"percent": 100})).status, 200);
    let said = gate.talk().post("/", &[], "body");
    assert_eq!((said.text().as_str(), said.header("x-tidegate-generation")), ("body", Some(&*hash)));
    assert_eq!(upstream.heard()[0].header("x-who"), Some("of two: body"));
}

#[test]
fn a_hook_that_fails_gives_the_share_back_by_itself() {
    let upstream = Service::saying(saying("{}"));
    let failing = "on_request = function(req) if req.path == \"/bad\" then error(\"oh\") end end";
    let (gate, hash) = gate(&upstream, &marking("two", failing));
    let wish = json!({"percent": 100, "abort": "policy_errors>0 or p99>+20%"});
    assert_eq!(promote(&gate, &hash, wish).status, 200);
    assert_eq!(mark(&gate, "ann"), "two");
    let said = gate.talk().get("/bad", &[("X-Request-Id", "the-bad-one")]);
    assert_eq!(said.status, 500);
    assert_eq!(mark(&gate, "ann"), "one", "at once");
    let last = gate.status()["canary"]["last"].clone();
    assert_eq!(last["why"], "aborted: policy_errors>0: 1");
    assert_eq!(last["offended"], json!(["the-bad-one"]));
    assert_eq!(gate.gate.canary.offenders(), ["the-bad-one"]);
    assert_eq!(running(&gate), Value::Null);
}

#[test]
fn figures_are_looked_at_every_second() {
    let upstream = Service::start(|heard, stream| match heard.header("x-mine") {
        Some("two") => say(stream, answer(503, &[], "")),
        _ => say(stream, saying("{}")),
    });
    let failing = "on_request = function(req) req.headers:set(\"x-mine\", \"two\") end";
    let (gate, hash) = gate(&upstream, &marking("two", failing));
    let wish = json!({"percent": 100, "by": "ip", "abort": "errors>50%"});
    assert_eq!(promote(&gate, &hash, wish).status, 200);
    gate.talk().get("/", &[("X-Request-Id", "first-bad")]);
    let begun = Instant::now();
    assert!(until(|| gate.status()["canary"]["last"].is_object()), "{:#}", gate.status());
    assert!(begun.elapsed() < Duration::from_secs(3));
    let last = gate.status()["canary"]["last"].clone();
    assert_eq!(last["why"], "aborted: errors>50%: 100.0 % of 1");
    assert_eq!(last["offended"], json!(["first-bad"]));
    assert_eq!(gate.talk().get("/", &[]).status, 200);
}

#[test]
fn a_slower_generation_is_told_from_the_live_one() {
    let upstream = Service::start(|heard, stream| {
        if heard.header("x-mine") == Some("two") {
            thread::sleep(Duration::from_millis(40)); // paced: the upstream is slow for the canary
        }
        say(stream, saying("{}"))
    });
    let (gate, hash) =
        gate(&upstream, &marking("two", "on_request = function(req) req.headers:set(\"x-mine\", \"two\") end"));
    assert_eq!(promote(&gate, &hash, json!({"percent": 50, "abort": "p50>+100%"})).status, 200);
    let mut talk = gate.talk();
    let mut number = 0;
    assert!(
        until(|| {
            number += 1;
            talk.get("/", &[("X-User", &format!("user{number}"))]);
            running(&gate) == Value::Null
        }),
        "{:#}",
        gate.status()
    );
    let last = gate.status()["canary"]["last"].clone();
    assert!(last["why"].as_str().unwrap().starts_with("aborted: p50>+100%: "), "{last:#}");
    assert_eq!(last["offended"].as_array().unwrap().len(), 10);
    let ended = last["canary"]["exchanges"].as_u64().unwrap().min(last["live"]["exchanges"].as_u64().unwrap());
    assert!(ended >= 50, "{last:#}");
}

#[test]
fn a_save_that_goes_live_ends_the_canary() {
    let upstream = Service::saying(saying("{}"));
    let (gate, hash) = gate(&upstream, &marking("two", ""));
    assert_eq!(promote(&gate, &hash, json!({"percent": 100, "for": "1s"})).status, 200);
    assert_eq!(mark(&gate, "ann"), "two");
    assert!(until(|| running(&gate)["time_over"].is_string()), "{:#}", gate.status());
    assert_eq!(mark(&gate, "ann"), "two", "its share stays when its time is over");
    gate.save_live("p.lua", &marking("three", ""));
    assert_eq!(mark(&gate, "ann"), "three");
    assert_eq!(gate.status()["canary"]["last"]["why"], "another generation went live");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let upstream = Service::saying(saying("{}"));
    let (gate, hash) = gate(&upstream, &marking("two", ""));
    for (wish, said) in [
        (json!({"percent": 0}), "above 0, up to 100"),
        (json!({"percent": 101}), "above 0, up to 100"),
        (json!({"by": "user"}), "need `percent`"),
        (json!({"percent": 5, "by": "team"}), "not one of user, session, client, ip"),
        (json!({"percent": 5, "for": "soon"}), "`for`: `soon` is not a duration"),
        (json!({"percent": 5, "abort": "cost>1"}), "`cost` is not one of policy_errors"),
        (json!({"percent": 5, "stop": true}), "takes no generation"),
    ] {
        let answer = promote(&gate, &hash, wish);
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(said), "{} lacks {said}", answer.text());
    }
    assert_eq!(running(&gate), Value::Null);
}
