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

#[test]
fn each_field_of_a_case_says_what_it_does_to_the_key() {
    let case = root().join("tests/cases/cache/embeddings.http").display().to_string();
    let bundle = root().join("policies").display().to_string();
    let told = process::run(&["cache", "fields", &case, "--bundle", &bundle, "--json"]);
    let fields: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let parts = |name: &str| {
        let field = fields.as_array().unwrap().iter().find(|field| field["field"] == name);
        field.unwrap_or_else(|| panic!("no {name} in {fields}"))["parts"].clone()
    };
    assert_eq!((parts("input[1]"), parts("model")), (serde_json::json!(["input"]), serde_json::json!(["model"])));

    let folder = tempfile::TempDir::new().unwrap();
    let body = r#"{"model":"m","seed":4,"messages":[{"role":"user","content":"tide?"}],"mood":{"sea":"calm"}}"#;
    let case = format!(
        "# A.\n> client\nPOST {CHAT} HTTP/1.1\nHost: gate.test\ncontent-type: application/json\nx-boat: b1\n\n{body}\n\n< upstream up\nHTTP/1.1 200 OK\ncontent-type: application/json\n\n{{}}\n"
    );
    let lua = r#"local reading = parts { ignore = { "mood" } }
    return policy { api = 1, cache = function(req)
        if req:json().seed == 5 then return nil end
        return { key = req:parts(reading), ttl = 9 }
    end }"#;
    let settings = "[upstreams.up]\nurl = \"http://127.0.0.1:9\"\n[[policies]]\nfile = \"p.lua\"\n";
    for (name, text) in [("tidegate.toml", settings), ("p.lua", lua), ("a.http", &case)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let told = process::run(&["cache", "fields", &folder.path().join("a.http").display().to_string()]);
    let text = String::from_utf8(told.stdout).unwrap();
    for line in [
        "header x-boat        changes nothing",
        "model                changes gate.model",
        "seed                 otherwise nothing is kept",
        "messages[0].content  changes messages[0].user",
        "mood.sea             changes nothing",
    ] {
        assert!(text.contains(line), "{line}: {text} {}", String::from_utf8_lossy(&told.stderr));
    }
}
