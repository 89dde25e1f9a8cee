use proptest::prelude::*;

use super::*;
use crate::cache::tests::{entry, key};

fn sealed(clock: &Clock) -> (Key, Entry, Vec<u8>) {
    let (key, mut entry) = (key("a", Some("ann")), entry(*clock, 100, 60));
    entry.grace = Duration::from_secs(30);
    let bytes = seal(&Label::of(&key, &entry, clock), &key, &entry).unwrap();
    (key, entry, bytes)
}

#[test]
fn an_answer_comes_back_as_it_was() {
    let clock = Clock::live();
    let (key, entry, bytes) = sealed(&clock);
    let back = open(&bytes, &key, &clock).unwrap().unwrap();
    assert_eq!((back.body(), &back.headers, back.ttl), (entry.body(), &entry.headers, entry.ttl));
    assert_eq!(Label::peek(&bytes[..200]).unwrap().hash, *key.hash());
}

#[test]
fn another_question_with_the_same_hash_finds_nothing() {
    let clock = Clock::live();
    let (_, _, bytes) = sealed(&clock);
    assert_eq!(open(&bytes, &key("b", Some("ann")), &clock), Ok(None));
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let clock = Clock::live();
    let (key, _, bytes) = sealed(&clock);
    for end in 0..bytes.len() {
        assert_eq!(open(&bytes[..end], &key, &clock), Err(Corrupt), "cut at {end}");
    }
    for at in 0..bytes.len() * 8 {
        let mut torn = bytes.clone();
        torn[at / 8] ^= 1 << (at % 8);
        assert_eq!(open(&torn, &key, &clock), Err(Corrupt), "bit {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn age_and_time_left_go_on_in_a_younger_gate() {
    let old = Clock::live();
    tokio::time::advance(Duration::from_secs(1000)).await;
    let (key, _, bytes) = sealed(&old);
    let wall = old.wall();
    for (later, age, fresh) in [(5, 5, true), (59, 59, true), (61, 61, false)] {
        let young = Clock::starting_at(wall + Duration::from_secs(later - 2));
        tokio::time::advance(Duration::from_secs(2)).await;
        let back = open(&bytes, &key, &young).unwrap().unwrap();
        assert_eq!((back.age(&young).as_secs(), back.is_fresh(&young)), (age, fresh), "{later} s later");
        let over = later.saturating_sub(60);
        assert_eq!(back.stale_for(&young).as_secs(), over);
        assert!(back.is_of_use(&young));
    }
    let late = Clock::starting_at(wall + Duration::from_secs(91));
    assert!(!open(&bytes, &key, &late).unwrap().unwrap().is_of_use(&late));
}

/// What is written today must be read tomorrow, or be of another version.
#[test]
fn a_change_of_what_is_written_needs_another_version() {
    let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let (key, mut entry) = (key("a", Some("ann")), entry(clock, 3, 60));
    entry.stored_at = Duration::ZERO;
    let body = postcard::to_stdvec(&(key, entry)).unwrap();
    assert_eq!((MAGIC[3], body.len(), &blake3::hash(&body).to_hex()[..16]), (1, 0, ""));
}

proptest! {
    #[test]
    fn no_bytes_at_all_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let clock = Clock::live();
        let mut with_magic = MAGIC.to_vec();
        with_magic.extend(&bytes);
        prop_assert_eq!(open(&bytes, &key("a", None), &clock), Err(Corrupt));
        prop_assert_eq!(open(&with_magic, &key("a", None), &clock), Err(Corrupt));
    }
}
