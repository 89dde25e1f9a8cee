//! `tidegate cache why`, `key` and `fields`: what the keys of requests are made of, and why two of them are not one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use crate::bundle;
use crate::case::{Case, Player, read};
use crate::cli::ask::{plain, post, told};
use crate::cli::{EXIT_FAULTS, StatusArgs, fail, print, replay};
use crate::fault::Fault;
use crate::replay::fields;
use crate::replay::keyed::{Keyed, compared};

/// Which requests to compare.
#[derive(Debug, clap::Args)]
pub struct WhyArgs {
    /// A past exchange's id, a case's file (`cases/a.http`, or `cases/a.http:2` for its second call), or an exchange of a
    /// file of recordings (`week.jsonl#id`).
    pub a: String,
    /// Another one, likewise.
    pub b: String,
    /// Where they are.
    #[command(flatten)]
    pub from: From,
}

/// Which request to look at.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// A past exchange's id, a case's file, or an exchange of a file of recordings.
    pub request: String,
    /// Where it is.
    #[command(flatten)]
    pub from: From,
}

/// Which request to try.
#[derive(Debug, clap::Args)]
pub struct FieldsArgs {
    /// A case's file (`cases/a.http`, or `cases/a.http:2` for its second call).
    pub case: String,
    /// The bundle whose policies make the key; the one that the case lies in unless given.
    #[arg(long)]
    pub bundle: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where requests are found, and what makes their keys.
#[derive(Debug, clap::Args)]
pub struct From {
    /// The bundle whose policies make the keys of files; the one that a case lies in unless given.
    #[arg(long)]
    pub bundle: Option<PathBuf>,
    /// Which gate to ask for past exchanges.
    #[command(flatten)]
    pub gate: StatusArgs,
}

/// Why a key cannot be shown, as an exit code: it was said already.
type Failed = ExitCode;

/// Compares two keys.
pub(super) fn why(args: &WhyArgs) -> Result<ExitCode, Failed> {
    let (a, b) = (args.from.keyed(&args.a)?, args.from.keyed(&args.b)?);
    let differences = a.differences(&b);
    let equal = differences.is_empty() && a.scope.is_some();
    if args.from.gate.json {
        print(&format!("{}\n", json!({"equal": equal, "a": a, "b": b, "differences": differences})));
    } else {
        print(&plain(&compared(&a, &b)));
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows a key.
pub(super) fn key(args: &KeyArgs) -> Result<ExitCode, Failed> {
    let keyed = args.from.keyed(&args.request)?;
    let text = if args.from.gate.json { format!("{}\n", json!(keyed)) } else { plain(&keyed.to_text()) };
    print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Shows what each field of a request does to its key.
pub(super) fn fields(args: &FieldsArgs) -> Result<ExitCode, Failed> {
    let (file, call) = named(&args.case).ok_or_else(|| fail("give a case: `cases/a.http`, or `cases/a.http:2`"))?;
    let case = case(file)?;
    let player = player(args.bundle.as_deref().or(within(file)))?;
    let found = fields::fields(&player, &case, call);
    let found = found.ok_or_else(|| fail(&format!("no policy makes a key of {}", args.case)))?;
    print(&if args.json { format!("{}\n", json!(found)) } else { plain(&fields::to_text(&found)) });
    Ok(ExitCode::SUCCESS)
}

/// The file of a case, and which of its calls is meant, counted from 0.
fn named(request: &str) -> Option<(&Path, usize)> {
    let (file, call) = match request.rsplit_once(':') {
        Some((file, call)) => (file, call.parse::<usize>().ok()?.checked_sub(1)?),
        None => (request, 0),
    };
    Path::new(file).extension().is_some_and(|kind| kind == "http").then_some((Path::new(file), call))
}

fn case(file: &Path) -> Result<Case, Failed> {
    let shown = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| fail(&format!("{shown} cannot be read: {error}")))?;
    read::read(&shown, &text).map_err(|faults| faulty(&faults))
}

/// The bundle that a case lies in.
fn within(file: &Path) -> Option<&Path> {
    file.ancestors().skip(1).find(|folder| folder.join("tidegate.toml").is_file())
}

fn player(root: Option<&Path>) -> Result<Player, Failed> {
    let root = root.ok_or_else(|| fail("`--bundle DIR` says whose policies make the key"))?;
    bundle::read(root).map(|bundle| Player::new(&bundle)).map_err(|faults| faulty(&faults))
}

// === impl From ===

impl From {
    /// The key of a request, wherever it is.
    fn keyed(&self, request: &str) -> Result<Keyed, Failed> {
        if let Some((file, id)) = request.split_once('#') {
            return self.recorded(Path::new(file), id);
        }
        match named(request) {
            Some((file, call)) => self.played(&file.display().to_string(), &case(file)?, call, within(file)),
            None => self.past(request),
        }
    }

    /// Of a past exchange, which the gate plays again.
    fn past(&self, id: &str) -> Result<Keyed, Failed> {
        let answered = post(self.gate.admin, "/-/cache/key", &json!({"id": id}));
        if let Ok((200, body)) = &answered {
            return serde_json::from_str(body)
                .map_err(|error| fail(&format!("the gate's answer cannot be read: {error}")));
        }
        Err(told(&self.gate, answered, |_| String::new()))
    }

    /// Of an exchange in a file of recordings.
    fn recorded(&self, file: &Path, id: &str) -> Result<Keyed, Failed> {
        let mut recordings = replay::open(file).map_err(|why| fail(&why))?.flatten();
        let found = recordings.find(|recording| recording.id.starts_with(id));
        let recording = found.ok_or_else(|| fail(&format!("{} holds no exchange `{id}`", file.display())))?;
        self.played(&recording.id, &recording.case, 0, None)
    }

    fn played(&self, name: &str, case: &Case, call: usize, within: Option<&Path>) -> Result<Keyed, Failed> {
        let plays = player(self.bundle.as_deref().or(within))?;
        let played = plays.play(case).map_err(|faults| faulty(&faults))?;
        Keyed::of(name, &played, call).ok_or_else(|| fail(&format!("{name} has no call {}", call + 1)))
    }
}

fn faulty(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    ExitCode::from(EXIT_FAULTS)
}
