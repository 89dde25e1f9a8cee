//! Answers kept as HTTP says, over real sockets: whom they serve, what becomes of them, and that each exchange can be
//! explained.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::again::same_again;
use crate::support::bundle::Bundled;
use crate::support::service::{END, Heard, Service, answer, chunk, reset, say};
use crate::support::talk::Said;

/// The shipped policy before one upstream, after more settings.
fn gate(upstream: &Service, settings: &str) -> Bundled {
    let url = upstream.url();
    Bundled::shipped(&format!("{settings}\n[upstreams.up]\nurl = \"{url}\"\n[[policies]]\nfile = \"http_cache.lua\"\n"))
}

/// What the gate says that its cache did.
fn told(said: &Said) -> &str {
    said.header("cache-status").and_then(|text| text.strip_prefix("tidegate; ")).unwrap_or("nothing")
}

/// Longer than the answers of these tests are fresh that are to grow stale.
const STALE: Duration = Duration::from_millis(1100);

const HOUR: (&str, &str) = ("Cache-Control", "max-age=3600");

#[test]
fn a_chunked_answer_serves_every_client_with_its_length_and_age() {
    let head = "HTTP/1.1 200 OK\r\nX-Tide: 1\r\nCache-Control: max-age=3600\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = [head.as_bytes(), &chunk("high "), &chunk("tide"), END.as_bytes()].concat();
    let upstream = Service::saying(bytes);
    let gate = gate(&upstream, "");
    let first = gate.talk().get("/a", &[]);
    assert_eq!((told(&first), first.text().as_str()), ("fwd=uri-miss; stored", "high tide"));
    let second = gate.talk().get("/a", &[]);
    assert!(told(&second).starts_with("hit; ttl="), "{}", second.head);
    assert_eq!((second.text().as_str(), second.header("content-length")), ("high tide", Some("9")));
    assert!(second.head.contains("X-Tide: 1") && second.header("age").is_some(), "{}", second.head);
    assert_eq!(told(&gate.talk().get("/b", &[])), "fwd=uri-miss; stored");
    assert_eq!(upstream.count(), 2);
    let status = gate.status();
    assert_eq!((&status["http_cache"]["hits"], &status["http_cache"]["stored"]), (&1.into(), &2.into()));
}

#[test]
fn what_breaks_off_or_is_too_large_is_not_kept() {
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/cut" => {
            say(stream, &answer(200, &[HOUR], "high tide")[..70]);
            reset(stream)
        }
        _ => say(stream, answer(200, &[HOUR], "x".repeat(2000))),
    });
    let gate = gate(&upstream, "[cache]\nentry = \"1KiB\"\n");
    for path in ["/cut", "/large", "/cut", "/large"] {
        let mut talk = gate.talk();
        talk.send(format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"));
        talk.rest();
    }
    assert_eq!(upstream.count(), 4);
}

#[test]
fn hooks_see_a_kept_answer_as_they_see_a_new_one() {
    let upstream = Service::saying(answer(200, &[HOUR], "high"));
    let policy = r#"return policy {
  api = 1,
  cache = function(req) return { http = true } end,
  on_response = function(res)
    res.headers:set("x-by", res.served_by)
    res:set_text(res:text() .. " tide")
  end,
}"#;
    let gate = Bundled::policy(&upstream.url(), "", policy);
    let (first, second) = (gate.talk().get("/a", &[]), gate.talk().get("/a", &[]));
    assert_eq!((first.text().as_str(), second.text().as_str()), ("high tide", "high tide"), "edited anew each time");
    assert_eq!((first.header("x-by"), second.header("x-by")), (Some("upstream"), Some("cache")));
}

#[test]
fn what_a_policy_says_of_http_without_sense_is_a_failure_of_the_policy() {
    let upstream = Service::saying(answer(200, &[HOUR], "high"));
    for rule in ["{ http = true, ttl = 5 }", "{ heuristic = true, ttl = 5, key = {} }"] {
        let lua = format!("return policy {{ api = 1, cache = function() return {rule} end }}");
        let gate = Bundled::policy(&upstream.url(), "", &lua);
        assert_eq!(told(&gate.talk().get("/a", &[])), "nothing", "{rule}");
        assert_eq!(told(&gate.talk().get("/a", &[])), "nothing", "{rule}");
    }
    assert_eq!(upstream.count(), 4, "nothing was kept");
}

#[test]
fn what_one_user_gets_is_not_anothers_when_the_policy_says_so() {
    let upstream = Service::saying(answer(200, &[HOUR], "high"));
    let policy = r#"return policy {
  api = 1,
  identify = function(req) return { user = req.headers:get("x-user"), evidence = "header" } end,
  cache = function(req) return { http = true, scope = "user" } end,
}"#;
    let gate = Bundled::policy(&upstream.url(), "", policy);
    let ask = |user: &str| told(&gate.talk().get("/a", &[("X-User", user)])).starts_with("hit");
    assert_eq!((ask("ann"), ask("ann"), ask("ben"), ask("ben")), (false, true, false, true));
}

#[test]
fn every_way_that_the_cache_takes_can_be_explained() {
    let failing = Arc::new(AtomicUsize::new(0));
    let fails = Arc::clone(&failing);
    let upstream = Service::start(move |heard: &Heard, stream| {
        let fresh = [("Cache-Control", "max-age=1, stale-if-error=600"), ("ETag", "\"a\"")];
        match (fails.load(Ordering::SeqCst), heard.header("if-none-match")) {
            (0, None) => say(stream, answer(200, &fresh, "high tide")),
            (0, Some(_)) => say(stream, "HTTP/1.1 304 Not Modified\r\nX-New: 1\r\n\r\n"),
            _ => say(stream, answer(503, &[], "")),
        }
    });
    let gate = gate(&upstream, "");
    let ask = |id: &str, headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().copied().chain([("X-Request-Id", id)]).collect();
        let said = gate.talk().get("/a", &headers);
        told(&said).split("; ttl").next().unwrap_or_default().to_owned()
    };
    assert_eq!(ask("miss", &[]), "fwd=uri-miss; stored");
    assert_eq!(ask("hit", &[]), "hit");
    assert_eq!(ask("range", &[("Range", "bytes=0-3")]), "hit");
    thread::sleep(STALE); // paced: it grows stale
    assert_eq!(ask("revalidated", &[]), "fwd=stale; fwd-status=304");
    failing.store(1, Ordering::SeqCst);
    thread::sleep(STALE); // paced: it grows stale again
    assert_eq!(ask("stale", &[]), "fwd=stale; fwd-status=503");
    for id in ["miss", "hit", "range", "revalidated", "stale"] {
        same_again(&gate, id);
    }
}
