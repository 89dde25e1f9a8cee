//! Which exchanges made a canary end: a few for each thing that is looked at.

use std::time::Duration;

use super::abort::{Met, Metric};
use crate::exchange::Exchange;

/// How many exchanges that offended are told.
const OFFENDERS: usize = 10;

/// Exchanges that may have to be told, for each thing that is looked at.
#[derive(Debug, Default)]
pub(super) struct Offenders {
    /// Those in which a hook failed.
    policy: Vec<String>,
    /// Those that failed.
    failed: Vec<String>,
    /// The slowest, with their times.
    slow: Vec<(Duration, String)>,
    /// Those whose heads came last.
    late: Vec<(Duration, String)>,
}

// === impl Offenders ===

impl Offenders {
    /// Notes an exchange one of whose hooks failed.
    pub(super) fn hook_failed(&mut self, id: Option<&str>) {
        if let Some(id) = id {
            keep(&mut self.policy, id);
        }
    }

    /// Notes an exchange that ended.
    pub(super) fn note(&mut self, x: &Exchange, failed: bool, took: Duration) {
        if failed {
            keep(&mut self.failed, &x.id);
        }
        keep_largest(&mut self.slow, took, &x.id);
        if let Some(first) = x.sent.head_after {
            keep_largest(&mut self.late, first, &x.id);
        }
    }

    /// Those that concern conditions that hold.
    pub(super) fn of(&self, met: &Met) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for condition in &met.conditions {
            let timed = |list: &[(Duration, String)]| list.iter().map(|(_, id)| id.clone()).collect();
            let these: Vec<String> = match condition.metric {
                Metric::PolicyErrors => self.policy.clone(),
                Metric::Errors => self.failed.clone(),
                Metric::P50 | Metric::P99 => timed(&self.slow),
                Metric::First => timed(&self.late),
            };
            for id in these {
                keep(&mut ids, &id);
            }
        }
        ids
    }
}

/// Keeps an id, unless it is there or there are enough.
fn keep(ids: &mut Vec<String>, id: &str) {
    if ids.len() < OFFENDERS && !ids.iter().any(|kept| kept == id) {
        ids.push(id.to_owned());
    }
}

/// Keeps an id if its time is among the longest, the longest first.
fn keep_largest(ids: &mut Vec<(Duration, String)>, time: Duration, id: &str) {
    let at = ids.partition_point(|(other, _)| *other >= time);
    if at < OFFENDERS {
        ids.insert(at, (time, id.to_owned()));
        ids.truncate(OFFENDERS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::canary::abort::Abort;
    use crate::gate::canary::figures::Sample;

    #[test]
    fn the_ids_told_are_those_of_the_conditions_that_hold() {
        let mut offenders = Offenders::default();
        for number in 0_u64..30 {
            offenders.hook_failed(Some(&format!("p{number}")));
            keep_largest(&mut offenders.slow, Duration::from_millis(number), &format!("s{number}"));
        }
        let live = Sample { exchanges: 60, ..Sample::default() };
        let slow = Sample { exchanges: 60, policy_errors: 1, p99: Some(Duration::from_secs(3)), ..Sample::default() };
        let told = |text: &str| offenders.of(&text.parse::<Abort>().unwrap().met(&slow, &live).unwrap());
        assert_eq!(told("policy_errors>0"), (0..10).map(|number| format!("p{number}")).collect::<Vec<_>>());
        assert_eq!(told("p99>1s"), (20..30).rev().map(|number| format!("s{number}")).collect::<Vec<_>>());
        assert_eq!(told("policy_errors>0 and p99>1s").len(), OFFENDERS);
    }
}
