//! What gates over one Redis tell each other of endpoints: which are left alone, and where answers were made that requests
//! refer to. Without Redis each goes on by what it knows itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::bundle::{Bundled, tell};
use crate::support::redis::Server;
use crate::support::service::{Service, answer, chat, json as whole, say};
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// A gate whose first endpoint is asked before the other, with the shipped failover, over a Redis; connected.
fn gate(first: &Service, other: &Service, redis: &Server, settings: &str) -> Bundled {
    let gate = Bundled::shipped(&format!(
        "[redis]\nurl = \"{}\"\ntimeout = \"2s\"\n[upstreams.up]\nendpoints = [{{ name = \"a\", url = \"{}\" }}, {{ name = \
         \"b\", url = \"{}\", weight = 0 }}]\n{settings}\n[[policies]]\nfile = \"failover.lua\"\n",
        redis.url(),
        first.url(),
        other.url()
    ));
    assert!(until(|| is_up(&gate)), "{:#}", gate.status());
    gate
}

fn is_up(gate: &Bundled) -> bool {
    gate.status()["redis"]["up"] == true
}

/// A service that fails while it is told to.
fn fails_while(failing: &Arc<AtomicBool>) -> Service {
    let failing = Arc::clone(failing);
    Service::start(move |_, stream| {
        let fails = failing.load(Ordering::SeqCst);
        say(stream, if fails { answer(500, &[], "bad") } else { whole(&chat("well")) })
    })
}

fn ask(gate: &Bundled, times: usize) {
    let mut talk = gate.talk();
    for _ in 0..times {
        assert_eq!(talk.post(CHAT, &[], "{}").status, 200);
    }
}

/// What a gate knows of its first endpoint.
fn first(gate: &Bundled) -> Value {
    gate.status()["upstreams"][0]["endpoints"][0].clone()
}

fn becomes(gate: &Bundled, state: &str) {
    assert!(until(|| first(gate)["state"] == state), "not {state}: {:#}", first(gate));
}

#[test]
fn an_endpoint_that_fails_at_one_gate_is_left_alone_by_all_until_it_is_closed_at_one() {
    let failing = Arc::new(AtomicBool::new(true));
    let (bad, good, redis) = (fails_while(&failing), Service::saying(whole(&chat("good"))), Server::start());
    let start = || gate(&bad, &good, &redis, "breaker.open = \"5m\"");
    let (one, other) = (start(), start());
    ask(&one, 10);
    assert_eq!(bad.count(), 5);
    becomes(&other, "open");
    ask(&other, 10);
    assert_eq!((bad.count(), &first(&other)["failed"]), (5, &json!(0)), "without a failure of its own");
    let later = start();
    becomes(&later, "open");
    ask(&later, 10);
    assert_eq!(bad.count(), 5);
    failing.store(false, Ordering::SeqCst);
    assert_eq!(tell(other.admin, "/-/health/reset?upstream=up", &json!({})).status, 200);
    for gate in [&one, &later] {
        becomes(gate, "closed");
        ask(gate, 1);
    }
    assert_eq!(bad.count(), 7);
    assert_eq!(first(&start())["state"], "closed");
}

#[test]
fn an_endpoint_that_proves_itself_at_one_gate_is_well_at_all() {
    let failing = Arc::new(AtomicBool::new(true));
    let (bad, good, redis) = (fails_while(&failing), Service::saying(whole(&chat("good"))), Server::start());
    let start = || gate(&bad, &good, &redis, "breaker = { open = \"1s\", longest = \"1s\" }");
    let (one, other) = (start(), start());
    ask(&one, 5);
    becomes(&other, "open");
    failing.store(false, Ordering::SeqCst);
    becomes(&one, "half-open");
    ask(&one, 2);
    becomes(&one, "closed");
    becomes(&other, "closed");
    assert_eq!(first(&other)["total"], 0, "it asked nobody");
}

#[test]
fn without_redis_each_gate_goes_on_alone_and_tells_what_stands_when_it_is_back() {
    let failing = Arc::new(AtomicBool::new(true));
    let (bad, good, mut redis) = (fails_while(&failing), Service::saying(whole(&chat("good"))), Server::start());
    let start = |redis: &Server| gate(&bad, &good, redis, "breaker.open = \"5m\"");
    let (one, other) = (start(&redis), start(&redis));
    redis.kill();
    assert!(until(|| !is_up(&one) && !is_up(&other)));
    ask(&one, 10);
    becomes(&one, "open");
    ask(&other, 2);
    let state = first(&other);
    assert_eq!((&state["state"], &state["failed"]), (&json!("closed"), &json!(2)), "it has to see for itself");
    redis.revive();
    becomes(&other, "open");
    becomes(&start(&redis), "open");
    assert_eq!((first(&other)["failed"].clone(), bad.count()), (json!(2), 7));
}

#[test]
fn an_endpoint_that_closed_while_redis_was_away_is_not_opened_by_what_was_posted_before() {
    let failing = Arc::new(AtomicBool::new(true));
    let (bad, good, redis) = (fails_while(&failing), Service::saying(whole(&chat("good"))), Server::start());
    let start = || gate(&bad, &good, &redis, "breaker.open = \"5m\"");
    let (one, other) = (start(), start());
    ask(&one, 5);
    becomes(&other, "open");
    redis.freeze(true);
    assert!(until(|| !is_up(&one) && !is_up(&other)));
    assert_eq!(tell(one.admin, "/-/health/reset", &json!({})).status, 200);
    assert_eq!((&first(&one)["state"], &first(&other)["state"]), (&json!("closed"), &json!("open")));
    redis.freeze(false);
    assert!(until(|| is_up(&one) && is_up(&other)));
    becomes(&other, "closed");
    assert_eq!(first(&start())["state"], "closed");
    assert_eq!(first(&one)["state"], "closed");
}
