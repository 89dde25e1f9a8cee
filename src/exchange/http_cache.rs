//! The stage between plan and attempts for what a policy wants cached as HTTP says (RFC 9111): serves what is kept, asks
//! an upstream whether it still holds, keeps what comes, and forgets what was changed.

mod fill;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::attempt::{self, Committed};
use super::decision::{CacheRule, Plan};
use super::wire::{Client, Connection, Dial};
use super::{CacheVerdict, End, Exchange, decide, heads, relay};
use crate::cache::http::admit::Asked;
use crate::cache::http::choose::{self, Choice};
use crate::cache::http::directives::{DEVICE, Wishes};
use crate::cache::http::freshness::Times;
use crate::cache::http::status::{Report, Why};
use crate::cache::http::{Rule, Stored, Variants, field, render, target};
use crate::cache::{Form, Key};
use crate::error::{Error, Fault, Kind};
use crate::gate::Gate;
use crate::message::{Body, RequestHead, ResponseHead};
pub use fill::{Fill, settle};

/// What was asked for, as it was before the gate put questions of its own in.
struct Asking {
    /// The head, as the policies left it.
    head: RequestHead,
    /// Path and query.
    target: String,
    /// The site.
    host: Option<String>,
    /// What the client wants of caches.
    wishes: Wishes,
    /// What the policy wants.
    rule: CacheRule,
    /// The same, as far as it is about HTTP.
    http: Rule,
    /// Where the request is to go.
    plan: Plan,
    /// When it was taken up.
    at: SystemTime,
    /// What is kept of its URL.
    variants: Arc<Variants>,
}

/// Why an upstream is asked, and about what.
struct Errand {
    why: Why,
    /// The answer that is asked about, or serves when no upstream can.
    stored: Option<Arc<Stored>>,
    /// The answers to other requests that are asked about.
    tags: Option<HeaderValue>,
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
    let asking = Asking::of(gate, x, plan)?;
    let errand = match asking.choose(x) {
        Choice::Serve(stored) => {
            let fresh = stored.terms.left(asking.at).is_some();
            let verdict = if fresh { CacheVerdict::Hit } else { CacheVerdict::Stale };
            return hit(gate, client, x, &asking, &stored, Told { verdict, at: asking.at, asked: None }).await;
        }
        Choice::Refuse => {
            return Err(Error::client(Kind::Rejected, 504, "nothing is stored that could serve this request"));
        }
        Choice::ServeAndAsk(stored) => Errand { why: Why::Stale, stored: Some(stored), tags: None },
        Choice::Ask(stored, why) => Errand { why, stored: Some(stored), tags: None },
        Choice::AskWhich(tags) => Errand { why: Why::OtherVariant, stored: None, tags: Some(tags) },
        Choice::Go(why) => Errand { why, stored: None, tags: None },
    };
    count(&gate.http.counts().misses);
    ask(gate, client, x, &asking, errand).await
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
        gate.http.change(&key, |variants| variants.replaced(old, &new));
    } else {
        new = new.chosen_for(&asking.head.headers);
        let new = Arc::new(new.clone());
        gate.http.change(&key, |variants| variants.with(new, &asking.head.headers));
    }
    count(&gate.http.counts().revalidated);
    let status = Some(answer.head.status);
    let told = Told { verdict: CacheVerdict::Revalidated, at: times.came, asked: Some((errand.why, status)) };
    hit(gate, client, x, asking, &new, told).await
}

/// How a kept answer came to serve.
struct Told {
    verdict: CacheVerdict,
    /// When.
    at: SystemTime,
    /// Why an upstream was asked before, and what it said.
    asked: Option<(Why, Option<StatusCode>)>,
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
    let counts = gate.http.counts();
    count(&counts.hits);
    if told.verdict == CacheVerdict::Stale {
        count(&counts.stale);
    }
    let bad = |error: crate::message::HeadError| {
        Error::gate("a stored response cannot be sent").with_detail(error.to_string())
    };
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

// === impl Asking ===

impl Asking {
    /// Takes up an exchange, and looks for what is kept.
    fn of<D: Dial>(gate: &Gate<D>, x: &mut Exchange, plan: Plan) -> Result<Self, Error> {
        let rule = x.cache.rule.clone().ok_or_else(|| Error::gate("the exchange has no cache rule"))?;
        let http = rule.http.ok_or_else(|| Error::gate("the exchange is not cached as HTTP says"))?;
        let head = x.request.lock().head.clone();
        let mut asking = Self {
            target: head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
            host: x.host.as_ref().and_then(|host| host.to_str().ok()).map(str::to_owned),
            wishes: Wishes::of(&head.headers),
            head,
            rule,
            http,
            plan,
            at: x.tape.wall(&gate.clock),
            variants: Arc::default(),
        };
        let key = asking.key(x, &asking.target);
        if asking.rule.read {
            asking.variants = x.tape.kept(|| key.question(), || gate.http.get(&key)).unwrap_or_default();
        }
        x.cache.key = Some(key);
        Ok(asking)
    }

    /// The request as the pure part knows it.
    fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.head.method,
            headers: &self.head.headers,
            target: &self.target,
            host: self.host.as_deref(),
        }
    }

    /// What to do.
    fn choose(&self, x: &Exchange) -> Choice {
        if !self.rule.read {
            return Choice::Go(Why::Bypass);
        }
        if !matches!(x.request.lock().body, Body::Empty) {
            // What a body asks for is no part of the key (RFC 9110 §9.3.1).
            return Choice::Go(Why::Method);
        }
        choose::choose(&self.asked(), &self.wishes, &self.variants, self.at)
    }

    /// What answers of a URL of this site are kept under: those of one site, one intended upstream and one state of the
    /// policies, whatever the method.
    fn key(&self, x: &Exchange, path: &str) -> Key {
        let mut rule = self.rule.clone();
        rule.key.push(("host".to_owned(), Value::from(self.host.as_deref()).to_string()));
        let fingerprint = format!("{} {}", x.generation.hash, self.intended());
        let form = Form { method: "GET", path, dialect: None, stream: false, model: None };
        let user = decide::holder(x.identity.user.as_deref(), &self.head);
        Key::new(&rule, user.as_deref(), &fingerprint, &form)
    }

    /// The upstream that the plan names first.
    fn intended(&self) -> &str {
        self.plan.attempts.first().map_or("", |attempt| attempt.upstream.as_str())
    }

    /// Puts the gate's own questions into the head that upstreams are sent. Tells whether an answer may be that what is
    /// kept still holds.
    fn put(&self, head: &mut RequestHead, errand: &Errand) -> Result<bool, Error> {
        let bad = |error: crate::message::HeadError| {
            Error::gate("a condition cannot be sent").with_detail(error.to_string())
        };
        if self.http.surrogate {
            head.append_header("Surrogate-Capability", format!("{DEVICE}=\"Surrogate/1.0\"")).map_err(bad)?;
        }
        if let Some(tags) = &errand.tags {
            head.insert_header("If-None-Match", tags.clone()).map_err(bad)?;
            return Ok(true);
        }
        // Whether it still holds can be asked only of a `GET`; what is said to `HEAD` is compared.
        let Some(stored) = errand.stored.as_ref().filter(|_| head.method == Method::GET) else { return Ok(false) };
        if !stored.validators.any() {
            return Ok(false);
        }
        for name in ["if-none-match", "if-modified-since", "if-range"] {
            head.remove_header(name);
        }
        if stored.part.is_none() {
            head.remove_header("range");
        }
        for (name, value) in stored.validators.conditions() {
            head.insert_header(name, value).map_err(bad)?;
        }
        Ok(true)
    }

    /// The stale answer that serves in place of a failure, if one may.
    fn stand_in<N: Connection>(
        &self,
        errand: &Errand,
        answered: &Result<Committed<N>, Error>,
        now: SystemTime,
    ) -> Option<Arc<Stored>> {
        let failed = match answered {
            Ok(answer) => matches!(answer.head.status.as_u16(), 500 | 502 | 503 | 504),
            Err(error) => error.fault() == Fault::Upstream,
        };
        let stored = errand.stored.as_ref().filter(|_| failed)?;
        choose::may_stand_in(stored, &self.wishes, answered.is_ok(), now).then(|| Arc::clone(stored))
    }

    /// Takes from the head of an answer what it means for what is kept: a change made by an unsafe method (RFC 9111
    /// §4.4), and what `HEAD` tells of what `GET` would (§4.3.5).
    fn learn<D: Dial>(&self, gate: &Gate<D>, x: &Exchange, errand: &Errand, head: &ResponseHead, times: Times) {
        if !self.head.method.is_safe() {
            if head.status.is_success() || head.status.is_redirection() {
                self.forget(gate, x, head);
            }
            return;
        }
        if let Some(old) = errand.stored.as_ref().filter(|_| self.head.method == Method::HEAD)
            && head.status == StatusCode::OK
            && old.status == StatusCode::OK
        {
            let length = heads::content_length(&head.headers);
            let same = old.validators.same_as(&head.headers) && length.is_none_or(|is| is == old.body.len() as u64);
            let fields: Vec<_> = listed(head);
            let new = same.then(|| Arc::new(old.freshened(&fields, times, self.http)));
            gate.http.change(&self.key(x, &self.target), |variants| match &new {
                Some(new) => variants.replaced(old, new),
                None => variants.without(old),
            });
        }
    }

    /// Forgets what is kept of the URL of a request that changed it, and of those that its answer names.
    fn forget<D: Dial>(&self, gate: &Gate<D>, x: &Exchange, head: &ResponseHead) {
        let named = ["location", "content-location"].into_iter().filter_map(|name| {
            let reference = head.headers.get(name)?.to_str().ok()?;
            target::local(reference, &self.target, self.host.as_deref())
        });
        for path in named.chain([self.target.clone()]) {
            gate.http.forget(&self.key(x, &path));
        }
    }

    /// Begins to keep an answer, if it may be kept; why not otherwise.
    fn fill<D: Dial, N: Connection>(
        &self,
        gate: &Gate<D>,
        x: &Exchange,
        answer: &Committed<N>,
        times: Times,
    ) -> Result<Fill, &'static str> {
        if !self.rule.write {
            return Err("not to be stored");
        }
        if answer.upstream.name != self.intended() {
            return Err("another upstream than the intended one answered");
        }
        let most = gate.http.max_entry_bytes();
        if heads::content_length(&answer.head.headers).is_some_and(|length| length > most as u64) {
            return Err("larger than may be stored");
        }
        let stored = Stored::new(&self.asked(), answer.head.status, &listed(&answer.head), times, self.http)?;
        Ok(Fill::new(self.key(x, &self.target), stored, self.head.headers.clone(), most))
    }
}
