//! What the gate says of its exchanges: its log, by the ids that the clients gave.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

use crate::Failure;

/// Reads the log of a gate to its end.
pub(crate) struct Journal(JoinHandle<HashMap<String, Line>>);

/// What one line says of an exchange.
#[derive(Clone)]
pub(crate) struct Line {
    /// Why it ended.
    pub(crate) reason: String,
    /// What the cache did.
    cache: String,
    /// Requests that it says went to endpoints.
    pub(crate) calls: u64,
    /// The error that it ended with.
    error: String,
    /// How each attempt ended.
    attempts: String,
}

// === impl Journal ===

impl Journal {
    /// Begins to read.
    pub(crate) fn read(log: ChildStderr) -> Self {
        Self(tokio::spawn(async move {
            let mut lines = BufReader::new(log).lines();
            let mut all = HashMap::new();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((id, line)) = exchange(&line) {
                    all.insert(id, line);
                }
            }
            all
        }))
    }

    /// All exchanges, once the gate has ended.
    pub(crate) async fn finish(self) -> Result<HashMap<String, Line>, Failure> {
        Ok(self.0.await?)
    }
}

fn exchange(line: &str) -> Option<(String, Line)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let exchange =
        [&value, &value["exchange"], &value["fields"]].into_iter().find(|part| part["reason"].is_string())?;
    let text = |name: &str| exchange[name].as_str().unwrap_or_default().to_owned();
    let attempts = text("attempts");
    let calls = attempts.split_whitespace().count() as u64;
    let line = Line { reason: text("reason"), cache: text("cache"), calls, error: text("error"), attempts };
    Some((text("id"), line))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, cache, error, attempts, .. } = self;
        write!(f, "log: {reason}, cache {cache}, {attempts} {error}")
    }
}
