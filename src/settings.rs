//! The settings of a bundle: one TOML file, read so that every mistake in it is told at once, with its line.

mod address;
mod affinity;
mod balance;
mod breaker;
mod check;
mod collection;
mod dns;
mod environment;
mod hold;
mod limits;
mod listen;
mod mount;
mod parse;
mod probe;
mod quantity;
mod queue;
mod redis;
mod reference;
mod reload;
mod secret;
mod section;
mod upstream;
mod url;

#[cfg(test)]
mod tests;

pub use address::ExistingFile;
pub use affinity::{Affinity, Lost};
pub use balance::{Balance, By, Sticky};
pub use breaker::{Breaker, Retries, WhenAllOpen};
pub use collection::Placed;
pub use dns::{Dns, NameServer};
pub use hold::{Hedge, Hold, HoldUntil};
pub use limits::{Cache, Fetch, Limits, Log, LogFormat, LogLevel, Record};
pub use listen::{Admin, Forwarding, Listen, RequestId, Tls};
pub use mount::{Mount, OnError};
pub use parse::Lookup;
pub use probe::Probe;
pub(crate) use quantity::parse_duration;
pub use queue::{Priority, Queue};
pub use redis::{Redis, RedisUrls};
pub use reference::reference;
pub use reload::reload_notes;
pub use secret::{Headers, Place, Secret};
pub use upstream::{ContinueBy, Dialect, Endpoint, Http, OnLoss, Timeouts, Upstream, Upstreams};
pub use url::Url;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;

use serde::{Serialize, Serializer};

use self::listen::loopback;
use self::parse::{Reader, Value};
use self::section::{choice, section};
use crate::fault::Fault;

section! {
    /// The file `tidegate.toml` of a bundle. Durations are written like `"250ms"`, `"5s"`, `"15m"` or `"1h"`, sizes
    /// like `"64KiB"` or `"8MiB"`.
    pub struct Settings {
        /// When a saved change serves: `on-save` at once, when it has no faults; `reviewed` when someone has accepted
        /// what it does (`tidegate review`). What is live decides about the next change, so that no save can switch
        /// the review off and serve.
        go_live: GoLive = GoLive::OnSave => reload;
        /// Whether a staged change plays what the live one serves, off its path: status shows what it would decide
        /// otherwise.
        shadow: bool = false => reload;
        /// Hundredths of one processor's time that this may take.
        shadow_percent: NonZeroU32 = limits::at_least_one(10) => reload;
        /// How many of the last bundles are kept as source in `.tidegate/generations`, to go back to.
        generations: NonZeroU32 = limits::at_least_one(20) => reload;
        /// Worker threads, one for each processor unless written.
        workers: Option<NonZeroU32> = None => restart;
        /// The addresses for clients; `127.0.0.1:8800` unless written.
        listen: Vec<Placed<Listen>> = vec![Listen::plain(loopback(8800)).into()] => restart;
        /// The address for status, metrics and review.
        admin: Placed<Admin> = Admin::default().into() => reload;
        /// Where requests go.
        upstreams: Upstreams = Upstreams::new() => reload;
        /// How the names of upstreams become addresses.
        dns: Dns = Dns::default() => reload;
        /// What runs on each exchange.
        policies: Vec<Placed<Mount>> = Vec::new() => reload;
        /// Secrets for `secret("NAME")` in policies.
        secrets: BTreeMap<String, Secret> = BTreeMap::new() => reload;
        /// What clients and policies may use.
        limits: Placed<Limits> = Limits::default().into() => reload;
        /// What is added to forwarded messages, and who is believed.
        forwarding: Forwarding = Forwarding::default() => reload;
        /// The store of answers.
        cache: Placed<Cache> = Cache::default().into() => reload;
        /// What several gates have in common.
        redis: Placed<Redis> = Redis::default().into() => restart;
        /// The last exchanges, kept to be looked at and played again.
        record: Record = Record::default() => reload;
        /// What is written down.
        log: Log = Log::default() => reload;
        /// What policies may fetch.
        fetch: Fetch = Fetch::default() => reload;
    }
}

choice! {
    /// When a saved change serves.
    pub enum GoLive {
        /// At once, when it has no faults.
        OnSave = "on-save",
        /// When it has no faults and someone has accepted it.
        Reviewed = "reviewed",
    }
}

/// Reads settings. `file` names them in faults, and relative paths start in its folder; secrets come from this
/// machine. On error, every fault, in the order of the file.
pub fn parse(text: &str, file: &str) -> Result<Settings, Vec<Fault>> {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    parse_in(text, file, folder, &Place::look_up)
}

/// Reads settings whose paths start in `folder` and whose secrets come from `lookup`: a case needs no real keys.
pub fn parse_in(text: &str, file: &str, folder: &Path, lookup: Lookup<'_>) -> Result<Settings, Vec<Fault>> {
    let mut reader = Reader::new(text, file, folder, lookup);
    let settings: Option<Settings> = reader.document();
    if let Some(settings) = &settings {
        check::check(settings, &mut reader);
    }
    let faults = reader.finish();
    match settings {
        Some(settings) if faults.is_empty() => Ok(settings),
        _ => Err(faults),
    }
}

// === impl Settings ===

impl Settings {
    /// Settings without a file: everything goes to one upstream.
    pub fn drop_in(upstream_url: &str, listen: SocketAddr, admin: SocketAddr) -> Result<Self, String> {
        let mut upstream = Upstream::at(upstream_url.parse()?);
        upstream.default = true;
        // A plain service usually serves the name it is called by; one behind TLS is found by its own.
        upstream.preserve_host = !upstream.addresses().iter().any(|endpoint| endpoint.url.tls);
        let mut settings = Self { upstreams: [("upstream".to_owned(), upstream.into())].into(), ..Self::default() };
        settings.listen_on(listen);
        settings.admin.address = admin;
        match check::address_conflicts(&settings).into_iter().next() {
            Some((_, conflict)) => Err(conflict),
            None => Ok(settings),
        }
    }

    /// The upstream for requests that no policy routes: the one marked as default, or the only one.
    pub fn default_upstream(&self) -> Option<&str> {
        let marked = self.upstreams.iter().find(|(_, upstream)| upstream.default);
        let only = self.upstreams.iter().next().filter(|_| self.upstreams.len() == 1);
        marked.or(only).map(|(name, _)| name.as_str())
    }
}

/// As status shows them: as they are written in the file, secrets masked.
impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}
