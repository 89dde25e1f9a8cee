//! All that is kept of one URL as stores outside this process take it: one [`Entry`], whose first piece tells the heads,
//! and each other one is a body.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::field;
use super::freshness::Terms;
use super::range::Part;
use super::stored::{Stored, Variants};
use super::validate::{self, Validators};
use super::vary::Selecting;
use crate::cache::entry::Entry;
use crate::cache::octets::Octets;

/// How long an answer is kept when it is stale: an upstream can be asked whether it still holds.
const STALE: Duration = Duration::from_hours(24);

/// The longest that anything is kept.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// All of an answer but its body. What is not here is read from its fields again.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, Octets)>,
    selecting: Selecting,
    asked_for: Option<String>,
    part: Option<Part>,
    terms: Terms,
}

// === impl Head ===

impl Head {
    fn of(stored: &Stored) -> Self {
        let octets = |(name, value): &(String, Bytes)| (name.clone(), Octets(value.clone()));
        Self {
            status: stored.status.as_u16(),
            headers: stored.headers.iter().map(octets).collect(),
            selecting: stored.selecting.clone(),
            asked_for: stored.asked_for.clone(),
            part: stored.part,
            terms: stored.terms,
        }
    }

    /// `None` when it is no answer.
    fn with(self, body: Bytes) -> Option<Stored> {
        let headers: Vec<_> = self.headers.into_iter().map(|(name, value)| (name, value.0)).collect();
        let fields = validate::map(&headers);
        let stored = Stored {
            status: StatusCode::from_u16(self.status).ok()?,
            validators: Validators::of(&fields, self.terms.came),
            language: field::only(&fields, "content-language").map(str::to_owned),
            headers,
            selecting: self.selecting,
            asked_for: self.asked_for,
            body: Bytes::new(),
            part: self.part,
            terms: self.terms,
        };
        stored.with_body(body)
    }
}

// === impl Variants ===

impl Variants {
    /// The newest of them, as many as `most` bytes hold, to be purged by these tags; `None` when that is none.
    pub(in crate::cache) fn to_entry(&self, most: usize, tags: &[String]) -> Option<Entry> {
        let mut room = most;
        let fits = |stored: &&Arc<Stored>| {
            let left = room.checked_sub(stored.weight());
            room = left.unwrap_or(room);
            left.is_some()
        };
        let mut chosen: Vec<_> = self.iter().take_while(fits).collect();
        chosen.reverse();
        let heads: Vec<Head> = chosen.iter().map(|stored| Head::of(stored)).collect();
        let told = Bytes::from(postcard::to_stdvec(&heads).ok()?);
        let chunks: Vec<Bytes> = std::iter::once(told).chain(chosen.iter().map(|stored| stored.body.clone())).collect();
        // The oldest says when they were made: what was purged since is not to come back with what is newer.
        let made = chosen.iter().map(|stored| stored.terms.came).min()?;
        let until = chosen.iter().map(|stored| until(&stored.terms)).max()?;
        Some(Entry {
            status: StatusCode::OK.as_u16(),
            headers: Vec::new(),
            times: vec![Duration::ZERO; chunks.len()],
            size: chunks.iter().map(Bytes::len).sum(),
            chunks,
            stored_at: made,
            ttl: until.duration_since(made).unwrap_or_default(),
            grace: Duration::ZERO,
            age_before: Duration::ZERO,
            tags: tags.to_vec(),
            provenance: None,
        })
    }

    /// What was written so; `None` when it was something else.
    pub(in crate::cache) fn of_entry(entry: &Entry) -> Option<Self> {
        let (told, bodies) = entry.chunks.split_first()?;
        let heads: Vec<Head> = postcard::from_bytes(told).ok()?;
        if heads.len() != bodies.len() {
            return None;
        }
        // Copied: one that stays alone would keep the bytes of all.
        let stored = heads.into_iter().zip(bodies).map(|(head, body)| head.with(Bytes::copy_from_slice(body)));
        stored.collect::<Option<Vec<_>>>().map(Self::from_iter)
    }
}

/// When an answer is of no more use.
fn until(terms: &Terms) -> SystemTime {
    let fresh = terms.lifetime.saturating_sub(terms.age_before);
    let stale = terms.while_revalidate.max(terms.if_error).max(STALE);
    terms.came + fresh.saturating_add(stale).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::super::Rule;
    use super::super::admit::Asked;
    use super::super::freshness::Times;
    use super::*;

    const RULE: Rule = Rule { heuristic: true, surrogate: true };

    fn stored(language: &'static str, came: u64, body: &'static str) -> (Arc<Stored>, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.insert("accept-language", language.parse().unwrap());
        let asked = Asked { method: &Method::GET, headers: &headers, target: "/", host: None };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + came);
        let answer = [
            ("Cache-Control", "max-age=60"),
            ("Vary", "Accept-Language"),
            ("Content-Language", language),
            ("ETag", "\"a\""),
        ];
        let answer = answer.map(|(name, value)| (name.to_owned(), Bytes::from_static(value.as_bytes())));
        let stored = Stored::new(&asked, StatusCode::OK, &answer, Times { asked: now, came: now }, RULE).unwrap();
        (Arc::new(stored.with_body(Bytes::from_static(body.as_bytes())).unwrap()), headers)
    }

    fn variants(all: &[(&'static str, u64, &'static str)]) -> Variants {
        all.iter().fold(Variants::default(), |variants, (language, came, body)| {
            let (stored, request) = stored(language, *came, body);
            variants.with(stored, &request)
        })
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let all = variants(&[("de", 5, "Flut"), ("en", 9, "flood"), ("fr", 7, "")]);
        let tags = ["night".to_owned()];
        let entry = all.to_entry(1 << 20, &tags).unwrap();
        assert_eq!(Variants::of_entry(&entry), Some(all));
        let day = 24 * 3600;
        assert_eq!((entry.ttl.as_secs(), entry.tags), (4 + 60 + day, tags.to_vec()));
        assert_eq!(entry.stored_at, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_005), "the oldest");
    }

    #[test]
    fn the_newest_are_written_when_not_all_have_room() {
        let all = variants(&[("de", 5, "Flut"), ("en", 9, "flood")]);
        let one = all.iter().next().unwrap().weight();
        let entry = all.to_entry(one + 10, &[]).unwrap();
        assert_eq!(Variants::of_entry(&entry), Some(variants(&[("en", 9, "flood")])));
        assert!(all.to_entry(10, &[]).is_none());
    }

    #[test]
    fn what_is_something_else_is_nothing() {
        let entry = variants(&[("de", 5, "Flut")]).to_entry(1 << 20, &[]).unwrap();
        for chunks in [Vec::new(), entry.chunks[..1].to_vec(), vec![Bytes::from_static(b"Flut"); 2]] {
            assert_eq!(Variants::of_entry(&Entry { chunks, ..entry.clone() }), None);
        }
    }

    #[test]
    fn of_two_stores_the_newer_answers_stay() {
        let own = variants(&[("de", 5, "Flut"), ("en", 9, "flood")]);
        let theirs = variants(&[("de", 7, "Ebbe"), ("en", 8, "ebb"), ("fr", 6, "jusant")]);
        assert_eq!(own.joined(&theirs), variants(&[("fr", 6, "jusant"), ("de", 7, "Ebbe"), ("en", 9, "flood")]));
        assert_eq!(own.joined(&own), own);
    }
}
