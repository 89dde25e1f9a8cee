//! What caches know of status codes, and what the gate says of its own part in `Cache-Status` (RFC 9211).

use std::fmt;
use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::directives::DEVICE;
use super::freshness::Terms;

/// Whether an answer with this status may be kept without saying for how long (RFC 9110 §15.1).
pub fn heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Whether it is known here what a status means for caching, for `must-understand` (RFC 9111 §5.2.2.3).
pub fn understood(status: StatusCode) -> bool {
    heuristic(status) || matches!(status.as_u16(), 302 | 303 | 307 | 400 | 403 | 500 | 502 | 503 | 504)
}

/// Why a request went on to an upstream (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The policy does not want a kept answer to serve.
    Bypass,
    /// The method is none that a kept answer serves.
    Method,
    /// Nothing is kept of this URL.
    NothingKept,
    /// What is kept of it is for other requests.
    OtherVariant,
    /// What is kept is stale.
    Stale,
    /// What is kept is not all that was asked for.
    Partial,
    /// The request asked for it.
    Request,
}

/// What the gate did, as `Cache-Status` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Why it asked an upstream; `None` when it did not.
    pub asked: Option<Why>,
    /// The status that the upstream gave, where the client gets another.
    pub answered: Option<StatusCode>,
    /// Whether the answer is being kept.
    pub kept: bool,
    /// How long what is kept is fresh yet, negative when it is stale.
    pub left: Option<i64>,
}

// === impl Why ===

impl Why {
    /// Its name in `Cache-Status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::NothingKept => "uri-miss",
            Self::OtherVariant => "vary-miss",
            Self::Stale => "stale",
            Self::Partial => "partial",
            Self::Request => "request",
        }
    }

    /// The reason in words, for the log.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Bypass => "not to be read",
            Self::Method => "another method",
            Self::NothingKept => "not stored yet",
            Self::OtherVariant => "stored for other requests",
            Self::Stale => "stale",
            Self::Partial => "stored in part",
            Self::Request => "the client asked past it",
        }
    }
}

// === impl Report ===

impl Report {
    /// A kept answer served.
    pub fn hit(terms: &Terms, now: SystemTime) -> Self {
        Self { asked: None, answered: None, kept: false, left: Some(left(terms, now)) }
    }

    /// An upstream was asked.
    pub fn asked(why: Why) -> Self {
        Self { asked: Some(why), answered: None, kept: false, left: None }
    }
}

/// Seconds until an answer is stale, or since, negative.
fn left(terms: &Terms, now: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    seconds(terms.lifetime).saturating_sub(seconds(terms.age(now)))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(DEVICE)?;
        match self.asked {
            None => f.write_str("; hit")?,
            Some(why) => write!(f, "; fwd={}", why.as_str())?,
        }
        if let Some(status) = self.answered {
            write!(f, "; fwd-status={}", status.as_u16())?;
        }
        if self.kept {
            f.write_str("; stored")?;
        }
        match self.left {
            Some(left) => write!(f, "; ttl={left}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_list_member_of_structured_fields() {
        let mut report = Report::asked(Why::Stale);
        assert_eq!(report.to_string(), "tidegate; fwd=stale");
        (report.answered, report.left) = (Some(StatusCode::NOT_MODIFIED), Some(-7));
        assert_eq!(report.to_string(), "tidegate; fwd=stale; fwd-status=304; ttl=-7");
        assert_eq!(
            Report { kept: true, ..Report::asked(Why::NothingKept) }.to_string(),
            "tidegate; fwd=uri-miss; stored"
        );
    }

    #[test]
    fn all_that_may_be_guessed_about_is_understood() {
        for code in 100..600 {
            let status = StatusCode::from_u16(code).unwrap();
            assert!(!heuristic(status) || understood(status), "{code}");
        }
        assert!(!understood(StatusCode::from_u16(599).unwrap()));
    }
}
