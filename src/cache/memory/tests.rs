use std::time::Duration;

use super::*;
use crate::cache::tests;

fn key(part: &str) -> Key {
    tests::key(part, Some("ann"))
}

fn entry(clock: Clock, size: usize, ttl: u64) -> Arc<Entry> {
    Arc::new(Entry { tags: vec![format!("size {size}")], ..tests::entry(clock, size, ttl) })
}

fn get(cache: &MemoryCache, part: &str) -> Option<Arc<Entry>> {
    cache.find(&key(part), Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn an_answer_serves_until_its_time_is_over() {
    let clock = Clock::live();
    let cache = MemoryCache::new(clock, 1 << 20, 1 << 16);
    assert!(get(&cache, "a").is_none());
    cache.put(key("a"), entry(clock, 10, 60)).unwrap();
    tokio::time::advance(Duration::from_millis(59_999)).await;
    assert_eq!(get(&cache, "a").unwrap().size, 10);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(get(&cache, "a").is_none());
    let stats = cache.stats();
    assert_eq!((stats.stored, stats.entries, stats.bytes), (1, 0, 0));
}

#[test]
fn memory_stays_within_the_limit_while_ten_times_as_much_is_stored() {
    let (clock, limit) = (Clock::live(), 4 << 20);
    let cache = MemoryCache::new(clock, limit, limit);
    for number in 0..1_000 {
        cache.put(key(&number.to_string()), entry(clock, 40_000 + number, 60)).unwrap();
        assert!(cache.stats().bytes <= limit as u64);
    }
    let stats = cache.stats();
    assert!(stats.bytes > limit as u64 / 2 && stats.evicted == 1_000 - stats.entries as u64, "{stats:?}");
    assert!(get(&cache, "999").is_some());
    assert_eq!(cache.put(key("big"), entry(clock, 3 << 20, 60)).err(), Some(Refusal::TooLarge));
    assert_eq!(cache.stats().refused, [(Refusal::TooLarge, 1)]);
}

#[test]
fn an_equal_hash_is_not_enough() {
    let clock = Clock::live();
    let cache = MemoryCache::new(clock, 1 << 20, 1 << 16);
    let stored = Arc::new(Stored { key: key("other"), entry: entry(clock, 10, 60) });
    cache.entries.insert(*key("mine").hash(), stored);
    assert!(get(&cache, "mine").is_none());
}

#[test]
fn answers_are_cleared_all_or_by_tag_or_by_key() {
    let clock = Clock::live();
    let cache = MemoryCache::new(clock, 1 << 20, 1 << 16);
    for size in 1..=5 {
        cache.put(key(&size.to_string()), entry(clock, size, 60)).unwrap();
    }
    let hash = key("1").hash_hex();
    assert_eq!(cache.purge(|key, _| key.hash_hex() == hash), 1);
    assert_eq!(cache.purge(|_, entry| entry.tags.iter().any(|tag| tag == "size 2")), 1);
    assert!(get(&cache, "2").is_none() && get(&cache, "3").is_some());
    assert_eq!(cache.purge(|_, _| true), 3);
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
}

#[test]
fn many_shards_still_take_large_answers() {
    let clock = Clock::live();
    let cache = MemoryCache::new(clock, 1 << 30, 1 << 25);
    assert_eq!(cache.entries.num_shards(), 16);
    cache.put(key("big"), entry(clock, 16 << 20, 60)).unwrap();
    assert!(get(&cache, "big").is_some());
}

#[test]
fn a_smaller_limit_holds_at_once() {
    let clock = Clock::live();
    let cache = MemoryCache::new(clock, 1 << 20, 1 << 16);
    for number in 0..20 {
        cache.put(key(&number.to_string()), entry(clock, 40_000, 60)).unwrap();
    }
    cache.resize(200_000, 10);
    let stats = cache.stats();
    assert!(stats.bytes <= 200_000 && stats.entries > 0, "{stats:?}");
}
