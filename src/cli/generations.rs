//! `tidegate generations`, `rollback`, `promote` and `preview`: what a running gate keeps, and which of it serves.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::ask::{get, moment, post, told};
use super::{PreviewArgs, PromoteArgs, RollbackArgs, StatusArgs};

/// Lists what is kept.
pub fn list(args: &StatusArgs) -> ExitCode {
    told(args, get(args.admin, "/-/generations"), listed)
}

/// Goes back.
pub fn rollback(args: &RollbackArgs) -> ExitCode {
    let wish = json!({"generation": args.generation});
    told(&args.gate, post(args.gate.admin, "/-/rollback", &wish), now_live)
}

/// Lets a generation serve.
pub fn promote(args: &PromoteArgs) -> ExitCode {
    let mut wish = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            wish.insert(name.to_owned(), value);
        }
    };
    put("generation", args.generation.as_ref().map(|generation| json!(generation)));
    put("percent", args.percent.map(|percent| json!(percent)));
    put("by", args.by.as_ref().map(|by| json!(by)));
    put("for", args.time.as_ref().map(|time| json!(time)));
    put("abort", args.abort.as_ref().map(|abort| json!(abort)));
    put("stop", args.stop.then_some(json!(true)));
    told(&args.gate, post(args.gate.admin, "/-/promote", &Value::Object(wish)), now_live)
}

/// Prints a token, and nothing else, so that it can be used where it stands.
pub fn preview(args: &PreviewArgs) -> ExitCode {
    let wish = json!({"generation": args.generation, "for": args.time});
    told(&args.gate, post(args.gate.admin, "/-/preview", &wish), |said| format!("{}\n", text(&said["token"])))
}

/// A line for each generation, the newest first.
fn listed(said: &Value) -> String {
    let mut out = String::new();
    for entry in said["generations"].as_array().into_iter().flatten() {
        let live_at =
            if entry["live_at"].is_string() { format!(", live {}", moment(&entry["live_at"])) } else { String::new() };
        let by = entry["accepted_by"].as_str().map_or(String::new(), |by| format!(", accepted by {by}"));
        let disk = if entry["hash"] == said["on_disk"] { ", on disk" } else { "" };
        let (state, hash) = (text(&entry["state"]), text(&entry["hash"]));
        let saved = moment(&entry["saved_at"]);
        let _ = writeln!(out, "{state:<9} {hash}  saved {saved}{live_at}{by}{disk}");
    }
    if let Some(faults) = said["rejected"]["faults"].as_array() {
        let at = moment(&said["rejected"]["at"]);
        let _ = writeln!(out, "rejected  {at}");
        for fault in faults {
            let _ = writeln!(out, "          {}", text(fault));
        }
    }
    if said["written"] == false {
        out.push_str("kept in memory only: the bundle's folder cannot be written\n");
    }
    out
}

/// What serves from now on.
fn now_live(said: &Value) -> String {
    let live = text(&said["live"]);
    match (&said["canary"], &said["before"]) {
        (Value::String(canary), _) => {
            format!("canary    {canary} for {} %; live {live}\n", said["percent"].as_f64().unwrap_or_default())
        }
        (_, Value::String(before)) => format!("live      {live} (before: {before})\n"),
        _ => format!("live      {live}\n"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}
