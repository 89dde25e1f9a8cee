//! `tidegate cache why` and `cache key`: what the keys of past exchanges and of cases are made of.

use crate::record::{CHAT, ask, kept, said};
use crate::support::bundle::{Bundled, root};
use crate::support::process;
use crate::support::service::{Service, chat, json};

fn gate(upstream: &Service) -> Bundled {
    Bundled::shipped(&format!(
        "[upstreams.up]\nurl = \"{}\"\n[[policies]]\nfile = \"identify.lua\"\n[[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n",
        upstream.url()
    ))
}

#[test]
fn two_past_exchanges_are_told_apart_by_their_parts() {
    let upstream = Service::saying(json(&chat("hi")));
    let gate = gate(&upstream);
    let body = |tide: &str| {
        let long = "tide ".repeat(60);
        format!(r#"{{"model":"m","temperature":1,"messages":[{{"role":"user","content":"{long}{tide}"}}]}}"#)
    };
    let mut talk = gate.talk();
    for (id, user, tide) in [("one-a", "ada", "ebb"), ("two-b", "ben", "flow"), ("three-c", "ada", "ebb")] {
        talk.post(CHAT, &[("X-Request-Id", id), ("X-User-Id", user)], &body(tide));
        kept(&gate, id);
    }
    let differ = ask(&gate, "cache", &["why", "one-a", "two-b"]);
    assert_eq!(differ.status.code(), Some(1));
    let text = String::from_utf8(differ.stdout).unwrap();
    for line in
        ["A  one-a  POST /v1/chat/completions", "scope\n  A  user:ada\n  B  user:ben", "messages[0].user\n  A  …"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("ebb\"\n") && text.contains("flow\"\n") && !text.contains("temperature"), "{text}");
    assert!(said(&ask(&gate, "cache", &["why", "one-a", "three-c"])).contains("one answer serves both"));
    let key = said(&ask(&gate, "cache", &["key", "one-a"]));
    assert!(
        key.contains("temperature              1\n") && key.contains("scope                    user:ada\n"),
        "{key}"
    );
    assert_eq!(ask(&gate, "cache", &["why", "one-a", "unknown"]).status.code(), Some(1));
}

#[test]
fn cases_are_compared_by_the_policies_of_a_bundle() {
    let case = |name: &str| root().join("tests/cases/cache").join(name).display().to_string();
    let bundle = root().join("policies").display().to_string();
    let why = |a: &str, b: &str| process::run(&["cache", "why", &case(a), &case(b), "--bundle", &bundle, "--json"]);
    let equal = why("claude_code.http", "claude_code.http:2");
    assert_eq!(equal.status.code(), Some(0), "{}", String::from_utf8_lossy(&equal.stdout));
    let differ = why("hit.http", "embeddings.http");
    assert_eq!(differ.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&differ.stdout).unwrap();
    assert_eq!(told["equal"], false);
    assert!(told["differences"].as_array().unwrap().iter().any(|one| one["part"] == "input"), "{told}");
}
