//! Recorded exchanges of many services through the gate: nothing is changed that nobody asked to change.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::bundle::{Bundled, root};
use crate::support::service::{Heard, Service, say};
use crate::support::talk::{Said, Talk, header};

/// Headers that concern one connection or the body's framing, of which a replay makes its own, and what the gate and
/// the shipped policies say themselves.
const LEFT_OUT: [&str; 11] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "keep-alive",
    "host",
    "accept-encoding",
    "expect",
    "te",
    "x-request-id",
    "x-cache",
];

/// One recorded exchange.
struct Recorded {
    id: String,
    /// What is streamed, if it is.
    wire: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    status: u64,
    answer_headers: Vec<(String, String)>,
    answer: Vec<u8>,
}

// === impl Recorded ===

impl Recorded {
    fn of(line: &str) -> Self {
        let all: Value = serde_json::from_str(line).unwrap();
        let (request, response) = (&all["request"], &all["response"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let body = match (&request["body_json"], &request["body_text"]) {
            (Value::Null, Value::String(text)) => text.clone().into_bytes(),
            (Value::Null, _) => Vec::new(),
            (json, _) => serde_json::to_vec_pretty(json).unwrap(),
        };
        let answer = match (&response["body_text"], &response["body_base64"]) {
            (Value::String(text), _) => text.clone().into_bytes(),
            (_, Value::String(coded)) => STANDARD.decode(coded).unwrap(),
            _ => Vec::new(),
        };
        Self {
            id: text(&all["id"]),
            wire: text(&all["wire"]),
            method: text(&request["method"]),
            path: text(&request["path"]).replace(['<', '>'], ""), // placeholders of the recorder, which no client could send
            headers: headers(&request["headers"]),
            body,
            status: response["status"].as_u64().unwrap(),
            answer_headers: headers(&response["headers"]),
            answer,
        }
    }

    /// Whether its client names itself, and the recorder has not put a placeholder there.
    fn tells_its_client(&self) -> bool {
        self.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("user-agent")
                && !value.trim_end_matches('X').ends_with('-')
                && !value.contains("REDACTED")
        })
    }

    /// The request as its client would send it, marked with the exchange's number.
    fn request(&self, number: usize) -> Vec<u8> {
        let fields = lines(&self.headers);
        let length = if self.method == "GET" || self.method == "HEAD" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", self.body.len())
        };
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: gate.test\r\nX-Exchange: {number}\r\nX-User-Id: {number}\r\n{fields}{length}\r\n",
            self.method, self.path
        );
        [head.as_bytes(), &self.body].concat()
    }

    /// The answer as its service would send it: streams in pieces that cut events anywhere.
    fn response(&self, number: usize) -> Vec<u8> {
        let fields = lines(&self.answer_headers);
        let head = format!("HTTP/1.1 {} Recorded\r\n{fields}", self.status);
        if self.wire == "json" || self.method == "HEAD" {
            let head = format!("{head}Content-Length: {}\r\n\r\n", self.answer.len());
            let body = if self.method == "HEAD" { &[][..] } else { &self.answer };
            return [head.as_bytes(), body].concat();
        }
        let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for piece in self.answer.chunks(37 + number % 400) {
            bytes.extend_from_slice(&crate::support::service::chunk(piece));
        }
        bytes.extend_from_slice(crate::support::service::END.as_bytes());
        bytes
    }
}

fn lines(headers: &[(String, String)]) -> String {
    headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect()
}

fn headers(list: &Value) -> Vec<(String, String)> {
    let pairs = list
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()));
    pairs.filter(|(name, _)| !LEFT_OUT.contains(&name.to_lowercase().as_str())).collect()
}

/// The recorded exchanges; none where they are not.
fn recorded() -> Option<Arc<Vec<Recorded>>> {
    let Ok(text) = fs::read_to_string(root().join("../shared/traffic/exchanges.jsonl")) else {
        eprintln!("skipped: the recorded traffic is not here");
        return None;
    };
    Some(Arc::new(text.lines().map(Recorded::of).collect()))
}

/// An upstream that answers each request with what was recorded for it.
fn replaying(all: &Arc<Vec<Recorded>>) -> Service {
    let all = Arc::clone(all);
    Service::start(move |heard, stream| {
        let number: usize = heard.header("x-exchange").unwrap().parse().unwrap();
        say(stream, all[number].response(number))
    })
}

/// Sends every exchange through the gate, on a few connections.
fn replay(all: &Arc<Vec<Recorded>>, gate: &Bundled, look: impl Fn(&Recorded, &Said) + Send + Sync + 'static) {
    let (next, look) = (Arc::new(AtomicUsize::new(0)), Arc::new(look));
    let client = |_| {
        let (all, next, look, address) = (Arc::clone(all), Arc::clone(&next), Arc::clone(&look), gate.address);
        thread::spawn(move || {
            let mut talk = Talk::to(address);
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(one) = all.get(number) else { return };
                let said = talk_once(&mut talk, one, number);
                look(one, &said);
                if said.header("connection") == Some("close") {
                    talk = Talk::to(address);
                }
            }
        })
    };
    let clients: Vec<_> = (0..3).map(client).collect();
    for client in clients {
        client.join().unwrap();
    }
}

fn talk_once(talk: &mut Talk, one: &Recorded, number: usize) -> Said {
    talk.send(one.request(number));
    if one.method == "HEAD" {
        return Said { status: 0, head: talk.drop_head(), body: Vec::new(), whole: true };
    }
    talk.read()
}

fn same_answer(one: &Recorded, said: &Said) {
    if one.method == "HEAD" {
        return;
    }
    assert_eq!(u64::from(said.status), one.status, "{} {}: {}", one.id, one.path, said.text());
    assert!(said.whole, "{}", one.id);
    assert!(said.body == one.answer, "{}: {} became {}", one.id, String::from_utf8_lossy(&one.answer), said.text());
    for (name, value) in &one.answer_headers {
        assert!(has(&said.head, name, value), "{}: {name}: {value} is not in {}", one.id, said.head);
    }
}

fn has(head: &str, name: &str, value: &str) -> bool {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.any(|(field, found)| field.eq_ignore_ascii_case(name) && found.trim() == value.trim())
}

fn same_request(one: &Recorded, heard: &Heard) {
    assert!(heard.body == one.body, "{}: {}", one.id, heard.text());
    assert_eq!(heard.target(), one.path, "{}", one.id);
    for (name, value) in &one.headers {
        assert!(has(&heard.head, name, value), "{}: {name}: {value} is not in {}", one.id, heard.head);
    }
}

#[test]
fn without_policies_recorded_exchanges_are_identical_both_ways() {
    let Some(all) = recorded() else { return };
    let upstream = replaying(&all);
    let gate = Bundled::serve(&[("tidegate.toml", &format!("[upstreams.up]\nurl = \"{}\"\n", upstream.url()))]);
    replay(&all, &gate, same_answer);
    let heard = upstream.heard();
    assert_eq!(heard.len(), all.len(), "each exactly once");
    for heard in &heard {
        let number: usize = heard.header("x-exchange").unwrap().parse().unwrap();
        same_request(&all[number], heard);
    }
    let mut wires: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().for_each(|one| *wires.entry(&one.wire).or_default() += 1);
    eprintln!("covered: {} exchanges without policies, {wires:?}", all.len());
}

#[test]
fn with_a_hook_that_reads_every_typed_field_answers_are_identical() {
    let Some(all) = recorded() else { return };
    let upstream = replaying(&all);
    let lua = "return policy { api = 1, on_event = function(ev, ctx)
      local _ = { ev.kind, ev.reasoning, ev.tool and ev.tool.args, ev.usage, ev.stop, ev.error, ev.choice, ev.raw }
      if ev.text then ev.text = ev.text end
      if ctx.dialect and ev.kind == \"text\" then store:incr(if ev.whole then \"whole\" else \"streamed\", 1) end
    end, endpoints = { [\"GET /counts\"] = function()
      return respond { json = { whole = store:get(\"whole\"), streamed = store:get(\"streamed\") } }
    end } }";
    let gate = Bundled::policy(&upstream.url(), "", lua);
    replay(&all, &gate, same_answer);
    let counts = gate.talk().get("/counts", &[]).json();
    assert!(counts["whole"].as_u64() > Some(50) && counts["streamed"].as_u64() > Some(1000), "{counts}");
    eprintln!("covered: {counts} events with text");
    // A hook that a busy machine keeps waiting is ended; its event passes all the same.
    let slow = |error: &&Value| error["message"].as_str().unwrap().starts_with("ran for longer");
    let errors = gate.status()["hook_errors"].as_array().unwrap().clone();
    assert!(errors.iter().all(|error| slow(&error)), "{errors:#?}");
}

#[test]
fn with_the_shipped_policies_answers_are_identical_and_clients_are_known() {
    let Some(all) = recorded() else { return };
    let upstream = replaying(&all);
    let url = upstream.url();
    let settings = format!(
        "[upstreams.openai]\ndefault = true\nurl = \"{url}\"\n[upstreams.anthropic]\nurl = \"{url}\"\n[upstreams.local]\nurl = \"{url}\"\n[upstreams.gemini]\nurl = \"{url}\"\n\
         [[policies]]\nfile = \"show.lua\"\n[[policies]]\nfile = \"identify.lua\"\n[[policies]]\nfile = \"route.lua\"\nparams.fallback = \"openai\"\n\
         [[policies]]\nfile = \"cache.lua\"\nparams.ttl = 300\n[[policies]]\nfile = \"failover.lua\"\nparams.attempts = 1\n"
    );
    let folder = tempfile::TempDir::new().unwrap();
    crate::support::bundle::copy(&root().join("policies"), folder.path());
    fs::write(folder.path().join("tidegate.toml"), settings).unwrap();
    let show = "return policy { api = 1, on_response = function(res, ctx) res.headers:set(\"x-client\", ctx.client or \"\") end }";
    fs::write(folder.path().join("show.lua"), show).unwrap();
    let gate = Bundled::following(folder.path(), tidegate::bundle::SETTLE);
    replay(&all, &gate, |one, said| {
        same_answer(one, said);
        let told = one.tells_its_client();
        let known = header(&said.head, "x-client").is_some_and(|client| !client.is_empty());
        assert!(known || !told, "{}: {:?}", one.id, one.headers);
    });
    assert_eq!(upstream.count(), all.len(), "each exactly once");
    let named = all.iter().filter(|one| one.tells_its_client()).count();
    eprintln!("covered: {} exchanges with the shipped policies, {named} clients by their User-Agent", all.len());
    assert!(gate.status()["hook_errors"].as_array().unwrap().is_empty(), "{:#}", gate.status()["hook_errors"]);
}
