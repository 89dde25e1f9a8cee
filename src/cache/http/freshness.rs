//! How long an answer is fresh, how old it is, and what may be done with it when it is stale (RFC 9111 §4.2, RFC 5861).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::directives::{Directives, Seconds};
use super::{Rule, field, status};

/// The longest time that an answer is taken to be fresh without saying so.
const LONGEST_GUESS: Duration = Duration::from_hours(24);

/// When an answer was asked for, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When its request was sent.
    pub asked: SystemTime,
    /// When its head was there.
    pub came: SystemTime,
}

/// What an answer allows, read once from its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How long it is fresh, counted from its making.
    pub lifetime: Duration,
    /// Whether that was said, rather than guessed from its last change.
    pub explicit: bool,
    /// How old it was when it came.
    pub age_before: Duration,
    /// When it came.
    pub came: SystemTime,
    /// It must never serve without being asked about, however fresh: `no-cache`.
    pub always_ask: bool,
    /// It must never serve stale: `must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache`.
    pub strict: bool,
    /// How long it may serve stale while it is asked about.
    pub while_revalidate: Duration,
    /// How long it may serve stale when an upstream fails.
    pub if_error: Duration,
}

/// The directives that hold for an answer: those that are meant for this gate in particular, else its `Cache-Control`.
/// The flag tells whether they stand in for `Expires` too.
pub fn directives(headers: &HeaderMap, rule: Rule) -> (Directives, bool) {
    match Directives::targeted(headers).filter(|_| rule.surrogate) {
        Some(targeted) => (targeted, true),
        None => (Directives::of(headers), false),
    }
}

// === impl Terms ===

impl Terms {
    /// What the head of an answer allows.
    pub fn of(headers: &HeaderMap, status: StatusCode, times: Times, rule: Rule) -> Self {
        let (said, targeted) = directives(headers, rule);
        let date = field::date_of(headers, "date");
        let made = date.unwrap_or(times.came);
        let explicit = explicit(headers, &said, targeted, made);
        let guess = || guess(headers, &said, status, made).filter(|_| rule.heuristic);
        let ask = said.whole("no-cache");
        let strict = ["must-revalidate", "proxy-revalidate", "s-maxage"].iter().any(|name| said.has(name));
        let age = age(headers, date, times);
        Self {
            lifetime: explicit.or_else(guess).filter(|_| age.is_some()).unwrap_or_default(),
            explicit: explicit.is_some(),
            age_before: age.unwrap_or_default(),
            came: times.came,
            always_ask: ask,
            strict: strict || ask,
            while_revalidate: said.seconds("stale-while-revalidate").said().unwrap_or_default(),
            if_error: said.seconds("stale-if-error").said().unwrap_or_default(),
        }
    }

    /// How old the answer is (§4.2.3).
    pub fn age(&self, now: SystemTime) -> Duration {
        self.age_before + now.duration_since(self.came).unwrap_or_default()
    }

    /// How long it is fresh yet; `None` when it is stale.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        self.lifetime.checked_sub(self.age(now)).filter(|left| !left.is_zero())
    }

    /// How long it has been stale.
    pub fn stale_for(&self, now: SystemTime) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }
}

/// How long an answer says that it is fresh (§4.2.1). What it says unclearly makes it stale.
fn explicit(headers: &HeaderMap, said: &Directives, targeted: bool, made: SystemTime) -> Option<Duration> {
    for name in ["s-maxage", "max-age"] {
        match said.seconds(name) {
            Seconds::Said(seconds) => return Some(seconds),
            Seconds::Unclear => return Some(Duration::ZERO),
            Seconds::Unsaid => {}
        }
    }
    if targeted || !headers.contains_key("expires") {
        return None;
    }
    let expires = field::date_of(headers, "expires");
    Some(expires.and_then(|expires| expires.duration_since(made).ok()).unwrap_or_default())
}

/// A tenth of the time since the last change (§4.2.2).
fn guess(headers: &HeaderMap, said: &Directives, status: StatusCode, made: SystemTime) -> Option<Duration> {
    if !status::heuristic(status) && !said.has("public") {
        return None;
    }
    let changed = field::date_of(headers, "last-modified")?;
    Some((made.duration_since(changed).ok()? / 10).min(LONGEST_GUESS))
}

/// How old an answer was when it came (§4.2.3). `None` when its `Age` is not one number of seconds: it counts as stale,
/// though §5.1 would let a cache look past it, since whoever wrote it was older than it said.
fn age(headers: &HeaderMap, date: Option<SystemTime>, times: Times) -> Option<Duration> {
    let mut lines = headers.get_all("age").iter();
    let said = match (lines.next(), lines.next()) {
        (None, _) => Duration::ZERO,
        (Some(line), None) => field::seconds(field::trim(line.to_str().ok()?))?,
        (Some(_), Some(_)) => return None,
    };
    let apparent = date.and_then(|date| times.came.duration_since(date).ok()).unwrap_or_default();
    let delay = times.came.duration_since(times.asked).unwrap_or_default();
    Some(apparent.max(said + delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { heuristic: true, surrogate: true };

    fn noon() -> SystemTime {
        field::date("Sun, 01 Mar 2026 12:00:00 GMT").unwrap()
    }

    fn terms(status: u16, lines: &[(&'static str, &'static str)]) -> Terms {
        let headers = lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let times = Times { asked: noon(), came: noon() + Duration::from_secs(2) };
        Terms::of(&headers, StatusCode::from_u16(status).unwrap(), times, RULE)
    }

    const DATE: (&str, &str) = ("date", "Sun, 01 Mar 2026 12:00:00 GMT");

    #[test]
    fn the_more_particular_word_holds() {
        let expires = ("expires", "Sun, 01 Mar 2026 12:01:00 GMT");
        let control = ("cache-control", "max-age=10");
        let shared = ("cache-control", "max-age=10, s-maxage=20");
        let cdn = ("cdn-cache-control", "max-age=30");
        let lifetime = |lines: &[(&'static str, &'static str)]| terms(200, lines).lifetime.as_secs();
        assert_eq!(lifetime(&[DATE, expires]), 60);
        assert_eq!(lifetime(&[expires]), 58, "without a date it counts from when it came");
        assert_eq!(lifetime(&[DATE, expires, control]), 10);
        assert_eq!(lifetime(&[DATE, expires, shared]), 20);
        assert_eq!(lifetime(&[DATE, expires, shared, cdn]), 30);
        assert_eq!(lifetime(&[DATE, expires, ("cdn-cache-control", "public")]), 0, "`Expires` counts no longer");
    }

    #[test]
    fn what_is_unclear_is_stale() {
        for lines in [
            [DATE, ("expires", "0")],
            [DATE, ("cache-control", "max-age=-1")],
            [("cache-control", "max-age=100"), ("age", "x")],
            [("cache-control", "max-age=100"), ("age", "1, 1")],
            [("cache-control", "max-age=100"), ("age", "1;a=b")],
        ] {
            assert_eq!(terms(200, &lines).lifetime, Duration::ZERO, "{lines:?}");
        }
        let twice = [("cache-control", "max-age=100"), ("age", "1"), ("age", "1")];
        assert_eq!(terms(200, &twice).left(noon()), None);
    }

    #[test]
    fn age_is_the_largest_that_is_known() {
        let hour = ("cache-control", "max-age=3600");
        let later = noon() + Duration::from_secs(12);
        let age = |lines: &[(&'static str, &'static str)]| terms(200, lines).age(later).as_secs();
        assert_eq!(age(&[hour]), 12, "the time that asking took counts");
        assert_eq!(age(&[hour, DATE, ("age", "30")]), 42);
        assert_eq!(age(&[hour, ("date", "Sun, 01 Mar 2026 11:59:00 GMT"), ("age", "30")]), 72);
        assert_eq!(age(&[hour, ("date", "Sun, 01 Mar 2026 13:00:00 GMT")]), 12, "a clock that is ahead");
    }

    #[test]
    fn a_guess_is_a_tenth_for_statuses_that_allow_it() {
        let changed = ("last-modified", "Sun, 01 Mar 2026 11:00:00 GMT");
        let lifetime = |status, lines: &[(&'static str, &'static str)]| terms(status, lines).lifetime.as_secs();
        assert_eq!(lifetime(200, &[DATE, changed]), 360);
        assert_eq!(lifetime(404, &[DATE, changed]), 360);
        assert_eq!(lifetime(201, &[DATE, changed]), 0);
        assert_eq!(lifetime(201, &[DATE, changed, ("cache-control", "public")]), 360);
        assert_eq!(lifetime(200, &[DATE, ("last-modified", "Sun, 01 Mar 2020 11:00:00 GMT")]), 24 * 3600);
        assert!(!terms(200, &[DATE, changed]).explicit);
    }

    #[test]
    fn what_must_be_asked_about_never_serves_stale() {
        for word in ["must-revalidate", "proxy-revalidate", "s-maxage=1", "no-cache"] {
            let terms = terms(200, &[("cache-control", word)]);
            assert!(terms.strict, "{word}");
            assert_eq!(terms.always_ask, word == "no-cache");
        }
        assert!(!terms(200, &[("cache-control", r#"max-age=9, no-cache="a""#)]).always_ask);
    }
}
