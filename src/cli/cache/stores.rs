//! `tidegate cache stats` and `purge`: what a running gate's cache holds, and what is to go from it.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::cli::StatusArgs;
use crate::cli::ask::{counted, get, post, told};

/// Which answers are to go.
#[derive(Debug, clap::Args)]
pub struct PurgeArgs {
    #[command(flatten)]
    which: Which,
    /// Which gate to ask.
    #[command(flatten)]
    gate: StatusArgs,
}

/// One of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// All of them.
    #[arg(long)]
    all: bool,
    /// Those that the cache rule gave this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Those that may only serve this user.
    #[arg(long)]
    user: Option<String>,
    /// Those to requests for this model, or made by it.
    #[arg(long)]
    model: Option<String>,
    /// The one with this key: 64 hexadecimal digits.
    #[arg(long)]
    key: Option<String>,
}

/// Says what each store holds and did.
pub(super) fn show(args: &StatusArgs) -> ExitCode {
    told(args, get(args.admin, "/-/cache"), stats)
}

/// Takes answers away.
pub(super) fn purge(args: &PurgeArgs) -> ExitCode {
    told(&args.gate, post(args.gate.admin, "/-/cache/purge", &args.which.wish()), purged)
}

// === impl Which ===

impl Which {
    fn wish(&self) -> Value {
        let named = [("tag", &self.tag), ("user", &self.user), ("model", &self.model), ("key", &self.key)].into_iter();
        let named = named.filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        let all = self.all.then(|| ("all".to_owned(), json!(true)));
        Value::Object(all.into_iter().chain(named).collect::<Map<_, _>>())
    }
}

/// A line for each store.
fn stats(shown: &Value) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let mut out = format!(
        "lookups   {}, {} of them missed\n",
        number(&shown["hits"]) + number(&shown["misses"]),
        number(&shown["misses"])
    );
    let _ = writeln!(
        out,
        "memory    {} in {} bytes; {} stored, {} gave way",
        answers(&shown["entries"]),
        number(&shown["bytes"]),
        number(&shown["stored"]),
        number(&shown["evicted"])
    );
    let disk = &shown["disk"];
    if let Some(why) = disk["why"].as_str() {
        let _ = writeln!(out, "disk      not used: {why}");
    } else if disk.is_object() {
        let _ = writeln!(
            out,
            "disk      {} in {} bytes; {} found, {} made room, {} corrupt",
            answers(&disk["entries"]),
            number(&disk["bytes"]),
            number(&disk["hits"]),
            number(&disk["evicted"]),
            number(&disk["corrupt"])
        );
    }
    let redis = &shown["redis"];
    if redis.is_object() {
        let _ = writeln!(
            out,
            "redis     {} found, {} missed, {} written, {} dropped, {} corrupt",
            number(&redis["hits"]),
            number(&redis["misses"]),
            number(&redis["written"]),
            number(&redis["dropped"]),
            number(&redis["corrupt"])
        );
    }
    let http = &shown["http"];
    if http.is_object() {
        let _ = writeln!(
            out,
            "http      {} in {} bytes; {} found, {} missed, {} stored, {} forgotten",
            counted(number(&http["urls"]), "url", "urls"),
            number(&http["bytes"]),
            number(&http["hits"]),
            number(&http["misses"]),
            number(&http["stored"]),
            number(&http["invalidated"])
        );
    }
    for (why, count) in shown["refused"].as_object().into_iter().flatten() {
        let _ = writeln!(out, "not kept  {}: {why}", number(count));
    }
    out
}

/// What went, store by store.
fn purged(said: &Value) -> String {
    let mut out = String::new();
    for store in ["memory", "disk", "redis", "http"] {
        match &said[store] {
            Value::Null => {}
            Value::String(why) => {
                let _ = writeln!(out, "{store:<10}{why}");
            }
            count => {
                let _ = writeln!(out, "{store:<10}{} purged", answers(count));
            }
        }
    }
    out
}

fn answers(count: &Value) -> String {
    counted(count.as_u64().unwrap_or_default(), "answer", "answers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_store_has_a_line() {
        let shown = json!({"hits": 3, "misses": 1, "entries": 1, "bytes": 900, "stored": 2, "evicted": 0,
            "http": {"urls": 1, "bytes": 700, "hits": 2}, "refused": {"empty": 1}, "disk": {"why": "it is full"}, "redis": {"hits": 2, "misses": 1}});
        assert_eq!(
            stats(&shown),
            "lookups   4, 1 of them missed\nmemory    1 answer in 900 bytes; 2 stored, 0 gave way\n\
             disk      not used: it is full\nredis     2 found, 1 missed, 0 written, 0 dropped, 0 corrupt\n\
             http      1 url in 700 bytes; 2 found, 0 missed, 0 stored, 0 forgotten\nnot kept  1: empty\n"
        );
        let said = json!({"memory": 2, "redis": "does not answer; it is told when it is back", "purged": "all"});
        assert_eq!(
            purged(&said),
            "memory    2 answers purged\nredis     does not answer; it is told when it is back\n"
        );
    }
}
