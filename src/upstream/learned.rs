//! Learns from an endpoint's answers how much more it will take, so that it is passed over before it refuses.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::retry_after;

/// What an endpoint told of its limits.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// Each limit it told of.
    limits: Vec<Limit>,
    /// It asked to be left alone until then.
    rests_until: Duration,
    /// Refusals since the last answer that was none.
    refusals: u32,
}

/// One limit of an endpoint.
#[derive(Debug)]
struct Limit {
    /// What it limits, as the header calls it: `requests`, `tokens`, `input-tokens`; empty when it does not say.
    kind: String,
    /// What the whole window allows.
    whole: Option<u64>,
    /// What is left of it, less what was begun since.
    remaining: Option<u64>,
    /// When all of it is there again.
    reset: Duration,
}

/// One header about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Limit,
    Remaining,
    Reset,
}

/// Limits kept of one endpoint.
const MOST_LIMITS: usize = 8;

/// Bytes of the name of what is limited.
const LONGEST_KIND: usize = 40;

/// How long a limit without a reset is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// The first rest of an endpoint that refuses and does not say for how long; each refusal doubles it.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest, whatever an endpoint asks for: one that asks for an hour is looked at before.
const LONGEST_REST: Duration = Duration::from_mins(5);

// === impl Learned ===

impl Learned {
    /// Whether nothing is known.
    pub(super) fn is_empty(&self, now: Duration) -> bool {
        self.limits.is_empty() && self.rests_until <= now
    }

    /// Reads what an answer tells of limits.
    pub(super) fn read(&mut self, headers: &HeaderMap, wall: SystemTime, now: Duration) {
        for (name, value) in headers {
            let Some(name) = about_limits(name) else { continue };
            let Ok(value) = value.to_str() else { continue };
            if let Some((field, kind)) = field(name) {
                self.note(&kind, field, value.trim(), wall, now);
            } else if matches!(name, "" | "policy") {
                self.structured(value, wall, now);
            }
        }
        self.limits.retain(|limit| limit.remaining.is_some());
    }

    /// Takes a refusal into account that asks for a rest, or does not say.
    pub(super) fn refused(&mut self, wait: Option<Duration>, now: Duration) {
        let rest = wait.unwrap_or_else(|| FIRST_REST.saturating_mul(1 << self.refusals.min(8)));
        self.refusals = self.refusals.saturating_add(1);
        self.rests_until = self.rests_until.max(now + rest.min(LONGEST_REST));
    }

    /// Takes into account that it did not refuse.
    pub(super) fn accepted(&mut self) {
        self.refusals = 0;
    }

    /// Counts a request of about so many tokens that is begun.
    pub(super) fn spend(&mut self, tokens: u64) {
        for limit in &mut self.limits {
            let cost = if limit.is_of_tokens() { tokens } else { 1 };
            limit.remaining = limit.remaining.map(|left| left.saturating_sub(cost));
        }
    }

    /// Until when a request of about so many tokens had better go elsewhere, if it had.
    pub(super) fn busy_until(&self, now: Duration, tokens: u64, headroom: u32) -> Option<Duration> {
        let near = self.limits.iter().filter(|limit| limit.is_near(tokens, headroom)).map(|limit| limit.reset);
        near.chain([self.rests_until]).filter(|until| *until > now).max()
    }

    /// For status.
    pub(super) fn show(&self, now: Duration) -> Value {
        let left = |until: Duration| until.saturating_sub(now).as_secs();
        let limits = self.limits.iter().map(|limit| {
            let kind = if limit.kind.is_empty() { "any" } else { &limit.kind };
            json!({"kind": kind, "limit": limit.whole, "remaining": limit.remaining, "reset_in": left(limit.reset)})
        });
        limits.collect()
    }

    /// Until when it asked to be left alone.
    pub(super) fn rests_until(&self) -> Duration {
        self.rests_until
    }

    fn note(&mut self, kind: &str, field: Field, value: &str, wall: SystemTime, now: Duration) {
        let Some(limit) = self.limit(kind, now) else { return };
        match field {
            Field::Limit => limit.whole = number(value),
            Field::Remaining => limit.remaining = number(value),
            Field::Reset => limit.reset = retry_after::parse(value, wall).map_or(limit.reset, |wait| now + wait),
        }
    }

    /// `RateLimit` and `RateLimit-Policy` as structured fields: `"name";r=50;t=30`, `"name";q=100;w=60`, and the form of
    /// older drafts, `limit=100, remaining=50, reset=30` (draft-ietf-httpapi-ratelimit-headers, drafts 3 to 10).
    fn structured(&mut self, value: &str, wall: SystemTime, now: Duration) {
        let mut kind = "";
        for part in value.split([',', ';']).map(str::trim) {
            match part.split_once('=') {
                Some(("r" | "remaining", value)) => self.note(kind, Field::Remaining, value, wall, now),
                Some(("t" | "reset", value)) => self.note(kind, Field::Reset, value, wall, now),
                Some(("q" | "limit", value)) => self.note(kind, Field::Limit, value, wall, now),
                Some(_) => {}
                None => kind = part.trim_matches('"'),
            }
        }
    }

    /// What is known of one kind of limit.
    fn limit(&mut self, kind: &str, now: Duration) -> Option<&mut Limit> {
        let kind = kind.get(..kind.floor_char_boundary(LONGEST_KIND)).unwrap_or(kind);
        let at = self.limits.iter().position(|limit| limit.kind == kind);
        let at = match at {
            Some(at) => at,
            None if self.limits.len() < MOST_LIMITS => {
                let kind = kind.to_owned();
                self.limits.push(Limit { kind, whole: None, remaining: None, reset: now + BELIEVED });
                self.limits.len() - 1
            }
            None => return None,
        };
        self.limits.get_mut(at)
    }
}

// === impl Limit ===

impl Limit {
    fn is_of_tokens(&self) -> bool {
        self.kind.contains("tokens")
    }

    /// Whether a request of so many tokens had better go elsewhere.
    fn is_near(&self, tokens: u64, headroom: u32) -> bool {
        let Some(remaining) = self.remaining else { return false };
        let short = self.is_of_tokens() && !self.kind.contains("output") && remaining < tokens;
        let low =
            self.whole.is_some_and(|limit| remaining.saturating_mul(100) < limit.saturating_mul(u64::from(headroom)));
        remaining == 0 || short || low
    }
}

/// Whether an answer tells of limits.
pub(super) fn tells(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| about_limits(name).is_some())
}

/// What follows the words by which a header is known to be about limits; `None` for others.
fn about_limits(name: &HeaderName) -> Option<&str> {
    let name = name.as_str();
    if !matches!(name.as_bytes().first(), Some(b'x' | b'a' | b'r')) {
        return None;
    }
    let rest = ["x-ratelimit", "anthropic-ratelimit", "ratelimit", "x-rate-limit"];
    let rest = rest.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    Some(rest.strip_prefix('-').unwrap_or(rest))
}

/// What a header says and of what: `remaining-tokens` as well as `tokens-remaining`.
fn field(name: &str) -> Option<(Field, String)> {
    let is = |word: &str| match word {
        "limit" => Some(Field::Limit),
        "remaining" => Some(Field::Remaining),
        "reset" => Some(Field::Reset),
        _ => None,
    };
    let (first, after) = name.split_once('-').unwrap_or((name, ""));
    if let Some(field) = is(first) {
        return Some((field, after.to_owned()));
    }
    let (before, last) = name.rsplit_once('-')?;
    is(last).map(|field| (field, before.to_owned()))
}

/// A whole number, of one that has a fraction or other words behind it.
fn number(value: &str) -> Option<u64> {
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn learned(pairs: &[(&'static str, &'static str)]) -> Learned {
        let wall = httpdate::parse_http_date("Sun, 01 Mar 2026 12:00:00 GMT").unwrap();
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let mut learned = Learned::default();
        learned.read(&headers, wall, NOW);
        learned
    }

    fn busy(pairs: &[(&'static str, &'static str)], tokens: u64) -> Option<u64> {
        learned(pairs).busy_until(NOW, tokens, 5).map(|until| until.checked_sub(NOW).unwrap().as_secs())
    }

    #[test]
    fn every_family_of_headers_is_read() {
        let families: [&[(&str, &str)]; 7] = [
            &[
                ("x-ratelimit-limit-requests", "100"),
                ("x-ratelimit-remaining-requests", "4"),
                ("x-ratelimit-reset-requests", "6m0s"),
            ],
            &[
                ("x-ratelimit-limit-tokens", "9000"),
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "360"),
            ],
            &[
                ("anthropic-ratelimit-requests-limit", "50"),
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-03-01T12:06:00Z"),
            ],
            &[
                ("anthropic-ratelimit-input-tokens-limit", "1000"),
                ("anthropic-ratelimit-input-tokens-remaining", "10"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-03-01T12:06:00Z"),
            ],
            &[("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "1"), ("ratelimit-reset", "360")],
            &[("ratelimit", "limit=100, remaining=2, reset=360")],
            &[("ratelimit-policy", "\"burst\";q=100;w=60"), ("ratelimit", "\"burst\";r=3;t=360")],
        ];
        for family in families {
            assert_eq!(busy(family, 0), Some(360), "{family:?}");
        }
        assert_eq!(busy(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1772366760")], 0), Some(360), "epoch");
    }

    #[test]
    fn enough_left_is_no_reason_to_go_elsewhere() {
        let some = [
            ("x-ratelimit-limit-requests", "100"),
            ("x-ratelimit-remaining-requests", "5"),
            ("x-ratelimit-reset-requests", "9s"),
        ];
        assert_eq!(busy(&some, 0), None);
        assert_eq!(busy(&[("x-ratelimit-limit-requests", "100")], 0), None);
        assert_eq!(busy(&[("retry-after", "7"), ("x-request-id", "0")], 0), None);
    }

    #[test]
    fn a_large_request_goes_elsewhere_before_a_small_one() {
        let left = [
            ("x-ratelimit-limit-tokens", "10000"),
            ("x-ratelimit-remaining-tokens", "2000"),
            ("x-ratelimit-reset-tokens", "60s"),
        ];
        assert_eq!((busy(&left, 1999), busy(&left, 2001)), (None, Some(60)));
        let mut learned = learned(&left);
        learned.spend(1600);
        assert!(learned.busy_until(NOW, 100, 5).is_some(), "what is under way counts");
        assert!(learned.busy_until(NOW + Duration::from_mins(1), 100, 5).is_none(), "until the reset");
    }

    #[test]
    fn a_refusal_asks_for_a_rest_and_repeated_ones_for_longer_ones() {
        let mut learned = Learned::default();
        learned.refused(Some(Duration::from_secs(30)), NOW);
        assert_eq!(learned.rests_until(), NOW + Duration::from_secs(30));
        let mut learned = Learned::default();
        for seconds in [1, 2, 4, 8] {
            learned.refused(None, NOW);
            assert_eq!(learned.rests_until(), NOW + Duration::from_secs(seconds));
        }
        learned.refused(Some(Duration::from_hours(9)), NOW);
        assert_eq!(learned.rests_until(), NOW + LONGEST_REST);
    }

    #[test]
    fn a_limit_with_a_long_name_is_one_limit() {
        let name = |field: &str| format!("x-ratelimit-{field}-{}", "long".repeat(20)).parse().unwrap();
        let pairs = [("limit", "100"), ("remaining", "0"), ("reset", "60")];
        let headers: HeaderMap = pairs.iter().map(|(field, value)| (name(field), value.parse().unwrap())).collect();
        let mut learned = Learned::default();
        (0..20).for_each(|_| learned.read(&headers, SystemTime::UNIX_EPOCH, NOW));
        assert_eq!((learned.limits.len(), learned.limits[0].whole), (1, Some(100)));
        assert_eq!(learned.busy_until(NOW, 0, 5), Some(NOW + Duration::from_mins(1)));
    }

    #[test]
    fn strange_headers_are_bounded_and_harmless() {
        let headers = (0..100).map(|n| (format!("x-ratelimit-remaining-{n}").parse().unwrap(), "x".parse().unwrap()));
        let mut learned = Learned::default();
        learned.read(&headers.collect(), SystemTime::UNIX_EPOCH, NOW);
        assert!(learned.is_empty(NOW));
        assert_eq!(
            busy(&[("ratelimit", "=;,\"\";r=;t=-1"), ("x-ratelimit-", "1"), ("ratelimit-reset", "soon")], 1),
            None
        );
    }
}
