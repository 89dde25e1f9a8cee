//! The translated works: what a chat client asks, how the upstream sees that it was asked in Anthropic's dialect, and
//! how an answer that was translated back is told from any other.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the upstream says as a whole in Anthropic's dialect, and in no other.
pub(crate) const SAID: &str = "High water is at six; until then the gate stays as the keeper left it.";
/// What each event of such a stream says.
pub(crate) const PIECE: &str = " water";
/// How many events of a translated stream say something.
pub(crate) const EVENTS: usize = 100;
/// What a turn of ordinary length repeats: about 80 bytes, with what JSON escapes.
const LINE: &str = "The tide turned at dawn; \"hold the gate\", said the keeper, and wrote it down.\n";
/// How often it does: about 1 kB.
const LINES: usize = 12;

/// A whole answer or one event of a stream, as chat clients read it.
#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    /// In whole answers.
    #[serde(borrow, default)]
    message: Said<'a>,
    /// In events.
    #[serde(borrow, default)]
    delta: Said<'a>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
}

/// A chat request of about `size` bytes: a system message, then turns of both sides, the last one the user's.
pub(crate) fn request(model: &str, size: usize, stream: bool) -> String {
    let mut messages = vec![json!({"role": "system", "content": "You keep the gate, and answer in one sentence."})];
    let around = body(model, &messages, stream).len();
    let mut left = size.saturating_sub(around + 32);
    while left > 0 {
        let said: String = LINE.chars().cycle().take(left.min(LINE.len() * LINES)).collect();
        let role = if messages.len() % 2 == 1 { "user" } else { "assistant" };
        let message = json!({"role": role, "content": said});
        left = left.saturating_sub(message.to_string().len() + 1);
        messages.push(message);
    }
    if messages.len() % 2 == 1 {
        messages.push(json!({"role": "user", "content": "And now?"}));
    }
    body(model, &messages, stream)
}

fn body(model: &str, messages: &[Value], stream: bool) -> String {
    json!({"model": model, "messages": messages, "temperature": 0.2, "max_tokens": 500, "stream": stream}).to_string()
}

/// Whether a body that came to the upstream is in Anthropic's dialect, whose messages have no role `system`.
pub(crate) fn is_translated(body: &[u8]) -> bool {
    memmem::find(body, br#""system":"#).is_some() && memmem::find(body, br#"role":"system""#).is_none()
}

/// Whether it asks for a stream. A text that says the same has its quotes escaped.
pub(crate) fn asks_for_stream(body: &[u8]) -> bool {
    const KEY: &[u8] = br#""stream":"#;
    memmem::find(body, KEY)
        .and_then(|at| body.get(at + KEY.len()..))
        .is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
}

/// Whether the client got the upstream's whole answer in its own dialect.
pub(crate) fn is_answer(body: &[u8]) -> bool {
    let Ok(Completion { choices }) = serde_json::from_slice(body) else {
        return false;
    };
    let [choice] = choices.as_slice() else {
        return false;
    };
    choice.message.content.as_deref() == Some(SAID) && choice.finish_reason.as_deref() == Some("stop")
}

/// Whether the client got the upstream's stream in its own dialect: every piece in an event of its own, why it ended,
/// and the terminator.
pub(crate) fn is_stream(body: &[u8]) -> bool {
    let Ok(body) = str::from_utf8(body) else {
        return false;
    };
    let (mut pieces, mut stopped, mut terminated) = (0, false, false);
    for data in body.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start) {
        if data == "[DONE]" {
            terminated = true;
            continue;
        }
        let Ok(Completion { choices }) = serde_json::from_str(data) else {
            return false;
        };
        for choice in choices {
            match choice.delta.content.as_deref() {
                Some(PIECE) => pieces += 1,
                None | Some("") => {}
                Some(_) => return false,
            }
            stopped |= choice.finish_reason.as_deref() == Some("stop");
        }
    }
    pieces == EVENTS && stopped && terminated
}
