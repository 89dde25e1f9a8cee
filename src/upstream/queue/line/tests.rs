use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

const AGEING: Duration = Duration::from_secs(10);

const CLASSES: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

fn line(at_once: u32, waiting: u32) -> Line<u32> {
    Line::new(Limits { at_once, waiting, ageing: AGEING })
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Enters with an hour's patience.
fn enter(line: &mut Line<u32>, now: u64, class: Priority, ticket: u32) -> Entered {
    line.enter(secs(now), class, secs(now + 3600), || ticket)
}

/// Gives one place back and tells who has it next.
fn turn(line: &mut Line<u32>, now: u64) -> Option<u32> {
    line.leave(secs(1));
    line.next(secs(now))
}

#[test]
fn the_higher_class_is_served_first_and_each_class_in_its_order() {
    let mut line = line(1, 10);
    assert_eq!(enter(&mut line, 0, Priority::Low, 0), Entered::Place);
    for (ticket, class) in
        [(1, CLASSES[3]), (2, CLASSES[2]), (3, CLASSES[3]), (4, CLASSES[0]), (5, CLASSES[1]), (6, CLASSES[0])]
    {
        assert!(matches!(enter(&mut line, 1, class, ticket), Entered::Waits(_)));
    }
    assert_eq!(line.by_class(), [2, 1, 1, 2]);
    let order: Vec<u32> = std::iter::from_fn(|| turn(&mut line, 2)).collect();
    assert_eq!(order, [4, 6, 5, 2, 1, 3]);
}

#[test]
fn a_low_entry_is_overtaken_only_by_those_that_come_within_three_times_the_ageing() {
    let mut line = line(1, 1000);
    enter(&mut line, 0, Priority::Low, 0);
    enter(&mut line, 0, Priority::Low, 1);
    for now in 1..60 {
        enter(&mut line, now, Priority::Critical, 100 + u32::try_from(now).unwrap());
    }
    let served = std::iter::from_fn(|| turn(&mut line, 60)).take_while(|ticket| *ticket != 1).count();
    assert_eq!(served, 29);
}

#[test]
fn whoever_finds_no_room_is_turned_away_unless_somebodys_time_is_over() {
    let mut line = line(1, 1);
    enter(&mut line, 0, Priority::Normal, 0);
    assert!(matches!(line.enter(secs(0), Priority::Normal, secs(5), || 1), Entered::Waits(_)));
    assert_eq!(enter(&mut line, 4, Priority::Critical, 2), Entered::Full);
    assert!(matches!(enter(&mut line, 5, Priority::Low, 3), Entered::Waits(_)));
    assert_eq!(turn(&mut line, 6), Some(3));
}

#[test]
fn whose_time_is_over_never_has_a_turn() {
    let mut line = line(1, 10);
    enter(&mut line, 0, Priority::Normal, 0);
    line.enter(secs(0), Priority::Normal, secs(2), || 1);
    line.enter(secs(0), Priority::Normal, secs(9), || 2);
    assert_eq!(turn(&mut line, 2), Some(2));
    assert_eq!(turn(&mut line, 3), None);
}

#[test]
fn a_position_counts_the_turns_before_it() {
    let mut line = line(1, 10);
    enter(&mut line, 0, Priority::Normal, 0);
    let Entered::Waits(low) = enter(&mut line, 0, Priority::Low, 1) else { panic!("it waits") };
    assert_eq!(line.position(low), Some(1));
    let Entered::Waits(high) = enter(&mut line, 0, Priority::High, 2) else { panic!("it waits") };
    assert_eq!((line.position(high), line.position(low)), (Some(1), Some(2)));
    assert!(line.cancel(high));
    assert!(!line.cancel(high));
    assert_eq!(line.position(low), Some(1));
}

#[test]
fn more_places_are_given_to_those_who_wait() {
    let mut line = line(1, 10);
    for ticket in 0..4 {
        enter(&mut line, 0, Priority::Normal, ticket);
    }
    line.limit(Limits { at_once: 3, ..line.limits() });
    let started: Vec<u32> = std::iter::from_fn(|| line.next(secs(1))).collect();
    assert_eq!((started, line.running()), (vec![1, 2], 3));
    line.limit(Limits { at_once: 1, ..line.limits() });
    assert_eq!((turn(&mut line, 2), turn(&mut line, 2), turn(&mut line, 2)), (None, None, Some(3)));
}

#[test]
fn an_estimate_grows_with_the_line() {
    let mut line = line(2, 100);
    assert_eq!(line.estimate(), secs(1));
    enter(&mut line, 0, Priority::Normal, 0);
    line.leave(secs(8));
    for ticket in 0..5 {
        enter(&mut line, 0, Priority::Normal, ticket);
    }
    assert_eq!(line.estimate(), secs(16));
    for ticket in 0..90 {
        enter(&mut line, 0, Priority::Normal, ticket);
    }
    assert_eq!(line.estimate(), secs(60));
}

/// What happens to a line.
#[derive(Clone, Debug)]
enum Act {
    /// Somebody enters, with so many seconds of patience.
    Enter(usize, u64),
    /// The one that entered so many entries ago leaves, whether it waits or not.
    Cancel(usize),
    /// Whoever has had a place the longest gives it back.
    Leave,
    /// Seconds pass.
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..4_usize, 1..90_u64).prop_map(|(class, patience)| Act::Enter(class, patience)),
        1 => (0..12_usize).prop_map(Act::Cancel),
        3 => Just(Act::Leave),
        2 => (0..15_u64).prop_map(Act::Pass),
    ]
}

/// One that entered, as a plain reading of the rules keeps it.
#[derive(Clone, Debug)]
struct Model {
    class: usize,
    came: u64,
    until: u64,
    rank: Rank,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_line_keeps_its_promises(at_once in 1..4_u32, room in 0..12_u32, acts in prop::collection::vec(act(), 1..120)) {
        let mut line = line(at_once, room);
        let mut now = 0;
        let mut known: BTreeMap<u32, Model> = BTreeMap::new();
        let mut gone: HashSet<u32> = HashSet::new();
        let mut running: Vec<u32> = Vec::new();
        for (ticket, act) in (0_u32..).zip(acts) {
            match act {
                Act::Pass(seconds) => now += seconds,
                Act::Enter(class, patience) => {
                    match line.enter(secs(now), CLASSES[class], secs(now + patience), || ticket) {
                        Entered::Place => running.push(ticket),
                        Entered::Waits(rank) => {
                            known.insert(ticket, Model { class, came: now, until: now + patience, rank });
                        }
                        Entered::Full => prop_assert!(known.values().filter(|model| model.until > now).count() >= room as usize),
                    }
                }
                Act::Cancel(ago) => {
                    if let Some((&who, model)) = known.iter().rev().nth(ago) {
                        line.cancel(model.rank);
                        gone.insert(who);
                        known.remove(&who);
                    }
                }
                Act::Leave if !running.is_empty() => {
                    running.remove(0);
                    line.leave(secs(1));
                    let next = line.next(secs(now));
                    if let Some(who) = next {
                        prop_assert!(!gone.contains(&who), "who left has no turn");
                        let served = known.remove(&who).unwrap();
                        prop_assert!(served.until > now, "whose time is over has no turn");
                        for other in known.values().filter(|other| other.until > now) {
                            prop_assert!(other.class != served.class || other.rank > served.rank, "first come, first served");
                            let late = AGEING.as_secs() * 3;
                            prop_assert!(served.came <= other.came + late, "{other:?} starves behind {served:?}");
                        }
                        running.push(who);
                    } else {
                        prop_assert!(known.values().all(|model| model.until <= now), "a place is free and somebody waits");
                    }
                }
                Act::Leave => {}
            }
            prop_assert!(running.len() <= at_once as usize);
            prop_assert_eq!(line.running() as usize, running.len());
            prop_assert!(line.waiting() <= room as usize);
        }
    }
}
