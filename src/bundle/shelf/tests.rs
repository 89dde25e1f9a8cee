use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn bundle(root: &Path, word: &str) -> Arc<Bundle> {
    let files = BTreeMap::from([("p.lua".to_owned(), format!("-- {word}\n"))]);
    Arc::new(Bundle::new(root.to_owned(), "x = 1\n".to_owned(), files))
}

fn file_of(root: &Path, hash: Hash) -> PathBuf {
    root.join(ROOM).join(GENERATIONS).join(format!("{}.json", hash.full()))
}

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (bundle(folder.path(), "one"), bundle(folder.path(), "two"));
    let mut shelf = Shelf::open(folder.path());
    shelf.go_live(&one, Some("ann"), None);
    shelf.save(&two);
    let again = Shelf::open(folder.path());
    assert_eq!(again.refused(), [] as [String; 0]);
    let kept: Vec<Hash> = again.kept().iter().map(|shelved| shelved.bundle.hash).collect();
    assert_eq!(kept, [two.hash, one.hash], "the newest first");
    let first = again.get(&one.hash).unwrap();
    assert_eq!((first.bundle.as_ref(), first.accepted_by.as_deref()), (one.as_ref(), Some("ann")));
    assert!(first.live_at.is_some() && again.get(&two.hash).unwrap().live_at.is_none());
    assert_eq!(again.pointer(), Some(&Pointer { generation: one.hash, before: None, over: None }));
}

#[test]
fn files_are_the_owners_alone() {
    let folder = TempDir::new().unwrap();
    let one = bundle(folder.path(), "one");
    let mut shelf = Shelf::open(folder.path());
    shelf.go_live(&one, None, None);
    shelf.key().unwrap();
    let room = folder.path().join(ROOM);
    for path in [file_of(folder.path(), one.hash), room.join(LIVE), room.join(KEY)] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_file_that_was_tampered_with_is_not_loaded_and_told() {
    let folder = TempDir::new().unwrap();
    let (one, two, three) =
        (bundle(folder.path(), "one"), bundle(folder.path(), "two"), bundle(folder.path(), "three"));
    let mut shelf = Shelf::open(folder.path());
    for bundle in [&one, &two, &three] {
        shelf.save(bundle);
    }
    let tampered = fs::read_to_string(file_of(folder.path(), one.hash)).unwrap().replace("-- one", "-- won");
    fs::write(file_of(folder.path(), one.hash), tampered).unwrap();
    fs::write(file_of(folder.path(), two.hash), "{\"sav").unwrap();
    fs::write(folder.path().join(ROOM).join(LIVE), "nonsense").unwrap();
    let again = Shelf::open(folder.path());
    assert_eq!(again.kept().len(), 1);
    assert!(again.get(&three.hash).is_some() && again.pointer().is_none());
    let told = again.refused().join("\n");
    assert!(told.contains(&one.hash.full()) && told.contains("not what the name says"), "{told}");
    assert!(told.contains(&two.hash.full()) && told.contains(".tidegate/live"), "{told}");
}

#[test]
fn only_the_newest_are_kept_and_never_what_serves_or_served_goes() {
    let folder = TempDir::new().unwrap();
    let all: Vec<_> = (0..6).map(|number| bundle(folder.path(), &number.to_string())).collect();
    let mut shelf = Shelf::open(folder.path());
    shelf.go_live(&all[0], None, None);
    shelf.go_live(&all[1], None, None);
    for bundle in &all[2..] {
        shelf.save(bundle);
    }
    shelf.prune(1, &[all[3].hash]);
    let left: Vec<bool> = all.iter().map(|bundle| Shelf::open(folder.path()).get(&bundle.hash).is_some()).collect();
    assert_eq!(left, [true, true, false, true, false, true]);
}

#[test]
fn the_one_before_is_known_after_going_back_and_forth() {
    let folder = TempDir::new().unwrap();
    let (one, two) = (bundle(folder.path(), "one"), bundle(folder.path(), "two"));
    let mut shelf = Shelf::open(folder.path());
    shelf.go_live(&one, None, None);
    shelf.go_live(&two, None, None);
    shelf.go_live(&one, None, Some(two.hash));
    let pointer = Shelf::open(folder.path()).pointer().cloned().unwrap();
    assert_eq!(pointer, Pointer { generation: one.hash, before: Some(two.hash), over: Some(two.hash) });
    shelf.forget_over();
    assert_eq!(Shelf::open(folder.path()).pointer().unwrap().over, None);
}

#[test]
fn a_generation_is_found_by_its_first_digits() {
    let folder = TempDir::new().unwrap();
    let one = bundle(folder.path(), "one");
    let mut shelf = Shelf::open(folder.path());
    shelf.save(&one);
    assert_eq!(shelf.find(&one.hash.full()[..4].to_uppercase()), Ok(one.hash));
    assert_eq!(shelf.find(&one.hash.to_string()), Ok(one.hash));
    assert!(shelf.find(&one.hash.full()[..3]).unwrap_err().contains("at least 4 digits"));
    assert!(shelf.find("../x").unwrap_err().contains("is no generation"));
    let other = if one.hash.full().starts_with("0000") { "1111" } else { "0000" };
    assert!(shelf.find(other).unwrap_err().contains("no generation 0000 is kept") || other == "1111");
}

#[test]
fn a_folder_that_cannot_be_written_is_done_without() {
    let folder = TempDir::new().unwrap();
    // A file stands where the folder would be: this holds for every user, the almighty too.
    fs::write(folder.path().join(ROOM), "").unwrap();
    let (one, two) = (bundle(folder.path(), "one"), bundle(folder.path(), "two"));
    let mut shelf = Shelf::open(folder.path());
    shelf.go_live(&one, None, None);
    shelf.go_live(&two, None, None);
    assert!(shelf.unwritten().unwrap().contains(ROOM));
    assert_eq!(shelf.pointer().unwrap().before, Some(one.hash));
    assert_eq!(shelf.kept().len(), 2, "in memory");
    shelf.key().unwrap();
}

#[test]
fn a_half_written_file_is_no_generation() {
    let folder = TempDir::new().unwrap();
    let one = bundle(folder.path(), "one");
    Shelf::open(folder.path()).save(&one);
    let left = file_of(folder.path(), one.hash).with_file_name(".x.json.1.0.tmp");
    fs::write(&left, "{").unwrap();
    let shelf = Shelf::open(folder.path());
    assert_eq!((shelf.kept().len(), shelf.refused().len()), (1, 0));
    assert!(left.exists(), "another gate may be writing it");
}

#[test]
fn the_key_stays_the_same_over_a_restart() {
    let folder = TempDir::new().unwrap();
    let first = Shelf::open(folder.path()).key().unwrap();
    assert_eq!(Shelf::open(folder.path()).key().unwrap(), first);
    assert_ne!(Shelf::open(TempDir::new().unwrap().path()).key().unwrap(), first);
}
