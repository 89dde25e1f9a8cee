use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::exchange::decision::CacheRule;

/// A key that differs by its part, for a user.
pub(super) fn key(part: &str, user: Option<&str>) -> Key {
    let parts = vec![("model".to_owned(), "\"m\"".to_owned()), ("part".to_owned(), part.to_owned())];
    Key::new(
        parts,
        &CacheRule::default(),
        user,
        "p",
        &Form { method: "POST", path: "/", dialect: None, stream: None, upstream: "up", model: None },
    )
}

/// An answer of so many bytes.
pub(super) fn entry(clock: Clock, size: usize, ttl: u64) -> Entry {
    Entry {
        status: 200,
        headers: vec![("content-type".to_owned(), Bytes::from_static(b"text/plain"))],
        chunks: vec![Bytes::from(vec![b'x'; size])],
        times: vec![Duration::ZERO],
        size,
        stored_at: clock.wall(),
        ttl: Duration::from_secs(ttl),
        grace: Duration::ZERO,
        age_before: Duration::ZERO,
        tags: Vec::new(),
        provenance: None,
    }
}

/// Waits until something holds.
pub(super) fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(2)); // paced: between two looks at what another thread does
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_only_found_by_who_asks_for_old_ones() {
    let clock = Clock::live();
    let cache = Cache::in_memory(clock, 1 << 20, 1 << 16);
    let mut old = entry(clock, 10, 60);
    old.grace = Duration::from_secs(30);
    cache.put(key("a", None), Arc::new(old), clock.wall()).unwrap();
    let seconds = Duration::from_secs;
    tokio::time::advance(seconds(70)).await;
    assert!(cache.get(&key("a", None)).await.is_none());
    assert!(cache.find(&key("a", None), seconds(10)).await.is_none());
    assert!(cache.find(&key("a", None), seconds(11)).await.is_some());
    tokio::time::advance(seconds(20)).await;
    assert!(cache.find(&key("a", None), seconds(100)).await.is_some(), "the store itself still has it");
    assert!(cache.get(&key("a", None)).await.is_none());
    assert_eq!(cache.stats().entries, 0, "of no more use");
}

#[tokio::test]
async fn a_purge_takes_what_is_meant_and_what_was_on_its_way() {
    let clock = Clock::live();
    let cache = Cache::in_memory(clock, 1 << 20, 1 << 16);
    let asked = clock.wall();
    for user in ["ann", "ben"] {
        cache.put(key("a", Some(user)), Arc::new(entry(clock, 10, 60)), clock.wall()).unwrap();
    }
    assert_eq!(cache.purge(&Pick::User("ann".to_owned())).await, Purged { memory: 1, ..Purged::default() });
    assert!(cache.get(&key("a", Some("ann"))).await.is_none() && cache.get(&key("a", Some("ben"))).await.is_some());
    until("time goes on", || clock.wall() > asked + Duration::from_millis(2));
    let put = |asked| cache.put(key("a", Some("ann")), Arc::new(entry(clock, 10, 60)), asked);
    assert_eq!(put(asked), Err(Refusal::Purged), "it came since, but was asked for before");
    assert!(cache.get(&key("a", Some("ann"))).await.is_none());
    assert_eq!(put(clock.wall()), Ok(()));
    assert_eq!(cache.purge(&Pick::All).await.memory, 2);
    assert_eq!(cache.show()["refused"]["purged"], 1);
}

/// The policy that memory uses to choose what goes must not let a walk through many answers, each asked for once, drive
/// out those that are asked for all the time. Answers that everybody asks for make up half of the room here, and ten times
/// the room is walked through.
#[tokio::test]
async fn a_walk_through_many_answers_does_not_drive_out_the_popular_ones() {
    let clock = Clock::live();
    let cache = Cache::in_memory(clock, 8 << 20, 1 << 16);
    let popular: Vec<Key> = (0..100).map(|number| key(&format!("popular {number}"), None)).collect();
    let ask = async |key: &Key| {
        let found = cache.get(key).await.is_some();
        if !found {
            cache.put(key.clone(), Arc::new(entry(clock, 40_000, 60)), clock.wall()).unwrap();
        }
        found
    };
    for _ in 0..3 {
        for key in &popular {
            ask(key).await;
        }
    }
    let (mut hits, mut asked) = (0, 0);
    for step in 0..2_000 {
        ask(&key(&format!("once {step}"), None)).await;
        if step % 4 == 0 {
            hits += u32::from(ask(&popular[(step / 4) % popular.len()]).await);
            asked += 1;
        }
    }
    assert!(hits * 100 >= asked * 95, "{hits} of {asked}");
}

#[tokio::test]
async fn a_recording_ends_in_the_cache_or_is_counted() {
    let clock = Clock::live();
    let cache = Cache::in_memory(clock, 1 << 20, 100);
    let recording = || Recording { ttl: Duration::from_mins(1), ..Recording::default() };
    let start = || Recorder::new(clock, recording(), cache.entry_limit(), 200, std::iter::empty());
    let mut whole = start();
    whole.push(&Bytes::from_static(b"ebb"), false);
    assert_eq!(cache.keep(whole.finish(true), key("a", None), clock.wall()), Ok(()));
    assert_eq!(cache.get(&key("a", None)).await.unwrap().body(), "ebb");
    let mut large = start();
    large.push(&Bytes::from(vec![b'x'; 101]), false);
    assert_eq!(cache.keep(large.finish(true), key("b", None), clock.wall()), Err(Refusal::TooLarge));
    assert_eq!(cache.keep(start().finish(false), key("c", None), clock.wall()), Err(Refusal::Incomplete));
    let mut refused = Recorder::new(clock, recording(), 100, 500, std::iter::empty());
    assert_eq!(cache.keep(refused.finish(true), key("d", None), clock.wall()), Err(Refusal::Status));
    let refused = cache.stats().to_json()["refused"].to_string();
    assert_eq!(refused, r#"{"status":1,"too_large":1,"incomplete":1}"#);
}
