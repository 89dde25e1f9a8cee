//! What a look at a body and an edit of it cost, against parsing and printing it whole. Run: `cargo bench --bench json`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints what it measured and ends where it cannot"
)]

#[path = "timing.rs"]
mod timing;

use std::fs;
use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use serde_json::{Value, json};
use tidegate::json::{Doc, Fragment, Item, Limits, NodeId, validate};

/// Recorded exchanges, where they lie beside the repository.
const RECORDED: &str = "../shared/traffic/exchanges.jsonl";

fn main() {
    let (messages, from) = recorded_messages().unwrap_or_else(|| (own_messages(), "own messages"));
    println!("bodies of {from}; ns per operation, best batch; x = share of serde_json's time for the like");
    for size in [1_000, 100_000, 1_000_000] {
        report(&chat_body(&messages, size));
    }
}

fn report(body: &Bytes) {
    let parse = timing::best(|| drop(black_box(serde_json::from_slice::<Value>(body).unwrap())));
    let print = timing::best(|| {
        let mut value: Value = serde_json::from_slice(body).unwrap();
        value["model"] = "another".into();
        drop(black_box(value.to_string()));
    });
    println!("\n{} bytes: serde_json parse {parse:.0} ns, parse + set + to_string {print:.0} ns", body.len());
    line("read model", timing::best(|| read_model(body)), parse, body);
    line("read last message", timing::best(|| read_last_message(body)), parse, body);
    line("set model", timing::best(|| drop(black_box(set_model(body)))), print, body);
    line("set model + render", timing::best(|| drop(black_box(set_model(body).render()))), print, body);
    line("validate", timing::best(|| validate(body, Limits::default()).unwrap()), parse, body);
}

fn line(name: &str, ns: f64, against: f64, body: &Bytes) {
    println!(
        "  {name:<20} {ns:>10.0} ns  {:>7.4} x  {:>6.2} GB/s",
        ns / against,
        f64::from(u32::try_from(body.len()).unwrap()) / ns
    );
}

fn doc(body: &Bytes) -> Doc {
    Doc::parse(body.clone(), Limits::default()).unwrap()
}

fn root(doc: &Doc) -> NodeId {
    container(Some(doc.root().unwrap()))
}

fn container(item: Option<Item<'_>>) -> NodeId {
    match item {
        Some(Item::Object(node) | Item::Array(node)) => node,
        other => panic!("not a container: {other:?}"),
    }
}

fn read_model(body: &Bytes) {
    let mut doc = doc(body);
    let root = root(&doc);
    black_box(doc.get(root, "model").unwrap().unwrap());
}

fn read_last_message(body: &Bytes) {
    let mut doc = doc(body);
    let root = root(&doc);
    let messages = container(doc.get(root, "messages").unwrap());
    let last = doc.len(messages).unwrap() - 1;
    let last = container(doc.at(messages, last).unwrap());
    black_box(doc.get(last, "content").unwrap());
}

fn set_model(body: &Bytes) -> Doc {
    let mut doc = doc(body);
    let root = root(&doc);
    doc.set(root, "model", &Fragment::from("another")).unwrap();
    doc
}

/// A chat request of about `size` bytes, its messages repeated until it is large enough.
fn chat_body(messages: &[Value], size: usize) -> Bytes {
    let mut taken: Vec<&Value> = Vec::new();
    let mut length = 60;
    for message in messages.iter().cycle() {
        let more = message.to_string().len() + 1;
        if length + more > size {
            break;
        }
        length += more;
        taken.push(message);
    }
    assert!(!taken.is_empty(), "no message fits in {size} bytes");
    Bytes::from(json!({"model": "small-model", "messages": taken, "stream": true}).to_string())
}

/// All messages of the recorded chat requests, a short one first.
fn recorded_messages() -> Option<(Vec<Value>, &'static str)> {
    let lines = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED)).ok()?;
    let mut messages = Vec::new();
    for line in lines.lines() {
        let exchange: Value = serde_json::from_str(line).ok()?;
        let some = exchange["request"]["body_json"]["messages"].as_array();
        messages.extend(some.into_iter().flatten().filter(|message| usual(message)).cloned());
    }
    let short = messages.iter().position(|message| message.to_string().len() < 500)?;
    messages.swap(0, short);
    Some((messages, "recorded messages"))
}

/// Text of a usual length: one huge string would make the scan look faster than it is for a conversation.
fn usual(message: &Value) -> bool {
    message["content"].as_str().is_some_and(|text| text.len() < 4_000)
}

/// Messages with the escapes and words that chats have.
fn own_messages() -> Vec<Value> {
    let text = "Explain the \"tide\" to a child,\nin three sentences, and name the moon.\n\tThen stop. Größe: 3 m.";
    (1..9).map(|n| json!({"role": if n % 2 == 0 { "assistant" } else { "user" }, "content": text.repeat(n)})).collect()
}
