//! When a canary is to end by itself: `policy_errors>0 or p99>+20%`, read with care and judged by figures.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::figures::Sample;
use crate::settings::parse_duration;

#[cfg(test)]
mod tests;

/// How many exchanges each side must have ended before the two are compared.
pub const ENOUGH: u64 = 50;

/// Alternatives, each of conditions that must all hold: `and` binds before `or`.
#[derive(Clone, Debug, PartialEq)]
pub struct Abort {
    any: Vec<Vec<Condition>>,
}

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// What is looked at.
    pub metric: Metric,
    op: Op,
    bound: Bound,
}

/// What can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Hooks that failed.
    PolicyErrors,
    /// Exchanges that ended with a status of 500 or above, or because of an upstream.
    Errors,
    /// The time that half of the exchanges stayed below.
    P50,
    /// The time that all but one in a hundred stayed below.
    P99,
    /// The time to the head that half of the exchanges stayed below.
    First,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    More,
    AtLeast,
    Less,
    AtMost,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// So many.
    Count(f64),
    /// This share of all exchanges, in hundredths.
    Share(f64),
    /// So long.
    Time(Duration),
    /// So many hundredths more than the live generation, or less.
    Change(f64),
}

/// A condition that holds, in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Met {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// Both sides' figures for each, for people.
    pub figures: String,
}

/// What cannot be understood, where it stands (from 1), and what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    at: usize,
    why: String,
}

const METRICS: [(&str, Metric); 5] = [
    ("policy_errors", Metric::PolicyErrors),
    ("errors", Metric::Errors),
    ("p50", Metric::P50),
    ("p99", Metric::P99),
    ("first", Metric::First),
];

const OPS: [(&str, Op); 4] = [(">=", Op::AtLeast), ("<=", Op::AtMost), (">", Op::More), ("<", Op::Less)];

// === impl Abort ===

impl Abort {
    /// What holds by these figures, if anything that is asked for does.
    pub fn met(&self, canary: &Sample, live: &Sample) -> Option<Met> {
        let all = |conditions: &Vec<Condition>| {
            let told: Option<Vec<String>> = conditions.iter().map(|condition| condition.holds(canary, live)).collect();
            Some(Met { conditions: conditions.clone(), figures: told?.join(", ") })
        };
        self.any.iter().find_map(all)
    }
}

impl FromStr for Abort {
    type Err = Unread;

    fn from_str(text: &str) -> Result<Self, Unread> {
        let mut any = vec![Vec::new()];
        let mut at = 0;
        loop {
            let condition = condition(text, &mut at)?;
            if let Some(all) = any.last_mut() {
                all.push(condition);
            }
            let start = skip_space(text, &mut at);
            match word(text, &mut at) {
                "" if at == text.len() => return Ok(Self { any }),
                "and" => {}
                "or" => any.push(Vec::new()),
                _ => return Err(unread(text, start, "write `or` or `and` between two conditions")),
            }
        }
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, all) in self.any.iter().enumerate() {
            let or = if index == 0 { "" } else { " or " };
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            write!(f, "{or}{}", all.join(" and "))?;
        }
        Ok(())
    }
}

// === impl Condition ===

impl Condition {
    /// The figures by which it holds; `None` when it does not.
    fn holds(&self, canary: &Sample, live: &Sample) -> Option<String> {
        let (here, there) = (self.metric.of(canary), self.metric.of(live));
        match self.bound {
            Bound::Count(count) => self.op.holds(here?, count).then(|| format!("{self}: {}", self.told(here))),
            Bound::Share(share) => {
                let here = self.metric.share(canary)?;
                self.op.holds(here, share).then(|| format!("{self}: {here:.1} % of {}", canary.exchanges))
            }
            Bound::Time(time) => {
                self.op.holds(here?, time.as_secs_f64()).then(|| format!("{self}: {}", self.told(here)))
            }
            Bound::Change(percent) => {
                if canary.exchanges < ENOUGH || live.exchanges < ENOUGH {
                    return None;
                }
                let compared = |metric: Metric, sample| {
                    if metric.is_time() { metric.of(sample) } else { metric.share(sample) }
                };
                let (one, other) = (compared(self.metric, canary)?, compared(self.metric, live)?);
                let holds = self.op.holds(one, other * (1.0 + percent / 100.0));
                holds.then(|| format!("{self}: {}, live {}", self.told(here), self.told(there)))
            }
        }
    }

    /// A figure with its unit.
    fn told(&self, figure: Option<f64>) -> String {
        match figure {
            None => "none".to_owned(),
            Some(seconds) if self.metric.is_time() => format!("{:.1} ms", seconds * 1000.0),
            Some(count) => format!("{count}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = METRICS.iter().find(|(_, metric)| *metric == self.metric).map_or("", |(name, _)| name);
        let op = OPS.iter().find(|(_, op)| *op == self.op).map_or("", |(name, _)| name);
        write!(f, "{metric}{op}")?;
        match self.bound {
            Bound::Count(count) => write!(f, "{count}"),
            Bound::Share(share) => write!(f, "{share}%"),
            Bound::Time(time) => write!(f, "{}ms", time.as_millis()),
            Bound::Change(percent) => write!(f, "{percent:+}%"),
        }
    }
}

// === impl Metric ===

impl Metric {
    fn is_time(self) -> bool {
        matches!(self, Self::P50 | Self::P99 | Self::First)
    }

    /// A count, or seconds.
    #[expect(clippy::cast_precision_loss, reason = "counts of exchanges stay far below 2^52")]
    fn of(self, sample: &Sample) -> Option<f64> {
        match self {
            Self::PolicyErrors => Some(sample.policy_errors as f64),
            Self::Errors => Some(sample.errors as f64),
            Self::P50 => sample.p50.map(|time| time.as_secs_f64()),
            Self::P99 => sample.p99.map(|time| time.as_secs_f64()),
            Self::First => sample.first.map(|time| time.as_secs_f64()),
        }
    }

    /// A count as hundredths of all exchanges.
    #[expect(clippy::cast_precision_loss, reason = "counts of exchanges stay far below 2^52")]
    fn share(self, sample: &Sample) -> Option<f64> {
        (sample.exchanges > 0).then(|| self.of(sample).map(|count| count * 100.0 / sample.exchanges as f64))?
    }
}

// === impl Op ===

impl Op {
    fn holds(self, figure: f64, bound: f64) -> bool {
        match self {
            Self::More => figure > bound,
            Self::AtLeast => figure >= bound,
            Self::Less => figure < bound,
            Self::AtMost => figure <= bound,
        }
    }
}

// === impl Unread ===

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.at, self.why)
    }
}

impl std::error::Error for Unread {}

/// Reads one condition from `at` on.
fn condition(text: &str, at: &mut usize) -> Result<Condition, Unread> {
    let start = skip_space(text, at);
    let name = word(text, at);
    let Some(metric) = METRICS.iter().find(|(known, _)| *known == name).map(|(_, metric)| *metric) else {
        let known = METRICS.map(|(known, _)| known).join(", ");
        let advice = nearest(name).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let said = if name.is_empty() { "a condition begins with".to_owned() } else { format!("`{name}` is not") };
        return Err(unread(text, start, &format!("{said} one of {known}{advice}")));
    };
    let start = skip_space(text, at);
    let rest = text.get(start..).unwrap_or_default();
    let Some((sign, op)) = OPS.iter().find(|(sign, _)| rest.starts_with(sign)) else {
        return Err(unread(text, start, &format!("write one of >, >=, < and <= after `{name}`")));
    };
    *at += sign.len();
    let start = skip_space(text, at);
    let value = word(text, at);
    let bound = bound(metric, value).ok_or_else(|| {
        let usual = if metric.is_time() { "a time like 800ms or 2s" } else { "a number like 0, or a share like 2%" };
        let change = "a change against what is live like +20%";
        let said = if value.is_empty() { "after the sign stands".to_owned() } else { format!("`{value}` is neither") };
        let nor = if value.is_empty() { "or" } else { "nor" };
        unread(text, start, &format!("{said} {usual} {nor} {change}"))
    })?;
    Ok(Condition { metric, op: *op, bound })
}

/// The metric that may be meant: the last of those that are as near, since `p99` is asked for more than `p50`.
fn nearest(name: &str) -> Option<&'static str> {
    let distances = METRICS.iter().rev().map(|(known, _)| (strsim::damerau_levenshtein(known, name), *known));
    distances.filter(|(distance, _)| *distance <= 2).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

fn bound(metric: Metric, value: &str) -> Option<Bound> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let signed = value.starts_with(['+', '-']);
    match value.strip_suffix('%') {
        Some(percent) if signed => number(percent).filter(|percent| *percent >= -100.0).map(Bound::Change),
        Some(percent) if !metric.is_time() => number(percent).map(Bound::Share),
        None if signed => None,
        None if metric.is_time() => parse_duration(value).ok().map(Bound::Time),
        None => number(value).map(Bound::Count),
        Some(_) => None,
    }
}

/// Goes over spaces; where they end.
fn skip_space(text: &str, at: &mut usize) -> usize {
    let rest = text.get(*at..).unwrap_or_default();
    *at += rest.len() - rest.trim_start().len();
    *at
}

/// What stands until the next space or sign.
fn word<'t>(text: &'t str, at: &mut usize) -> &'t str {
    let rest = text.get(*at..).unwrap_or_default();
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '>' | '<' | '=' | '|' | '&')).unwrap_or(rest.len());
    *at += end;
    rest.get(..end).unwrap_or_default()
}

fn unread(text: &str, at: usize, why: &str) -> Unread {
    Unread { at: text.get(..at).map_or(0, |before| before.chars().count()) + 1, why: why.to_owned() }
}
