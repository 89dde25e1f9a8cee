//! Parts of an answer: which one a request asks for, which one an answer is, and one cut from what is kept (RFC 9110 §14).

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::field;

/// The bytes from `first` to `last`, both included, of `whole`, when that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The first byte, counted from 0.
    pub first: u64,
    /// The last byte.
    pub last: u64,
    /// How long the whole is.
    pub whole: Option<u64>,
}

/// One range that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// From a byte, to a byte or the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

// === impl Part ===

impl Part {
    /// The part that an answer says it is in `Content-Range`; `None` when it does not say, or says no one part of bytes.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = field::only(headers, "content-range")?;
        let (unit, rest) = text.split_once(' ')?;
        let (range, whole) = field::trim(rest).split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let part = Self {
            first: number(first)?,
            last: number(last)?,
            whole: if whole == "*" { None } else { Some(number(whole)?) },
        };
        let sound = part.first <= part.last && part.whole.is_none_or(|whole| part.last < whole);
        (sound && unit.eq_ignore_ascii_case("bytes")).then_some(part)
    }

    /// The value of `Content-Range`.
    pub fn to_text(self) -> String {
        let Self { first, last, .. } = self;
        self.whole.map_or_else(|| format!("bytes {first}-{last}/*"), |whole| format!("bytes {first}-{last}/{whole}"))
    }
}

// === impl Wanted ===

impl Wanted {
    /// The one range that a request asks for. `None` when it asks for none, for several, or in other units: then all of
    /// it may be sent (§14.2).
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = field::only(headers, "range")?;
        let (unit, range) = text.split_once('=')?;
        if !field::trim(unit).eq_ignore_ascii_case("bytes") {
            return None;
        }
        match field::trim(range).split_once('-')? {
            ("", length) => Some(Self::Last(number(length)?)),
            (first, "") => Some(Self::From(number(first)?, None)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From(first, Some(last)))
            }
        }
    }

    /// The part of a whole of this length; `None` when there is no such part.
    pub fn within(self, whole: u64) -> Option<Part> {
        let end = whole.checked_sub(1)?;
        let (first, last) = match self {
            Self::From(first, last) => (first, last.unwrap_or(end).min(end)),
            Self::Last(0) => return None,
            Self::Last(length) => (whole.saturating_sub(length), end),
        };
        (first <= last).then_some(Part { first, last, whole: Some(whole) })
    }

    /// The part of a part that is kept; `None` unless all that is asked for lies in it.
    pub fn inside(self, kept: Part) -> Option<Part> {
        let part = match (self, kept.whole) {
            (wanted, Some(whole)) => wanted.within(whole)?,
            (Self::From(first, Some(last)), None) => Part { first, last, whole: None },
            _ => return None,
        };
        (kept.first <= part.first && part.last <= kept.last).then_some(part)
    }
}

/// Digits only.
fn number(text: &str) -> Option<u64> {
    let text = field::trim(text);
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect()
    }

    fn wanted(value: &str) -> Option<Wanted> {
        Wanted::of(&headers("range", value))
    }

    #[test]
    fn a_part_says_where_it_lies() {
        let part = |text: &str| Part::of(&headers("content-range", text));
        assert_eq!(part("bytes 4-9/10"), Some(Part { first: 4, last: 9, whole: Some(10) }));
        assert_eq!(part("bytes 0-0/*"), Some(Part { first: 0, last: 0, whole: None }));
        for bad in ["bytes 4-9/9", "bytes 5-4/10", "bytes */10", "lines 0-1/2", "bytes -1/2", "bytes 0-1"] {
            assert_eq!(part(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_range_of_bytes_is_understood() {
        assert_eq!(wanted("bytes=0-1"), Some(Wanted::From(0, Some(1))));
        assert_eq!(wanted("Bytes = 5-"), Some(Wanted::From(5, None)));
        assert_eq!(wanted("bytes=-5"), Some(Wanted::Last(5)));
        for other in ["bytes=0-1,3-4", "bytes=2-1", "lines=0-1", "bytes=-", "bytes=a-b", "bytes=+1-2"] {
            assert_eq!(wanted(other), None, "{other}");
        }
    }

    #[test]
    fn ranges_end_where_the_whole_ends() {
        let within = |text: &str, whole| wanted(text)?.within(whole).map(|part| (part.first, part.last));
        assert_eq!(within("bytes=0-99", 10), Some((0, 9)));
        assert_eq!(within("bytes=5-", 10), Some((5, 9)));
        assert_eq!(within("bytes=-99", 10), Some((0, 9)));
        assert_eq!(within("bytes=10-", 10), None);
        assert_eq!(within("bytes=-0", 10), None);
        assert_eq!(within("bytes=0-", 0), None);
    }

    #[test]
    fn a_part_serves_only_what_lies_in_it() {
        let kept = Part { first: 4, last: 9, whole: Some(10) };
        let inside = |text: &str, kept| wanted(text)?.inside(kept).map(|part: Part| part.to_text());
        assert_eq!(inside("bytes=6-8", kept).as_deref(), Some("bytes 6-8/10"));
        assert_eq!(inside("bytes=6-", kept).as_deref(), Some("bytes 6-9/10"));
        assert_eq!(inside("bytes=-1", kept).as_deref(), Some("bytes 9-9/10"));
        assert_eq!(inside("bytes=3-8", kept), None);
        let unknown = Part { whole: None, ..kept };
        assert_eq!(inside("bytes=5-6", unknown).as_deref(), Some("bytes 5-6/*"));
        assert_eq!(inside("bytes=5-", unknown), None);
    }
}
