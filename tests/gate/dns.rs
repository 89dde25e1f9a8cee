//! Names of upstreams: how long an address is believed, what becomes of several, and of none.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};

use crate::support::bundle::Bundled;
use crate::support::service::{Service, answer};
use crate::support::until;

/// What a name server is asked by a resolver that looks for addresses of the older kind (RFC 1035 §3.2.2).
const A: u16 = 1;

/// How many seconds addresses may be believed, and the addresses.
type Known = (u32, Vec<Ipv4Addr>);

/// A name server that tells what a test has it tell.
struct Names {
    address: SocketAddr,
    /// Names that have addresses.
    known: Arc<Mutex<BTreeMap<String, Known>>>,
    /// Names whose addresses were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let names = Self { address: socket.local_addr().unwrap(), known: Arc::default(), asked: Arc::default() };
        let (known, asked) = (Arc::clone(&names.known), Arc::clone(&names.asked));
        thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let (name, kind, end) = question(&query[..length]);
                if kind == A {
                    asked.lock().push(name.clone());
                }
                // Whoever asks for `silent` is told nothing.
                if !name.starts_with("silent") {
                    let found = known.lock().get(&name).cloned();
                    socket.send_to(&told(&query[..end], kind, found), from).unwrap();
                }
            }
        });
        names
    }

    fn tell(&self, name: &str, ttl: u32, addresses: &[Ipv4Addr]) {
        self.known.lock().insert(name.to_owned(), (ttl, addresses.to_vec()));
    }

    fn count(&self) -> usize {
        self.asked.lock().len()
    }

    /// Settings that have a gate ask here.
    fn settings(&self) -> String {
        format!("[dns]\nservers = [\"{}\"]\n", self.address)
    }
}

/// The name that a query asks for, what of it, and where the question ends (RFC 1035 §4.1.2).
fn question(query: &[u8]) -> (String, u16, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}

/// The answer to a query: its question, then what is known. Of names that are not there it says so (RFC 1035 §4.1.1).
fn told(question: &[u8], kind: u16, found: Option<Known>) -> Vec<u8> {
    let missing = u8::from(found.is_none()) * 3;
    let (ttl, addresses) = found.filter(|_| kind == A).unwrap_or_default();
    let count = u8::try_from(addresses.len()).unwrap();
    let mut bytes = question.to_vec();
    bytes[2..12].copy_from_slice(&[0x81, 0x80 | missing, 0, 1, 0, count, 0, 0, 0, 0]);
    for address in addresses {
        bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
        bytes.extend_from_slice(&ttl.to_be_bytes());
        bytes.extend_from_slice(&[0, 4]);
        bytes.extend_from_slice(&address.octets());
    }
    bytes
}

/// Addresses of this machine, and sockets on each at one port. The first may be left without anybody who listens.
fn at_one_port(hosts: [Ipv4Addr; 2]) -> (u16, [Socket; 2]) {
    for _ in 0..50 {
        let sockets = hosts.map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap());
        sockets[0].bind(&SocketAddr::from((hosts[0], 0)).into()).unwrap();
        let port = sockets[0].local_addr().unwrap().as_socket().unwrap().port();
        if sockets[1].bind(&SocketAddr::from((hosts[1], port)).into()).is_ok() {
            return (port, sockets);
        }
    }
    panic!("no port is free at two addresses");
}

fn listening(socket: Socket, says: &'static str) -> Service {
    socket.listen(16).unwrap();
    Service::on(TcpListener::from(socket), move |_, out| crate::support::service::say(out, answer(200, &[], says)))
}

/// A listener that takes no more connections: who tries one waits.
fn full(socket: &Socket) -> Vec<TcpStream> {
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(150)).ok();
    let taken: Vec<TcpStream> = std::iter::from_fn(connect).take(64).collect();
    assert!(taken.len() < 64, "it takes all");
    taken
}

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

fn gate(names: &Names, port: u16, settings: &str) -> Bundled {
    Bundled::before(&format!("http://tide.test:{port}"), &format!("{}{settings}", names.settings()))
}

#[test]
fn an_address_is_asked_for_once_while_it_may_be_believed() {
    let names = Names::start();
    let (port, [one, _]) = at_one_port([ONE, OTHER]);
    let service = listening(one, "one");
    names.tell("tide.test", 300, &[ONE]);
    let gate = gate(&names, port, "");
    for _ in 0..20 {
        assert_eq!(gate.talk().get("/", &[]).text(), "one");
    }
    assert_eq!(names.count(), 1);
    assert_eq!(service.count(), 20);
    assert_eq!(service.heard()[0].header("host"), Some(format!("tide.test:{port}").as_str()));
}

#[test]
fn new_connections_go_to_the_new_address_once_the_old_one_is_too_old() {
    let names = Names::start();
    let (port, [one, other]) = at_one_port([ONE, OTHER]);
    let (first, _second) = (listening(one, "one"), listening(other, "other"));
    names.tell("tide.test", 1, &[ONE]);
    let gate = gate(&names, port, "");
    assert_eq!(gate.talk().get("/", &[]).text(), "one");
    names.tell("tide.test", 300, &[OTHER]);
    assert!(until(|| gate.talk().get("/", &[]).text() == "other"));
    let before = first.count();
    for _ in 0..5 {
        assert_eq!(gate.talk().get("/", &[]).text(), "other", "it does not go back");
    }
    assert_eq!((names.count(), first.count()), (2, before));
}

#[test]
fn the_next_address_is_tried_within_the_same_attempt() {
    let names = Names::start();
    let (port, [_refuses, other]) = at_one_port([ONE, OTHER]);
    let _service = listening(other, "other");
    names.tell("tide.test", 300, &[ONE, OTHER]);
    let gate = gate(&names, port, "");
    assert_eq!(gate.talk().get("/", &[]).text(), "other", "without a policy that fails over");
    assert!(gate.metrics().contains("tidegate_attempts_total{upstream=\"up\""), "{}", gate.metrics());
    assert!(until(|| gate.gate.tapes.latest().iter().all(|taken| taken.facts.attempts.len() == 1)));
}

#[test]
fn several_addresses_share_the_time_to_connect_and_the_silent_one_comes_last_next_time() {
    let names = Names::start();
    let (port, [silent, other]) = at_one_port([ONE, OTHER]);
    let _taken = full(&silent);
    let _service = listening(other, "other");
    names.tell("tide.test", 300, &[ONE, OTHER]);
    names.tell("ebb.test", 300, &[ONE, ONE]);
    let settings = format!(
        "{}[upstreams.tide]\ndefault = true\nurl = \"http://tide.test:{port}\"\ntimeouts.connect = \"1s\"\nkeep_alive = \"1ms\"\n\
         [upstreams.ebb]\nurl = \"http://ebb.test:{port}\"\ntimeouts.connect = \"1s\"\n[[policies]]\nfile = \"p.lua\"\n",
        names.settings()
    );
    let lua = r#"return policy { api = 1, route = function(req)
        return if req.path == "/ebb" then { upstream = "ebb" } else nil
    end }"#;
    let gate = Bundled::serve(&[("tidegate.toml", &settings), ("p.lua", lua)]);
    let timed = |path: &str| {
        let begun = Instant::now();
        (gate.talk().get(path, &[]), begun.elapsed())
    };
    let (said, took) = timed("/");
    assert_eq!(said.text(), "other");
    assert!(took >= Duration::from_millis(400) && took < Duration::from_millis(950), "half of it each: {took:?}");
    let (said, took) = timed("/");
    assert_eq!(said.text(), "other");
    assert!(took < Duration::from_millis(400), "{took:?}");
    let (said, took) = timed("/ebb");
    assert_eq!(said.status, 504, "{}", said.text());
    assert!(took < Duration::from_millis(1700), "one timeout, not one for each: {took:?}");
}

#[test]
fn a_name_without_an_address_is_an_attempt_that_failed() {
    let names = Names::start();
    let good = Service::saying(answer(200, &[], "good"));
    for (name, kind) in [("nowhere.test", "connect"), ("silent.test", "timeout")] {
        let gate = Bundled::shipped(&format!(
            "{}[upstreams.up]\nendpoints = [{{ url = \"http://{name}:9\" }}, {{ url = \"{}\", weight = 0 }}]\n\
             timeouts.connect = \"300ms\"\n[[policies]]\nfile = \"failover.lua\"\n",
            names.settings(),
            good.url()
        ));
        let begun = Instant::now();
        assert_eq!(gate.talk().get("/", &[]).text(), "good", "{name}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{name}: {:?}", begun.elapsed());
        assert!(until(|| !gate.gate.tapes.latest().is_empty()));
        let attempts = gate.gate.tapes.latest()[0].facts.attempts.clone();
        let error = attempts[0].error.as_ref().map(|error| error.kind().as_str());
        assert_eq!((attempts.len(), error), (2, Some(kind)), "{name}");
    }
}
