//! Redaction keeps what the gate decides by: recorded exchanges of many services come to the same on the shipped policies
//! before and after it. Skipped where the recordings do not lie beside the repository.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test cannot do without is there, or the test fails"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tidegate::bundle::{self, Bundle};
use tidegate::case::recording::{Recording, Recordings};
use tidegate::case::redact::{Redaction, Text};
use tidegate::case::{Case, Player, on_all_processors, read};
use tidegate::replay::aspects::{Aspect, Aspects};

const RECORDED: &str = "../shared/traffic/exchanges.jsonl";

/// Longer ones are files for the most part, and slow to play in a build for tests.
const LONGEST: usize = 40_000;

/// What a recording calls a coding that it undid, and what framing says.
const UNDONE: [&str; 4] = ["content-encoding", "content-length", "transfer-encoding", "connection"];

/// The shipped bundle, so routed that whatever is asked goes to some upstream.
fn shipped() -> Bundle {
    bundle::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).unwrap()
}

fn headers(list: &Value) -> String {
    let pairs = list.as_array().into_iter().flatten();
    let pairs = pairs.map(|pair| (pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default().trim()));
    let stays = |name: &str, value: &str| !UNDONE.contains(&name.to_ascii_lowercase().as_str()) && value.is_ascii();
    let lines: Vec<String> =
        pairs.filter(|(name, value)| stays(name, value)).map(|(name, value)| format!("{name}: {value}\n")).collect();
    lines.concat()
}

/// A body as a case has it whatever it says.
fn coded(body: &[u8]) -> String {
    if body.is_empty() { String::new() } else { format!("\n~ base64 {}\n", STANDARD.encode(body)) }
}

/// A recorded exchange as a case, answered whatever upstream is asked. `None` for what no client could send like this.
fn recorded(line: &Value) -> Option<Case> {
    let (request, response) = (&line["request"], &line["response"]);
    let asked = match (&request["body_json"], &request["body_text"]) {
        (Value::Null, Value::String(text)) => text.clone().into_bytes(),
        (Value::Null, _) => Vec::new(),
        (json, _) => json.to_string().into_bytes(),
    };
    let answered = response["body_text"].as_str().unwrap_or_default().as_bytes();
    if asked.len() + answered.len() > LONGEST || response["body_text"].is_null() {
        return None;
    }
    let target = request["path"].as_str()?.replace(['<', '>'], "-");
    let text = format!(
        "# A recorded exchange.\n> client\n{} {target} HTTP/1.1\n{}{}\n< upstream *\nHTTP/1.1 {} Recorded\n{}{}",
        request["method"].as_str()?,
        headers(&request["headers"]),
        coded(&asked),
        response["status"],
        headers(&response["headers"]),
        coded(answered),
    );
    read::read("t.http", &text).ok()
}

/// What must be the same: the hooks that ran, where it goes, what is tried, how it ends but for the words of errors, what
/// was used and what was lost; and the route by itself.
fn told(on: &Player, case: &Case) -> (Vec<String>, String) {
    let played = on.play(case).unwrap();
    let route = Aspects::of(&played).part(Aspect::Route).unwrap().told.clone();
    let page = tidegate::case::render(&played);
    let starts = ["hooks:", "plan:", "= ", "ended:", "usage:", "loss:"];
    let lines = page.lines().filter(|line| starts.iter().any(|start| line.starts_with(start)));
    let lines = lines.map(|line| line.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": "));
    (lines.collect(), route)
}

#[test]
fn recorded_exchanges_come_to_the_same_redacted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED);
    let Ok(text) = fs::read_to_string(path) else {
        println!("skipped: no recordings beside the repository");
        return;
    };
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cases: Vec<(String, Case)> =
        lines.iter().filter_map(|line| Some((line["id"].as_str()?.to_owned(), recorded(line)?))).collect();
    let player = Player::new(&shipped());
    let redaction = Redaction::new([7; 32], Text::Replaced);
    let outcomes = on_all_processors(&cases, |(id, case)| {
        let mut redacted = case.clone();
        let report = redaction.case(&mut redacted);
        // What is played is what a file would say.
        let mut line = Vec::new();
        let at = redacted.setup.clock;
        Recording { id: id.clone(), at, generation: String::new(), case: redacted }.write(&mut line).unwrap();
        let redacted = Recordings::new("t.jsonl", line.as_slice()).next().unwrap().unwrap().case;
        let (before, after) = (told(&player, case), told(&player, &redacted));
        let replaced: usize = report.counts.values().sum();
        (before.1.clone(), replaced, (before != after).then(|| format!("{id}: {before:#?} is {after:#?}")))
    });
    let (mut routes, mut replaced) = (BTreeMap::<String, usize>::new(), 0);
    for (route, count, _) in &outcomes {
        *routes.entry(route.clone()).or_default() += 1;
        replaced += count;
    }
    println!("{} of {} exchanges, {replaced} replacements", cases.len(), lines.len());
    let mut most: Vec<_> = routes.into_iter().collect();
    most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (route, count) in most.iter().take(10) {
        println!("{count:>5} {route}");
    }
    let differing: Vec<String> = outcomes.into_iter().filter_map(|(_, _, differing)| differing).collect();
    let shown = differing.iter().take(4).cloned().collect::<Vec<_>>().join("\n");
    assert!(differing.is_empty(), "{} of {} differ:\n{shown}", differing.len(), cases.len());
    assert!(cases.len() > 500 && replaced > 10_000);
}
