//! `tidegate replay`: recorded exchanges, any number of them, through two states of a bundle, and what changes.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{EXIT_FAULTS, ReplayArgs, fail, print};
use crate::bundle::shelf::Shelf;
use crate::bundle::{self, Bundle};
use crate::case::recording::{Recording, Recordings};
use crate::case::{Player, har, on_all_processors};
use crate::fault::Fault;
use crate::replay::aspects::Aspects;
use crate::replay::table::Table;

/// Exchanges that are read before they are played: as many as fit in memory at one time.
const BATCH: usize = 256;

/// How often the progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// Plays the file and prints the table. Exit code 0 whether something changed or not: the table is the result.
pub fn run(args: &ReplayArgs) -> ExitCode {
    let (live, candidate) = match bundles(args) {
        Ok(bundles) => bundles,
        Err(faults) => return faulty(&faults),
    };
    if live.hash == candidate.hash {
        eprintln!("tidegate: both are generation {}: nothing can change", live.hash);
    }
    let recordings = match open(&args.file) {
        Ok(recordings) => recordings,
        Err(why) => return fail(&why),
    };
    let replay = Replay { live: Player::new(&live), candidate: Player::new(&candidate), table: Table::default() };
    let (table, faults) = replay.all(recordings);
    for fault in &faults {
        eprintln!("{fault}");
    }
    if args.json {
        let mut value = table.to_json();
        value["live"] = live.hash.to_string().into();
        value["candidate"] = candidate.hash.to_string().into();
        value["faults"] = faults.iter().map(ToString::to_string).collect();
        print(&format!("{value:#}\n"));
    } else {
        print(&format!("{} → {}: {}", live.hash, candidate.hash, table.to_text()));
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAULTS) }
}

fn faulty(faults: &[Fault]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    ExitCode::from(EXIT_FAULTS)
}

/// The two states: what is live and what is to be. The live one of a bundle is the last that its gate served.
fn bundles(args: &ReplayArgs) -> Result<(Bundle, Bundle), Vec<Fault>> {
    let candidate = match &args.candidate {
        Some(dir) => bundle::read(dir)?,
        None => bundle::read(&args.bundle)?,
    };
    let live = match (&args.candidate, served(&args.bundle)) {
        (Some(_), None) => bundle::read(&args.bundle)?,
        (_, Some(served)) => served,
        (None, None) => {
            let message = "no gate has served this bundle, so there is nothing to compare it with: name the changed \
                           one with --candidate DIR";
            return Err(vec![Fault::in_file(args.bundle.display().to_string(), message)]);
        }
    };
    Ok((live, candidate))
}

/// What the gate of a bundle served last.
fn served(dir: &Path) -> Option<Bundle> {
    let shelf = Shelf::open(dir);
    let hash = shelf.pointer()?.generation;
    Some(Bundle::clone(&shelf.get(&hash)?.bundle))
}

/// The exchanges of a file: HAR when it is one JSON object with a log, recordings line by line otherwise.
pub(super) fn open(path: &Path) -> Result<Box<dyn Iterator<Item = Result<Recording, Fault>>>, String> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("har")) {
        let mut text = String::new();
        let mut file = file;
        file.read_to_string(&mut text).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        let read = har::read(&shown, &text);
        if read.skipped > 0 {
            eprintln!("tidegate: {} entries without an answer were left out", read.skipped);
        }
        return Ok(Box::new(read.recordings.into_iter().map(Ok).chain(read.faults.into_iter().map(Err))));
    }
    Ok(Box::new(Recordings::new(&shown, BufReader::new(file))))
}

/// A run over a file.
struct Replay {
    live: Player,
    candidate: Player,
    table: Table,
}

// === impl Replay ===

impl Replay {
    /// Plays everything, a batch at a time, on all processors.
    fn all(mut self, recordings: impl Iterator<Item = Result<Recording, Fault>>) -> (Table, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut batch = Vec::with_capacity(BATCH);
        let (began, mut shown) = (Instant::now(), Instant::now());
        for recording in recordings {
            match recording {
                Ok(recording) => batch.push(recording),
                Err(fault) => faults.push(fault),
            }
            if batch.len() == BATCH {
                self.play(&batch);
                batch.clear();
            }
            if shown.elapsed() > SHOWN_EVERY && console::user_attended_stderr() {
                shown = Instant::now();
                let seconds = began.elapsed().as_secs();
                eprint!("\r{} exchanges, {} changed, {seconds} s", self.table.compared, self.table.changed);
            }
        }
        self.play(&batch);
        if began.elapsed() > SHOWN_EVERY && console::user_attended_stderr() {
            eprint!("\r\x1b[K");
        }
        (self.table, faults)
    }

    fn play(&mut self, batch: &[Recording]) {
        let compared = on_all_processors(batch, |recording| {
            let old = self.live.play(&recording.case)?;
            let new = self.candidate.play(&recording.case)?;
            Ok::<_, Vec<Fault>>((Aspects::of(&old), Aspects::of(&new)))
        });
        for (recording, compared) in batch.iter().zip(compared) {
            match compared {
                Ok((old, new)) => {
                    self.table.note(&recording.id, &old, &new);
                }
                Err(faults) => {
                    let why = faults.first().map_or_else(|| "it has faults".to_owned(), ToString::to_string);
                    self.table.failed(why);
                }
            }
        }
    }
}
