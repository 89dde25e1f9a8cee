//! Comparing: insta's file format, and what a bundle's owner is told.

use std::fs;
use std::path::Path;

use super::super::review::{Outcome, TestOptions, test_bundle};
use super::super::snapshot::{self, Front};
use super::SETTINGS;

const CASE: &str = "# It is \"up\": yes.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\nok\n";

/// A bundle on disk with one case.
fn on_disk() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("cases/sea")).unwrap();
    fs::write(dir.path().join("tidegate.toml"), SETTINGS).unwrap();
    fs::write(dir.path().join("cases/sea/up.http"), CASE).unwrap();
    dir
}

fn outcome(dir: &Path, update: bool) -> Outcome {
    let options = TestOptions { filter: None, update };
    let mut report = test_bundle(dir, &options).unwrap();
    assert_eq!(report.results.len(), 1);
    report.results.remove(0).1
}

#[test]
fn a_missing_snapshot_is_new_until_it_is_written() {
    let dir = on_disk();
    assert!(matches!(outcome(dir.path(), false), Outcome::New(_)));
    assert_eq!(outcome(dir.path(), true), Outcome::Written);
    assert_eq!(outcome(dir.path(), false), Outcome::Same);
}

#[test]
fn a_change_shows_as_a_difference_of_lines() {
    let dir = on_disk();
    outcome(dir.path(), true);
    fs::write(dir.path().join("cases/sea/up.http"), CASE.replace("\nok\n", "\nfine\n")).unwrap();
    let Outcome::Differs(difference) = outcome(dir.path(), false) else {
        panic!("no difference");
    };
    assert!(difference.contains("\n-    ok\n+    fine\n"), "{difference}");
}

#[test]
fn a_case_with_mistakes_fails_and_the_others_are_played() {
    let dir = on_disk();
    fs::write(dir.path().join("cases/broken.http"), "no case\n").unwrap();
    let report = test_bundle(dir.path(), &TestOptions { filter: None, update: true }).unwrap();
    assert_eq!((report.passed(), report.failed()), (1, 1));
    let text = report.to_text();
    assert!(text.contains("cases/broken.http:1:1: a case begins with"), "{text}");
    assert!(text.ends_with("1 passed, 1 failed\n"), "{text}");
}

#[test]
fn a_snapshot_without_a_case_fails_unless_cases_are_chosen() {
    let dir = on_disk();
    outcome(dir.path(), true);
    fs::rename(dir.path().join("cases/sea/up.http"), dir.path().join("cases/sea/down.http")).unwrap();
    let all = test_bundle(dir.path(), &TestOptions { filter: None, update: true }).unwrap();
    assert!(all.results.contains(&("sea/up".to_owned(), Outcome::Stray)));
    let chosen = TestOptions { filter: Some("down".to_owned()), update: false };
    assert_eq!(test_bundle(dir.path(), &chosen).unwrap().failed(), 0);
}

#[test]
fn a_test_of_nothing_does_not_pass() {
    let dir = on_disk();
    let options = TestOptions { filter: Some("nowhere".to_owned()), update: false };
    let faults = test_bundle(dir.path(), &options).unwrap_err();
    assert_eq!(faults[0].to_string(), "cases/: no case's name contains `nowhere`");
}

#[test]
fn the_report_for_programs_is_one_object() {
    let dir = on_disk();
    let report = test_bundle(dir.path(), &TestOptions { filter: None, update: true }).unwrap();
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!((&json["passed"], &json["cases"][0]["name"]), (&1.into(), &"sea/up".into()));
}

#[test]
fn a_snapshot_is_read_by_insta_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/a.snap");
    let front = Front {
        source: Some("cases/a.http".to_owned()),
        description: Some("It is \"up\": \u{e9}, # yes.".to_owned()),
        input_file: Some("cases/a.http".to_owned()),
    };
    snapshot::write(&path, &front, "> client\n---\n    a\n\n").unwrap();
    let insta = insta::Snapshot::from_file(&path).unwrap();
    assert_eq!(insta.metadata().description(), front.description.as_deref());
    assert_eq!(insta.metadata().input_file(), front.input_file.as_deref());
    assert_eq!(insta.as_text().unwrap().to_string(), "> client\n---\n    a");
    let (read, text) = snapshot::read(&path).unwrap().unwrap();
    assert_eq!((read, text.as_str()), (front, "> client\n---\n    a"));
}
