//! `tidegate record`: the last exchanges of a running gate become cases with snapshots, or lines for `replay`.

mod file;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::ask::{counted, get, plain, post, told};
use super::{RecordArgs, fail, print};
use crate::case::review::{CASES, SNAPSHOTS};
use crate::replay::files::Files;

/// Lists, or saves.
pub fn run(args: &RecordArgs) -> ExitCode {
    if args.list {
        return told(&args.gate, get(args.gate.admin, "/-/exchanges"), |said| listed(args, said));
    }
    if let Some(from) = &args.from {
        return file::run(args, from);
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
        Ok((text, failed)) => {
            print(&if args.gate.json { body.clone() } else { plain(&text) });
            failed.iter().map(|why| fail(why)).next_back().unwrap_or(ExitCode::SUCCESS)
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

/// Writes the files; says which, and which not: one that is there already keeps none of the others away.
fn save(args: &RecordArgs, said: &Value) -> Result<(String, Vec<String>), String> {
    let root = args.into.clone().or_else(|| said["bundle"].as_str().map(PathBuf::from));
    let root = root.ok_or("the gate does not say where its bundle is: name one with --into DIR")?;
    let (mut text, mut failed) = (String::new(), Vec::new());
    let cases: Vec<&Value> = said["cases"].as_array().into_iter().flatten().collect();
    for case in &cases {
        let name = match &args.name {
            Some(name) if cases.len() == 1 => name.clone(),
            _ => case["name"].as_str().unwrap_or("recorded/case").to_owned(),
        };
        let text_of = |field: &str| case[field].as_str().unwrap_or_default();
        let (case_text, about, snapshot) = (text_of("case"), text_of("about"), text_of("snapshot"));
        let files = Files { name: &name, case: case_text, about, snapshot };
        if let Err(why) = files.write(&root) {
            failed.push(why.to_string());
            continue;
        }
        let _ = writeln!(text, "saved     {CASES}/{name}.http\n          {SNAPSHOTS}/{name}.snap");
        let _ = writeln!(text, "          {}", plain(about));
        if let Some(redaction) = case["redaction"].as_str() {
            let _ = writeln!(text, "redacted  {redaction}");
        }
        for careful in careful(case) {
            let _ = writeln!(text, "careful   {careful}");
        }
    }
    Ok((text, failed))
}

/// In what a case is not what happened: a policy decided by something that was replaced.
fn careful(case: &Value) -> impl Iterator<Item = String> {
    let differences = case["differences"].as_array().into_iter().flatten();
    differences.map(|difference| {
        let difference = difference.as_str().unwrap_or_default();
        format!("redacted, it plays otherwise: {difference}; --keep-text or --as-is keep what it was decided by")
    })
}

/// Whether an exchange is one of those that are asked for.
fn is_meant(args: &RecordArgs, entry: &Value) -> bool {
    let has = |wanted: &Option<String>, name: &str| {
        let is = entry[name].as_str().unwrap_or_default().to_lowercase();
        wanted.as_ref().is_none_or(|wanted| is.contains(&wanted.to_lowercase()))
    };
    let status = entry["status"].to_string();
    let of_status = |wanted: &str| match wanted.strip_suffix("xx") {
        Some(kind) => status.starts_with(kind),
        None => status == wanted,
    };
    let id = entry["id"].as_str().unwrap_or_default();
    has(&args.client, "client")
        && has(&args.user, "user")
        && has(&args.path, "path")
        && args.status.as_deref().is_none_or(of_status)
        && args.id.as_ref().is_none_or(|wanted| id.starts_with(wanted))
}

/// A line for each exchange that is asked for, the newest first.
fn listed(args: &RecordArgs, said: &Value) -> String {
    let mut out = String::new();
    let all = said["exchanges"].as_array().into_iter().flatten();
    for entry in all.filter(|entry| is_meant(args, entry)).take(args.last.unwrap_or(usize::MAX)) {
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
    let kept = counted(said["kept"].as_u64().unwrap_or_default(), "exchange", "exchanges");
    let _ = writeln!(
        out,
        "{kept} kept, {} bytes: `tidegate record ID` saves one, `tidegate explain ID` tells it",
        said["bytes"]
    );
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::super::{Cli, Command};
    use super::listed;

    /// What a list shows of two exchanges, with these words on the command line.
    fn shown(words: &[&str]) -> String {
        let cli = Cli::parse_from([&["tidegate", "record", "--list"], words].concat());
        let Command::Record(args) = cli.command else { panic!("{words:?} is another command") };
        let exchange = |id: &str, client: &str, status: u16| json!({"id": id, "client": client, "user": "ada", "path": "/v1/models", "method": "GET", "status": status, "ms": 1.5});
        let all = [exchange("aa11", "pycharm", 200), exchange("bb22", "curl", 503)];
        listed(&args, &json!({"exchanges": all, "kept": 2, "bytes": 900}))
    }

    #[test]
    fn a_list_holds_those_that_are_asked_for() {
        let holds = |words: &[&str]| (shown(words).contains("aa11"), shown(words).contains("bb22"));
        assert_eq!(holds(&[]), (true, true));
        assert_eq!(holds(&["--client", "PyCharm"]), (true, false));
        assert_eq!(holds(&["--status", "5xx"]), (false, true));
        assert_eq!(holds(&["--status", "200", "--user", "ada"]), (true, false));
        assert_eq!(holds(&["--path", "/v1/chat"]), (false, false));
        assert_eq!(holds(&["--last", "1"]), (true, false));
        assert_eq!(holds(&["bb"]), (false, true));
    }
}
