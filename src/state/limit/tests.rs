use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn rate(rate: f64, seconds: u64, burst: f64) -> Rate {
    Rate { rate, per: Duration::from_secs(seconds), burst, cost: 1.0 }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_met_then_one_token_at_a_time() {
    let limiter = Limiter::new(Clock::live());
    let slow = rate(10.0, 60, 3.0);
    for left in [2.0, 1.0, 0.0] {
        let taken = limiter.take("u", slow);
        assert!(taken.ok && (taken.remaining - left).abs() < 1e-6, "{taken:?}");
    }
    let taken = limiter.take("u", slow);
    assert!(!taken.ok && taken.remaining < 1e-6);
    assert_eq!(taken.retry_after.as_millis(), 6_000);
    assert!(limiter.take("v", slow).ok, "another key has its own tokens");
    tokio::time::advance(Duration::from_millis(5_999)).await;
    assert!(!limiter.take("u", slow).ok);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(limiter.take("u", slow).ok);
    assert!(!limiter.take("u", slow).ok);
    tokio::time::advance(Duration::from_hours(1)).await;
    let rested = (0..10).filter(|_| limiter.take("u", slow).ok).count();
    assert_eq!(rested, 3, "rest does not pile up more than a burst");
}

#[tokio::test(start_paused = true)]
async fn costs_are_taken_whole_or_not_at_all() {
    let limiter = Limiter::new(Clock::live());
    let cost = |cost| Rate { cost, ..rate(1.0, 1, 100.0) };
    assert!(limiter.take("u", cost(70.0)).ok);
    assert_eq!(limiter.take("u", cost(70.0)).retry_after, Duration::from_secs(40));
    assert!((limiter.take("u", cost(0.0)).remaining - 30.0).abs() < 1e-6, "looking takes nothing");
    assert!(limiter.take("u", cost(30.0)).ok);
    let never = limiter.take("u", cost(101.0));
    assert!(!never.ok && never.retry_after == Duration::from_secs(100));
}

#[test]
fn a_rate_that_is_none_is_never_met() {
    let limiter = Limiter::new(Clock::live());
    for bad in [rate(0.0, 1, 1.0), rate(-1.0, 1, 1.0), rate(f64::NAN, 1, 1.0), rate(1.0, 0, 1.0), rate(1.0, 1, 0.0)] {
        assert!(!limiter.take("u", bad).ok, "{bad:?}");
    }
    assert!(!limiter.take("u", Rate { cost: -1.0, ..rate(1.0, 1, 1.0) }).ok);
}

#[test]
fn a_hundred_threads_never_get_more_than_the_burst() {
    let limiter = Limiter::new(Clock::live());
    let (met, barrier) = (AtomicUsize::new(0), Barrier::new(100));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                barrier.wait();
                let got = (0..200).filter(|_| limiter.take("u", rate(1.0, 86_400, 1_000.0)).ok).count();
                met.fetch_add(got, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(met.into_inner(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn idle_keys_are_forgotten_and_busy_ones_are_bounded() {
    let limiter = Limiter::with_keys(Clock::live(), 1, 100);
    for number in 0..1_000 {
        limiter.take(&format!("k{number}"), rate(1.0, 10, 1.0));
    }
    assert_eq!(limiter.keys(), 100);
    tokio::time::advance(Duration::from_secs(11)).await;
    for number in 0..100 {
        limiter.take(&format!("n{number}"), rate(1.0, 10, 1.0));
        assert!(limiter.take("kept", rate(1.0, 10, 5.0)).ok == (number < 5));
    }
    assert_eq!(limiter.keys(), 100, "the hundred new ones, less one, and the kept one");
    assert!(!limiter.take("n99", rate(1.0, 10, 1.0)).ok);
}
