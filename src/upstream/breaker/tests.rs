//! What opens a breaker, how long, and what closes it again.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;

const BAD: Outcome = Outcome::Failure { unreachable: false };
const GONE: Outcome = Outcome::Failure { unreachable: true };
const GOOD: Outcome = Outcome::Success;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rules() -> Rules {
    Rules::default()
}

fn attempt(breaker: &mut Breaker, at: u64, outcome: Outcome) -> Option<Turn> {
    let pass = breaker.enter(s(at), &rules(), false).0.expect("leave");
    breaker.record(s(at), &rules(), pass, outcome)
}

fn opened(at: u64, outcome: Outcome) -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..5 {
        attempt(&mut breaker, at, outcome);
    }
    assert!(!breaker.is_closed());
    breaker
}

#[test]
fn it_opens_after_five_in_a_row_and_not_after_four() {
    let mut breaker = Breaker::default();
    for _ in 0..4 {
        assert_eq!(attempt(&mut breaker, 1, BAD), None);
    }
    assert_eq!(breaker.standing(s(1), &rules()), Standing::Closed);
    assert_eq!(attempt(&mut breaker, 1, BAD), Some(Turn::Opened { until: s(16), openings: 1 }));
    assert_eq!(breaker.standing(s(15), &rules()), Standing::Open { until: s(16) });
    assert_eq!(breaker.enter(s(15), &rules(), false), (None, None));
}

#[test]
fn a_success_begins_the_row_anew() {
    let mut breaker = Breaker::default();
    for _ in 0..4 {
        for _ in 0..4 {
            attempt(&mut breaker, 1, BAD);
        }
        attempt(&mut breaker, 1, GOOD);
        assert_eq!((breaker.is_closed(), breaker.consecutive()), (true, 0));
        breaker.window = Window::default();
    }
}

#[test]
fn it_opens_when_half_of_twenty_fail_and_not_of_nineteen() {
    let mut breaker = Breaker::default();
    for n in 0..19 {
        assert_eq!(attempt(&mut breaker, 1, if n % 2 == 0 { BAD } else { GOOD }), None, "{n}");
    }
    assert_eq!(breaker.counted(s(1), &rules()), (19, 10));
    assert!(attempt(&mut breaker, 1, BAD).is_some());
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    let mut breaker = Breaker::default();
    for n in 0..19 {
        attempt(&mut breaker, 1, if n % 2 == 0 { BAD } else { GOOD });
    }
    assert_eq!(attempt(&mut breaker, 40, BAD), None);
    assert_eq!(breaker.counted(s(40), &rules()), (1, 1));
}

#[test]
fn only_two_may_try_at_once_and_two_successes_close_it() {
    let mut breaker = opened(0, BAD);
    assert_eq!(breaker.standing(s(15), &rules()), Standing::HalfOpen { free: true });
    let (first, turn) = breaker.enter(s(15), &rules(), false);
    assert_eq!(turn, Some(Turn::HalfOpened));
    let (second, _) = breaker.enter(s(15), &rules(), false);
    for _ in 0..100 {
        assert_eq!(breaker.enter(s(15), &rules(), false), (None, None));
    }
    assert_eq!(breaker.standing(s(15), &rules()), Standing::HalfOpen { free: false });
    assert_eq!(breaker.record(s(16), &rules(), first.unwrap(), GOOD), None);
    assert_eq!(breaker.standing(s(16), &rules()), Standing::HalfOpen { free: true });
    assert_eq!(breaker.record(s(16), &rules(), second.unwrap(), GOOD), Some(Turn::Closed));
}

#[test]
fn a_probe_that_says_nothing_gives_its_place_back() {
    let mut breaker = opened(0, BAD);
    for _ in 0..10 {
        let pass = breaker.enter(s(15), &rules(), false).0.expect("a place");
        breaker.release(pass);
    }
}

#[test]
fn a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_longest() {
    let mut breaker = opened(0, BAD);
    let mut now = 15;
    for time in [30, 60, 120, 240, 300, 300] {
        let turn = attempt(&mut breaker, now, BAD);
        assert!(matches!(turn, Some(Turn::Opened { until, .. }) if until == s(now + time)), "{turn:?} at {now}");
        now += time;
    }
}

#[test]
fn the_time_falls_back_after_being_closed_for_long() {
    for (closed_for, time) in [(299, 30), (300, 15)] {
        let mut breaker = opened(0, BAD);
        attempt(&mut breaker, 15, GOOD);
        assert_eq!(attempt(&mut breaker, 15, GOOD), Some(Turn::Closed));
        let now = 15 + closed_for;
        let turn = (0..5).map(|_| attempt(&mut breaker, now, BAD)).last().flatten();
        assert!(matches!(turn, Some(Turn::Opened { until, .. }) if until == s(now + time)), "{turn:?}");
    }
}

#[test]
fn what_began_before_it_opened_says_nothing_about_what_came_after() {
    let mut breaker = Breaker::default();
    let early = breaker.enter(s(0), &rules(), false).0.expect("leave");
    let late = breaker.enter(s(0), &rules(), false).0.expect("leave");
    for _ in 0..5 {
        attempt(&mut breaker, 0, BAD);
    }
    assert_eq!(breaker.record(s(1), &rules(), early, GOOD), None);
    breaker.enter(s(15), &rules(), false).0.expect("a place");
    assert_eq!(breaker.record(s(15), &rules(), late, BAD), None, "a stale failure opens nothing");
    assert_eq!(breaker.standing(s(15), &rules()), Standing::HalfOpen { free: true });
}

#[test]
fn one_that_was_forced_revives_it_and_cannot_prolong_it() {
    let mut breaker = opened(0, BAD);
    let forced = breaker.enter(s(1), &rules(), true).0.expect("forced");
    assert_eq!(breaker.record(s(1), &rules(), forced, BAD), None);
    assert_eq!(breaker.standing(s(1), &rules()), Standing::Open { until: s(15) });
    let forced = breaker.enter(s(1), &rules(), true).0.expect("forced");
    assert_eq!(breaker.record(s(1), &rules(), forced, GOOD), Some(Turn::HalfOpened));
    assert_eq!(attempt(&mut breaker, 1, GOOD), Some(Turn::Closed));
}

#[test]
fn two_that_were_forced_at_once_close_it() {
    let mut breaker = opened(0, BAD);
    let passes: Vec<Pass> = (0..3).filter_map(|_| breaker.enter(s(1), &rules(), true).0).collect();
    assert_eq!(breaker.record(s(1), &rules(), passes[0], GOOD), Some(Turn::HalfOpened));
    assert_eq!(breaker.record(s(1), &rules(), passes[1], BAD), None);
    assert_eq!(breaker.record(s(1), &rules(), passes[2], GOOD), Some(Turn::Closed));
}

#[test]
fn a_sign_of_life_revives_at_once_only_what_nobody_was_at() {
    let mut dead = opened(0, GONE);
    assert_eq!(dead.probed(s(1), &rules(), false), None);
    assert_eq!(dead.probed(s(2), &rules(), true), Some(Turn::HalfOpened));
    assert_eq!(dead.probed(s(3), &rules(), true), Some(Turn::Closed));

    let mut sick = opened(0, BAD);
    assert_eq!(sick.probed(s(1), &rules(), true), None);
    assert_eq!(sick.probed(s(15), &rules(), true), Some(Turn::HalfOpened));
    assert!(matches!(sick.probed(s(15), &rules(), false), Some(Turn::Opened { .. })));
}

#[test]
fn probes_that_find_nobody_open_it_and_those_that_do_hide_no_failures() {
    let mut breaker = Breaker::default();
    for _ in 0..4 {
        attempt(&mut breaker, 0, BAD);
        assert_eq!(breaker.probed(s(0), &rules(), true), None);
    }
    assert!(breaker.probed(s(0), &rules(), false).is_some(), "the fifth failure in a row");
}

#[test]
fn what_another_gate_says_is_taken_over_once() {
    let mut breaker = Breaker::default();
    assert_eq!(breaker.told_open(s(20), 3), Some(Turn::Opened { until: s(20), openings: 3 }));
    assert_eq!(breaker.told_open(s(20), 3), None);
    assert_eq!(breaker.reset(s(1)), Some(Turn::Closed));
    assert_eq!(breaker.reset(s(1)), None);
}

#[test]
fn switched_off_it_lets_everything_through() {
    let off = Rules { on: false, ..rules() };
    let mut breaker = opened(0, BAD);
    assert_eq!(breaker.standing(s(1), &off), Standing::Closed);
    let pass = breaker.enter(s(1), &off, false).0.expect("leave");
    assert_eq!(breaker.record(s(1), &off, pass, BAD), None);
}

proptest! {
    #[test]
    fn never_more_probes_at_once_than_allowed(
        steps in prop::collection::vec((0_u8..5, 0_u64..40, any::<prop::sample::Index>()), 1..200),
        probes in 1_u32..4,
    ) {
        let rules = Rules { probes: NonZeroU32::new(probes).unwrap(), ..rules() };
        let (mut breaker, mut now, mut under_way) = (Breaker::default(), 0, Vec::<Pass>::new());
        for (step, passed, which) in steps {
            now += passed / 8;
            if step == 0 || under_way.is_empty() {
                under_way.extend(breaker.enter(s(now), &rules, false).0);
            } else {
                let pass = under_way.swap_remove(which.index(under_way.len()));
                if step == 2 {
                    breaker.release(pass);
                } else {
                    breaker.record(s(now), &rules, pass, if step == 1 { GOOD } else { BAD });
                }
            }
            let trying = under_way.iter().filter(|pass| pass.era == breaker.era && pass.sort == Sort::Probe).count();
            prop_assert!(trying <= probes as usize);
            if let State::HalfOpen { running, .. } = breaker.state {
                prop_assert_eq!(running as usize, trying);
            }
        }
    }
}
