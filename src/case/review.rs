//! Compares a bundle's cases with its snapshots, and says what differs: what `tidegate test` prints.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use similar::TextDiff;

use super::snapshot::{self, Front};
use super::{Case, Played, play_all, read, render};
use crate::bundle::{self, Bundle};
use crate::fault::Fault;

/// The folder of a bundle's cases.
const CASES: &str = "cases";

/// The folder of its snapshots.
pub(crate) const SNAPSHOTS: &str = "snapshots";

/// Unchanged lines around a difference.
const CONTEXT: usize = 3;

/// Which cases to play, and what to do about differences.
#[derive(Clone, Debug, Default)]
pub struct TestOptions {
    /// Only cases whose name contains this.
    pub filter: Option<String>,
    /// Write snapshots anew where they differ or are missing.
    pub update: bool,
}

/// What became of a bundle's cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each case with its result, in the order of their names.
    pub results: Vec<(String, Outcome)>,
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gate did what the snapshot says.
    Same,
    /// It did something else: the difference, line by line.
    Differs(String),
    /// There is no snapshot: what the gate did.
    New(String),
    /// The snapshot was written.
    Written,
    /// There is a snapshot but no case.
    Stray,
    /// The case could not be played.
    Faulty(Vec<Fault>),
}

/// A case's name, such as `route/alias`, and its text or what is wrong with it.
type Found = (String, Result<Case, Vec<Fault>>);

/// Plays the cases in the bundle's folder `cases/` and compares them with `snapshots/`. Errors when the bundle itself
/// cannot be read, and when there is nothing to play: a test that tests nothing must not pass.
pub fn test_bundle(dir: &Path, options: &TestOptions) -> Result<Report, Vec<Fault>> {
    let bundle = bundle::read(dir)?;
    test_folders(&bundle, &dir.join(CASES), &dir.join(SNAPSHOTS), options)
}

/// The same for cases and snapshots that are kept elsewhere.
pub fn test_folders(
    bundle: &Bundle,
    cases: &Path,
    snapshots: &Path,
    options: &TestOptions,
) -> Result<Report, Vec<Fault>> {
    let found = find(cases, options.filter.as_deref())?;
    if found.is_empty() {
        let message = match &options.filter {
            Some(filter) => format!("no case's name contains `{filter}`"),
            None => "the folder holds no case: a file that ends in .http".to_owned(),
        };
        return Err(vec![Fault::in_file(format!("{CASES}/"), message)]);
    }
    let readable: Vec<Case> = found.iter().filter_map(|(_, case)| case.as_ref().ok().cloned()).collect();
    let mut played = play_all(bundle, &readable).into_iter();
    let mut report = Report::default();
    for (name, case) in found {
        let played = case.and_then(|_| played.next().unwrap_or_else(|| Err(Vec::new())));
        let outcome = match played {
            Ok(played) => compare(&played, &snapshot_of(snapshots, &name), options.update),
            Err(faults) => Outcome::Faulty(faults),
        };
        report.results.push((name, outcome));
    }
    if options.filter.is_none() {
        report.add_strays(snapshots)?;
    }
    Ok(report)
}

/// The cases below a folder, by name.
pub fn find(folder: &Path, filter: Option<&str>) -> Result<Vec<Found>, Vec<Fault>> {
    let mut found = Vec::new();
    for name in names(folder, ".http")? {
        if filter.is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let file = format!("{name}.http");
        let read = match fs::read_to_string(folder.join(&file)) {
            Ok(text) => read::read(&format!("{CASES}/{file}"), &text),
            Err(error) => Err(vec![Fault::in_file(&file, format!("the case cannot be read: {error}"))]),
        };
        found.push((name, read));
    }
    Ok(found)
}

/// The files below a folder that end so, without the ending, sorted. A folder that does not exist holds none.
pub fn names(folder: &Path, ending: &str) -> Result<Vec<String>, Vec<Fault>> {
    let mut names = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                let file = folder.display().to_string();
                return Err(vec![Fault::in_file(file, format!("the folder cannot be read: {error}"))]);
            }
        };
        for entry in entries.flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push((entry.path(), format!("{name}/")));
            } else if let Some(name) = name.strip_suffix(ending) {
                names.push(name.to_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

fn snapshot_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.snap"))
}

/// Compares a played case with its snapshot, or writes it.
fn compare(played: &Played, path: &Path, update: bool) -> Outcome {
    let text = render(played);
    let unusable = |what: &str, error: std::io::Error| {
        let file = path.display().to_string();
        Outcome::Faulty(vec![Fault::in_file(file, format!("the snapshot cannot be {what}: {error}"))])
    };
    let old = match snapshot::read(path) {
        Ok(old) => old,
        Err(error) => return unusable("read", error),
    };
    match old {
        Some((_, old)) if snapshot::same(&old, &text) => Outcome::Same,
        _ if update => {
            let front = Front {
                source: Some(played.case.file.clone()),
                description: Some(played.case.about.clone()),
                input_file: Some(played.case.file.clone()),
            };
            match snapshot::write(path, &front, &text) {
                Ok(()) => Outcome::Written,
                Err(error) => unusable("written", error),
            }
        }
        Some((_, old)) => Outcome::Differs(difference(&old, &text)),
        None => Outcome::New(text),
    }
}

/// What changed between two texts: `-` was, `+` is.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new) = (snapshot::normal(old) + "\n", snapshot::normal(new) + "\n");
    TextDiff::from_lines(&old, &new).unified_diff().context_radius(CONTEXT).to_string()
}

// === impl Report ===

impl Report {
    /// How many cases did what their snapshots say, those just written included.
    pub fn passed(&self) -> usize {
        self.results.len() - self.failed()
    }

    /// How many did not, or have no snapshot, or could not be played.
    pub fn failed(&self) -> usize {
        let well = |outcome: &Outcome| matches!(outcome, Outcome::Same | Outcome::Written);
        self.results.iter().filter(|(_, outcome)| !well(outcome)).count()
    }

    /// For people: every difference, then the sum.
    pub fn to_text(&self) -> String {
        let mut text: String = self.results.iter().map(|(name, outcome)| outcome.to_text(name)).collect();
        let _ = writeln!(text, "{} passed, {} failed", self.passed(), self.failed());
        text
    }

    /// For programs: one object.
    pub fn to_json(&self) -> String {
        let results: Vec<Value> = self.results.iter().map(|(name, outcome)| outcome.to_json(name)).collect();
        let report = json!({ "passed": self.passed(), "failed": self.failed(), "cases": results });
        format!("{report}\n")
    }

    /// Notes snapshots whose case is gone.
    fn add_strays(&mut self, snapshots: &Path) -> Result<(), Vec<Fault>> {
        for name in names(snapshots, ".snap")? {
            if !self.results.iter().any(|(known, _)| *known == name) {
                self.results.push((name, Outcome::Stray));
            }
        }
        self.results.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(())
    }
}

// === impl Outcome ===

impl Outcome {
    /// What an owner is told of a case; nothing when there is nothing to tell.
    fn to_text(&self, name: &str) -> String {
        match self {
            Self::Same => String::new(),
            Self::Differs(difference) => format!("{name}: differs\n{difference}\n"),
            Self::New(shown) => format!("{name}: has no snapshot\n{shown}\n"),
            Self::Written => format!("{name}: snapshot written\n"),
            Self::Stray => format!("{name}: has a snapshot but no case\n"),
            Self::Faulty(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                format!("{name}: cannot be played\n{}\n", faults.join("\n"))
            }
        }
    }

    fn to_json(&self, name: &str) -> Value {
        match self {
            Self::Same => json!({ "name": name, "outcome": "same" }),
            Self::Differs(difference) => json!({ "name": name, "outcome": "differs", "difference": difference }),
            Self::New(text) => json!({ "name": name, "outcome": "new", "snapshot": text }),
            Self::Written => json!({ "name": name, "outcome": "written" }),
            Self::Stray => json!({ "name": name, "outcome": "stray" }),
            Self::Faulty(faults) => json!({ "name": name, "outcome": "faulty", "faults": faults }),
        }
    }
}
