//! Writes what was accepted, snapshots and record as one: whatever ends the process in between, the bundle is left as
//! it was, or the next look at it goes on to the end.
//!
//! Everything is first written below `.tidegate/accepting.tmp`. Renaming that to `.tidegate/accepting` decides that it
//! counts; from then on every step can be taken again without harm. The record is the last to reach its place, and
//! says nothing as long as one of its snapshots is not there.

mod journal;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;

use jiff::Timestamp;

use self::journal::Journal;
use super::acceptance::{self, Acceptance, digest};
use super::look::{Compared, Kind, Look, Sight};
use crate::case::review::{SNAPSHOTS, file_of};
use crate::case::snapshot::{self, Front};

/// The folder of a bundle in which the gate and its commands keep what is not to be committed.
pub const FOLDER: &str = ".tidegate";

/// The file that one process at a time has locked.
const LOCK: &str = "lock";

/// What a person accepted.
pub struct Order<'a> {
    /// The look at the bundle on which the decision rests.
    pub look: &'a Look,
    /// The names of the differing cases that were accepted.
    pub accepted: &'a BTreeSet<String>,
    /// Who accepted them.
    pub by: &'a str,
    /// Whether the generation goes live by itself.
    pub live: bool,
}

/// What was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// How many snapshots were written or removed.
    pub snapshots: usize,
    /// The record; none as long as something differs that was not accepted.
    pub acceptance: Option<Acceptance>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The bundle is not what was looked at.
    #[error("{0}; run review again")]
    Changed(String),
    /// The bundle cannot be written.
    #[error("the acceptance cannot be written: {0}")]
    Failed(#[from] io::Error),
}

/// Writes the accepted snapshots, removes those without a case, and writes the record when nothing is left to decide.
/// One process at a time does so, and only when the bundle is still what was looked at.
pub fn accept(order: &Order<'_>) -> Result<Written, Refused> {
    let sight = &order.look.sight;
    let _lock = lock(&sight.root)?;
    journal::finish(&sight.root)?;
    let told = |faults: Vec<crate::fault::Fault>| faults.first().map_or_else(String::new, ToString::to_string);
    let now = Sight::at(&sight.root).map_err(|faults| Refused::Changed(told(faults)))?;
    if let Some(why) = sight.changed_to(&now) {
        return Err(Refused::Changed(why));
    }
    let (journal, written) = order.journal(Timestamp::now()).map_err(io::Error::other)?;
    for step in journal.steps() {
        step.take(&sight.root)?;
    }
    Ok(written)
}

/// Puts in order what a crash left: an acceptance that was decided is brought to its end, another thrown away. Writes
/// nothing when there is nothing to do, so that a bundle may be read-only.
pub fn recover(root: &Path) -> io::Result<()> {
    if !journal::is_left(root) {
        return Ok(());
    }
    let _lock = lock(root)?;
    journal::finish(root)
}

/// Waits until no other process is at it.
fn lock(root: &Path) -> io::Result<File> {
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, "*\n")?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

// === impl Order ===

impl Order<'_> {
    /// What has to be written, and how it is told.
    fn journal(&self, now: Timestamp) -> Result<(Journal, Written), String> {
        let mut journal = Journal::default();
        for case in self.look.differing().filter(|case| self.accepted.contains(&case.name)) {
            let path = format!("{SNAPSHOTS}/{}.snap", case.name);
            match &case.new {
                Some(text) => journal.put(path, snapshot::format(&front(case), text)),
                None => journal.remove(path),
            }
        }
        let snapshots = journal.len();
        let acceptance = self.is_whole().then(|| self.acceptance(now, snapshots));
        if let Some(acceptance) = &acceptance {
            journal.put(acceptance::file(&self.look.sight.bundle.hash), acceptance.to_text()?);
        }
        Ok((journal, Written { snapshots, acceptance }))
    }

    /// Whether nothing is left to decide.
    fn is_whole(&self) -> bool {
        let left = self.look.differing().any(|case| !self.accepted.contains(&case.name));
        !left && self.look.faulty().next().is_none()
    }

    fn acceptance(&self, now: Timestamp, differences: usize) -> Acceptance {
        let texts = self.look.cases.iter().filter_map(|case| Some((case.name.clone(), case.new.as_ref()?)));
        let snapshots: BTreeMap<String, String> = texts.map(|(name, text)| (name, digest(text))).collect();
        Acceptance {
            generation: self.look.sight.bundle.hash.full(),
            accepted_at: Timestamp::from_second(now.as_second()).unwrap_or(now),
            accepted_by: self.by.to_owned(),
            differences,
            live: self.live,
            snapshots,
        }
    }
}

/// What stands in front of a snapshot that is accepted.
fn front(case: &Compared) -> Front {
    debug_assert_ne!(case.kind(), Kind::Gone);
    let file = file_of(&case.name);
    Front { source: Some(file.clone()), description: Some(case.about.clone()), input_file: Some(file) }
}
