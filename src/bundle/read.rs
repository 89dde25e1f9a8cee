//! Reads a bundle so that what is taken is one state of its files, never half of a save.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::watch::places::Places;
use super::{Bundle, SETTINGS};
use crate::fault::Fault;

/// Largest file.
const FILE_BYTES: u64 = 1 << 20;

/// Largest number of policies and libraries.
const FILES: usize = 1000;

/// Largest number of folders: symlinks that cross can make many of a few.
const FOLDERS: usize = 1000;

/// Deepest folder below the root.
const DEPTH: usize = 32;

/// How often a bundle that changes under the reader is read again.
const ATTEMPTS: usize = 10;

/// What one walk over the folder found.
pub(super) struct Scan {
    /// The bundle, or everything that keeps it from being one.
    pub(super) outcome: Result<Bundle, Vec<Fault>>,
    /// Where a change of it would show.
    pub(super) places: Places,
    /// Tells the state of what an acceptance depends on from others: the names, sizes and times of the files in
    /// `reviews/` and `snapshots/`.
    pub(super) reviews: blake3::Hash,
}

/// The folders of a bundle that hold acceptances and what was accepted.
const REVIEWS: [&str; 2] = ["reviews", "snapshots"];

/// A walk in progress.
struct Walk {
    /// Texts by path, the settings among them.
    texts: BTreeMap<String, String>,
    /// Where a change would show.
    places: Places,
    /// The folders from the root to the one being read, symlinks resolved: a link back to one of them is a loop.
    above: Vec<PathBuf>,
    /// How many folders were read.
    folders: usize,
    /// What the files in `reviews/` and `snapshots/` look like from outside.
    reviews: blake3::Hasher,
    /// Everything wrong so far.
    faults: Vec<Fault>,
}

/// Reads the bundle in `dir`: `tidegate.toml` and every `.lua` and `.luau` file below, except in `cases/`,
/// `snapshots/`, `reviews/` and hidden folders. On error, every fault.
pub fn read(dir: &Path) -> Result<Bundle, Vec<Fault>> {
    for _ in 0..ATTEMPTS {
        if let Some(scan) = scan_twice(dir) {
            return scan.outcome;
        }
    }
    Err(vec![Fault::in_file(dir.display().to_string(), "the files change while they are read")])
}

/// Reads the bundle twice; `None` when the two differ, because then it is being written.
pub(super) fn scan_twice(dir: &Path) -> Option<Scan> {
    let before = scan(dir);
    let after = scan(dir);
    let same = match (&before.outcome, &after.outcome) {
        (Ok(before), Ok(after)) => before.hash == after.hash,
        (Err(before), Err(after)) => before == after,
        _ => false,
    };
    same.then_some(after)
}

fn scan(dir: &Path) -> Scan {
    let mut walk = Walk {
        texts: BTreeMap::new(),
        places: Places::default(),
        above: Vec::new(),
        folders: 0,
        reviews: blake3::Hasher::new(),
        faults: Vec::new(),
    };
    walk.root(dir);
    let Walk { mut texts, places, mut faults, reviews, .. } = walk;
    let settings_text = texts.remove(SETTINGS).unwrap_or_default();
    if settings_text.trim().is_empty() && faults.is_empty() {
        faults.push(Fault::in_file(SETTINGS, "the settings file is missing or empty"));
    }
    let outcome = if faults.is_empty() { Ok(Bundle::new(dir.to_owned(), settings_text, texts)) } else { Err(faults) };
    Scan { outcome, places, reviews: reviews.finalize() }
}

// === impl Walk ===

impl Walk {
    fn root(&mut self, dir: &Path) {
        match self.places.follow(dir) {
            Some(real) => self.folder(&real, ""),
            None => self.fault(&dir.display().to_string(), "there is no such folder"),
        }
    }

    /// Reads a folder; `real` has no symlinks in it, `prefix` is its path in the bundle.
    fn folder(&mut self, real: &Path, prefix: &str) {
        if self.above.len() > DEPTH {
            self.fault(prefix, "the folder lies too deep");
            return;
        }
        self.folders += 1;
        if self.folders > FOLDERS {
            if self.folders == FOLDERS + 1 {
                self.fault(prefix, format!("a bundle has at most {FOLDERS} folders"));
            }
            return;
        }
        self.places.add_folder(real);
        let entries = match fs::read_dir(real) {
            Ok(entries) => entries,
            Err(error) => {
                let name = if prefix.is_empty() { "." } else { prefix };
                self.fault(name, format!("the folder cannot be read: {error}"));
                return;
            }
        };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        self.above.push(real.to_owned());
        for name in names {
            self.entry(real, &name, prefix);
        }
        self.above.pop();
    }

    /// Reads what stands under one name, if it is part of the bundle.
    fn entry(&mut self, folder: &Path, name: &OsStr, prefix: &str) {
        let Some(name) = name.to_str() else {
            return;
        };
        if name.starts_with('.') || (prefix.is_empty() && name == "cases") {
            return;
        }
        if prefix.is_empty() && REVIEWS.contains(&name) {
            self.review(&folder.join(name), DEPTH);
            return;
        }
        let path = format!("{prefix}{name}");
        let Some(real) = self.places.follow(&folder.join(name)) else {
            if is_text(&path) {
                self.fault(&path, "the file is a link to nothing");
            }
            return;
        };
        if real.is_dir() {
            if !self.above.contains(&real) {
                self.folder(&real, &format!("{path}/"));
            }
        } else if is_text(&path) {
            self.file(&real, path);
        }
    }

    /// Notes what stands in a folder of reviews, down to some depth, without reading it: the bundle stays the same
    /// whatever it says, but whether it is accepted may not.
    fn review(&mut self, path: &Path, depth: usize) {
        let Some(real) = self.places.follow(path) else { return };
        let Ok(metadata) = fs::metadata(&real) else { return };
        self.reviews.update(path.as_os_str().as_encoded_bytes()).update(b"\0");
        if !metadata.is_dir() {
            let changed = metadata.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            self.reviews.update(&metadata.len().to_le_bytes());
            self.reviews.update(&changed.unwrap_or_default().as_nanos().to_le_bytes());
        } else if depth == DEPTH || (depth > 0 && !path.is_symlink()) {
            // Links to folders further down may cross and make endless many of a few.
            self.places.add_folder(&real);
            let mut names: Vec<_> =
                fs::read_dir(&real).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
            names.sort();
            for name in names.iter().filter(|name| !name.as_encoded_bytes().starts_with(b".")) {
                self.review(&path.join(name), depth - 1);
            }
        }
    }

    fn file(&mut self, real: &Path, path: String) {
        if self.texts.len() > FILES {
            return;
        }
        if self.texts.len() == FILES {
            self.fault(&path, format!("a bundle has at most {FILES} files"));
        }
        match text(real) {
            Ok(text) => {
                self.texts.insert(path, text);
            }
            Err(why) => self.fault(&path, why),
        }
    }

    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(Fault::in_file(path.trim_end_matches('/'), message));
    }
}

/// Whether a path is one of the files that make a bundle.
fn is_text(path: &str) -> bool {
    let ending = Path::new(path).extension();
    path == SETTINGS || ending.is_some_and(|ending| ending == "lua" || ending == "luau")
}

/// The text of a file; reading stops at the largest size, whatever the file says of itself.
fn text(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("the file cannot be read: {error}");
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err("the file is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("the file is not UTF-8 (at byte {at})")
    })
}
