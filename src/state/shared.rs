//! Values that several gates have in common, as far as they share a Redis: small, with a time to live, and missing
//! whenever it does not answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::broadcast;

use super::redis::{News, Redis};

/// What gates share. Without a Redis every value is missing, and nobody hears anything.
#[derive(Clone, Debug, Default)]
pub struct Shared(Option<Arc<Redis>>);

// === impl Shared ===

impl Shared {
    /// Values in this Redis, if there is one.
    pub fn over(redis: Option<Redis>) -> Self {
        Self(redis.map(Arc::new))
    }

    /// The Redis itself.
    pub fn redis(&self) -> Option<&Arc<Redis>> {
        self.0.as_ref()
    }

    /// The value under a name in a space. `None` when there is none, or nobody knows.
    pub async fn get(&self, space: &str, name: &str) -> Option<Bytes> {
        let redis = self.0.as_ref()?;
        let value: Option<Vec<u8>> = redis.ask(redis::cmd("GET").arg(redis.key(space, name))).await.ok()?;
        value.map(Bytes::from)
    }

    /// The values under many names, in their order, in one question.
    pub async fn get_many(&self, space: &str, names: &[String]) -> Vec<Option<Bytes>> {
        let none = || names.iter().map(|_| None).collect();
        let Some(redis) = self.0.as_ref().filter(|_| !names.is_empty()) else { return none() };
        let mut command = redis::cmd("MGET");
        for name in names {
            command.arg(redis.key(space, name));
        }
        let values: Result<Vec<Option<Vec<u8>>>, _> = redis.ask(&command).await;
        values.map_or_else(|_| none(), |values| values.into_iter().map(|value| value.map(Bytes::from)).collect())
    }

    /// Puts a value under a name; false when nobody took it.
    pub async fn put(&self, space: &str, name: &str, value: &[u8], ttl: Duration) -> bool {
        self.set(space, name, value, ttl, false).await == Some(true)
    }

    /// Puts a value under a name that has none, in one step. `None`: nobody knows whether there was one.
    pub async fn put_if_absent(&self, space: &str, name: &str, value: &[u8], ttl: Duration) -> Option<bool> {
        self.set(space, name, value, ttl, true).await
    }

    async fn set(&self, space: &str, name: &str, value: &[u8], ttl: Duration, absent: bool) -> Option<bool> {
        let redis = self.0.as_ref()?;
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("SET");
        command.arg(redis.key(space, name)).arg(value).arg("PX").arg(millis);
        if absent {
            command.arg("NX");
        }
        let done: Option<String> = redis.ask(&command).await.ok()?;
        Some(done.is_some())
    }

    /// Takes a value away; false when nobody knows.
    pub async fn remove(&self, space: &str, name: &str) -> bool {
        let Some(redis) = &self.0 else { return false };
        redis.ask::<i64>(redis::cmd("UNLINK").arg(redis.key(space, name))).await.is_ok()
    }

    /// Puts a value into a collection, under a name of its own, for gates that come later. The collection as a whole is
    /// forgotten when nothing was put into it for so long; what is over before must say so itself.
    pub async fn post(&self, collection: &str, name: &str, value: &str, ttl: Duration) -> bool {
        let Some(redis) = &self.0 else { return false };
        let (key, millis) = (redis.key(collection, ""), u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1));
        let put = redis.ask::<i64>(redis::cmd("HSET").arg(&key).arg(name).arg(value)).await;
        put.is_ok() && redis.ask::<i64>(redis::cmd("PEXPIRE").arg(&key).arg(millis)).await.is_ok()
    }

    /// Takes a value out of a collection; false when nobody knows.
    pub async fn unpost(&self, collection: &str, name: &str) -> bool {
        let Some(redis) = &self.0 else { return false };
        redis.ask::<i64>(redis::cmd("HDEL").arg(redis.key(collection, "")).arg(name)).await.is_ok()
    }

    /// All values of a collection; none when nobody knows.
    pub async fn posted(&self, collection: &str) -> Vec<String> {
        let Some(redis) = &self.0 else { return Vec::new() };
        redis.ask(redis::cmd("HVALS").arg(redis.key(collection, ""))).await.unwrap_or_default()
    }

    /// Says something to all other gates that are there; false when nobody passes it on.
    pub async fn publish(&self, topic: &str, body: Value) -> bool {
        let Some(redis) = &self.0 else { return false };
        redis.tell(topic, body).await.is_ok()
    }

    /// What other gates say from now on, whatever the topic.
    pub fn subscribe(&self) -> Option<broadcast::Receiver<Arc<News>>> {
        self.0.as_ref().map(|redis| redis.news())
    }
}
