//! What makes a canary go back becomes a case that the next review of it fails by.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::record::cases;
use crate::support::bundle::{Bundled, copy};
use crate::support::process;
use crate::support::service::{Service, json as saying};
use crate::support::until;

/// A policy that fails for one path when it is the new one.
fn policy(failing: &str) -> String {
    format!(
        "return policy {{ api = 1,\n  identify = function(req) return {{ user = req.headers:get(\"x-user\") }} end,\n  \
         on_request = function(req, ctx)\n    ctx.vars.bad = req.path == \"/bad\"\n  end,\n  \
         on_response = function(res, ctx)\n    if ctx.vars.bad then {failing} end\n  end }}\n"
    )
}

#[test]
fn the_request_that_offended_is_a_case_that_fails_in_review() {
    let upstream = Service::saying(saying("{\"ok\":true}"));
    let gate = Bundled::policy(&upstream.url(), "", &policy("error(\"oh\")"));
    let hash = gate.on_disk().to_string();
    gate.save_live("p.lua", &policy("return"));
    let wish = json!({"generation": hash, "percent": 100, "by": "ip", "abort": "policy_errors>0"});
    assert_eq!(gate.tell("/-/promote", &wish).status, 200);
    let mut talk = gate.talk();
    assert_eq!(talk.get("/fine", &[]).status, 200);
    let bad = [("X-Request-Id", "the-bad-one"), ("Authorization", "Bearer sk-proj-bad0bad0bad0bad0bad0bad0b")];
    assert_eq!(talk.get("/bad", &bad).status, 502);
    assert_eq!(talk.get("/bad", &[]).status, 200, "the live one serves again");
    assert_eq!(gate.status()["canary"]["last"]["offended"], json!(["the-bad-one"]));

    assert!(until(|| cases(&gate).len() == 1), "nothing was saved");
    let path = cases(&gate).remove(0);
    let snapshot = gate.file("snapshots/recorded").join(path.file_name().unwrap()).with_extension("snap");
    assert!(until(|| snapshot.exists()));
    let (case, pinned) = (fs::read_to_string(&path).unwrap(), fs::read_to_string(&snapshot).unwrap());
    assert!(case.contains("GET /bad HTTP/1.1") && !case.contains("bad0bad0"), "{case}");
    assert!(pinned.contains("GET /bad HTTP/1.1") && pinned.contains("ended: done"), "what the live one does: {pinned}");

    let bundle = gate.file("");
    let review = |folder: &str| process::run(&["review", folder, "--ci"]);
    let test = process::run(&["test", bundle.to_str().unwrap()]);
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stdout));
    let other = TempDir::new().unwrap();
    copy(&bundle, other.path());
    fs::write(other.path().join("p.lua"), policy("error(\"oh\")")).unwrap();
    let output = review(other.path().to_str().unwrap());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("recorded/client-bad-") && text.contains("+ended: policy_error"), "{text}");
}

#[test]
fn an_exchange_that_was_not_recorded_is_given_up() {
    let upstream = Service::saying(saying("{}"));
    let gate = Bundled::policy(&upstream.url(), "[record]\nexchanges = 0\n", &policy("error(\"oh\")"));
    let hash = gate.on_disk().to_string();
    gate.save_live("p.lua", &policy("return"));
    let wish = json!({"generation": hash, "percent": 100, "by": "ip", "abort": "policy_errors>0"});
    assert_eq!(gate.tell("/-/promote", &wish).status, 200);
    assert_eq!(gate.talk().get("/bad", &[]).status, 502);
    assert!(until(|| gate.status()["canary"]["last"].is_object()));
    assert!(cases(&gate).is_empty());
}
