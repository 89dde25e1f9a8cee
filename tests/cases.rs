//! Every case in `tests/cases` against its snapshot in `snapshots`, so that a changed line of a policy, or of the gate,
//! shows as a difference that `cargo insta review` can accept.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use tidegate::bundle;
use tidegate::case::{self, Case, review, splits};
use tidegate::fault::Fault;

/// Where cases are kept.
const CASES: &str = "tests/cases";

#[test]
fn every_case_does_what_its_snapshot_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = review::find(&root.join(CASES), None).unwrap();
    assert!(found.len() >= 45, "only {} cases were found", found.len());
    let mut failed = Vec::new();
    for (folder, cases) in by_bundle(root, found) {
        let bundle = bundle::read(&folder).unwrap();
        let (names, cases): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        for (name, played) in names.into_iter().zip(case::play_all(&bundle, &cases)) {
            let compared = panic::catch_unwind(AssertUnwindSafe(|| {
                let played = played.unwrap();
                compare(&name, &played.case.about, &case::render(&played));
            }));
            if compared.is_err() {
                failed.push(name);
            }
        }
    }
    assert!(failed.is_empty(), "{} cases differ from their snapshots: {failed:?}", failed.len());
}

/// Cuts and mishaps for each stream: enough to meet every event. `tidegate test --splits` cuts at every byte.
const PLACES: usize = 24;

#[test]
fn no_case_depends_on_where_a_stream_is_cut_or_breaks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = review::find(&root.join(CASES), None).unwrap();
    let mut streaming = 0;
    for (folder, cases) in by_bundle(root, found) {
        let cases: Vec<Case> = cases.into_iter().map(|(_, case)| case).collect();
        let splits = splits::prove(&bundle::read(&folder).unwrap(), &cases, PLACES, &|_, _| {});
        assert!(splits.hold(), "{}", splits.to_text());
        streaming += splits.cases;
    }
    assert!(streaming >= 25, "only {streaming} cases stream");
}

/// The cases, by the bundle that they are played on.
fn by_bundle(root: &Path, found: Vec<(String, Result<Case, Vec<Fault>>)>) -> BTreeMap<PathBuf, Vec<(String, Case)>> {
    let mut by_bundle: BTreeMap<PathBuf, Vec<(String, Case)>> = BTreeMap::new();
    for (name, case) in found {
        by_bundle.entry(bundle_of(root, &name)).or_default().push((name, case.unwrap()));
    }
    by_bundle
}

/// The bundle that a case is played on: its own folder's where that has settings, else the shipped one.
fn bundle_of(root: &Path, name: &str) -> PathBuf {
    let folder = name.split_once('/').map_or("", |(folder, _)| folder);
    let own = root.join(CASES).join(folder);
    if own.join("tidegate.toml").exists() { own } else { root.join("policies") }
}

/// Asserts through insta, which writes what is new beside the snapshot for `cargo insta review`.
fn compare(name: &str, about: &str, text: &str) {
    let (folder, stem) = name.rsplit_once('/').unwrap_or(("", name));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new("../snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_description(about);
    settings.set_input_file(format!("{CASES}/{name}.http"));
    settings.bind(|| insta::assert_snapshot!(stem, text));
}

#[test]
fn every_snapshot_has_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let snapshots = review::names(&root.join("snapshots"), ".snap").unwrap();
    let strays: Vec<_> =
        snapshots.iter().filter(|name| !root.join(CASES).join(format!("{name}.http")).exists()).collect();
    assert!(strays.is_empty(), "snapshots without a case: {strays:?}");
}
