//! The rules of this repository that no linter checks: each test is one rule, and names every place that breaks it.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without is there, or the test fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders that stand at the root; hidden ones belong to tools.
const ROOT: [&str; 10] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "policies",
    "scripts",
    "snapshots",
    "src",
    "tests",
];

/// Words that another of ours stands for, or that say nothing; each with the rooms where it is somebody else's word.
const BANNED: [(&str, &[&str]); 9] = [
    ("backend", &[]),
    ("config", &["src/edge", "src/upstream", "src/bundle/tests"]),
    ("downstream", &["src/edge"]),
    ("filter", &["src/edge", "tests/bench"]),
    ("origin", &["src/edge", "src/upstream"]),
    ("plugin", &[]),
    ("provider", &["src/edge/tls", "src/upstream"]),
    ("script", &["src/case"]),
    ("utils", &[]),
];

/// One text file of the repository.
struct Text {
    /// Its path from the root, with `/` between folders.
    path: String,
    /// What it says.
    text: String,
}

// === impl Text ===

impl Text {
    /// The lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// How many lines stand before the tests.
    fn lines_before_tests(&self) -> usize {
        self.lines()
            .find(|(_, line)| *line == "mod tests {")
            .map_or(self.text.lines().count(), |(number, _)| number - 2)
    }

    /// Whether the line with this number is part of a test.
    fn is_test(&self, number: usize) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || number > self.lines_before_tests() + 1
    }

    fn is_rust_of_the_gate(&self) -> bool {
        self.path.starts_with("src/") && has_ending(&self.path, "rs")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn has_ending(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == ending)
}

/// Every text file but those that git does not keep and the lock file, sorted.
fn texts() -> Vec<Text> {
    let mut texts = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let skipped =
                ["target", ".git", "Cargo.lock", "LICENSE"].contains(&name.as_str()) || name.ends_with(".snap.new");
            if path.is_dir() && !skipped {
                folders.push(path);
            } else if let Some(text) = (!skipped).then(|| fs::read_to_string(&path).ok()).flatten() {
                texts.push(Text { path: name, text });
            }
        }
    }
    texts.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(texts.len() > 50, "the walk misses the tree");
    texts
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
    entries.unwrap_or_default()
}

/// Fails with everything that breaks a rule.
#[track_caller]
fn none(broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// The places of lines that break a rule.
fn places(texts: &[Text], breaks: impl Fn(&Text, usize, &str) -> bool) -> Vec<String> {
    let of = |text: &Text| -> Vec<String> {
        let broken = text.lines().filter(|(number, line)| breaks(text, *number, line));
        broken.map(|(number, line)| format!("{}:{number}: {}", text.path, line.trim())).collect()
    };
    texts.iter().flat_map(of).collect()
}

#[test]
fn the_root_holds_what_the_design_names() {
    let strange = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !ROOT.contains(&name) && !name.starts_with('.') && name != "target"
    };
    none(entries(root()).into_iter().filter(strange).map(|path| path.display().to_string()));
}

#[test]
fn every_source_file_says_first_why_it_exists() {
    let silent = |text: &&Text| {
        has_ending(&text.path, "rs") && !text.path.ends_with("/tests.rs") && !text.text.starts_with("//! ")
    };
    none(texts().iter().filter(silent).map(|text| text.path.clone()));
}

#[test]
fn no_file_is_longer_than_400_lines_before_its_tests() {
    let long = |text: &&Text| text.is_rust_of_the_gate() && !text.is_test(1) && text.lines_before_tests() > 400;
    none(texts().iter().filter(long).map(|text| format!("{}: {}", text.path, text.lines_before_tests())));
}

#[test]
fn main_is_an_index_card() {
    let main = fs::read_to_string(root().join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 40, "src/main.rs has more than 40 lines");
}

#[test]
fn modules_are_files_beside_their_folders() {
    none(texts().into_iter().map(|text| text.path).filter(|path| path.ends_with("/mod.rs")));
}

#[test]
fn nothing_is_left_to_do() {
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat());
    let macros = [["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]].map(|halves| halves.concat());
    none(places(&texts(), |_, _, line| {
        let words = || line.split(|c: char| !c.is_ascii_alphanumeric());
        words().any(|word| marks.iter().any(|mark| mark == word)) || macros.iter().any(|call| line.contains(call))
    }));
}

#[test]
fn pingora_and_mlua_stay_in_their_rooms() {
    let rooms = [("pingora_", &["src/edge", "src/upstream", "src/message.rs"][..]), ("mlua::", &["src/policy"][..])];
    none(places(&texts(), |text, _, line| {
        let code = line.split("//").next().unwrap_or_default();
        text.is_rust_of_the_gate()
            && rooms
                .iter()
                .any(|(name, rooms)| code.contains(name) && !rooms.iter().any(|room| text.path.starts_with(room)))
    }));
}

#[test]
fn a_real_pause_in_a_test_says_why() {
    let pause = ["sle", "ep("].concat();
    none(places(&texts(), |text, number, line| {
        let before = number.checked_sub(2).and_then(|index| text.text.lines().nth(index)).unwrap_or_default();
        let explained = line.contains("// paced: ") || before.contains("// paced: ");
        has_ending(&text.path, "rs") && text.is_test(number) && line.contains(&pause) && !explained
    }));
}

#[test]
fn one_thing_has_one_word() {
    let texts: Vec<Text> = texts().into_iter().filter(|text| text.path != "tests/tidy.rs").collect();
    let mut broken = places(&texts, |text, _, line| {
        let said = match text.path.rsplit_once('.') {
            Some((_, "rs")) => said_in_rust(line),
            Some((_, "lua" | "luau")) => line.split_once("--").map_or_else(String::new, |(_, comment)| prose(comment)),
            Some((_, "md")) => prose(line),
            _ => return false,
        };
        banned(&text.path, &said)
    });
    broken
        .extend(texts.into_iter().map(|text| text.path).filter(|path| path.starts_with("src/") && banned(path, path)));
    none(broken);
}

/// What a line of Rust says in words of ours: its comment, and the name that it gives to something.
fn said_in_rust(line: &str) -> String {
    let line = line.trim_start();
    if let Some((_, comment)) = line.split_once("//") {
        return prose(comment);
    }
    let words = ["fn", "struct", "enum", "trait", "mod", "const", "static", "type"];
    let mut tokens = line.split_whitespace().skip_while(|token| !words.contains(token));
    let name = tokens.nth(1).unwrap_or_default();
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    name[..end].to_owned()
}

/// A text without what stands in backticks, in links and in quotes: those are names of others.
fn prose(text: &str) -> String {
    let outside = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    outside.split_whitespace().filter(|word| !word.contains("://")).collect::<Vec<_>>().join(" ")
}

fn banned(path: &str, said: &str) -> bool {
    let said = said.to_lowercase();
    let mut words = said.split(|c: char| !c.is_alphanumeric());
    words.any(|word| {
        BANNED.iter().any(|(banned, rooms)| word == *banned && !rooms.iter().any(|room| path.starts_with(room)))
    })
}

#[test]
fn policies_are_strict_short_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for text in texts().iter().filter(|text| text.path.starts_with("policies/") && has_ending(&text.path, "lua")) {
        let mut lines = text.text.lines();
        if lines.next() != Some("--!strict") || !lines.next().is_some_and(|line| line.starts_with("-- ")) {
            broken.push(format!("{}: begins with --!strict and a sentence", text.path));
        }
        let most = if text.path.starts_with("policies/lib/") { 300 } else { 120 };
        if text.text.lines().count() > most {
            broken.push(format!("{}: longer than {most} lines", text.path));
        }
    }
    none(broken);
}

#[test]
fn chores_say_in_their_second_line_what_they_do() {
    let silent = |text: &&Text| {
        let mut lines = text.text.lines();
        let header =
            lines.next() == Some("#!/usr/bin/env bash") && lines.next().is_some_and(|line| line.starts_with("# "));
        text.path.starts_with("scripts/") && !header
    };
    none(texts().iter().filter(silent).map(|text| text.path.clone()));
}

#[test]
fn every_snapshot_is_short_and_belongs_to_a_case() {
    let texts = texts();
    let stems = |folder: &str, ending: &str| -> Vec<String> {
        let inside = texts.iter().filter_map(|text| text.path.strip_prefix(folder)?.strip_suffix(ending));
        inside.map(str::to_owned).collect()
    };
    let (cases, snapshots) = (stems("tests/cases/", ".http"), stems("snapshots/", ".snap"));
    let mut broken: Vec<String> = Vec::new();
    broken.extend(cases.iter().filter(|case| !snapshots.contains(case)).map(|case| format!("{case}: no snapshot")));
    broken.extend(snapshots.iter().filter(|stem| !cases.contains(stem)).map(|stem| format!("{stem}: no case")));
    let long = |text: &&Text| text.path.starts_with("snapshots/") && text.text.len() >= 4096;
    broken.extend(texts.iter().filter(long).map(|text| format!("{}: {} bytes", text.path, text.text.len())));
    none(broken);
}

#[test]
fn nothing_knows_the_machine_it_was_written_on() {
    let homes = [["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"], ["/wo", "rk/"]].map(|halves| halves.concat());
    none(places(&texts(), |_, _, line| homes.iter().any(|home| line.contains(home))));
}
