//! Reloading: a save serves at once or not at all, and nobody notices but by what is served.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;
use tidegate::generation::Generation;

use crate::support::bundle::Bundled;
use crate::support::service::{END, Service, chunk, json, open, say};
use crate::support::talk::Talk;
use crate::support::until;

/// A policy that marks every response and every event with a word.
fn marking(word: &str) -> String {
    format!(
        "return policy {{\n  api = 1,\n  on_response = function(res) res.headers:set(\"x-mark\", \"{word}\") end,\n  \
         on_event = function(ev) ev.data = ev.data .. \" {word}\" end,\n}}\n"
    )
}

/// Settings of one upstream and the policy `p.lua`.
fn settings(upstream: &str) -> String {
    format!("[upstreams.up]\nurl = \"{upstream}\"\n[[policies]]\nfile = \"p.lua\"\n")
}

fn mark(talk: &mut Talk) -> String {
    talk.get("/", &[]).header("x-mark").unwrap_or_default().to_owned()
}

fn gate() -> (Service, Bundled) {
    let upstream = Service::saying(json("{}"));
    let gate = Bundled::policy(&upstream.url(), "", &marking("one"));
    (upstream, gate)
}

#[test]
fn a_save_serves_the_next_request_while_a_stream_ends_on_the_old_one() {
    let (go, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Service::start(move |heard, stream| {
        if heard.target() != "/stream" {
            return say(stream, json("{}"));
        }
        say(stream, open("text/event-stream"));
        say(stream, chunk("data: a\n\n"));
        told.lock().recv().unwrap();
        say(stream, chunk("data: b\n\n")) && say(stream, END)
    });
    let gate = Bundled::policy(&upstream.url(), "", &marking("one"));
    let mut stream = gate.talk();
    stream.send("GET /stream HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    stream.wait_for("data: a one");
    gate.save_live("p.lua", &marking("two"));
    assert_eq!(mark(&mut gate.talk()), "two");
    assert_eq!(gate.status()["draining"][0]["generation"], 1, "the old one is still in use");
    go.send(()).unwrap();
    let ended = stream.read();
    assert!(ended.whole);
    assert_eq!(ended.text(), "data: a one\n\ndata: b one\n\n");
    assert!(until(|| gate.status().get("draining").is_none()), "the old one goes with its last exchange");
}

#[test]
fn a_broken_save_keeps_the_old_answer_and_a_good_one_recovers() {
    let (_upstream, gate) = gate();
    let mut talk = gate.talk();
    let broken = [
        ("return policy {\n  api = 1,\n  on_request = function( end,\n}\n", "p.lua:3"),
        ("return policy {\n  api = 1,\n  on_reqest = function() end,\n}\n", "p.lua:3"),
        ("local x = nil\nreturn policy { api = x.y }\n", "p.lua:2"),
        ("return {}\n", "p.lua"),
        ("while true do end\n", "p.lua"),
    ];
    for (text, place) in broken {
        gate.save("p.lua", text);
        let faults = gate.rejected();
        assert!(faults[0].contains(place), "{faults:?} does not name {place}");
        assert_eq!(mark(&mut talk), "one", "after {text:?}");
        gate.save("p.lua", &marking("one"));
        assert!(until(|| gate.status().get("rejected").is_none()), "what serves is on disk again");
    }
    assert_eq!(gate.generation(), 1, "nothing else ever served");
    gate.save("p.lua", broken[0].0);
    gate.rejected();
    gate.save_live("p.lua", &marking("two"));
    assert_eq!(mark(&mut talk), "two");
}

#[test]
fn an_unknown_hook_is_rejected_with_the_one_that_was_meant() {
    let (_upstream, gate) = gate();
    gate.save("p.lua", "return policy { api = 1, on_reqest = function() end }\n");
    let faults = gate.rejected();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("p.lua:1") && faults[0].contains("`on_request`"), "{faults:?}");
}

#[test]
fn an_emptied_file_takes_no_policy_away() {
    let (_upstream, gate) = gate();
    fs::write(gate.file("p.lua"), "").unwrap();
    let faults = gate.rejected();
    assert!(faults[0].contains("p.lua"), "{faults:?}");
    assert_eq!(mark(&mut gate.talk()), "one");
    gate.save_live("p.lua", &marking("two"));
}

#[test]
fn a_deleted_file_takes_no_policy_away() {
    let (_upstream, gate) = gate();
    fs::remove_file(gate.file("p.lua")).unwrap();
    let faults = gate.rejected();
    assert!(faults[0].contains("p.lua"), "{faults:?}");
    assert_eq!(mark(&mut gate.talk()), "one");
    gate.save_live("p.lua", &marking("two"));
}

#[test]
fn all_faults_of_a_save_are_told_at_once() {
    let (upstream, gate) = gate();
    fs::write(gate.file("p.lua"), "return policy { api = 1, rout = function() end }\n").unwrap();
    gate.save("tidegate.toml", &(settings(&upstream.url()) + "[limits]\nbody = \"much\"\nbodi = 3\n"));
    assert!(until(|| gate.status()["rejected"]["faults"].as_array().is_some_and(|faults| faults.len() >= 2)));
    let faults = gate.rejected();
    assert!(faults.iter().any(|fault| fault.contains("tidegate.toml:6")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.contains("tidegate.toml:7")), "{faults:?}");
}

#[test]
fn a_save_is_live_within_300_milliseconds() {
    let (_upstream, gate) = gate();
    let mut times: Vec<Duration> = (0..11)
        .map(|round| {
            let before = gate.generation();
            let begun = Instant::now();
            gate.save("p.lua", &marking(&format!("round{round}")));
            assert!(until(|| gate.generation() > before));
            begun.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[5] <= Duration::from_millis(300), "{times:?}");
}

#[test]
fn changed_settings_serve_too() {
    let (first, second) = (Service::saying(json("1")), Service::saying(json("2")));
    let gate =
        Bundled::policy(&first.url(), "", "return policy { api = 1, on_request = function(req) req:text() end }\n");
    let mut talk = gate.talk();
    assert_eq!(talk.post("/", &[], "0123456789").text(), "1");
    gate.save_live("tidegate.toml", &settings(&second.url()));
    assert_eq!(talk.post("/", &[], "0123456789").text(), "2", "another upstream, on the same connection");
    gate.save_live("tidegate.toml", &("[limits]\nbody = \"5B\"\n".to_owned() + &settings(&second.url())));
    assert_eq!(talk.post("/", &[], "0123456789").status, 413);
}

#[test]
fn status_says_what_needs_a_restart() {
    let (upstream, gate) = gate();
    gate.save_live(
        "tidegate.toml",
        &("[[listen]]\naddress = \"127.0.0.1:9\"\n".to_owned() + &settings(&upstream.url())),
    );
    let notes = gate.status()["needs_restart"].clone();
    assert!(notes[0].as_str().unwrap().contains("`listen`"), "{notes}");
    assert_eq!(mark(&mut gate.talk()), "one", "the rest serves");
}

#[test]
fn what_a_policy_keeps_survives_reloads() {
    let counting = |word: &str| {
        format!(
            "return policy {{ api = 1, on_request = function() return respond {{ text = `{word} {{store:incr(\"seen\")}}` }} end }}\n"
        )
    };
    let upstream = Service::saying(json("{}"));
    let gate = Bundled::policy(&upstream.url(), "", &counting("a"));
    let mut talk = gate.talk();
    assert_eq!(talk.get("/", &[]).text(), "a 1");
    gate.save_live("p.lua", &counting("b"));
    assert_eq!(talk.get("/", &[]).text(), "b 2");
}

#[test]
fn two_saved_files_serve_together() {
    let upstream = Service::saying(json("{}"));
    let pair = pair(0);
    let gate =
        Bundled::serve(&[("tidegate.toml", &pair_settings(&upstream.url())), ("a.lua", &pair[0]), ("b.lua", &pair[1])]);
    let load = Load::start(&gate);
    for round in 1..=20 {
        let [first, second] = self::pair(round);
        gate.save("a.lua", &first);
        gate.save("b.lua", &second);
        load.reaches(round);
    }
    assert_eq!(load.stop(), Vec::<String>::new());
    assert_eq!(gate.generation(), 21, "each pair was one generation");
}

#[test]
fn nothing_is_mixed_or_lost_or_kept_in_500_reloads_under_load() {
    let upstream = Service::saying(json("{}"));
    let swapped = Swapped::new(&upstream.url());
    let gate = Bundled::following(swapped.folder(), SHORT);
    let load = Load::start(&gate);
    let mut replaced: Vec<Weak<Generation>> = Vec::new();
    let mut most_open = 0;
    let mut after_warm_up = 0;
    for round in 1..=500 {
        replaced.push(Arc::downgrade(&gate.gate.live.load()));
        swapped.swap(round);
        load.reaches(round);
        replaced.retain(|old| old.strong_count() > 0);
        most_open = most_open.max(replaced.len());
        if round == 100 {
            after_warm_up = resident();
        }
    }
    let at_the_end = resident();
    assert_eq!(load.stop(), Vec::<String>::new());
    assert_eq!(gate.generation(), 501);
    assert!(most_open <= 60, "{most_open} replaced generations were open at a time");
    assert!(at_the_end < after_warm_up + 128 * MIB, "{} MiB, then {} MiB", after_warm_up / MIB, at_the_end / MIB);
    assert!(until(|| replaced.iter().all(|old| old.strong_count() == 0)), "generations that nobody is on are dropped");
}

/// How long a swap of all files settles: nothing comes after it.
const SHORT: Duration = Duration::from_millis(2);

const MIB: u64 = 1024 * 1024;

/// Bytes of memory that this process uses. Other tests run in it, too, and use up to 60 MiB; the VMs of 400 generations
/// that were never dropped would be more than 320.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Two policies that know of each other: the response tells a number out of each.
fn pair(round: usize) -> [String; 2] {
    [
        format!("return policy {{ api = 1, on_request = function(_req, ctx) ctx.shared.a = {round} end }}\n"),
        format!(
            "return policy {{ api = 1, on_response = function(res, ctx) res.headers:set(\"x-pair\", `{{ctx.shared.a}} {round}`) end }}\n"
        ),
    ]
}

fn pair_settings(upstream: &str) -> String {
    format!("[upstreams.up]\nurl = \"{upstream}\"\n[[policies]]\nfile = \"a.lua\"\n[[policies]]\nfile = \"b.lua\"\n")
}

/// A bundle whose files change all at once, as a mounted `ConfigMap` does: they are links through a link to a folder.
struct Swapped(TempDir);

// === impl Swapped ===

impl Swapped {
    fn new(upstream: &str) -> Self {
        let swapped = Self(TempDir::new().unwrap());
        fs::write(swapped.folder().join("tidegate.toml"), pair_settings(upstream)).unwrap();
        swapped.swap(0);
        for name in ["a.lua", "b.lua"] {
            symlink(Path::new("..data").join(name), swapped.folder().join(name)).unwrap();
        }
        swapped
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn swap(&self, round: usize) {
        let at = |name: &str| self.folder().join(name);
        let version = format!("..{round}");
        fs::create_dir(at(&version)).unwrap();
        for (name, text) in ["a.lua", "b.lua"].iter().zip(pair(round)) {
            fs::write(at(&version).join(name), text).unwrap();
        }
        symlink(&version, at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
        if round > 1 {
            fs::remove_dir_all(at(&format!("..{}", round - 2))).unwrap();
        }
    }
}

/// Clients that ask without a pause and look at every answer.
struct Load {
    over: Arc<AtomicBool>,
    newest: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

// === impl Load ===

impl Load {
    fn start(gate: &Bundled) -> Self {
        let (over, newest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |_| {
            let (over, newest, talk) = (Arc::clone(&over), Arc::clone(&newest), gate.talk());
            thread::spawn(move || ask(talk, &over, &newest))
        };
        let clients = (0..2).map(client).collect();
        Self { over, newest, clients }
    }

    /// Waits until a client was served by that round.
    fn reaches(&self, round: usize) {
        assert!(until(|| self.newest.load(Ordering::Relaxed) >= round), "round {round} does not serve");
    }

    /// What was wrong with any answer.
    fn stop(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

fn ask(mut talk: Talk, over: &AtomicBool, newest: &AtomicUsize) -> Vec<String> {
    let mut wrong = Vec::new();
    while !over.load(Ordering::Relaxed) && wrong.len() < 5 {
        let said = talk.get("/", &[]);
        let pair = said.header("x-pair").and_then(|pair| pair.split_once(' '));
        match pair {
            Some((first, second)) if said.status == 200 && first == second => {
                newest.fetch_max(first.parse().unwrap(), Ordering::Relaxed);
            }
            _ => wrong.push(said.head),
        }
    }
    wrong
}
