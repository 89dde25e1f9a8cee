//! What is asked: every question has a number, and by it the one right answer.

use std::fmt::Write;

use serde_json::json;

/// One question on its way.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Its number; questions of one number are the same question.
    pub(crate) number: u64,
    /// In which shape it is asked.
    pub(crate) shape: Shape,
    /// Whether the answer is to stream.
    pub(crate) stream: bool,
}

/// The dialects between client and upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `OpenAI`'s chat on both sides.
    Chat,
    /// Anthropic's Messages on both sides.
    Messages,
    /// A client of `OpenAI`'s chat before an upstream of Anthropic's Messages.
    Crossed,
}

/// What stands before the number in every question.
const ASK: &str = "tell ";

// === impl Question ===

impl Question {
    /// The request, with `id` for the gate's log.
    pub(crate) fn request(&self, id: &str) -> Vec<u8> {
        let (path, model) = match self.shape {
            Shape::Chat => ("/v1/chat/completions", "chat"),
            Shape::Crossed => ("/v1/chat/completions", "claude"),
            Shape::Messages => ("/v1/messages", "claude"),
        };
        let body = json!({
            "model": model,
            "max_tokens": 1000,
            "stream": self.stream,
            "messages": [{"role": "user", "content": format!("{ASK}{}.", self.number)}],
        })
        .to_string();
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nHost: gate\r\nX-Request-Id: {id}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

/// The number of the question that a request body asks.
pub(crate) fn number_in(body: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(body, ASK.as_bytes())? + ASK.len();
    let digits = body.get(at..)?.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The right answer, word by word.
pub(crate) fn words(number: u64) -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(number);
    let count = rng.usize(8..40);
    let mut words = Vec::with_capacity(count);
    for place in 0..count {
        let mut word = String::new();
        let _ = write!(word, "{number}:{place}:{:06x} ", rng.u32(..0x0100_0000));
        words.push(word);
    }
    words
}
