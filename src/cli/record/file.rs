//! `tidegate record ID --from FILE`: an exchange of a file of recordings becomes a case of a bundle.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::bundle;
use crate::case::Player;
use crate::case::recording::Recording;
use crate::case::redact::{Redaction, Text};
use crate::case::review::{CASES, SNAPSHOTS};
use crate::cli::ask::plain;
use crate::cli::{EXIT_FAULTS, RecordArgs, fail, print, replay};
use crate::fault::Fault;
use crate::replay::save::{self, Saved};

/// Saves one, pinned by what the bundle on disk does with it.
pub(super) fn run(args: &RecordArgs, file: &Path) -> ExitCode {
    let (Some(id), Some(root)) = (&args.id, &args.into) else {
        return fail("`--from FILE` takes the id of one of its exchanges, and `--into DIR`, the bundle to save it in");
    };
    let recording = match find(file, id) {
        Ok(recording) => recording,
        Err(why) => return fail(&why),
    };
    match saved(args, root, &recording) {
        Ok(saved) => write(args, root, &saved),
        Err(faults) => {
            for fault in faults {
                eprintln!("{fault}");
            }
            ExitCode::from(EXIT_FAULTS)
        }
    }
}

fn find(file: &Path, id: &str) -> Result<Recording, String> {
    let mut recordings = replay::open(file)?.flatten();
    let found = recordings.find(|recording| recording.id == id);
    found.ok_or_else(|| format!("{} holds no exchange `{id}`", file.display()))
}

fn saved(args: &RecordArgs, root: &Path, recording: &Recording) -> Result<Saved, Vec<Fault>> {
    let player = Player::new(&bundle::read(root)?);
    let text = if args.keep_text { Text::Kept } else { Text::Replaced };
    let redaction = (!args.as_is).then(|| Redaction::new(std::array::from_fn(|_| fastrand::u8(..)), text));
    save::save_recording(recording, &player, redaction.as_ref())
}

fn write(args: &RecordArgs, root: &Path, saved: &Saved) -> ExitCode {
    let mut files = saved.files();
    if let Some(name) = &args.name {
        files.name = name;
    }
    if let Err(error) = files.write(root) {
        return fail(&error.to_string());
    }
    let name = files.name;
    let mut text = format!("saved     {CASES}/{name}.http\n          {SNAPSHOTS}/{name}.snap\n");
    let _ = writeln!(text, "          {}", saved.about);
    if let Some(redacted) = &saved.redacted {
        let _ = writeln!(text, "redacted  {redacted}");
    }
    print(&plain(&text));
    ExitCode::SUCCESS
}
