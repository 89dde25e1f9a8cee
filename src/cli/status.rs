//! `tidegate status`: what a running gate serves now.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::StatusArgs;
use super::ask::{self, counted, moment, told};

/// Asks the gate and says what it answered; exit code 1 when it could not be reached.
pub fn run(args: &StatusArgs) -> ExitCode {
    told(args, ask::get(args.admin, "/-/status"), lines)
}

/// What the staged generation would have decided otherwise.
fn shadow(shadow: &Value, out: &mut String) {
    if shadow.is_null() {
        return;
    }
    let (compared, changed, missed) = (&shadow["compared"], &shadow["changed"], &shadow["missed"]);
    let _ = writeln!(out, "shadow    of {compared} exchanges {changed} would change ({missed} were not looked at):");
    for aspect in shadow["aspects"].as_array().into_iter().flatten() {
        for change in aspect["changes"].as_array().into_iter().flatten() {
            let (count, what, such_as) = (&change["count"], text(&change["change"]), text(&change["such_as"]));
            let such_as = such_as.get(..12).unwrap_or(&such_as);
            let _ = writeln!(out, "          {count} × {}: {what}, such as {such_as}", text(&aspect["aspect"]));
        }
    }
}

/// The status in a few lines.
fn lines(status: &Value) -> String {
    let live = &status["live"];
    let mut out = format!(
        "live      generation {} ({}) since {}\n",
        live["generation"],
        text(&live["hash"]),
        moment(&live["since"])
    );
    if let Some(rejected) = status.get("rejected") {
        let _ = writeln!(out, "rejected  {}", moment(&rejected["at"]));
        for fault in rejected["faults"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "          {}", text(fault));
        }
    }
    if let Some(staged) = status.get("staged") {
        let word = if staged["held"] == true { "held" } else { "staged" };
        let _ = writeln!(
            out,
            "{word:<10}{} since {}: {}",
            text(&staged["hash"]),
            moment(&staged["since"]),
            text(&staged["waits_for"])
        );
        let _ = writeln!(out, "          {}", text(&staged["run"]));
    }
    if let Some(passed) = status.get("passed_over") {
        let _ = writeln!(out, "on disk   {}: {}", digits(&passed["hash"]), text(&passed["why"]));
    }
    endpoints(&status["upstreams"], &mut out);
    redis(&status["redis"], &mut out);
    if let Some(why) = status["cache"]["disk"]["why"].as_str() {
        let _ = writeln!(out, "cache     not on disk: {why}");
    }
    canary(&status["canary"], &mut out);
    shadow(&status["shadow"], &mut out);
    lines_of(status, &mut out);
    for preview in status["previews"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "preview   {} until {}", text(&preview["hash"]), moment(&preview["until"]));
    }
    for trouble in status["shelf"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "shelf     {}", text(trouble));
    }
    for note in status["needs_restart"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "restart   {}", text(note));
    }
    let errors = status["hook_errors"].as_array().map_or(0, Vec::len);
    if errors > 0 {
        let _ = writeln!(out, "hooks     {errors} failed lately; --json tells which");
    }
    out
}

/// The endpoints that are not well, and the upstreams at which too much is repeated.
fn endpoints(upstreams: &Value, out: &mut String) {
    for upstream in upstreams.as_array().into_iter().flatten() {
        let name = text(&upstream["name"]);
        for endpoint in upstream["endpoints"].as_array().into_iter().flatten() {
            let place = format!("{name}/{}", text(&endpoint["name"]));
            if endpoint["state"] != "closed" {
                let _ = writeln!(out, "endpoint  {place} is {}{}", text(&endpoint["state"]), why(endpoint));
            }
            for (model, of) in endpoint["models"].as_object().into_iter().flatten() {
                let _ = writeln!(out, "endpoint  {place} is {} for {model}", text(&of["state"]));
            }
            if let Some(seconds) = endpoint["rests_for"].as_f64() {
                let _ = writeln!(out, "endpoint  {place} asks for a rest of {seconds} s");
            }
        }
        let refused = upstream["lately"]["refused"].as_u64().unwrap_or_default();
        if refused > 0 {
            let _ = writeln!(out, "retries   of {name}: {} were not made", counted(refused, "attempt", "attempts"));
        }
    }
}

/// For how long an endpoint is left alone, and what went wrong there last.
fn why(endpoint: &Value) -> String {
    let left = endpoint["half_open_in"].as_f64().map(|seconds| format!(" for {seconds} s")).unwrap_or_default();
    let last = endpoint["last_error"]["kind"].as_str().map(|kind| format!(", last error {kind}")).unwrap_or_default();
    left + &last
}

/// The Redis that gates share, when there is something to say of it.
fn redis(redis: &Value, out: &mut String) {
    if redis["up"] == false {
        let why = redis["why"].as_str().unwrap_or("it is not connected yet");
        let _ = writeln!(out, "redis     {} is gone since {}: {why}", text(&redis["hosts"]), moment(&redis["since"]));
    }
    if let Some(refused) = redis["refused"].as_str() {
        let _ = writeln!(out, "redis     {} refuses: {refused}", text(&redis["hosts"]));
    }
}

/// The lines that requests wait in.
fn lines_of(status: &Value, out: &mut String) {
    let exchanges = &status["exchanges"];
    if exchanges.is_object() {
        let (running, at_once, waiting) = (&exchanges["running"], &exchanges["at_once"], &exchanges["waiting"]);
        let _ = writeln!(out, "exchanges {running} of {at_once} served, {waiting} wait");
    }
    for queue in status["queues"].as_array().into_iter().flatten() {
        let waiting: u64 = queue["waiting"].as_object().into_iter().flatten().filter_map(|(_, of)| of.as_u64()).sum();
        let (upstream, endpoint) = (text(&queue["upstream"]), text(&queue["endpoint"]));
        let _ = writeln!(
            out,
            "queue     {upstream}/{endpoint}: {} of {} served, {waiting} wait",
            queue["running"], queue["at_once"]
        );
    }
}

/// The canary that runs, and how the last one ended.
fn canary(canary: &Value, out: &mut String) {
    let running = &canary["running"];
    if running.is_object() {
        let side = |side: &str| {
            let exchanges = counted(running[side]["exchanges"].as_u64().unwrap_or_default(), "exchange", "exchanges");
            format!("{exchanges}, {} failed", running[side]["errors"])
        };
        let (hash, percent, by) =
            (text(&running["hash"]), running["percent"].as_f64().unwrap_or_default(), text(&running["by"]));
        let _ = writeln!(out, "canary    {hash} for {percent} % by {by}: {}; live: {}", side("canary"), side("live"));
        if let Some(over) = running["time_over"].as_str() {
            let _ = writeln!(out, "          its time is over: {over}");
        }
        let _ = writeln!(out, "          tidegate promote {hash}, or tidegate promote --stop");
    }
    let last = &canary["last"];
    if last.is_object() {
        let _ = writeln!(
            out,
            "ended     canary {} {}: {}",
            text(&last["hash"]),
            moment(&last["ended"]),
            text(&last["why"])
        );
        for id in last["offended"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "          {}", text(id));
        }
    }
}

/// The digits of a hash that are shown.
fn digits(hash: &Value) -> String {
    let hash = text(hash);
    hash.get(..12).unwrap_or(&hash).to_owned()
}

/// A text of the status.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}
