//! The bundle that `tidegate new` writes: small enough to read at once, complete enough to run.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The files by their path in the bundle.
const FILES: [(&str, &str); 6] = [
    ("tidegate.toml", include_str!("template/tidegate.toml")),
    ("policies/hello.lua", include_str!("template/hello.lua")),
    ("cases/hello.http", include_str!("template/hello.http")),
    ("snapshots/hello.snap", include_str!("template/hello.snap")),
    (".luaurc", include_str!("template/luaurc.json")),
    (".vscode/settings.json", include_str!("template/editor.json")),
];

/// Writes a new bundle into `dir`, which is made if need be, and returns the files written. If one of them exists,
/// the error names it and nothing is written.
pub fn create(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let files = FILES.map(|(name, text)| (dir.join(name), text));
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        let message = format!("{} exists already", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    for (path, text) in &files {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::File::create_new(path)?.write_all(text.as_bytes())?;
    }
    Ok(files.map(|(path, _)| path).into())
}
