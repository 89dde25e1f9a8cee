//! Writes small files so that a process killed at any moment leaves the old content or the new, never half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The ending of a file that is being written.
const UNFINISHED: &str = ".tmp";

/// Largest file that is read: a bundle's texts, and room for how JSON spells them.
const MOST_BYTES: u64 = 256 << 20;

/// Puts a file in place of any other, readable by its owner only. It is on the disk when this returns.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{:016x}{UNFINISHED}", fastrand::u64(..)));
    let written = write_new(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The text of a file; `None` when there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match File::open(path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(MOST_BYTES).read_to_string(&mut text)?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// All files of a folder with their names, sorted. What a killed process left half written is removed.
pub(super) fn read_all(folder: &Path) -> Vec<(String, io::Result<String>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            if name.ends_with(UNFINISHED) && is_old(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
            continue;
        }
        let text = read(&entry.path()).and_then(|text| text.ok_or_else(|| io::ErrorKind::NotFound.into()));
        all.push((name, text));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// Whether nobody can still be writing a file: another gate may serve the same folder.
fn is_old(path: &Path) -> bool {
    const LONG: std::time::Duration = std::time::Duration::from_mins(1);
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age > LONG)
}

/// Random bytes that nobody can guess, from the system.
pub(super) fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
