//! The one connection to the Redis or Valkey that gates share: who asks it is answered or told at once that it is gone,
//! and never waits for a dead one.

mod link;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue, RedisError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast, watch};

use crate::settings;
use link::{Door, Link, Messages};

/// The first pause before it is connected again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often an idle connection is tried.
const LOOK: Duration = Duration::from_secs(1);

/// So many answers in a row that came too late mean that it is gone.
const MOST_LATE: u32 = 3;

/// News that a slow reader may be behind before it loses the oldest.
const NEWS: usize = 1024;

/// A Redis.
pub struct Redis {
    /// How it is connected.
    door: Door,
    /// What the names of all keys begin with.
    prefix: String,
    /// How long an exchange waits for an answer.
    timeout: Duration,
    /// This gate among those that share it.
    me: String,
    /// The connection, while there is one. Without it nobody waits.
    link: ArcSwapOption<Link>,
    /// Told when the connection turned out to be dead.
    lost: Notify,
    /// Answers in a row that came too late.
    late: AtomicU32,
    /// How it stands, for status and log.
    standing: Mutex<Standing>,
    /// How many connections were made so far.
    made: watch::Sender<u64>,
    /// What other gates say.
    news: broadcast::Sender<Arc<News>>,
    /// Whether someone keeps it connected.
    kept: AtomicBool,
}

/// How a Redis stands.
#[derive(Debug)]
struct Standing {
    /// Whether it answers.
    up: bool,
    /// Since when.
    since: SystemTime,
    /// Why it does not.
    why: Option<String>,
    /// What it refused last, though it answers.
    refused: Option<String>,
    /// How often it was lost.
    losses: u64,
}

/// What one gate says to all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct News {
    /// Who says it.
    from: String,
    /// What it is about, such as `purge`.
    pub topic: String,
    /// What is said.
    pub body: Value,
}

/// There is no answer: it is gone, too slow, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared Redis does not answer")]
pub struct Gone;

// === impl Redis ===

impl Redis {
    /// A Redis that is not connected yet; `None` when the settings name none. The error says what is wrong with them.
    pub fn new(settings: &settings::Redis) -> Result<Option<Self>, String> {
        let Some(urls) = &settings.url else { return Ok(None) };
        let ca = settings.ca.as_ref().map(|file| {
            std::fs::read(file.path()).map_err(|error| format!("redis.ca: {}: {error}", file.path().display()))
        });
        let urls = urls.read().map_err(|why| format!("redis.url: {why}"))?;
        Ok(Some(Self {
            door: Door::new(urls, ca.transpose()?).map_err(|error| format!("redis.url: {error}"))?,
            prefix: settings.prefix.clone(),
            timeout: settings.timeout,
            me: format!("{:016x}", fastrand::u64(..)),
            link: ArcSwapOption::empty(),
            lost: Notify::new(),
            late: AtomicU32::new(0),
            standing: Mutex::new(Standing::new()),
            made: watch::Sender::new(0),
            news: broadcast::Sender::new(NEWS),
            kept: AtomicBool::new(false),
        }))
    }

    /// The name of a key: `tidegate:answer:…`.
    pub fn key(&self, kind: &str, rest: &str) -> String {
        format!("{}:{kind}:{rest}", self.prefix)
    }

    /// Whether it answers, as far as is known.
    pub fn is_up(&self) -> bool {
        self.link.load().is_some()
    }

    /// How many connections were made so far; changes when it is back.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.made.subscribe()
    }

    /// What other gates say from now on.
    pub fn news(&self) -> broadcast::Receiver<Arc<News>> {
        self.news.subscribe()
    }

    /// Asks it, for as long as an exchange may wait.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Gone> {
        self.ask_within(command, self.timeout).await
    }

    /// Asks it.
    pub async fn ask_within<T: FromRedisValue>(&self, command: &Cmd, patience: Duration) -> Result<T, Gone> {
        let Some(link) = self.link.load_full() else { return Err(Gone) };
        match tokio::time::timeout(patience, link.ask(command)).await {
            Ok(Ok(answer)) => {
                self.late.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.failed(&link, &error);
                Err(Gone)
            }
            Err(_) => {
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_LATE {
                    self.drop_link(&link, format!("no answer within {patience:?}, {MOST_LATE} times in a row"));
                }
                Err(Gone)
            }
        }
    }

    /// Says something to all other gates. Those that are away do not hear it.
    pub async fn tell(&self, topic: &str, body: Value) -> Result<(), Gone> {
        let news = News { from: self.me.clone(), topic: topic.to_owned(), body };
        let text = serde_json::to_string(&news).map_err(|_| Gone)?;
        self.ask(redis::cmd("PUBLISH").arg(self.channel()).arg(text)).await
    }

    /// Whether nobody keeps it connected yet; from now on somebody does.
    pub fn begin(&self) -> bool {
        !self.kept.swap(true, Ordering::Relaxed)
    }

    /// Keeps it connected until the process ends.
    pub async fn keep(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.door.open(&self.channel()).await {
                Ok((link, messages)) => {
                    self.came(link);
                    let why = self.listen(messages).await;
                    self.went(why);
                    pause = FIRST_PAUSE;
                }
                Err(error) => self.went(error.to_string()),
            }
            tokio::time::sleep(pause).await; // paced: nobody waits for this but who keeps the connection
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Hears what other gates say until the connection is dead; says why.
    async fn listen(&self, mut messages: Messages) -> String {
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.heard(message.get_payload_bytes()),
                    None => return "the connection was closed".to_owned(),
                },
                () = self.lost.notified() => return self.standing.lock().why.take().unwrap_or_default(),
                () = tokio::time::sleep(LOOK) => { // paced: how often an idle connection is tried
                    let _ = self.ask::<redis::Value>(&self.door.look()).await;
                }
            }
        }
    }

    /// Passes on what another gate said. What is no news of a gate is nobody's.
    fn heard(&self, text: &[u8]) {
        if let Ok(news) = serde_json::from_slice::<News>(text)
            && news.from != self.me
        {
            // Without listeners there is nobody to tell.
            let _ = self.news.send(Arc::new(news));
        }
    }

    fn channel(&self) -> String {
        format!("{}:news", self.prefix)
    }

    /// Takes note of an error: a dead connection is given up, a refusal shown.
    fn failed(&self, link: &Arc<Link>, error: &RedisError) {
        if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
            self.drop_link(link, error.to_string());
            return;
        }
        let mut standing = self.standing.lock();
        if standing.refused.replace(error.to_string()).is_none() {
            tracing::warn!("redis refuses: {error}");
        }
    }

    /// Gives a dead connection up, unless it was replaced meanwhile.
    fn drop_link(&self, link: &Arc<Link>, why: String) {
        let before = self.link.compare_and_swap(&Some(Arc::clone(link)), None);
        if before.as_ref().is_some_and(|now| Arc::ptr_eq(now, link)) {
            self.standing.lock().why = Some(why);
            self.lost.notify_one();
        }
    }

    /// It answers.
    fn came(&self, link: Link) {
        self.late.store(0, Ordering::Relaxed);
        let before = {
            let mut standing = self.standing.lock();
            let losses = standing.losses;
            std::mem::replace(&mut *standing, Standing { up: true, losses, ..Standing::new() })
        };
        let hosts = self.door.hosts();
        if before.why.is_some() {
            tracing::info!("redis is back: {hosts}");
        } else {
            tracing::info!("redis answers: {hosts}");
        }
        self.link.store(Some(Arc::new(link)));
        self.made.send_modify(|made| *made += 1);
    }

    /// It does not answer. That is said once.
    fn went(&self, why: String) {
        self.link.store(None);
        let mut standing = self.standing.lock();
        let news = standing.up || standing.why.is_none();
        if news {
            tracing::warn!("redis is gone, answers are missed until it is back: {}: {why}", self.door.hosts());
            let losses = standing.losses + 1;
            *standing = Standing { losses, ..Standing::new() };
        }
        standing.why = Some(why);
    }

    /// How it stands, for status.
    pub fn show(&self) -> Value {
        let standing = self.standing.lock();
        json!({
            "hosts": self.door.hosts(),
            "up": standing.up,
            "since": httpdate::fmt_http_date(standing.since),
            "why": standing.why,
            "refused": standing.refused,
            "losses": standing.losses,
        })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.door.hosts())
    }
}

// === impl Standing ===

impl Standing {
    /// Not connected yet.
    fn new() -> Self {
        Self { up: false, since: SystemTime::now(), why: None, refused: None, losses: 0 }
    }
}
