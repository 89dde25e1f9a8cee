//! Endpoints that fail are left alone, prove themselves, and come back; what is learnt of them outlives a reload.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::support::bundle::{Bundled, tell};
use crate::support::service::{END, Service, answer, chat, chat_stream, chunk, json, last, nobody, open, say};
use crate::support::talk::Talk;
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// A gate with endpoints `a`, `b` and so on, and the shipped failover.
fn gate(urls: &[String], settings: &str) -> Bundled {
    let endpoints: Vec<_> =
        urls.iter().zip('a'..).map(|(url, name)| format!("{{ name = \"{name}\", url = \"{url}\" }}")).collect();
    Bundled::shipped(&format!(
        "[upstreams.up]\nendpoints = [{}]\n{settings}\n[[policies]]\nfile = \"failover.lua\"\n",
        endpoints.join(", ")
    ))
}

/// A gate without policies before one endpoint, which the client is told about when it is open.
fn lonely(service: &Service, breaker: &str) -> Bundled {
    let url = service.url();
    let text = format!("[upstreams.up]\nurl = \"{url}\"\nbreaker = {{ when_all_open = \"refuse\", {breaker} }}\n");
    Bundled::serve(&[("tidegate.toml", &text)])
}

impl Bundled {
    fn ask(&self) -> u16 {
        self.talk().post(CHAT, &[], "{}").status
    }

    fn endpoint(&self, at: usize) -> Value {
        self.status()["upstreams"][0]["endpoints"][at].clone()
    }

    fn becomes(&self, at: usize, state: &str) -> bool {
        until(|| self.endpoint(at)["state"] == state)
    }
}

fn good() -> Service {
    Service::saying(json(&chat("good")))
}

fn bad(status: u16) -> Service {
    Service::saying(answer(status, &[], "bad"))
}

#[test]
fn one_of_two_that_fails_is_asked_five_times_and_no_client_notices() {
    let (bad, good) = (bad(500), good());
    let gate = gate(&[bad.url(), good.url()], "");
    let mut talk = gate.talk();
    for _ in 0..60 {
        assert_eq!(talk.post(CHAT, &[], "{}").status, 200);
    }
    assert_eq!((bad.count(), good.count()), (5, 60));
    let (state, open) = (gate.endpoint(0), gate.endpoint(1));
    assert_eq!((&state["state"], &open["state"]), (&json!("open"), &json!("closed")), "{state:#}");
    assert_eq!((&state["openings"], &state["last_error"]["kind"]), (&json!(1), &json!("status")));
    let metrics = gate.metrics();
    for line in [
        "tidegate_breaker_changes_total{upstream=\"up\",endpoint=\"a\",state=\"open\"} 1",
        "tidegate_open_endpoints{upstream=\"up\",endpoint=\"a\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
}

/// Half of a request's body.
const HALF: [u8; 10_000] = [b'x'; 10_000];

/// Sends the first half of a request.
fn begin(gate: &Bundled) -> Talk {
    let mut talk = gate.talk();
    talk.send(format!("POST {CHAT} HTTP/1.1\r\nHost: g\r\nContent-Length: 20000\r\n\r\n"));
    talk.send(HALF);
    talk
}

#[test]
fn a_client_that_is_slow_to_ask_says_nothing_about_the_endpoint() {
    for policies in ["", "[[policies]]\nfile = \"failover.lua\"\n"] {
        let good = good();
        let rules = "breaker.slow = \"1s\"\nbreaker.consecutive = 1\n";
        let gate = Bundled::shipped(&format!("[upstreams.up]\nurl = \"{}\"\n{rules}{policies}", good.url()));
        let mut talk = begin(&gate);
        thread::sleep(Duration::from_millis(1300)); // paced: a client on a slow line
        talk.send(HALF);
        assert_eq!(talk.read().status, 200);
        assert!(until(|| gate.endpoint(0)["total"] == 1));
        let endpoint = gate.endpoint(0);
        assert!(endpoint["latency_ms"].as_f64().is_some_and(|latency| latency < 1000.0), "{endpoint:#}");
        assert_eq!((&endpoint["state"], &endpoint["failed"]), (&json!("closed"), &json!(0)), "{endpoint:#}");
    }
}

#[test]
fn a_client_that_takes_all_the_time_there_is_says_nothing_about_the_endpoint() {
    let large = Service::saying(answer(200, &[], vec![b'x'; 32 << 20]));
    let gate = lonely(&large, "consecutive = 1 }\ntimeouts = { total = \"300ms\"");
    assert_eq!(begin(&gate).read().status, 408, "its request is never whole");
    let mut talk = gate.talk();
    talk.ask("/large", &[], "{}");
    thread::sleep(Duration::from_millis(600)); // paced: a client that reads too late
    assert!(talk.rest().len() < 32 << 20, "it was cut off");
    assert!(until(|| gate.endpoint(0)["under_way"] == 0));
    let endpoint = gate.endpoint(0);
    assert_eq!((&endpoint["state"], &endpoint["failed"]), (&json!("closed"), &json!(0)), "{endpoint:#}");
}

#[test]
fn a_name_that_is_too_long_for_a_model_has_no_breaker_of_its_own() {
    let bad = bad(500);
    let gate = lonely(&bad, "per_model = true, consecutive = 1");
    let name = "m".repeat(1000);
    assert_eq!(gate.talk().post(CHAT, &[], &format!(r#"{{"model":"{name}"}}"#)).status, 500);
    assert!(gate.becomes(0, "open") && !gate.endpoint(0).to_string().contains(&name));
}

#[test]
fn attempts_are_counted_and_not_requests() {
    let only = bad(503);
    let gate = gate(&[only.url()], "breaker.consecutive = 3\nbreaker.when_all_open = \"refuse\"");
    assert_eq!(gate.ask(), 503);
    assert_eq!(only.count(), 3, "three attempts of one request");
    assert_eq!(gate.endpoint(0)["state"], "open");
}

#[test]
fn an_open_one_is_refused_without_a_call_where_its_owner_wants_that() {
    let only = bad(500);
    let gate = lonely(&only, "on = true");
    for _ in 0..5 {
        assert_eq!(gate.ask(), 500);
    }
    let refused = gate.talk().post(CHAT, &[], "{}");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(refused.status == 503 && (1..=15).contains(&wait), "{refused:?}");
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("`up`"), "{}", refused.text());
    assert_eq!(only.count(), 5);
}

#[test]
fn an_open_one_is_asked_all_the_same_where_its_owner_wants_that() {
    let only = Service::start(|heard, stream| {
        say(stream, if heard.number < 8 { answer(500, &[], "") } else { json(&chat("again")) })
    });
    let gate = Bundled::before(&only.url(), "");
    for asked in 1..=9 {
        assert_eq!(gate.ask(), if asked < 8 { 500 } else { 200 });
    }
    assert!(gate.becomes(0, "closed"), "two successes: {:#}", gate.endpoint(0));
}

#[test]
fn a_half_open_one_lets_two_of_a_hundred_through_at_once() {
    let release = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&release);
    let only = Service::start(move |heard, stream| {
        if heard.number <= 5 {
            return say(stream, answer(500, &[], ""));
        }
        until(|| held.load(Ordering::SeqCst));
        say(stream, json(&chat("well")))
    });
    let gate = lonely(&only, "open = \"300ms\"");
    (0..5).for_each(|_| assert_eq!(gate.ask(), 500));
    assert!(gate.becomes(0, "half-open"));
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asking: Vec<_> = (0..100).map(|_| scope.spawn(|| gate.ask())).collect();
        assert!(until(|| asking.iter().filter(|asked| asked.is_finished()).count() == 98), "98 are refused");
        release.store(true, Ordering::SeqCst);
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let of = |status: u16| statuses.iter().filter(|said| **said == status).count();
    assert_eq!((of(200), of(503), only.count()), (2, 98, 7));
    assert!(gate.becomes(0, "closed"), "two successes close it");
    assert_eq!(gate.ask(), 200);
}

#[test]
fn a_probe_that_fails_opens_it_for_longer() {
    let only = bad(500);
    let gate = lonely(&only, "open = \"200ms\"");
    (0..5).for_each(|_| assert_eq!(gate.ask(), 500));
    assert!(gate.becomes(0, "half-open"));
    assert_eq!((gate.ask(), gate.ask()), (500, 503));
    assert_eq!(gate.endpoint(0)["openings"], 2);
}

#[test]
fn streams_count_at_their_end_whole_ones_and_cut_ones() {
    let only = Service::start(|heard, stream| {
        let events = chat_stream(&["at", "six"]);
        let cut = heard.text().contains("cut");
        let events = if cut { events.split_inclusive("\n\n").take(1).collect() } else { events };
        say(stream, open("text/event-stream"));
        say(stream, chunk(events));
        if cut { false } else { say(stream, END) }
    });
    let gate = lonely(&only, "consecutive = 3");
    let ask = |what: &str| gate.talk().post(CHAT, &[], &format!("{{\"stream\":true,\"user\":\"{what}\"}}")).status;
    for what in ["cut", "cut", "whole", "cut", "cut"] {
        assert_eq!(ask(what), 200, "{what}");
    }
    assert!(until(|| gate.endpoint(0)["total"] == 5));
    let endpoint = gate.endpoint(0);
    assert_eq!((&endpoint["consecutive_failures"], &endpoint["failed"]), (&json!(2), &json!(4)), "{endpoint:#}");
    assert_eq!(ask("cut"), 200);
    assert!(gate.becomes(0, "open"));
    assert_eq!((ask("whole"), only.count()), (503, 6));
}

#[test]
fn what_was_dead_is_revived_without_a_client() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let settings = format!(
        "[upstreams.up]\nurl = \"http://{address}/v1\"\nbreaker = {{ open = \"5m\", when_all_open = \"refuse\" }}\nprobe = {{ path = \
         \"/models\", every = \"50ms\" }}\n"
    );
    let gate = Bundled::serve(&[("tidegate.toml", &settings)]);
    assert!(gate.becomes(0, "open"), "probes find nobody: {:#}", gate.endpoint(0));
    assert_eq!(gate.ask(), 503);
    socket.listen(16).unwrap();
    let service = Service::on(TcpListener::from(socket), |_, stream| say(stream, json("{}")));
    assert!(gate.becomes(0, "closed"), "{:#}", gate.endpoint(0));
    assert_eq!(gate.ask(), 200);
    let probe = &service.heard()[0];
    assert_eq!((probe.target(), probe.header("user-agent")), ("/v1/models", Some("tidegate-probe")));
}

#[test]
fn nobody_is_probed_who_was_not_meant() {
    let (quiet, asked) = (good(), good());
    let settings = format!(
        "[upstreams.quiet]\nurl = \"{}\"\n[upstreams.asked]\nurl = \"{}\"\nprobe = {{ path = \"/\", every = \"20ms\" }}\n",
        quiet.url(),
        asked.url()
    );
    let _gate = Bundled::serve(&[("tidegate.toml", &settings)]);
    assert!(until(|| asked.count() >= 5));
    assert_eq!(quiet.count(), 0);
}

#[test]
fn an_operator_closes_it() {
    let only = bad(500);
    let gate = lonely(&only, "on = true");
    assert_eq!((0..6).map(|_| gate.ask()).filter(|status| *status == 503).count(), 1);
    assert_eq!(gate.endpoint(0)["state"], "open");
    let reset = |query: &str| tell(gate.admin, &format!("/-/health/reset{query}"), &json!({}));
    assert_eq!(reset("?upstream=nobody").status, 404);
    assert_eq!(reset("?wrong=1").status, 400);
    let told = |names: &Value| tell(gate.admin, "/-/health/reset", names).status;
    assert_eq!((told(&json!({"upstream": "nobody"})), told(&json!({"wrong": 1}))), (404, 400));
    assert_eq!(gate.endpoint(0)["state"], "open");
    assert_eq!(reset("?upstream=up").json()["reset"], 1);
    assert_eq!(gate.endpoint(0)["state"], "closed");
    assert_eq!((gate.ask(), only.count()), (500, 6));
}

#[test]
fn what_is_known_outlives_a_reload() {
    let (bad, good) = (bad(500), good());
    let gate = gate(&[bad.url(), good.url()], "");
    (0..30).for_each(|_| assert_eq!(gate.ask(), 200));
    let text = std::fs::read_to_string(gate.file("tidegate.toml")).unwrap();
    gate.save_live("tidegate.toml", &text.replace("[upstreams.up]", "[upstreams.up]\nkeep_alive = \"9s\""));
    (0..30).for_each(|_| assert_eq!(gate.ask(), 200));
    assert_eq!(bad.count(), 5);
}

#[test]
fn a_model_that_fails_leaves_the_others_of_its_endpoint_alone() {
    let only = Service::start(|heard, stream| {
        say(stream, if heard.text().contains("big") { answer(500, &[], "no memory") } else { json(&chat("ok")) })
    });
    let gate = lonely(&only, "per_model = true");
    let ask = |model: &str| gate.talk().post(CHAT, &[], &format!("{{\"model\":\"{model}\"}}")).status;
    for _ in 0..5 {
        assert_eq!((ask("big"), ask("small")), (500, 200));
    }
    assert_eq!((ask("big"), ask("small")), (503, 200));
    let endpoint = gate.endpoint(0);
    assert_eq!((&endpoint["state"], &endpoint["models"]["big"]["state"]), (&json!("closed"), &json!("open")));
}

#[test]
fn one_that_asks_for_a_rest_is_spared_while_another_is_left() {
    let (busy, good) = (Service::saying(answer(429, &[("Retry-After", "30")], "later")), good());
    let gate = gate(&[busy.url(), good.url()], "");
    (0..30).for_each(|_| assert_eq!(gate.ask(), 200));
    assert_eq!((busy.count(), good.count()), (1, 30));
    let endpoint = gate.endpoint(0);
    assert!(endpoint["rests_for"].as_f64().unwrap() > 20.0 && endpoint["state"] == "closed", "{endpoint:#}");
}

#[test]
fn one_that_is_near_its_limit_is_spared_before_it_refuses() {
    let limits = [
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-remaining-requests", "3"),
        ("x-ratelimit-reset-requests", "6m0s"),
    ];
    let (near, good) = (Service::saying(answer(200, &limits, "{}")), good());
    let gate = gate(&[near.url(), good.url()], "");
    (0..30).for_each(|_| assert_eq!(gate.ask(), 200));
    assert_eq!(near.count(), 1);
    assert_eq!(gate.endpoint(0)["limits"][0]["kind"], "requests");
}

#[test]
fn repetitions_are_kept_to_their_budget_and_the_best_answer_goes_out() {
    let (one, other) = (bad(500), bad(502));
    let settings = "breaker.on = false\nretries = { percent = 0, per_second = 1 }";
    let gate = gate(&[one.url(), other.url()], settings);
    for _ in 0..40 {
        let said = gate.talk().post(CHAT, &[], "{}");
        assert!(matches!(said.status, 500 | 502) && said.text() == "bad", "{said:?}");
    }
    let calls = one.count() + other.count();
    assert!((50..=52).contains(&calls), "{calls} calls, of which ten may be repetitions in ten seconds");
    let lately = &gate.status()["upstreams"][0]["lately"];
    assert!(lately["refused"].as_u64().unwrap() >= 28, "{lately:#}");
    assert!(gate.metrics().contains("tidegate_not_repeated_total{upstream=\"up\"}"));
}

#[test]
fn a_plan_goes_on_to_the_upstream_that_is_well() {
    let (dead, well) = (bad(500), good());
    let settings = format!(
        "[upstreams.dead]\nurl = \"{}\"\nretries = {{ percent = 0, per_second = 0 }}\n[upstreams.well]\nurl = \"{}\"\nretries = {{ percent = 0, \
         per_second = 0 }}\n[[policies]]\nfile = \"p.lua\"\n",
        dead.url(),
        well.url()
    );
    let lua = "return policy { api = 1, route = function() return { { upstream = 'dead' }, { upstream = 'well' } } end, \
               failover = function() return { retry = true } end, \
               on_response = function(res) res.headers:set('x-well', tostring(upstream.healthy('dead')) .. upstream.pick({ 'dead', 'well' })) end }";
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    for asked in 1..=10 {
        let said = gate.talk().post(CHAT, &[], "{}");
        let known = if asked < 5 { "truedead" } else { "falsewell" };
        assert_eq!((said.status, said.header("x-well")), (200, Some(known)), "{asked}");
    }
    assert_eq!((dead.count(), well.count()), (5, 10), "another upstream is no repetition");
}

#[test]
fn a_name_with_several_addresses_is_tried_at_each_and_one_without_is_a_failed_attempt() {
    let good = good();
    let named = format!("http://localhost:{}", good.address.port());
    let gate = gate(&["http://nobody.invalid".to_owned(), named], "");
    (0..12).for_each(|_| assert_eq!(gate.ask(), 200));
    let endpoint = gate.endpoint(0);
    let failed = endpoint["failed"].as_u64().unwrap();
    assert!((1..=5).contains(&failed) && endpoint["last_error"]["kind"] == "connect", "{endpoint:#}");
    assert_eq!(good.count(), 12);
}

#[test]
fn nobody_at_home_is_told_by_the_gate_and_not_waited_for() {
    let gate = gate(&[format!("http://{}", nobody()), format!("http://{}", nobody())], "");
    for _ in 0..8 {
        assert_eq!(gate.ask(), 502);
    }
    assert_eq!((gate.endpoint(0)["state"].clone(), gate.endpoint(1)["state"].clone()), (json!("open"), json!("open")));
    let half = Service::start(|_, stream| last(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
    let gate = lonely(&half, "consecutive = 2");
    (0..2).for_each(|_| drop(gate.talk().post(CHAT, &[], "{}")));
    assert!(gate.becomes(0, "open"), "a body that is cut is a failure too");
}
