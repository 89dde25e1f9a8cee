//! The admin listener: health, what serves, and counters that agree with what was sent.

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer, chat, json, nobody, say};
use crate::support::talk::Talk;
use crate::support::until;

/// A counter's value; 0 when it was never counted.
fn counter(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn health_is_told_apart_from_the_clients_traffic() {
    let upstream = Service::saying(answer(500, &[], ""));
    let gate = Bundled::policy(&upstream.url(), "", "return policy { api = 1 }");
    let mut admin = Talk::to(gate.admin);
    assert_eq!(admin.get("/-/health", &[]).json()["status"], "ok");
    assert_eq!(admin.get("/", &[]).status, 404);
    assert_eq!(admin.get("/-/reload", &[]).status, 404);
    assert_eq!(gate.talk().get("/-/health", &[]).status, 500, "clients reach the upstream, not the gate's own pages");
    let mut admin = Talk::to(gate.admin);
    assert_eq!(admin.post("/-/status", &[], "{}").status, 405);
}

#[test]
fn status_tells_what_serves_and_what_failed() {
    let upstream = Service::saying(json("{}"));
    let lua = "local p = params { limit = param.integer(3, { doc = \"How many.\" }) }\nreturn policy { api = 1, on_request = function(req) if req.path == \"/x\" then error(\"oh\" .. p.limit) end end }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    gate.talk().get("/x", &[]);
    let status = gate.status();
    let policy = &status["live"]["policies"][0];
    assert_eq!(
        (&status["live"]["generation"], &policy["name"], &policy["file"]),
        (&1.into(), &"p".into(), &"p.lua".into())
    );
    assert_eq!((&policy["hooks"][0], &policy["params"][0]), (&"on_request".into(), &"limit".into()));
    assert_eq!(status["upstreams"][0]["endpoints"][0]["name"], upstream.address.to_string());
    let error = &status["hook_errors"][0];
    assert_eq!((&error["file"], &error["line"]), (&"p.lua".into(), &2.into()));
    assert!(error["message"].as_str().unwrap().contains("oh3"));
}

#[test]
fn counters_agree_with_what_was_sent() {
    let upstream = Service::start(|heard, stream| match heard.target() {
        "/missing" => say(stream, answer(404, &[], "")),
        _ => say(stream, json(&chat("hi"))),
    });
    let settings = format!(
        "[upstreams.up]\nendpoints = [{{ name = \"a\", url = \"http://{}\" }}, {{ name = \"b\", url = \"{}\", weight = 0 }}]\n\
         [[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n[[policies]]\nfile = \"failover.lua\"\n",
        nobody(),
        upstream.url()
    );
    let gate = Bundled::shipped(&settings);
    let mut talk = gate.talk();
    let mut bytes = 0;
    for _ in 0..5 {
        bytes += talk.post("/v1/chat/completions", &[], "{}").body.len();
    }
    for _ in 0..3 {
        assert_eq!(talk.get("/missing", &[]).status, 404);
    }
    let all = || {
        let metrics = gate.metrics();
        [
            "tidegate_exchanges_total{status=\"2xx\",reason=\"done\"}",
            "tidegate_exchanges_total{status=\"4xx\",reason=\"done\"}",
            "tidegate_attempts_total{upstream=\"up\",endpoint=\"a\",outcome=\"connect\"}",
            "tidegate_attempts_total{upstream=\"up\",endpoint=\"b\",outcome=\"2xx\"}",
            "tidegate_attempts_total{upstream=\"up\",endpoint=\"b\",outcome=\"4xx\"}",
            "tidegate_cache_total{verdict=\"stored\"}",
            "tidegate_cache_total{verdict=\"hit\"}",
            "tidegate_exchange_seconds_count",
            "tidegate_open_exchanges",
        ]
        .map(|name| counter(&metrics, name))
    };
    assert!(until(|| all() == [5, 3, 4, 1, 3, 1, 4, 8, 0]), "{:?}\n{}", all(), gate.metrics());
    assert_eq!(counter(&gate.metrics(), "tidegate_response_bytes_total"), bytes as u64);
    assert_eq!(counter(&gate.metrics(), "tidegate_open_connections"), 1);
}

#[test]
fn labels_do_not_grow_with_what_clients_send() {
    let upstream = Service::saying(json("{}"));
    let gate = Bundled::policy(
        &upstream.url(),
        "",
        "return policy { api = 1, identify = function(req) return { user = req.path } end }",
    );
    let mut talk = gate.talk();
    talk.get("/first", &[]);
    assert!(until(|| gate.metrics().contains("tidegate_exchange_seconds_count 1\n")), "{}", gate.metrics());
    let lines = gate.metrics().lines().count();
    for number in 0..100 {
        let odd = format!("/{number}");
        talk.get(&odd, &[("User-Agent", &odd), ("X-Request-Id", &odd), ("X-User-Id", &odd)]);
    }
    assert!(until(|| gate.metrics().contains("tidegate_exchange_seconds_count 101\n")));
    assert_eq!(gate.metrics().lines().count(), lines);
    assert!(gate.metrics().ends_with("# EOF\n"), "as OpenMetrics ends");
}

#[test]
fn a_failing_hook_and_a_rejected_save_are_counted() {
    let upstream = Service::saying(json("{}"));
    let gate =
        Bundled::policy(&upstream.url(), "", "return policy { api = 1, on_response = function() error(\"no\") end }");
    gate.talk().get("/", &[]);
    gate.save("p.lua", "return");
    gate.rejected();
    let metrics = gate.metrics();
    assert_eq!(counter(&metrics, "tidegate_hook_errors_total{policy=\"p\",hook=\"on_response\"}"), 1, "{metrics}");
    assert_eq!(counter(&metrics, "tidegate_generations_total{state=\"rejected\"}"), 1, "{metrics}");
    assert_eq!(counter(&metrics, "tidegate_generations_total{state=\"live\"}"), 1, "{metrics}");
}
