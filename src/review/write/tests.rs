//! Whatever step is the last one, the bundle is left as it was or comes to its end; two people do not meet.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::journal::{self, Journal, Step};
use super::{FOLDER, Order, Refused, Written, accept, recover};
use crate::case::snapshot::{self, Front};
use crate::review::acceptance::{Standing, standing};
use crate::review::look::Look;

const SETTINGS: &str = "[upstreams.sea]\nurl = \"http://127.0.0.1:1\"\n";

/// A bundle whose acceptance writes one snapshot anew, writes one that is missing and removes one.
fn changed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["sea/differs", "sea/new", "same"] {
        let path = dir.path().join(format!("cases/{name}.http"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "# It is up.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\nok\n").unwrap();
    }
    fs::write(dir.path().join("tidegate.toml"), SETTINGS).unwrap();
    let all = BTreeSet::from(["sea/differs", "sea/new", "same"].map(str::to_owned));
    accept_as(&look(dir.path()), &all, "Grace").unwrap();
    fs::write(dir.path().join("tidegate.toml"), format!("{SETTINGS}\n[forwarding]\nvia = false\n")).unwrap();
    fs::remove_file(dir.path().join("snapshots/sea/new.snap")).unwrap();
    snapshot::write(&dir.path().join("snapshots/gone.snap"), &Front::default(), "> client").unwrap();
    dir
}

fn look(root: &Path) -> Look {
    Look::at(root, &mut |_, _| {}).unwrap()
}

fn all(look: &Look) -> BTreeSet<String> {
    look.differing().map(|case| case.name.clone()).collect()
}

fn accept_as(look: &Look, accepted: &BTreeSet<String>, by: &str) -> Result<Written, Refused> {
    accept(&Order { look, accepted, by, live: true })
}

/// The steps that accepting everything takes.
fn steps(look: &Look) -> Vec<Step> {
    let order = Order { look, accepted: &all(look), by: "Ada", live: true };
    let (journal, _) = order.journal("2026-03-01T12:00:00Z".parse().unwrap()).unwrap();
    journal.steps()
}

/// Every file of the bundle but the lock.
fn files(root: &Path) -> BTreeMap<String, String> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name != ".tidegate/lock" {
                files.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn after_every_step_the_old_state_or_the_new_one_is_found() {
    let reference = changed();
    let old = files(reference.path());
    let count = steps(&look(reference.path())).len();
    let mut decided = 0;
    for taken in 0..=count {
        let dir = changed();
        let look = look(dir.path());
        let steps = steps(&look);
        for step in steps.iter().take(taken) {
            step.take(dir.path()).unwrap();
        }
        let hash = look.sight.bundle.hash;
        let accepted = |standing: &Standing| matches!(standing, Standing::Accepted(_));
        let before = standing(dir.path(), &hash);
        recover(dir.path()).unwrap();
        let after = standing(dir.path(), &hash);
        assert!(!accepted(&before) || accepted(&after), "step {taken}: {before}, then {after}");
        let is_decided = steps.iter().take(taken).any(|step| *step == Step::Decide);
        decided += usize::from(is_decided);
        assert_eq!(accepted(&after), is_decided, "step {taken}: {after}");
        let found = files(dir.path());
        if is_decided {
            assert!(found.contains_key("snapshots/sea/new.snap") && !found.contains_key("snapshots/gone.snap"));
            assert_eq!(self::look(dir.path()).differing().count(), 0);
        } else {
            let without_times = |files: &BTreeMap<String, String>| {
                files
                    .iter()
                    .filter(|(name, _)| !name.starts_with("reviews/"))
                    .map(|(name, text)| (name.clone(), text.clone()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(without_times(&found), without_times(&old), "step {taken}");
        }
        recover(dir.path()).unwrap();
        assert_eq!(files(dir.path()), found, "step {taken}: doing it again changed something");
    }
    assert!(decided > 5 && decided < count, "{decided} of {count}");
}

#[test]
fn a_recovery_that_is_cut_short_is_finished_by_the_next() {
    let dir = changed();
    let seen = look(dir.path());
    let taken = steps(&seen);
    let until = taken.iter().position(|step| *step == Step::Decide).unwrap();
    for step in &taken[..=until] {
        step.take(dir.path()).unwrap();
    }
    let rest = journal::remaining(dir.path()).unwrap().len();
    for cut in 0..rest {
        let remaining = journal::remaining(dir.path()).unwrap();
        for step in remaining.iter().take(cut) {
            step.take(dir.path()).unwrap();
        }
    }
    recover(dir.path()).unwrap();
    assert!(matches!(standing(dir.path(), &seen.sight.bundle.hash), Standing::Accepted(_)));
    assert!(!journal::is_left(dir.path()));
}

#[test]
fn what_was_looked_at_must_still_be_there() {
    let dir = changed();
    let (first, second) = (look(dir.path()), look(dir.path()));
    accept_as(&first, &all(&first), "Ada").unwrap();
    let refused = accept_as(&second, &all(&second), "Grace").unwrap_err().to_string();
    let hash = second.sight.bundle.hash;
    assert_eq!(refused, format!("{hash} was accepted by Ada meanwhile; run review again"));

    let third = look(dir.path());
    fs::write(dir.path().join("cases/same.http"), "# Other.\n> client\nGET /b HTTP/1.1\n").unwrap();
    let refused = accept_as(&third, &all(&third), "Ada").unwrap_err().to_string();
    assert_eq!(refused, "the case `same` was changed meanwhile; run review again");

    fs::write(dir.path().join("tidegate.toml"), SETTINGS).unwrap();
    let refused = accept_as(&third, &all(&third), "Ada").unwrap_err().to_string();
    assert!(refused.starts_with("the bundle was changed meanwhile ("), "{refused}");
}

#[test]
fn a_part_is_written_without_a_record() {
    let dir = changed();
    let seen = look(dir.path());
    let written = accept_as(&seen, &BTreeSet::from(["sea/new".to_owned()]), "Ada").unwrap();
    assert_eq!(written, Written { snapshots: 1, acceptance: None });
    assert!(matches!(standing(dir.path(), &seen.sight.bundle.hash), Standing::Waiting(_)));
    let rest = look(dir.path());
    assert!(!all(&rest).contains("sea/new"));
    let written = accept_as(&rest, &all(&rest), "Ada").unwrap();
    let acceptance = written.acceptance.unwrap();
    assert_eq!((acceptance.snapshots.len(), acceptance.accepted_by.as_str()), (3, "Ada"));
}

#[test]
fn a_plan_that_no_review_wrote_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let decided = dir.path().join(FOLDER).join("accepting");
    fs::create_dir_all(&decided).unwrap();
    for path in ["../outside", "tidegate.toml", "snapshots/../../outside", "/etc/outside"] {
        fs::write(decided.join("plan.json"), format!("[{{\"put\":[0,\"{path}\"]}}]")).unwrap();
        fs::write(decided.join("0"), "x").unwrap();
        let error = recover(dir.path()).unwrap_err().to_string();
        assert!(error.contains("which no review writes"), "{error}");
    }
}

#[test]
fn nothing_to_do_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    recover(dir.path()).unwrap();
    assert!(!dir.path().join(FOLDER).exists());
    assert!(Journal::default().steps().is_empty());
}
