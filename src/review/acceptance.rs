//! The record that a generation was accepted: a small file of the bundle, committed with the snapshots that it names.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::{fmt, fs};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use toml::value::Datetime;

use crate::bundle::Hash;
use crate::case::review::SNAPSHOTS;
use crate::case::snapshot;

/// The folder of a bundle's acceptances.
pub const REVIEWS: &str = "reviews";

/// What stands above a record, for whoever meets it in a difference of commits.
const ABOVE: &str = "# Written by `tidegate review`; commit it with the snapshots. It holds for this generation only, and as long as\n# each of these snapshots is as it was.\n";

/// Digits of a snapshot's hash that a record keeps: enough that no other text can be made to fit.
const DIGITS: usize = 32;

/// How many names are told when snapshots differ from those accepted.
const NAMED: usize = 3;

/// Who accepted which generation, when, with which snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The generation: all 64 digits of its hash.
    pub generation: String,
    /// When it was accepted, to the second.
    pub accepted_at: Timestamp,
    /// Who did: a name for people.
    pub accepted_by: String,
    /// How many cases differed and were accepted with it.
    pub differences: usize,
    /// Whether it goes live by itself; otherwise `tidegate promote` decides.
    pub live: bool,
    /// The hash of each snapshot's text, by its name.
    pub snapshots: BTreeMap<String, String>,
}

/// Whether a generation may serve where it has to be reviewed first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was accepted, and every snapshot is as it was then.
    Accepted(Acceptance),
    /// It was not, or no longer counts as such; the reason, for people.
    Waiting(String),
}

/// A record as it stands in its file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    generation: String,
    accepted_at: Datetime,
    accepted_by: String,
    differences: usize,
    live: bool,
    #[serde(default)]
    snapshots: BTreeMap<String, String>,
}

/// Whether the generation with this hash is accepted in the bundle at `root`. Only reads.
pub fn standing(root: &Path, hash: &Hash) -> Standing {
    match read(root, hash) {
        Ok(Some(acceptance)) => match changed(root, &acceptance) {
            None => Standing::Accepted(acceptance),
            Some(why) => Standing::Waiting(why),
        },
        Ok(None) => Standing::Waiting("it was not reviewed yet".to_owned()),
        Err(why) => Standing::Waiting(why),
    }
}

/// The record of this generation, whether or not its snapshots are still there: later reviews change them. Errors
/// say, for people, why a record that is there is none for this generation.
pub fn read(root: &Path, hash: &Hash) -> Result<Option<Acceptance>, String> {
    let file = file(hash);
    let text = match fs::read_to_string(root.join(&file)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{file} cannot be read: {error}")),
    };
    let acceptance = Acceptance::parse(&text).map_err(|why| format!("{file} is no acceptance: {why}"))?;
    if acceptance.generation == hash.full() {
        Ok(Some(acceptance))
    } else {
        Err(format!("{file} is for another generation"))
    }
}

/// The file of a generation's record, from the bundle's root.
pub fn file(hash: &Hash) -> String {
    format!("{REVIEWS}/{hash}.toml")
}

/// What a record keeps of a snapshot's text.
pub fn digest(text: &str) -> String {
    let hash = blake3::hash(snapshot::normal(text).as_bytes()).to_hex();
    hash.get(..DIGITS).unwrap_or_default().to_owned()
}

/// Why the snapshots on disk are not those that were accepted.
fn changed(root: &Path, acceptance: &Acceptance) -> Option<String> {
    let mut wrong = Vec::new();
    for (name, digits) in &acceptance.snapshots {
        let path = Path::new(name);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        let found = if inside { snapshot::read(&root.join(SNAPSHOTS).join(format!("{name}.snap"))) } else { Ok(None) };
        match found {
            Ok(Some((_, text))) if digest(&text) == *digits => {}
            Ok(Some(_)) => wrong.push(format!("`{name}` was changed")),
            Ok(None) => wrong.push(format!("`{name}` is gone")),
            Err(error) => wrong.push(format!("`{name}` cannot be read ({error})")),
        }
    }
    let more = wrong.len().saturating_sub(NAMED);
    let mut told = wrong.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        told = format!("{told}, and {more} more");
    }
    let by = &acceptance.accepted_by;
    (!wrong.is_empty()).then(|| format!("{by} accepted it with other snapshots: {told}"))
}

// === impl Acceptance ===

impl Acceptance {
    /// Reads a record.
    pub fn parse(text: &str) -> Result<Self, String> {
        let record: Record = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let accepted_at = record.accepted_at.to_string().parse();
        Ok(Self {
            generation: record.generation,
            accepted_at: accepted_at.map_err(|_| "accepted_at is no time with an offset (RFC 3339)".to_owned())?,
            accepted_by: record.accepted_by,
            differences: record.differences,
            live: record.live,
            snapshots: record.snapshots,
        })
    }

    /// Writes the record as text.
    pub fn to_text(&self) -> Result<String, String> {
        let seconds = Timestamp::from_second(self.accepted_at.as_second()).unwrap_or(self.accepted_at);
        let record = Record {
            generation: self.generation.clone(),
            accepted_at: seconds.to_string().parse().map_err(|_| "the clock shows no usable time".to_owned())?,
            accepted_by: self.accepted_by.clone(),
            differences: self.differences,
            live: self.live,
            snapshots: self.snapshots.clone(),
        };
        let text = toml::to_string(&record).map_err(|error| error.to_string())?;
        Ok(format!("{ABOVE}{text}"))
    }
}

// === impl Standing ===

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(acceptance) => {
                write!(f, "accepted by {} at {}", acceptance.accepted_by, acceptance.accepted_at)
            }
            Self::Waiting(why) => write!(f, "not accepted: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::bundle::Bundle;
    use crate::case::snapshot::Front;

    fn hash(text: &str) -> Hash {
        Bundle::new(PathBuf::from("."), text.to_owned(), BTreeMap::new()).hash
    }

    fn acceptance(hash: &Hash) -> Acceptance {
        Acceptance {
            generation: hash.full(),
            accepted_at: "2026-03-01T12:00:00Z".parse().unwrap(),
            accepted_by: "Ada \"the\" Tester".to_owned(),
            differences: 2,
            live: true,
            snapshots: [("sea/up".to_owned(), digest("> client\n"))].into(),
        }
    }

    /// A bundle in which the generation is accepted.
    fn accepted() -> (tempfile::TempDir, Hash) {
        let (dir, hash) = (tempfile::tempdir().unwrap(), hash("a = 1"));
        fs::create_dir(dir.path().join(REVIEWS)).unwrap();
        fs::write(dir.path().join(file(&hash)), acceptance(&hash).to_text().unwrap()).unwrap();
        snapshot::write(&dir.path().join("snapshots/sea/up.snap"), &Front::default(), "> client").unwrap();
        (dir, hash)
    }

    fn why(root: &Path, hash: &Hash) -> String {
        match standing(root, hash) {
            Standing::Waiting(why) => why,
            Standing::Accepted(acceptance) => panic!("{acceptance:?}"),
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let record = acceptance(&hash("a = 1"));
        let text = record.to_text().unwrap();
        assert!(text.contains("\naccepted_at = 2026-03-01T12:00:00Z\n"), "{text}");
        assert!(text.contains("\n[snapshots]\n\"sea/up\" = \""), "{text}");
        assert_eq!(Acceptance::parse(&text).unwrap(), record);
    }

    #[test]
    fn an_accepted_generation_stands_with_snapshots_that_came_later() {
        let (dir, hash) = accepted();
        snapshot::write(&dir.path().join("snapshots/later.snap"), &Front::default(), "x").unwrap();
        assert_eq!(standing(dir.path(), &hash), Standing::Accepted(acceptance(&hash)));
    }

    #[test]
    fn another_generation_waits() {
        let (dir, known) = accepted();
        let other = hash("a = 2");
        assert_eq!(why(dir.path(), &other), "it was not reviewed yet");
        fs::copy(dir.path().join(file(&known)), dir.path().join(file(&other))).unwrap();
        assert!(why(dir.path(), &other).ends_with("is for another generation"));
    }

    #[test]
    fn a_changed_or_missing_snapshot_is_told_by_name() {
        let (dir, hash) = accepted();
        let snap = dir.path().join("snapshots/sea/up.snap");
        snapshot::write(&snap, &Front::default(), "> client\nidentity: mallory").unwrap();
        assert!(why(dir.path(), &hash).ends_with("with other snapshots: `sea/up` was changed"));
        fs::remove_file(snap).unwrap();
        assert!(why(dir.path(), &hash).ends_with("with other snapshots: `sea/up` is gone"));
    }

    #[test]
    fn a_record_that_is_no_record_accepts_nothing() {
        let (dir, hash) = accepted();
        for text in ["", "generation = 1\n", "<<<<<<< ours\n"] {
            fs::write(dir.path().join(file(&hash)), text).unwrap();
            assert!(why(dir.path(), &hash).contains("is no acceptance: "), "{text}");
        }
        let outside = acceptance(&hash).to_text().unwrap().replace("sea/up", "../../sea/up");
        fs::write(dir.path().join(file(&hash)), outside).unwrap();
        assert!(why(dir.path(), &hash).contains("`../../sea/up` is gone"));
    }
}
