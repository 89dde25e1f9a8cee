//! Writes a case and its snapshot into a bundle: both, or neither, and never over what is there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::case::review::{CASES, SNAPSHOTS};
use crate::case::snapshot::{self, Front};

/// A case with its snapshot, as texts.
#[derive(Clone, Copy, Debug)]
pub struct Files<'t> {
    /// The name below the folders, without an ending.
    pub name: &'t str,
    /// The case.
    pub case: &'t str,
    /// What it shows, in a sentence.
    pub about: &'t str,
    /// What the gate does with it.
    pub snapshot: &'t str,
}

// === impl Files ===

impl Files<'_> {
    /// Writes both below `root`. The error names the file that is there already or could not be written.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        let inside = |part| matches!(part, Component::Normal(_));
        if self.name.is_empty() || !Path::new(self.name).components().all(inside) {
            let why = format!("`{}` leads out of the folder of cases", self.name);
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        let case = root.join(CASES).join(format!("{}.http", self.name));
        let snapshot = root.join(SNAPSHOTS).join(format!("{}.snap", self.name));
        if let Some(there) = [&case, &snapshot].into_iter().find(|path| path.exists()) {
            return Err(failed(there, &ErrorKind::AlreadyExists.into()));
        }
        write_new(&case, self.case).map_err(|error| failed(&case, &error))?;
        let source = Some(format!("{CASES}/{}.http", self.name));
        let front = Front { source: source.clone(), description: Some(self.about.to_owned()), input_file: source };
        snapshot::write(&snapshot, &front, self.snapshot).map_err(|error| {
            // A case that nothing pins would be a difference in the next review.
            let _ = fs::remove_file(&case);
            failed(&snapshot, &error)
        })
    }
}

fn write_new(path: &PathBuf, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}

fn failed(path: &Path, error: &io::Error) -> io::Error {
    let shown = path.display();
    let why = match error.kind() {
        ErrorKind::AlreadyExists => format!("{shown} is there already: --name saves it under another name"),
        _ => format!("{shown} cannot be written: {error}"),
    };
    io::Error::new(error.kind(), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: Files<'_> = Files { name: "recorded/a", case: "# A.\n", about: "A.", snapshot: "> client\n" };

    #[test]
    fn both_are_written_and_nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (case, snapshot) =
            (folder.path().join("cases/recorded/a.http"), folder.path().join("snapshots/recorded/a.snap"));
        FILES.write(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(&case).unwrap(), "# A.\n");
        assert!(fs::read_to_string(&snapshot).unwrap().ends_with("> client\n"));
        let error = FILES.write(folder.path()).unwrap_err().to_string();
        assert!(error.contains("cases/recorded/a.http"), "{error}");
        fs::remove_file(&case).unwrap();
        let other = Files { case: "# B.\n", snapshot: "> other\n", ..FILES };
        assert!(other.write(folder.path()).unwrap_err().to_string().contains("snapshots/recorded/a.snap"));
        assert!(fs::read_to_string(&snapshot).unwrap().ends_with("> client\n"));
        assert!(!case.exists());
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "../up", "a/../../up", "/tmp/up", "./a"] {
            let error = Files { name, ..FILES }.write(folder.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn a_case_whose_snapshot_cannot_be_written_goes_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("snapshots")).unwrap();
        fs::write(folder.path().join("snapshots/recorded"), "").unwrap();
        assert!(FILES.write(folder.path()).is_err());
        assert!(!folder.path().join("cases/recorded/a.http").exists());
    }
}
