//! Keeps the last bundles as source, named by their content, so that a gate can go back to one and starts with the
//! last that was accepted, whatever was saved meanwhile.

mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Bundle, Hash};

/// The folder in a bundle that belongs to the gate.
pub const ROOM: &str = ".tidegate";

/// The folder of the kept bundles in it.
const GENERATIONS: &str = "generations";

/// The file that names what serves.
const LIVE: &str = "live";

/// The file with the key that tokens are signed with.
const KEY: &str = "key";

/// How few digits may name a generation.
const DIGITS: usize = 4;

/// The kept bundles of one folder. All of them are in memory too: when the folder cannot be written, the gate works on
/// without it.
#[derive(Debug)]
pub struct Shelf {
    /// The bundle's folder.
    root: PathBuf,
    /// The bundles.
    kept: BTreeMap<Hash, Shelved>,
    /// What serves.
    pointer: Option<Pointer>,
    /// The key that tokens are signed with, once it was asked for.
    key: Option<[u8; 32]>,
    /// Why nothing is written, if nothing is.
    unwritten: Option<String>,
    /// Files that were not loaded, and why.
    refused: Vec<String>,
}

/// A kept bundle.
#[derive(Clone, Debug)]
pub struct Shelved {
    /// Its source.
    pub bundle: Arc<Bundle>,
    /// When it was last saved.
    pub saved_at: Timestamp,
    /// When it last went live, if it ever did.
    pub live_at: Option<Timestamp>,
    /// Who accepted it, if it went live because someone did.
    pub accepted_by: Option<String>,
}

/// What serves, as it is remembered over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The generation.
    pub generation: Hash,
    /// The one that served before it.
    pub before: Option<Hash>,
    /// The bundle on disk that someone went away from: it serves again only when something else was saved meanwhile.
    pub over: Option<Hash>,
}

/// A kept bundle as it stands in its file; times as RFC 3339 spells them.
#[derive(Serialize, Deserialize)]
struct Written {
    saved_at: String,
    live_at: Option<String>,
    accepted_by: Option<String>,
    settings: String,
    files: BTreeMap<String, String>,
}

/// The pointer as it stands in its file.
#[derive(Serialize, Deserialize)]
struct WrittenPointer {
    generation: String,
    before: Option<String>,
    over: Option<String>,
}

// === impl Shelf ===

impl Shelf {
    /// What was kept of the bundle in `root`. Files that were tampered with are not loaded, and told.
    pub fn open(root: &Path) -> Self {
        let (kept, pointer) = (BTreeMap::new(), None);
        let root = root.to_owned();
        let mut shelf = Self { root, kept, pointer, key: None, unwritten: None, refused: Vec::new() };
        for (name, read) in file::read_all(&shelf.folder()) {
            let loaded = read.map_err(|error| error.to_string()).and_then(|text| shelf.loaded(&name, &text));
            match loaded {
                Ok((hash, shelved)) => drop(shelf.kept.insert(hash, shelved)),
                Err(why) => shelf.refused.push(format!("{ROOM}/{GENERATIONS}/{name}: {why}; not loaded")),
            }
        }
        match file::read(&shelf.room().join(LIVE)).map(|text| text.map(|text| pointer_of(&text))) {
            Ok(Some(Some(pointer))) => shelf.pointer = Some(pointer),
            Ok(None) => {}
            Ok(Some(None)) => shelf.refused.push(format!("{ROOM}/{LIVE}: names no generation; not believed")),
            Err(error) => shelf.refused.push(format!("{ROOM}/{LIVE}: {error}")),
        }
        shelf
    }

    /// A kept bundle, if its content is what its name says.
    fn loaded(&self, name: &str, text: &str) -> Result<(Hash, Shelved), String> {
        let named = name.strip_suffix(".json").and_then(Hash::from_full).ok_or("the name is no generation's")?;
        let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let time = |text: &str| text.parse::<Timestamp>().map_err(|error| error.to_string());
        let bundle = Bundle::new(self.root.clone(), written.settings, written.files);
        if bundle.hash != named {
            return Err("the content is not what the name says".to_owned());
        }
        let shelved = Shelved {
            bundle: Arc::new(bundle),
            saved_at: time(&written.saved_at)?,
            live_at: written.live_at.as_deref().map(time).transpose()?,
            accepted_by: written.accepted_by,
        };
        Ok((named, shelved))
    }

    /// The bundle's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that is kept, what was saved last first.
    pub fn kept(&self) -> Vec<&Shelved> {
        let mut kept: Vec<_> = self.kept.values().collect();
        kept.sort_by_key(|shelved| std::cmp::Reverse(shelved.newest()));
        kept
    }

    /// One kept bundle.
    pub fn get(&self, hash: &Hash) -> Option<&Shelved> {
        self.kept.get(hash)
    }

    /// What serves, or served when the gate was stopped.
    pub fn pointer(&self) -> Option<&Pointer> {
        self.pointer.as_ref()
    }

    /// Why nothing is written, if nothing is.
    pub fn unwritten(&self) -> Option<&str> {
        self.unwritten.as_deref()
    }

    /// Files that were not loaded, and why.
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    /// The generation that the first digits of its hash name; the error says why there is none.
    pub fn find(&self, digits: &str) -> Result<Hash, String> {
        if digits.len() < DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("`{digits}` is no generation: give at least {DIGITS} digits of its hash"));
        }
        let digits = digits.to_ascii_lowercase();
        let found: Vec<&Hash> = self.kept.keys().filter(|hash| hash.full().starts_with(&digits)).collect();
        match found.as_slice() {
            [only] => Ok(**only),
            [] => Err(format!("no generation {digits} is kept: `tidegate generations` lists those that are")),
            many => {
                let names: Vec<String> = many.iter().map(ToString::to_string).collect();
                Err(format!("`{digits}` may be any of {}: give more digits", names.join(", ")))
            }
        }
    }

    /// Keeps a bundle that was saved.
    pub fn save(&mut self, bundle: &Arc<Bundle>) {
        let now = Timestamp::now();
        let shelved = self.kept.entry(bundle.hash).or_insert_with(|| Shelved {
            bundle: Arc::clone(bundle),
            saved_at: now,
            live_at: None,
            accepted_by: None,
        });
        shelved.saved_at = now;
        let _ = self.write(bundle.hash);
    }

    /// Notes that a bundle goes live, accepted by someone or not, and away from `over` on disk. It is written down before
    /// this returns, so that a gate that is killed at once starts with it.
    pub fn go_live(&mut self, bundle: &Arc<Bundle>, accepted_by: Option<&str>, over: Option<Hash>) {
        let now = Timestamp::now();
        let before = self.pointer.as_ref().map(|pointer| pointer.generation).filter(|before| *before != bundle.hash);
        let before = before.or(self.pointer.as_ref().and_then(|pointer| pointer.before));
        let shelved = self.kept.entry(bundle.hash).or_insert_with(|| Shelved {
            bundle: Arc::clone(bundle),
            saved_at: now,
            live_at: None,
            accepted_by: None,
        });
        shelved.live_at = Some(now);
        if let Some(by) = accepted_by {
            shelved.accepted_by = Some(by.to_owned());
        }
        let written = self.write(bundle.hash);
        let pointer = Pointer { generation: bundle.hash, before, over };
        // What names a bundle that is not there would be believed less than what it replaces.
        if written { self.point(pointer) } else { self.pointer = Some(pointer) }
    }

    /// Notes that something else was saved since someone went away from what is on disk.
    pub fn forget_over(&mut self) {
        if let Some(pointer) = self.pointer.clone().filter(|pointer| pointer.over.is_some()) {
            self.point(Pointer { over: None, ..pointer });
        }
    }

    /// Drops all but the newest `keep`, and those of `spare`, what serves and what served before.
    pub fn prune(&mut self, keep: usize, spare: &[Hash]) {
        let pointed = self.pointer.iter().flat_map(|pointer| [Some(pointer.generation), pointer.before]).flatten();
        let spared: Vec<Hash> = pointed.chain(spare.iter().copied()).collect();
        let old: Vec<Hash> = self.kept().iter().skip(keep).map(|shelved| shelved.bundle.hash).collect();
        for hash in old.into_iter().filter(|hash| !spared.contains(hash)) {
            self.kept.remove(&hash);
            let _ = std::fs::remove_file(self.folder().join(format!("{}.json", hash.full())));
        }
    }

    /// The key that tokens are signed with: one for each bundle, made when it is first asked for.
    pub fn key(&mut self) -> io::Result<[u8; 32]> {
        // Where nothing can be written, it is the same at least as long as the gate runs.
        if let Some(key) = self.key {
            return Ok(key);
        }
        let path = self.room().join(KEY);
        let read = |path: &Path| file::read(path).ok().flatten().and_then(|text| Hash::from_full(text.trim()));
        if let Some(Hash(key)) = read(&path) {
            self.key = Some(key);
            return Ok(key);
        }
        let key = file::random()?;
        let text = Hash(key).full() + "\n";
        if let Err(error) = self.prepared().and_then(|()| file::write(&path, text.as_bytes())) {
            self.memory_only(&error);
        }
        // Another gate on the same folder may have written its own at the same time: the one on disk counts.
        let key = read(&path).map_or(key, |Hash(key)| key);
        self.key = Some(key);
        Ok(key)
    }

    fn point(&mut self, pointer: Pointer) {
        let written = WrittenPointer {
            generation: pointer.generation.full(),
            before: pointer.before.map(|hash| hash.full()),
            over: pointer.over.map(|hash| hash.full()),
        };
        self.pointer = Some(pointer);
        let path = self.room().join(LIVE);
        let _ = self.put(&path, &written);
    }

    /// Writes a kept bundle down; whether it is.
    fn write(&mut self, hash: Hash) -> bool {
        let Some(shelved) = self.kept.get(&hash) else { return false };
        let written = Written {
            saved_at: shelved.saved_at.to_string(),
            live_at: shelved.live_at.map(|at| at.to_string()),
            accepted_by: shelved.accepted_by.clone(),
            settings: shelved.bundle.settings_text.clone(),
            files: shelved.bundle.files.clone(),
        };
        let path = self.folder().join(format!("{}.json", hash.full()));
        self.put(&path, &written)
    }

    fn put(&mut self, path: &Path, content: &impl Serialize) -> bool {
        let text = serde_json::to_string_pretty(content).map_err(io::Error::from);
        let written = text.and_then(|text| {
            self.prepared()?;
            file::write(path, (text + "\n").as_bytes())
        });
        match written {
            Ok(()) => {
                self.unwritten = None;
                true
            }
            Err(error) => {
                self.memory_only(&error);
                false
            }
        }
    }

    /// Says once that nothing can be written.
    fn memory_only(&mut self, error: &io::Error) {
        if self.unwritten.is_none() {
            let room = self.room();
            tracing::warn!(
                "{}: {error}: generations are kept in memory only, and a restart forgets them",
                room.display()
            );
            self.unwritten = Some(format!("{}: {error}", room.display()));
        }
    }

    /// Makes the folders, with a note to git that they are not part of the bundle.
    fn prepared(&self) -> io::Result<()> {
        // A bundle that was moved away must not come back as a folder with nothing else in it.
        if !self.root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        std::fs::create_dir_all(self.folder())?;
        let ignore = self.room().join(".gitignore");
        if ignore.exists() { Ok(()) } else { file::write(&ignore, b"*\n") }
    }

    fn room(&self) -> PathBuf {
        self.root.join(ROOM)
    }

    fn folder(&self) -> PathBuf {
        self.room().join(GENERATIONS)
    }
}

// === impl Shelved ===

impl Shelved {
    /// When something last happened to it.
    fn newest(&self) -> Timestamp {
        self.live_at.map_or(self.saved_at, |live_at| live_at.max(self.saved_at))
    }
}

fn pointer_of(text: &str) -> Option<Pointer> {
    let written: WrittenPointer = serde_json::from_str(text).ok()?;
    let optional = |digits: Option<String>| digits.as_deref().and_then(Hash::from_full);
    Some(Pointer {
        generation: Hash::from_full(&written.generation)?,
        before: optional(written.before),
        over: optional(written.over),
    })
}
