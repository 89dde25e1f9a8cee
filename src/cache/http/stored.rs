//! What is kept: answers as they came, with what they allow read once, and all that are kept of one URL together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::admit::{self, Asked};
use super::freshness::{self, Terms, Times};
use super::range::{Part, Wanted};
use super::validate::{self, Validators};
use super::vary::Selecting;
use super::{Rule, field};

/// The most answers that are kept of one URL; the oldest makes room.
const MOST: usize = 32;

/// What one answer costs beside its texts and bytes.
const COST: usize = 512;

/// An answer that is kept. Everything but the first four fields and the body is read from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, in their order and spelling, without those of its connection.
    pub headers: Vec<(String, Bytes)>,
    /// Which requests it is for.
    pub selecting: Selecting,
    /// The range that its request asked for, when it is only a part.
    pub asked_for: Option<String>,
    /// Its body, or the part of it that is kept.
    pub body: Bytes,
    /// Which part that is, if it is only one.
    pub part: Option<Part>,
    /// What it allows.
    pub terms: Terms,
    /// What it can be recognised by.
    pub validators: Validators,
    /// The one language that it is in, if it says so.
    pub language: Option<String>,
}

/// The answers that are kept of one URL, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variants(Vec<Arc<Stored>>);

// === impl Stored ===

impl Stored {
    /// An answer whose body is yet to come, if it may be kept; why not otherwise.
    pub fn new(
        asked: &Asked<'_>,
        status: StatusCode,
        headers: &[(String, Bytes)],
        times: Times,
        rule: Rule,
    ) -> Result<Self, &'static str> {
        let fields = validate::map(headers);
        let terms = Terms::of(&fields, status, times, rule);
        admit::check(asked, status, &fields, &terms, rule)?;
        let selecting = Selecting::of(&fields, asked.headers).ok_or("it varies by everything")?;
        let (said, _) = freshness::directives(&fields, rule);
        let kept = headers.iter().filter(|(name, _)| admit::keeps(name, &said)).cloned().collect();
        let part = Part::of(&fields).filter(|_| status == StatusCode::PARTIAL_CONTENT);
        let asked_for = part.and_then(|_| field::text(asked.headers, "range"));
        Ok(Self {
            status,
            headers: kept,
            selecting,
            asked_for,
            body: Bytes::new(),
            part,
            terms,
            validators: Validators::of(&fields, times.came),
            language: field::only(&fields, "content-language").map(str::to_owned),
        })
    }

    /// The same answer after an upstream said that it holds.
    #[must_use]
    pub fn freshened(&self, new: &[(String, Bytes)], times: Times, rule: Rule) -> Self {
        let headers = validate::updated(&self.headers, new, rule);
        // `Age` is not kept, yet it counts: it is the age of what an upstream's own cache said.
        let mut fields = validate::map(&headers);
        for value in validate::map(new).get_all("age") {
            fields.append("age", value.clone());
        }
        Self {
            terms: Terms::of(&fields, self.status, times, rule),
            validators: Validators::of(&fields, times.came),
            language: field::only(&fields, "content-language").map(str::to_owned),
            headers,
            ..self.clone()
        }
    }

    /// The same answer for another request, to which an upstream said that it is the answer too.
    #[must_use]
    pub fn chosen_for(&self, request: &HeaderMap) -> Self {
        let selecting = Selecting::of(&validate::map(&self.headers), request).unwrap_or_default();
        Self { selecting, ..self.clone() }
    }

    /// Whether it is an answer to such a request, as far as `Vary` tells.
    pub fn matches(&self, request: &HeaderMap) -> bool {
        self.selecting.matches(request, self.language.as_deref())
    }

    /// The same answer with its body. `None` when that is longer than the part that it is said to be.
    #[must_use]
    pub fn with_body(self, body: Bytes) -> Option<Self> {
        let fits = self.part.is_none_or(|part| body.len() as u64 <= part.last - part.first + 1);
        fits.then_some(Self { body, ..self })
    }

    /// A range of its body; `None` when not all of it is there.
    pub fn cut(&self, wanted: Wanted) -> Option<(Part, Bytes)> {
        let length = self.body.len() as u64;
        let end = length.checked_sub(1)?;
        let (first, cut) = match self.part {
            None => (0, wanted.within(length)?),
            // A body that is shorter than it was said to be still begins where it was said to begin.
            Some(part) => (part.first, wanted.inside(Part { last: part.first + end, ..part })?),
        };
        let place = |byte: u64| usize::try_from(byte.checked_sub(first)?).ok();
        let (from, to) = (place(cut.first)?, place(cut.last)?);
        (to < self.body.len()).then(|| (cut, self.body.slice(from..=to)))
    }

    /// How old it is.
    pub fn age(&self, now: SystemTime) -> Duration {
        self.terms.age(now)
    }

    /// About how many bytes it takes.
    pub fn weight(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        COST + self.body.len() + headers + self.selecting.weight()
    }
}

// === impl Variants ===

impl FromIterator<Stored> for Variants {
    /// Those of one URL, the newest last.
    fn from_iter<I: IntoIterator<Item = Stored>>(all: I) -> Self {
        Self(all.into_iter().map(Arc::new).collect())
    }
}

impl Variants {
    /// All of them, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.0.iter().rev()
    }

    /// With one more, in place of those that it makes useless.
    #[must_use]
    pub fn with(&self, stored: Arc<Stored>, request: &HeaderMap) -> Self {
        let goes = |old: &Arc<Stored>| {
            let also = stored.part.is_some() && same_bytes(old, &stored) && old.asked_for != stored.asked_for;
            old.matches(request) && !also
        };
        let mut list: Vec<_> = self.0.iter().filter(|old| !goes(old)).cloned().collect();
        list.push(stored);
        if list.len() > MOST {
            list.remove(0);
        }
        Self(list)
    }

    /// With an answer in place of an earlier state of it; as it is when that is no longer there.
    #[must_use]
    pub fn replaced(&self, old: &Arc<Stored>, new: &Arc<Stored>) -> Self {
        let change = |each: &Arc<Stored>| if Arc::ptr_eq(each, old) { Arc::clone(new) } else { Arc::clone(each) };
        Self(self.0.iter().map(change).collect())
    }

    /// Without one of them.
    #[must_use]
    pub fn without(&self, gone: &Arc<Stored>) -> Self {
        Self(self.0.iter().filter(|each| !Arc::ptr_eq(each, gone)).cloned().collect())
    }

    /// With those that another store has of the same URL; of two that serve the same requests the newer one stays.
    #[must_use]
    pub fn joined(&self, others: &Self) -> Self {
        let same = |one: &Stored, other: &Stored| {
            one.selecting == other.selecting && one.part == other.part && one.asked_for == other.asked_for
        };
        let stays = |one: &Arc<Stored>, others: &Self, at_least: bool| {
            !others.0.iter().any(|other| {
                let newer = other.terms.came > one.terms.came || (at_least && other.terms.came == one.terms.came);
                newer && same(one, other)
            })
        };
        let own = self.0.iter().filter(|one| stays(one, others, false));
        let theirs = others.0.iter().filter(|one| stays(one, self, true));
        let mut list: Vec<_> = own.chain(theirs).cloned().collect();
        list.sort_by_key(|stored| stored.terms.came);
        list.drain(..list.len().saturating_sub(MOST));
        Self(list)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entity tags of those that are whole.
    pub fn tags(&self) -> Option<HeaderValue> {
        let whole = self.iter().filter(|stored| stored.part.is_none());
        validate::any_of(whole.filter_map(|stored| stored.validators.etag.as_ref()))
    }

    /// The one whose entity tag an upstream named.
    pub fn tagged(&self, etag: &HeaderValue) -> Option<&Arc<Stored>> {
        self.iter().find(|stored| stored.part.is_none() && stored.validators.etag.as_ref() == Some(etag))
    }

    /// About how many bytes they take.
    pub fn weight(&self) -> usize {
        self.0.iter().map(|stored| stored.weight()).sum()
    }
}

/// Whether two answers can hold parts of the same bytes: they have the same strong entity tag, or neither has one.
fn same_bytes(one: &Stored, other: &Stored) -> bool {
    let (one_tag, other_tag) = (&one.validators.etag, &other.validators.etag);
    one_tag == other_tag && one_tag.as_ref().is_none_or(|tag| tag.as_bytes().starts_with(b"\""))
}
