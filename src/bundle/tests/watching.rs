//! Saves of every kind on real files: each is yielded exactly once, with its last content.

use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::super::{Bundle, Change, Mode, SETTLE, Watcher, read};
use super::{put, sample};

/// A watched bundle whose first state was skipped.
struct Gate {
    folder: TempDir,
    root: PathBuf,
    watcher: Watcher,
}

impl Gate {
    fn new() -> Self {
        Self::at(sample(), "policies")
    }

    fn at(folder: TempDir, root: &str) -> Self {
        let root = folder.path().join(root);
        let known = Arc::new(read(&root).unwrap());
        let watcher = Watcher::start(&root, SETTLE).skip(known);
        Self { folder, root, watcher }
    }

    async fn next(&mut self) -> Arc<Bundle> {
        timeout(Duration::from_secs(4), self.watcher.changed())
            .await
            .expect("the save is not noticed by its events")
            .unwrap()
    }

    async fn is_quiet(&mut self) {
        // paced: only waiting shows that nothing more is yielded; three times the settling time.
        let more = timeout(SETTLE * 3, self.watcher.changed()).await;
        assert!(more.is_err(), "yielded again: {more:?}");
    }

    /// Exactly one bundle comes, and `a.lua` holds `text` in it.
    async fn yields_once(&mut self, text: &str) {
        let bundle = self.next().await;
        assert_eq!(bundle.files.get("a.lua").map(String::as_str), Some(text));
        self.is_quiet().await;
    }
}

fn replace(root: &Path, name: &str, text: &str) {
    put(root, "a.tmp", text);
    fs::rename(root.join("a.tmp"), root.join(name)).unwrap();
}

#[tokio::test]
async fn the_present_state_is_yielded_first() {
    let folder = sample();
    let root = folder.path().join("policies");
    let mut watcher = Watcher::start(&root, SETTLE);
    assert_eq!(*watcher.changed().await.unwrap(), read(&root).unwrap());
}

#[tokio::test]
async fn a_write_in_place_is_yielded_once() {
    let mut gate = Gate::new();
    for text in ["return 10", "return 11"] {
        put(&gate.root, "a.lua", text);
        gate.yields_once(text).await;
    }
}

#[tokio::test]
async fn each_of_several_saves_by_rename_is_yielded_once() {
    let mut gate = Gate::new();
    for text in ["return 10", "return 11", "return 12"] {
        replace(&gate.root, "a.lua", text);
        gate.yields_once(text).await;
    }
}

#[tokio::test]
async fn a_save_with_a_backup_like_vim_is_yielded_once() {
    let mut gate = Gate::new();
    for text in ["return 10", "return 11"] {
        put(&gate.root, "4913", "");
        fs::remove_file(gate.root.join("4913")).unwrap();
        fs::rename(gate.root.join("a.lua"), gate.root.join("a.lua~")).unwrap();
        put(&gate.root, "a.lua", text);
        fs::remove_file(gate.root.join("a.lua~")).unwrap();
        gate.yields_once(text).await;
    }
}

#[tokio::test]
async fn a_file_truncated_first_and_written_later_is_yielded_once() {
    let mut gate = Gate::new();
    let mut file = File::create(gate.root.join("a.lua")).unwrap();
    // paced: the editor writes after the settling time is over; the empty file must not be taken.
    let early = timeout(SETTLE + Duration::from_millis(20), gate.watcher.changed()).await;
    assert!(early.is_err(), "an empty file is not a change yet: {early:?}");
    file.write_all(b"return 10").unwrap();
    gate.yields_once("return 10").await;
}

#[tokio::test]
async fn a_checkout_with_an_older_time_is_yielded_once() {
    let mut gate = Gate::new();
    put(&gate.root, "a.tmp", "return 10");
    let old = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24));
    File::open(gate.root.join("a.tmp")).unwrap().set_times(old).unwrap();
    fs::remove_file(gate.root.join("a.lua")).unwrap();
    fs::rename(gate.root.join("a.tmp"), gate.root.join("a.lua")).unwrap();
    gate.yields_once("return 10").await;
}

/// Lays a bundle out as a `ConfigMap` volume does: files are links through `..data` to a folder with a date.
fn swap_config_map(root: &Path, version: &str, text: &str) {
    put(root, &format!("..{version}/tidegate.toml"), "go_live = \"on-save\"\n");
    put(root, &format!("..{version}/a.lua"), text);
    symlink(format!("..{version}"), root.join("..data_tmp")).unwrap();
    let old = fs::read_link(root.join("..data"));
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    if let Ok(old) = old {
        fs::remove_dir_all(root.join(old)).unwrap();
    }
}

#[tokio::test]
async fn every_swap_of_a_config_map_is_yielded_once() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("map");
    fs::create_dir(&root).unwrap();
    swap_config_map(&root, "1", "return 1");
    for name in ["tidegate.toml", "a.lua"] {
        symlink(format!("..data/{name}"), root.join(name)).unwrap();
    }
    let mut gate = Gate::at(folder, "map");
    for (version, text) in [("2", "return 10"), ("3", "return 11")] {
        swap_config_map(&gate.root, version, text);
        gate.yields_once(text).await;
    }
}

#[tokio::test]
async fn every_swap_of_a_linked_root_is_yielded_once() {
    let folder = sample();
    for (release, text) in [("r1", "return 1"), ("r2", "return 10"), ("r3", "return 11")] {
        put(folder.path(), &format!("{release}/tidegate.toml"), "go_live = \"on-save\"\n");
        put(folder.path(), &format!("{release}/a.lua"), text);
    }
    symlink("r1", folder.path().join("live")).unwrap();
    let mut gate = Gate::at(folder, "live");
    for (release, text) in [("r2", "return 10"), ("r3", "return 11")] {
        symlink(release, gate.folder.path().join("next")).unwrap();
        fs::rename(gate.folder.path().join("next"), gate.folder.path().join("live")).unwrap();
        gate.yields_once(text).await;
    }
    put(&gate.folder.path().join("r3"), "a.lua", "return 12");
    gate.yields_once("return 12").await;
}

#[tokio::test]
async fn a_new_file_in_a_new_folder_is_yielded_once_and_watched() {
    let mut gate = Gate::new();
    for text in ["return 3", "return 4"] {
        put(&gate.root, "new/deep/c.lua", text);
        assert_eq!(gate.next().await.files.get("new/deep/c.lua").map(String::as_str), Some(text));
        gate.is_quiet().await;
    }
}

#[tokio::test]
async fn a_renamed_folder_is_yielded_once_and_watched() {
    let mut gate = Gate::new();
    fs::rename(gate.root.join("lib"), gate.root.join("library")).unwrap();
    let names: Vec<_> = gate.next().await.files.keys().cloned().collect();
    assert_eq!(names, ["a.lua", "library/b.luau"]);
    gate.is_quiet().await;
    put(&gate.root, "library/b.luau", "return 20");
    assert_eq!(gate.next().await.files["library/b.luau"], "return 20");
}

#[tokio::test]
async fn a_root_replaced_by_another_folder_is_yielded_once_and_watched() {
    let mut gate = Gate::new();
    for text in ["return 10", "return 11"] {
        put(gate.folder.path(), "next/tidegate.toml", "go_live = \"on-save\"\n");
        put(gate.folder.path(), "next/a.lua", text);
        fs::remove_dir_all(&gate.root).unwrap();
        fs::rename(gate.folder.path().join("next"), &gate.root).unwrap();
        gate.yields_once(text).await;
    }
    put(&gate.root, "a.lua", "return 12");
    gate.yields_once("return 12").await;
}

#[tokio::test]
async fn ten_thousand_events_are_yielded_once() {
    let mut gate = Gate::new();
    for number in 0..5000 {
        fs::write(gate.root.join(format!("n{number}.tmp")), "x").unwrap();
        fs::remove_file(gate.root.join(format!("n{number}.tmp"))).unwrap();
    }
    put(&gate.root, "a.lua", "return 10");
    gate.yields_once("return 10").await;
}

#[tokio::test]
async fn a_deleted_policy_is_yielded_once() {
    let mut gate = Gate::new();
    fs::remove_file(gate.root.join("a.lua")).unwrap();
    assert!(!gate.next().await.files.contains_key("a.lua"));
    gate.is_quiet().await;
}

#[tokio::test]
async fn deleted_settings_are_an_error_once_and_their_return_is_noticed() {
    let mut gate = Gate::new();
    fs::remove_file(gate.root.join("tidegate.toml")).unwrap();
    let faults = timeout(Duration::from_secs(4), gate.watcher.changed()).await.unwrap().unwrap_err();
    assert_eq!(faults[0].file, "tidegate.toml");
    gate.is_quiet().await;
    put(&gate.root, "tidegate.toml", "go_live = \"on-save\"\n");
    gate.yields_once("return 1").await;
}

#[tokio::test]
async fn a_save_that_changes_nothing_is_not_yielded() {
    let mut gate = Gate::new();
    put(&gate.root, "a.lua", "return 1");
    put(gate.folder.path(), "neighbour.lua", "return 9");
    put(&gate.root, "notes.txt", "x");
    gate.is_quiet().await;
}

#[tokio::test]
async fn a_burst_of_saves_is_few_states_and_the_last_one_comes_last() {
    let mut gate = Gate::new();
    let root = gate.root.clone();
    let writer = tokio::task::spawn_blocking(move || {
        for number in 0..200 {
            replace(&root, "a.lua", &format!("return {number}"));
            std::thread::sleep(Duration::from_millis(5)); // paced: two hundred saves in a second, as some tools do
        }
    });
    let mut yields = 0;
    loop {
        yields += 1;
        if gate.next().await.files["a.lua"] == "return 199" {
            break;
        }
    }
    writer.await.unwrap();
    assert!(yields <= 5, "{yields} states for one burst");
    gate.is_quiet().await;
}

#[tokio::test]
async fn a_save_is_yielded_within_150_ms() {
    let mut gate = Gate::new();
    let mut quickest = Duration::MAX;
    for number in 0..3 {
        let saved = Instant::now();
        replace(&gate.root, "a.lua", &format!("return {number}0"));
        gate.next().await;
        quickest = quickest.min(saved.elapsed());
    }
    assert!(quickest < Duration::from_millis(150), "{quickest:?}");
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_no_save() {
    let mut gate = Gate::new();
    put(&gate.root, "a.lua", "return 10");
    for _ in 0..20 {
        // paced: the wait is dropped in the middle of settling, again and again.
        if let Ok(bundle) = timeout(Duration::from_millis(7), gate.watcher.changed()).await {
            assert_eq!(bundle.unwrap().files["a.lua"], "return 10");
            return;
        }
    }
    gate.yields_once("return 10").await;
}

#[tokio::test]
async fn a_machine_without_watches_is_polled_and_says_so() {
    let folder = sample();
    let root = folder.path().join("policies");
    let full = Box::new(|_| Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
    let watcher = Watcher::with(&root, SETTLE, full).skip(Arc::new(read(&root).unwrap()));
    let mut gate = Gate { folder, root, watcher };
    assert!(matches!(gate.watcher.mode(), Mode::Polling(reason) if reason.contains("limit")));
    put(&gate.root, "a.lua", "return 10");
    gate.yields_once("return 10").await;
}

#[tokio::test]
async fn an_acceptance_is_noticed_and_changes_no_bundle() {
    let mut gate = Gate::new();
    let known = read(&gate.root).unwrap();
    // The first look only learns what is there.
    assert!(timeout(SETTLE * 3, gate.watcher.stirred()).await.is_err());
    let root = gate.root.clone();
    for (name, text) in
        [("reviews/one.toml", "a"), ("snapshots/p/case.snap", "b"), ("snapshots/p/case.snap", "changed")]
    {
        put(&root, name, text);
        let change = timeout(Duration::from_secs(4), gate.watcher.stirred()).await.expect("not noticed by its events");
        assert!(matches!(change, Change::Reviews), "{name}: {change:?}");
        gate.is_quiet().await;
    }
    fs::remove_file(root.join("reviews/one.toml")).unwrap();
    let change = timeout(Duration::from_secs(4), gate.watcher.stirred()).await.expect("not noticed by its events");
    assert!(matches!(change, Change::Reviews));
    assert_eq!(read(&root).unwrap(), known);
    replace(&root, "a.lua", "return 2\n");
    gate.yields_once("return 2\n").await;
}
