//! What to do with a request, given what is kept: serve it, ask about it, or go and fetch (RFC 9111 §4).

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method};

use super::admit::Asked;
use super::directives::Wishes;
use super::range::Wanted;
use super::status::Why;
use super::{Stored, Variants};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This answer serves.
    Serve(Arc<Stored>),
    /// This answer serves though it is stale, and is asked about behind the client's back (RFC 5861 §3).
    ServeAndAsk(Arc<Stored>),
    /// An upstream is asked, about this answer where it can be; should the upstream fail, it may have to serve.
    Ask(Arc<Stored>, Why),
    /// An upstream is asked, and told which answers to other requests are kept: it may be one of them.
    AskWhich(HeaderValue),
    /// An upstream is asked.
    Go(Why),
    /// The client wants a kept answer or none, and there is none.
    Refuse,
}

/// Decides. `variants` is what is kept of the URL.
pub fn choose(asked: &Asked<'_>, wishes: &Wishes, variants: &Variants, now: SystemTime) -> Choice {
    let choice = decide(asked, wishes, variants, now);
    match choice {
        Choice::Serve(_) | Choice::ServeAndAsk(_) => choice,
        _ if wishes.only_if_cached => Choice::Refuse,
        _ => choice,
    }
}

fn decide(asked: &Asked<'_>, wishes: &Wishes, variants: &Variants, now: SystemTime) -> Choice {
    if !matches!(*asked.method, Method::GET | Method::HEAD) {
        return Choice::Go(Why::Method);
    }
    // Only the upstream knows whether these hold (RFC 9111 §4.3.2).
    let upstreams = ["if-match", "if-unmodified-since"].iter().any(|name| asked.headers.contains_key(*name));
    if wishes.no_store || upstreams {
        return Choice::Go(Why::Request);
    }
    let wanted = wanted(asked);
    let mut matching = variants.iter().filter(|stored| stored.matches(asked.headers)).peekable();
    if matching.peek().is_none() {
        return nothing(asked, variants);
    }
    // The newest that holds all that is asked for; of equally new ones the one that came last (§4).
    let usable = matching.filter(|stored| holds(stored, asked.headers, wanted));
    let Some(stored) =
        usable.reduce(|best, next| if next.validators.made > best.validators.made { next } else { best })
    else {
        return Choice::Go(Why::Partial);
    };
    judge(stored, wishes, now)
}

/// The one range that a request asks for: only `GET` can.
pub fn wanted(asked: &Asked<'_>) -> Option<Wanted> {
    if *asked.method == Method::GET { Wanted::of(asked.headers) } else { None }
}

/// Whether an answer holds all that a request wants: a part serves who asks for what lies in it, or just as it was asked
/// for itself.
fn holds(stored: &Stored, request: &HeaderMap, wanted: Option<Wanted>) -> bool {
    let cut = || wanted.is_some_and(|wanted| stored.cut(wanted).is_some());
    stored.part.is_none() || ((asked_alike(stored, request) || cut()) && stored.validators.allows_range(request))
}

/// Whether a request asks for the very range that a part was the answer to.
pub fn asked_alike(stored: &Stored, request: &HeaderMap) -> bool {
    stored.asked_for.is_some() && stored.asked_for == super::field::text(request, "range")
}

/// No answer is for this request. An upstream may say that one for another request is (§4.1).
fn nothing(asked: &Asked<'_>, variants: &Variants) -> Choice {
    if variants.is_empty() {
        return Choice::Go(Why::NothingKept);
    }
    let own = ["if-none-match", "if-modified-since", "range"].iter().any(|name| asked.headers.contains_key(*name));
    match variants.tags() {
        Some(tags) if !own && *asked.method == Method::GET => Choice::AskWhich(tags),
        _ => Choice::Go(Why::OtherVariant),
    }
}

/// Whether the answer for this request may serve as it is.
fn judge(stored: &Arc<Stored>, wishes: &Wishes, now: SystemTime) -> Choice {
    let (terms, stored) = (&stored.terms, Arc::clone(stored));
    if wishes.no_cache {
        return Choice::Ask(stored, Why::Request);
    }
    if terms.always_ask {
        return Choice::Ask(stored, Why::Stale);
    }
    let young = wishes.max_age.is_none_or(|most| terms.age(now) <= most);
    match terms.left(now) {
        Some(left) if young && wishes.min_fresh.is_none_or(|least| left >= least) => Choice::Serve(stored),
        Some(_) => Choice::Ask(stored, Why::Request),
        None if terms.strict => Choice::Ask(stored, Why::Stale),
        None if wishes.max_stale.is_some_and(|most| terms.stale_for(now) <= most) && young => Choice::Serve(stored),
        None => {
            let undemanding = wishes.max_age.is_none() && wishes.min_fresh.is_none();
            let behind = terms.stale_for(now) < terms.while_revalidate && undemanding;
            if behind { Choice::ServeAndAsk(stored) } else { Choice::Ask(stored, Why::Stale) }
        }
    }
}

/// Whether a stale answer may serve when an upstream fails: `answered` says that it did answer, with a status that says
/// so. Cut off from its upstreams, a cache may serve whatever does not forbid it (RFC 9111 §4.2.4); to a failure that was
/// told, only within what the answer or the client allows (RFC 5861 §4).
pub fn may_stand_in(stored: &Stored, wishes: &Wishes, answered: bool, now: SystemTime) -> bool {
    if stored.terms.strict || wishes.no_cache {
        return false;
    }
    let most = wishes.stale_if_error.map_or(stored.terms.if_error, |most| most.max(stored.terms.if_error));
    !answered || stored.terms.stale_for(now) < most
}

#[cfg(test)]
mod tests;
