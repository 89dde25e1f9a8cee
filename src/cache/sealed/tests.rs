use proptest::prelude::*;

use super::*;
use crate::cache::tests::{entry, key};
use crate::clock::Clock;

fn sealed(clock: &Clock) -> (Key, Entry, Vec<u8>) {
    let (key, mut entry) = (key("a", Some("ann")), entry(*clock, 100, 60));
    entry.grace = Duration::from_secs(30);
    let bytes = seal(&Label::of(&key, &entry), &key, &entry).unwrap();
    (key, entry, bytes)
}

#[test]
fn an_answer_comes_back_as_it_was() {
    let clock = Clock::live();
    let (key, entry, bytes) = sealed(&clock);
    let back = open(&bytes, &key).unwrap().unwrap();
    assert_eq!((back.body(), &back.headers, back.ttl), (entry.body(), &entry.headers, entry.ttl));
    assert_eq!(Label::peek(&bytes[..200]).unwrap().hash, *key.hash());
}

#[test]
fn another_question_with_the_same_hash_finds_nothing() {
    let clock = Clock::live();
    let (_, _, bytes) = sealed(&clock);
    assert_eq!(open(&bytes, &key("b", Some("ann"))), Ok(None));
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let clock = Clock::live();
    let (key, _, bytes) = sealed(&clock);
    for end in 0..bytes.len() {
        assert_eq!(open(&bytes[..end], &key), Err(Corrupt), "cut at {end}");
    }
    for at in 0..bytes.len() * 8 {
        let mut torn = bytes.clone();
        torn[at / 8] ^= 1 << (at % 8);
        assert_eq!(open(&torn, &key), Err(Corrupt), "bit {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn age_and_time_left_go_on_in_another_gate() {
    let old = Clock::live();
    let (key, _, bytes) = sealed(&old);
    for (later, fresh, of_use) in [(5, true, true), (59, true, true), (61, false, true), (91, false, false)] {
        let young = Clock::starting_at(old.wall() + Duration::from_secs(later));
        let back = open(&bytes, &key).unwrap().unwrap();
        assert_eq!(back.age(&young).as_secs(), later);
        assert_eq!((back.is_fresh(&young), back.is_of_use(&young)), (fresh, of_use), "{later} s later");
        assert_eq!(back.stale_for(&young).as_secs(), later.saturating_sub(60));
    }
}

/// What is written today must be read tomorrow, or be of another version: whoever changes what stands here changes the
/// version in [`MAGIC`].
#[test]
fn what_is_written_stands_in_this_order() {
    let parts = vec![("part".to_owned(), "1".to_owned())];
    let key = serde_json::json!({"parts": parts, "scope": "shared", "hash": vec![7; 32]});
    let key: Key = serde_json::from_value(key).unwrap();
    let clock = Clock::starting_at(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let mut entry = entry(clock, 3, 60);
    (entry.grace, entry.tags) = (Duration::from_secs(9), vec!["night".to_owned()]);
    let headers = vec![("content-type", b"text/plain".to_vec())];
    let (times, body, ends) = (entry.times.clone(), b"xxx".to_vec(), vec![3_usize]);
    let about = (entry.stored_at, entry.ttl, entry.grace, entry.age_before, entry.tags.clone(), None::<u8>);
    let expected = (parts, "shared", [7_u8; 32], 200_u16, headers, body, ends, times, about);
    assert_eq!(postcard::to_stdvec(&(key, entry)).unwrap(), postcard::to_stdvec(&expected).unwrap());
    assert_eq!(MAGIC[3], 1);
}

proptest! {
    #[test]
    fn no_bytes_at_all_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut with_magic = MAGIC.to_vec();
        with_magic.extend(&bytes);
        prop_assert_eq!(open(&bytes, &key("a", None)), Err(Corrupt));
        prop_assert_eq!(open(&with_magic, &key("a", None)), Err(Corrupt));
    }
}
