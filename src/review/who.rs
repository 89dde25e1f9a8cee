//! Who accepts: the name that a record keeps.

use std::env;
use std::path::Path;
use std::process::Command;

/// The name on the command line, else the one that git knows here, else the one of the account.
pub fn accepts(named: Option<&str>, root: &Path) -> Option<String> {
    let usable = |name: String| {
        let name = name.trim().to_owned();
        (!name.is_empty()).then_some(name)
    };
    let account = || env::var("USER").ok().and_then(usable);
    named.map(str::to_owned).and_then(usable).or_else(|| git(root).and_then(usable)).or_else(account)
}

fn git(root: &Path) -> Option<String> {
    let asked = Command::new("git").arg("-C").arg(root).args(["config", "user.name"]).output().ok()?;
    String::from_utf8(asked.stdout).ok()
}
