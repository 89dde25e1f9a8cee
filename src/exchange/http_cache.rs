//! The stage between plan and attempts for what a policy wants cached as HTTP says (RFC 9111): serves what is kept, asks
//! an upstream whether it still holds, keeps what comes, and forgets what was changed.

mod asking;

mod fill;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderValue, StatusCode};

use super::attempt::{self, Committed};
use super::decision::Plan;
use super::wire::{Client, Connection, Dial};
use super::{CacheVerdict, End, Exchange, heads, relay};
use crate::cache::http::choose::Choice;
use crate::cache::http::freshness::Times;
use crate::cache::http::status::{Report, Why};
use crate::cache::http::{Stored, field, render};
use crate::error::{Error, Kind};
use crate::gate::Gate;
use crate::message::{HeadError, ResponseHead};
use asking::Asking;
pub use fill::{Fill, finish, settle};

/// Why an upstream is asked, and about what.
struct Errand {
    why: Why,
    /// The answer that is asked about, or serves when no upstream can.
    stored: Option<Arc<Stored>>,
    /// The answers to other requests that are asked about.
    tags: Option<HeaderValue>,
}

/// How a kept answer came to serve.
struct Told {
    verdict: CacheVerdict,
    /// When.
    at: SystemTime,
    /// Why an upstream was asked before, and what it said.
    asked: Option<(Why, Option<StatusCode>)>,
}

/// Whether an exchange is cached as HTTP says.
pub fn concerns(x: &Exchange) -> bool {
    x.cache.rule.as_ref().is_some_and(|rule| rule.http.is_some()) && x.dialect.is_none()
}

/// Answers an exchange from what is kept, or through its upstreams.
pub async fn serve<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: Plan,
) -> Result<End, Error> {
    let asking = Asking::of(gate, x, plan).await?;
    let errand = match asking.choose(x) {
        Choice::Serve(stored) => {
            let fresh = stored.terms.left(asking.at).is_some();
            let verdict = if fresh { CacheVerdict::Hit } else { CacheVerdict::Stale };
            return hit(gate, client, x, &asking, &stored, Told { verdict, at: asking.at, asked: None }).await;
        }
        Choice::Refuse => {
            x.cache.verdict = CacheVerdict::Miss(Why::NothingKept.in_words());
            return Err(Error::client(Kind::Rejected, 504, "nothing is stored that could serve this request"));
        }
        Choice::ServeAndAsk(stored) => {
            x.cache.again = asking.rule.write;
            let told = Told { verdict: CacheVerdict::Stale, at: asking.at, asked: None };
            return hit(gate, client, x, &asking, &stored, told).await;
        }
        Choice::Ask(stored, why) => Errand { why, stored: Some(stored), tags: None },
        Choice::AskWhich(tags) => Errand { why: Why::OtherVariant, stored: None, tags: Some(tags) },
        Choice::Go(why) => Errand { why, stored: None, tags: None },
    };
    count(&gate.cache.http.counts().misses);
    ask(gate, client, x, &asking, errand).await
}

/// Asks the upstreams about a stale answer that served, once its client has it; unless it is fresh again.
pub async fn refresh<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: Plan,
) -> Result<End, Error> {
    let asking = Asking::of(gate, x, plan).await?;
    let Choice::ServeAndAsk(stored) = asking.choose(x) else { return Ok(End::Answered) };
    ask(gate, client, x, &asking, Errand { why: Why::Stale, stored: Some(stored), tags: None }).await
}

/// Asks the upstreams, and makes of their answer what the client gets.
async fn ask<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    asking: &Asking,
    errand: Errand,
) -> Result<End, Error> {
    x.cache.verdict = CacheVerdict::Miss(errand.why.in_words());
    let asked = x.tape.wall(&gate.clock);
    let conditional = asking.put(&mut x.request.lock().head, &errand)?;
    let answered = attempt::run(gate, client, x, asking.plan.clone()).await;
    x.request.lock().head = asking.head.clone();
    let came = x.tape.wall(&gate.clock);
    let times = Times { asked, came };
    if let Some(stored) = asking.stand_in(&errand, &answered, came) {
        let status = match answered {
            Ok(mut answer) => {
                answer.source.release(false).await;
                x.held = answer.held;
                Some(answer.head.status)
            }
            Err(_) => None,
        };
        let told = Told { verdict: CacheVerdict::Stale, at: came, asked: Some((errand.why, status)) };
        return hit(gate, client, x, asking, &stored, told).await;
    }
    let mut answer = answered?;
    heads::strip_response(&mut answer.head);
    if conditional && answer.head.status == StatusCode::NOT_MODIFIED {
        return validated(gate, client, x, asking, errand, answer, times).await;
    }
    asking.learn(gate, x, &errand, &answer.head, times);
    let mut report = Report::asked(errand.why);
    match asking.fill(gate, x, &answer, times) {
        Ok(fill) => {
            report.kept = true;
            answer.source.keep(fill);
        }
        Err(why) => x.cache.verdict = CacheVerdict::Miss(why),
    }
    tell(&mut answer.head, report)?;
    relay::response(gate, client, x, answer).await
}

/// An upstream said that what is kept still holds: it serves, with the fields that are new.
async fn validated<C: Client, D: Dial, N: Connection>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    asking: &Asking,
    errand: Errand,
    mut answer: Committed<N>,
    times: Times,
) -> Result<End, Error> {
    answer.source.release(true).await;
    // It is settled with the answer that is sent in its place.
    x.held = std::mem::take(&mut answer.held);
    let named = answer.head.headers.get(ETAG).and_then(|etag| asking.variants.tagged(etag));
    let Some(old) = errand.stored.as_ref().or(named) else {
        // It did not say which one: it is asked without conditions.
        let errand = Errand { why: errand.why, stored: None, tags: None };
        return Box::pin(ask(gate, client, x, asking, errand)).await;
    };
    let mut new = old.freshened(&listed(&answer.head), times, asking.http);
    let key = asking.key(x, &asking.target);
    if errand.stored.is_some() {
        let new = Arc::new(new.clone());
        gate.cache.change_kept(&key, &asking.rule.tags, times.asked, |variants| variants.replaced(old, &new));
    } else {
        new = new.chosen_for(&asking.head.headers);
        let new = Arc::new(new.clone());
        gate.cache
            .change_kept(&key, &asking.rule.tags, times.asked, |variants| variants.with(new, &asking.head.headers));
    }
    count(&gate.cache.http.counts().revalidated);
    let status = Some(answer.head.status);
    let told = Told { verdict: CacheVerdict::Revalidated, at: times.came, asked: Some((errand.why, status)) };
    hit(gate, client, x, asking, &new, told).await
}

/// Serves a kept answer.
async fn hit<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    asking: &Asking,
    stored: &Stored,
    told: Told,
) -> Result<End, Error> {
    let counts = gate.cache.http.counts();
    count(&counts.hits);
    if told.verdict == CacheVerdict::Stale {
        count(&counts.stale);
    }
    let bad = |error: HeadError| Error::gate("a stored response cannot be sent").with_detail(error.to_string());
    let (mut head, body) = render::answer(stored, &asking.asked(), told.at).map_err(bad)?;
    let mut report = Report::hit(&stored.terms, told.at);
    if let Some((why, status)) = told.asked {
        (report.asked, report.answered) = (Some(why), status);
    }
    tell(&mut head, report)?;
    x.cache.verdict = told.verdict;
    relay::kept(gate, client, x, head, body, stored.age(told.at)).await
}

/// Says in the head what the cache did (RFC 9211), behind what caches before it said.
fn tell(head: &mut ResponseHead, report: Report) -> Result<(), Error> {
    head.append_header("Cache-Status", report.to_string())
        .map_err(|error| Error::gate("a response cannot be marked").with_detail(error.to_string()))
        .map(drop)
}

/// The fields of a head, in their order and spelling.
fn listed(head: &ResponseHead) -> Vec<(String, Bytes)> {
    let field = |name: &[u8], value: &HeaderValue| (field::latin(name), Bytes::copy_from_slice(value.as_bytes()));
    if head.has_case() {
        head.case_header_iter().map(|(name, value)| field(name.as_slice(), value)).collect()
    } else {
        head.headers.iter().map(|(name, value)| field(name.as_str().as_bytes(), value)).collect()
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
