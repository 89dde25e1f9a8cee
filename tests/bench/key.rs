//! What a cache key costs: a chat's parts and their hash, for chats of 1 kB and 100 kB in each dialect.
//! Run: `cargo bench --bench key`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints what it measured and ends where it cannot"
)]

#[path = "timing.rs"]
mod timing;

use std::hint::black_box;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate::cache::parts::{self, Choice};
use tidegate::cache::{Form, Key};
use tidegate::dialect::Dialect;
use tidegate::exchange::decision::{CacheRule, Scope};

/// The gate's own allocator: a key is mostly small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A turn with what real ones have: lines, quotes, code.
const TURN: &str = "The tide tables say \"high at six\".\n```rust\nfn tide(hour: u32) -> f32 {\n    (hour as f32 * 0.506).sin()\n}\n```\nWhich harbour is meant, and on which day? Please answer with one line for each of them, and with nothing else.\n";

fn main() {
    let choice = Choice {
        ignore: ["stream", "user", "metadata", "cache_control", "service_tier", "keep_alive"].map(str::to_owned).into(),
        normalise: Vec::new(),
    };
    println!("best batch; parse: serde_json alone; parts: with the reading of the dialect; key: parts, key and hash");
    println!("{:<20} {:>8} {:>8} {:>10} {:>10} {:>10}", "dialect", "bytes", "parts", "parse us", "parts us", "key us");
    for dialect in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::OllamaChat] {
        for size in [1_000, 100_000] {
            let body = chat(dialect, size);
            let target = if dialect == Dialect::OllamaChat { "/api/chat" } else { "/v1/messages" };
            let made = || parts::of(Some(dialect), target, &body, &choice).unwrap();
            let parse = timing::best(|| drop(black_box(serde_json::from_slice::<Value>(&body).unwrap())));
            let parts = timing::best(|| drop(black_box(made())));
            let key = timing::best(|| drop(black_box(key(made()))));
            let figures = [parse, parts, key].map(|nanos| nanos / 1e3);
            println!(
                "{:<20} {:>8} {:>8} {:>10.1} {:>10.1} {:>10.1}",
                dialect.as_str(),
                body.len(),
                made().named.len(),
                figures[0],
                figures[1],
                figures[2]
            );
        }
    }
}

/// The key that an exchange makes of parts.
fn key(parts: parts::Parts) -> Key {
    let rule = CacheRule {
        texts: false,
        ttl: Duration::from_mins(5),
        scope: Scope::User,
        read: true,
        write: true,
        ..CacheRule::default()
    };
    let form = Form { method: "POST", path: "/", dialect: None, stream: None, upstream: "up", model: None };
    Key::new(parts.named, &rule, Some("ada"), "generation", &form)
}

/// A chat of about `size` bytes, in turns of one to five times [`TURN`].
fn chat(dialect: Dialect, size: usize) -> Vec<u8> {
    let mut turns: Vec<Value> = Vec::new();
    let mut bytes = 0;
    while bytes < size {
        let text = TURN.repeat(1 + turns.len() % 5);
        bytes += text.len() + 50;
        let role = if turns.len().is_multiple_of(2) { "user" } else { "assistant" };
        let content = match dialect {
            Dialect::Anthropic => json!([{"type": "text", "text": text}]),
            _ => json!(text),
        };
        turns.push(json!({"role": role, "content": content}));
    }
    let body = json!({"model": "tide-1", "max_tokens": 100, "stream": true, "temperature": 0.5, "messages": turns});
    body.to_string().into_bytes()
}
