//! An exchange as a cache sees it: what was asked for, what is kept of it, and what an upstream is asked instead.

use std::sync::Arc;
use std::time::SystemTime;

use http::{Method, StatusCode};
use serde_json::Value;

use super::{Errand, Fill, fill, listed};
use crate::cache::http::admit::Asked;
use crate::cache::http::choose::{self, Choice};
use crate::cache::http::directives::{DEVICE, Wishes};
use crate::cache::http::freshness::Times;
use crate::cache::http::status::Why;
use crate::cache::http::{Rule, Stored, Variants, target};
use crate::cache::{Form, Key};
use crate::error::{Error, Fault};
use crate::exchange::attempt::Committed;
use crate::exchange::decision::{CacheRule, Plan};
use crate::exchange::wire::{Connection, Dial};
use crate::exchange::{Exchange, decide, heads};
use crate::gate::Gate;
use crate::message::{Body, HeadError, RequestHead, ResponseHead};

/// What was asked for, as it was before the gate put questions of its own in.
pub(super) struct Asking {
    /// The head, as the policies left it.
    pub(super) head: RequestHead,
    /// Path and query.
    pub(super) target: String,
    /// The site.
    host: Option<String>,
    /// What the client wants of caches.
    wishes: Wishes,
    /// What the policy wants.
    pub(super) rule: CacheRule,
    /// The same, as far as it is about HTTP.
    pub(super) http: Rule,
    /// Where the request is to go.
    pub(super) plan: Plan,
    /// When it was taken up.
    pub(super) at: SystemTime,
    /// What is kept of its URL.
    pub(super) variants: Arc<Variants>,
}

// === impl Asking ===

impl Asking {
    /// Takes up an exchange, and looks for what is kept.
    pub(super) async fn of<D: Dial>(gate: &Gate<D>, x: &mut Exchange, plan: Plan) -> Result<Self, Error> {
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
        if asking.rule.read && matches!(asking.head.method, Method::GET | Method::HEAD) {
            let serves = |variants: &Variants| asking.finds_fresh(variants);
            let found = x.tape.kept(|| key.question(), gate.cache.kept(&key, serves)).await;
            asking.variants = found.unwrap_or_default();
        }
        x.cache.key = Some(key);
        Ok(asking)
    }

    /// Whether there is an answer to it that is fresh, so that no other store need be asked.
    fn finds_fresh(&self, variants: &Variants) -> bool {
        variants.iter().any(|stored| stored.terms.left(self.at).is_some() && stored.matches(&self.head.headers))
    }

    /// The request as the pure part knows it.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: &self.head.method,
            headers: &self.head.headers,
            target: &self.target,
            host: self.host.as_deref(),
        }
    }

    /// What to do.
    pub(super) fn choose(&self, x: &Exchange) -> Choice {
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
    pub(super) fn key(&self, x: &Exchange, path: &str) -> Key {
        let mut parts = self.rule.key.clone();
        parts.push(("host".to_owned(), Value::from(self.host.as_deref()).to_string()));
        let fingerprint = format!("{} {}", x.generation.hash, self.intended());
        let form = Form { method: "GET", path, dialect: None, stream: None, upstream: "", model: None };
        let user = decide::holder(x.identity.user.as_deref(), &self.head);
        Key::new(parts, &self.rule, user.as_deref(), &fingerprint, &form)
    }

    /// The upstream that the plan names first.
    fn intended(&self) -> &str {
        self.plan.attempts.first().map_or("", |attempt| attempt.upstream.as_str())
    }

    /// Puts the gate's own questions into the head that upstreams are sent. Tells whether an answer may be that what is
    /// kept still holds.
    pub(super) fn put(&self, head: &mut RequestHead, errand: &Errand) -> Result<bool, Error> {
        let bad = |error: HeadError| Error::gate("a condition cannot be sent").with_detail(error.to_string());
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
    pub(super) fn stand_in<N: Connection>(
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
    pub(super) fn learn<D: Dial>(
        &self,
        gate: &Gate<D>,
        x: &Exchange,
        errand: &Errand,
        head: &ResponseHead,
        times: Times,
    ) {
        if !self.head.method.is_safe() {
            if head.status.is_success() || head.status.is_redirection() {
                self.forget(gate, x, head, times);
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
            gate.cache.change_kept(&self.key(x, &self.target), &self.rule.tags, times.asked, |variants| match &new {
                Some(new) => variants.replaced(old, new),
                None => variants.without(old),
            });
        }
    }

    /// Forgets what is kept of the URL of a request that changed it, and of those that its answer names.
    fn forget<D: Dial>(&self, gate: &Gate<D>, x: &Exchange, head: &ResponseHead, times: Times) {
        let named = ["location", "content-location"].into_iter().filter_map(|name| {
            let reference = head.headers.get(name)?.to_str().ok()?;
            target::local(reference, &self.target, self.host.as_deref())
        });
        for path in named.chain([self.target.clone()]) {
            gate.cache.forget_kept(&self.key(x, &path), times.came);
        }
    }

    /// Begins to keep an answer, if it may be kept; why not otherwise.
    pub(super) fn fill<D: Dial, N: Connection>(
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
        let most = gate.cache.http.max_entry_bytes();
        if heads::content_length(&answer.head.headers).is_some_and(|length| length > most as u64) {
            return Err("larger than may be stored");
        }
        let stored = Stored::new(&self.asked(), answer.head.status, &listed(&answer.head), times, self.http)?;
        let place = fill::Place { key: self.key(x, &self.target), tags: self.rule.tags.clone(), asked: times.asked };
        Ok(Fill::new(place, stored, self.head.headers.clone(), most))
    }
}
