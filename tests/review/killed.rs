//! A process that is killed while it accepts leaves what was accepted before, or what is accepted now.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use tidegate::review::{Standing, recover, standing};

use super::bundle::Bundle;

/// How often it is killed.
const TIMES: u32 = 16;

#[test]
fn killed_at_any_moment_it_leaves_the_old_state_or_the_new_one() {
    let whole = Bundle::edited(24);
    let old = whole.snapshots();
    let begun = Instant::now();
    assert!(whole.review(&["--accept-all", "--name", "Ada"]).status.success());
    let (takes, new) = (begun.elapsed(), whole.snapshots());
    let (mut before, mut after) = (0, 0);
    let bundle = Bundle::edited(24);
    for time in 0..TIMES {
        restore(&bundle, &old);
        let mut command = bundle.command(&["--accept-all", "--name", "Ada"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for_the_write(&bundle, takes, time % 2 == 1);
        child.kill().unwrap();
        child.wait().unwrap();
        recover(bundle.path()).unwrap();
        match standing(bundle.path(), &bundle.hash()) {
            Standing::Accepted(_) => {
                assert_eq!(bundle.snapshots(), new);
                after += 1;
            }
            Standing::Waiting(_) => {
                assert_eq!(bundle.snapshots(), old);
                before += 1;
            }
        }
    }
    eprintln!("{before} times the old state, {after} times the new one");
    assert_eq!(before + after, TIMES);
    assert!(bundle.review(&["--accept-all", "--name", "Ada"]).status.success());
    assert_eq!(bundle.snapshots(), new);
}

/// Puts the bundle back to where nothing of the edit was accepted.
fn restore(bundle: &Bundle, snapshots: &BTreeMap<String, String>) {
    let _ = std::fs::remove_file(bundle.path().join(format!("reviews/{}.toml", bundle.hash())));
    for (name, text) in snapshots {
        bundle.write(&format!("snapshots/ship/{name}"), text);
    }
}

/// Most of the time goes into playing: waits until the write begins, every other time until it is decided, and a
/// random moment longer.
fn wait_for_the_write(bundle: &Bundle, takes: Duration, decided: bool) {
    let (begun, folder) = (Instant::now(), bundle.path().join(".tidegate"));
    let (place, longest) = if decided { ("accepting", 3_000) } else { ("accepting.tmp", 25_000) };
    while !folder.join(place).exists() && begun.elapsed() < 2 * takes {
        thread::yield_now();
    }
    let until = Instant::now() + Duration::from_micros(fastrand::u64(0..longest));
    while Instant::now() < until {
        thread::yield_now();
    }
}
