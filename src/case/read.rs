//! Reads a case file; every mistake in it is told at once, with its line.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;

use super::block::{self, Block, Line, Side};
use super::body::{Shape, Split};
use super::message::{self, Framing};
use super::number::exact;
use super::{Answer, Call, Case, Mishap, Param, Setup, Takes};
use crate::fault::Fault;
use crate::tape::Read;

/// Words an opening line may have, by side, for the mistake that names them.
const CLIENT_WORDS: &str =
    "after=5s, beside, leaves=2s, takes=nothing|BYTES, tls, split=7|events, pause=1s, crlf, torn, raw";
const UPSTREAM_WORDS: &str = "fault=refuse|unreachable|tls|reset|stall|cut|garbage, slow=2s, early, reused, \
    split=7|events, pause=1s, crlf, torn, raw";

/// What can stand in the preamble besides comments.
const SETTINGS: &str = "set clock 2026-03-01T12:00:00Z, set seed 1, set id 7f3a, set client 203.0.113.7, set env NAME value, set param policy.name json, set read \"what\" json";

/// The words of an opening line that both sides have, and those of one.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are words that stand in a line or do not")]
struct Words {
    shape: Shape,
    after: Duration,
    leaves: Option<Duration>,
    takes: Option<Takes>,
    beside: bool,
    tls: bool,
    fault: Option<Mishap>,
    slow: Duration,
    early: bool,
    reused: bool,
}

/// Reads the text of a case; `file` names it in faults and snapshots.
pub fn read(file: &str, text: &str) -> Result<Case, Vec<Fault>> {
    let mut faults = Vec::new();
    let parts = block::cut(file, text, &mut faults);
    let (about, setup) = preamble(file, &parts.preamble, &mut faults);
    let mut case = Case { file: file.to_owned(), about, setup, calls: Vec::new(), answers: Vec::new() };
    for block in &parts.blocks {
        let read = match block.side {
            Side::Client => call(block).map(|call| case.calls.push(call)),
            Side::Upstream => answer(block).map(|answer| case.answers.push(answer)),
        };
        if let Err((line, why)) = read {
            faults.push(Fault::at(file, line, 1, why));
        }
    }
    if case.about.is_empty() {
        faults.push(Fault::at(file, 1, 1, "a case begins with a comment that says what it shows"));
    }
    if !parts.blocks.iter().any(|block| block.side == Side::Client) {
        faults.push(Fault::in_file(file, "the case has no `> client` block"));
    }
    if faults.is_empty() {
        Ok(case)
    } else {
        faults.sort();
        Err(faults)
    }
}

/// Reads a duration: a whole number with `ms`, `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// The comment and the `set` lines at the top.
fn preamble(file: &str, lines: &[Line<'_>], faults: &mut Vec<Fault>) -> (String, Setup) {
    let mut about: Vec<&str> = Vec::new();
    let mut setup = Setup::default();
    for line in lines {
        let text = line.bare().trim();
        if let Some(comment) = text.strip_prefix('#') {
            about.push(comment.trim());
        } else if !text.is_empty()
            && let Err(why) = set(&mut setup, text, line.number)
        {
            faults.push(Fault::at(file, line.number, 1, why));
        }
    }
    (about.join(" ").trim().to_owned(), setup)
}

/// Takes over one `set` line.
fn set(setup: &mut Setup, text: &str, line: usize) -> Result<(), String> {
    let unknown = || format!("before the first block stand comments and these: {SETTINGS}");
    let (word, rest) = text.split_once(' ').ok_or_else(unknown)?;
    let (what, value) = rest.trim().split_once(' ').ok_or_else(unknown)?;
    let value = value.trim();
    match (word, what) {
        ("set", "clock") => {
            let at: Timestamp = value.parse().map_err(|error| format!("`{value}` is not a time: {error}"))?;
            setup.clock = SystemTime::from(at);
        }
        ("set", "seed") => setup.seed = value.parse().map_err(|_| format!("`{value}` is not a number"))?,
        ("set", "client") => setup.client = value.parse().map_err(|_| format!("`{value}` is not an IP address"))?,
        ("set", "env") => {
            let (name, value) = value.split_once(' ').ok_or_else(unknown)?;
            setup.env.insert(name.to_owned(), value.trim().to_owned());
        }
        ("set", "id") => setup.id = Some(value.to_owned()),
        ("set", "param") => setup.params.push(param(value, line)?),
        ("set", "read") => setup.reads.push(read_of(value)?),
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Reads `policy.name json`.
fn param(text: &str, line: usize) -> Result<Param, String> {
    let wanted = || "a parameter is set like `set param identify.header \"x-user\"`".to_owned();
    let (path, json) = text.split_once(' ').ok_or_else(wanted)?;
    let (policy, name) = path.rsplit_once('.').ok_or_else(wanted)?;
    let value = serde_json::from_str(json.trim()).map_err(|error| format!("the value is not JSON: {error}"))?;
    Ok(Param { policy: policy.to_owned(), name: name.to_owned(), value, line })
}

/// Reads `"what" json`: what was asked for, and what the answer was.
fn read_of(text: &str) -> Result<Read, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match (values.next(), values.next(), values.next()) {
        (Some(Ok(Value::String(what))), Some(Ok(mut value)), None) => {
            exact(&mut value, text);
            Ok(Read { what, value })
        }
        _ => Err("a read is set like `set read \"store.get policy:quota alice\" 3`".to_owned()),
    }
}

fn call(block: &Block<'_>) -> Result<Call, message::Mistake> {
    let words = words(block, &block.words)?;
    let (head, body) = message::request(&block.lines, block.line, words.shape)?;
    Ok(Call {
        line: block.line,
        after: words.after,
        leaves: words.leaves,
        takes: words.takes,
        beside: words.beside,
        tls: words.tls,
        head,
        body,
    })
}

fn answer(block: &Block<'_>) -> Result<Answer, message::Mistake> {
    let Some(((name, None), rest)) = block.words.split_first() else {
        return Err((
            block.line,
            "an answer names its upstream: `< upstream NAME` or `< upstream NAME/ENDPOINT`".to_owned(),
        ));
    };
    let (upstream, endpoint) = match name.split_once('/') {
        Some((upstream, endpoint)) => (upstream, Some(endpoint.to_owned())),
        None => (*name, None),
    };
    let mut words = words(block, rest)?;
    if words.shape.framing == Framing::Usual
        && matches!(words.fault, Some(Mishap::Cut | Mishap::Stall | Mishap::Garbage))
    {
        words.shape.framing = Framing::Chunks;
    }
    let (heads, body) = message::response(&block.lines, words.shape)?;
    check_answer(block.line, words.fault, heads.is_empty())?;
    Ok(Answer {
        line: block.line,
        upstream: upstream.to_owned(),
        endpoint,
        fault: words.fault,
        slow: words.slow,
        early: words.early,
        reused: words.reused,
        heads,
        body,
        trailers: None,
    })
}

/// Whether a fault and a message go together.
fn check_answer(line: usize, fault: Option<Mishap>, empty: bool) -> Result<(), message::Mistake> {
    let why = match fault {
        None if empty => "the block holds no response; without one it needs a `fault=`",
        Some(Mishap::Cut) if empty => {
            "`fault=cut` breaks a response off: give its head; before a head it is `fault=reset`"
        }
        Some(Mishap::Refuse | Mishap::Unreachable | Mishap::Tls | Mishap::Reset) if !empty => {
            "with this fault no response comes: leave it out"
        }
        _ => return Ok(()),
    };
    Err((line, why.to_owned()))
}

/// Reads the words of an opening line.
fn words(block: &Block<'_>, pairs: &[(&str, Option<&str>)]) -> Result<Words, message::Mistake> {
    let mut words = Words::default();
    for (name, value) in pairs {
        let known = common_word(&mut words, name, *value)
            || match block.side {
                Side::Client => client_word(&mut words, name, *value),
                Side::Upstream => upstream_word(&mut words, name, *value),
            };
        if !known {
            let allowed = match block.side {
                Side::Client => CLIENT_WORDS,
                Side::Upstream => UPSTREAM_WORDS,
            };
            let word = value.map_or_else(|| (*name).to_owned(), |value| format!("{name}={value}"));
            return Err((block.line, format!("`{word}` means nothing here; these do: {allowed}")));
        }
    }
    Ok(words)
}

fn common_word(words: &mut Words, name: &str, value: Option<&str>) -> bool {
    let shape = &mut words.shape;
    match (name, value) {
        ("crlf", None) => shape.crlf = true,
        ("torn", None) => shape.torn = true,
        ("raw", None) => shape.framing = Framing::Untold,
        ("split", Some("events")) => shape.split = Some(Split::Events),
        ("split", Some(value)) => {
            shape.split = value.parse().ok().filter(|bytes| *bytes > 0).map(Split::Bytes);
            return shape.split.is_some();
        }
        ("pause", Some(value)) => return put(&mut shape.pause, duration(value)),
        _ => return false,
    }
    true
}

fn client_word(words: &mut Words, name: &str, value: Option<&str>) -> bool {
    match (name, value) {
        ("after", Some(value)) => put(&mut words.after, duration(value)),
        ("leaves", Some(value)) => put(&mut words.leaves, duration(value).map(Some)),
        ("takes", Some("nothing")) => put(&mut words.takes, Some(Some(Takes::default()))),
        ("takes", Some(bytes)) => {
            put(&mut words.takes, bytes.parse().ok().map(|bytes| Some(Takes { head: true, bytes })))
        }
        ("beside", None) => put(&mut words.beside, Some(true)),
        ("tls", None) => put(&mut words.tls, Some(true)),
        _ => false,
    }
}

fn upstream_word(words: &mut Words, name: &str, value: Option<&str>) -> bool {
    match (name, value) {
        ("fault", Some(value)) => {
            let mishap = Mishap::WORDS.iter().find(|(word, _)| *word == value);
            put(&mut words.fault, mishap.map(|(_, mishap)| Some(*mishap)))
        }
        ("slow", Some(value)) => put(&mut words.slow, duration(value)),
        ("early", None) => put(&mut words.early, Some(true)),
        ("reused", None) => put(&mut words.reused, Some(true)),
        _ => false,
    }
}

/// Puts a value in its place; says whether there was one.
fn put<T>(place: &mut T, value: Option<T>) -> bool {
    let found = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    found
}
