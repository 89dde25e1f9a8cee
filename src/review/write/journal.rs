//! The steps of an acceptance as data, so that each of them can be the last one before a crash.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::FOLDER;
use crate::case::review::SNAPSHOTS;
use crate::review::acceptance::REVIEWS;

/// Where an acceptance is written before it counts.
const STAGED: &str = "accepting.tmp";

/// Where it lies from then on, until it is in place.
const DECIDED: &str = "accepting";

/// The file that says what belongs where.
const PLAN: &str = "plan.json";

/// Files to write and to remove, in this order.
#[derive(Default)]
pub(super) struct Journal {
    moves: Vec<Move>,
    /// The text of each file to write, by its number.
    texts: Vec<String>,
}

/// What happens to one file of the bundle; paths start at its root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Move {
    /// The file with this number takes this place.
    Put(usize, String),
    /// The file goes.
    Remove(String),
}

/// One step, after which a process may end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Makes the folder anew.
    Begin,
    /// Writes a file below it.
    Stage(String, String),
    /// Makes all of it count at once.
    Decide,
    /// Brings one file to its place.
    Move(Move),
    /// Makes sure that these folders are on the disk as they are now.
    Settle(BTreeSet<String>),
    /// Removes what is not needed any more.
    End,
}

/// Whether an acceptance was begun and is not at its end.
pub(super) fn is_left(root: &Path) -> bool {
    [STAGED, DECIDED].iter().any(|name| root.join(FOLDER).join(name).exists())
}

/// Takes the steps that a crash left out; an acceptance that did not count yet is thrown away.
pub(super) fn finish(root: &Path) -> io::Result<()> {
    for step in remaining(root)? {
        step.take(root)?;
    }
    remove_folder(&root.join(FOLDER).join(STAGED))
}

/// The steps after the decision, as far as they may not have been taken.
pub(super) fn remaining(root: &Path) -> io::Result<Vec<Step>> {
    let decided = root.join(FOLDER).join(DECIDED);
    if !decided.exists() {
        return Ok(Vec::new());
    }
    let plan = match fs::read(decided.join(PLAN)) {
        Ok(plan) => plan,
        // The plan was on the disk before the decision: where it is missing, the end was begun.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![Step::End]),
        Err(error) => return Err(error),
    };
    let moves: Vec<Move> = serde_json::from_slice(&plan)?;
    if let Some(path) = moves.iter().map(Move::path).find(|path| !is_ours(path)) {
        return Err(io::Error::other(format!("{FOLDER}/{DECIDED}/{PLAN} names `{path}`, which no review writes")));
    }
    Ok(after_decision(&moves))
}

fn after_decision(moves: &[Move]) -> Vec<Step> {
    let folders = moves.iter().filter_map(|step| step.path().rsplit_once('/')).map(|(folder, _)| folder.to_owned());
    let settle = Step::Settle(folders.collect());
    moves.iter().cloned().map(Step::Move).chain([settle, Step::End]).collect()
}

/// Whether a path is one that an acceptance may touch.
fn is_ours(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    let first = parts.next().is_some_and(|part| [SNAPSHOTS, REVIEWS].iter().any(|ours| part.as_os_str() == *ours));
    first && parts.all(|part| matches!(part, Component::Normal(_)))
}

// === impl Journal ===

impl Journal {
    /// Writes a file.
    pub(super) fn put(&mut self, path: String, text: String) {
        self.moves.push(Move::Put(self.texts.len(), path));
        self.texts.push(text);
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, path: String) {
        self.moves.push(Move::Remove(path));
    }

    /// How many files it touches.
    pub(super) fn len(&self) -> usize {
        self.moves.len()
    }

    /// Every step; none when there is nothing to write.
    pub(super) fn steps(&self) -> Vec<Step> {
        if self.moves.is_empty() {
            return Vec::new();
        }
        let plan = serde_json::json!(self.moves).to_string();
        let files = self.texts.iter().enumerate().map(|(number, text)| (number.to_string(), text.clone()));
        let staged = files.chain([(PLAN.to_owned(), plan)]).map(|(name, text)| Step::Stage(name, text));
        let before = [Step::Begin].into_iter().chain(staged).chain([Step::Decide]);
        before.chain(after_decision(&self.moves)).collect()
    }
}

// === impl Move ===

impl Move {
    fn path(&self) -> &str {
        match self {
            Self::Put(_, path) | Self::Remove(path) => path,
        }
    }

    /// Does it; when it was done before, nothing.
    fn take(&self, root: &Path) -> io::Result<()> {
        let place = root.join(self.path());
        match self {
            Self::Put(number, _) => put(&root.join(FOLDER).join(DECIDED).join(number.to_string()), &place),
            Self::Remove(_) => fs::remove_file(place).or_else(unless_missing),
        }
    }
}

// === impl Step ===

impl Step {
    /// Takes the step.
    pub(super) fn take(&self, root: &Path) -> io::Result<()> {
        let folder = root.join(FOLDER);
        match self {
            Self::Begin => {
                remove_folder(&folder.join(STAGED))?;
                fs::create_dir_all(folder.join(STAGED))
            }
            Self::Stage(name, text) => fs::write(folder.join(STAGED).join(name), text),
            Self::Decide => decide(&folder),
            Self::Move(step) => step.take(root),
            Self::Settle(folders) => folders.iter().try_for_each(|inside| settle(root, inside)),
            Self::End => {
                // The plan goes first: without it, nothing is done again.
                fs::remove_file(folder.join(DECIDED).join(PLAN)).or_else(unless_missing)?;
                remove_folder(&folder.join(DECIDED))
            }
        }
    }
}

/// Brings what is staged to the disk, and makes it count.
fn decide(folder: &Path) -> io::Result<()> {
    let staged = folder.join(STAGED);
    for entry in fs::read_dir(&staged)? {
        sync(&entry?.path())?;
    }
    sync(&staged)?;
    fs::rename(staged, folder.join(DECIDED))?;
    sync(folder)
}

/// Moves a file to its place; one that is not there any more has been moved.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let mut name = to.file_name().unwrap_or_default().to_owned();
            name.push(".accepting");
            let beside = to.with_file_name(name);
            fs::copy(from, &beside)?;
            sync(&beside)?;
            fs::rename(beside, to)
        }
        moved => moved,
    }
}

/// Brings a folder of the bundle, and those that it lies in, to the disk.
fn settle(root: &Path, inside: &str) -> io::Result<()> {
    let mut path: PathBuf = root.join(inside);
    while path.starts_with(root) {
        match sync(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if path == root || !path.pop() {
            break;
        }
    }
    Ok(())
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder).or_else(unless_missing)
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
