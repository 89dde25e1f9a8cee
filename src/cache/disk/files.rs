//! The files of the store on disk: readable by their owner only, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cache::sealed::Label;

/// What half-written files begin with.
const BESIDE: &str = "new-";

/// The file that a gate holds locked while it uses the folder.
const LOCK: &str = "lock";

/// Files are counted in blocks of this size, as disks keep them.
const BLOCK: u64 = 4096;

/// A folder of answers.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// Locked for as long as this is used.
    _lock: File,
}

/// A file that was found.
pub(super) struct Found {
    /// Whether it should be an answer, and nothing that was left half-written.
    pub(super) answer: bool,
    /// What its label says; `None` when it has none.
    pub(super) label: Option<Label>,
    /// Where it is.
    pub(super) path: PathBuf,
    /// How much room it takes.
    pub(super) bytes: u64,
    /// When it was last used.
    pub(super) used: SystemTime,
}

// === impl Files ===

impl Files {
    /// Makes the folder, and locks it.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = writing(&folder.join(LOCK), false)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(io::Error::other("another gate uses it")),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The bytes of an answer: none of more than `most` was written, so that nothing larger is read into memory.
    pub(super) fn read(&self, hash: &[u8; 32], most: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(hash))?;
        let length = file.metadata()?.len();
        if length > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        Read::by_ref(&mut file).take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes an answer beside its place, then puts it there; says how much room it takes.
    pub(super) fn write(&self, hash: &[u8; 32], bytes: &[u8]) -> io::Result<u64> {
        let path = self.path(hash);
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let beside = self.folder.join(format!("{BESIDE}{:016x}", fastrand::u64(..)));
        let written = writing(&beside, true).and_then(|mut file| file.write_all(bytes));
        let put = written.and_then(|()| fs::rename(&beside, &path));
        if put.is_err() {
            let _ = fs::remove_file(&beside);
        }
        put.map(|()| room(bytes.len() as u64))
    }

    /// Removes an answer.
    pub(super) fn remove(&self, hash: &[u8; 32]) -> io::Result<()> {
        fs::remove_file(self.path(hash))
    }

    /// Notes that an answer was used, for the next start.
    pub(super) fn touch(&self, hash: &[u8; 32]) {
        if let Ok(file) = File::options().append(true).open(self.path(hash)) {
            let _ = file.set_modified(SystemTime::now());
        }
    }

    /// Everything that lies there, one by one. What is no file of this store is left alone and not told.
    pub(super) fn found(&self) -> impl Iterator<Item = Found> {
        let below = entries(&self.folder).filter(|path| path.is_dir()).flat_map(|folder| entries(&folder));
        let (answers, halves) = (below, entries(&self.folder));
        let answers = answers.filter(|path| name(path).is_some_and(is_hash)).filter_map(|path| look(path, true));
        let halves = halves.filter(|path| name(path).is_some_and(|name| name.starts_with(BESIDE)));
        answers.chain(halves.filter_map(|path| look(path, false)))
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        let name = blake3::Hash::from_bytes(*hash).to_hex();
        let (folder, _) = name.split_at(2);
        self.folder.join(folder).join(name.as_str())
    }
}

/// Opens a file to be written; `new`: it must not be there yet.
fn writing(path: &Path, new: bool) -> io::Result<File> {
    OpenOptions::new().write(true).create(!new).create_new(new).truncate(false).mode(0o600).open(path)
}

/// What stands in a folder; nothing when it cannot be read.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Looks at a file, and at its label if it should have one.
fn look(path: PathBuf, answer: bool) -> Option<Found> {
    let mut file = File::open(&path).ok()?;
    let about = file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mut label = None;
    if answer {
        let mut start = vec![0; Label::PEEK.min(usize::try_from(about.len()).unwrap_or(Label::PEEK))];
        file.read_exact(&mut start).ok()?;
        let own = |label: &Label| name(&path) == Some(blake3::Hash::from_bytes(label.hash).to_hex().as_str());
        label = Label::peek(&start).ok().filter(own);
    }
    Some(Found { answer, label, bytes: room(about.len()), used: about.modified().ok()?, path })
}

/// How much of a disk so many bytes take.
fn room(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK) * BLOCK
}
