//! What a translation costs: requests of 1 kB and 100 kB, and events of a stream, for each pair of dialects.
//! Run: `cargo bench --bench dialect`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints what it measured and ends where it cannot"
)]

#[path = "timing.rs"]
mod timing;

use std::hint::black_box;

use bytes::Bytes;
use serde_json::{Value, json};
use tidegate::dialect::Dialect;
use tidegate::dialect::habits::Habits;
use tidegate::dialect::interpreter::Interpreter;
use tidegate::stream::Wire;

/// The gate's own allocator: a translation is mostly small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The dialects of clients and upstreams.
const ALL: [Dialect; 5] =
    [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic, Dialect::OllamaChat, Dialect::Gemini];

/// Events in a measured stream.
const EVENTS: u32 = 200;

fn main() {
    println!("best batch; request: read, translate, print; event: read, translate, print");
    println!("{:<20} {:<20} {:>10} {:>12} {:>10}", "client", "upstream", "1 kB us", "100 kB us", "event us");
    for client in ALL {
        for upstream in ALL.into_iter().filter(|upstream| *upstream != client) {
            let small = request(client, upstream, 1_000);
            let large = request(client, upstream, 100_000);
            let event = stream(client, upstream) / f64::from(EVENTS);
            let names = [client.as_str(), upstream.as_str()];
            println!("{:<20} {:<20} {small:>10.1} {large:>12.1} {event:>10.2}", names[0], names[1]);
        }
    }
}

/// Microseconds for one request of about `size` bytes.
fn request(client: Dialect, upstream: Dialect, size: usize) -> f64 {
    let body = body_in(client, size);
    timing::best(|| {
        let chat = Interpreter::read(client, target(client), &body).unwrap();
        let mut interpreter = interpreter(client, upstream, chat.without_turns());
        drop(black_box(interpreter.request(&chat).bytes()));
    }) / 1e3
}

/// Microseconds for one stream of [`EVENTS`] pieces of text.
fn stream(client: Dialect, upstream: Dialect) -> f64 {
    let bytes = stream_in(upstream);
    let mut chat = Interpreter::read(client, target(client), &body_in(client, 1_000)).unwrap();
    chat.stream = true;
    timing::best(|| {
        let mut interpreter = interpreter(client, upstream, chat.clone());
        interpreter.begin(wire(upstream), None);
        drop(black_box(interpreter.pass(bytes.clone()).unwrap()));
        drop(black_box(interpreter.end()));
    }) / 1e3
}

fn interpreter(client: Dialect, upstream: Dialect, chat: tidegate::dialect::chat::Chat) -> Interpreter {
    Interpreter::new(client, upstream, target(client), Habits::OPENAI, chat, "bench", 1_700_000_000).unwrap()
}

fn target(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Gemini { "/v1beta/models/m:streamGenerateContent?alt=sse" } else { "/" }
}

fn wire(dialect: Dialect) -> Wire {
    if dialect == Dialect::OllamaChat { Wire::Ndjson } else { Wire::Sse }
}

/// A chat of about `size` bytes in turns of 1 kB, in a dialect: written from `OpenAI`'s by the codec itself.
fn body_in(dialect: Dialect, size: usize) -> Bytes {
    let said = "The tide comes in twice a day, and the gate is raised an hour before \"high water\".\n".repeat(11);
    let turns: Vec<Value> = (0..size / 1_000)
        .map(|turn| json!({"role": if turn % 2 == 0 { "user" } else { "assistant" }, "content": said}))
        .collect();
    let tool = json!({"type": "function", "function": {"name": "tide", "description": "Tells the tide",
        "parameters": {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}}});
    let body = json!({"model": "m", "messages": turns, "tools": [tool], "temperature": 0.5, "max_tokens": 500});
    if dialect == Dialect::OpenAiChat {
        return Bytes::from(body.to_string());
    }
    let chat = Interpreter::read(Dialect::OpenAiChat, "/", body.to_string().as_bytes()).unwrap();
    interpreter(Dialect::OpenAiChat, dialect, chat.clone()).request(&chat).bytes()
}

/// A stream of text in a dialect, translated from `OpenAI`'s.
fn stream_in(dialect: Dialect) -> Bytes {
    let piece = |delta: Value, reason: Value| {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]});
        format!("data: {chunk}\n\n")
    };
    let mut text = piece(json!({"role": "assistant", "content": ""}), Value::Null);
    for _ in 0..EVENTS {
        text.push_str(&piece(json!({"content": " tide"}), Value::Null));
    }
    text.push_str(&piece(json!({}), "stop".into()));
    text.push_str("data: [DONE]\n\n");
    let bytes = Bytes::from(text);
    if dialect == Dialect::OpenAiChat {
        return bytes;
    }
    let mut chat = Interpreter::read(dialect, target(dialect), &body_in(dialect, 1_000)).unwrap();
    chat.stream = true;
    let mut interpreter = interpreter(dialect, Dialect::OpenAiChat, chat);
    interpreter.begin(Wire::Sse, None);
    [interpreter.pass(bytes).unwrap(), interpreter.end()].concat().into()
}
