//! Lines before endpoints and before the gate: who is served when, who is told to come again, and who never is.

use std::net::TcpStream;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;

use crate::again::explained;
use crate::support::bundle::Bundled;
use crate::support::service::{END, Heard, Service, answer, chunk, open, reset, say};
use crate::support::talk::Talk;
use crate::support::until;

const CHAT: &str = "/v1/chat/completions";

/// Sends everything to one upstream, in the class that a header names, and answers for health itself.
const ROUTE: &str = r#"return policy { api = 1,
  route = function(req) return { upstream = "up", priority = req.headers:get("x-class") } end,
  endpoints = { ["GET /health"] = function() return respond { text = "fine" } end },
}"#;

/// An upstream that does what it does only when it is told to go on.
fn slow(act: impl Fn(&Heard, &mut TcpStream) -> bool + Send + Sync + 'static) -> (Service, Sender<()>) {
    let (go, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let service = Service::start(move |heard, stream| wait.lock().recv().is_ok() && act(heard, stream));
    (service, go)
}

/// One that says it is done.
fn worker() -> (Service, Sender<()>) {
    slow(|heard, stream| say(stream, answer(200, &[], heard.target())))
}

fn gate(url: &str, queue: &str, more: &str) -> Bundled {
    let settings = format!(
        "{more}\n[forwarding]\nqueue_header = true\n[upstreams.up]\nurl = \"{url}\"\nqueue = {{ {queue} }}\n\
         [[policies]]\nfile = \"route.lua\"\n"
    );
    Bundled::serve(&[("tidegate.toml", &settings), ("route.lua", ROUTE)])
}

/// How many wait before all endpoints.
fn waiting(gate: &Bundled) -> u64 {
    let queues = gate.status()["queues"].clone();
    let queues = queues.as_array().into_iter().flatten();
    queues.flat_map(|queue| queue["waiting"].as_object().unwrap().values()).filter_map(serde_json::Value::as_u64).sum()
}

/// Asks, and waits until the gate has `waiting` in line with this one.
fn line_up(gate: &Bundled, name: &str, class: &str, expected: u64) -> Talk {
    let mut talk = gate.talk();
    talk.ask(&format!("{CHAT}?{name}"), &[("X-Class", class)], "{}");
    assert!(until(|| waiting(gate) == expected), "{:#}", gate.status());
    talk
}

/// Asks for what is served at once.
fn begin(gate: &Bundled, service: &Service) -> Talk {
    let before = service.count();
    let mut talk = gate.talk();
    talk.ask(&format!("{CHAT}?first"), &[], "{}");
    assert!(until(|| service.count() == before + 1));
    talk
}

/// The names in the order in which they were served.
fn served(service: &Service) -> Vec<String> {
    service.heard().iter().map(|heard| heard.target().rsplit('?').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn one_at_a_time_is_served_by_class_and_in_order() {
    let (upstream, go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1", "");
    let mut talks = vec![begin(&gate, &upstream)];
    let order =
        [("l1", "low"), ("n1", "normal"), ("h1", "high"), ("c1", "critical"), ("l2", "low"), ("c2", "critical")];
    for (number, (name, class)) in (1..).zip(order) {
        talks.push(line_up(&gate, name, class, number));
    }
    assert_eq!(gate.status()["queues"][0]["waiting"], json!({"critical": 2, "high": 1, "normal": 1, "low": 2}));
    assert!(gate.metrics().contains("queue_waiting{upstream=\"up\",endpoint="), "{}", gate.metrics());
    for number in 1..=talks.len() {
        assert_eq!(upstream.count(), number, "never more than one");
        go.send(()).unwrap();
        assert!(until(|| upstream.count() == (number + 1).min(talks.len())));
    }
    assert_eq!(served(&upstream), ["first", "c1", "c2", "h1", "n1", "l1", "l2"]);
    let told: Vec<u64> = talks.iter_mut().map(|talk| position(&talk.read())).collect();
    assert_eq!(told, [0, 1, 1, 1, 1, 5, 2], "where each stood when it came");
    assert!(until(|| gate.status()["queues"][0]["running"] == 0));
}

/// What the header tells of the place in the line.
fn position(said: &crate::support::talk::Said) -> u64 {
    assert_eq!(said.status, 200, "{said:?}");
    let told = said.header("x-tidegate-queue").unwrap_or_default();
    let (waited, position) = told.split_once("; position=").unwrap_or_else(|| panic!("{said:?}"));
    assert!(waited.starts_with("waited=") && waited.ends_with('s'), "{told}");
    position.parse().unwrap()
}

#[test]
fn the_lowest_class_is_served_however_many_come_after_it() {
    let (upstream, go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1, ageing = \"30ms\"", "");
    let _first = begin(&gate, &upstream);
    let mut low = line_up(&gate, "low", "low", 1);
    thread::sleep(Duration::from_millis(120)); // paced: its turn is due three times 30 ms after it came
    let _late: Vec<Talk> = (2..6).map(|number| line_up(&gate, "critical", "critical", number)).collect();
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(low.read().status, 200);
    assert_eq!(served(&upstream)[1], "low");
}

#[test]
fn a_place_is_held_until_the_answer_has_come_to_its_end() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Service::start(move |_, stream| {
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: 1\n\n"));
        wait.lock().recv().is_ok() && say(stream, END)
    });
    let gate = gate(&upstream.url(), "at_once = 1", "");
    let mut first = begin(&gate, &upstream);
    first.wait_for("data: 1");
    let mut second = line_up(&gate, "second", "high", 1);
    assert_eq!(upstream.count(), 1);
    go.send(()).unwrap();
    second.wait_for("data: 1");
    go.send(()).unwrap();
    assert!(first.read().whole && second.read().whole);
}

#[test]
fn a_place_is_given_back_however_an_answer_ends() {
    let (upstream, go) = slow(|heard, stream| match heard.number {
        1 => reset(stream),
        2 => say(stream, answer(500, &[], "no")),
        3 => say(stream, open("text/plain")) && say(stream, chunk("half")) && reset(stream),
        4 => say(stream, "what is this?\r\n\r\n"),
        _ => say(stream, answer(200, &[], "done")),
    });
    let gate = gate(&upstream.url(), "at_once = 1", "");
    for number in 1..=5 {
        go.send(()).unwrap();
        let said = gate.talk().post(CHAT, &[], "{}");
        assert_eq!(upstream.count(), number, "{said:?}");
    }
    let left = begin(&gate, &upstream);
    drop(left);
    assert!(until(|| gate.status()["queues"][0]["running"] == 0), "{:#}", gate.status());
}

#[test]
fn whoever_finds_no_room_is_told_when_to_come_again() {
    let (upstream, _go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1, waiting = 1", "");
    let _first = begin(&gate, &upstream);
    let _second = line_up(&gate, "second", "normal", 1);
    let said = gate.talk().post(CHAT, &[], "{}");
    assert_eq!((said.status, said.json()["error"]["code"].as_str()), (503, Some("queue_full")), "{said:?}");
    let after: u64 = said.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    let said = gate.talk().post("/v1/messages", &[], "{}");
    assert_eq!((said.status, &said.json()["error"]["type"]), (503, &json!("overloaded_error")));
}

#[test]
fn a_wait_that_takes_too_long_ends_and_never_reaches_the_upstream() {
    let (upstream, go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1, longest = \"200ms\"", "");
    let mut first = begin(&gate, &upstream);
    let begun = Instant::now();
    let said = gate.talk().post(CHAT, &[("X-Request-Id", "late-one")], "{}");
    assert_eq!((said.status, said.json()["error"]["code"].as_str()), (503, Some("queue_timeout")), "{said:?}");
    assert!(begun.elapsed() >= Duration::from_millis(200) && begun.elapsed() < Duration::from_secs(3));
    assert!(said.header("retry-after").is_some());
    go.send(()).unwrap();
    assert_eq!(first.read().status, 200);
    go.send(()).unwrap();
    assert_eq!(gate.talk().post(&format!("{CHAT}?next"), &[], "{}").status, 200);
    assert_eq!(served(&upstream), ["first", "next"]);
    assert_eq!(explained(&gate, "late-one")["differences"], json!([]));
}

#[test]
fn the_exchanges_deadline_ends_a_wait_too() {
    let (upstream, _go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1", "[limits]\ndeadline = \"300ms\"");
    let _first = begin(&gate, &upstream);
    let begun = Instant::now();
    let said = gate.talk().post(CHAT, &[], "{}");
    // The first one's deadline comes a little before, and may give this one its place for what is left.
    assert!(matches!(said.status, 503 | 504), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn whoever_leaves_the_line_is_never_served() {
    let (upstream, go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1", "");
    let mut first = begin(&gate, &upstream);
    let mut gone = gate.talk();
    gone.ask(&format!("{CHAT}?gone"), &[("X-Request-Id", "gone-one")], "{}");
    assert!(until(|| waiting(&gate) == 1));
    let mut last = line_up(&gate, "last", "normal", 2);
    drop(gone);
    assert!(until(|| waiting(&gate) == 1), "{:#}", gate.status());
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!((first.read().status, last.read().status), (200, 200));
    assert_eq!(served(&upstream), ["first", "last"]);
    let told = explained(&gate, "gone-one");
    assert_eq!((&told["differences"], &told["reason"]), (&json!([]), &json!("client_gone")));
}

#[test]
fn a_wait_is_played_again_as_it_was() {
    let (upstream, go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1", "");
    let _first = begin(&gate, &upstream);
    let mut second = gate.talk();
    second.ask(CHAT, &[("X-Request-Id", "waited-one")], "{}");
    assert!(until(|| waiting(&gate) == 1));
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(position(&second.read()), 1);
    let told = explained(&gate, "waited-one");
    assert_eq!(told["differences"], json!([]));
    assert!(told["text"].as_str().unwrap().contains("in line, from place 1"), "{}", told["text"]);
}

#[test]
fn an_endpoint_without_room_leaves_the_request_to_another() {
    let (busy, _go) = worker();
    let idle = Service::saying(answer(200, &[], "idle"));
    let settings = format!(
        "[upstreams.up]\nendpoints = [{{ url = \"{}\" }}, {{ url = \"{}\", weight = 0 }}]\n\
         queue = {{ at_once = 1, waiting = 0 }}\n[[policies]]\nfile = \"route.lua\"\n",
        busy.url(),
        idle.url()
    );
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("route.lua", ROUTE)]);
    let _first = begin(&gate, &busy);
    for _ in 0..3 {
        assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), "idle");
    }
    assert_eq!(busy.count(), 1);
}

#[test]
fn an_endpoint_that_is_free_is_chosen_before_one_that_is_not() {
    let (busy, go) = worker();
    let idle = Service::saying(answer(200, &[], "idle"));
    let settings = format!(
        "[upstreams.up]\nendpoints = [{{ url = \"{}\" }}, {{ url = \"{}\" }}]\nqueue = {{ at_once = 1 }}\n\
         [[policies]]\nfile = \"route.lua\"\n",
        busy.url(),
        idle.url()
    );
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("route.lua", ROUTE)]);
    let mut held = Vec::new();
    while busy.count() == 0 {
        let mut talk = gate.talk();
        talk.ask(CHAT, &[], "{}");
        assert!(until(|| talk_is_served(&gate, &busy)));
        held.push(talk);
    }
    for number in 0..20 {
        let said = gate.talk().post(CHAT, &[("X-Request-Id", &format!("free-{number}"))], "{}");
        assert_eq!(said.text(), "idle");
    }
    assert_eq!(explained(&gate, "free-7")["differences"], json!([]));
    go.send(()).unwrap();
}

/// Whether what was asked last is done, or held by the busy one.
fn talk_is_served(gate: &Bundled, busy: &Service) -> bool {
    busy.count() > 0 || gate.metrics().contains("tidegate_open_exchanges 0")
}

#[test]
fn a_wait_that_takes_too_long_fails_over() {
    let (busy, _go) = worker();
    let idle = Service::saying(answer(200, &[], "idle"));
    let settings = format!(
        "[upstreams.busy]\nurl = \"{}\"\nqueue = {{ at_once = 1, longest = \"100ms\" }}\n[upstreams.idle]\nurl = \"{}\"\n\
         [[policies]]\nfile = \"route.lua\"\n[[policies]]\nfile = \"failover.lua\"\n",
        busy.url(),
        idle.url()
    );
    let gate = Bundled::shipped("[upstreams.up]\nurl = \"http://127.0.0.1:1\"\n");
    let route =
        r#"return policy { api = 1, route = function() return { { upstream = "busy" }, { upstream = "idle" } } end }"#;
    gate.save("route.lua", route);
    gate.save_live("tidegate.toml", &settings);
    let _first = begin(&gate, &busy);
    assert_eq!(gate.talk().post(CHAT, &[], "{}").text(), "idle");
    assert_eq!(busy.count(), 1);
}

#[test]
fn a_saved_change_lets_more_in_and_forgets_nobody() {
    let (upstream, go) = worker();
    let gate = gate(&upstream.url(), "at_once = 1", "");
    let _first = begin(&gate, &upstream);
    let mut second = line_up(&gate, "second", "normal", 1);
    let settings = std::fs::read_to_string(gate.file("tidegate.toml")).unwrap();
    gate.save_live("tidegate.toml", &settings.replace("at_once = 1", "at_once = 2"));
    let mut third = gate.talk();
    third.ask(&format!("{CHAT}?third"), &[], "{}");
    assert!(until(|| upstream.count() == 2), "the one who waited has the new place");
    assert!(until(|| waiting(&gate) == 1));
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    assert_eq!((second.read().status, third.read().status), (200, 200));
    assert_eq!(served(&upstream), ["first", "second", "third"]);
}

/// A gate that serves so many at once, whatever its upstream does.
fn limited(url: &str, limits: &str) -> Bundled {
    let settings = format!("[limits]\n{limits}\n[upstreams.up]\nurl = \"{url}\"\n[[policies]]\nfile = \"route.lua\"\n");
    Bundled::serve(&[("tidegate.toml", &settings), ("route.lua", ROUTE)])
}

#[test]
fn a_gate_that_is_full_says_so_in_the_clients_dialect_and_stays_healthy() {
    let (upstream, go) = worker();
    let gate = limited(&upstream.url(), "exchanges = 1\nexchanges_waiting = 0");
    let mut first = begin(&gate, &upstream);
    let said = gate.talk().post("/v1/messages", &[("X-Request-Id", "full-one")], "{}");
    assert_eq!((said.status, &said.json()["error"]["type"]), (503, &json!("overloaded_error")), "{said:?}");
    assert!(said.header("retry-after").is_some(), "{said:?}");
    assert_eq!(gate.talk().get("/health", &[]).text(), "fine", "what a policy serves itself is not counted");
    assert_eq!(gate.status()["exchanges"], json!({"running": 1, "at_once": 1, "waiting": 0}));
    let metrics = gate.metrics();
    for line in [
        "tidegate_turned_away_total{reason=\"queue_full\"} 1",
        "tidegate_admitted_exchanges 1",
        "tidegate_waiting_exchanges 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    go.send(()).unwrap();
    assert_eq!(first.read().status, 200);
    assert!(until(|| gate.status()["exchanges"]["running"] == 0));
    assert_eq!(explained(&gate, "full-one")["differences"], json!([]));
}

#[test]
fn a_full_gate_lets_some_wait_and_serves_them_in_order() {
    let (upstream, go) = worker();
    let gate = limited(&upstream.url(), "exchanges = 1\nexchanges_wait = \"20s\"");
    let mut talks = vec![begin(&gate, &upstream)];
    for number in 1..4 {
        let mut talk = gate.talk();
        talk.ask(&format!("{CHAT}?{number}"), &[], "{}");
        assert!(until(|| gate.status()["exchanges"]["waiting"] == number));
        talks.push(talk);
    }
    for _ in 0..4 {
        go.send(()).unwrap();
    }
    assert!(talks.iter_mut().all(|talk| talk.read().status == 200));
    assert_eq!(served(&upstream), ["first", "1", "2", "3"]);
}

#[test]
fn a_full_gate_turns_away_who_waited_too_long() {
    let (upstream, _go) = worker();
    let gate = limited(&upstream.url(), "exchanges = 1\nexchanges_wait = \"150ms\"");
    let _first = begin(&gate, &upstream);
    let begun = Instant::now();
    let said = gate.talk().post(CHAT, &[], "{}");
    assert_eq!((said.status, said.json()["error"]["code"].as_str()), (503, Some("queue_timeout")), "{said:?}");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert!(gate.metrics().contains("tidegate_turned_away_total{reason=\"queue_timeout\"} 1"));
}
