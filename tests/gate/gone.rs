//! A client that leaves takes its work with it, at once and wherever the exchange is: nobody is kept busy for nobody.

use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::support::bundle::Bundled;
use crate::support::second::{plain, request, run};
use crate::support::service::{Service, answer, chunk, open, say, stall};
use crate::support::{until, wire};

const CHAT: &str = "/v1/chat/completions";

const BODY: &str = r#"{"model":"m","stream":true,"messages":[]}"#;

/// How soon the work must end after its client has left.
const SOON: Duration = Duration::from_millis(100);

/// How often it may be late: a busy machine lets a thread wait for longer than that, but not each time.
const TRIES: usize = 8;

/// Goes on after every failure, and waits before it does when it is told how long.
const FAILOVER: &str = r"return policy { api = 1,
  failover = function(attempt) return { retry = true, after = if attempt.status == 429 then 20 else 0 } end,
}";

/// A client that has asked; called, it leaves, and tells when.
type Guest = Box<dyn FnOnce() -> Instant>;

/// One of HTTP/1.1, which closes its connection.
fn first(gate: &Bundled) -> Guest {
    let mut talk = gate.talk();
    talk.ask(CHAT, &[], BODY);
    Box::new(move || {
        let left = Instant::now();
        drop(talk);
        left
    })
}

/// One of HTTP/2, which resets its stream and keeps the connection.
fn second(gate: &Bundled) -> Guest {
    let address = gate.address;
    let (leave, told) = oneshot::channel::<()>();
    let (left, when) = mpsc::channel();
    thread::spawn(move || {
        run(async move {
            let mut client = plain(address).await;
            let asked = request("POST", CHAT).header("content-type", "application/json");
            let (_response, mut upload) = client.send_request(asked.body(()).unwrap(), false).unwrap();
            upload.send_data(Bytes::from(BODY), true).unwrap();
            let _ = told.await;
            left.send(Instant::now()).unwrap();
            upload.send_reset(Reason::CANCEL);
            tokio::time::sleep(Duration::from_secs(2)).await; // paced: the connection outlives its stream
        });
    });
    Box::new(move || {
        leave.send(()).unwrap();
        when.recv().unwrap()
    })
}

fn gate(url: &str, limits: &str, upstream: &str) -> Bundled {
    let settings = format!(
        "[[listen]]\naddress = \"127.0.0.1:8800\"\nh2c = true\n[limits]\n{limits}\n[upstreams.up]\nurl = \"{url}\"\n{upstream}\n\
         [[policies]]\nfile = \"failover.lua\"\n"
    );
    Bundled::serve(&[("tidegate.toml", &settings), ("failover.lua", FAILOVER)])
}

/// Fails unless the time from the client's leaving to the end of its work is short, by either protocol. `stage` brings a
/// client there and tells when it had left and when the work ended.
fn lets_go(what: &str, stage: impl Fn(fn(&Bundled) -> Guest) -> (Instant, Instant)) {
    for (protocol, guest) in [("HTTP/1.1", first as fn(&Bundled) -> Guest), ("HTTP/2", second)] {
        let mut took = Vec::new();
        while took.len() < TRIES && took.iter().all(|took| *took >= SOON) {
            let (left, ended) = stage(guest);
            took.push(ended.saturating_duration_since(left));
        }
        assert!(took.iter().any(|took| *took < SOON), "{what}, {protocol}: {took:?}");
    }
}

/// Brings a client to where an upstream has done something and does no more.
fn at_upstream(
    act: impl Fn(&mut TcpStream) + Clone + Send + Sync + 'static,
) -> impl Fn(fn(&Bundled) -> Guest) -> (Instant, Instant) {
    move |guest| {
        let (came, comes) = mpsc::channel();
        let (gone, goes) = mpsc::channel();
        let (act, told) = (act.clone(), Mutex::new((came, gone)));
        let upstream = Service::start(move |_, stream| {
            act(stream);
            let (came, gone) = told.lock().clone();
            let _ = came.send(());
            stall(stream);
            let _ = gone.send(Instant::now());
            false
        });
        let gate = gate(&upstream.url(), "", "");
        let leave = guest(&gate);
        comes.recv_timeout(Duration::from_secs(20)).expect("the upstream is not asked");
        thread::sleep(Duration::from_millis(40)); // paced: the gate takes in what the upstream has said
        let left = leave();
        (left, goes.recv_timeout(Duration::from_secs(20)).expect("the upstream is not let go"))
    }
}

#[test]
fn while_the_head_is_waited_for() {
    lets_go("waiting for the head", at_upstream(|_| {}));
}

#[test]
fn while_a_stream_is_held_back() {
    lets_go(
        "holding",
        at_upstream(|stream| {
            say(stream, open("text/event-stream"));
            say(stream, chunk(": nothing yet\n\n"));
        }),
    );
}

#[test]
fn in_the_midst_of_a_stream() {
    lets_go(
        "streaming",
        at_upstream(|stream| {
            say(stream, open("text/event-stream"));
            say(stream, chunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"));
        }),
    );
}

#[test]
fn while_a_refusal_is_read() {
    lets_go(
        "reading a refusal",
        at_upstream(|stream| {
            say(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nhalf");
        }),
    );
}

#[test]
fn while_an_endpoint_is_connected_to() {
    lets_go("connecting", |guest| {
        let (came, comes) = mpsc::channel();
        let (gone, goes) = mpsc::channel();
        // It takes the connection and says nothing of TLS.
        let address = wire::accept(move |_, mut stream| {
            let _ = came.send(());
            let mut piece = [0; 4096];
            while stream.read(&mut piece).is_ok_and(|read| read > 0) {}
            let _ = gone.send(Instant::now());
        });
        let gate = gate(&format!("https://{address}"), "", "verify = false");
        let leave = guest(&gate);
        comes.recv_timeout(Duration::from_secs(20)).expect("the upstream is not connected to");
        let left = leave();
        (left, goes.recv_timeout(Duration::from_secs(20)).expect("the connection is kept open"))
    });
}

/// The moment from which something holds.
fn from_when(mut holds: impl FnMut() -> bool) -> Instant {
    assert!(until(&mut holds), "it never does");
    Instant::now()
}

fn nobody_is_served(gate: &Bundled) -> bool {
    gate.metrics().contains("tidegate_open_exchanges 0")
}

#[test]
fn while_the_gate_waits_before_it_asks_again() {
    lets_go("backing off", |guest| {
        let upstream = Service::saying(answer(429, &[], "later"));
        let gate = gate(&upstream.url(), "", "");
        let leave = guest(&gate);
        assert!(until(|| upstream.count() == 1));
        thread::sleep(Duration::from_millis(40)); // paced: the gate takes in what the upstream has said
        let left = leave();
        let ended = from_when(|| nobody_is_served(&gate));
        assert_eq!(upstream.count(), 1);
        (left, ended)
    });
}

#[test]
fn while_it_waits_in_a_line() {
    for (what, limits, queue) in
        [("before the gate", "exchanges = 1", ""), ("before the endpoint", "", "queue = { at_once = 1 }")]
    {
        lets_go(what, |guest| {
            let upstream = Service::start(|_, stream| stall(stream));
            let gate = gate(&upstream.url(), limits, queue);
            let _running = first(&gate);
            assert!(until(|| upstream.count() == 1));
            let leave = guest(&gate);
            assert!(until(|| in_line(&gate) == 1));
            let left = leave();
            let ended = from_when(|| in_line(&gate) == 0);
            assert_eq!(upstream.count(), 1);
            (left, ended)
        });
    }
}

/// How many wait, before the gate and before its endpoint.
fn in_line(gate: &Bundled) -> usize {
    let live = gate.gate.live.load();
    let upstream = live.upstreams.get("up").unwrap();
    let before_endpoint = gate.gate.queues.busy(upstream, &upstream.endpoints[0]);
    gate.gate.admission.busy().waits() + before_endpoint.map_or(0, |busy| busy.waits())
}
