//! Malformed, ambiguous and smuggling requests against the running gate: whatever it lets through is unambiguous, and
//! no answer goes astray.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::support::bundle::Bundled;
use crate::support::wire;

/// Gates, each with an upstream of its own, that share the work.
const LANES: usize = 6;

/// Longer than any request of the corpus takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// One item of the corpus.
#[derive(Deserialize)]
struct Abuse {
    id: String,
    raw: String,
    expect: String,
    /// What four parsers make of it: how it ends for them, and how many messages they see.
    views: HashMap<String, (String, usize)>,
}

/// What came of one item.
struct Outcome {
    /// Numbers of the requests that reached the upstream whole.
    forwarded: Vec<usize>,
    /// Numbers that the answers to the client carry, in their order.
    answered: Vec<usize>,
    /// What the upstream was sent that a strict reader refuses.
    ambiguous: Vec<String>,
    /// The gate did not end the connection.
    hangs: bool,
}

/// What reached the upstream of one lane.
#[derive(Default)]
struct Record {
    count: usize,
    ambiguous: Vec<String>,
}

#[test]
fn nothing_ambiguous_passes_and_no_answer_goes_astray() {
    let Some(corpus) = corpus() else {
        println!("skipped: no corpus beside the tree");
        return;
    };
    let begun = Instant::now();
    let outcomes: Vec<(&Abuse, Outcome)> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                scope.spawn({
                    let corpus = &corpus;
                    move || run_lane(corpus.iter().skip(lane).step_by(LANES))
                })
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    let mut faults = Vec::new();
    let (mut rejects, mut let_through, mut accepts) = (0, Vec::new(), 0);
    for (abuse, outcome) in &outcomes {
        let most = abuse.views.values().map(|(_, count)| *count).max().unwrap_or_default();
        let mut fault = |what: String| faults.push(format!("{}: {what}", abuse.id));
        for what in &outcome.ambiguous {
            fault(format!("ambiguous: {what}"));
        }
        if outcome.forwarded.len() > most {
            fault(format!("{} requests made of {most}", outcome.forwarded.len()));
        }
        if outcome.hangs {
            fault("the connection hangs".to_owned());
        }
        if !outcome.forwarded.starts_with(&outcome.answered) {
            fault(format!("answers {:?} to requests {:?}", outcome.answered, outcome.forwarded));
        }
        match abuse.expect.as_str() {
            "reject" => {
                rejects += 1;
                if !outcome.forwarded.is_empty() {
                    let_through.push(abuse.id.as_str());
                }
            }
            "accept" => {
                accepts += 1;
                let wanted = abuse.views.get("h11").map_or(1, |(_, count)| *count);
                if outcome.answered.len() != wanted {
                    fault(format!("valid, but {} of {wanted} were answered", outcome.answered.len()));
                }
            }
            _ => {}
        }
    }
    println!(
        "{} items in {:?}: {} of {rejects} to be rejected were served, {accepts} to be accepted, {} faults",
        outcomes.len(),
        begun.elapsed(),
        let_through.len(),
        faults.len()
    );
    println!("served: {let_through:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(let_through.len() * 100 <= rejects * 3, "too much is let through: {let_through:?}");
}

fn corpus() -> Option<Vec<Abuse>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/abuse/corpus.jsonl");
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Sends items to one gate, one after the other.
fn run_lane<'a>(items: impl Iterator<Item = &'a Abuse>) -> Vec<(&'a Abuse, Outcome)> {
    let record = Arc::new(Mutex::new(Record::default()));
    let upstream = record_strictly(Arc::clone(&record));
    let gate = Bundled::before(&format!("http://{upstream}"), "[limits]\nbody_idle = \"2s\"\n[log]\naccess = false");
    items.map(|abuse| (abuse, send(abuse, gate.address, &record))).collect()
}

fn send(abuse: &Abuse, gate: SocketAddr, record: &Mutex<Record>) -> Outcome {
    let raw = base64::engine::general_purpose::STANDARD.decode(&abuse.raw).unwrap();
    let before = record.lock().count;
    let mut stream = TcpStream::connect(gate).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(&raw);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    let hangs = match stream.read_to_end(&mut said) {
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    let mut record = record.lock();
    let forwarded = (before + 1..=record.count).collect();
    Outcome { forwarded, answered: numbers(&said), ambiguous: std::mem::take(&mut record.ambiguous), hangs }
}

/// The numbers in an answer's heads.
fn numbers(said: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(said);
    let after = text.split("X-Number: ").skip(1);
    after.map(|rest| rest.split("\r\n").next().unwrap().parse().unwrap()).collect()
}

/// An upstream that takes only what no two readers could see differently, and answers each request with its number.
fn record_strictly(record: Arc<Mutex<Record>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let record = Arc::clone(&record);
            thread::spawn(move || serve(stream, &record));
        }
    });
    address
}

fn serve(mut stream: TcpStream, record: &Mutex<Record>) {
    stream.set_nodelay(true).unwrap();
    loop {
        let head = wire::read_until(&mut stream, b"\r\n\r\n");
        if !head.ends_with(b"\r\n\r\n") {
            return;
        }
        let whole = judge(&head).and_then(|framing| take(&mut stream, &framing));
        match whole {
            Ok(true) => {}
            Ok(false) => return,
            Err(what) => {
                record.lock().ambiguous.push(format!("{what} in {:?}", String::from_utf8_lossy(&head)));
                return;
            }
        }
        let number = {
            let mut record = record.lock();
            record.count += 1;
            record.count
        };
        let body = if head.starts_with(b"HEAD ") { "" } else { "ok" };
        let answer = format!("HTTP/1.1 200 OK\r\nX-Number: {number}\r\nContent-Length: 2\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// How a body is delimited.
enum Framing {
    Length(u64),
    Chunked,
}

/// Reads a head so strictly that nobody could read it in another way.
fn judge(head: &[u8]) -> Result<Framing, &'static str> {
    let head = head.strip_suffix(b"\r\n\r\n").ok_or("no end")?;
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let parts: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else { return Err("request line") };
    if !is_token(method) || target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("request line");
    }
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("no colon")?;
        let value = value.trim_matches([' ', '\t']);
        if !is_token(name) || value.chars().any(|letter| letter.is_control() && letter != '\t' && letter < '\u{80}') {
            return Err("header");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value.to_owned()),
            "transfer-encoding" => codings.push(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    if hosts != 1 {
        return Err("not one host");
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map(Framing::Length).map_err(|_| "length")
        }
        ([], [coding]) if coding == "chunked" => Ok(Framing::Chunked),
        _ => Err("framing"),
    }
}

fn is_token(text: &str) -> bool {
    let other = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || other(byte))
}

/// Reads a body; false when the connection ends within it.
fn take(stream: &mut TcpStream, framing: &Framing) -> Result<bool, &'static str> {
    let Framing::Length(length) = *framing else { return take_chunks(stream) };
    Ok(io::copy(&mut stream.take(length), &mut io::sink()).is_ok_and(|read| read == length))
}

fn take_chunks(stream: &mut TcpStream) -> Result<bool, &'static str> {
    loop {
        let line = wire::read_until(stream, b"\r\n");
        let Some(line) = line.strip_suffix(b"\r\n") else { return Ok(false) };
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
        if size.is_empty() || !size.iter().all(u8::is_ascii_hexdigit) || line.contains(&b'\n') || line.contains(&b'\r')
        {
            return Err("chunk size");
        }
        let size = u64::from_str_radix(std::str::from_utf8(size).unwrap(), 16).map_err(|_| "chunk size")?;
        if size == 0 {
            return take_trailers(stream);
        }
        let mut end = [0; 2];
        let whole = io::copy(&mut stream.take(size), &mut io::sink()).is_ok_and(|read| read == size);
        if !whole || stream.read_exact(&mut end).is_err() {
            return Ok(false);
        }
        if end != *b"\r\n" {
            return Err("chunk end");
        }
    }
}

fn take_trailers(stream: &mut TcpStream) -> Result<bool, &'static str> {
    loop {
        let line = wire::read_until(stream, b"\r\n");
        match line.as_slice() {
            b"\r\n" => return Ok(true),
            line if !line.ends_with(b"\r\n") => return Ok(false),
            line if line.contains(&b':') => {}
            _ => return Err("trailer"),
        }
    }
}
