//! Reads how long an upstream asks to wait, in every form that providers send.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};

/// The wait that a refusal's headers ask for. `Retry-After` (RFC 9110 §10.2.3: seconds or a date) wins, then the
/// milliseconds form of Azure, then the reset times of the rate-limit headers of a budget that is used up.
/// Only to be asked of 429, 503 and 529: some providers send `retry-after` with successful answers.
pub fn of(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(wait) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return seconds(wait / 1000.0);
    }
    if let Some(wait) = text("retry-after").and_then(|value| parse(value, now)) {
        return Some(wait);
    }
    let exhausted = |remaining: &str| text(remaining).is_none_or(|left| left == "0");
    RESETS
        .iter()
        .filter(|(_, remaining)| exhausted(remaining))
        .filter_map(|(reset, _)| text(reset).and_then(|value| parse(value, now)))
        .max()
}

/// Reset headers, each with the header that tells whether its budget is used up.
const RESETS: [(&str, &str); 6] = [
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ("anthropic-ratelimit-unified-reset", "anthropic-ratelimit-unified-remaining"),
];

/// One value in any of its forms: seconds, `250ms`, `6m0s`, an HTTP date, an RFC 3339 time, or a moment since 1970
/// in seconds or milliseconds.
pub fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = value.parse::<f64>() {
        return from_number(number, now);
    }
    let as_duration = || value.parse::<SignedDuration>().ok();
    let as_date = || httpdate::parse_http_date(value).ok();
    let as_time = || value.parse::<Timestamp>().ok().map(SystemTime::from);
    as_duration()
        .and_then(|wait| Duration::try_from(wait).ok())
        .or_else(|| as_date().or_else(as_time).map(|at| until(at, now)))
}

/// A bare number: a moment when it is far too large for a wait, seconds otherwise.
fn from_number(number: f64, now: SystemTime) -> Option<Duration> {
    const YEAR_2001: f64 = 1e9;
    let moment = if number >= YEAR_2001 * 1000.0 {
        number / 1000.0
    } else if number >= YEAR_2001 {
        number
    } else {
        return seconds(number);
    };
    let at = SystemTime::UNIX_EPOCH.checked_add(seconds(moment)?)?;
    Some(until(at, now))
}

fn until(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or_default()
}

fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        httpdate::parse_http_date("Sun, 01 Mar 2026 12:00:00 GMT").unwrap()
    }

    fn waits(pairs: &[(&'static str, &'static str)]) -> Option<f64> {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        of(&headers, now()).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn every_form_is_read() {
        let forms = [
            ("2", 2.0),
            ("0.25", 0.25),
            ("250ms", 0.25),
            ("6m0s", 360.0),
            ("1h2m3.5s", 3723.5),
            ("Sun, 01 Mar 2026 12:00:07 GMT", 7.0),
            ("2026-03-01T12:00:05Z", 5.0),
            ("2026-03-01T13:00:05.5+01:00", 5.5),
            ("1772366409", 9.0),
            ("1772366409500", 9.5),
            ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ];
        for (text, expected) in forms {
            let read = parse(text, now()).map(|wait| wait.as_secs_f64());
            assert_eq!(read, Some(expected), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_hint() {
        for text in ["", "soon", "-1", "5x", "NaN", "inf", "2026-13-01T00:00:00Z", "1e300", "2026-03-01"] {
            assert_eq!(parse(text, now()), None, "{text}");
        }
    }

    #[test]
    fn retry_after_wins_over_resets() {
        assert_eq!(waits(&[("retry-after", "3"), ("x-ratelimit-reset-requests", "9s")]), Some(3.0));
        assert_eq!(waits(&[("retry-after-ms", "1500"), ("retry-after", "3")]), Some(1.5));
    }

    #[test]
    fn a_budget_with_something_left_does_not_ask_to_wait() {
        let left = [("x-ratelimit-remaining-requests", "5"), ("x-ratelimit-reset-requests", "9s")];
        assert_eq!(waits(&left), None);
        let used_up = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")];
        assert_eq!(waits(&used_up), Some(360.0));
        let anthropic = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-03-01T12:01:00Z"),
        ];
        assert_eq!(waits(&anthropic), Some(60.0));
    }
}
