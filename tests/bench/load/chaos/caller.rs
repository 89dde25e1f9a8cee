//! One client: asks, reads, and says what became of it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::question::{Question, Shape, words};
use super::tally::{Outcome, Tally};
use super::voice::{Heard, Voice};
use crate::wire::{Head, Wire};

/// Longer than any answer may take: a gate that says nothing for so long has lost the request.
const PATIENCE: Duration = Duration::from_mins(1);

/// Questions that many clients ask, so that the cache and running fills serve them.
const SHARED: u64 = 40;

/// Numbers of questions that are asked once begin here.
const UNIQUE: u64 = 1000;

/// How long a client that gets no connection waits.
const PAUSE: Duration = Duration::from_millis(50);

/// A client between its requests.
struct Caller {
    address: SocketAddr,
    rng: Rng,
    /// Kept between requests.
    wire: Option<Wire>,
}

/// Asks one question after the other.
pub(crate) async fn call_until(end: Instant, address: SocketAddr, seed: u64, tally: Arc<Tally>) {
    let mut caller = Caller { address, rng: Rng::with_seed(seed), wire: None };
    while Instant::now() < end {
        let question = caller.question(&tally);
        let id = format!("q{}-{}", question.number, tally.next());
        let leaves = caller.rng.u8(..25) == 0;
        let asked = caller.ask(&question, &id, leaves);
        let outcome = tokio::time::timeout(PATIENCE, asked).await;
        let outcome = match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Unanswered(error.to_string()),
            Err(_) => Outcome::Unanswered("nothing came for a minute".to_owned()),
        };
        if matches!(outcome, Outcome::Unanswered(_)) {
            tokio::time::sleep(PAUSE).await; // paced: not to spin while there is no gate
        }
        tally.count(id, &question, outcome);
    }
}

// === impl Caller ===

impl Caller {
    fn question(&mut self, tally: &Tally) -> Question {
        let shape = [Shape::Chat, Shape::Messages, Shape::Crossed][self.rng.usize(..3)];
        let shared = self.rng.u8(..4) == 0;
        let number = if shared { self.rng.u64(..SHARED) } else { UNIQUE + tally.next() };
        Question { number, shape, stream: self.rng.u8(..4) != 0 }
    }

    /// Asks, and reads the answer; some leave before it is over. An error: there was no answer at all.
    async fn ask(&mut self, question: &Question, id: &str, leaves: bool) -> io::Result<Outcome> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::connect(self.address).await?,
        };
        wire.write(&question.request(id)).await?;
        if leaves {
            let stay = Duration::from_millis(self.rng.u64(..60));
            let _ = tokio::time::timeout(stay, wire.more()).await;
            return Ok(Outcome::Left);
        }
        let head = wire.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut body = Vec::new();
        let read = wire.body(&head, |piece| body.extend_from_slice(piece)).await;
        let closes = head.field("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
        if read.is_ok() && !closes {
            self.wire = Some(wire);
        }
        Ok(judge(question, &head, &body, read.is_ok()))
    }
}

/// What an answer is worth. Only one that is whole, and the right one, was served.
fn judge(question: &Question, head: &Head, body: &[u8], whole: bool) -> Outcome {
    let status = head.status();
    let voice = if question.shape == Shape::Messages { Voice::Messages } else { Voice::Chat };
    if status != 200 {
        return Outcome::FailedBefore(status);
    }
    let answer = voice.hear(question.stream, body);
    let right = words(question.number).concat();
    let done = Heard { text: right.clone(), begins: 1, ends: 1, error: false };
    if whole && answer == done {
        let cached = head.field("x-cache").map(|value| String::from_utf8_lossy(value).into_owned());
        return Outcome::Served(cached.unwrap_or_default());
    }
    if !right.starts_with(&answer.text) || answer.begins > 1 {
        return Outcome::Wrong(format!("{answer:?}"));
    }
    // A stream that failed must not look like one that ended.
    let ended = answer.ends > 0 && !answer.error;
    if ended || (whole && !question.stream) {
        return Outcome::Wrong(format!("cut, but delivered as whole: {answer:?}"));
    }
    Outcome::FailedAfter(if answer.error { "told" } else { "cut" })
}
