use std::sync::Barrier;

use serde_json::json;

use super::*;

fn store(limits: StoreLimits) -> Store {
    Store::new(Clock::live(), limits)
}

fn small(entries: usize) -> Store {
    store(StoreLimits { entries, ..StoreLimits::default() })
}

#[test]
fn namespaces_and_keys_are_kept_apart() {
    let store = small(10);
    store.set("a", "k", json!({"x": [1]}), None).unwrap();
    store.set("b", "k", json!(2), None).unwrap();
    assert_eq!(store.get("a", "k"), Some(json!({"x": [1]})));
    assert_eq!(store.get("b", "k"), Some(json!(2)));
    assert_eq!(store.get("c", "k"), None);
    assert!(store.delete("a", "k"));
    assert!(!store.delete("a", "k"));
    assert_eq!((store.get("a", "k"), store.get("b", "k")), (None, Some(json!(2))));
}

#[tokio::test(start_paused = true)]
async fn values_expire_on_the_clock() {
    let store = small(10);
    let minute = Some(Duration::from_mins(1));
    store.set("a", "k", json!(1), minute).unwrap();
    assert_eq!(store.incr("a", "n", 1.0, minute), Ok(1.0));
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(store.get("a", "k"), Some(json!(1)));
    assert_eq!(store.add("a", "k", json!(9), None), Ok(false));
    assert_eq!(store.incr("a", "n", 2.0, minute), Ok(3.0));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(store.get("a", "k"), None);
    assert!(!store.delete("a", "k"));
    assert_eq!(store.incr("a", "n", 5.0, minute), Ok(5.0), "the second call did not prolong it");
    assert_eq!(store.add("a", "k", json!(9), None), Ok(true));
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert_eq!(store.get("a", "k"), Some(json!(9)), "a value without a ttl stays");
}

#[test]
fn counting_needs_numbers() {
    let store = small(10);
    assert_eq!(store.incr("a", "n", 1.0, None), Ok(1.0));
    assert_eq!(store.get("a", "n").unwrap().to_string(), "1", "a whole number has no fraction");
    assert_eq!(store.incr("a", "n", -0.5, None), Ok(0.5));
    assert_eq!(store.incr("a", "n", f64::NAN, None), Err(Refused::NotANumber));
    store.set("a", "s", json!("1"), None).unwrap();
    assert_eq!(store.incr("a", "s", 1.0, None), Err(Refused::NotANumber));
    assert_eq!(store.get("a", "n"), Some(json!(0.5)));
}

#[test]
fn compare_and_set_knows_absence_and_equal_numbers() {
    let store = small(10);
    assert_eq!(store.cas("a", "k", Some(&json!(1)), Some(json!(2)), None), Ok(false));
    assert_eq!(store.cas("a", "k", None, Some(json!({"n": [1]})), None), Ok(true));
    assert_eq!(store.cas("a", "k", None, Some(json!(2)), None), Ok(false));
    assert_eq!(store.cas("a", "k", Some(&json!({"n": [1.0]})), Some(json!(2)), None), Ok(true));
    assert_eq!(store.cas("a", "k", Some(&json!(2)), None, None), Ok(true));
    assert_eq!(store.get("a", "k"), None);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_goes_before_what_is_least_used() {
    let store = small(3);
    store.set("a", "old", json!(1), None).unwrap();
    store.set("a", "short", json!(1), Some(Duration::from_secs(1))).unwrap();
    store.set("a", "used", json!(1), None).unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    store.set("a", "fourth", json!(1), None).unwrap();
    assert!(store.get("a", "old").is_some(), "the expired one made room");
    store.set("a", "fifth", json!(1), None).unwrap();
    assert!(store.get("a", "used").is_none(), "it was not used for longest");
    assert!(store.get("a", "old").is_some());
    let stats = &store.stats()[0];
    assert_eq!((stats.entries, stats.expired, stats.evicted, stats.refused), (3, 1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn counters_are_refused_and_never_evicted() {
    let store = small(2);
    store.incr("counters:x", "a", 1.0, Some(Duration::from_secs(5))).unwrap();
    store.incr("counters:x", "b", 1.0, None).unwrap();
    assert_eq!(store.incr("counters:x", "c", 1.0, None), Err(Refused::Full));
    assert_eq!(store.incr("counters:x", "b", 1.0, None), Ok(2.0), "what is there still counts");
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(store.incr("counters:x", "c", 1.0, None), Ok(1.0), "an expired one makes room");
    assert_eq!(store.stats()[0].refused, 1);
}

#[test]
fn memory_stays_within_the_limit_while_ten_times_as_much_is_stored() {
    let limits = StoreLimits { entries: 1_000_000, bytes: 1 << 20, value_bytes: 10_000, namespaces: 2 };
    let store = store(limits);
    for number in 0..5_000 {
        store.set("a", &format!("key {number}"), json!("x".repeat(number % 4_000)), None).unwrap();
        assert!(number % 100 != 0 || store.stats()[0].bytes <= limits.bytes);
    }
    let stats = &store.stats()[0];
    assert!(stats.bytes > limits.bytes / 2 && stats.evicted > 3_000, "{stats:?}");
    assert!(store.get("a", "key 4999").is_some());
    assert_eq!(store.set("a", "big", json!("x".repeat(10_000)), None), Err(Refused::TooLarge));
    store.set("b", "k", json!(1), None).unwrap();
    assert_eq!(store.set("c", "k", json!(1), None), Err(Refused::Full), "namespaces are counted");
}

#[test]
fn a_value_that_is_refused_leaves_the_old_one() {
    let store = store(StoreLimits { bytes: 1_000, value_bytes: 900, ..StoreLimits::default() });
    store.set("counters:x", "a", json!("old"), None).unwrap();
    store.set("counters:x", "b", json!("old"), None).unwrap();
    assert_eq!(store.set("counters:x", "a", json!("x".repeat(500)), None), Err(Refused::Full));
    assert_eq!(store.get("counters:x", "a"), Some(json!("old")));
}

#[test]
fn counting_from_many_threads_loses_nothing() {
    let store = store(StoreLimits::default());
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..1_000 {
                    store.incr("counters:x", "n", 1.0, None).unwrap();
                }
            });
        }
    });
    assert_eq!(store.get("counters:x", "n"), Some(json!(8_000)));
}
