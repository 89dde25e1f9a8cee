use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::tests::{entry, key, until};
use super::*;

fn open(folder: &TempDir, most: u64, clock: Clock) -> Disk {
    let disk = Disk::open(&folder.path().join("cache"), most, clock, Arc::default()).unwrap();
    until("all is found", || disk.show()["found_all"] == true);
    disk
}

fn stored(clock: Clock, part: &str, size: usize) -> Arc<Stored> {
    Arc::new(Stored { key: key(part, Some("ann")), entry: Arc::new(entry(clock, size, 60)) })
}

/// Puts answers there, and waits until they are written.
fn put(disk: &Disk, clock: Clock, parts: &[&str], size: usize) {
    let before = disk.show()["written"].as_u64().unwrap();
    for part in parts {
        disk.put(stored(clock, part, size));
    }
    let all = before + parts.len() as u64;
    until("all is written", || disk.show()["written"] == all);
}

fn answers(folder: &TempDir) -> Vec<PathBuf> {
    let below = |path: &Path| -> Vec<PathBuf> {
        fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    let mut files: Vec<PathBuf> = below(&folder.path().join("cache")).iter().flat_map(|path| below(path)).collect();
    files.sort();
    files
}

#[tokio::test]
async fn an_answer_outlives_a_restart_and_is_nobody_elses_to_read() {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::live());
    let disk = open(&folder, 1 << 20, clock);
    put(&disk, clock, &["a", "b"], 5000);
    let path = &answers(&folder)[0];
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(disk.get(&key("a", Some("ben"))).await.is_none());
    let again = Disk::open(&folder.path().join("cache"), 1 << 20, clock, Arc::default());
    assert_eq!(again.unwrap_err().to_string(), "another gate uses it");
    drop(disk);
    let disk = reopened(&folder, clock);
    assert_eq!(disk.get(&key("a", Some("ann"))).await.unwrap().body().len(), 5000);
    assert_eq!((&disk.show()["entries"], &disk.show()["bytes"]), (&2.into(), &16384.into()));
}

/// Opens it again, once the thread that wrote has seen that it is closed.
fn reopened(folder: &TempDir, clock: Clock) -> Disk {
    let path = folder.path().join("cache");
    let opened = Mutex::new(None);
    until("the other is closed", || {
        *opened.lock() = Disk::open(&path, 1 << 20, clock, Arc::default()).ok();
        opened.lock().is_some()
    });
    let disk = opened.into_inner().unwrap();
    until("all is found", || disk.show()["found_all"] == true);
    disk
}

#[tokio::test]
async fn what_was_torn_is_a_miss_that_is_counted_and_removed() {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::live());
    let disk = open(&folder, 1 << 20, clock);
    put(&disk, clock, &["a", "b"], 5000);
    for path in answers(&folder) {
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    for part in ["a", "b"] {
        assert!(disk.get(&key(part, Some("ann"))).await.is_none());
    }
    assert_eq!((&disk.show()["corrupt"], &disk.show()["entries"]), (&2.into(), &0.into()));
    assert!(answers(&folder).is_empty());
}

#[tokio::test]
async fn what_is_larger_than_the_store_is_not_read() {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::live());
    let disk = open(&folder, 1 << 20, clock);
    put(&disk, clock, &["a"], 5000);
    fs::OpenOptions::new().write(true).open(&answers(&folder)[0]).unwrap().set_len(1 << 40).unwrap();
    assert!(disk.get(&key("a", Some("ann"))).await.is_none());
    assert_eq!((&disk.show()["corrupt"], &disk.show()["entries"]), (&1.into(), &0.into()));
}

#[tokio::test]
async fn rubbish_in_the_folder_is_swept_and_strangers_are_left_alone() {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::live());
    drop(open(&folder, 1 << 20, clock));
    let cache = folder.path().join("cache");
    fs::create_dir_all(cache.join("ab")).unwrap();
    fs::write(cache.join("ab").join("ab".repeat(32)), b"not an answer").unwrap();
    fs::write(cache.join("new-0123"), b"half an ans").unwrap();
    fs::write(cache.join("notes.txt"), b"mine").unwrap();
    let disk = reopened(&folder, clock);
    assert_eq!(disk.show()["corrupt"], 1);
    assert!(answers(&folder).is_empty() && !cache.join("new-0123").exists() && cache.join("notes.txt").exists());
}

#[tokio::test]
async fn the_longest_unused_make_room() {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::live());
    let disk = open(&folder, 4 * 8192, clock);
    put(&disk, clock, &["a", "b", "c", "d"], 5000);
    assert!(disk.get(&key("a", Some("ann"))).await.is_some());
    put(&disk, clock, &["e", "f"], 5000);
    for (part, there) in [("a", true), ("b", false), ("c", false), ("d", true), ("e", true), ("f", true)] {
        assert_eq!(disk.get(&key(part, Some("ann"))).await.is_some(), there, "{part}");
    }
    assert_eq!((&disk.show()["evicted"], answers(&folder).len()), (&2.into(), 4));
}

#[tokio::test]
async fn a_purge_removes_the_files_too() {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::live());
    let disk = open(&folder, 1 << 20, clock);
    put(&disk, clock, &["a", "b"], 100);
    assert_eq!(disk.purge(&Pick::User("ben".to_owned()), clock.wall()), 0);
    assert_eq!(disk.purge(&Pick::Key(key("a", Some("ann")).hash_hex()), clock.wall()), 1);
    assert!(disk.get(&key("a", Some("ann"))).await.is_none() && disk.get(&key("b", Some("ann"))).await.is_some());
    assert_eq!(disk.purge(&Pick::Model("m".to_owned()), clock.wall() - Duration::from_mins(1)), 0, "made since");
    assert_eq!(disk.purge(&Pick::Model("m".to_owned()), clock.wall()), 1);
    until("the files are gone", || answers(&folder).is_empty());
}

#[test]
fn what_the_queue_cannot_take_is_dropped_and_counted() {
    let (folder, clock) = (TempDir::new().unwrap(), Clock::live());
    let disk = open(&folder, 1 << 30, clock);
    let large = stored(clock, "a", 12 << 20);
    for _ in 0..20 {
        disk.put(Arc::clone(&large));
    }
    let shown = || disk.show();
    until("each is written or dropped", || {
        shown()["written"].as_u64().unwrap() + shown()["dropped"].as_u64().unwrap() == 20
    });
    assert!(shown()["dropped"].as_u64().unwrap() > 0, "{}", shown());
    assert_eq!(disk.room.waiting.load(Ordering::Relaxed), 0);
}
