//! What the room promises: reads come back in their order, nothing grows beyond its room, a handed over tape is clean.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::bundle::Bundle;
use crate::case::read;
use crate::exchange::decision::Identity;
use crate::exchange::{CacheVerdict, Reason};
use crate::policy::Trace;
use crate::settings::Record;

fn recorded(tape: &Tape) -> Vec<(String, Value)> {
    tape.finish().unwrap().reads.into_iter().map(|read| (read.what, read.value)).collect()
}

fn read_of(what: &str, value: Value) -> Read {
    Read { what: what.to_owned(), value }
}

fn told(tape: &Tape, what: &str) -> u64 {
    tape.ask(|| what.to_owned(), || 0)
}

#[test]
fn what_is_asked_is_noted_in_order_and_told_again() {
    let tape = Tape::recording(room(1 << 20));
    for (what, value) in [("store.get a", 1), ("draw", 2), ("store.get a", 3)] {
        assert_eq!(tape.ask(|| what.to_owned(), || value), value);
    }
    tape.note(|| "hook 2".to_owned(), &"timeout");
    let noted = recorded(&tape);
    let expected =
        [("store.get a", json!(1)), ("draw", json!(2)), ("store.get a", json!(3)), ("hook 2", json!("timeout"))];
    assert_eq!(noted, expected.map(|(what, value)| (what.to_owned(), value)));

    let reads = noted.into_iter().map(|(what, value)| Read { what, value }).collect();
    let tape = Tape::playing(reads, None, true);
    assert_eq!((told(&tape, "store.get a"), told(&tape, "store.get a"), told(&tape, "draw")), (1, 3, 2));
    assert_eq!(told(&tape, "store.get a"), 0, "more than was recorded is asked afresh");
    assert_eq!(tape.told::<String>(|| "hook 2".to_owned()).as_deref(), Some("timeout"));
    assert_eq!(tape.told::<String>(|| "hook 2".to_owned()), None);
}

#[test]
fn what_has_an_effect_has_it_when_it_is_told_too() {
    let mut done = 0;
    let tape = Tape::playing(vec![read_of("store.incr n", json!(41))], None, true);
    let value: u64 = tape.ask(
        || "store.incr n".to_owned(),
        || {
            done += 1;
            1
        },
    );
    assert_eq!((value, done), (41, 1));
}

#[test]
fn a_read_of_another_kind_is_asked_afresh() {
    let tape = Tape::playing(vec![read_of("draw", json!("text"))], None, true);
    assert_eq!(tape.ask(|| "draw".to_owned(), || 5_u64), 5);
}

#[test]
fn a_tape_that_is_off_asks_and_keeps_nothing() {
    let tape = Tape::default();
    assert_eq!(tape.ask(|| unreachable!("nobody wants to know what"), || 3), 3);
    assert!(tape.finish().is_none() && !tape.records() && !tape.is_bound() && !tape.watches());
}

fn room(bytes: usize) -> Room {
    Room::new(bytes, Arc::default(), usize::MAX)
}

#[test]
fn a_tape_with_no_room_left_says_so_and_stops() {
    let tape = Tape::recording(room(300));
    tape.ask(|| "short".to_owned(), || 1);
    tape.ask(|| "long".to_owned(), || "x".repeat(400));
    tape.ask(|| "short".to_owned(), || 2);
    let recorded = tape.finish().unwrap();
    assert!(recorded.overfull);
    assert!(recorded.reads.is_empty(), "what is not whole is of no use");
    let mut recorded = Recorded::new(room(super::recorded::PIECE_COST + 10));
    recorded.client(Duration::ZERO, &Bytes::from_static(b"0123456789"));
    assert!(!recorded.overfull);
    recorded.client(Duration::ZERO, &Bytes::from_static(b"0"));
    assert!(recorded.overfull && recorded.weight() < 200);
}

#[test]
fn a_tape_that_is_handed_over_forgets_and_hears_nothing_of_before() {
    let first = Tape::recording(room(1 << 20));
    told(&first, "store.get a");
    let second = first.handed_over();
    told(&first, "store.get late");
    first.note(|| "hook 9".to_owned(), &1);
    told(&second, "store.get b");
    let noted: Vec<String> = recorded(&second).into_iter().map(|(what, _)| what).collect();
    assert_eq!(noted, ["store.get b"]);
}

#[test]
fn two_answers_have_one_number_only_when_they_are_the_same() {
    let number = |pieces: &[&str], broken: bool| {
        let mut digest = Digest::default();
        for piece in pieces {
            digest.piece(piece.as_bytes());
        }
        if broken {
            digest.broken_off();
        }
        digest.finish()
    };
    assert_eq!(number(&["ab", "c"], false), number(&["a", "bc"], false), "pieces make no difference");
    assert_ne!(number(&["abc"], false), number(&["abd"], false));
    assert_ne!(number(&["abc"], false), number(&["abc"], true));
}

fn taken(id: &str, weight: usize) -> Arc<Taken> {
    let bundle = Bundle::new(PathBuf::from("."), "[upstreams.a]\n".to_owned(), BTreeMap::new());
    let facts = Facts {
        id: id.to_owned(),
        at: SystemTime::UNIX_EPOCH,
        took: Duration::ZERO,
        method: http::Method::GET,
        target: "/".to_owned(),
        dialect: None,
        generation: String::new(),
        identity: Identity::default(),
        trace: Trace::default(),
        plan: None,
        cache: CacheVerdict::default(),
        attempts: Vec::new(),
        status: Some(200),
        reason: Reason::Done,
        error: None,
        answer: 0,
    };
    let case = read::read("t.http", "# A.\n> client\nGET / HTTP/1.1\n").unwrap();
    let elapsed = Duration::ZERO;
    Arc::new(Taken { facts, bundle: Arc::new(bundle), preview: false, case, elapsed, stored: None, kept: None, weight })
}

fn ids(ring: &Ring) -> Vec<String> {
    ring.latest().iter().map(|taken| taken.facts.id.clone()).collect()
}

#[test]
fn a_ring_keeps_the_last_within_number_and_bytes() {
    let settings = Record { exchanges: 3, memory: 1000, ..Record::default() };
    let ring = Ring::default();
    for id in ["a", "b", "c", "d"] {
        ring.keep(taken(id, 100), &settings);
    }
    assert_eq!((ids(&ring), ring.size()), (vec!["d".into(), "c".into(), "b".into()], (3, 300)));
    ring.keep(taken("e", 850), &settings);
    assert_eq!((ids(&ring), ring.size()), (vec!["e".into(), "d".into()], (2, 950)));
    ring.keep(taken("f", 5000), &settings);
    assert_eq!(ring.size(), (2, 950), "what is larger than all of it is not kept");
    assert_eq!(ring.number(), 5);
}

#[test]
fn an_exchange_is_found_by_its_id_or_all_by_its_beginning() {
    let (ring, settings) = (Ring::default(), Record::default());
    for id in ["abc", "abd", "ab", "xyz"] {
        ring.keep(taken(id, 1), &settings);
    }
    let found = |id: &str| ring.find(id).iter().map(|taken| taken.facts.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        (found("ab"), found("x"), found("a")),
        (vec!["ab".into()], vec!["xyz".into()], vec!["abc".into(), "abd".into(), "ab".into()])
    );
    assert!(found("").is_empty() && found("q").is_empty() && ring.get("a").is_none() && ring.get("abd").is_some());
}

#[test]
fn what_comes_after_an_exchange_is_told_with_what_is_gone() {
    let (ring, settings) = (Ring::default(), Record { exchanges: 2, ..Record::default() });
    assert!(ring.after(0).is_none());
    for id in ["a", "b", "c", "d"] {
        ring.keep(taken(id, 1), &settings);
    }
    let after = |number| ring.after(number).map(|(taken, number, passed)| (taken.facts.id.clone(), number, passed));
    assert_eq!(after(0), Some(("c".to_owned(), 3, 2)));
    assert_eq!(after(3), Some(("d".to_owned(), 4, 0)));
    assert_eq!(after(4), None);
}

#[test]
fn one_of_so_many_is_recorded() {
    let ring = Ring::default();
    let every = |every| Record { every: NonZeroU32::new(every).unwrap(), ..Record::default() };
    let records = |settings: &Record| (0..9).filter(|_| ring.tape(settings, Duration::ZERO, false).records()).count();
    assert_eq!((records(&every(1)), records(&every(3))), (9, 3));
    assert_eq!(records(&Record { exchanges: 0, ..Record::default() }), 0);
}

#[test]
fn of_a_busy_second_a_sample_is_recorded_and_all_while_someone_watches() {
    let (ring, most) = (Ring::default(), NonZeroU32::new(3).unwrap());
    let settings = Record { per_second: most, ..Record::default() };
    let records =
        |at: u64, all: bool| (0..9).filter(|_| ring.tape(&settings, Duration::from_secs(at), all).records()).count();
    assert_eq!((records(7, false), records(7, false), records(8, false), records(8, true)), (3, 0, 3, 9));
}
