//! Embeddings text by text: what is kept of a batch is not asked for again, and the answer is put together in the order
//! of the request. Everything else is as for any other call.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::Map;

use super::attempt::{self, Committed};
use super::decision::{CacheRule, Plan};
use super::wire::{Client, Connection, Dial};
use super::{CacheVerdict, End, Exchange, heads, receive, relay};
use crate::cache::vector::{self, Kept};
use crate::cache::{Refusal, parts};
use crate::dialect::Dialect;
use crate::dialect::embedding::{Embed, Vector, Vectors};
use crate::dialect::event::Usage;
use crate::dialect::loss::Losses;
use crate::error::{Error, Kind};
use crate::gate::Gate;
use crate::json::Item;
use crate::message::{HeadError, Request, ResponseHead, ServedBy};
use crate::stream::decode::Decoder;

/// A call for embeddings whose texts are kept one by one.
pub struct Batch {
    /// The client's dialect.
    dialect: Dialect,
    /// What it asks for.
    asked: Embed,
    /// The rule that the texts are kept by.
    rule: CacheRule,
    /// What is written of each input in its key.
    texts: Vec<String>,
    /// For each input, the first one that is the same.
    first: Vec<usize>,
    /// The vectors that are there, for first ones.
    kept: Vec<Option<Kept>>,
}

/// Takes a call apart, if its rule says so and it can be read.
pub async fn batch<D: Dial>(gate: &Gate<D>, x: &mut Exchange) -> Option<Batch> {
    let dialect = x.dialect.filter(|dialect| embeds(*dialect))?;
    let rule = x.cache.rule.clone().filter(|rule| rule.texts)?;
    let key = x.cache.key.as_ref()?;
    let asked = {
        let request = x.request.lock();
        let body = serde_json::from_slice(&request.body.bytes()?).ok()?;
        Embed::read(dialect, request.head.uri.path_and_query()?.as_str(), body).ok()?
    };
    let texts: Vec<String> = asked.inputs.iter().map(parts::of_input).collect();
    let mut seen = std::collections::HashMap::with_capacity(texts.len());
    let first: Vec<usize> = texts.iter().enumerate().map(|(at, text)| *seen.entry(text).or_insert(at)).collect();
    let look = async |at: usize| {
        let found = rule.read && first.get(at) == Some(&at);
        let key = texts.get(at).filter(|_| found).map(|text| key.of_text(text, asked.base64))?;
        Kept::of(&*gate.cache.get(&key).await?, &gate.clock)
    };
    let found: Vec<Option<Kept>> = join_all((0..texts.len()).map(look)).await;
    let kept = x.tape.ask(|| format!("vectors {}", key.question()), || found);
    // The whole answer is none of what is kept, and what is asked for from here on may be a part of it.
    x.cache.rule.as_mut()?.write = false;
    Some(Batch { dialect, asked, rule, texts, first, kept })
}

/// Whether a call is one for embeddings.
pub(super) fn embeds(dialect: Dialect) -> bool {
    matches!(
        dialect,
        Dialect::OpenAiEmbeddings | Dialect::OllamaEmbed | Dialect::OllamaEmbeddings | Dialect::GeminiEmbed
    )
}

/// Asks for what is missing, and answers.
pub async fn run<C: Client, D: Dial>(
    gate: &Gate<D>,
    client: &mut C,
    x: &mut Exchange,
    plan: Plan,
    batch: Batch,
) -> Result<End, Error> {
    let missing = batch.missing();
    if missing.is_empty() && !batch.texts.is_empty() {
        x.cache.verdict = CacheVerdict::Hit;
        let (head, body, age) = batch.all()?;
        x.cache.details = Some(format!("hit; age={}", age.as_secs()));
        return relay::made(gate, client, x, head, body, ServedBy::Cache { age, stale: false }).await;
    }
    batch.ask_for(x, &missing)?;
    let mut committed = attempt::run(gate, client, x, plan).await?;
    if committed.head.status != StatusCode::OK || committed.early_error.is_some() {
        return relay::response(gate, client, x, committed).await;
    }
    let body = whole(client, x, &mut committed).await?;
    let as_meant = is_meant(x, &committed);
    let Committed { mut head, upstream, endpoint, held, .. } = committed;
    x.held = held;
    heads::strip_response(&mut head);
    let body = batch.answer(gate, x, &missing, &mut head, body, as_meant)?;
    let served_by = ServedBy::Upstream { upstream: upstream.name.clone(), endpoint: endpoint.name.clone() };
    relay::made(gate, client, x, head, body, served_by).await
}

/// Whether an answer came from the upstream and model that were meant: what others made are other vectors.
fn is_meant<N: Connection>(x: &Exchange, committed: &Committed<N>) -> bool {
    let first = x.plan.as_ref().and_then(|plan| plan.attempts.first());
    first.is_some_and(|first| first.upstream == committed.upstream.name && first.model == committed.model)
}

/// Reads an answer to its end, unless the client leaves.
async fn whole<C: Client, N: Connection>(
    client: &mut C,
    x: &mut Exchange,
    committed: &mut Committed<N>,
) -> Result<Bytes, Error> {
    let cap = x.generation.settings.limits.response_body;
    let watch = client.body_done();
    let read = tokio::select! {
        read = committed.source.read_all(cap, Some(&mut x.intake.share)) => read,
        () = client.gone(), if watch => Err(receive::gone()),
    };
    committed.source.release(read.is_ok()).await;
    read
}

/// An answer without the coding that it came in.
fn decoded(x: &Exchange, head: &ResponseHead, body: &Bytes) -> Option<Bytes> {
    let Some(coding) = head.headers.get("content-encoding") else { return Some(body.clone()) };
    match coding.to_str().ok()? {
        coding if coding.eq_ignore_ascii_case("identity") => Some(body.clone()),
        coding => Decoder::of(coding, x.generation.settings.limits.response_body)?.push(body).ok(),
    }
}

// === impl Batch ===

impl Batch {
    /// The inputs that must be asked for: each once.
    fn missing(&self) -> Vec<usize> {
        let lacks = |at: &usize| self.first.get(*at) == Some(at) && self.kept.get(*at).is_none_or(Option::is_none);
        (0..self.texts.len()).filter(lacks).collect()
    }

    /// Leaves out of the request what need not be asked for; all else of it stays as it is.
    fn ask_for(&self, x: &mut Exchange, missing: &[usize]) -> Result<(), Error> {
        if missing.len() == self.texts.len() || !self.asked.many {
            return Ok(());
        }
        let limits = x.generation.settings.limits.json();
        let list = if self.dialect == Dialect::GeminiEmbed { "requests" } else { "input" };
        let mut request = x.request.lock();
        let Request { body, .. } = &mut *request;
        let mut leave_out = || {
            let doc = body.json(limits)?;
            let Item::Object(root) = doc.root()? else { return Ok(()) };
            let Some(Item::Array(items)) = doc.get(root, list)? else { return Ok(()) };
            for at in (0..self.texts.len()).rev().filter(|at| missing.binary_search(at).is_err()) {
                doc.remove_at(items, at)?;
            }
            Ok(())
        };
        leave_out().map_err(|error: crate::json::JsonError| {
            Error::client(Kind::BadRequest, 400, format!("the request body is not JSON: {error}"))
        })
    }

    /// The answer when everything is there: its head, its body, and the age of the oldest vector.
    fn all(&self) -> Result<(ResponseHead, Bytes, Duration), Error> {
        let bad = |error: HeadError| Error::gate("a stored response cannot be sent").with_detail(error.to_string());
        let model = self.kept.iter().flatten().find_map(|kept| kept.model.clone());
        let none = Usage::default();
        let told = Vectors { model, vectors: Vec::new(), usage: Some(none), extra: Map::new(), origin: self.dialect };
        let body = self.merged(&[], told)?;
        let age = self.kept.iter().flatten().map(|kept| kept.age).max().unwrap_or_default();
        let mut head = ResponseHead::build(StatusCode::OK, Some(3)).map_err(bad)?;
        head.insert_header("Content-Type", "application/json").map_err(bad)?;
        head.insert_header("Age", age.as_secs()).map_err(bad)?;
        Ok((head, body, age))
    }

    /// What the client gets when some had to be asked for: the very answer when it was all, else one that is put together.
    fn answer<D: Dial>(
        &self,
        gate: &Gate<D>,
        x: &mut Exchange,
        missing: &[usize],
        head: &mut ResponseHead,
        body: Bytes,
        as_meant: bool,
    ) -> Result<Bytes, Error> {
        let all = missing.len() == self.texts.len();
        let read = decoded(x, head, &body).and_then(|body| Vectors::read(self.dialect, &body).ok());
        let Some(read) = read.filter(|read| read.vectors.len() == missing.len()) else {
            x.cache.verdict = CacheVerdict::Miss("unreadable");
            let message = "the upstream's answer holds not one vector for each text";
            return if all { Ok(body) } else { Err(Error::upstream(Kind::Garbage, message)) };
        };
        let stored = if as_meant { self.store(gate, x, missing, head, &read) } else { Err(Refusal::Fallback.as_str()) };
        x.cache.verdict = match stored {
            _ if !all => CacheVerdict::Partial { kept: self.texts.len() - missing.len(), of: self.texts.len() },
            Ok(()) => CacheVerdict::Stored,
            Err(why) => CacheVerdict::Miss(why),
        };
        if all {
            return Ok(body);
        }
        x.cache.details = Some(format!("partial; {}/{}", self.texts.len() - missing.len(), self.texts.len()));
        head.remove_header("content-encoding");
        self.merged(missing, read)
    }

    /// Keeps the vectors that came.
    fn store<D: Dial>(
        &self,
        gate: &Gate<D>,
        x: &Exchange,
        missing: &[usize],
        head: &ResponseHead,
        read: &Vectors,
    ) -> Result<(), &'static str> {
        if !self.rule.write {
            return Err("not to be stored");
        }
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        vector::may_keep(head.status.as_u16(), headers).map_err(Refusal::as_str)?;
        let key = x.cache.key.as_ref().ok_or("no key")?;
        for (at, vector) in missing.iter().zip(&read.vectors) {
            let entry =
                Kept::new(vector, read.model.as_deref()).and_then(|kept| kept.entry(&gate.clock, self.rule.ttl));
            let (Some(text), Some(entry)) = (self.texts.get(*at), entry) else { return Err("empty") };
            let put = gate.cache.put(key.of_text(text, self.asked.base64), entry, x.begun(&gate.clock));
            put.map_err(Refusal::as_str)?;
        }
        Ok(())
    }

    /// An answer of what came and what is kept, in the order of the request. `told` is all else that it says.
    fn merged(&self, missing: &[usize], told: Vectors) -> Result<Bytes, Error> {
        let garbage = |why: String| Error::upstream(Kind::Garbage, "vectors cannot be put together").with_detail(why);
        let vector = |first: &usize| -> Option<Vector> {
            match missing.binary_search(first) {
                Ok(came) => told.vectors.get(came).cloned(),
                Err(_) => self.kept.get(*first)?.as_ref()?.vector(),
            }
        };
        let vectors: Option<Vec<Vector>> = self.first.iter().map(vector).collect();
        let vectors = vectors.ok_or_else(|| garbage("one is missing".to_owned()))?;
        let all = Vectors { vectors, ..told };
        let written = all.write(self.dialect, &self.asked, &mut Losses::default());
        written.map(Bytes::from).map_err(|error| garbage(error.to_string()))
    }
}

// === impl Exchange ===

impl Exchange {
    /// Whether what is stored for this exchange is stored text by text.
    pub(super) fn is_split(&self, rule: &CacheRule) -> bool {
        rule.texts && self.dialect.is_some_and(embeds)
    }
}
