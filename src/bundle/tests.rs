//! Reading a bundle, its template, and the watcher against every way in which files are saved.

mod reading;
mod watching;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// Writes a file, making its folders.
fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A folder with a small bundle in `policies`.
fn sample() -> TempDir {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("policies");
    put(&root, "tidegate.toml", "go_live = \"on-save\"\n");
    put(&root, "a.lua", "return 1");
    put(&root, "lib/b.luau", "return 2");
    folder
}
