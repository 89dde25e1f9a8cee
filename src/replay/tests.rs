//! What the room promises: parts that tell two plays apart, tables that count them, cases that need little and play the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use serde_json::json;

use super::archive::Archive;
use super::aspects::{Aspect, Aspects};
use super::table::Table;
use super::{save, truth};
use crate::bundle::Bundle;
use crate::case::redact::Text;
use crate::case::{Case, Played, Player, read, render};
use crate::exchange::Reason;
use crate::settings::Settings;
use crate::tape::{Facts, Read, Taken, Watch};

const SETTINGS: &str = "[upstreams.sea]\ndefault = true\nurl = \"http://127.0.0.1:1\"\n[upstreams.lake]\n\
    url = \"http://127.0.0.1:2\"\n[[policies]]\nfile = \"p.lua\"\n";

const ASKED: &str =
    "# A.\n> client\nPOST /a HTTP/1.1\nX-User: ann\n\nhello\n\n< upstream sea\nHTTP/1.1 200 OK\n\nwaves\n";

fn bundle(lua: &str) -> Arc<Bundle> {
    let files = BTreeMap::from([("p.lua".to_owned(), lua.to_owned())]);
    Arc::new(Bundle::new(PathBuf::from("."), SETTINGS.to_owned(), files))
}

fn policy(hooks: &str) -> Arc<Bundle> {
    bundle(&format!("return policy {{ api = 1, {hooks} }}\n"))
}

fn case(text: &str) -> Case {
    read::read("t.http", text).unwrap()
}

fn play(bundle: &Bundle, case: &Case) -> Played {
    Player::new(bundle).play(case).unwrap()
}

fn aspects(hooks: &str, case: &Case) -> Aspects {
    Aspects::of(&play(&policy(hooks), case))
}

/// The parts in which two policies differ, with what they are in words.
fn changes(old: &str, new: &str, case: &Case) -> Vec<(Aspect, String, String)> {
    let changes = aspects(old, case).changes(&aspects(new, case));
    changes.into_iter().map(|change| (change.aspect, change.old, change.new)).collect()
}

/// An exchange that was served as a case plays.
fn taken(bundle: &Arc<Bundle>, case: &Case) -> Taken {
    let played = play(bundle, case);
    let call = &played.calls[0];
    let (digest, status, _) = super::aspects::got(&call.got);
    let facts = Facts {
        id: call.id.clone(),
        at: SystemTime::UNIX_EPOCH,
        took: Duration::from_millis(5),
        method: Method::POST,
        target: "/v1/tides?key=x".to_owned(),
        dialect: None,
        generation: bundle.hash.to_string(),
        identity: call.identity.clone(),
        trace: call.decisions.clone().into(),
        plan: call.plan.clone(),
        cache: call.cache.verdict.clone(),
        attempts: call.attempts.clone(),
        status,
        reason: call.sent.reason.unwrap_or(Reason::Done),
        error: None,
        answer: digest.finish(),
    };
    let mut case = case.clone();
    case.setup.id = Some(call.id.clone());
    let bundle = Arc::clone(bundle);
    Taken { facts, bundle, preview: false, case, elapsed: Duration::ZERO, stored: None, kept: None, weight: 0 }
}

fn read_of(what: &str, value: serde_json::Value) -> Read {
    Read { what: what.to_owned(), value }
}

fn words(aspects: &Aspects, aspect: Aspect) -> &str {
    &aspects.part(aspect).unwrap().told
}

#[test]
fn a_play_is_told_part_by_part() {
    let told = aspects("identify = function(req) return { user = req.headers:get(\"x-user\") } end", &case(ASKED));
    for (aspect, expected) in [
        (Aspect::Identity, "user ann"),
        (Aspect::Route, "sea"),
        (Aspect::CacheKey, "not cached"),
        (Aspect::Upstream, "1 request"),
        (Aspect::Attempts, "sea/127.0.0.1:1 200"),
        (Aspect::Answer, "200, 5 bytes, done"),
    ] {
        assert_eq!(words(&told, aspect), expected, "{aspect:?}");
    }
}

#[test]
fn only_the_parts_that_differ_are_changes() {
    let case = case(ASKED);
    assert!(changes("", "", &case).is_empty());
    let marked = "on_request = function(req) req.headers:set(\"x-mark\", \"1\") end";
    let same = "1 request".to_owned();
    assert_eq!(changes("", marked, &case), [(Aspect::Upstream, same.clone(), same)]);
    let known = "identify = function() return { user = \"ann\" } end";
    assert_eq!(changes("", known, &case), [(Aspect::Identity, "nobody".into(), "user ann".into())]);
    let answered = "on_request = function() return respond { status = 418, text = \"no\" } end";
    let changed: Vec<Aspect> = changes("", answered, &case).into_iter().map(|(aspect, _, _)| aspect).collect();
    assert_eq!(changed, [Aspect::Route, Aspect::Upstream, Aspect::Attempts, Aspect::Answer]);
}

#[test]
fn what_an_upstream_would_have_said_that_nobody_asked_is_not_guessed() {
    let elsewhere = "route = function() return { upstream = \"lake\" } end";
    let changed: Vec<Aspect> = changes("", elsewhere, &case(ASKED)).into_iter().map(|(aspect, _, _)| aspect).collect();
    assert_eq!(changed, [Aspect::Route, Aspect::Upstream], "attempts and answer cannot be known");
}

#[test]
fn changes_are_counted_with_an_exchange_that_shows_each() {
    let case = case(ASKED);
    let (old, new) = (aspects("", &case), aspects("identify = function() return { user = \"ann\" } end", &case));
    let mut table = Table::default();
    assert!(!table.note("same", &old, &old));
    assert!(table.note("first", &old, &new) && table.note("second", &old, &new));
    table.failed("it has faults".to_owned());
    let text = table.to_text();
    for line in [
        "3 exchanges, 2 changed",
        "66.7 %  2",
        "2 × nobody → user ann",
        "such as first",
        "1 could not be played: it has",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let told = table.to_json();
    assert_eq!(
        told["aspects"][0]["changes"][0],
        json!({"change": "nobody → user ann", "old": "nobody", "new": "user ann", "count": 2, "such_as": "first"})
    );
    assert_eq!((&told["compared"], &told["failed"]["it has faults"]), (&json!(3), &json!(1)));
}

#[test]
fn the_changes_that_came_most_often_are_shown() {
    let case = case(ASKED);
    let old = aspects("", &case);
    let mut table = Table::default();
    for number in 0..8 {
        let new = aspects(&format!("identify = function() return {{ user = \"u{number}\" }} end"), &case);
        for _ in 0..=number {
            table.note("x", &old, &new);
        }
    }
    let told = table.to_json();
    let shown: Vec<u64> = told["aspects"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["count"].as_u64().unwrap())
        .collect();
    assert_eq!(shown, [8, 7, 6, 5, 4]);
}

#[test]
fn a_play_that_came_to_something_else_is_no_truth() {
    let (bundle, case) = (policy("identify = function() return { user = \"ann\" } end"), case(ASKED));
    let mut taken = taken(&bundle, &case);
    let played = play(&bundle, &taken.case);
    assert!(truth::differences(&taken.facts, &played).is_empty());
    taken.facts.identity.user = Some("ben".to_owned());
    taken.facts.status = Some(500);
    taken.facts.answer = 1;
    let told = truth::differences(&taken.facts, &played).join("\n");
    for what in ["identity: ", "status: Some(500) then, Some(200) now", "answer: 0000000000000001 then"] {
        assert!(told.contains(what), "{told}");
    }
    assert!(!told.contains("attempts") && !told.contains("plan"), "{told}");
}

#[test]
fn a_case_keeps_the_reads_that_matter_and_no_others() {
    let lua = "on_request = function(req)\n  local lot, at = math.random(), clock.now()\n  \
               req.headers:set(\"x-quota\", tostring(store:get(\"quota\")))\nend";
    let (bundle, mut case) = (policy(lua), case(ASKED));
    case.setup.reads = vec![
        read_of("seed", json!(7)),
        read_of("clock.now", json!(12.5)),
        read_of("store.get policy:p quota", json!(40)),
        read_of("took", json!({"secs": 0, "nanos": 0})),
    ];
    let taken = taken(&bundle, &case);
    let player = Player::new(&bundle);
    let whole = render(&player.play(&taken.case).unwrap());
    let saved = save::save(&taken, &player, None).unwrap();
    let kept: Vec<&str> = saved.case.setup.reads.iter().map(|read| read.what.as_str()).collect();
    assert_eq!(kept, ["store.get policy:p quota"]);
    let again = render(&player.play(&read::read("t.http", &saved.text).unwrap()).unwrap());
    assert!(again.contains("x-quota: 40"), "{again}");
    assert_eq!((&again, &saved.snapshot), (&whole, &whole));
    assert!(saved.differences.is_empty() && saved.redacted.is_none());
}

#[test]
fn a_case_is_named_by_who_and_what_and_never_by_a_secret() {
    let (bundle, case) = (policy("identify = function() return { client = \"Claude Code/2\" } end"), case(ASKED));
    let mut taken = taken(&bundle, &case);
    let name = |taken: &Taken| save::save(taken, &Player::new(&bundle), None).unwrap().name;
    taken.facts.id = "0123456789abcdef0123456789abcdef".to_owned();
    assert_eq!(name(&taken), "recorded/claude-code-2-a-012345");
    taken.facts.id = "../../x".to_owned();
    let made = name(&taken);
    assert!(made.starts_with("recorded/claude-code-2-a-") && !made.contains(".."), "{made}");
    let archive = Archive::new(Arc::new(|_: &mut Settings| Ok(())));
    let text = ASKED.replace("/a HTTP", "/keys/sk-proj-aaaa0aaaa0aaaa0aaaa0aaaa0 HTTP");
    taken.case = read::read("t.http", &text).unwrap();
    let saved = archive.save(&taken, Some(&archive.redaction(Text::Replaced))).unwrap();
    assert!(!saved.name.contains("aaaa0aaaa0"), "{}", saved.name);
}

#[test]
fn an_archive_explains_and_compares_on_any_bundle() {
    let (one, two) = (policy(""), policy("on_request = function(req) req.headers:set(\"x-two\", \"2\") end"));
    let taken = taken(&one, &case(ASKED));
    let archive = Archive::new(Arc::new(|_: &mut Settings| Ok(())));
    let explained = archive.explain(&taken, Some(&two)).unwrap();
    assert!(explained.to_text().contains("header x-two added: 2") || explained.to_text().contains("+    x-two: 2"));
    let (old, new) = archive.compare(&taken, &two).unwrap();
    assert_eq!(old.changes(&new).len(), 1);
    for number in 0..9 {
        let other = policy(&format!("on_request = function(req) req.headers:set(\"x\", \"{number}\") end"));
        assert_eq!(archive.compare(&taken, &other).unwrap().0, old, "players come and go");
    }
    let faulty = bundle("return 1");
    assert!(archive.compare(&taken, &faulty).is_err());
    let played = Player::new(&one).replay(&taken, Watch::Nothing).unwrap();
    assert!(truth::differences(&taken.facts, &played).is_empty());
}
