//! Each strategy's promise, and what holds under all of them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::*;
use crate::clock::Clock;
use crate::settings::{self, By};
use crate::upstream::build;
use crate::upstream::health::{Ticket, Verdict};

/// One time for all: what opened first reopens first.
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::live);

/// An upstream with endpoints of these weights, named `0`, `1` and so on.
fn upstream(settings: &str, weights: &[u32]) -> Arc<Upstream> {
    let endpoints: Vec<_> = weights
        .iter()
        .enumerate()
        .map(|(at, weight)| {
            format!("{{ name = \"{at}\", url = \"http://127.0.0.1:{}\", weight = {weight} }}", 9000 + at)
        })
        .collect();
    let text = format!("[upstreams.up]\nendpoints = [{}]\n{settings}\n", endpoints.join(", "));
    let settings = settings::parse(&text, "tidegate.toml").unwrap_or_else(|faults| panic!("{faults:?}"));
    Arc::clone(build::upstreams(&settings).get("up").unwrap())
}

fn by(by: By, weights: &[u32]) -> Arc<Upstream> {
    upstream(&format!("balance.by = \"{}\"", by.as_str()), weights)
}

fn at(now: u64) -> Ask<'static> {
    Ask { now: Duration::from_secs(now), ..Ask::default() }
}

fn chosen(upstream: &Upstream, key: Option<u64>, tried: &[&str]) -> Option<String> {
    let found = choose(upstream, &at(0), key, |e| tried.contains(&e.name.as_str()), fastrand::f64);
    found.fit.map(|endpoint| endpoint.name.clone())
}

/// How often each is chosen in so many requests.
fn shares(upstream: &Upstream, tried: &[&str], requests: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in 0..requests {
        if let Some(name) = chosen(upstream, Some(key_of(&request.to_le_bytes())), tried) {
            *counts.entry(name).or_default() += 1;
        }
    }
    counts
}

fn attempt(upstream: &Arc<Upstream>, name: &str, verdict: Verdict) {
    let endpoint = upstream.endpoints.iter().find(|endpoint| endpoint.name == name).unwrap();
    let ticket = Ticket::take(upstream, endpoint, &at(0), *CLOCK, true).unwrap();
    ticket.settle(verdict);
}

fn fail(upstream: &Arc<Upstream>, name: &str) {
    (0..5).for_each(|_| attempt(upstream, name, Verdict::Failed { kind: "reset", unreachable: false }));
}

const ALL: [By; 6] = [By::Weighted, By::RoundRobin, By::LeastBusy, By::Latency, By::Score, By::Hash];

#[test]
fn weights_are_respected_by_those_that_go_by_weight() {
    for strategy in [By::Weighted, By::RoundRobin, By::Hash] {
        let shares = shares(&by(strategy, &[1, 3]), &[], 4000);
        let slack = if strategy == By::RoundRobin { 1 } else { 200 };
        assert!(shares["0"].abs_diff(1000) < slack && shares["1"].abs_diff(3000) < slack, "{strategy:?}: {shares:?}");
    }
}

#[test]
fn weight_zero_serves_only_as_reserve_under_every_strategy() {
    for strategy in ALL {
        let upstream = by(strategy, &[0, 1]);
        assert_eq!(shares(&upstream, &[], 100).into_keys().collect::<Vec<_>>(), ["1"], "{strategy:?}");
        assert_eq!(chosen(&upstream, Some(1), &["1"]).as_deref(), Some("0"), "{strategy:?}");
        fail(&upstream, "1");
        assert_eq!(chosen(&upstream, Some(1), &[]).as_deref(), Some("0"), "{strategy:?}: the other is open");
    }
}

#[test]
fn all_zero_is_uniform() {
    for strategy in [By::Weighted, By::RoundRobin, By::LeastBusy, By::Latency, By::Hash] {
        let shares = shares(&by(strategy, &[0, 0]), &[], 2000);
        assert!(shares["0"].abs_diff(1000) < 150, "{strategy:?}: {shares:?}");
    }
}

#[test]
fn no_endpoint_is_chosen_twice_and_none_is_left_at_the_end() {
    for strategy in ALL {
        let upstream = by(strategy, &[5, 1, 1, 0]);
        let mut tried: Vec<String> = Vec::new();
        while let Some(next) = chosen(&upstream, Some(7), &tried.iter().map(String::as_str).collect::<Vec<_>>()) {
            assert!(!tried.contains(&next), "{strategy:?}");
            tried.push(next);
        }
        assert_eq!((tried.len(), tried.last().map(String::as_str)), (4, Some("3")), "{strategy:?}");
    }
}

#[test]
fn open_endpoints_are_passed_over_under_every_strategy_and_the_soonest_is_named() {
    for strategy in ALL {
        let upstream = by(strategy, &[1, 1, 1]);
        fail(&upstream, "0");
        assert!(!shares(&upstream, &[], 200).contains_key("0"), "{strategy:?}");
        fail(&upstream, "1");
        fail(&upstream, "2");
        let found = choose(&upstream, &at(0), Some(1), |_| false, fastrand::f64);
        assert!(found.fit.is_none() && found.left == 3, "{strategy:?}");
        assert_eq!(found.open.unwrap().0.name, "0", "{strategy:?}: it was the first to open");
    }
}

#[test]
fn one_that_has_to_prove_itself_is_asked_next_and_by_two_at_once() {
    for strategy in [By::Weighted, By::RoundRobin, By::LeastBusy, By::Latency, By::Score] {
        let upstream = by(strategy, &[1, 100]);
        fail(&upstream, "0");
        let later = at(1000);
        let pick = || choose(&upstream, &later, None, |_| false, fastrand::f64).fit.unwrap();
        let (first, second) = (pick(), pick());
        assert_eq!((first.name.as_str(), second.name.as_str()), ("0", "0"), "{strategy:?}");
        let take = |endpoint| Ticket::take(&upstream, endpoint, &later, *CLOCK, false);
        let _under_way = (take(first).unwrap(), take(second).unwrap());
        assert!(take(first).is_none(), "{strategy:?}");
        assert_eq!(pick().name, "1", "{strategy:?}");
    }
}

#[test]
fn turns_are_spread_evenly() {
    let upstream = by(By::RoundRobin, &[4, 2, 1]);
    let order: String = (0..14).filter_map(|_| chosen(&upstream, None, &[])).collect();
    assert_eq!(order, "01020100102010");
    assert!(!order.contains("000") && !order.contains("11"), "{order}");
}

#[test]
fn the_least_busy_for_its_weight_is_chosen() {
    let upstream = by(By::LeastBusy, &[1, 3]);
    let mut under_way = Vec::new();
    for _ in 0..40 {
        let endpoint = choose(&upstream, &at(0), None, |_| false, fastrand::f64).fit.unwrap();
        under_way.push(Ticket::take(&upstream, endpoint, &at(0), *CLOCK, false).unwrap());
    }
    let busy = |at: usize| upstream.endpoints[at].vitals().under_way();
    assert!(busy(0).abs_diff(10) <= 1 && busy(1).abs_diff(30) <= 1, "{} and {}", busy(0), busy(1));
    under_way.clear();
    assert_eq!((busy(0), busy(1)), (0, 0), "what is over is not under way");
}

#[tokio::test(start_paused = true)]
async fn the_quicker_one_is_asked_more_and_a_slow_one_is_not_forgotten() {
    let (upstream, clock) = (by(By::Latency, &[1, 1]), Clock::live());
    let heard = |at: usize, took: u64| {
        let endpoint = &upstream.endpoints[at];
        let began = clock.elapsed().saturating_sub(Duration::from_millis(took));
        let ask = Ask { now: began, ..Ask::default() };
        let mut ticket = Ticket::take(&upstream, endpoint, &ask, clock, false).unwrap();
        ticket.heard(200, &http::HeaderMap::new(), || true);
        ticket.served(None);
    };
    let shares = |now: Duration| {
        let ask = Ask { now, ..Ask::default() };
        let pick = || choose(&upstream, &ask, None, |_| false, fastrand::f64).fit.unwrap().name == "0";
        (0..1000).filter(|_| pick()).count()
    };
    tokio::time::advance(Duration::from_mins(1)).await;
    heard(0, 2000);
    heard(1, 50);
    assert_eq!(shares(clock.elapsed()), 0, "of two, the better one");
    tokio::time::advance(Duration::from_mins(2)).await;
    heard(1, 50);
    assert_eq!(shares(clock.elapsed()), 1000, "what was slow long ago may be quick now");
}

#[test]
fn a_score_prefers_what_is_reliable_quick_and_cheap_and_tries_what_it_does_not_know() {
    let upstream = by(By::Score, &[1, 1, 1]);
    assert_eq!(chosen(&upstream, None, &[]).as_deref(), Some("0"), "without any sample the first is asked");
    attempt(&upstream, "0", Verdict::Served(Some(20.0)));
    assert_eq!(chosen(&upstream, None, &[]).as_deref(), Some("1"), "then one that was not asked yet");
    attempt(&upstream, "1", Verdict::Served(Some(90.0)));
    attempt(&upstream, "2", Verdict::Refused);
    let shares = shares(&upstream, &[], 2000);
    assert!(shares["1"] > 1800, "{shares:?}");
    assert!(shares["0"] > 5 && shares["2"] > 5, "the others are looked at now and then: {shares:?}");
}

#[test]
fn cost_counts_when_it_is_given_weight_and_ties_are_decided_by_order() {
    let of = |cost: u32| {
        let text = format!(
            "[upstreams.up]\nendpoints = [{{ name = \"dear\", url = \"http://a\", cost = 30 }}, {{ name = \"cheap\", url = \
             \"http://b\", cost = 3 }}]\nbalance = {{ by = \"score\", cost = {cost} }}\n"
        );
        let upstreams = build::upstreams(&settings::parse(&text, "tidegate.toml").unwrap());
        let upstream = Arc::clone(upstreams.get("up").unwrap());
        attempt(&upstream, "dear", Verdict::Served(None));
        attempt(&upstream, "cheap", Verdict::Served(None));
        choose(&upstream, &at(0), None, |_| false, || 0.9).fit.unwrap().name.clone()
    };
    assert_eq!((of(10), of(0)), ("cheap".to_owned(), "dear".to_owned()));
}

#[test]
fn a_key_stays_where_it_is_goes_to_the_next_when_that_is_open_and_comes_back() {
    for weights in [[1, 1, 1, 1], [1, 2, 3, 4]] {
        let upstream = by(By::Hash, &weights);
        let homes = |tried: &[&str]| -> Vec<_> {
            (0..500_u64).map(|key| chosen(&upstream, Some(key_of(&key.to_le_bytes())), tried).unwrap()).collect()
        };
        let before = homes(&[]);
        assert_eq!(before, homes(&[]));
        fail(&upstream, "2");
        let during = homes(&[]);
        for (home, now) in before.iter().zip(&during) {
            assert!(now != "2" && (home == "2" || home == now), "only keys of the open one move");
        }
        assert!(during.iter().zip(&before).filter(|(_, home)| *home == "2").any(|(now, _)| now == "0"));
        upstream.endpoints[2].vitals().probed(&upstream.breaker, Duration::from_mins(15), true);
        upstream.endpoints[2].vitals().probed(&upstream.breaker, Duration::from_mins(15), true);
        assert_eq!(homes(&[]), before);
    }
}

#[test]
fn a_request_without_a_key_goes_anywhere_by_weight() {
    let upstream = by(By::Hash, &[1, 1]);
    let names: std::collections::BTreeSet<_> = (0..100).filter_map(|_| chosen(&upstream, None, &[])).collect();
    assert_eq!(names.len(), 2);
}

#[test]
fn one_with_a_free_place_goes_before_one_with_a_line() {
    let upstream = upstream("queue.at_once = 1", &[100, 1]);
    let take = |endpoint| Ticket::take(&upstream, endpoint, &at(0), *CLOCK, false).unwrap();
    let _under_way = take(&upstream.endpoints[0]);
    assert_eq!(shares(&upstream, &[], 50).into_keys().collect::<Vec<_>>(), ["1"]);
}

#[test]
fn chance_is_asked_only_when_there_is_a_choice() {
    for strategy in ALL {
        let upstream = by(strategy, &[1, 0]);
        let found = choose(&upstream, &at(0), None, |_| false, || unreachable!("there is no choice"));
        assert_eq!(found.fit.unwrap().name, "0");
    }
}
