//! What the cache did for an exchange, and what it still holds for it.

use std::sync::Arc;

use super::decision::CacheRule;
use super::storing::Means;
use crate::cache::{Entry, Fill, Key, Leading, Role};
use crate::stream::Wire;

/// What the cache did for an exchange.
#[derive(Debug, Default)]
pub struct CacheState {
    /// The rule, if a policy gave one.
    pub rule: Option<CacheRule>,
    /// What identifies the stored response.
    pub key: Option<Key>,
    /// How it went.
    pub verdict: CacheVerdict,
    /// How the client wants the events of a chat's answer; `None`: it wants it whole.
    pub wire: Option<Wire>,
    /// What recording an answer takes, when one may be stored.
    pub store: Option<Means>,
    /// The place of the one who asks, which others may join.
    pub lead: Option<Leading>,
    /// The answer on its way into the cache.
    pub fill: Option<Arc<Fill>>,
    /// A stored response whose time is over, for when the upstreams fail.
    pub spare: Option<Arc<Entry>>,
    /// Whether a new response is to be fetched when this exchange is over.
    pub again: bool,
    /// What the client is told of it besides the verdict: `age=12; stored-as=gemini`.
    pub details: Option<String>,
}

/// How the cache served an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheVerdict {
    /// No policy asked for it.
    #[default]
    Off,
    /// A stored response was sent.
    Hit,
    /// A stored response was sent after an upstream said that it still holds.
    Revalidated,
    /// A stored response was sent though its time was over.
    Stale,
    /// The response of an equal call was sent as it came.
    Joined,
    /// There was none; the response was stored.
    Stored,
    /// Of the texts of a call for embeddings so many were there; the others were asked for.
    Partial {
        /// Those that were there, or the same as another.
        kept: usize,
        /// All of them.
        of: usize,
    },
    /// There was none, or it was not to be read; the response was not stored, and why.
    Miss(&'static str),
}

// === impl CacheState ===

impl CacheState {
    /// Takes the place that others may join, if that is the role.
    pub(super) fn leads(&mut self, role: Role) {
        if let (Role::Leads(lead), Some(store)) = (role, &mut self.store) {
            store.followers = Arc::clone(lead.followers());
            self.lead = Some(lead);
        }
    }
}

// === impl CacheVerdict ===

impl CacheVerdict {
    /// The verdict in one word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hit => "hit",
            Self::Revalidated => "revalidated",
            Self::Stale => "stale",
            Self::Joined => "join",
            Self::Stored => "stored",
            Self::Partial { .. } => "partial",
            Self::Miss(_) => "miss",
        }
    }
}
