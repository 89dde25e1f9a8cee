//! What policies do beyond their exchange: calls of their own, work afterwards, periodic work.

use std::time::{Duration, Instant};

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, json, nobody, say, stall};
use crate::support::until;

#[test]
fn a_policy_may_call_an_upstream() {
    let other = Service::saying(json(r#"{"allowed": true}"#));
    let upstream = Service::saying(json("{}"));
    let settings = format!(
        "[upstreams.other]\nurl = \"{}/api\"\nheaders = {{ authorization = \"Bearer its-own\" }}\n[upstreams.gone]\nurl = \"http://{}\"\n[upstreams.up]\ndefault = true\nurl = \"{}\"\n[[policies]]\nfile = \"p.lua\"\n",
        other.url(),
        nobody(),
        upstream.url()
    );
    let lua = r#"return policy { api = 1, on_request = function(req)
      local res = upstream.call("other", { path = "/check", json = { user = "anna" } })
      local missing, why = upstream.call("gone")
      local unknown, what = upstream.call("unknown")
      return respond { json = { allowed = res:json().allowed, status = res.status, missing = tostring(missing), why = why.code, what = what.code } }
    end }"#;
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    let said = gate.talk().get("/", &[]).json();
    assert_eq!(
        said,
        serde_json::json!({"allowed": true, "status": 200, "missing": "nil", "why": "connect", "what": "no_upstream"})
    );
    let heard = &other.heard()[0];
    assert_eq!((heard.target(), heard.header("authorization")), ("/api/check", Some("Bearer its-own")));
    assert_eq!(heard.json()["user"], "anna");
}

#[test]
fn a_policy_fetches_only_what_the_settings_allow() {
    let other = Service::saying(json("{}"));
    let upstream = Service::saying(json("{}"));
    let settings = format!("[fetch]\nallow = [\"{}/open\"]\n", other.url());
    let lua = r#"return policy { api = 1, on_request = function(req)
      local res, why = http.fetch(req.headers:get("x-url"))
      return respond { text = if res then `got {res.status}` else why.code }
    end }"#;
    let gate = Bundled::policy(&upstream.url(), &settings, lua);
    let mut talk = gate.talk();
    let mut fetch = |url: String| talk.get("/", &[("x-url", &url)]).text();
    assert_eq!(fetch(format!("{}/open/door", other.url())), "got 200");
    for url in [
        format!("{}/closed", other.url()),
        format!("{}/opener", other.url()),
        format!("{}/open/../closed", other.url()),
        format!("{}/open", upstream.url()),
        other.url().replace("http://", "http://user@") + "/open",
        "file:///etc/passwd".to_owned(),
        "not a url".to_owned(),
    ] {
        assert_eq!(fetch(url.clone()), "not_allowed", "{url}");
    }
    assert_eq!((other.count(), upstream.count()), (1, 0));
}

#[test]
fn a_call_ends_with_its_own_deadline() {
    let slow = Service::start(|_, stream| stall(stream));
    let lua = r#"return policy { api = 1, on_request = function()
      local _, why = upstream.call("up", { timeout = 0.05 })
      return respond { text = why.code }
    end }"#;
    let gate = Bundled::policy(&slow.url(), "", lua);
    let begun = Instant::now();
    assert_eq!(gate.talk().get("/", &[]).text(), "timeout");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn work_left_for_after_the_response_does_not_hold_the_client_up() {
    let (go, told) = std::sync::mpsc::channel::<()>();
    let told = parking_lot::Mutex::new(told);
    let upstream = Service::start(move |heard, stream| {
        if heard.target() == "/after" {
            told.lock().recv().unwrap();
        }
        say(stream, json("{}"))
    });
    let lua = r#"return policy { api = 1, on_request = function(_req, ctx)
      ctx:after_response(function()
        upstream.call("up", { path = "/after" })
        store:set("done", true)
      end)
    end,
    on_response = function(res) res.headers:set("x-done", tostring(store:get("done"))) end }"#;
    let gate = Bundled::policy(&upstream.url(), "", lua);
    let mut talk = gate.talk();
    assert_eq!(talk.get("/", &[]).header("x-done"), Some("nil"));
    assert!(until(|| upstream.heard().iter().any(|heard| heard.target() == "/after")));
    go.send(()).unwrap();
    drop(go);
    assert!(until(|| gate.gate.state.store.get("policy:p", "done").is_some()), "the work is done after the answer");
}

#[test]
fn periodic_work_runs_once_per_period_in_the_whole_process() {
    let upstream = Service::saying(answer(200, &[], ""));
    let lua = r#"return policy { api = 1, background = {
      { name = "tick", every = 1, run = function() upstream.call("up", { path = "/tick" }) end },
    } }"#;
    let begun = Instant::now();
    let gate = Bundled::policy(&upstream.url(), "", lua);
    assert!(until(|| upstream.count() >= 2));
    let elapsed = begun.elapsed();
    assert!(elapsed > Duration::from_millis(1800), "twice within {elapsed:?}: each worker would have made its own");
    drop(gate);
}
