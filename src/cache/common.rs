//! Answers in the Redis that several gates share. Whatever is wrong with it is a miss.
//!
//! An answer lies under `PREFIX:answer:HASH` until it is of no more use. Beside it, each thing that answers can be picked
//! by has a sorted set `PREFIX:label:…` of hashes by the time they end, so that a purge reads its own sets and no other
//! key; and `PREFIX:purges` tells gates that were away what they missed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Away;
use super::entry::Entry;
use super::key::Key;
use super::memory::Stored;
use super::pick::{self, Pick};
use super::purges::{self, Purges};
use super::sealed::{self, Label};
use crate::clock::Clock;
use crate::state::Redis;
use crate::state::redis::{Gone, News};

/// Answers that may wait to be written.
const MOST_WAITING: usize = 256;

/// Bytes of answers that may wait to be written.
const WAITING_BYTES: usize = 32 << 20;

/// How long writing and purging may wait for one answer of Redis: nobody waits for them.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many answers go at once.
const BATCH: usize = 500;

/// So many purges are remembered for gates that are away.
const PURGES: usize = 1000;

/// So many forgotten URLs are remembered while Redis does not answer.
const FORGOTTEN: usize = 10_000;

/// The topic of purges among gates.
const TOPIC: &str = "purge";

/// The topic of URLs that were changed.
const CHANGED: &str = "forget";

/// Puts a hash into a set by the time that it ends, takes out those that ended, and lets the set live as long as the last.
/// In one step, since several gates do it.
const ADD: &str = "redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) \
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3]) \
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end \
    return 1";

/// Answers that gates share.
#[derive(Debug)]
pub(super) struct Common {
    redis: Arc<Redis>,
    clock: Clock,
    /// What was purged lately.
    purges: Arc<Purges>,
    /// To the task that writes.
    queue: Sender<Work>,
    /// Its end of the queue, until it begins.
    work: Mutex<Option<Receiver<Work>>>,
    /// Bytes that wait to be written.
    waiting: AtomicUsize,
    /// Purges that it could not be told.
    owed: Mutex<Vec<Said>>,
    /// Keys that were forgotten and that it could not be told, the oldest first.
    forgotten: Mutex<VecDeque<[u8; 32]>>,
    /// What happened so far.
    counts: Counts,
}

/// What is to be done by the task that writes.
#[derive(Debug)]
enum Work {
    /// Write an answer.
    Put(Arc<Stored>),
    /// Take away the answer to a key, and tell the other gates.
    Forget([u8; 32]),
}

/// A purge, as gates tell each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Said {
    /// When, in milliseconds since 1970.
    at: u64,
    pick: Pick,
}

/// Counters for status.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    written: AtomicU64,
    /// Answers that could not be written: it was gone, or the queue full.
    dropped: AtomicU64,
    /// Values that were no answer that could be used.
    corrupt: AtomicU64,
}

// === impl Common ===

impl Common {
    /// Answers in this Redis.
    pub(super) fn new(redis: Arc<Redis>, clock: Clock, purges: Arc<Purges>) -> Self {
        let (queue, work) = channel(MOST_WAITING);
        Self {
            redis,
            clock,
            purges,
            queue,
            work: Mutex::new(Some(work)),
            waiting: AtomicUsize::new(0),
            owed: Mutex::default(),
            forgotten: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// The answer to a request with this very key, if there is one that is still of use.
    pub(super) async fn get(&self, key: &Key) -> Option<Entry> {
        let name = self.answer(&key.hash_hex());
        let found: Option<Vec<u8>> = self.redis.ask(redis::cmd("GET").arg(&name)).await.ok().flatten();
        let opened = found.map_or(Ok(None), |bytes| sealed::open(&bytes, key));
        if opened.is_err() {
            self.counts.corrupt.fetch_add(1, Ordering::Relaxed);
            let _ = self.redis.ask::<i64>(redis::cmd("UNLINK").arg(&name)).await;
        }
        let entry = opened.ok().flatten().filter(|entry| entry.is_of_use(&self.clock));
        let count = if entry.is_some() { &self.counts.hits } else { &self.counts.misses };
        count.fetch_add(1, Ordering::Relaxed);
        entry
    }

    /// Puts an answer into the queue of those to be written; it is dropped when Redis is gone or too slow.
    pub(super) fn put(&self, stored: Arc<Stored>) {
        let size = stored.entry.size;
        let waiting = self.waiting.fetch_add(size, Ordering::Relaxed);
        let room = self.redis.is_up() && waiting + size <= WAITING_BYTES;
        if !room || self.queue.try_send(Work::Put(stored)).is_err() {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what is in the queue, until the process ends.
    pub(super) async fn write(&self) {
        let Some(mut work) = self.work.lock().take() else { return };
        while let Some(work) = work.recv().await {
            match work {
                Work::Put(stored) => self.write_or_drop(&stored).await,
                Work::Forget(hash) => self.forget_or_owe(hash).await,
            }
            self.forget_owed().await;
        }
    }

    async fn write_or_drop(&self, stored: &Stored) {
        let made = stored.entry.stored_at;
        if !self.purges.forbid(made, || pick::labels(&stored.key, &stored.entry)) {
            let count = match self.write_one(stored).await {
                Ok(()) => &self.counts.written,
                Err(Gone) => &self.counts.dropped,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.waiting.fetch_sub(stored.entry.size, Ordering::Relaxed);
    }

    /// Writes an answer, and what it can be picked by before it: what is there can be purged.
    async fn write_one(&self, stored: &Stored) -> Result<(), Gone> {
        let label = Label::of(&stored.key, &stored.entry);
        let (now, hash) = (self.clock.wall(), stored.key.hash_hex());
        let left = u64::try_from(label.left(now).as_millis()).unwrap_or(u64::MAX);
        let Some(bytes) = sealed::seal(&label, &stored.key, &stored.entry).filter(|_| left > 0) else {
            return Ok(());
        };
        for picked in pick::labels(&stored.key, &stored.entry).iter().filter(|picked| !picked.starts_with("key:")) {
            let mut command = redis::cmd("EVAL");
            command.arg(ADD).arg(1).arg(self.redis.key("label", picked));
            command.arg(&hash).arg(label.until).arg(sealed::millis(now)).arg(left);
            self.redis.ask_within::<i64>(&command, PATIENCE).await?;
        }
        let mut command = redis::cmd("SET");
        command.arg(self.answer(&hash)).arg(bytes).arg("PX").arg(left);
        self.redis.ask_within(&command, PATIENCE).await
    }

    /// Takes the answer to a key away and tells the other gates, after whatever waits to be written.
    pub(super) fn forget(&self, hash: [u8; 32]) {
        if !self.redis.is_up() || self.queue.try_send(Work::Forget(hash)).is_err() {
            self.owe(hash);
        }
    }

    async fn forget_or_owe(&self, hash: [u8; 32]) {
        let key = blake3::Hash::from_bytes(hash).to_hex();
        let unlinked =
            self.redis.ask_within::<i64>(redis::cmd("UNLINK").arg(self.answer(key.as_str())), PATIENCE).await;
        if unlinked.is_err() || self.redis.tell(CHANGED, json!(key.as_str())).await.is_err() {
            self.owe(hash);
        }
    }

    /// Tells what could not be told before.
    async fn forget_owed(&self) {
        let owed = if self.redis.is_up() { std::mem::take(&mut *self.forgotten.lock()) } else { VecDeque::new() };
        for hash in owed {
            self.forget_or_owe(hash).await;
        }
    }

    fn owe(&self, hash: [u8; 32]) {
        let mut forgotten = self.forgotten.lock();
        if forgotten.len() >= FORGOTTEN {
            forgotten.pop_front();
        }
        forgotten.push_back(hash);
    }

    /// Takes answers away, and tells the other gates.
    pub(super) async fn purge(&self, pick: &Pick, at: SystemTime) -> Away {
        let said = Said { at: sealed::millis(at), pick: pick.clone() };
        if let Ok(count) = self.purge_now(&said).await {
            return Away::Gone(count);
        }
        let mut owed = self.owed.lock();
        if owed.len() >= PURGES {
            *owed = vec![Said { at: said.at, pick: Pick::All }];
        } else {
            owed.push(said);
        }
        Away::Later
    }

    async fn purge_now(&self, said: &Said) -> Result<usize, Gone> {
        let text = serde_json::to_string(said).map_err(|_| Gone)?;
        let list = self.redis.key("purges", "");
        let mut command = redis::cmd("XADD");
        command.arg(&list).arg("MAXLEN").arg("~").arg(PURGES).arg("*").arg("purge").arg(text);
        self.redis.ask_within::<String>(&command, PATIENCE).await?;
        let lives = u64::try_from(purges::LONGEST.as_millis()).unwrap_or(u64::MAX);
        self.redis.ask_within::<i64>(redis::cmd("PEXPIRE").arg(&list).arg(lives), PATIENCE).await?;
        let body = serde_json::to_value(said).map_err(|_| Gone)?;
        self.redis.tell(TOPIC, body).await?;
        if let Pick::Key(hash) = &said.pick {
            return self.redis.ask_within(redis::cmd("UNLINK").arg(self.answer(hash)), PATIENCE).await;
        }
        self.empty(&self.redis.key("label", &said.pick.label())).await
    }

    /// Takes away all answers that a set names.
    async fn empty(&self, set: &str) -> Result<usize, Gone> {
        let mut count = 0;
        loop {
            let mut range = redis::cmd("ZRANGE");
            range.arg(set).arg(0).arg(BATCH - 1);
            let hashes: Vec<String> = self.redis.ask_within(&range, PATIENCE).await?;
            if hashes.is_empty() {
                return Ok(count);
            }
            let (mut unlink, mut forget) = (redis::cmd("UNLINK"), redis::cmd("ZREM"));
            forget.arg(set);
            for hash in &hashes {
                unlink.arg(self.answer(hash));
                forget.arg(hash);
            }
            count += self.redis.ask_within::<usize>(&unlink, PATIENCE).await?;
            self.redis.ask_within::<i64>(&forget, PATIENCE).await?;
        }
    }

    /// Redis is there again: tells it what it is owed, and says what other gates purged lately.
    pub(super) async fn catch_up(&self) -> Vec<(SystemTime, Pick)> {
        let owed = std::mem::take(&mut *self.owed.lock());
        for said in owed {
            if self.purge_now(&said).await.is_err() {
                self.owed.lock().push(said);
            }
        }
        self.forget_owed().await;
        let mut range = redis::cmd("XRANGE");
        range.arg(self.redis.key("purges", "")).arg("-").arg("+");
        let told: Result<redis::streams::StreamRangeReply, Gone> = self.redis.ask_within(&range, PATIENCE).await;
        let texts = told.into_iter().flat_map(|told| told.ids).filter_map(|id| id.get::<String>("purge"));
        texts.filter_map(|text| serde_json::from_str::<Said>(&text).ok()).map(Said::parts).collect()
    }

    fn answer(&self, hash: &str) -> String {
        self.redis.key("answer", hash)
    }

    /// What it did, for status.
    pub(super) fn show(&self) -> Value {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({
            "hits": read(&self.counts.hits),
            "misses": read(&self.counts.misses),
            "written": read(&self.counts.written),
            "dropped": read(&self.counts.dropped),
            "corrupt": read(&self.counts.corrupt),
            "purges_owed": self.owed.lock().len(),
        })
    }
}

// === impl Said ===

impl Said {
    fn parts(self) -> (SystemTime, Pick) {
        (UNIX_EPOCH + Duration::from_millis(self.at), self.pick)
    }
}

/// The purge that another gate tells of, if that is what it tells.
pub(super) fn heard(news: &News) -> Option<(SystemTime, Pick)> {
    let said = serde_json::from_value::<Said>(news.body.clone()).ok().filter(|_| news.topic == TOPIC)?;
    Some(said.parts())
}

/// The hash of the key that another gate has forgotten, if that is what it tells.
pub(super) fn forgotten(news: &News) -> Option<[u8; 32]> {
    let hash = news.body.as_str().filter(|_| news.topic == CHANGED)?;
    blake3::Hash::from_hex(hash).ok().map(blake3::Hash::into)
}
