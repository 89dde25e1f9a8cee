//! One look at a bundle: everything that an acceptance would speak for is read, and its cases are played.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::acceptance::{self, Standing};
use super::write;
use crate::bundle::{self, Bundle};
use crate::case::review::{self as cases, CASES, SNAPSHOTS};
use crate::case::{Case, play_all, render, snapshot};
use crate::fault::Fault;
use crate::generation::Candidate;
use crate::settings::{self, Place, Settings};

/// The settings' name in faults.
const SETTINGS_FILE: &str = "tidegate.toml";

/// How many cases are played between two words on how far it is.
const BATCH: usize = 128;

/// What a bundle's cases do, beside what their snapshots say.
pub struct Look {
    /// What was read.
    pub sight: Sight,
    /// Every case, and every snapshot without one, by name.
    pub cases: Vec<Compared>,
    /// Whether this generation is accepted already.
    pub standing: Standing,
}

/// The files that an acceptance speaks for, as they were at one moment. Two that are equal have nothing between them.
#[derive(Debug, PartialEq, Eq)]
pub struct Sight {
    /// The bundle's folder, as it was named.
    pub root: PathBuf,
    /// Settings, policies and libraries.
    pub bundle: Bundle,
    /// The text of each case, by name.
    cases: BTreeMap<String, String>,
    /// The text of each snapshot, by name.
    snapshots: BTreeMap<String, String>,
    /// The text of this generation's record.
    record: Option<String>,
}

/// A case beside its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Its name, such as `route/alias`.
    pub name: String,
    /// What it shows, in its author's words; empty when there is no case.
    pub about: String,
    /// What the snapshot says; none when there is no snapshot.
    pub old: Option<String>,
    /// What the gate does; none when there is no case, or it cannot be played.
    pub new: Option<String>,
    /// Why it cannot be played.
    pub faults: Vec<Fault>,
}

/// What is between a case and its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Same,
    /// The gate does something else.
    Differs,
    /// There is no snapshot.
    New,
    /// There is no case.
    Gone,
    /// The case cannot be played.
    Faulty,
}

// === impl Look ===

impl Look {
    /// Reads the bundle at `root` and plays its cases; `progress` is told how many of how many are done. What a crash
    /// left of an earlier acceptance is put in order first. Errors when the bundle has faults, or cannot be read.
    pub fn at(root: &Path, progress: &mut dyn FnMut(usize, usize)) -> Result<Self, Vec<Fault>> {
        let unfinished = |error| vec![Fault::in_file(write::FOLDER, format!("an acceptance is unfinished: {error}"))];
        write::recover(root).map_err(unfinished)?;
        let sight = Sight::at(root)?;
        sight.check()?;
        let cases = sight.play(progress);
        let standing = acceptance::standing(root, &sight.bundle.hash);
        Ok(Self { sight, cases, standing })
    }

    /// The cases that a person has to decide about.
    pub fn differing(&self) -> impl Iterator<Item = &Compared> {
        self.cases.iter().filter(|case| matches!(case.kind(), Kind::Differs | Kind::New | Kind::Gone))
    }

    /// The cases that cannot be played: as long as there is one, nothing can be accepted as a whole.
    pub fn faulty(&self) -> impl Iterator<Item = &Compared> {
        self.cases.iter().filter(|case| case.kind() == Kind::Faulty)
    }

    /// How many are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.cases.iter().filter(|case| case.kind() == kind).count()
    }

    /// The cases that can be read, for what else is to be learned by playing them.
    pub fn readable(&self) -> Vec<Case> {
        self.sight.cases.iter().filter_map(|(name, text)| cases::parse(name, text).ok()).collect()
    }

    /// The settings of the bundle, without its secrets.
    pub fn settings(&self) -> Option<Settings> {
        let bundle = &self.sight.bundle;
        settings::parse_in(&bundle.settings_text, SETTINGS_FILE, &bundle.root, &stand_in).ok()
    }
}

// === impl Sight ===

impl Sight {
    /// Reads everything.
    pub fn at(root: &Path) -> Result<Self, Vec<Fault>> {
        let bundle = bundle::read(root)?;
        let mut faults = Vec::new();
        let mut texts = |folder: &str, ending: &str, text: &dyn Fn(&Path, &str) -> Result<String, Fault>| {
            let folder = root.join(folder);
            let mut texts = BTreeMap::new();
            for name in cases::names(&folder, ending)? {
                match text(&folder, &name) {
                    Ok(text) => _ = texts.insert(name, text),
                    Err(fault) => faults.push(fault),
                }
            }
            Ok::<_, Vec<Fault>>(texts)
        };
        let cases = texts(CASES, ".http", &cases::text_of)?;
        let snapshots = texts(SNAPSHOTS, ".snap", &snapshot_text)?;
        let record = fs::read_to_string(root.join(acceptance::file(&bundle.hash)));
        let record = match record {
            Ok(record) => Some(record),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                faults.push(Fault::in_file(
                    acceptance::file(&bundle.hash),
                    format!("the record cannot be read: {error}"),
                ));
                None
            }
        };
        let sight = Self { root: root.to_owned(), bundle, cases, snapshots, record };
        if faults.is_empty() { Ok(sight) } else { Err(faults) }
    }

    /// What changed since, for people; `None` when nothing did.
    pub fn changed_to(&self, now: &Self) -> Option<String> {
        if self == now {
            return None;
        }
        if self.bundle.hash != now.bundle.hash {
            return Some(format!("the bundle was changed meanwhile ({} is now {})", self.bundle.hash, now.bundle.hash));
        }
        if self.record != now.record
            && let Ok(Some(acceptance)) = acceptance::read(&now.root, &now.bundle.hash)
        {
            return Some(format!("{} was accepted by {} meanwhile", now.bundle.hash, acceptance.accepted_by));
        }
        let changed = other_in(&self.cases, &now.cases).map(|name| format!("the case `{name}` was changed meanwhile"));
        let snapshot = || other_in(&self.snapshots, &now.snapshots);
        changed
            .or_else(|| snapshot().map(|name| format!("the snapshot `{name}` was changed meanwhile")))
            .or_else(|| Some("the bundle was changed meanwhile".to_owned()))
    }

    /// Finds the faults of the bundle as a whole. Its secrets need not be on this machine.
    fn check(&self) -> Result<(), Vec<Fault>> {
        Candidate::of(&self.bundle, &stand_in).map(|_| ())
    }

    /// Plays every case, and puts it beside its snapshot.
    fn play(&self, progress: &mut dyn FnMut(usize, usize)) -> Vec<Compared> {
        let read: Vec<(&String, Result<Case, Vec<Fault>>)> =
            self.cases.iter().map(|(name, text)| (name, cases::parse(name, text))).collect();
        let readable: Vec<Case> = read.iter().filter_map(|(_, case)| case.as_ref().ok().cloned()).collect();
        let mut played = Vec::with_capacity(readable.len());
        for batch in readable.chunks(BATCH) {
            progress(played.len(), readable.len());
            played.extend(play_all(&self.bundle, batch));
        }
        progress(readable.len(), readable.len());
        let mut played = played.into_iter();
        let mut compared = Vec::with_capacity(self.cases.len());
        for (name, case) in read {
            let about = case.as_ref().map_or_else(|_| String::new(), |case| case.about.clone());
            let result = case.and_then(|_| played.next().unwrap_or_else(|| Err(Vec::new())));
            let (new, faults) = match result {
                Ok(played) => (Some(snapshot::normal(&render(&played))), Vec::new()),
                Err(faults) => (None, faults),
            };
            compared.push(Compared { name: name.clone(), about, old: self.snapshots.get(name).cloned(), new, faults });
        }
        let strays = self.snapshots.iter().filter(|(name, _)| !self.cases.contains_key(*name));
        compared.extend(strays.map(|(name, text)| Compared::gone(name, text)));
        compared.sort_by(|a, b| a.name.cmp(&b.name));
        compared
    }
}

// === impl Compared ===

impl Compared {
    /// What is between the two.
    pub fn kind(&self) -> Kind {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if old == new => Kind::Same,
            (Some(_), Some(_)) => Kind::Differs,
            (None, Some(_)) => Kind::New,
            (Some(_), None) if self.faults.is_empty() => Kind::Gone,
            (_, None) => Kind::Faulty,
        }
    }

    /// A snapshot without a case.
    fn gone(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), about: String::new(), old: Some(text.to_owned()), new: None, faults: Vec::new() }
    }
}

// === impl Kind ===

impl Kind {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::New => "new",
            Self::Gone => "stray",
            Self::Faulty => "faulty",
        }
    }
}

/// What stands in for a secret: a review needs no real keys.
#[allow(clippy::unnecessary_wraps, reason = "settings look secrets up with this signature")]
fn stand_in(place: &Place) -> Result<String, String> {
    Ok(format!("stand-in for {place}").replace(' ', "-"))
}

/// The text that a snapshot on disk compares by.
fn snapshot_text(folder: &Path, name: &str) -> Result<String, Fault> {
    let file = format!("{name}.snap");
    let unreadable = |error: io::Error| {
        Fault::in_file(format!("{SNAPSHOTS}/{file}"), format!("the snapshot cannot be read: {error}"))
    };
    let read = snapshot::read(&folder.join(&file)).map_err(unreadable)?;
    Ok(read.map_or_else(String::new, |(_, text)| snapshot::normal(&text)))
}

/// The first name whose text is not the same in both.
fn other_in<'a>(before: &'a BTreeMap<String, String>, now: &'a BTreeMap<String, String>) -> Option<&'a String> {
    before.keys().chain(now.keys()).find(|name| before.get(*name) != now.get(*name))
}
