//! `tidegate record`: the last exchanges of a running gate become cases with snapshots, or lines for `replay`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::ask::{get, post, told};
use super::{RecordArgs, fail, print};
use crate::case::review::{CASES, SNAPSHOTS};
use crate::replay::files::Files;

/// Lists, or saves.
pub fn run(args: &RecordArgs) -> ExitCode {
    if args.list {
        return told(&args.gate, get(args.gate.admin, "/-/exchanges"), listed);
    }
    let answered = post(args.gate.admin, "/-/record", &wish(args));
    let Ok((200, body)) = &answered else {
        return told(&args.gate, answered, |_| String::new());
    };
    let said: Value = match serde_json::from_str(body) {
        Ok(said) => said,
        Err(error) => return fail(&format!("the gate's answer cannot be read: {error}")),
    };
    if args.jsonl {
        for case in said["cases"].as_array().into_iter().flatten() {
            print(case["recording"].as_str().unwrap_or_default());
            for careful in careful(case) {
                eprintln!("tidegate: {}: {careful}", case["id"].as_str().unwrap_or_default());
            }
        }
        return ExitCode::SUCCESS;
    }
    match save(args, &said) {
        Ok(text) => {
            print(&if args.gate.json { body.clone() } else { text });
            ExitCode::SUCCESS
        }
        Err(why) => fail(&why),
    }
}

/// What is asked for.
fn wish(args: &RecordArgs) -> Value {
    let mut wish = Map::new();
    let texts = [
        ("id", &args.id),
        ("client", &args.client),
        ("user", &args.user),
        ("path", &args.path),
        ("status", &args.status),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            wish.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(last) = args.last {
        wish.insert("last".to_owned(), json!(last));
    }
    wish.insert("keep_text".to_owned(), json!(args.keep_text));
    wish.insert("as_is".to_owned(), json!(args.as_is));
    Value::Object(wish)
}

/// Writes the files; says which.
fn save(args: &RecordArgs, said: &Value) -> Result<String, String> {
    let root = args.into.clone().or_else(|| said["bundle"].as_str().map(PathBuf::from));
    let root = root.ok_or("the gate does not say where its bundle is: name one with --into DIR")?;
    let mut text = String::new();
    let cases: Vec<&Value> = said["cases"].as_array().into_iter().flatten().collect();
    for case in &cases {
        let name = match &args.name {
            Some(name) if cases.len() == 1 => name.clone(),
            _ => case["name"].as_str().unwrap_or("recorded/case").to_owned(),
        };
        let text_of = |field: &str| case[field].as_str().unwrap_or_default();
        let (case_text, about, snapshot) = (text_of("case"), text_of("about"), text_of("snapshot"));
        let files = Files { name: &name, case: case_text, about, snapshot };
        files.write(&root).map_err(|error| error.to_string())?;
        let _ = writeln!(text, "saved     {CASES}/{name}.http\n          {SNAPSHOTS}/{name}.snap");
        let _ = writeln!(text, "          {about}");
        let counts = case["redacted"].as_object().into_iter().flatten();
        let counts: Vec<String> = counts.map(|(kind, count)| format!("{count} {kind}")).collect();
        if !counts.is_empty() {
            let _ = writeln!(text, "redacted  {}", counts.join(", "));
        }
        for careful in careful(case) {
            let _ = writeln!(text, "careful   {careful}");
        }
    }
    Ok(text)
}

/// In what a case is not what happened: a policy decided by something that was replaced.
fn careful(case: &Value) -> impl Iterator<Item = String> {
    let differences = case["differences"].as_array().into_iter().flatten();
    differences.map(|difference| {
        let difference = difference.as_str().unwrap_or_default();
        format!("redacted, it plays otherwise: {difference}; --keep-text or --as-is keep what it was decided by")
    })
}

/// A line for each exchange, the newest first.
fn listed(said: &Value) -> String {
    let mut out = String::new();
    for entry in said["exchanges"].as_array().into_iter().flatten() {
        let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
        let status = entry["status"].as_u64().map_or_else(|| text("reason"), |status| status.to_string());
        let id = text("id");
        let _ = writeln!(
            out,
            "{}  {status:<4} {:>8.1} ms  {:<14} {:<12} {} {}",
            id.get(..12).unwrap_or(&id),
            entry["ms"].as_f64().unwrap_or_default(),
            text("client"),
            text("user"),
            text("method"),
            text("path"),
        );
    }
    let _ = writeln!(out, "{} exchanges kept, {} bytes", said["kept"], said["bytes"]);
    out
}
