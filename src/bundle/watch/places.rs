//! Where a change of a bundle shows: in its folders, and beside every symlink on the way to one of its files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use notify::Event;
use notify::event::{EventKind, ModifyKind};

/// Most symlinks on the way to one file; as many as Linux follows.
const LINKS: usize = 40;

/// Folders to watch, each by itself, with what matters in it.
///
/// Files are not watched: a watch on a file dies with the first save that replaces it. A symlink is watched through
/// the folder that it stands in, because its own watch follows it to the old target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::bundle) struct Places(BTreeMap<PathBuf, Interest>);

/// What matters in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Interest {
    /// Whether any new, removed or renamed entry does: the folder is part of the bundle.
    whole: bool,
    /// The entries that matter in any case.
    names: BTreeSet<OsString>,
}

// === impl Places ===

impl Places {
    /// The folders.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// Adds a folder of the bundle; `real` has no symlinks in it.
    pub(in crate::bundle) fn add_folder(&mut self, real: &Path) {
        self.0.entry(real.to_owned()).or_default().whole = true;
    }

    /// Finds what `path` stands for and adds the folder of every symlink on the way, and the one of the target, as
    /// far as they exist. `None` when the way ends at nothing.
    pub(in crate::bundle) fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let path = std::path::absolute(path).ok()?;
        let mut ahead = parts(&path);
        let mut real = PathBuf::new();
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            match part {
                Part::Root(root) => real = root,
                Part::Up => {
                    real.pop();
                }
                Part::Name(name) => match link_target(&real.join(&name)) {
                    Ok(Some(target)) if links < LINKS => {
                        links += 1;
                        self.add(&real, &name);
                        let mut way = parts(&target);
                        way.append(&mut ahead);
                        ahead = way;
                    }
                    Ok(None) => {
                        if ahead.is_empty() {
                            self.add(&real, &name);
                        }
                        real.push(name);
                    }
                    _ => {
                        self.add(&real, &name);
                        return None;
                    }
                },
            }
        }
        Some(real)
    }

    /// Whether an event may mean that the bundle changed. Reading causes events too; those never count.
    pub(super) fn concern(&self, event: &Event) -> bool {
        if event.need_rescan() {
            return true;
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        let content = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
        event.paths.is_empty() || event.paths.iter().any(|path| self.concerns(path, content))
    }

    fn concerns(&self, path: &Path, content: bool) -> bool {
        if self.0.contains_key(path) && !content {
            return true;
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return true;
        };
        self.0.get(folder).is_some_and(|interest| interest.names.contains(name) || (interest.whole && !content))
    }

    fn add(&mut self, folder: &Path, name: &OsStr) {
        let interest = self.0.entry(folder.to_owned()).or_default();
        interest.names.insert(name.to_owned());
    }
}

/// A step on the way to a file.
enum Part {
    /// To the root of the file system.
    Root(PathBuf),
    /// To the folder above.
    Up,
    /// To an entry.
    Name(OsString),
}

fn parts(path: &Path) -> VecDeque<Part> {
    path.components()
        .filter_map(|component| match component {
            Component::Prefix(_) | Component::RootDir => Some(Part::Root(component.as_os_str().into())),
            Component::CurDir => None,
            Component::ParentDir => Some(Part::Up),
            Component::Normal(name) => Some(Part::Name(name.to_owned())),
        })
        .collect()
}

/// What a symlink points to; `None` for anything else that exists.
fn link_target(path: &Path) -> io::Result<Option<PathBuf>> {
    if std::fs::symlink_metadata(path)?.is_symlink() { std::fs::read_link(path).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, DataChange, Flag, ModifyKind, RemoveKind};

    use super::*;

    fn places() -> Places {
        let mut places = Places::default();
        places.add_folder(Path::new("/b"));
        places.add(Path::new("/b"), OsStr::new("a.lua"));
        places.add(Path::new("/"), OsStr::new("b"));
        places
    }

    fn concerns(kind: EventKind, path: &str) -> bool {
        places().concern(&Event::new(kind).add_path(path.into()))
    }

    #[test]
    fn reading_the_bundle_is_no_change_of_it() {
        assert!(!concerns(EventKind::Access(AccessKind::Any), "/b/a.lua"));
        assert!(!concerns(EventKind::Access(AccessKind::Any), "/b"));
    }

    #[test]
    fn a_known_file_matters_whatever_happens_to_it() {
        for kind in [
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
            EventKind::Create(CreateKind::Any),
            EventKind::Remove(RemoveKind::Any),
        ] {
            assert!(concerns(kind, "/b/a.lua"), "{kind:?}");
        }
    }

    #[test]
    fn an_unknown_file_in_the_bundle_matters_when_it_comes_or_goes() {
        assert!(concerns(EventKind::Create(CreateKind::Any), "/b/new.lua"));
        assert!(!concerns(EventKind::Modify(ModifyKind::Data(DataChange::Any)), "/b/gate.log"));
    }

    #[test]
    fn the_neighbours_of_the_bundle_do_not_matter() {
        assert!(!concerns(EventKind::Create(CreateKind::Any), "/other"));
        assert!(concerns(EventKind::Remove(RemoveKind::Any), "/b"));
    }

    #[test]
    fn lost_events_matter() {
        assert!(places().concern(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    }
}
