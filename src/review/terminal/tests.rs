//! Keys decide about groups; an edit plays again and asks again only about what it changed.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;

use super::{Decided, Screen, Session};
use crate::review::look::Look;

/// A terminal without one: keys in a row, and everything that was said.
struct Paper {
    keys: VecDeque<char>,
    said: String,
    /// What the editor makes of the file it is given.
    text: Option<String>,
    opened: Vec<String>,
}

impl Screen for Paper {
    fn width(&self) -> usize {
        80
    }

    fn colour(&self) -> bool {
        false
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.said.push_str(text);
        Ok(())
    }

    fn key(&mut self) -> io::Result<char> {
        self.keys.pop_front().ok_or_else(|| io::Error::other("no key is left"))
    }

    fn edit(&mut self, file: &Path) -> io::Result<()> {
        self.opened.push(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        match &self.text {
            Some(text) => fs::write(file, text),
            None => Err(io::Error::other("no editor")),
        }
    }
}

const CASE: &str = "# It is up.\n> client\nGET /a HTTP/1.1\n\n< upstream sea\nHTTP/1.1 200 OK\n\nok\n";

const POLICY: &str = "return policy { api = 1, on_request = function(req) req.headers:set(\"x-user\", \"ada\") end }\n";

/// A bundle with three cases without snapshots, and a policy that all of them meet.
fn bundle() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("cases")).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(format!("cases/{name}.http")), CASE).unwrap();
    }
    fs::write(dir.path().join("user.lua"), POLICY).unwrap();
    let settings = "[upstreams.sea]\nurl = \"http://127.0.0.1:1\"\n[[policies]]\nfile = \"user.lua\"\n";
    fs::write(dir.path().join("tidegate.toml"), settings).unwrap();
    dir
}

fn look(dir: &Path) -> Look {
    Look::at(dir, &mut |_, _| {}).unwrap()
}

/// Plays these keys; the editor writes this text.
fn review(dir: &Path, keys: &str, text: Option<&str>) -> (Decided, Paper) {
    let mut paper =
        Paper { keys: keys.chars().collect(), said: String::new(), text: text.map(str::to_owned), opened: Vec::new() };
    let mut again = || Look::at(dir, &mut |_, _| {});
    let (_, decided) = Session::new(&mut paper, look(dir), None, &mut again).run().unwrap();
    assert!(paper.keys.is_empty(), "keys are left: {:?}\n{}", paper.keys, paper.said);
    (decided, paper)
}

fn accepted(decided: &Decided) -> Vec<&str> {
    decided.accepted.iter().map(String::as_str).collect()
}

#[test]
fn each_key_decides_one_group() {
    let dir = bundle();
    let (decided, paper) = review(dir.path(), "ars", None);
    assert_eq!((accepted(&decided), decided.rejected, decided.skipped), (vec!["a"], 1, 1));
    for shown in
        ["\u{2500}\u{2500} 1 of 3 ", "a: new, without a snapshot", "a: It is up.", "+     x-user: ada", "3 of 3"]
    {
        assert!(paper.said.contains(shown), "{shown} is not in\n{}", paper.said);
    }
}

#[test]
fn all_that_is_left_is_accepted_with_one_key_and_leaving_keeps_what_was_said() {
    let dir = bundle();
    assert_eq!(accepted(&review(dir.path(), "rA", None).0), ["b", "c"]);
    assert_eq!(accepted(&review(dir.path(), "aq", None).0), ["a"]);
}

#[test]
fn an_unknown_key_and_help_decide_nothing() {
    let dir = bundle();
    let (decided, paper) = review(dir.path(), "x?dq", None);
    assert_eq!((accepted(&decided).len(), decided.skipped), (0, 3));
    assert!(paper.said.contains("accept everything that is left"), "{}", paper.said);
}

#[test]
fn an_edited_case_is_played_again_and_only_it_is_asked_about() {
    let dir = bundle();
    // `b` is accepted, then opened again from `c`: only what changed is new.
    let (decided, paper) = review(dir.path(), "ae1aa", Some(&CASE.replace("/a", "/edited")));
    assert_eq!(accepted(&decided), ["a", "b", "c"]);
    assert_eq!(paper.opened, ["b.http"]);
    assert_eq!(paper.said.matches("a: It is up.").count(), 1, "{}", paper.said);
    assert!(paper.said.contains("> client: GET /edited"), "{}", paper.said);
}

#[test]
fn a_policy_with_faults_is_opened_again() {
    let dir = bundle();
    let (decided, paper) = review(dir.path(), "e2q", Some("return policy {"));
    assert_eq!((paper.opened.as_slice(), decided.skipped), (["user.lua".to_owned()].as_slice(), 3));
    assert!(paper.said.contains("  1 cases/a.http\n  2 user.lua\n"), "{}", paper.said);
    assert!(paper.said.contains("user.lua:") && paper.said.contains("e open it again"), "{}", paper.said);
}

#[test]
fn a_case_that_cannot_be_played_is_not_accepted() {
    let dir = bundle();
    fs::write(dir.path().join("cases/b.http"), "no case\n").unwrap();
    let (decided, paper) = review(dir.path(), "asaa", None);
    assert_eq!((accepted(&decided), decided.skipped), (vec!["a", "c"], 1));
    assert!(paper.said.contains("b: cannot be played\n  cases/b.http: the case has no"), "{}", paper.said);
}

#[test]
fn an_edit_that_no_case_shows_is_accepted_by_a_person_too() {
    let dir = bundle();
    fs::remove_dir_all(dir.path().join("cases")).unwrap();
    let (decided, paper) = review(dir.path(), "xa", None);
    assert!(decided.unseen);
    assert!(paper.said.contains("There is no case that could show a difference."), "{}", paper.said);
    assert!(!review(dir.path(), "q", None).0.unseen);
}
