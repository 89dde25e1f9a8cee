//! What belongs to a bundle, what keeps a folder from being one, and what `tidegate new` writes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::super::{create, read};
use super::{put, sample};

fn names(root: &Path) -> Vec<String> {
    read(root).unwrap().files.into_keys().collect()
}

fn complaint(root: &Path) -> String {
    let faults = read(root).unwrap_err();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn policies_and_libraries_are_read_and_nothing_else() {
    let folder = sample();
    let root = folder.path().join("policies");
    for other in
        ["cases/c.lua", "snapshots/s.lua", ".git/g.lua", "notes.txt", "a.lua~", ".a.lua.swp", "lib/tidegate.toml"]
    {
        put(&root, other, "no");
    }
    put(&root, "lib/cases/kept.lua", "return 3");
    assert_eq!(names(&root), ["a.lua", "lib/b.luau", "lib/cases/kept.lua"]);
    assert!(read(&root).unwrap().settings_text.starts_with("go_live"));
}

#[test]
fn the_hash_follows_names_and_contents_only() {
    let (one, two) = (sample(), sample());
    let (one, two) = (one.path().join("policies"), two.path().join("policies"));
    assert_eq!(read(&one).unwrap().hash, read(&two).unwrap().hash);
    assert_eq!(read(&one).unwrap().hash.to_string().len(), 12);
    fs::rename(two.join("a.lua"), two.join("c.lua")).unwrap();
    assert_ne!(read(&one).unwrap().hash, read(&two).unwrap().hash);
}

#[test]
fn a_link_back_to_the_root_is_not_followed() {
    let folder = sample();
    let root = folder.path().join("policies");
    symlink(&root, root.join("lib/again")).unwrap();
    symlink("self", root.join("self")).unwrap();
    assert_eq!(names(&root), ["a.lua", "lib/b.luau"]);
}

#[test]
fn a_linked_folder_is_read_under_the_name_of_the_link() {
    let folder = sample();
    let root = folder.path().join("policies");
    put(folder.path(), "shared/x.lua", "return 3");
    symlink("../shared", root.join("shared")).unwrap();
    assert_eq!(names(&root), ["a.lua", "lib/b.luau", "shared/x.lua"]);
}

#[test]
fn crossing_links_do_not_multiply_without_end() {
    let folder = sample();
    let root = folder.path().join("policies");
    for level in 0..20 {
        let here = root.join(format!("d{level}"));
        fs::create_dir(&here).unwrap();
        for link in ["left", "right"] {
            symlink(root.join(format!("d{}", level + 1)), here.join(link)).unwrap();
        }
    }
    fs::create_dir(root.join("d20")).unwrap();
    assert!(complaint(&root).contains("at most 1000 folders"));
}

#[test]
fn everything_that_cannot_be_read_is_told_at_once() {
    let folder = sample();
    let root = folder.path().join("policies");
    fs::write(root.join("binary.lua"), [b'a', 0xff]).unwrap();
    fs::write(root.join("large.lua"), vec![b' '; (1 << 20) + 1]).unwrap();
    symlink("nowhere", root.join("lost.lua")).unwrap();
    let told = complaint(&root);
    assert!(told.contains("binary.lua: the file is not UTF-8 (at byte 1)"), "{told}");
    assert!(told.contains("large.lua: the file is larger than 1 MiB"), "{told}");
    assert!(told.contains("lost.lua: the file is a link to nothing"), "{told}");
}

#[test]
fn a_thousand_files_are_the_most() {
    let folder = sample();
    let root = folder.path().join("policies");
    for number in 0..1000 {
        fs::write(root.join(format!("n{number}.lua")), "return 0").unwrap();
    }
    assert!(complaint(&root).contains("at most 1000 files"));
}

#[test]
fn missing_or_blank_settings_are_no_bundle() {
    let folder = sample();
    let root = folder.path().join("policies");
    put(&root, "tidegate.toml", " \n");
    assert!(complaint(&root).contains("missing or empty"));
    fs::remove_file(root.join("tidegate.toml")).unwrap();
    assert!(complaint(&root).contains("missing or empty"));
    fs::remove_dir_all(&root).unwrap();
    assert!(complaint(&root).contains("there is no such folder"));
}

#[test]
fn an_emptied_policy_counts_as_truncated() {
    let folder = sample();
    let root = folder.path().join("policies");
    assert!(!read(&root).unwrap().is_truncated());
    put(&root, "a.lua", "");
    assert!(read(&root).unwrap().is_truncated());
}

#[test]
fn a_new_bundle_has_settings_without_faults_and_their_policies() {
    let folder = TempDir::new().unwrap();
    let written = create(&folder.path().join("gate")).unwrap();
    assert!(written.iter().all(|path| path.is_file()));
    let bundle = read(&folder.path().join("gate")).unwrap();
    let settings = crate::settings::parse(&bundle.settings_text, "tidegate.toml").unwrap();
    assert!(!settings.policies.is_empty());
    for policy in &settings.policies {
        assert!(bundle.files.contains_key(&policy.file));
    }
}

#[test]
fn a_new_bundle_overwrites_nothing() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "policies/hello.lua", "mine");
    let error = create(folder.path()).unwrap_err();
    assert!(error.to_string().contains("hello.lua exists already"));
    assert!(!folder.path().join("tidegate.toml").exists());
    assert_eq!(fs::read_to_string(folder.path().join("policies/hello.lua")).unwrap(), "mine");
}
