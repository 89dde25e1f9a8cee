//! What tells two states of a resource apart, on either side: what a client has already, and what is asked of an upstream
//! about an answer that is kept (RFC 9110 §13, RFC 9111 §4.3).

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Rule;
use super::{admit, field, freshness};

/// Fields that are about the bytes that are kept: an answer without these bytes does not change them.
const OF_THE_BYTES: [&str; 4] = ["content-encoding", "content-md5", "content-range", "etag"];

/// What an answer can be recognised by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// Its entity tag, as it came.
    pub etag: Option<HeaderValue>,
    /// Its `Last-Modified`, as it came.
    modified: Option<HeaderValue>,
    /// When it was made: its `Date`, or when it came.
    pub made: SystemTime,
}

// === impl Validators ===

impl Validators {
    /// Those of an answer that came then.
    pub fn of(headers: &HeaderMap, came: SystemTime) -> Self {
        Self {
            etag: headers.get(ETAG).cloned(),
            modified: headers.get(LAST_MODIFIED).cloned(),
            made: field::date_of(headers, "date").unwrap_or(came),
        }
    }

    /// What is asked of an upstream to learn whether this answer still holds.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, HeaderValue)> {
        let etag = self.etag.clone().map(|etag| ("If-None-Match", etag));
        let modified = self.modified.clone().map(|modified| ("If-Modified-Since", modified));
        etag.into_iter().chain(modified)
    }

    /// Whether an upstream can be asked about it at all.
    pub fn any(&self) -> bool {
        self.etag.is_some() || self.modified.is_some()
    }

    /// Whether a client that asks so has this answer already (RFC 9110 §13.2.2). An entity tag counts before a date, and
    /// is compared weakly.
    pub fn unchanged(&self, request: &HeaderMap) -> bool {
        if let Some(tags) = field::text(request, "if-none-match") {
            let own = self.etag.as_ref().map(|etag| field::latin(etag.as_bytes()));
            let same = |tag: &str| tag == "*" || own.as_deref().is_some_and(|own| opaque(own) == opaque(tag));
            return field::items(&tags, false).into_iter().any(same);
        }
        let since = field::date_of(request, "if-modified-since");
        since.is_some_and(|since| self.changed() <= since)
    }

    /// Whether a range is to be cut from this answer for such a request (RFC 9110 §13.1.5): it has no `If-Range`, or one
    /// that is surely about these very bytes.
    pub fn allows_range(&self, request: &HeaderMap) -> bool {
        let Some(wanted) = request.get("if-range") else { return true };
        if wanted.as_bytes().starts_with(b"\"") {
            return self.etag.as_ref() == Some(wanted);
        }
        self.modified.as_ref() == Some(wanted) && self.strong_date()
    }

    /// When the content changed last, as far as can be told (RFC 9111 §4.3.2).
    fn changed(&self) -> SystemTime {
        self.last_modified().unwrap_or(self.made)
    }

    fn last_modified(&self) -> Option<SystemTime> {
        field::date(self.modified.as_ref()?.to_str().ok()?)
    }

    /// Whether the last change lies so far back that a second one cannot hide in the same second (RFC 9110 §8.8.2.2).
    fn strong_date(&self) -> bool {
        let since = self.last_modified().and_then(|modified| self.made.duration_since(modified).ok());
        since.is_some_and(|since| since.as_secs() >= 1)
    }

    /// Whether a `304` or the head of a `200` to `HEAD` can be about this answer: nothing in it says another state.
    pub fn same_as(&self, headers: &HeaderMap) -> bool {
        let agrees = |own: &Option<HeaderValue>, theirs: Option<&HeaderValue>| match (own, theirs) {
            (Some(own), Some(theirs)) => own == theirs,
            _ => true,
        };
        agrees(&self.etag, headers.get(ETAG)) && agrees(&self.modified, headers.get(LAST_MODIFIED))
    }
}

/// An entity tag without what says that it is weak.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// The entity tags of several answers as one question.
pub fn any_of<'a>(tags: impl Iterator<Item = &'a HeaderValue>) -> Option<HeaderValue> {
    let tags: Vec<&[u8]> = tags.map(HeaderValue::as_bytes).collect();
    if tags.is_empty() { None } else { HeaderValue::from_bytes(&tags.join(&b", "[..])).ok() }
}

/// The fields of a kept answer after an upstream said that it holds (RFC 9111 §3.2): new ones stand where old ones stood.
pub fn updated(kept: &[(String, Bytes)], new: &[(String, Bytes)], rule: Rule) -> Vec<(String, Bytes)> {
    let (said, _) = freshness::directives(&map(new), rule);
    let counts =
        |name: &str| admit::keeps(name, &said) && !OF_THE_BYTES.iter().any(|other| other.eq_ignore_ascii_case(name));
    let new: Vec<&(String, Bytes)> = new.iter().filter(|(name, _)| counts(name)).collect();
    let mut all: Vec<(String, Bytes)> = Vec::with_capacity(kept.len() + new.len());
    for field in kept {
        let instead = new.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&field.0));
        if instead.clone().next().is_none() {
            all.push(field.clone());
        } else if !all.iter().any(|(name, _)| name.eq_ignore_ascii_case(&field.0)) {
            all.extend(instead.map(|field| (*field).clone()));
        }
    }
    let added = new.into_iter().filter(|(name, _)| !kept.iter().any(|(old, _)| old.eq_ignore_ascii_case(name)));
    all.extend(added.cloned());
    all
}

/// Fields as a map to look into.
pub fn map(fields: &[(String, Bytes)]) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_maybe_shared(value.clone())) {
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { heuristic: true, surrogate: true };

    fn fields(lines: &[(&str, &'static str)]) -> Vec<(String, Bytes)> {
        lines.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from_static(value.as_bytes()))).collect()
    }

    fn of(lines: &[(&str, &'static str)]) -> Validators {
        Validators::of(&map(&fields(lines)), field::date("Sun, 01 Mar 2026 12:00:00 GMT").unwrap())
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        let kept = of(&[("ETag", "\"a\""), ("Last-Modified", "Sun, 01 Mar 2026 11:00:00 GMT")]);
        let has = |name, value| kept.unchanged(&map(&fields(&[(name, value)])));
        for tags in ["\"a\"", "W/\"a\"", "\"x\", \"a\" , \"y\"", "*"] {
            assert!(has("If-None-Match", tags), "{tags}");
        }
        assert!(!has("If-None-Match", "\"b\"") && !has("If-None-Match", "a"));
        assert!(has("If-Modified-Since", "Sun, 01 Mar 2026 11:00:00 GMT"));
        assert!(has("If-Modified-Since", "Sunday, 01-Mar-26 11:30:00 GMT"));
        assert!(!has("If-Modified-Since", "Sun, 01 Mar 2026 10:59:59 GMT") && !has("If-Modified-Since", "never"));
        let both = [("If-None-Match", "\"b\""), ("If-Modified-Since", "Sun, 01 Mar 2026 12:00:00 GMT")];
        assert!(!kept.unchanged(&map(&fields(&both))), "the tag counts before the date");
        assert!(!kept.unchanged(&HeaderMap::new()));
    }

    #[test]
    fn without_a_last_change_the_date_counts() {
        let has = |since| of(&[]).unchanged(&map(&fields(&[("If-Modified-Since", since)])));
        assert!(has("Sun, 01 Mar 2026 12:00:00 GMT") && !has("Sun, 01 Mar 2026 11:59:59 GMT"));
    }

    #[test]
    fn a_range_is_cut_only_from_the_very_same_bytes() {
        let modified = ("Last-Modified", "Sun, 01 Mar 2026 11:00:00 GMT");
        let allows = |kept: Validators, value| kept.allows_range(&map(&fields(&[("If-Range", value)])));
        assert!(allows(of(&[("ETag", "\"a\"")]), "\"a\""));
        assert!(!allows(of(&[("ETag", "\"a\"")]), "\"b\"") && !allows(of(&[("ETag", "W/\"a\"")]), "W/\"a\""));
        assert!(allows(of(&[modified]), modified.1) && !allows(of(&[modified]), "Sun, 01 Mar 2026 11:00:01 GMT"));
        let just_now = ("Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT");
        assert!(!allows(of(&[just_now]), just_now.1), "it may have changed again within the second");
        assert!(of(&[]).allows_range(&HeaderMap::new()));
    }

    #[test]
    fn new_fields_stand_where_old_ones_stood_but_those_of_the_bytes_stay() {
        let kept = fields(&[("A", "1"), ("Set-Cookie", "x"), ("b", "2"), ("set-cookie", "y"), ("ETag", "\"a\"")]);
        let new = fields(&[("SET-COOKIE", "z"), ("C", "3"), ("ETag", "\"b\""), ("Content-Length", "9"), ("Age", "1")]);
        let after = updated(&kept, &new, RULE);
        assert_eq!(after, fields(&[("A", "1"), ("SET-COOKIE", "z"), ("b", "2"), ("ETag", "\"a\""), ("C", "3")]));
    }

    #[test]
    fn tags_of_several_answers_are_one_question() {
        let tags = [HeaderValue::from_static("\"a\""), HeaderValue::from_static("W/\"b\"")];
        assert_eq!(any_of(tags.iter()).unwrap(), "\"a\", W/\"b\"");
        assert_eq!(any_of([].iter()), None);
    }
}
