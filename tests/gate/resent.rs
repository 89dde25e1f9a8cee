//! A request that met a kept connection which its endpoint had closed is sent again on a new one. That is one attempt, and
//! each time that it is sent counts.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, say};
use crate::support::until;

const POLICY: &str = r#"return policy { api = 1,
  on_log = function(exchange)
    for _, attempt in exchange.attempts do store:incr(if attempt.resent then "resent" else "once", 1) end
  end,
  endpoints = {
    ["GET /seen"] = function() return respond { text = `{store:get("once")} {store:get("resent")}` } end,
  },
}"#;

/// An upstream that answers once on each connection, and closes it under the next request.
fn forgetful() -> Service {
    let seen = Mutex::new(HashSet::new());
    Service::start(move |heard, stream| seen.lock().insert(heard.connection) && say(stream, answer(200, &[], "yes")))
}

#[test]
fn each_request_that_reached_an_endpoint_is_counted() {
    // What is at hand, what is raced, and what is passed on as it comes.
    let ways = [("", "x"), ("hedge = { after = \"1m\" }", "x"), ("", &*"x".repeat(20_000))];
    for (settings, body) in ways {
        let upstream = forgetful();
        let settings =
            format!("[upstreams.up]\nurl = \"{}\"\n{settings}\n[[policies]]\nfile = \"p.lua\"\n", upstream.url());
        let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", POLICY)]);
        let mut talk = gate.talk();
        for _ in 0..6 {
            assert_eq!(talk.post("/v1/chat/completions", &[], body).status, 200);
        }
        // A request that comes before the last connection is kept takes a new one, and is sent once.
        let resent = upstream.count() - 6;
        assert!(resent > 0, "{settings}");
        let endpoint = format!("upstream=\"up\",endpoint=\"{}\"", upstream.address);
        let counted = [
            format!("tidegate_attempts_total{{{endpoint},outcome=\"2xx\"}} 6"),
            format!("tidegate_resent_total{{{endpoint}}} {resent}"),
        ];
        let is_counted = || counted.iter().all(|line| gate.metrics().contains(line));
        assert!(until(is_counted), "{counted:?} in\n{}", gate.metrics());
        let said = format!("{} {resent}", 6 - resent);
        assert!(until(|| talk.get("/seen", &[]).text() == said), "{}", talk.get("/seen", &[]).text());
    }
}
